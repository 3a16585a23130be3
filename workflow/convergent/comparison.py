"""Whether two measures of similarity find the same partners.

Li et al. 2016, section 3.2, compare correlation and mutual information by the eight best and worst matches.
"""

import numpy as np

from convergent.errors import StudyError
from convergent.matching import checked, semi_match, values_of


def compare_similarities(
    correlation: np.ndarray, mutual_information: np.ndarray, live: np.ndarray, best: int = 8
) -> dict[str, float]:
    """How far correlation and mutual information agree on each unit's best partner.

    Every live unit of x has a best partner by either measure (`matching.semi_match`, the first of equals). By either
    measure the units are ranked by their similarity to it, equals by index; the `best` first and the `best` last are
    compared as sets. With fewer than `best` live units all are compared, and with fewer than twice as many, first and
    last overlap: read `compared` beside the numbers.

    Args:
        correlation: (units_x, units_y), signed.
        mutual_information: (units_x, units_y).
        live: (units_x,) whether each unit of x varies.
        best: number of pairs at either end.

    Returns:
        `compared`: size of the sets;
        `shared_best`, `shared_worst`: pairs in both sets, the same unit with the same partner;
        `shared_best_units`, `shared_worst_units`: units in both sets, whoever their partners are;
        `argmax_agreement`: share of the live units that have the same best partner by both measures;
        `rank_correlation`: Spearman's, over live units, of the similarities to the best partners. NaN where it is
        undefined: fewer than two live units, or all of them equally similar. `argmax_agreement` is NaN without any.

    Raises:
        StudyError: a matrix is not finite, or their shapes differ.

    Source: Li et al. 2016, section 3.2 (the paper's comparison is `shared_best`).
    """
    if checked(correlation).shape != checked(mutual_information).shape:
        raise StudyError(
            f"correlations {correlation.shape} and mutual information {mutual_information.shape} "
            "are of different units: compute both from the same two networks."
        )
    units = np.flatnonzero(live)
    compared = min(best, len(units))
    partners, ranks, first, last = [], [], [], []
    for similarity in (correlation, mutual_information):
        chosen = semi_match(similarity)
        values = values_of(similarity, chosen)[units]
        descending = units[np.argsort(-values, kind="stable")]
        partners.append(chosen)
        ranks.append(average_ranks(values))
        first.append(descending[:compared])
        last.append(descending[len(units) - compared :])
    same = partners[0] == partners[1]
    shared_first, shared_last = np.intersect1d(*first), np.intersect1d(*last)
    varied = all(len(np.unique(rank)) > 1 for rank in ranks)
    return {
        "compared": compared,
        "shared_best": int(same[shared_first].sum()),
        "shared_best_units": len(shared_first),
        "shared_worst": int(same[shared_last].sum()),
        "shared_worst_units": len(shared_last),
        "argmax_agreement": float(same[units].mean()) if len(units) else np.nan,
        "rank_correlation": float(np.corrcoef(*ranks)[0, 1]) if varied else np.nan,
    }


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, equals sharing their mean rank; SciPy's are the same, but importing them takes half a second."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
