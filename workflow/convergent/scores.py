"""Numbers that say how well the units of one network match those of another.

Li et al. 2016, sections 3.1 and 3.2: mean correlation under semi-matching and under one-to-one matching, their
overlap, mutual best matches, and the share of units without a good partner. A row of the score table is one number.
"""

from collections.abc import Iterable

import numpy as np

from convergent.matching import mutual_best, values_of

COLUMNS = ("study", "population", "layer", "measure", "network_a", "network_b", "value")
DRAW_COLUMNS = (*COLUMNS, "draw")
SUMMARY_COLUMNS = ("population", "layer", "measure", "pairs", "mean", "standard_deviation", "minimum", "maximum")

# What each measure says of the ordered pair (a, b); captions and the README quote these lines.
MATCHING_MEASURES = {
    "semi_match_mean": "mean correlation of a's units with their best partners in b",
    "match_mean": "mean correlation under the one-to-one matching with the largest sum",
    "match_overlap": "share of a's units whose one-to-one partner is their best partner",
    "mutual_best_share": "share of a's units that are the best partner of their best partner",
    "share_below_half": "share of a's units whose best partner correlates below 0.5",
    "dead_units": "number of a's units that never change; they match nothing and enter no mean",
}


def matching_scores(correlation: np.ndarray, semi: np.ndarray, match: np.ndarray, live: np.ndarray) -> dict[str, float]:
    """The scores of `MATCHING_MEASURES` for one ordered pair of networks.

    Args:
        correlation: (units_a, units_b).
        semi: (units_a,) best partners, from `matching.semi_match`.
        match: (units_a,) one-to-one partners, -1 = unmatched, from `matching.bipartite_match`.
        live: (units_a,) whether each unit varies at all. A dead unit has no feature that could be found again, so
            means and shares are over live units; how many are dead is a score of its own. A dead partner counts
            as a correlation of 0.

    Returns:
        measure -> value; NaN where no unit is live. Units of a wider network that stay unmatched enter no mean
        over the one-to-one matching.
    """
    if not live.any():
        return {**dict.fromkeys(MATCHING_MEASURES, np.nan), "dead_units": float(len(live))}
    best = values_of(correlation, semi)[live]
    matched = live & (match >= 0)
    return {
        "semi_match_mean": float(best.mean()),
        "match_mean": float(values_of(correlation, match)[matched].mean()) if matched.any() else np.nan,
        "match_overlap": float((match == semi)[live].mean()),
        "mutual_best_share": float(mutual_best(correlation)[live].mean()),
        "share_below_half": float((best < 0.5).mean()),
        "dead_units": float((~live).sum()),
    }


def score_rows(
    study: str, population: str, layer: str, network_a: str, network_b: str, scores: dict[str, float], **more: object
) -> list[dict]:
    """Rows of the score table, one for each measure; `more` adds columns."""
    return [
        dict(zip(COLUMNS, (study, population, layer, measure, network_a, network_b, value), strict=True)) | more
        for measure, value in scores.items()
    ]


def mean_over_draws(rows: Iterable[dict]) -> list[dict]:
    """Rows that differ only in their `draw`, averaged into one row without that column."""
    groups: dict[tuple, list[float]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in COLUMNS[:-1]), []).append(float(row["value"]))
    return [dict(zip(COLUMNS, (*group, np.mean(values)), strict=True)) for group, values in groups.items()]


def summarise(rows: Iterable[dict]) -> list[dict]:
    """Spread over pairs of every score: one row per population, layer and measure, in order of appearance.

    Args:
        rows: mappings with the keys of `COLUMNS`.

    Returns:
        mappings with the keys of `SUMMARY_COLUMNS`; the standard deviation is that of the sample (0 for one pair).
    """
    groups: dict[tuple, list[float]] = {}
    for row in rows:
        groups.setdefault((row["population"], row["layer"], row["measure"]), []).append(float(row["value"]))
    summary = []
    for group, values in groups.items():
        spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
        numbers = (len(values), np.mean(values), spread, min(values), max(values))
        summary.append(dict(zip(SUMMARY_COLUMNS, (*group, *numbers), strict=True)))
    return summary
