"""Figures of the sparse maps, Li et al. 2016, section 4: what few predictors are worth, what the maps look like."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from convergent.figures.style import BLACK, BLUE, GREY, ORANGE, SKY, VERMILION, legend_below, panels, shortened
from convergent.sparse_mapping import matched_order

LOWEST_R_SQUARED, HIGHEST_LOSS = -0.3, 1.0  # what is beyond is drawn at the edge


def loss_panels(table: pd.DataFrame, published: pd.DataFrame, layers: list[str]) -> Figure:
    """Prediction loss against decay, exact maps and maps trained as published, with the published values (Table 1).

    Args:
        table: columns layer, maps (`exact` or `trained`), log10_decay (NaN for 0), loss.
        published: columns layer, decay, value.
        layers: those to draw.
    """
    figure, axes = panels(len(layers), height=2.4, sharey=True)
    looks = {
        "exact": {"color": BLUE, "marker": "o", "label": "exact maps"},
        "trained": {"color": VERMILION, "marker": "s", "linestyle": "--", "label": "maps trained as published"},
    }
    handles: dict[str, object] = {}
    exponents = np.unique(np.round(table["log10_decay"].dropna()))
    zero = exponents.min() - 1  # where decay 0 stands on a logarithmic axis
    for axis, layer in zip(axes, layers, strict=True):
        for maps, look in looks.items():
            rows = table[(table["layer"] == layer) & (table["maps"] == maps)]
            places = rows["log10_decay"].fillna(zero)
            order = np.argsort(places.to_numpy(), kind="stable")
            loss = rows["loss"].clip(upper=HIGHEST_LOSS)
            (line,) = axis.plot(places.iloc[order], loss.iloc[order], markersize=4, linewidth=1.2, **look)
            handles[look["label"]] = line
        rows = published[published["layer"] == layer]
        with np.errstate(divide="ignore"):
            places = np.maximum(np.log10(rows["decay"].to_numpy(dtype=float)), zero)
        if len(rows):
            known = axis.scatter(places, rows["value"], marker="D", s=16, facecolors="none", edgecolors=BLACK, zorder=3)
            handles["published (CaffeNet, ImageNet)"] = known
        axis.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
        axis.set_xticks([zero, *exponents], ["0", *(f"$10^{{{tick:.0f}}}$" for tick in exponents)], fontsize=7.5)
        axis.set(title=shortened(layer), xlabel="decay")
    axes[0].set_ylim(bottom=0)
    for axis in axes[::4]:
        axis.set_ylabel("loss on held-out images")
    legend_below(figure, handles.values(), handles.keys())
    return figure


def few_predictors(refits: pd.DataFrame, maps: pd.DataFrame, layers: list[str]) -> Figure:
    """R^2 on held-out images against the number of predictors, with the baselines.

    Args:
        refits: columns population, layer, predictors (a number, or the text `all`), r_squared: the best few refitted.
        maps: columns layer, predictors (mean per unit), r_squared: exact sparse maps, which shrink their weights.
        layers: those to draw.
    """
    figure, axes = panels(len(layers), height=2.4, sharey=True)
    looks = {
        "trained": {"color": BLUE, "marker": "o", "linestyle": "-"},
        "untrained": {"color": ORANGE, "marker": "s", "linestyle": "--"},
        "shuffled": {"color": GREY, "marker": "v", "linestyle": ":"},
    }
    numbers = sorted({int(count) for count in refits["predictors"] if count != "all"})
    most = 2.5 * numbers[-1]  # where `all` stands
    for axis, layer in zip(axes, layers, strict=True):
        for population, look in looks.items():
            rows = refits[(refits["layer"] == layer) & (refits["population"] == population)]
            places = [most if count == "all" else int(count) for count in rows["predictors"]]
            values = rows["r_squared"].clip(lower=LOWEST_R_SQUARED)
            axis.plot(places, values, markersize=4, linewidth=1.2, label=population, **look)
        rows = maps[(maps["layer"] == layer) & maps["predictors"].between(0.5, numbers[-1])].sort_values("predictors")
        label = "trained, sparse maps (shrunk)"
        axis.plot(
            rows["predictors"],
            rows["r_squared"].clip(lower=LOWEST_R_SQUARED),
            color=SKY,
            marker="x",
            linewidth=1.0,
            label=label,
        )
        axis.set_xscale("log")
        axis.set_xticks([*numbers, most], [*map(str, numbers), "all"])
        axis.minorticks_off()
        axis.set(title=shortened(layer), xlabel="predictors per unit")
    axes[0].set_ylim(LOWEST_R_SQUARED - 0.03, 1.02)
    for axis in axes[::4]:
        axis.set_ylabel("$R^2$ on held-out images")
    legend_below(figure, *axes[0].get_legend_handles_labels())
    return figure


def weight_matrices(exact: np.ndarray, trained: np.ndarray, layer: str, names: tuple[str, str]) -> Figure:
    """A layer's maps by both solvers at one penalty, units in an order that puts the largest weights on the diagonal.

    Args:
        exact, trained: (units_b, units_a) maps that predict units of b from those of a.
        layer, names: of the layer and of the networks a and b.
    """
    a, b = names
    rows, columns = matched_order(exact)
    limit = max(np.abs(exact).max(), np.abs(trained).max(), 1e-6)
    figure, axes = panels(2, columns=2, width=3.6, height=3.3)
    for axis, (title, weights) in zip(axes, {"exact": exact, "trained as published": trained}.items(), strict=True):
        image = axis.imshow(
            weights[np.ix_(rows, columns)],
            vmin=-limit,
            vmax=limit,
            cmap="RdBu_r",
            aspect="auto",
            interpolation="nearest",
        )
        used = (np.abs(weights) > 1e-3).mean()
        axis.set(title=f"{title}: {used:.1%} non-zero", xlabel=f"unit of {a}, sorted")
        axis.set_ylabel(f"unit of {b}, sorted")
        axis.grid(False)
    figure.suptitle(f"{shortened(layer, 40)}: units of {b} from units of {a}", fontsize=10, x=0.01, ha="left")
    figure.colorbar(image, ax=axes, label="weight", shrink=0.8, pad=0.02, aspect=25)
    return figure


def mapping_schematic(layers: list[str], names: tuple[str, str]) -> Figure:
    """Where the maps stand: one between each layer of two networks of the same depth (Fig. 4)."""
    a, b = names
    figure, (axis,) = panels(1, columns=1, width=max(5.0, 1.25 * len(layers) + 1.5), height=2.5)
    width, height = 0.8, 0.5
    for place, layer in enumerate(["images", *layers]):
        for level, colour in ((1.0, BLUE), (-1.0, VERMILION)):
            shown = GREY if place == 0 else colour
            level = 0.0 if place == 0 else level
            box = FancyBboxPatch((place - width / 2, level - height / 2), width, height, boxstyle="round,pad=0.03")
            box.set(facecolor=(*matplotlib_rgb(shown), 0.15), edgecolor=shown)
            axis.add_patch(box)
            axis.text(place, level, layer, ha="center", va="center", fontsize=8)
            if place:
                before = 0.0 if place == 1 else level
                start = (place - 1 + width / 2 + 0.05, before)
                axis.add_patch(arrow(start, (place - width / 2 - 0.05, level), shown))
        if place:
            axis.add_patch(arrow((place, 1 - height / 2 - 0.06), (place, -1 + height / 2 + 0.06), BLACK))
            axis.text(place + 0.08, 0, "sparse\nmap", va="center", fontsize=7)
    for level, name, colour in ((1.0, a, BLUE), (-1.0, b, VERMILION)):
        axis.text(len(layers) + 0.6, level, name, va="center", color=colour, fontweight="bold")
    axis.set(xlim=(-0.6, len(layers) + 1.2), ylim=(-1.5, 1.5))
    axis.axis("off")
    return figure


def arrow(start: tuple[float, float], end: tuple[float, float], colour: str) -> FancyArrowPatch:
    """A thin arrow."""
    return FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=8, linewidth=0.9, color=colour)


def matplotlib_rgb(colour: str) -> tuple[float, float, float]:
    """Red, green and blue of #RRGGBB, 0..1."""
    return tuple(int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
