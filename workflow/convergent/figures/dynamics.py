"""Figures of the dynamics of two points: what networks do against a theory with two fitted numbers for each.

After van Rossem & Saxe 2024. h is the squared distance of two hidden representations, y that of the outputs, and
w = y - dy*.dy with the difference of the targets dy*. Measured lines are full, those of the theory are dashed; an epoch
is one pass over the data. Of several seeds the typical one, whose outputs part at the median epoch, is drawn thick with
its theory, the others thin. Runs that a table of fits marks as not converged are counted instead of drawn.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from convergent.dynamics.context import pearson
from convergent.dynamics.criteria import identity_r2
from convergent.dynamics.fitting import phase_law
from convergent.dynamics.settings import ARCHITECTURES, GAINS, SETTINGS
from convergent.dynamics.theory import rich_curves
from convergent.figures.noise import LIGHTEST, MARKERS
from convergent.figures.similarity import (
    annotate,
    heat_map,
    label_first,
    legend_with_room,
    nothing,
    set_range,
    wrapped,
)
from convergent.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    NETWORK_COLOURS,
    PURPLE,
    VERMILION,
    panels,
)

TWO_POINT, IMAGES = "two_point", "trajectories"
TARGETS = {TWO_POINT: 0.5, IMAGES: 2.0}  # squared distance of the targets
THEORY = "theory"
DASHED = (0, (4, 2))
LOOKS = {
    "hidden": {"color": BLUE, "marker": "o"},
    "output": {"color": VERMILION, "marker": "s"},
    "overlap": {"color": GREEN, "marker": "^"},
    "loss": {"color": PURPLE, "marker": "D"},
}
QUANTITIES = {"hidden": "hidden distance h", "output": "output distance y", "overlap": "overlap w", "loss": "loss"}
VARIANTS = {
    THEORY: "theory",
    "doubled_output": "output twice\nas fast",
    "doubled_hidden": "hidden twice\nas fast",
    "flipped_sign": "sign flipped\nin w",
    "without_hidden_growth": "output without\nhidden growth",
}
GOOD, FAIR = 0.95, 0.85  # R² of a fit that agrees, and of one that agrees in part
MOST_OFF = 0.1  # relative error of a final distance that agrees
MARK_EVERY = 0.2  # of a panel's diagonal
LEAST_RATE, LEAST_LOSS = 1e-6, 1e-4  # that are drawn in place
ERRORS = (1e-4, 2.0)  # 1 - R² that are drawn in place
POINTS = ("00", "01", "10", "11")  # inputs of exclusive or
SCALED, RAW = "rescaled", "raw"
KINDS = {
    "same architecture": {"color": BLUE, "marker": "o"},
    "other architecture": {"color": VERMILION, "marker": "s"},
}
BRIDGED = {TWO_POINT: "two points", IMAGES: "images"}
CONTEXTS = {0: ("#C6DDF0", "#06304F", "o"), 1: ("#F7DFA8", "#6B3A00", "^")}  # lightest, darkest, marker
CASES = ("rich", "intermediate", "lazy", "shallow")
INITIALISATIONS = ("high", "low", "vlow")
NOTE = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}

Case = tuple[str, str]  # experiment, setting


# --- curves over training --------------------------------------------------------------------------------------------


def trajectories(
    curves: pd.DataFrame,
    quantities: Sequence[str] = ("hidden", "output", "overlap"),
    fits: pd.DataFrame | None = None,
) -> Figure:
    """h, y and w against the epoch, a panel for each setting.

    A hidden distance much larger than the output's is drawn divided by a power of ten, which the panel says.

    Args:
        curves: columns experiment, setting, seed, epoch, quantity, measured, theory.
        quantities: those to draw.
        fits: with the columns experiment, setting, variant, seed, converged, r2; gives the median R² of the titles.
    """
    curves = curves[curves["quantity"].isin(quantities) | (curves["quantity"] == "output")]
    if not curves["quantity"].isin(quantities).any():
        return nothing("no trajectories to draw")
    figure, axes = panels(len(cases(curves)), width=2.6, height=2.2)
    for axis, case in zip(axes, cases(curves), strict=True):
        runs, dropped = converged_runs(curves, fits, case)
        scale, notes = hidden_scale(runs) if "hidden" in quantities else 1.0, [dropped] if dropped else []
        if scale != 1:
            notes.append(f"{scale:g} h is drawn")
        for quantity in quantities:
            draw_runs(axis, runs, quantity, scale if quantity == "hidden" else 1.0)
        finish_epochs(axis, case, median_of(fits, case, "r2"))
        if axis.lines:
            axis.axhline(0, color=GREY, linewidth=0.6, zorder=1)
        make_room(axis, len(notes))
        note(axis, notes, 0.03, 0.97)
    label_first(axes, "squared distance")
    legend_with_room(figure, *legend_of_runs(quantities))
    return figure


def loss_curves(curves: pd.DataFrame, fits: pd.DataFrame | None = None) -> Figure:
    """The loss against the epoch, a panel for each setting; dotted where the mean is learned and the difference is not.

    Args:
        curves: see `trajectories`; of the quantity loss.
        fits: with `r2_loss`, see `trajectories`.
    """
    if not (curves["quantity"] == "loss").any():
        return nothing("no losses to draw")
    curves = curves[curves["quantity"].isin(["loss", "output"])]
    figure, axes = panels(len(cases(curves)), width=2.6, height=2.2)
    for axis, case in zip(axes, cases(curves), strict=True):
        runs, dropped = converged_runs(curves, fits, case)
        draw_runs(axis, runs, "loss")
        finish_epochs(axis, case, median_of(fits, case, "r2_loss"))
        note(axis, [dropped] if dropped else [], 0.97, 0.97)
        if not axis.lines:
            continue
        if case[0] == TWO_POINT:
            axis.axhline(TARGETS[TWO_POINT] / 8, color=BLACK, linestyle=":", linewidth=1.0)
        axis.set_yscale("log")
        numbers = runs.loc[runs["quantity"] == "loss", ["measured", "theory"]].to_numpy(dtype=float)
        numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
        axis.set_ylim(max(LEAST_LOSS, numbers.min() / 1.5) if numbers.size else LEAST_LOSS, None)
        axis.set_ylim(top=2.5 * max(numbers.max() if numbers.size else 0, TARGETS[TWO_POINT] / 2))
    label_first(axes, "loss (half squared error)")
    handles, names = legend_of_runs(["loss"])
    handles.append(Line2D([], [], color=BLACK, linestyle=":", linewidth=1.0))
    legend_with_room(figure, handles, [*names, f"mean learned ({TARGETS[TWO_POINT] / 8:g})"])
    return figure


def phase_plane(curves: pd.DataFrame, fits: pd.DataFrame | None = None) -> Figure:
    """Output against hidden distance as shares of what they come to, a panel for each setting: time is left out.

    Dashed is the law that the conserved quantity gives, from the first and the last point of the curve.

    Args:
        curves: see `trajectories`; h is divided by the last one measured, y by that of the targets.
        fits: with `phase_r2`, see `trajectories`.
    """
    wanted = curves[curves["quantity"].isin(["hidden", "output"])]
    if not len(wanted):
        return nothing("no phase plane to draw")
    figure, axes = panels(len(cases(wanted)), width=2.6, height=2.3)
    for axis, case in zip(axes, cases(wanted), strict=True):
        runs, dropped = converged_runs(wanted, fits, case)
        typical = typical_seed(runs)
        for seed, run in runs.groupby("seed"):
            wide = run.pivot_table(index="epoch", columns="quantity", values="measured", dropna=False)
            wide = wide.reindex(columns=["hidden", "output"]).dropna()
            if not len(wide) or wide["hidden"].iloc[-1] <= 0:
                continue
            hidden, output = wide["hidden"].to_numpy(), wide["output"].to_numpy()
            for source, told in (("measured", output), ("theory", phase_law(hidden, output))):
                places = hidden / hidden[-1], told / TARGETS.get(case[0], 1.0)
                draw_run(axis, *places, {"color": BLUE, "marker": "o"}, source, seed == typical)
        make_room(axis, 1 if dropped else 0)
        note(axis, [dropped] if dropped else [], 0.03, 0.97)
        axis.set(title=title_of(case, median_of(fits, case, "phase_r2")), xlabel="h / h at the end")
        axis.xaxis.set_major_locator(MaxNLocator(4))
        furthest = max((np.nanmax(line.get_xdata(), initial=1.0) for line in axis.lines), default=1.0)
        axis.set_xlim(-0.04 * furthest, 1.06 * furthest)
        blank_without_lines(axis)
    label_first(axes, "y / y of the targets")
    legend_with_room(figure, *legend_of_runs(["measured"]))
    return figure


def collapse(rises: pd.DataFrame) -> Figure:
    """The rise of the outputs' distance: against the epoch, and against rescaled time with the logistic law dashed.

    Args:
        rises: columns setting, seed, kind (rescaled | raw), position (of rescaled time the crossing of a quarter is 0),
            value (share of the targets' squared distance).
    """
    rises = rises.dropna(subset=["position", "value"])
    rises = rises[(rises["kind"] == SCALED) | ((rises["kind"] == RAW) & (rises["position"] > 0))]
    if not len(rises):
        return nothing("no rises to draw")
    looks, typical = setting_looks(rises["setting"]), {}
    places = dict(zip(looks, np.linspace(0.02, 2 * MARK_EVERY, len(looks), endpoint=False), strict=True))
    for setting, rows in rises.groupby("setting"):
        kind = RAW if (rows["kind"] == RAW).any() else SCALED
        typical[setting] = middle(
            {seed: halfway(run["position"], run["value"]) for seed, run in rows[rows["kind"] == kind].groupby("seed")}
        )
    figure, axes = panels(2, columns=2, width=4.2, height=3.4)
    for axis, kind in zip(axes, (RAW, SCALED), strict=True):
        for (setting, seed), run in rises[rises["kind"] == kind].groupby(["setting", "seed"]):
            run, look, thick = run.sort_values("position"), looks[setting], seed == typical[setting]
            shape = {"linewidth": 1.4, "alpha": 0.95, "markersize": 4} if thick else {"linewidth": 0.5, "alpha": 0.4}
            # Each setting begins elsewhere, so that markers on one curve do not hide each other.
            marks = {"marker": look["marker"], "markevery": (places[setting], 2 * MARK_EVERY)} if thick else {}
            axis.plot(run["position"], run["value"], color=look["color"], label=setting, **marks, **shape)
        axis.set(ylim=(-0.05, 1.15))
    raw, scaled = axes
    raw.set(title="As trained", xlabel="epoch", ylabel="output distance / that of the targets")
    if (rises["kind"] == RAW).any():
        raw.set_xscale("log")
    times = rises.loc[rises["kind"] == SCALED, "position"]
    times = np.linspace(times.min(), times.max(), 200) if len(times) else np.linspace(-6, 6, 200)
    scaled.plot(times, rich_law(times), color=BLACK, linestyle=DASHED, linewidth=1.8, zorder=5)
    shares = [
        identity_r2(run["value"], rich_law(run["position"]))
        for _, run in rises[rises["kind"] == SCALED].groupby(["setting", "seed"])
    ]
    found = pd.Series(shares, dtype=float).median()
    scaled.set(title=with_number("Rescaled: median", found), xlabel="rescaled time s (0 at a quarter)")
    handles = [Line2D([], [], markersize=4.5, linewidth=1.4, **look) for look in looks.values()]
    handles.append(Line2D([], [], color=BLACK, linestyle=DASHED, linewidth=1.8))
    legend_with_room(figure, handles, [*map(spelled, looks), "law: logistic²"])
    return figure


# --- fits ------------------------------------------------------------------------------------------------------------


def fit_quality(fits: pd.DataFrame) -> Figure:
    """R² of h, y and w together in each setting, the best on top, and that of w alone; on a scale of 1 - R².

    Args:
        fits: columns experiment, setting, variant, seed, converged, r2, r2_overlap.
    """
    fits = theory_fits(fits)
    if not len(fits):
        return nothing("no fits to judge")
    kept = fits[fits["converged"].eq(True)]
    order = sorted(cases(fits), key=lambda case: -np.nan_to_num(median_of(fits, case, "r2"), nan=-np.inf))
    figure, (axis,) = panels(1, width=6.4, height=1.0 + 0.27 * len(order))
    for bound, style in ((GOOD, "--"), (FAIR, ":")):
        axis.axvline(1 - bound, color=BLACK, linestyle=style, linewidth=1.0)
    low, high = ERRORS
    for place, case in enumerate(order):
        rows = of_case(kept, case)
        seeds, median = 1 - rows["r2"].to_numpy(dtype=float), 1 - rows["r2"].median()
        # A larger number stands further left: the axis is turned.
        draw_row(axis, seeds, place, (low, high), {"color": BLUE, "markersize": 4, "alpha": 0.6}, turned=True)
        draw_row(axis, [median], place, (low, high), {"color": BLUE, "marker": "|", "markersize": 13}, turned=True)
        hollow = {"color": VERMILION, "marker": "D", "markersize": 5, "markerfacecolor": "none"}
        draw_row(axis, [1 - rows["r2_overlap"].median()], place, (low, high), hollow, turned=True)
    axis.set(xscale="log", xlim=(high * 1.25, low / 1.25), xlabel="R² of the fit (logarithmic in 1 - R²)")
    ticks = (-1, 0, 0.5, FAIR, GOOD, 0.99, 0.999, 0.9999)
    axis.set_xticks([1 - tick for tick in ticks], [f"{tick:g}" for tick in ticks])
    axis.xaxis.set_minor_locator(NullLocator())
    name_rows(axis, fits, order)
    axis.set(title="Quality of the fits")
    handles = {
        "h, y and w, a seed": Line2D([], [], linestyle="", marker="o", markersize=4, color=BLUE, alpha=0.6),
        "their median": Line2D([], [], linestyle="", marker="|", markersize=12, markeredgewidth=2, color=BLUE),
        "w alone, median": Line2D([], [], linestyle="", **hollow),
        f"R² {GOOD:g}": Line2D([], [], color=BLACK, linestyle="--", linewidth=1.0),
        f"R² {FAIR:g}": Line2D([], [], color=BLACK, linestyle=":", linewidth=1.0),
        "lower than drawn": Line2D([], [], linestyle="", marker="<", color=GREY),
    }
    legend_with_room(figure, handles.values(), handles.keys())
    return figure


def rates(fits: pd.DataFrame) -> Figure:
    """The two fitted numbers of each setting, effective learning rates of h and y; a dot for each seed.

    Args:
        fits: columns experiment, setting, variant, seed, converged, hidden_rate, output_rate.
    """
    fits = theory_fits(fits)
    if not len(fits):
        return nothing("no rates to draw")
    kept, order = fits[fits["converged"].eq(True)], cases(fits)
    figure, axes = panels(2, columns=2, width=3.7, height=1.0 + 0.27 * len(order), sharey=True)
    rows = {"hidden_rate": ("Rate of h", "$\\eta_h$ (1 / epoch)", "hidden"),
            "output_rate": ("Rate of y", "$\\eta_y$ (1 / epoch)", "output")}  # fmt: skip
    below = False
    for axis, (column, (title, xlabel, quantity)) in zip(axes, rows.items(), strict=True):
        look = LOOKS[quantity]
        limits = LEAST_RATE, np.inf
        for place, case in enumerate(order):
            numbers = of_case(kept, case)[column]
            below |= bool((numbers < LEAST_RATE).any())
            draw_row(axis, numbers, place, limits, look | {"markersize": 4, "alpha": 0.6})
            draw_row(axis, [numbers.median()], place, limits, {"color": BLACK, "marker": "|", "markersize": 13})
        axis.set(title=title, xlabel=xlabel)
        logarithmic(axis, "x", kept[column].clip(lower=LEAST_RATE))
    name_rows(axes[0], fits, order)
    handles = {
        "a seed": Line2D([], [], linestyle="", marker="o", markersize=4, color=GREY),
        "median": Line2D([], [], linestyle="", marker="|", markersize=12, markeredgewidth=2, color=BLACK),
    }
    if below:
        handles[f"below {LEAST_RATE:g}"] = Line2D([], [], linestyle="", marker="<", color=GREY)
    legend_with_room(figure, handles.values(), handles.keys())
    return figure


def gain_trend(fits: pd.DataFrame) -> Figure:
    """How much the hidden distance grows while learning against the gain of the initial weights, from rich to lazy.

    Args:
        fits: columns experiment, setting, variant, seed, converged, hidden_start, hidden_end, hidden_theory;
            the settings that differ in gain are drawn.
    """
    fits = theory_fits(fits, TWO_POINT)
    fits = fits[fits["setting"].isin(GAINS)]
    if not len(fits):
        return nothing("no gains to compare")
    start = fits["hidden_start"].where(fits["hidden_start"] > 0)
    fits = fits.assign(
        gain=[SETTINGS[name].gain for name in fits["setting"]],
        measured=(fits["hidden_end"] / start).where(fits["hidden_end"] > 0),
        expected=(fits["hidden_theory"] / start).where(fits["hidden_theory"] > 0),
    )
    good = fits["converged"].eq(True)
    kept, failed, off = (
        fits[good],
        fits[~good],
        fits[good & ((fits["expected"] / fits["measured"] - 1).abs() > MOST_OFF)],
    )
    figure, (axis,) = panels(1, width=5.6, height=3.4)
    axis.axhline(1, color=GREY, linestyle=":", linewidth=1.2)
    for column, colour, style, marker in (("measured", BLUE, "-", "o"), ("expected", VERMILION, DASHED, "x")):
        axis.plot(kept["gain"], kept[column], linestyle="", marker=marker, markersize=4, color=colour, alpha=0.6)
        median = kept.groupby("gain")[column].median()
        axis.plot(median.index, median, color=colour, linestyle=style, linewidth=1.5)
    ring = {"linestyle": "", "marker": "o", "markersize": 10, "markerfacecolor": "none", "color": BLACK}
    cross = {"linestyle": "", "marker": "P", "markersize": 6, "color": GREY, "markeredgecolor": BLACK}
    axis.plot(off["gain"], off["measured"], **ring)
    axis.plot(failed["gain"], failed["measured"], **cross)
    axis.set(xlabel="gain of the initial weights (rich to lazy)", ylabel="h at the end / h at the start")
    axis.set(title="Growth of the hidden distance")
    logarithmic(axis, "y", pd.concat([fits["measured"], fits["expected"], pd.Series([1.0])]))
    names = []
    for gain, rows in fits.groupby("gain"):
        lost = int((~rows["converged"].eq(True)).sum())
        names.append(f"{gain:g}\n{lost} of {len(rows)} lost" if lost else f"{gain:g}")
    axis.set_xticks(sorted(fits["gain"].unique()), names)
    handles = {
        "measured, median": Line2D([], [], color=BLUE, marker="o", markersize=4),
        "theory, median": Line2D([], [], color=VERMILION, linestyle=DASHED, marker="x", markersize=4),
        "distance kept": Line2D([], [], color=GREY, linestyle=":"),
        f"theory off by > {100 * MOST_OFF:g} %": Line2D([], [], **ring),
        "did not converge (lost)": Line2D([], [], **cross),
    }
    legend_with_room(figure, handles.values(), handles.keys())
    return figure


def alternatives(fits: pd.DataFrame) -> Figure:
    """Residuals of the theory and of altered equations, a line for each seed; right, their medians over the theory's.

    Args:
        fits: columns experiment, setting, variant, seed, converged, residual; of the experiment alternatives.
    """
    fits = fits[fits["experiment"] == "alternatives"]
    if not len(fits):
        return nothing("no alternatives to compare")
    order = cases(fits)
    names = [name for name in dict.fromkeys([*VARIANTS, *fits["variant"]]) if (fits["variant"] == name).any()]
    size = {"width": 5.2 if len(order) == 1 else 4.2, "height": 1.2 + 0.42 * len(names)}
    figure, axes = panels(len(order), columns=2, sharey=True, **size)
    for axis, case in zip(axes, order, strict=True):
        every = of_case(fits, case)
        wide = every[every["converged"].eq(True)].pivot_table(index="seed", columns="variant", values="residual")
        wide = wide.where(wide > 0).reindex(columns=names)
        places, median = np.arange(len(names)), wide.median()
        for _, residuals in wide.iterrows():
            axis.plot(residuals, places, color=BLUE, marker="o", markersize=4, linewidth=0.6, alpha=0.6)
        axis.plot(median, places, linestyle="", marker="|", markersize=16, markeredgewidth=2, color=BLACK)
        for place, ratio in zip(places, median / median.get(THEORY, np.nan), strict=True):
            if np.isfinite(ratio) and names[place] != THEORY:
                words = f"{ratio:.3g} times"
                axis.text(1.01, place, words, transform=axis.get_yaxis_transform(), fontsize=7.5, va="center")
        complete = wide.dropna()
        best = int((complete.idxmin(axis=1) == THEORY).sum()) if len(complete) else 0
        axis.set(
            title=f"{spelled(case[1])}: theory best in {best} of {len(complete)}", xlabel="residual sum of squares"
        )
        logarithmic(axis, "x", wide.stack())
        note(axis, [words] if (words := dropped_words(every)) else [], 0.97, 0.97)
    axes[0].set_yticks(range(len(names)), [VARIANTS.get(name, spelled(name)) for name in names])
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    handles = {
        "a seed": Line2D([], [], color=BLUE, marker="o", markersize=4, linewidth=0.6),
        "median": Line2D([], [], linestyle="", marker="|", markersize=12, markeredgewidth=2, color=BLACK),
    }
    legend_with_room(figure, handles.values(), handles.keys())
    return figure


def depth(fits: pd.DataFrame) -> Figure:
    """Residual and rates of a fit to each hidden layer: lines of single seeds, and medians with markers.

    Args:
        fits: columns experiment, setting, variant, layer, seed, converged, residual, hidden_rate, output_rate; of the
            experiment depth.
    """
    fits = theory_fits(fits, "depth")
    if not len(fits):
        return nothing("no layers to compare")
    kept = fits[fits["converged"].eq(True)]
    looks = setting_looks(fits["setting"])
    columns = {
        "residual": ("Residual", "residual sum of squares", "least", pd.Series.idxmin),
        "hidden_rate": ("Rate of h", "$\\eta_h$ (1 / epoch)", "most", pd.Series.idxmax),
        "output_rate": ("Rate of y", "$\\eta_y$ (1 / epoch)", "most", pd.Series.idxmax),
    }
    figure, axes = panels(3, columns=3, width=2.9, height=2.6)
    for axis, (column, (title, ylabel, word, extreme)) in zip(axes, columns.items(), strict=True):
        numbers = kept[column].where(kept[column] > 0)
        found = []
        for setting, look in looks.items():
            rows = kept.assign(value=numbers)[kept["setting"] == setting].sort_values("layer")
            for _, run in rows.groupby("seed"):
                axis.plot(run["layer"], run["value"], color=look["color"], linewidth=0.6, alpha=0.5)
            median = rows.groupby("layer")["value"].median()
            axis.plot(median.index, median, markersize=3.5, linewidth=1.5, **look)
            if median.notna().any():
                found.append(f"{extreme(median):g}")
        words = f"{title}: {word} at layer {found[0]}" if len(found) == 1 else title
        axis.set(title=wrapped(words, 28), xlabel="hidden layer (0 first)", ylabel=ylabel)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        logarithmic(axis, "y", numbers)
    note(axes[0], [words] if (words := dropped_words(fits)) else [], 0.97, 0.97)
    handles = [Line2D([], [], markersize=4, linewidth=1.5, **look) for look in looks.values()]
    handles.append(Line2D([], [], color=GREY, linewidth=0.6))
    legend_with_room(figure, handles, [*(f"{spelled(name)}, median" for name in looks), "a seed"])
    return figure


def final_distances(distances: pd.DataFrame, name: str | None = None) -> Figure:
    """Hidden distances after learning against the theory's; colours are distances of targets, markers of inputs.

    Args:
        distances: columns setting, input_distance, target_distance (both squared), seed, converged, measured, theory.
        name: setting to draw; without it each has a panel.
    """
    distances = distances[distances["setting"] == name] if name is not None else distances
    if not len(distances):
        return nothing("no final distances to draw" if name is None else f"no final distances of {name} to draw")
    targets, inputs = (np.sort(distances[column].dropna().unique()) for column in ("target_distance", "input_distance"))
    shades = dict(zip(targets, colormaps["viridis"](np.linspace(0, LIGHTEST, max(len(targets), 2))), strict=False))
    shapes = {distance: MARKERS[number % len(MARKERS)] for number, distance in enumerate(inputs)}
    order = in_order(distances["setting"])
    size = {"width": 5.6, "height": 4.2} if len(order) == 1 else {"width": 2.7, "height": 2.6}
    figure, axes = panels(len(order), **size)
    for axis, setting in zip(axes, order, strict=True):
        every = distances[distances["setting"] == setting]
        rows = every[every["converged"].eq(True)].dropna(subset=["measured", "theory"])
        axis.axline((0, 0), slope=1, color=BLACK, linestyle=DASHED, linewidth=1.0, zorder=1)
        for (target, given), points in rows.groupby(["target_distance", "input_distance"]):
            axis.scatter(
                points["theory"], points["measured"], color=[shades[target]], marker=shapes[given],
                s=30 if len(order) == 1 else 20, linewidths=0.3, edgecolors="white", zorder=3,
            )  # fmt: skip
        longest = rows[["measured", "theory"]].to_numpy(dtype=float).max(initial=0) or 1.0
        axis.set(xlim=(-0.04 * longest, 1.06 * longest), ylim=(-0.04 * longest, 1.06 * longest), aspect="equal")
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.yaxis.set_major_locator(MaxNLocator(4))
        both = rows.dropna(subset=["measured", "theory"])
        along, share = pearson(both["measured"], both["theory"]), identity_r2(both["measured"], both["theory"])
        notes = [f"Pearson {number(along)}", f"R² to identity {number(share)}"]
        words = lost_words(int((~every["converged"].eq(True)).sum()), len(every))
        note(axis, [*notes, words] if words else notes, 0.03, 0.97)
        axis.set(title=wrapped(spelled(setting)), xlabel="final squared distance, theory")
    label_first(axes, "final squared distance")
    handles = {f"|dy*|² = {target:g}": Line2D([], [], linestyle="", marker="o", color=shades[target])
               for target in targets}  # fmt: skip
    handles |= {f"|dx|² = {given:g}": Line2D([], [], linestyle="", marker=shapes[given], color=GREY)
                for given in inputs}  # fmt: skip
    handles["equal"] = Line2D([], [], color=BLACK, linestyle=DASHED, linewidth=1.0)
    legend_with_room(figure, handles.values(), handles.keys())
    return figure


# --- several points --------------------------------------------------------------------------------------------------


def xor(structure: pd.DataFrame) -> Figure:
    """Hidden distances, not squared, of the four inputs of exclusive or: theory beside the median over seeds.

    Args:
        structure: columns case, seed, a, b (of each pair of points 0 to 3 once), theory, measured.
    """
    found = dict.fromkeys([name for name in (*CASES, *structure["case"]) if (structure["case"] == name).any()])
    if not found:
        return nothing("no distances of exclusive or to draw")
    figure, axes = panels(2 * len(found), width=2.2, height=2.4)
    for number_of_case, case in enumerate(found):
        rows = structure[structure["case"] == case]
        medians = rows.groupby(["a", "b"])[["theory", "measured"]].median()
        longest = medians.to_numpy(dtype=float)
        longest = longest[np.isfinite(longest)].max(initial=0) or 1.0
        titles = {
            "theory": f"{case}\ntheory",
            "measured": f"{case}\nmeasured, r {number(pearson(medians['theory'], medians['measured']), 2)}",
        }
        for side, (column, title) in enumerate(titles.items()):
            axis, matrix = axes[2 * number_of_case + side], symmetric(medians[column], range(len(POINTS)))
            annotate(axis, heat_map(axis, matrix, (0.0, longest), aspect="equal"), matrix, 7)
            axis.set_xticks(range(len(POINTS)), POINTS, fontsize=8)
            axis.set_yticks(range(len(POINTS)), POINTS, fontsize=8)
            axis.set_title(title, fontsize=9)
            axis.set_xlabel("input")
    label_first(axes, "input")
    figure.suptitle("Hidden distances, not squared: medians over seeds", fontsize=10, x=0.01, ha="left")
    return figure


def context_axes(axes: pd.DataFrame, activation: str | None = None) -> Figure:
    """The representation of both contexts along three axes: hue and marker are the context, the shade is a feature.

    For each case one row is shaded by x and one by y, so that a feature that is kept shows as a gradient.

    Args:
        axes: columns case, activation, context (0 | 1), x, y, axis_1, axis_2, axis_3 (of multidimensional scaling).
        activation: of the networks to draw; the first one otherwise.
    """
    if len(axes) and activation is None:
        activation = axes["activation"].iloc[0]
    axes = axes[axes["activation"] == activation]
    if not len(axes):
        return nothing("no axes of contexts to draw")
    found = [name for name in dict.fromkeys((*INITIALISATIONS, *axes["case"])) if (axes["case"] == name).any()]
    figure, places = panels(6 * len(found), columns=3, width=2.3, height=1.75)
    planes = ((1, 2), (1, 3), (2, 3))
    for place, axis in enumerate(places):
        row, column = divmod(place, 3)
        case, feature, (first, second) = found[row // 2], "xy"[row % 2], planes[column]
        points = axes[axes["case"] == case]
        for context, (light, dark, marker) in CONTEXTS.items():
            some = points[points["context"] == context]
            axis.scatter(
                some[f"axis_{first}"], some[f"axis_{second}"], c=some[feature], marker=marker, s=7, linewidths=0,
                cmap=LinearSegmentedColormap.from_list("feature", [light, dark]), rasterized=True,
                vmin=points[feature].min(), vmax=points[feature].max(),
            )  # fmt: skip
        axis.set_aspect("equal", adjustable="datalim")
        axis.set_xlabel(f"axis {first}", fontsize=7.5, labelpad=1)
        axis.set_ylabel(f"axis {second}", fontsize=7.5, labelpad=1)
        axis.tick_params(labelsize=6.5)
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.yaxis.set_major_locator(MaxNLocator(4))
        if not column:
            axis.set_title(f"{case}, shaded by {feature}", fontsize=9)
    figure.suptitle(f"Axes of multidimensional scaling, {spelled(str(activation))}", fontsize=10, x=0.01, ha="left")
    handles = {
        f"context {context}, {word}": Line2D([], [], linestyle="", marker=marker, markersize=5, color=colour)
        for context, (light, dark, marker) in CONTEXTS.items()
        for word, colour in (("small feature", light), ("large feature", dark))
    }
    legend_with_room(figure, handles.values(), handles.keys())
    return figure


def image_structure(table: pd.DataFrame) -> Figure:
    """Hidden distances of images predicted from their pixels and classes, and measured; lines part the classes.

    Args:
        table: columns a, b (images sorted by class), label_a, label_b, theory (sums over classes), theory_mean (means),
            measured.
    """
    if not len(table):
        return nothing("no distances of images to draw")
    labels = dict(zip(table["a"], table["label_a"], strict=True)) | dict(zip(table["b"], table["label_b"], strict=True))
    images = sorted(labels)
    classes = np.array([labels[image] for image in images])
    starts = np.concatenate([[0], 1 + np.flatnonzero(classes[1:] != classes[:-1]), [len(classes)]])
    upper = np.triu_indices(len(images), 1)
    across = classes[upper[0]] != classes[upper[1]]
    columns = {"theory": "Predicted, sums", "theory_mean": "Predicted, means", "measured": "Measured"}
    matrices = {column: symmetric(table.set_index(["a", "b"])[column], images) for column in columns}
    measured = matrices["measured"][upper]
    figure, places = panels(3, columns=3, width=3.2, height=3.3)
    for axis, (column, title) in zip(places, columns.items(), strict=True):
        matrix = matrices[column]
        finite = matrix[np.isfinite(matrix)]
        image = heat_map(axis, matrix, (0.0, finite.max(initial=0) or 1.0), aspect="equal")
        for border in starts[1:-1] - 0.5:
            axis.axhline(border, color="white", linewidth=0.5)
            axis.axvline(border, color="white", linewidth=0.5)
        middles = (starts[:-1] + starts[1:] - 1) / 2
        names = [f"{classes[start]}" for start in starts[:-1]]
        axis.set_xticks(middles, names, fontsize=7)
        axis.set_yticks(middles, names, fontsize=7)
        axis.tick_params(length=0)
        if column != "measured":
            both = number(pearson(matrix[upper], measured), 2)
            title += f"\nr {both}; {number(pearson(matrix[upper][across], measured[across]), 2)} between classes"
        axis.set(title=title, xlabel="class of the image")
        bar = figure.colorbar(image, ax=axis, shrink=0.75, pad=0.02, aspect=25)
        bar.ax.tick_params(labelsize=6.5)
        bar.ax.yaxis.get_offset_text().set_fontsize(6.5)
        if column == "measured":
            bar.set_label("squared hidden distance", fontsize=8)
    places[0].set_ylabel("class of the image")
    return figure


def bridge(table: pd.DataFrame) -> Figure:
    """Similarity of networks that have learned the same share, of one architecture and of two.

    Lines are means over pairs of architectures, with the seeds of a pair averaged first; in a band are 95 % of pairs.

    Args:
        table: columns experiment (two_point | trajectories), setting_a, setting_b, kind, progress (from 0 to 1),
            measure, value.
    """
    table = table.dropna(subset=["progress", "value"])
    if not len(table):
        return nothing("no similarity of architectures to draw")
    found = list(table[["experiment", "measure"]].drop_duplicates().itertuples(index=False, name=None))
    found.sort(key=lambda each: each[0] != TWO_POINT)
    alone = len({experiment for experiment, _ in found}) == 1
    pairs = table.groupby(["experiment", "measure", "kind", "setting_a", "setting_b", "progress"])["value"].mean()
    figure, axes = panels(len(found), width=2.6, height=2.3)
    kinds = [kind for kind in dict.fromkeys((*KINDS, *table["kind"])) if (table["kind"] == kind).any()]
    spare = {"color": GREY, "marker": "^"}
    for axis, (experiment, measure) in zip(axes, found, strict=True):
        drawn = pairs.loc[experiment, measure]
        for kind in kinds:
            look = KINDS.get(kind, spare)
            if kind not in drawn.index.get_level_values("kind"):
                continue
            over = drawn.loc[kind].groupby("progress")
            mean, low, high = over.mean(), over.quantile(0.025), over.quantile(0.975)
            axis.fill_between(mean.index, low, high, color=look["color"], alpha=0.18, linewidth=0)
            axis.plot(mean.index, mean, linewidth=1.4, markersize=3.5, label=kind, **look)
        words = measure if alone else f"{measure} ({BRIDGED.get(experiment, experiment)})"
        axis.set(title=wrapped(words), xlabel="share of the task learned", xlim=(-0.03, 1.03))
        set_range(axis, drawn.to_numpy(dtype=float))
    label_first(axes, "similarity")
    handles = [Line2D([], [], markersize=4, linewidth=1.4, **KINDS.get(kind, spare)) for kind in kinds]
    legend_with_room(figure, handles, kinds)
    return figure


# --- which runs ------------------------------------------------------------------------------------------------------


def in_order(settings: Iterable[str]) -> list[str]:
    """Each setting once: architectures, gains from rich to lazy, then the others."""
    found = dict.fromkeys(settings)
    return [name for name in dict.fromkeys((*ARCHITECTURES, *GAINS, *SETTINGS, *found)) if name in found]


def cases(table: pd.DataFrame) -> list[Case]:
    """Experiments and settings of a table, two points first."""
    experiments = sorted(table["experiment"].unique(), key=lambda name: name != TWO_POINT)
    return [
        (name, each) for name in experiments for each in in_order(table.loc[table["experiment"] == name, "setting"])
    ]


def of_case(table: pd.DataFrame, case: Case) -> pd.DataFrame:
    """The rows of an experiment and setting."""
    return table[(table["experiment"] == case[0]) & (table["setting"] == case[1])]


def theory_fits(fits: pd.DataFrame, experiment: str | None = None) -> pd.DataFrame:
    """Fits of the theory in one experiment; else of two points and of images."""
    wanted = [TWO_POINT, IMAGES] if experiment is None else [experiment]
    return fits[(fits["variant"] == THEORY) & fits["experiment"].isin(wanted)]


def converged_runs(curves: pd.DataFrame, fits: pd.DataFrame | None, case: Case) -> tuple[pd.DataFrame, str]:
    """The rows of a case whose runs converged, and words for how many did not; all of them where no fit says so."""
    rows = of_case(curves, case)
    if fits is None:
        return rows, ""
    fits = of_case(theory_fits(fits, case[0]), case)
    lost = fits.loc[~fits["converged"].eq(True), "seed"]
    return rows[~rows["seed"].isin(lost)], dropped_words(fits)


def dropped_words(fits: pd.DataFrame) -> str:
    """How many runs did not converge, in words; empty if all did."""
    runs = fits.groupby(["setting", "seed"])["converged"].agg(lambda each: bool(each.eq(True).all()))
    return lost_words(len(runs) - int(runs.sum()), len(runs))


def lost_words(lost: int, runs: int) -> str:
    """That some runs did not converge; empty if all did."""
    return f"{lost} of {runs} did not converge" if lost else ""


def median_of(fits: pd.DataFrame | None, case: Case, column: str) -> float:
    """Median over the converged runs of a case; NaN without one."""
    if fits is None or column not in fits:
        return float("nan")
    rows = of_case(theory_fits(fits, case[0]), case)
    return float(rows.loc[rows["converged"].eq(True), column].median())


def typical_seed(runs: pd.DataFrame) -> int | None:
    """The seed whose outputs part, or whose first quantity changes, at the median epoch."""
    quantity = "output" if (runs["quantity"] == "output").any() else next(iter(runs["quantity"]), "")
    rows = runs[runs["quantity"] == quantity].sort_values("epoch")
    return middle({seed: halfway(run["epoch"], run["measured"]) for seed, run in rows.groupby("seed")})


def halfway(places: pd.Series, values: pd.Series) -> float:
    """Where the values first stand on the other side of the middle of their range; infinite if never."""
    known = values.notna().to_numpy()
    order = np.argsort(places.to_numpy()[known], kind="stable")
    places, values = places.to_numpy()[known][order], values.to_numpy(dtype=float)[known][order]
    if not len(values):
        return np.inf
    above = values > (values.min() + values.max()) / 2
    changed = np.flatnonzero(above != above[0])
    return float(places[changed[0]]) if len(changed) else np.inf


def middle(places: Mapping[int, float]) -> int | None:
    """The key of the lower median."""
    order = sorted(places, key=lambda key: (places[key], key))
    return order[(len(order) - 1) // 2] if order else None


# --- numbers ---------------------------------------------------------------------------------------------------------


def rich_law(places: np.ndarray | pd.Series) -> np.ndarray:
    """The share of y learned at rescaled times in the rich limit, a quarter at 0."""
    return rich_curves(np.asarray(places, dtype=float), 0.5)[1]


def symmetric(values: pd.Series, names: Iterable[int]) -> np.ndarray:
    """The matrix of values of pairs (first, second), each given in one order or both; 0 on the diagonal."""
    names = list(names)
    wide = values.groupby(level=[0, 1]).mean().unstack().reindex(index=names, columns=names).to_numpy(dtype=float)
    matrix = np.where(np.isfinite(wide), wide, wide.T)
    np.fill_diagonal(matrix, 0.0)
    return matrix


def hidden_scale(runs: pd.DataFrame) -> float:
    """A power of ten that makes hidden distances much larger than those of outputs comparable to them; else 1."""
    largest = runs.groupby("quantity")["measured"].max()
    ratio = largest.get("hidden", np.nan) / largest.get("output", np.nan) if largest.get("output", 0) > 0 else np.nan
    return 10.0 ** -max(round(np.log10(ratio)), 0) if np.isfinite(ratio) and ratio > 0 else 1.0


# --- drawing ---------------------------------------------------------------------------------------------------------


def draw_runs(axis: Axes, runs: pd.DataFrame, quantity: str, scale: float = 1.0) -> None:
    """One quantity of all runs of a panel against the epoch."""
    typical = typical_seed(runs)
    for seed, run in runs[runs["quantity"] == quantity].sort_values("epoch").groupby("seed"):
        for source in ("measured", "theory"):
            draw_run(axis, run["epoch"], scale * run[source], LOOKS[quantity], source, seed == typical)


def draw_run(axis: Axes, x: pd.Series, y: pd.Series, look: Mapping, source: str, typical: bool) -> None:
    """One curve: measured ones full, the theory of the typical run dashed."""
    if not np.isfinite(np.asarray(y, dtype=float)).any():
        return
    if source == "measured" and not typical:
        axis.plot(x, y, color=look["color"], linewidth=0.6, alpha=0.4, zorder=2)
    elif source == "measured":
        marks = {"marker": look["marker"], "markersize": 3.5, "markevery": MARK_EVERY}
        axis.plot(x, y, color=look["color"], linewidth=2.4, alpha=0.5, zorder=3, **marks)
    elif typical:
        axis.plot(x, y, color=BLACK, linestyle=DASHED, linewidth=1.1, zorder=4)


def legend_of_runs(quantities: Sequence[str]) -> tuple[list[Line2D], list[str]]:
    """Handles and names for the lines of `draw_run`."""
    looks = [LOOKS.get(quantity, LOOKS["hidden"]) for quantity in quantities]
    handles = [Line2D([], [], linewidth=2.4, alpha=0.5, markersize=4, **look) for look in looks]
    handles.append(Line2D([], [], color=BLACK, linestyle=DASHED, linewidth=1.1))
    handles.append(Line2D([], [], color=GREY, linewidth=0.6))
    return handles, [*(QUANTITIES.get(name, name) for name in quantities), "theory", "other runs"]


def draw_row(
    axis: Axes, values: Sequence[float], place: float, limits: tuple[float, float], look: Mapping, turned: bool = False
) -> None:
    """Values along a row; those too bad to draw stand at the limit as triangles.

    Args:
        limits: of what is drawn in place.
        turned: the axis is turned, so that the bad end is the upper limit.
    """
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    shown = np.clip(values, *limits)
    beyond = values > limits[1] if turned else values < limits[0]
    look = {"linestyle": "", "marker": "o", "markeredgewidth": 2 if look.get("marker") == "|" else 0.8} | dict(look)
    if not beyond.all():
        axis.plot(shown[~beyond], np.full((~beyond).sum(), place), **look)
    if beyond.any() and look["marker"] != "|":
        axis.plot(shown[beyond], np.full(beyond.sum(), place), **look | {"marker": "<", "markersize": 6})


def name_rows(axis: Axes, fits: pd.DataFrame, order: Sequence[Case]) -> None:
    """Names of settings at the left, the first on top, with how many runs did not converge."""
    names = []
    for case in order:
        words = dropped_words(of_case(fits, case))
        names.append(f"{case_name(case)} ({words.split(' did')[0]} lost)" if words else case_name(case))
    axis.set_yticks(range(len(order)), names, fontsize=8)
    axis.set_ylim(len(order) - 0.5, -0.5)


def finish_epochs(axis: Axes, case: Case, share: float) -> None:
    """Title and horizontal axis of a panel over epochs."""
    axis.set(title=title_of(case, share), xlabel="epoch")
    axis.xaxis.set_major_locator(MaxNLocator(4))
    blank_without_lines(axis)


def blank_without_lines(axis: Axes) -> None:
    """No numbers at the sides of a panel in which nothing is drawn."""
    if not axis.lines:
        axis.set(xticks=[], yticks=[])


def make_room(axis: Axes, lines: int) -> None:
    """Room for some lines of small words above what is drawn."""
    if lines and axis.lines:
        low, high = axis.get_ylim()
        axis.set_ylim(low, high + 0.11 * lines * (high - low))


def note(axis: Axes, lines: Sequence[str], x: float, y: float) -> None:
    """Small words in a corner of a panel."""
    if lines:
        side = "left" if x < 0.5 else "right"
        axis.text(
            x, y, "\n".join(lines), transform=axis.transAxes, ha=side, va="top", fontsize=7, bbox=NOTE, zorder=6
        )  # fmt: skip


def logarithmic(axis: Axes, which: str, values: pd.Series) -> None:
    """A logarithmic axis around these values whose ticks have names, however short the range."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values) & (values > 0)]
    low, high = (values.min(), values.max()) if values.size else (0.1, 1.0)
    set_scale, set_limits, side = (
        (axis.set_xscale, axis.set_xlim, axis.xaxis) if which == "x" else (axis.set_yscale, axis.set_ylim, axis.yaxis)
    )
    set_scale("log")
    room = max((high / low) ** 0.06, 1.15)
    set_limits(low / room, high * room)
    ratio = high / low
    if ratio < 1000:
        side.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if ratio < 30 else (1.0, 3.0)))
        side.set_major_formatter(lambda value, _: f"{value:g}")
    side.set_minor_formatter(NullFormatter())


def setting_looks(settings: Iterable[str]) -> dict[str, dict]:
    """Colour and marker of each setting, no two alike."""
    return {
        name: {
            "color": NETWORK_COLOURS[number % len(NETWORK_COLOURS)],
            "marker": MARKERS[(number + number // len(NETWORK_COLOURS)) % len(MARKERS)],
        }
        for number, name in enumerate(in_order(settings))
    }


def spelled(name: str) -> str:
    """A name from a table for readers."""
    return name.replace("_", " ")


def case_name(case: Case) -> str:
    """An experiment and setting; the experiment where it is not that of two points."""
    return spelled(case[1]) if case[0] != IMAGES else f"{spelled(case[1])}, images"


def title_of(case: Case, share: float) -> str:
    """Title of a panel, with R² where it is known."""
    return wrapped(with_number(f"{case_name(case)}:", share) if np.isfinite(share) else case_name(case), 28)


def with_number(words: str, share: float) -> str:
    """Words and R²."""
    return f"{words} R² {number(share)}"


def number(value: float, digits: int = 3) -> str:
    """A correlation or R² in few letters."""
    return "undefined" if not np.isfinite(value) else f"{value:.{digits}f}" if value > -1 else f"{value:.1f}"
