"""All criteria of a table of results: which protocol answers which question, and with which threshold.

Umar & Laio 2026; only the abstract's claims are known, the protocols are a reconstruction.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from convergent.noise.criteria import (
    DRAWS,
    ERRORS,
    Place,
    depth_lost_rows,
    growth_rows,
    places,
    summarise,
    theory_rows,
    threshold_rows,
)
from convergent.noise.protocols import CLASSIFICATION, DESCENT, LINEAR, PROTOCOLS, REGRESSION, parameters
from convergent.noise.theory import alignment, label_alignment

# Controls with the ordinary variant whose dip they should take away.
CONTROLS: dict[Place, Place] = {
    (LINEAR, "ridge"): (LINEAR, "input"),
    (LINEAR, "fresh"): (LINEAR, "input"),
    (DESCENT, "lazy"): (DESCENT, "small"),
}
# Variants with one output, for which theory is derived, with what it expects of n, d and the ratio.
THEORIES = {(LINEAR, "single"): alignment, (LINEAR, "single_label"): label_alignment}
WIDTHS = ("width_5", "width_10", "width_20")
GROWING = ("cka_linear", "output_correlation")


def all_criteria(table: pd.DataFrame, draws: int = DRAWS, seed: int = 0) -> list[dict]:
    """Every statistic of every protocol that the table holds, with intervals over repetitions.

    Args:
        table: columns protocol, variant, n, repetition, snr, measure, value.
        draws: of repetitions, for intervals.
        seed: of these draws.

    Returns:
        rows of `criteria.COLUMNS`.
    """
    options = {"draws": draws, "seed": seed}
    found = list(dict.fromkeys(place for place, _ in places(table)))
    rows, thresholds = [], {}
    for place in found:
        thresholds[place] = parameters(*place)
        if place[0] in (REGRESSION, CLASSIFICATION):
            measured = threshold_rows(table, place, **options)
            thresholds[place] = usable([row["value"] for row in measured], parameters(*place))
    rows += summarise(table, thresholds, **options)
    for control, ordinary in CONTROLS.items():
        if control in found and ordinary in found:
            rows += depth_lost_rows(table, ordinary, control, "cka_linear", **options)
    for place, theory in THEORIES.items():
        if place in found:
            d = parameters(*place)
            rows += theory_rows(
                table, place, "cka_linear", lambda n, snr, d=d, theory=theory: theory(n, snr, d), d, **options
            )
    widths = {width: parameters(REGRESSION, width) for width in WIDTHS if (REGRESSION, width) in found}
    if len(widths) > 1:
        for measure in GROWING:
            rows += growth_rows(table, REGRESSION, widths, measure, **options)
    return rows


def usable(measured: list[float], nominal: float) -> np.ndarray | float:
    """Thresholds as measured; where none was reached, the nominal one."""
    values = np.where(np.isnan(measured), nominal, measured)
    return float(values[0]) if len(values) == 1 else values


def thresholds_of(criteria: pd.DataFrame) -> dict[Place, float]:
    """Threshold to draw of each protocol and variant: the nominal one, or the median of those measured.

    Args:
        criteria: columns of `criteria.COLUMNS`.
    """
    measured = criteria[criteria["statistic"] == "empirical_threshold"].groupby(["protocol", "variant"])["value"]
    medians = measured.median().dropna().to_dict()
    nominal = {place: float(parameters(*place)) for place in PROTOCOLS}
    return nominal | {place: value for place, value in medians.items() if place[0] in (REGRESSION, CLASSIFICATION)}


def drawn_measures(table: pd.DataFrame) -> list[str]:
    """The measures of alignment in a table, in order of appearance."""
    return [measure for measure in dict.fromkeys(table["measure"]) if measure not in ERRORS]


def expected(variant: str, points: pd.DataFrame, theory: Callable[..., np.ndarray] | None = None) -> pd.DataFrame:
    """What theory says of one variant of linear networks: columns n, snr, value, for more sizes than `points` has.

    Args:
        variant: of linear networks.
        points: columns n and snr.
        theory: function of n, snr and d; None: that of the alignment.
    """
    theory = theory or THEORIES[LINEAR, variant]
    d, ratios = parameters(LINEAR, variant), np.sort(points["snr"].unique())
    between = np.geomspace(points["n"].min(), points["n"].max(), 400).round()
    sizes = np.union1d(between, points["n"])
    n, snr = (part.ravel() for part in np.meshgrid(sizes, ratios, indexing="ij"))
    return pd.DataFrame({"n": n, "snr": snr, "value": theory(n, snr, d)})
