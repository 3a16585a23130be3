"""Figures of the one-to-one alignment, with the content and axes of Li et al. 2016, Figs. 1, 3 and S2."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convergent.figures.style import BLUE, GREY, POPULATION_LOOKS, SKY, VERMILION, legend_below, panels, shortened


def correlation_matrices(
    within_a: np.ndarray, within_b: np.ndarray, between: np.ndarray, match: np.ndarray, names: tuple[str, str]
) -> Figure:
    """Correlations within two networks and between them, in natural and in matched order (Fig. 1).

    Args:
        within_a, within_b, between: (units_a, units_a), (units_b, units_b), (units_a, units_b).
        match: (units_a,) one-to-one partner in b of each unit of a, -1 = unmatched.
        names: of the two networks.
    """
    a, b = names
    # Matched units of b take the place of their partners; what is left over follows.
    order = np.concatenate([match[match >= 0], np.setdiff1d(np.arange(between.shape[1]), match)])
    rows = np.concatenate([np.flatnonzero(match >= 0), np.flatnonzero(match < 0)])
    matrices = {
        f"a  within {a}": (within_a, f"unit of {a}", f"unit of {a}"),
        f"b  within {b}": (within_b, f"unit of {b}", f"unit of {b}"),
        f"c  {a} with {b}": (between, f"unit of {b}", f"unit of {a}"),
        f"d  {a} with {b}, matched": (between[rows][:, order], f"partner in {b}", f"unit of {a}"),
    }
    figure, axes = panels(4, columns=4, width=2.75, height=2.75)
    for axis, (title, (matrix, xlabel, ylabel)) in zip(axes, matrices.items(), strict=True):
        image = axis.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r", aspect="auto", interpolation="nearest")
        axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
        axis.grid(False)
    figure.colorbar(image, ax=axes, label="correlation", shrink=0.7, pad=0.02, aspect=25)
    return figure


def matching_curves(table: pd.DataFrame, names: tuple[str, str]) -> Figure:
    """Correlation of each unit with its partner, sorted, semi-matching against matching (Figs. 3 and S2).

    Args:
        table: columns layer, rank, semi, match, and the range over all pairs semi_low, semi_high.
        names: of the two networks whose curves are drawn.
    """
    layers = list(dict.fromkeys(table["layer"]))
    figure, axes = panels(len(layers), sharey=True)
    for axis, layer in zip(axes, layers, strict=True):
        rows = table[table["layer"] == layer]
        axis.fill_between(rows["rank"], rows["semi_low"], rows["semi_high"], color=SKY, alpha=0.35, linewidth=0)
        axis.plot(rows["rank"], rows["semi"], color=VERMILION, linewidth=1.4)
        axis.plot(rows["rank"], rows["match"], color=BLUE, linewidth=0.9)
        axis.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
        axis.set(title=shortened(layer), xlabel=f"unit of {names[0]}, sorted")
    for axis in axes[::4]:
        axis.set_ylabel("correlation with partner")
    handles = {
        "semi-matching (best partner)": axes[0].lines[0],
        "matching (one to one)": axes[0].lines[1],
        "semi-matching, range over all pairs": axes[0].collections[0],
    }
    legend_below(figure, handles.values(), handles.keys())
    figure.suptitle(f"Partners of the units of {names[0]} in {names[1]}", fontsize=10, x=0.01, ha="left")
    return figure


def information_panels(table: pd.DataFrame, layers: list[str], names: tuple[str, str]) -> Figure:
    """Mutual information of each unit with its best partner against correlation with its best partner.

    Args:
        table: columns layer, correlation, correlation_partner, information, information_partner.
        layers: those to draw, also where no unit has a partner.
        names: of the two networks.
    """
    figure, axes = panels(len(layers))
    for axis, layer in zip(axes, layers, strict=True):
        rows = table[table["layer"] == layer]
        same = rows["correlation_partner"] == rows["information_partner"]
        for which, colour, marker in ((same, BLUE, "o"), (~same, VERMILION, "x")):
            axis.scatter(rows["correlation"][which], rows["information"][which], s=14, c=colour, marker=marker)
        axis.set(title=shortened(layer), xlabel="correlation", xlim=(None, 1.02))
        axis.set_ylim(bottom=0 if (rows["information"] >= 0).all() else None)
    for axis in axes[::4]:
        axis.set_ylabel("mutual information (nats)")
    handles = dict(zip(("same best partner by both", "different partners"), axes[0].collections, strict=True))
    legend_below(figure, handles.values(), handles.keys())
    figure.suptitle(f"Best partners of the units of {names[0]} in {names[1]}", fontsize=10, x=0.01, ha="left")
    return figure


def alignment_by_depth(summary: pd.DataFrame, published: pd.DataFrame, measures: dict[str, str]) -> Figure:
    """Each measure against depth, trained networks with their baselines; the paper's values beside them.

    Args:
        summary: columns population (of `style.POPULATION_LOOKS`), layer, measure, mean, minimum, maximum (over pairs).
        published: columns layer, measure, value: Li et al. 2016.
        measures: the measures to draw, with their titles; the published ones among them are shown in the last panel.
    """
    layers = list(dict.fromkeys(summary["layer"]))
    looks = {name: POPULATION_LOOKS[name] for name in dict.fromkeys(summary["population"])}
    figure, axes = panels(len(measures) + 1, width=2.9, height=3.3, sharey=True)
    for axis, (measure, title) in zip(axes, measures.items(), strict=False):
        for population, look in looks.items():
            rows = summary[(summary["measure"] == measure) & (summary["population"] == population)]
            # A layer without a value leaves a gap.
            rows, places = rows.set_index("layer").reindex(layers), range(len(layers))
            axis.fill_between(places, rows["minimum"], rows["maximum"], color=look["color"], alpha=0.18, linewidth=0)
            axis.plot(places, rows["mean"], label=population, markersize=4.5, linewidth=1.5, **look)
        axis.set(title=title)
        name_layers(axis, layers)
    axis = axes[-1]
    published = published[published["measure"].isin(measures)]
    depth = list(dict.fromkeys(published["layer"]))
    for (measure, title), style in zip(measures.items(), ("-", "--", ":"), strict=False):
        rows = published[published["measure"] == measure]
        if len(rows):
            places = [depth.index(layer) for layer in rows["layer"]]
            axis.plot(places, rows["value"], color=VERMILION, marker="D", markersize=4, label=title, linestyle=style)
    axis.set(title="published (ImageNet)")
    name_layers(axis, depth)
    axis.legend(loc="lower left", fontsize=7.5)
    axes[0].set(ylabel="mean correlation with partner, or share", ylim=(min(0.0, summary["minimum"].min()), 1.05))
    handles, labels = axes[0].get_legend_handles_labels()
    legend_below(figure, handles, labels)
    return figure


def name_layers(axis: Axes, layers: list[str]) -> None:
    """Write the layers' names below an axis, shortened and thinned where there is no room for all."""
    step = -(-len(layers) // 12)
    names = [shortened(layer, 12) for layer in layers]
    axis.set_xticks(range(0, len(layers), step), names[::step], rotation=30, ha="right", rotation_mode="anchor")
