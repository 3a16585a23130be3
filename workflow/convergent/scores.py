"""Numbers that say how well the units of one network match those of another.

Li et al. 2016, sections 3.1 and 3.2: mean correlation under semi-matching and under one-to-one matching, their
overlap, mutual best matches, and the share of units without a good partner. A row of the score table is one number.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from convergent.errors import StudyError
from convergent.files import require_key
from convergent.matching import mutual_best, values_of

COLUMNS = ("study", "population", "layer", "measure", "network_a", "network_b", "value")
# A fragment tells with every row what made it and how many rows there are, so that none can go missing unnoticed.
FRAGMENT_COLUMNS = (*COLUMNS, "draw", "key", "rows")
# Means over the pairs of one draw of images, or of shuffles; those of one tile say over how many pairs.
DRAW_COLUMNS = ("population", "layer", "measure", "draw", "mean")
REDRAWN_COLUMNS = (*DRAW_COLUMNS, "pairs", "key", "rows")
# Similarities of whole representations, of layer_a of network a and layer_b of network b; NaN for a reason.
SIMILARITY_COLUMNS = (
    "study",
    "population",
    "layer_a",
    "layer_b",
    "measure",
    "network_a",
    "network_b",
    "value",
    "reason",
)
CALIBRATION_COLUMNS = (
    *("study", "population", "layer_a", "layer_b", "over", "measure", "network_a", "network_b"),
    *("score", "calibrated", "p_value", "null_mean", "permutations", "reason"),
)
SHUFFLED = "shuffled"  # population of the negative control
RESAMPLED = "resampled"  # population of the trained networks on images drawn with replacement

# What each measure says of the ordered pair (a, b); captions and the README quote these lines.
MATCHING_MEASURES = {
    "semi_match_mean": "mean correlation of a's units with their best partners in b",
    "match_mean": "mean correlation under the one-to-one matching with the largest sum",
    "match_overlap": "share of a's units whose one-to-one partner is their best partner",
    "mutual_best_share": "share of a's units that are the best partner of their best partner",
    "share_below_half": "share of a's units whose best partner correlates below 0.5",
    "share_strong": "share of a's units whose best partner correlates at 0.8 or more",
    "share_near_identical": "share of a's units whose best partner correlates at 0.95 or more",
    "dead_units": "number of a's units that never change; they have no partner and are nobody's",
}

# The same for mutual information in nats, and its agreement with correlation.
INFORMATION = "information_"
INFORMATION_MEASURES = {
    "information_semi_match_mean": "mean mutual information of a's units with their best partners by it, nats",
    "information_match_mean": "mean mutual information under the one-to-one matching with the largest sum, nats",
    "information_mutual_best_share": "share of a's units that are the best partner of their best partner, by it",
    "information_argmax_agreement": "share of a's units whose best partner by it is the one by correlation",
    "information_rank_correlation": "Spearman's correlation of the units' best values by the two measures",
    "information_compared": "how many best and worst pairs are compared: 8, or as many as a has live units",
    "information_shared_best": "of the best pairs by either measure, those in both lists",
    "information_shared_worst": "of the worst pairs by either measure, those in both lists",
}


def matching_scores(
    similarity: np.ndarray | None, semi: np.ndarray | None, match: np.ndarray | None, dead: int
) -> dict[str, float]:
    """The scores of `MATCHING_MEASURES` for one ordered pair of networks.

    Args:
        similarity: (units_a, units_b) among the live units; None if one of the networks has none.
        semi: (units_a,) best partners, from `matching.semi_match`.
        match: (units_a,) one-to-one partners, -1 = unmatched, from `matching.bipartite_match`.
        dead: how many further units of a never change.

    Returns:
        measure -> value; NaN where no unit is live. Units of a wider network that stay unmatched enter no mean
        over the one-to-one matching.
    """
    scores = dict.fromkeys(MATCHING_MEASURES, np.nan) | {"dead_units": float(dead)}
    if similarity is not None:
        best = values_of(similarity, semi)
        scores |= {
            "semi_match_mean": float(best.mean()),
            "match_mean": float(np.nanmean(values_of(similarity, match))),
            "match_overlap": float((match == semi).mean()),
            "mutual_best_share": float(mutual_best(similarity).mean()),
            "share_below_half": float((best < 0.5).mean()),
            "share_strong": float((best >= 0.8).mean()),
            "share_near_identical": float((best >= 0.95).mean()),
        }
    return scores


def score_rows(
    study: str, population: str, layer: str, network_a: str, network_b: str, scores: dict[str, float], **more: object
) -> list[dict]:
    """Rows of the score table, one for each measure; `more` adds columns."""
    return [
        dict(zip(COLUMNS, (study, population, layer, measure, network_a, network_b, value), strict=True)) | more
        for measure, value in scores.items()
    ]


def fragment(rows: list[dict]) -> list[dict]:
    """Rows of a fragment of the table, each told how many there are."""
    return [row | {"rows": len(rows)} for row in rows]


def require_fragment(path: str | Path, rows: list[dict], keys: Iterable[str], empty: bool = False) -> None:
    """Raise StudyError unless the rows read from `path` are complete and all carry one of the given keys.

    `empty` says whether there is nothing to score in this fragment, so that it has no rows.
    """
    for found in {row["key"] for row in rows} - set(keys):
        require_key(path, found, next(iter(keys)))
    if bool(rows) == empty or any(int(row["rows"]) != len(rows) for row in rows):
        raise StudyError(f"{path} has lost some of its rows: delete it and run the study again.")


def mean_over_draws(rows: Iterable[dict]) -> list[dict]:
    """Rows of `FRAGMENT_COLUMNS` that differ only in their draw, averaged into one row of `COLUMNS`."""
    groups: dict[tuple, list[float]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in COLUMNS[:-1]), []).append(float(row["value"]))
    return [dict(zip(COLUMNS, (*group, np.mean(values)), strict=True)) for group, values in groups.items()]


def mean_over_pairs(scored: Iterable[tuple[str, str, dict[str, float]]], **more: object) -> list[dict]:
    """Rows of `REDRAWN_COLUMNS` from the scores of networks a and b: means over those that have a value.

    `more` gives the columns layer, draw and key.
    """
    values: dict[str, list[float]] = {}
    for _, _, scores in scored:
        for measure, value in scores.items():
            values.setdefault(measure, []).extend([] if np.isnan(value) else [value])
    return [
        {"population": RESAMPLED, "measure": measure, "mean": np.mean(found), "pairs": len(found), **more}
        for measure, found in values.items()
        if found
    ]


def draw_means(rows: Iterable[dict]) -> list[dict]:
    """Rows of `DRAW_COLUMNS` from those of single pairs (`value`) or of several (`mean` of `pairs`)."""
    sums: dict[tuple, list[float]] = {}
    for row in rows:
        value = float(row["mean"] if "mean" in row else row["value"])
        if not np.isnan(value):
            pairs = int(row.get("pairs", 1))
            total = sums.setdefault((row["population"], row["layer"], row["measure"], int(row["draw"])), [0.0, 0])
            total[0] += pairs * value
            total[1] += pairs
    return [dict(zip(DRAW_COLUMNS, (*group, total / pairs), strict=True)) for group, (total, pairs) in sums.items()]


def same_layers(rows: Iterable[dict], layers: Iterable[str]) -> list[dict]:
    """Rows of the score table: similarities of a layer with the same layer of another network, if among `layers`."""
    layers = set(layers)
    kept = (row for row in rows if row["layer_a"] == row["layer_b"] and row["layer_a"] in layers)
    return [{column: row["layer_a" if column == "layer" else column] for column in COLUMNS} for row in kept]


def calibrated_scores(rows: Iterable[dict], layers: Iterable[str]) -> list[dict]:
    """The same for calibrated similarities, `<measure>_calibrated`."""
    by_layer = (row for row in rows if row["over"] == "layer")
    return same_layers(
        (row | {"measure": f"{row['measure']}_calibrated", "value": row["calibrated"]} for row in by_layer), layers
    )
