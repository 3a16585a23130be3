"""Figures of alignment against the signal-to-noise ratio and the number of training samples, beside the error.

After the claims of Umar & Laio 2026; only the abstract is known, and the choice of axes is ours. Tables have the
columns n, repetition, snr, measure and value of one variant of a protocol; bands and bars are 95 % intervals of the
mean over repetitions.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from convergent.figures.similarity import label_first, legend_with_room, nothing, set_range, titled, wrapped
from convergent.figures.style import BLACK, GREY, VERMILION, panels
from convergent.noise.criteria import curves

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
STYLES = ("-", (0, (6, 2)), "-.", (0, (3, 1, 1, 1)), ":", (0, (1, 1)))
LIGHTEST = 0.85  # of the maps of colours: lighter ones do not show on white
MOST_SIZES = 6  # lines against the ratio
THRESHOLD = {"color": BLACK, "linestyle": "--", "linewidth": 1.0}


def ratio_looks(ratios: Iterable[float]) -> dict[float, dict]:
    """Colour and marker of each ratio: dark for much noise, light for little, also in grey print."""
    ratios = sorted(set(ratios))
    shades = colormaps["viridis"](np.linspace(0, LIGHTEST, max(len(ratios), 2)))
    return {
        ratio: {"color": shades[number], "marker": MARKERS[number % len(MARKERS)]}
        for number, ratio in enumerate(ratios)
    }


def of_one(table: pd.DataFrame) -> pd.DataFrame:
    """Means and intervals: columns measure, n, snr, value, low, high."""
    return curves(table.assign(protocol="", variant=""))


def alignment_against_size(
    table: pd.DataFrame, threshold: float, measures: Mapping[str, str] | Iterable[str]
) -> Figure:
    """Each measure against the number of training samples, one line per ratio; the threshold is dashed.

    Args:
        threshold: number of training samples.
        measures: those to draw, or with their titles.
    """
    measures, spread = titled(measures), of_one(table[table["measure"].isin(titled(measures))])
    if not len(spread):
        return nothing("no alignment to draw against the number of samples")
    looks = ratio_looks(spread["snr"])
    figure, axes = panels(len(measures), width=2.6, height=2.3)
    for axis, (measure, title) in zip(axes, measures.items(), strict=True):
        draw_lines(axis, spread[spread["measure"] == measure], "n", "snr", looks)
        axis.axvline(threshold, **THRESHOLD)
        axis.set(title=wrapped(title), xlabel="training samples n")
        logarithmic(axis)
        set_range(axis, spread.loc[spread["measure"] == measure, ["value", "low", "high"]].to_numpy(dtype=float))
    label_first(axes, "alignment")
    legend_with_room(figure, *legend_of(looks | {threshold_name(threshold): THRESHOLD}))
    return figure


def alignment_against_ratio(
    table: pd.DataFrame, threshold: float, measures: Mapping[str, str] | Iterable[str]
) -> Figure:
    """Each measure against the ratio, one line for some numbers of training samples, full at and above the threshold.

    Args: see `alignment_against_size`.
    """
    measures, spread = titled(measures), of_one(table[table["measure"].isin(titled(measures))])
    if not len(spread):
        return nothing("no alignment to draw against the ratio")
    sizes = chosen_sizes(np.sort(spread["n"].unique()), threshold)
    shades = colormaps["plasma"](np.linspace(0, LIGHTEST, max(len(sizes), 2)))
    looks = {
        n: {
            "color": shades[number],
            "marker": MARKERS[number % len(MARKERS)],
            "linestyle": "-" if n >= threshold else (0, (4, 1.5)),
        }
        for number, n in enumerate(sizes)
    }
    figure, axes = panels(len(measures), width=2.6, height=2.3)
    for axis, (measure, title) in zip(axes, measures.items(), strict=True):
        draw_lines(axis, spread[spread["measure"] == measure], "snr", "n", looks)
        axis.set(title=wrapped(title), xlabel="signal-to-noise ratio")
        logarithmic(axis)
        set_range(axis, spread.loc[spread["measure"] == measure, ["value", "low", "high"]].to_numpy(dtype=float))
    label_first(axes, "alignment")
    names = {f"n = {n:g} ({n / threshold:.2g} of the threshold)": look for n, look in looks.items()}
    legend_with_room(figure, *legend_of(names))
    return figure


def error_beside_alignment(table: pd.DataFrame, threshold: float, measure: str = "cka_linear") -> Figure:
    """Alignment, test error and training error against the number of samples, in panels side by side.

    Args:
        table: with the measures `test_error`, and `train_accuracy` or `train_error`.
        threshold: number of training samples.
        measure: of alignment.
    """
    found = set(table["measure"])
    trained = "train_accuracy" if "train_accuracy" in found else "train_error"
    names = {measure: f"alignment ({measure})", "test_error": "test error", trained: trained.replace("_", " ")}
    spread = of_one(table[table["measure"].isin(names)])
    if not len(spread):
        return nothing("no alignment and error to draw")
    looks = ratio_looks(spread["snr"])
    figure, axes = panels(len(names), columns=3, width=3.0, height=2.6)
    for axis, (name, title) in zip(axes, names.items(), strict=True):
        rows = spread[spread["measure"] == name]
        draw_lines(axis, rows, "n", "snr", looks)
        axis.axvline(threshold, **THRESHOLD)
        axis.set(title=wrapped(title, 32), xlabel="training samples n")
        logarithmic(axis)
        largest = rows["value"].max()
        if name == "test_error" and np.isfinite(largest) and largest > 10 * rows["value"].median() > 0:
            axis.set_yscale("log")
    legend_with_room(figure, *legend_of(looks | {threshold_name(threshold): THRESHOLD}))
    return figure


def theory_overlay(
    points: pd.DataFrame,
    theory: pd.DataFrame,
    threshold: float,
    words: str = "linear CKA",
    line: str = "theory",
    marks: str = "simulation",
    error: bool = False,
    ends: Mapping[float, tuple[float, float]] | None = None,
) -> Figure:
    """Simulated alignment, or error, with its intervals over lines of theory; beside it one against the other.

    Args:
        points: columns n, snr, value, low, high.
        theory: columns n, snr, value, for finer n as well; NaN or left out where it says nothing.
        threshold: number of training samples, at which lines are broken.
        words: for what is drawn.
        line, marks: what the lines and the points are.
        ends: ratio -> values for very few and very many samples, drawn as ticks at both sides.
        error: it has no upper limit and is drawn on a logarithmic scale, instead of from 0 to 1.
    """
    if not len(points):
        return nothing(f"no {words} to draw over theory")
    looks = ratio_looks(points["snr"])
    figure, axes = panels(2, width=4.0, height=3.3)
    overlay, against = axes
    for ratio, look in looks.items():
        rows, own = (part[part["snr"] == ratio].sort_values("n") for part in (points, theory))
        for side in (own["n"] < threshold, own["n"] > threshold):
            overlay.plot(own["n"][side], own["value"][side], color=look["color"], linewidth=1.3)
        draw_points(overlay, rows["n"], rows, look)
        both = rows.merge(own[["n", "value"]], on="n", suffixes=("", "_expected")).dropna()
        draw_points(against, both["value_expected"], both, look)
    overlay.axvline(threshold, **THRESHOLD)
    for ratio, pair in (ends or {}).items():
        for place, value in zip(((0, 0.03), (0.97, 1)), pair, strict=True):
            look = {"color": looks[ratio]["color"], "linewidth": 2.2, "transform": overlay.get_yaxis_transform()}
            overlay.plot(place, (value, value), **look)
    overlay.set(title=f"{line.capitalize()} (lines) and {marks}", xlabel="training samples n", ylabel=words)
    logarithmic(overlay)
    against.axline((1, 1) if error else (0, 0), slope=1, color=GREY, linewidth=1, zorder=1)
    against.set(title="One against the other", xlabel=f"{words}, {line}", ylabel=f"{words}, {marks}")
    if error:
        overlay.set(yscale="log")
        against.set(xscale="log", yscale="log")
    else:
        overlay.set(ylim=(-0.02, 1.03))
        against.set(xlim=(-0.02, 1.03), ylim=(-0.02, 1.03))
    legend_with_room(figure, *legend_of(looks | {threshold_name(threshold): THRESHOLD}))
    return figure


def error_alignment_plane(table: pd.DataFrame, threshold: float, measure: str = "cka_linear") -> Figure:
    """Alignment against test error as the number of samples grows: one line per ratio, colour is n over the threshold.

    Where error and alignment fall together, less error comes with less alignment.

    Args: see `error_beside_alignment`.
    """
    spread = of_one(table[table["measure"].isin([measure, "test_error"])])
    wide = spread.pivot(index=["snr", "n"], columns="measure", values="value")
    if measure not in wide or "test_error" not in wide or not len(wide.dropna()):
        return nothing("no alignment and error to draw against each other")
    wide = wide.dropna().reset_index().sort_values("n")
    share = wide["n"] / threshold
    norm = LogNorm(share.min(), share.max() if share.max() > share.min() else 2 * share.min())
    colours = ListedColormap(colormaps["viridis"](np.linspace(0, LIGHTEST, 256)))
    figure, (axis,) = panels(1, width=6.2, height=4.3)
    handles = {}
    for number, (ratio, rows) in enumerate(wide.groupby("snr")):
        marker, style = MARKERS[number % len(MARKERS)], STYLES[number % len(STYLES)]
        axis.plot(rows["test_error"], rows[measure], color=GREY, linewidth=1.0, linestyle=style, zorder=2)
        axis.scatter(
            rows["test_error"], rows[measure], c=rows["n"] / threshold, cmap=colours, norm=norm, marker=marker, s=34,
            edgecolors="white", linewidths=0.4, zorder=3,
        )  # fmt: skip
        at = rows.iloc[(np.log(rows["n"] / threshold)).abs().argmin()]
        axis.scatter(at["test_error"], at[measure], marker=marker, s=90, facecolors="none", edgecolors=VERMILION)
        handles[ratio_name(ratio)] = Line2D([], [], color=GREY, linestyle=style, marker=marker, markersize=5)
    handles["nearest to the threshold"] = Line2D(
        [], [], linestyle="", marker="o", markersize=8, markerfacecolor="none", markeredgecolor=VERMILION
    )
    if wide["test_error"].max() > 10 * wide["test_error"].median():
        axis.set_xscale("log")
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axis, label="training samples / threshold", pad=0.02)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    axis.set(title="Alignment against test error", xlabel="test error", ylabel=f"alignment ({measure})")
    legend_with_room(figure, handles.values(), handles.keys())
    return figure


def ratio_name(ratio: float) -> str:
    """A ratio for a legend."""
    return f"SNR {ratio:.3g}"


def threshold_name(threshold: float) -> str:
    """The threshold for a legend."""
    return f"threshold (n = {threshold:g})"


def draw_lines(axis: Axes, spread: pd.DataFrame, along: str, over: str, looks: Mapping[float, dict]) -> None:
    """Means and bands along one column, a line for each value of another."""
    for key, look in looks.items():
        rows = spread[spread[over] == key].sort_values(along)
        axis.fill_between(rows[along], rows["low"], rows["high"], color=look["color"], alpha=0.18, linewidth=0)
        axis.plot(rows[along], rows["value"], markersize=3.5, linewidth=1.3, label=f"{key:g}", **look)


def draw_points(axis: Axes, places: pd.Series, rows: pd.DataFrame, look: Mapping) -> None:
    """Values with their intervals; one that is unknown has no length."""
    reach = np.stack([rows["value"] - rows["low"], rows["high"] - rows["value"]])
    reach = np.nan_to_num(np.maximum(reach.astype(float), 0))
    axis.errorbar(places, rows["value"], reach, linestyle="", markersize=4.5, elinewidth=1, **look)


def logarithmic(axis: Axes) -> None:
    """A logarithmic horizontal axis with as many names as fit."""
    axis.set_xscale("log")
    low, high = axis.get_xlim()
    several = (1.0, 2.0, 5.0) if high / low < 40 else (1.0, 3.0) if high / low < 2000 else (1.0,)
    axis.xaxis.set_major_locator(LogLocator(subs=several))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())


def chosen_sizes(sizes: np.ndarray, threshold: float) -> np.ndarray:
    """At most six sizes: the smallest, the largest, the one nearest to the threshold, and some between."""
    if len(sizes) <= MOST_SIZES:
        return sizes
    nearest = int(np.abs(np.log(sizes / threshold)).argmin())
    below = np.linspace(0, nearest, MOST_SIZES // 2 + 1).round().astype(int)
    above = np.linspace(nearest, len(sizes) - 1, MOST_SIZES // 2).round().astype(int)
    return sizes[np.unique(np.concatenate([below, above]))]


def legend_of(looks: Mapping[float | str, dict]) -> tuple[list[Line2D], list[str]]:
    """Handles and names for lines of these looks; a number is a ratio."""
    handles = [Line2D([], [], **{"markersize": 4.5, "linewidth": 1.3} | look) for look in looks.values()]
    return handles, [name if isinstance(name, str) else ratio_name(name) for name in looks]
