"""Figures of similarities between layers: by depth, layer by layer, over training, and what each measure is worth.

After Kornblith et al. 2019 (heat maps of layers), Klabunde et al. 2024 (groundings) and Gröger, Wen & Brbić 2026
(calibration). The table of similarities is the one that `convergent.groundings` describes.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from convergent.claims import AGAINST_UNTRAINED
from convergent.figures.matching import name_layers
from convergent.figures.style import (
    BLACK,
    BLUE,
    GREY,
    POPULATION_LOOKS,
    VERMILION,
    legend_below,
    panels,
    shortened,
)
from convergent.groundings import both_directions
from convergent.resampling import TRAINED
from convergent.scores import SHUFFLED

UNTRAINED, AGAINST_ROTATED = "untrained", "against_rotated"
MOST_ANNOTATED_LAYERS, MOST_ANNOTATED_MEASURES = 8, 16
MOST_PAIRS = 6  # of single networks
MOST_NAMES = 16  # of layers, in a legend or at a side of a heat map
SIGNIFICANT = 0.05
# Not drawn by depth: checkpoints, and networks with altered copies of themselves.
ASIDE = re.compile(r"epoch_\d+|noisy_.*|permuted|rotated|siblings")
SHIFTED = LinearSegmentedColormap.from_list("shifted", [VERMILION, "#3A1500"])
SHIFTED_MARKERS = ("D", "P", "X", "*", "h", "p")
SHIFTED_STYLES = ("-.", (0, (3, 1, 1, 1, 1, 1)), (0, (6, 2)))
LAYER_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
UNDEFINED = "#D9D9D9"


def similarity_by_depth(summary: pd.DataFrame, measures: Mapping[str, str] | Iterable[str]) -> Figure:
    """Each measure against depth, trained networks with their baselines and with shifted images.

    Args:
        summary: columns population, layer, measure, mean, minimum, maximum (over pairs of networks). Checkpoints and
            networks with altered copies of themselves are not drawn.
        measures: those to draw, or with their titles; up to 16 are legible.
    """
    measures = titled(measures)
    summary = summary[summary["measure"].isin(measures) & ~summary["population"].str.fullmatch(ASIDE)]
    layers, looks = list(dict.fromkeys(summary["layer"])), contrasts(summary["population"])
    if not layers:
        return nothing("no similarity to draw by depth")
    figure, axes = panels(len(measures), width=2.6, height=2.5)
    places = range(len(layers))
    for axis, (measure, title) in zip(axes, measures.items(), strict=True):
        for population, look in looks.items():
            rows = summary[(summary["measure"] == measure) & (summary["population"] == population)]
            # A layer without a value leaves a gap.
            rows = rows.set_index("layer").reindex(layers)
            axis.fill_between(places, rows["minimum"], rows["maximum"], color=look["color"], alpha=0.15, linewidth=0)
            axis.plot(places, rows["mean"], label=population, markersize=4, linewidth=1.3, **look)
        drawn = summary.loc[summary["measure"] == measure, ["mean", "minimum", "maximum"]]
        axis.set(title=wrapped(title), xlabel="layer")
        name_depth(axis, layers)
        set_range(axis, drawn.to_numpy(dtype=float))
    label_first(axes, "mean similarity")
    legend_with_room(figure, *axes[0].get_legend_handles_labels())
    return figure


def contrasts(populations: Iterable[str]) -> dict[str, dict]:
    """How to draw each population that occurs, trained networks and their baselines first, then shifted images."""
    found = list(dict.fromkeys(populations))
    baselines = (UNTRAINED, AGAINST_UNTRAINED, AGAINST_ROTATED, SHUFFLED)
    known = [name for name in (TRAINED, *baselines) if name in found]
    return {name: POPULATION_LOOKS[name] for name in known} | shifted([name for name in found if name not in known])


def shifted(populations: Sequence[str]) -> dict[str, dict]:
    """How to draw trained networks on each shifted set of images: reds to browns, each with a marker of its own."""
    shades = SHIFTED(np.linspace(0, 1, max(len(populations), 2)))
    return {
        name: {
            "color": shades[number],
            "linestyle": SHIFTED_STYLES[number % len(SHIFTED_STYLES)],
            "marker": SHIFTED_MARKERS[number % len(SHIFTED_MARKERS)],
        }
        for number, name in enumerate(populations)
    }


def layer_heat_maps(table: pd.DataFrame, measure: str, networks: Sequence[str]) -> Figure:
    """Similarity of every layer with every other: means over pairs above, single pairs of trained networks below.

    A mean is over both orders of each pair whose networks have the layers that most networks have, so that it is
    symmetric where the measure is; a single pair is drawn in the order of `networks`.

    Args:
        table: columns population, layer_a, layer_b, measure, network_a, network_b, value; the populations `trained`
            and `untrained` are drawn.
        measure: the one to draw.
        networks: those to draw; of more than six pairs the first six have panels of their own.
    """
    rows = table[(table["measure"] == measure) & table["network_a"].isin(networks) & table["network_b"].isin(networks)]
    rows = {name: both_directions(rows[rows["population"] == name]) for name in (TRAINED, UNTRAINED)}
    means, singles = {}, {}
    for population, pairs in rows.items():
        lists = layer_lists(pairs)
        common = Counter(lists.values()).most_common(1)[0][0] if lists else ()
        usual = [network for network, layers in lists.items() if layers == common]
        alike = pairs[pairs["network_a"].isin(usual) & pairs["network_b"].isin(usual)]
        count = len({frozenset(pair) for pair in zip(alike["network_a"], alike["network_b"], strict=True)})
        if count:
            title = f"{population}, mean of {count} pairs" if count > 1 else f"{population}, the only pair"
            means[title] = (
                layer_matrix(alike, common, common),
                common,
                common,
                "layer of the first",
                "layer of the second",
            )
    lists = layer_lists(rows[TRAINED])
    for a, b in combinations(networks, 2):
        pair = rows[TRAINED][(rows[TRAINED]["network_a"] == a) & (rows[TRAINED]["network_b"] == b)]
        if len(pair) and len(singles) < MOST_PAIRS:
            matrix = layer_matrix(pair, lists[a], lists[b])
            singles[f"{a}, {b}"] = matrix, lists[a], lists[b], f"layer of {a}", f"layer of {b}"
    if not means | singles:
        return nothing(f"no similarity by {measure} to draw")

    limits = colour_limits([matrix for matrix, *_ in (means | singles).values()])
    heights = [3.3] * bool(means) + [2.65] * -(-len(singles) // 3)
    figure = plt.figure(figsize=(8.2, sum(heights) + 0.3))
    grid = figure.add_gridspec(len(heights), 6, height_ratios=heights)
    axes = [figure.add_subplot(grid[0, 3 * number : 3 * number + 3]) for number in range(len(means))]
    for number in range(len(singles)):
        row, column = divmod(number, 3)
        axes.append(figure.add_subplot(grid[row + bool(means), 2 * column : 2 * column + 2]))
    for axis, (title, (matrix, first, second, ylabel, xlabel)) in zip(axes, (means | singles).items(), strict=True):
        image = heat_map(axis, matrix, limits)
        large = title in means
        name_sides(axis, first, second, 12 if large else 9, 7.5 if large else 6.5)
        axis.set(title=wrapped(title, 30), xlabel=xlabel, ylabel=ylabel)
        if large and max(matrix.shape) <= MOST_ANNOTATED_LAYERS:
            annotate(axis, image, matrix, 7)
    figure.colorbar(image, ax=axes, label="similarity", shrink=0.7, pad=0.02, aspect=30)
    figure.suptitle(measure, fontsize=10, x=0.01, ha="left")
    return figure


def layer_lists(rows: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Layers of each network in the order of the table."""
    layers = rows[["network_a", "layer_a"]].drop_duplicates()
    return {network: tuple(found) for network, found in layers.groupby("network_a", sort=False)["layer_a"]}


