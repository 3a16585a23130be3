"""How active units are: the spectrum of unit means of a layer, and whether networks share it.

Li et al. 2016, supplement S.4: unit means sorted from high to low differ by orders of magnitude within a layer, while
the sorted curves of different networks roughly coincide.
"""

import numpy as np

from convergent.comparison import average_ranks
from convergent.matching import values_of
from convergent.statistics import Units

ALIKE = 0.8  # correlation from which two units count as having similar features
FEWEST_PAIRS = 3

SPECTRUM_COLUMNS = ("layer", "network", "rank", "unit", "mean", "standard_deviation")
MATCHED_COLUMNS = (
    *("layer", "unit_a", "unit_b", "correlation", "mean_a", "mean_b"),
    *("standard_deviation_a", "standard_deviation_b"),
)

# What each measure says of networks a and b; the first two are about one network (a = b).
ACTIVITY_MEASURES = {
    "spectrum_range": "largest mean activation of a unit over the smallest",
    "largest_mean": "largest mean activation of a unit",
    "spectrum_distance": "Kolmogorov-Smirnov distance of the two networks' unit means, each divided by their mean",
    "matched_mean_correlation": "Spearman's correlation of the means of units matched one to one at 0.8 or more",
    "matched_deviation_correlation": "the same of their standard deviations",
}


def spectrum_scores(units: Units) -> dict[str, float]:
    """`spectrum_range` and `largest_mean` of the live units of one network; NaN without any.

    The range is NaN where a live unit's mean is not positive: the measure is meant for rectified units.
    """
    mean = units.mean[units.live]
    if not len(mean):
        return dict.fromkeys(("spectrum_range", "largest_mean"), np.nan)
    smallest, largest = mean.min(), mean.max()
    return {"spectrum_range": largest / smallest if smallest > 0 else np.nan, "largest_mean": largest}


def spectrum_distance(mean_x: np.ndarray, mean_y: np.ndarray) -> float:
    """Largest difference between the distributions of two sets of unit means, each divided by its own mean.

    NaN without units, or where a layer's mean is not positive. Source: the two-sample Kolmogorov-Smirnov statistic.
    """
    if not (len(mean_x) and len(mean_y) and mean_x.mean() > 0 and mean_y.mean() > 0):
        return np.nan
    x, y = np.sort(mean_x / mean_x.mean()), np.sort(mean_y / mean_y.mean())
    steps = np.concatenate([x, y])
    shares = (np.searchsorted(values, steps, side="right") / len(values) for values in (x, y))
    return float(np.abs(np.subtract(*shares)).max())


def activity_scores(x: Units, y: Units, correlation: np.ndarray, match: np.ndarray) -> dict[str, float]:
    """The scores of `ACTIVITY_MEASURES` for a pair of networks.

    Args:
        x, y: their units.
        correlation: (units_x, units_y).
        match: (units_x,) one-to-one partner of each unit, -1 = none.

    Returns:
        measure -> value; NaN where fewer than 3 matched pairs are alike, or where all of them have equal values.
    """
    alike = np.flatnonzero(np.nan_to_num(values_of(correlation, match), nan=-1.0) >= ALIKE)
    partners = match[alike]
    return {
        "spectrum_distance": spectrum_distance(x.mean[x.live], y.mean[y.live]),
        "matched_mean_correlation": rank_correlation(x.mean[alike], y.mean[partners]),
        "matched_deviation_correlation": rank_correlation(x.standard_deviation[alike], y.standard_deviation[partners]),
    }


def spectrum(layer: str, network: str, units: Units) -> list[dict]:
    """All units of a network from the most active to the least, as rows of `SPECTRUM_COLUMNS`."""
    order = np.argsort(-units.mean, kind="stable")
    columns = zip(order.tolist(), units.mean[order].tolist(), units.standard_deviation[order].tolist(), strict=True)
    return [
        dict(zip(SPECTRUM_COLUMNS, (layer, network, rank, *values), strict=True)) for rank, values in enumerate(columns)
    ]


def matched_units(layer: str, x: Units, y: Units, correlation: np.ndarray, match: np.ndarray) -> list[dict]:
    """Means and standard deviations of units matched one to one, as rows of `MATCHED_COLUMNS`.

    Args: as in `activity_scores`.
    """
    rows = np.flatnonzero(match >= 0)
    partners = match[rows]
    columns = (
        *(rows, partners, correlation[rows, partners], x.mean[rows], y.mean[partners]),
        *(x.standard_deviation[rows], y.standard_deviation[partners]),
    )
    return [
        dict(zip(MATCHED_COLUMNS, (layer, *values), strict=True))
        for values in zip(*(column.tolist() for column in columns), strict=True)
    ]


def joint_pairs(
    layer: str, x: np.ndarray, y: np.ndarray, correlation: np.ndarray, semi: np.ndarray, each: int = 2
) -> list[dict]:
    """Activations of the `each` best and worst pairs, best first (Li et al. 2016, Fig. S1).

    Args:
        x, y: activations (samples, units_x), (samples, units_y).
        correlation: (units_x, units_y).
        semi: (units_x,) best partners, -1 = none.

    Returns:
        mappings with layer, unit_a, unit_b, correlation, x (samples,), y (samples,).
    """
    paired = np.flatnonzero(semi >= 0)
    order = paired[np.argsort(-values_of(correlation, semi)[paired], kind="stable")]
    chosen = dict.fromkeys([*order[:each].tolist(), *order[-each:].tolist()])
    return [
        {
            **{"layer": layer, "unit_a": unit, "unit_b": int(semi[unit])},
            **{"correlation": float(correlation[unit, semi[unit]]), "x": x[:, unit], "y": y[:, semi[unit]]},
        }
        for unit in chosen
    ]


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's correlation of two equally long series; NaN for fewer than 3 values or a constant series."""
    if len(x) < FEWEST_PAIRS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    return float(np.corrcoef(average_ranks(x), average_ranks(y))[0, 1])
