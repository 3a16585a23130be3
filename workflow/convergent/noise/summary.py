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
    closed_form_rows,
    depth_lost_rows,
    growth_rows,
    places,
    start_lost_rows,
    summarise,
    theory_rows,
    threshold_rows,
)
from convergent.noise.protocols import CLASSIFICATION, DESCENT, LINEAR, PROTOCOLS, REGRESSION, parameters
from convergent.noise.theory import alignment, label_alignment, limits

# Controls with the ordinary variant whose dip they should take away.
CONTROLS: dict[Place, Place] = {
    (LINEAR, "ridge"): (LINEAR, "input"),
    (DESCENT, "lazy"): (DESCENT, "small"),
}
# Variants with what theory expects of n, d and the ratio: derived for one output, an estimate for several.
THEORIES = {
    (LINEAR, "single"): alignment,
    (LINEAR, "single_label"): label_alignment,
    (LINEAR, "input"): alignment,
}
TRAINED, CLOSED = (DESCENT, "small"), (LINEAR, "small")  # the same training sets, step by step and in closed form
# The registry turns what is a distance into a similarity.
TITLES = {"information_imbalance": "1 - information imbalance"}
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
    if (LINEAR, "fresh") in found and (LINEAR, "input") in found:
        rows += start_lost_rows(table, (LINEAR, "input"), (LINEAR, "fresh"), "cka_linear", **options)
    if TRAINED in found and CLOSED in found:
        rows += closed_form_rows(table, TRAINED, CLOSED, "cka_linear", parameters(*TRAINED), **options)
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


def drawn_measures(table: pd.DataFrame) -> dict[str, str]:
    """The measures of alignment in a table with their titles, in order of appearance.

    CKA over all inputs is left out: it cannot be told from that over 500.
    """
    shown = [name for name in dict.fromkeys(table["measure"]) if name not in (*ERRORS, "cka_population")]
    return {name: TITLES.get(name, name) for name in shown}


def limits_of(variant: str, points: pd.DataFrame) -> dict[float, tuple[float, float]]:
    """Ratio -> alignment that theory expects of very few and of very many samples; known with input noise alone."""
    if THEORIES[LINEAR, variant] is not alignment:
        return {}
    return {ratio: (float(limits(ratio).few), float(limits(ratio).many)) for ratio in points["snr"].unique()}


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
