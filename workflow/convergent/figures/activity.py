"""Figures of how active units are (Li et al. 2016, supplement S.4, Fig. S10), and how two activations go together."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from convergent.activity import ALIKE
from convergent.figures.style import BLUE, ORANGE, legend_below, network_look, panels, shortened

MOST_CURVES = 8
# Begins where a single sample can be told from the paper.
DENSITY = ListedColormap(colormaps["Blues"](np.linspace(0.3, 1, 256)))


def activation_spectra(table: pd.DataFrame) -> Figure:
    """Mean activations of each layer's units from high to low, one curve per network.

    Args:
        table: columns layer, network, rank, mean.
    """
    layers = list(dict.fromkeys(table["layer"]))
    figure, axes = panels(len(layers))
    for axis, layer in zip(axes, layers, strict=True):
        for number, (network, rows) in enumerate(table[table["layer"] == layer].groupby("network", sort=False)):
            axis.plot(rows["rank"], rows["mean"], label=network, linewidth=1.3, **network_look(number))
        axis.set(title=shortened(layer), xlabel="unit, sorted")
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
    for axis in axes[::4]:
        axis.set_ylabel("mean activation")
    if table["network"].nunique() <= MOST_CURVES:
        legend_below(figure, *axes[0].get_legend_handles_labels())
    return figure


def matched_activity(table: pd.DataFrame, names: tuple[str, str]) -> Figure:
    """Means and standard deviations of units matched one to one, one network's against the other's.

    Args:
        table: columns layer, correlation, mean_a, mean_b, standard_deviation_a, standard_deviation_b.
        names: of the two networks.
    """
    layers = list(dict.fromkeys(table["layer"]))
    figure, axes = panels(len(layers), height=2.5)
    kinds = {"mean": (BLUE, "o", "mean"), "standard_deviation": (ORANGE, "^", "standard deviation")}
    handles = {}
    for axis, layer in zip(axes, layers, strict=True):
        rows = table[table["layer"] == layer]
        alike = rows["correlation"] >= ALIKE
        for kind, (colour, marker, label) in kinds.items():
            x, y = rows[f"{kind}_a"], rows[f"{kind}_b"]
            handles[f"{label}, correlation {ALIKE} or more"] = axis.scatter(
                x[alike], y[alike], s=14, c=colour, marker=marker
            )
            handles[f"{label}, below"] = axis.scatter(
                x[~alike], y[~alike], s=12, marker=marker, facecolors="none", edgecolors=colour, linewidths=0.6
            )
        top = max(axis.get_xlim()[1], axis.get_ylim()[1])
        axis.plot([0, top], [0, top], color="#BBBBBB", linewidth=0.8, zorder=0)
        axis.set(title=shortened(layer), xlabel=f"unit of {names[0]}")
    for axis in axes[::4]:
        axis.set_ylabel(f"its partner in {names[1]}")
    legend_below(figure, handles.values(), handles.keys())
    return figure


def joint_activations(
    pairs: Sequence[Mapping], names: tuple[str, str], columns: int, title: str = "Joint activations of units"
) -> Figure:
    """Densities of the activations of pairs of units, on a logarithmic grey scale (Fig. S1).

    Args:
        pairs: mappings with layer, unit_a, unit_b, correlation, x (samples,) and y (samples,), in reading order.
        names: of the two networks.
        columns: panels per row.
    """
    figure, axes = panels(len(pairs), columns=columns, width=2.3, height=2.3)
    for axis, pair in zip(axes, pairs, strict=True):
        counts, x, y = np.histogram2d(pair["x"], pair["y"], bins=48)
        image = np.ma.masked_equal(counts.T, 0)
        axis.pcolormesh(x, y, image, norm=LogNorm(1, max(2, counts.max())), cmap=DENSITY, rasterized=True)
        axis.set(title=f"{pair['correlation']:.2f}  {shortened(pair['layer'], 16)}")
        axis.set_xlabel(f"{names[0]} unit {pair['unit_a']}")
        axis.set_ylabel(f"{names[1]} unit {pair['unit_b']}")
        axis.grid(False)
    figure.suptitle(f"{title} of {names[0]} and {names[1]}", fontsize=10, x=0.01, ha="left")
    return figure
