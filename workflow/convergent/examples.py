"""Which units are drawn: the best and worst pairs, the most and least active, groups, and targets with few predictors.

Li et al. 2016, Figs. 2, 5, 6, S3, S4 and S11. A row of the table of examples is one unit in one cell of a figure; cells
that belong together share a `group`.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from convergent.clustering import group_scores
from convergent.matching import values_of
from convergent.scores import require_fragment
from convergent.tables import read_tables

EXAMPLE_COLUMNS = ("figure", "layer", "group", "network", "unit", "value", "key", "rows")
BEST, WORST, MOST, LEAST = "best", "worst", "most", "least"
SHOWN = 8  # pairs, and units, at either end, as in the paper
GROUPS_SHOWN, UNITS_SHOWN = 5, 4  # groups, and units of each network in a group
TARGETS_SHOWN = 4
SMALLEST_GROUP = 3


def pair_examples(figure: str, layer: str, names: tuple[str, str], similarity: np.ndarray, semi: np.ndarray) -> list:
    """The pairs of a unit with its best partner that are most and least similar, best first.

    Args:
        similarity: (units_a, units_b).
        semi: (units_a,) best partners, -1 = none.
    """
    paired = np.flatnonzero(semi >= 0)
    order = paired[np.argsort(-values_of(similarity, semi)[paired], kind="stable")]
    rows = []
    for end, units in zip((BEST, WORST), ends_of(order), strict=True):
        for number, unit in enumerate(units, start=1):
            partner, group = int(semi[unit]), f"{end} {number}"
            value = float(similarity[unit, partner])
            rows += [
                example(figure, layer, group, names[0], unit, value),
                example(figure, layer, group, names[1], partner, value),
            ]
    return rows


def activity_examples(figure: str, layer: str, network: str, mean: np.ndarray, live: np.ndarray) -> list[dict]:
    """The most and the least active live units of a network, most active first: mean (units,), live (units,)."""
    order = np.flatnonzero(live)
    order = order[np.argsort(-mean[order], kind="stable")]
    return [
        example(figure, layer, end, network, unit, float(mean[unit]))
        for end, units in zip((MOST, LEAST), ends_of(order), strict=True)
        for unit in units
    ]


def ends_of(order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last of an order, as many as are shown; none is in both."""
    first = min(SHOWN, -(-len(order) // 2))
    return order[:first], order[max(first, len(order) - SHOWN) :]


def group_examples(
    figure: str,
    layer: str,
    names: tuple[str, str],
    labels: np.ndarray,
    within_a: np.ndarray,
    within_b: np.ndarray,
    between: np.ndarray,
) -> list[dict]:
    """The groups with the highest similarity between networks, and in each the units closest to the other network.

    Args:
        labels: (units_a + units_b,) group of each unit, -1 = in none.
        within_a, within_b, between: correlations.
    """
    scores = group_scores(labels, within_a, within_b, between)
    large = (scores.units_x > 0) & (scores.units_y > 0) & (scores.units_x + scores.units_y >= SMALLEST_GROUP)
    ranked = np.flatnonzero(large)
    ranked = ranked[np.argsort(-scores.between[ranked], kind="stable")][:GROUPS_SHOWN]
    rows = []
    for number, place in enumerate(ranked, start=1):
        members = labels == scores.groups[place]
        a, b = np.flatnonzero(members[: len(between)]), np.flatnonzero(members[len(between) :])
        block = between[np.ix_(a, b)]
        for network, units, closeness in ((names[0], a, block.mean(axis=1)), (names[1], b, block.mean(axis=0))):
            for unit in units[np.argsort(-closeness, kind="stable")][:UNITS_SHOWN]:
                rows.append(example(figure, layer, str(number), network, unit, float(scores.between[place])))
    return rows


def predictor_examples(
    figure: str,
    layer: str,
    names: tuple[str, str],
    predictors: np.ndarray,
    weights: np.ndarray,
    r_squared: np.ndarray,
) -> list[dict]:
    """The units of b that gain most from several predictors instead of one; each is followed by its predictors.

    Args:
        predictors: (count, units_b) units of a, -1 = none.
        weights: (count, units_b).
        r_squared: (2, units_b) on held-out images, with the first predictor and with all.
    """
    gain = r_squared[1] - r_squared[0]
    chosen = [unit for unit in np.argsort(-np.nan_to_num(gain, nan=-np.inf), kind="stable") if np.isfinite(gain[unit])]
    rows = []
    for number, target in enumerate(chosen[:TARGETS_SHOWN], start=1):
        rows.append(example(figure, layer, str(number), names[1], target, float(r_squared[1, target])))
        for unit, weight in zip(predictors[:, target], weights[:, target], strict=True):
            if unit >= 0:
                rows.append(example(figure, layer, str(number), names[0], unit, float(weight)))
    return rows


def example(figure: str, layer: str, group: str, network: str, unit: int, value: float) -> dict:
    """One row of the table."""
    return dict(zip(EXAMPLE_COLUMNS, (figure, layer, group, network, int(unit), value), strict=False))


def read_examples(path: str | Path, key: str) -> list[dict]:
    """The table of examples, checked to be whole and of this study.

    Raises:
        StudyError: it is absent, damaged or incomplete, or another run made it.
    """
    rows = read_tables([path])
    require_fragment(path, rows, [key], empty=not rows)
    return rows


def units_drawn(rows: Iterable[dict], network: str) -> dict[str, list[int]]:
    """Layer -> the units of a network that occur in a table of examples, ascending."""
    found: dict[str, set[int]] = {}
    for row in rows:
        if row["network"] == network:
            found.setdefault(row["layer"], set()).add(int(row["unit"]))
    return {layer: sorted(units) for layer, units in found.items()}


# What the drawing functions of `figures.units` take, read back from the table


def pairs_drawn(rows: Iterable[dict], end: str) -> list[tuple[int, int, float]]:
    """The pairs at one end: unit of the first network, its partner in the second, their similarity."""
    cells = in_groups(row for row in rows if row["group"].startswith(end))
    return [(int(a["unit"]), int(b["unit"]), float(a["value"])) for a, b in cells.values()]


def activity_drawn(rows: Iterable[dict], end: str, networks: Iterable[str]) -> dict[str, list[tuple[int, float]]]:
    """Each of the networks -> its units at one end, with their mean activations."""
    drawn: dict[str, list[tuple[int, float]]] = {network: [] for network in networks}
    for row in rows:
        if row["group"] == end:
            drawn[row["network"]].append((int(row["unit"]), float(row["value"])))
    return drawn


def groups_drawn(rows: Iterable[dict], names: tuple[str, str]) -> list[tuple[list[int], list[int], float]]:
    """Units of the first network and of the second in each group, and how similar they are."""
    return [
        (*([int(row["unit"]) for row in cells if row["network"] == name] for name in names), float(cells[0]["value"]))
        for cells in in_groups(rows).values()
    ]


def predictors_drawn(rows: Iterable[dict]) -> list[tuple[int, list[tuple[int, float]]]]:
    """Each target unit with its predictors and their weights."""
    return [
        (int(target["unit"]), [(int(row["unit"]), float(row["value"])) for row in predictors])
        for target, *predictors in in_groups(rows).values()
    ]


def in_groups(rows: Iterable[dict]) -> dict[str, list[dict]]:
    """Group -> its rows, in their order."""
    groups: dict[str, list[dict]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    return groups
