"""Alignment of one pair of networks in both directions: assignments of units, and their scores.

Li et al. 2016, section 3.1. Direction matters: the best partners of a's units in b say nothing of b's units that no
unit of a chose.
"""

from typing import NamedTuple

import numpy as np

from convergent.comparison import compare_similarities
from convergent.matching import bipartite_match, reversed_match, semi_match, values_of
from convergent.scores import INFORMATION, INFORMATION_MEASURES, matching_scores


class Alignment(NamedTuple):
    """Partners in the other network, and the scores of `scores.MATCHING_MEASURES`."""

    semi: np.ndarray  # (units,) best partner
    match: np.ndarray  # (units,) one-to-one partner, -1 = unmatched
    scores: dict[str, float]


def align(similarity: np.ndarray, live_x: np.ndarray, live_y: np.ndarray) -> tuple[Alignment, Alignment]:
    """Alignment of x to y and of y to x; the one-to-one matching is solved once.

    A dead unit has no feature that could be found again: it gets no partner (-1) and is nobody's.

    Args:
        similarity: (units_x, units_y) correlations between the networks.
        live_x, live_y: (units_x,), (units_y,) whether each unit varies.

    Raises:
        StudyError: the matrix is not finite.
    """
    rows, columns = np.flatnonzero(live_x), np.flatnonzero(live_y)
    if not (len(rows) and len(columns)):
        return tuple(
            Alignment(np.full(len(live), -1), np.full(len(live), -1), matching_scores(None, None, None, (~live).sum()))
            for live in (live_x, live_y)
        )
    among_live = similarity[np.ix_(rows, columns)]
    match = bipartite_match(among_live)
    directions = (
        (among_live, match, live_x, columns),
        (among_live.T, reversed_match(match, len(columns)), live_y, rows),
    )
    alignments = []
    for values, partners, live, others in directions:
        semi = semi_match(values)
        scores = matching_scores(values, semi, partners, (~live).sum())
        alignments.append(Alignment(spread(semi, live, others), spread(partners, live, others), scores))
    return tuple(alignments)


def align_by_information(
    information: np.ndarray, correlation: np.ndarray, live_x: np.ndarray, live_y: np.ndarray
) -> tuple[Alignment, Alignment]:
    """Alignment by mutual information, and how far it agrees with the one by correlation (section 3.2).

    Args:
        information: (units_x, units_y) mutual information between the networks, nats.
        correlation, live_x, live_y: as in `align`.

    Returns:
        Alignments of x to y and of y to x, with the scores of `scores.INFORMATION_MEASURES`; NaN where undefined.
    """
    among_live = np.ix_(live_x, live_y)
    directions = zip(
        align(information, live_x, live_y),
        (information[among_live], information[among_live].T),
        (correlation[among_live], correlation[among_live].T),
        strict=True,
    )
    alignments = []
    for found, by_information, by_correlation in directions:
        scores = dict.fromkeys(INFORMATION_MEASURES, np.nan)
        if by_information.size:
            agreement = compare_similarities(by_correlation, by_information, np.ones(len(by_information), bool))
            every = {**found.scores, **agreement}
            scores = {name: every[name.removeprefix(INFORMATION)] for name in INFORMATION_MEASURES}
        alignments.append(found._replace(scores=scores))
    return tuple(alignments)


def spread(partners: np.ndarray, live: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Partners among live units, told in the numbers of all units; -1 for dead units and those without a partner."""
    everyone = np.full(len(live), -1)
    everyone[live] = np.where(partners >= 0, others[partners], -1)
    return everyone


CURVE_COLUMNS = ("layer", "rank", "unit", "semi", "match", "semi_low", "semi_high")


def partner_curves(
    layer: str, similarities: dict[tuple[str, str], np.ndarray], assignments: dict[str, np.ndarray]
) -> list[dict]:
    """Similarity of each unit of the first network to its partners in the second, best first (Li et al., Fig. 3).

    Args:
        layer: name written to each row.
        similarities: ordered pair of networks -> (units_a, units_b); the first entry is the pair whose units are
            listed, all together give the range.
        assignments: `semi/<a>/<b>` and `match/<a>/<b>` for each pair.

    Returns:
        rows with the keys of `CURVE_COLUMNS`, one per unit; `semi_low` and `semi_high` are the lowest and highest
        value at the same rank in any pair whose first network is as wide. NaN where a unit has no partner; such
        units come last.
    """
    (a, b), similarity = next(iter(similarities.items()))
    semi = values_of(similarity, assignments[f"semi/{a}/{b}"])
    match = values_of(similarity, assignments[f"match/{a}/{b}"])
    # Sorting puts NaN last, also with the sign turned.
    curves = [-np.sort(-values_of(values, assignments[f"semi/{x}/{y}"])) for (x, y), values in similarities.items()]
    curves = np.stack([curve for curve in curves if len(curve) == len(semi)])
    order = np.argsort(-semi, kind="stable")
    columns = (order, semi[order], match[order], np.fmin.reduce(curves), np.fmax.reduce(curves))
    return [
        dict(zip(CURVE_COLUMNS, (layer, rank, *(column[rank].item() for column in columns)), strict=True))
        for rank in range(len(order))
    ]


INFORMATION_COLUMNS = ("layer", "unit", "correlation", "correlation_partner", "information", "information_partner")


def information_against_correlation(
    layer: str, correlation: np.ndarray, by_correlation: np.ndarray, information: np.ndarray, by_information: np.ndarray
) -> list[dict]:
    """Each unit's best partner by either measure (Li et al., section 3.2), units without a partner left out.

    Args:
        layer: name written to each row.
        correlation, information: (units_a, units_b).
        by_correlation, by_information: (units_a,) best partners, -1 = none.

    Returns:
        rows with the keys of `INFORMATION_COLUMNS`, one per unit.
    """
    values = values_of(correlation, by_correlation), values_of(information, by_information)
    return [
        dict(
            zip(
                INFORMATION_COLUMNS,
                (layer, unit, values[0][unit], by_correlation[unit], values[1][unit], by_information[unit]),
                strict=True,
            )
        )
        for unit in np.flatnonzero((by_correlation >= 0) & (by_information >= 0))
    ]