def layer_matrix(rows: pd.DataFrame, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
    """Mean similarities (layers of network_a, layers of network_b) over the rows that have a value."""
    means = rows.groupby(["layer_a", "layer_b"])["value"].mean().unstack()
    return means.reindex(index=list(first), columns=list(second)).to_numpy(dtype=float)


def similarity_over_training(
    table: pd.DataFrame, epochs: Mapping[str, int], measures: Mapping[str, str] | Iterable[str]
) -> Figure:
    """Each measure against the epoch, one line per layer: mean over pairs, and their range.

    Args:
        table: columns population, layer_a, layer_b, measure, network_a, network_b, value; a layer with itself counts.
        epochs: population -> epoch, with the checkpoints and `trained`; `untrained` is epoch 0 unless given. Only these
            populations are drawn.
        measures: those to draw, or with their titles.
    """
    measures, epochs = titled(measures), {UNTRAINED: 0} | dict(epochs)
    wanted = table["measure"].isin(measures) & table["population"].isin(epochs)
    rows = table[wanted & (table["layer_a"] == table["layer_b"])]
    if not len(rows):
        return nothing("no similarity to draw over training")
    rows = rows.assign(epoch=rows["population"].map(epochs))
    layers, instants = list(dict.fromkeys(rows["layer_a"])), sorted(rows["epoch"].unique())
    spread = rows.groupby(["measure", "layer_a", "epoch"])["value"].agg(["mean", "min", "max"])
    # The lightest colours do not show on white.
    shades = colormaps["viridis"](np.linspace(0, 0.85, len(layers)))
    figure, axes = panels(len(measures), width=2.6, height=2.4)
    for axis, (measure, title) in zip(axes, measures.items(), strict=True):
        for number, (layer, shade) in enumerate(zip(layers, shades, strict=True)):
            line = spread.reindex([(measure, layer, epoch) for epoch in instants])
            marker = LAYER_MARKERS[number % len(LAYER_MARKERS)]
            axis.fill_between(instants, line["min"], line["max"], color=shade, alpha=0.12, linewidth=0)
            axis.plot(instants, line["mean"], color=shade, marker=marker, markersize=4, linewidth=1.2, label=layer)
        axis.set(title=wrapped(title), xlabel="epoch")
        axis.set_xscale("symlog", linthresh=1, linscale=0.6)
        ticks = spaced(instants, axis.xaxis.get_transform().transform(np.asarray(instants, dtype=float)))
        axis.set_xticks(ticks, [f"{epoch:g}" for epoch in ticks])
        axis.xaxis.set_minor_locator(NullLocator())
        set_range(axis, spread.loc[[measure]].to_numpy() if measure in spread.index else np.array([np.nan]))
    label_first(axes, "mean similarity")
    # Of many layers some are enough to read the colours.
    step = -(-len(layers) // MOST_NAMES)
    legend_with_room(figure, axes[0].lines[::step], [shortened(layer) for layer in layers[::step]])
    return figure


def spaced(values: Sequence[float], places: np.ndarray, least: float = 0.09) -> list[float]:
    """The first and the last value, and those between whose places are at least this share of the range apart."""
    gap = least * (places[-1] - places[0])
    kept = [0]
    for number in range(1, len(values)):
        if places[number] - places[kept[-1]] >= gap:
            kept.append(number)
    last = len(values) - 1
    return [values[number] for number in (kept if kept[-1] == last else [*kept[:-1], last])]


def measure_agreement(measures: Sequence[str], matrix: np.ndarray) -> Figure:
    """Rank correlations between measures, those that agree side by side.

    Args:
        measures: their names.
        matrix: (measures, measures) correlations of `groundings.agreement`; NaN where there is none.
    """
    if not len(measures):
        return nothing("no measures to compare")
    order = clustered(matrix)
    names, shown = [measures[place] for place in order], np.asarray(matrix)[np.ix_(order, order)]
    side = max(3.2, (0.36 if len(names) <= MOST_ANNOTATED_MEASURES else 0.2) * len(names))
    figure, (axis,) = panels(1, width=side + 3.2, height=side + 2.0)
    lowest = np.floor(10 * np.min(shown, initial=0.9, where=np.isfinite(shown))) / 10
    image = heat_map(axis, shown, (lowest, 1.0), aspect="equal")
    ticks = range(len(names))
    size = 8 if len(names) <= MOST_ANNOTATED_MEASURES else 7
    axis.set_xticks(ticks, names, rotation=55, ha="right", rotation_mode="anchor", fontsize=size)
    axis.set_yticks(ticks, names, fontsize=size)
    axis.set(title="Agreement of measures", xlabel="measure", ylabel="measure")
    if len(names) <= MOST_ANNOTATED_MEASURES:
        annotate(axis, image, shown, 6.5)
    figure.colorbar(image, ax=axis, label="rank correlation over pairs of layers", shrink=0.6, pad=0.02, aspect=25)
    return figure


def clustered(correlations: np.ndarray) -> np.ndarray:
    """Order (measures,) in which those that correlate stand side by side; what is undefined counts as uncorrelated.

    Average linkage of 1 - correlation, with the leaves turned so that neighbours are most alike.
    """
    distances = 1 - np.nan_to_num(np.asarray(correlations, dtype=float), nan=0.0)
    if len(distances) < 3:
        return np.arange(len(distances))
    from scipy.cluster.hierarchy import leaves_list, linkage

    return leaves_list(linkage(distances[np.triu_indices(len(distances), 1)], "average", optimal_ordering=True))


def groundings_figure(rows: Sequence[Mapping]) -> Figure:
    """What the tests with a known answer say of each measure, the best at finding layers on top.

    Args:
        rows: those of `groundings.groundings`.
    """
    if not len(rows):
        return nothing("no measures to ground")
    table = pd.DataFrame(rows).sort_values("layer_identification", ascending=False, kind="stable", na_position="last")
    places = np.arange(len(table))[::-1]
    figure, axes = panels(3, columns=3, width=2.9, height=max(2.2, 1.3 + 0.2 * len(table)), sharey=True)
    columns = {
        "layer_identification": ("Layer identification", "share of layers found", "o"),
        "trained_from_untrained": ("Trained from untrained", "share above untrained", "s"),
        "noise_order": ("Order of noise", "share in order", "^"),
    }
    for axis, (column, (title, xlabel, marker)) in zip(axes, columns.items(), strict=True):
        chance = table.get(f"{column}_chance", pd.Series(0.5, table.index))
        axis.vlines(chance, places - 0.5, places + 0.5, color=GREY, linewidth=1, linestyle=(0, (3, 2)), label="chance")
        if f"{column}_low" in table:
            low, high = table[f"{column}_low"], table[f"{column}_high"]
            axis.hlines(places, low, high, color=BLUE, linewidth=1.4, alpha=0.6, label="95 % interval over networks")
        axis.plot(table[column], places, color=BLUE, marker=marker, markersize=5, linestyle="", label="share of cases")
        axis.set(title=title, xlabel=xlabel, xlim=(-0.04, 1.04), ylim=(-0.7, len(table) - 0.3))
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    names = [
        f"{row.measure} ({row.undefined:.0%} undefined)" if row.undefined > 0 else row.measure
        for row in table[["measure", "undefined"]].itertuples()
    ]
    axes[0].set_yticks(places, names, fontsize=8)
    axes[0].set_ylabel("measure")
    handles, labels = axes[0].get_legend_handles_labels()
    legend_with_room(figure, handles[::-1], labels[::-1])
    return figure


def calibrated_by_depth(table: pd.DataFrame) -> Figure:
    """Similarity before and after calibration, and what chance gives, against depth: means over pairs.

    Args:
        table: columns population, layer, measure, network_a, network_b, score, calibrated, p_value, null_mean; the
            populations `trained` and `untrained` are drawn. Open markers: the largest p-value of the pairs is above
            0.05.
    """
    table = table[table["population"].isin([TRAINED, UNTRAINED])]
    measures, layers = (list(dict.fromkeys(table[column])) for column in ("measure", "layer"))
    if not measures:
        return nothing("no calibrated similarity to draw")
    means = table.groupby(["measure", "population", "layer"]).agg(
        {"score": "mean", "calibrated": "mean", "null_mean": "mean", "p_value": "max"}
    )
    styles = {"score": "-", "calibrated": "--", "null_mean": ":"}
    populations = [name for name in (TRAINED, UNTRAINED) if (table["population"] == name).any()]
    figure, axes = panels(len(measures), width=2.6, height=2.5)
    places = np.arange(len(layers))
    for axis, measure in zip(axes, measures, strict=True):
        for population in populations:
            rows = means.reindex([(measure, population, layer) for layer in layers])
            chance = (rows["p_value"] > SIGNIFICANT).to_numpy()
            look = {key: POPULATION_LOOKS[population][key] for key in ("color", "marker")}
            for column, style in styles.items():
                marked = look if column != "null_mean" else {"color": look["color"]}
                axis.plot(places, rows[column], linestyle=style, linewidth=1.3, markersize=4.5, label=column, **marked)
                if column != "null_mean":
                    open_marker = {"markersize": 4.5, "linestyle": "", "markerfacecolor": "white"}
                    axis.plot(places[chance], rows[column][chance], label="open", **open_marker, **look)
        axis.set(title=wrapped(measure), xlabel="layer")
        name_depth(axis, layers)
        set_range(axis, means.loc[[measure], list(styles)].to_numpy(dtype=float))
    label_first(axes, "mean over pairs")
    handles = {
        name: Line2D([], [], **{**POPULATION_LOOKS[name], "linestyle": ""}, markersize=5) for name in populations
    }
    for style, words in zip(styles.values(), ("similarity", "calibrated", "mean by chance"), strict=True):
        handles[words] = Line2D([], [], color=BLACK, linestyle=style, linewidth=1.3)
    hollow = {"marker": "o", "linestyle": "", "color": BLACK, "markerfacecolor": "white", "markersize": 5}
    handles[f"largest p > {SIGNIFICANT}"] = Line2D([], [], **hollow)
    legend_with_room(figure, handles.values(), handles.keys())
    return figure


def nothing(words: str) -> Figure:
    """A figure that says why it is empty."""
    return plt.figure(figsize=(5.4, 1)).suptitle(words).figure


def titled(measures: Mapping[str, str] | Iterable[str]) -> dict[str, str]:
    """Titles of the measures; without any their names."""
    return dict(measures) if isinstance(measures, Mapping) else {measure: measure for measure in measures}


def wrapped(title: str, most: int = 24) -> str:
    """A title on two lines where it is too long for a panel, parted after the last underscore or space that fits."""
    place = max(title.rfind("_", 0, most), title.rfind(" ", 0, most))
    return title if len(title) <= most or place < 0 else f"{title[: place + 1].rstrip()}\n{title[place + 1 :]}"


def legend_with_room(figure: Figure, handles: Iterable, labels: Iterable[str]) -> None:
    """A legend under the panels, for which the figure grows instead of the panels shrinking."""
    legend_below(figure, handles, labels)
    legend = figure.legends[-1]
    height = legend.get_window_extent(figure.canvas.get_renderer()).height / figure.dpi
    figure.set_figheight(figure.get_figheight() + height)


def name_depth(axis: Axes, layers: Sequence[str]) -> None:
    """Names of the layers below an axis, small and steep where they are many and long."""
    name_layers(axis, list(layers))
    if len(layers) > 5 and max(map(len, layers)) > 6:
        for words in axis.get_xticklabels():
            words.set(rotation=60, fontsize=7)


def label_first(axes: Sequence[Axes], words: str) -> None:
    """A label for the vertical axis of the first panel of each row."""
    for axis in axes[::4]:
        axis.set_ylabel(words)


def set_range(axis: Axes, values: np.ndarray) -> None:
    """The same vertical range for all measures that lie between -1 and 1, so that panels compare."""
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() >= -1 and finite.max() <= 1 + 1e-9:
        low = min(0.0, finite.min())
        axis.set_ylim(low - 0.05 * (1 - low), 1 + 0.05 * (1 - low))


def colour_limits(matrices: Sequence[np.ndarray]) -> tuple[float, float]:
    """Smallest and largest number of all matrices; 0 and 1 without any."""
    numbers = np.concatenate([matrix[np.isfinite(matrix)] for matrix in matrices])
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.05, high + 0.05)


def heat_map(axis: Axes, matrix: np.ndarray, limits: tuple[float, float], aspect: str = "auto") -> AxesImage:
    """A matrix as colours; what is undefined is grey."""
    colours = colormaps["magma"].with_extremes(bad=UNDEFINED)
    image = axis.imshow(matrix, norm=Normalize(*limits), cmap=colours, aspect=aspect, interpolation="nearest")
    axis.grid(False)
    return image


def name_sides(axis: Axes, rows: Sequence[str], columns: Sequence[str], most: int, size: float) -> None:
    """Names of layers at the left and below, shortened to `most` letters and thinned where there are many."""
    for names, set_ticks, turned in (
        (rows, axis.set_yticks, {}),
        (columns, axis.set_xticks, {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}),
    ):
        step = -(-len(names) // MOST_NAMES)
        words = [shortened(name, most) for name in names[::step]]
        set_ticks(range(0, len(names), step), words, fontsize=size, **turned)


def annotate(axis: Axes, image: AxesImage, matrix: np.ndarray, size: float) -> None:
    """The numbers of a heat map in its cells, in black or white, whichever shows."""
    shades = image.cmap(image.norm(np.ma.masked_invalid(matrix)))
    light = shades[..., :3] @ (0.299, 0.587, 0.114) > 0.5
    for row, column in np.argwhere(np.isfinite(matrix)):
        words = f"{matrix[row, column]:.2f}"
        colour = BLACK if light[row, column] else "white"
        # Within its cell it takes no room that the arrangement has to find.
        axis.text(column, row, words, ha="center", va="center", fontsize=size, color=colour, in_layout=False)
