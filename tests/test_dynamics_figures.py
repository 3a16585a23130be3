"""Figures of the dynamics of two points: what they show stands in the tables, and all of it fits on the page."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from pages import misplaced
from scipy.integrate import solve_ivp

from convergent.dynamics.settings import ARCHITECTURES, GAINS, SETTINGS
from convergent.figures.dynamics import (
    VARIANTS,
    alternatives,
    bridge,
    cases,
    collapse,
    context_axes,
    depth,
    final_distances,
    fit_quality,
    gain_trend,
    identity_r2,
    image_structure,
    in_order,
    loss_curves,
    middle,
    phase_plane,
    rates,
    rich_law,
    setting_looks,
    symmetric,
    trajectories,
    xor,
)

pytestmark = pytest.mark.filterwarnings("error")

# Start of h and y, rates of h and y; of the last, no run converges.
NETWORKS = {
    "default": (3e-3, 1e-3, 7.6e-4, 0.0426),
    "shallow": (0.05, 0.01, 4.1e-3, 0.0079),
    "narrow": (2e-3, 1e-3, 5.8e-4, 0.0516),
    "linear": (0.1, 0.01, 4.5e-3, 3.5e-3),
    "elu": (0.15, 0.02, 5.1e-3, 3.8e-3),
    "tanh": (0.12, 0.01, 4.3e-3, 3.4e-3),
    "relu": (2e-3, 1e-3, 7.1e-4, 0.0497),
    "swish": (0.03, 0.002, 2.2e-3, 4.9e-3),
    "skip": (0.02, 0.002, 3.1e-3, 0.0125),
    "cnn": (0.2, 0.002, 0.039, 1.9e-3),
    "dropout": (0.03, 0.002, 1.8e-3, 8.5e-3),
    "gain_0.9": (1e-3, 5e-4, 1.1e-3, 0.054),
    "gain_1.1": (6e-3, 2e-3, 6.6e-4, 0.0388),
    "gain_1.2": (0.03, 0.01, 4.8e-4, 0.024),
    "gain_1.3": (0.14, 0.02, 5.6e-5, 0.0189),
    "gain_1.4": (0.9, 0.1, 1e-9, 4.2e-3),
    "gain_1.6": (12.0, 0.4, 1e-9, 1e-3),
    "two_layer": (0.01, 2e-3, 2.3e-3, 2.7e-3),
}
LOST = "gain_1.6"
FEW = ("shallow", "default", "cnn", LOST)
SEEDS, END, TARGET = 5, 6000, 0.5


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def solution(name, seed, epochs, speed=1.0):
    """h, y, w at these epochs of unit inputs; each seed starts elsewhere."""
    h, y, hidden, output = NETWORKS[name]
    start = np.random.default_rng(seed).uniform(0.7, 1.4)
    hidden, output = speed * hidden, speed * output

    def change(_, state):
        h, y, w = state
        return [
            -hidden * w,
            -w * (output * h + hidden * y / h),
            -0.5 * output * h * (3 * w - y + TARGET) - 0.5 * hidden * (y + w) * w / h,
        ]

    begin = [start * h, y, y - np.sqrt(y * TARGET)]
    return solve_ivp(change, (0, epochs[-1]), begin, "LSODA", epochs, rtol=1e-6, atol=1e-9).y


def curves_of(names, points=80, seeds=SEEDS, experiment="two_point"):
    epochs, rows = np.linspace(0, END, points), []
    for name, seed in product(names, range(seeds)):
        measured, theory = solution(name, seed, epochs, 1.04), solution(name, seed, epochs)
        for quantity, one, two in zip(("hidden", "output", "overlap"), measured, theory, strict=True):
            rows.append({"quantity": quantity, "measured": one, "theory": two})
        mean = 0.9 * np.exp(-epochs / 60)
        losses = [mean + (w + (TARGET - y) / 2) / 4 for _, y, w in (measured, theory)]
        rows.append({"quantity": "loss", "measured": losses[0], "theory": losses[1]})
        for row in rows[-4:]:
            row |= {"experiment": experiment, "setting": name, "seed": seed, "epoch": epochs}
    return (
        pd.DataFrame(rows)
        .explode(["epoch", "measured", "theory"])
        .astype({"epoch": float, "measured": float, "theory": float})
    )


def fits_of(names, seeds=SEEDS, experiment="two_point", variants=("theory",), layers=(10,)):
    random, rows = np.random.default_rng(1), []
    for name, seed, variant, layer in product(names, range(seeds), variants, layers):
        start, _, hidden, output = NETWORKS[name]
        end = np.sqrt(hidden / output * TARGET + start**2 / 4) + start / 2
        worse = 1 + list(VARIANTS).index(variant)
        off = 1 - 10 ** random.uniform(-3.3, -0.8)
        rows.append(
            {
                "experiment": experiment, "setting": name, "layer": layer, "variant": variant, "seed": seed,
                "converged": name != LOST and (name != "cnn" or seed > 1), "reason": "", "final_loss": 1e-5,
                "hidden_start": start, "hidden_end": end * random.uniform(0.85, 1.1), "hidden_theory": end,
                "relative_error": 0.25 if name == "gain_1.4" else 0.03,
                "hidden_rate": hidden * random.uniform(0.6, 1.5) * np.exp(0.2 * (layer - 10)),
                "output_rate": output * random.uniform(0.6, 1.5) * np.exp(-((layer - 9) ** 2) / 30),
                "residual": worse * np.exp(0.3 * abs(layer - 12)) * random.uniform(0.6, 1),
                "r2": -4.3 if name == "gain_1.4" else off, "r2_hidden": off, "r2_output": off,
                "r2_overlap": 1 - 5 * (1 - off), "r2_loss": off, "phase_r2": 0.99, "plateau": 0.06,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def rises_of(names, seeds=3):
    random, rows, scaled = np.random.default_rng(2), [], np.linspace(-6, 6, 60)
    for name, seed in product(names, range(seeds)):
        middle, unit = 10 ** random.uniform(2, 3.3), 1.0
        unit = middle / random.uniform(6.5, 12)
        value = rich_law(random.uniform(0.9, 1.3) * scaled)
        rows += [{"setting": name, "seed": seed, "kind": "rescaled", "position": scaled, "value": value}]
        rows += [{"setting": name, "seed": seed, "kind": "raw", "position": middle + unit * scaled, "value": value}]
    return pd.DataFrame(rows).explode(["position", "value"]).astype({"position": float, "value": float})


def distances_of(names):
    random, rows = np.random.default_rng(3), []
    for name, given, target in product(names, (0.5, 0.75, 1, 1.25, 1.5), (0, 0.25, 0.5, 0.75, 1)):
        _, _, hidden, output = NETWORKS[name]
        theory = np.sqrt(hidden / output) * given * target
        rows.append(
            {
                "setting": name, "input_distance": given**2, "target_distance": target**2, "seed": 0,
                "converged": (given, target) != (1.5, 0.25), "hidden_start": 0.01, "theory": theory,
                "measured": theory * random.uniform(0.8, 1.1),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def structure_of(cases=("lazy", "rich", "shallow", "intermediate"), seeds=3):
    random, rows, target = np.random.default_rng(4), [], (0, 1, 1, 0)
    for case, seed, (a, b) in product(cases, range(seeds), combinations(range(4), 2)):
        size = {"lazy": 45.0}.get(case, 0.37)
        theory = size * (abs(target[a] - target[b]) + 0.02)
        rows.append(
            {"case": case, "seed": seed, "a": a, "b": b, "initial": 0.01, "theory": theory,
             "measured": theory * random.uniform(0.8, 1.2)}
        )  # fmt: skip
    return pd.DataFrame(rows)


def axes_of(points=150):
    random, tables = np.random.default_rng(5), []
    for case, activation in product(("low", "high", "vlow"), ("tanh", "leaky_relu")):
        x, y, context = random.uniform(-1, 1, points), random.uniform(-1, 1, points), np.arange(points) % 2
        relevant = np.where(context == 0, x, y)
        sheets = [x, y, context - 0.5] if case == "high" else [relevant, 0.3 * (context - 0.5), 0.05 * x]
        tables.append(
            pd.DataFrame({"case": case, "activation": activation, "context": context, "x": x, "y": y}
                         | {f"axis_{n + 1}": part + 0.02 * random.normal(size=points) for n, part in enumerate(sheets)})
        )  # fmt: skip
    return pd.concat(tables)


def images_of(count=40, classes=10):
    random = np.random.default_rng(6)
    labels = np.sort(random.integers(0, classes, count))
    sizes, far = np.bincount(labels, minlength=classes), random.uniform(5, 9, (classes, classes))
    rows = []
    for a, b in product(range(count), repeat=2):
        i, j = labels[a], labels[b]
        mean = (far[i, j] + far[j, i]) * (i != j)
        rows.append({"a": a, "b": b, "label_a": i, "label_b": j, "theory": 1e9 * mean * sizes[i] * sizes[j],
                     "theory_mean": mean})  # fmt: skip
    table = pd.DataFrame(rows)
    noise = random.uniform(0, 4, (count, count))
    return table.assign(measured=table["theory_mean"] + (noise + noise.T)[table["a"], table["b"]])


def bridge_of(measures=("cka_linear", "mutual_knn_euclidean"), settings=ARCHITECTURES[:5]):
    random, rows = np.random.default_rng(7), []
    for experiment, measure in product(("images", "two_point"), measures):
        for (a, b), seed in product(combinations([*settings, *settings], 2), range(2)):
            offset = random.normal(0, 0.05)
            for progress in np.linspace(0, 1, 9):
                rows.append(
                    {"experiment": experiment, "setting_a": a, "setting_b": b, "progress": progress,
                     "kind": "same architecture" if a == b else "other architecture", "measure": measure,
                     "seed": seed, "value": 0.4 + 0.5 * progress - 0.1 * (a != b) + offset}
                )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def curves():
    return curves_of(FEW)


@pytest.fixture(scope="module")
def fits():
    return pd.concat(
        [
            fits_of(NETWORKS),
            fits_of(["default"], experiment="depth", layers=range(20)),
            fits_of(["default"], experiment="alternatives", variants=VARIANTS),
        ],
        ignore_index=True,
    )


def titles_of(figure):
    return [axis.get_title(loc="left") for axis in figure.axes]


def words_of(axis):
    return "\n".join(text.get_text() for text in axis.texts)


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def dashed(axis):
    return [line for line in axis.lines if line.is_dashed() and len(line.get_xdata()) > 2]


def thick(axis):
    """Measured lines of typical runs."""
    return [line for line in axis.lines if line.get_linewidth() == 2.4]


def of(table, **fixed):
    for name, value in fixed.items():
        table = table[table[name] == value]
    return table


def rows_of(figure):
    """Panels of a figure by their place from the top."""
    return len({round(axis.get_position().y0, 3) for axis in figure.axes})


def test_settings_come_in_the_order_of_the_paper():
    assert in_order(["unknown", "two_layer", "gain_1.6", "gain_0.9", "cnn", "default", "cnn"]) == [
        "default", "cnn", "gain_0.9", "gain_1.6", "two_layer", "unknown",
    ]  # fmt: skip
    assert in_order(SETTINGS)[:11] == list(ARCHITECTURES)
    both = pd.DataFrame({"experiment": ["trajectories", "two_point", "two_point"], "setting": ["a", "cnn", "default"]})
    assert cases(both) == [("two_point", "default"), ("two_point", "cnn"), ("trajectories", "a")]
    looks = setting_looks([*SETTINGS, *map(str, range(10))])
    assert len({(look["color"], look["marker"]) for look in looks.values()}) == len(looks)


def test_typical_run_is_the_lower_median():
    assert middle({4: 3.0, 0: 1.0, 1: 9.0, 2: 2.0}) == 2 and middle({0: np.inf, 1: 2.0, 2: 5.0}) == 2
    assert middle({}) is None


def test_trajectories_show_measured_and_dashed_theory(curves, fits):
    figure = trajectories(curves, fits=fits)
    median = of(fits, experiment="two_point", setting="default")["r2"].median()
    assert titles_of(figure)[0] == f"default: R² {median:.3f}"
    assert [title.split(":")[0] for title in titles_of(figure)] == ["default", "shallow", "cnn", "gain 1.6"]
    assert figure.axes[0].get_xlabel() == "epoch" and figure.axes[0].get_ylabel() == "squared distance"
    axis = figure.axes[1]
    assert len(thick(axis)) == len(dashed(axis)) == 3
    rows = of(curves, setting="shallow", quantity="output")
    halves = {seed: run.loc[run["measured"] > TARGET / 2, "epoch"].min() for seed, run in rows.groupby("seed")}
    typical = of(rows, seed=middle(halves))
    assert np.asarray(thick(axis)[1].get_ydata()) == pytest.approx(typical["measured"].to_numpy())
    assert np.asarray(dashed(axis)[1].get_ydata()) == pytest.approx(typical["theory"].to_numpy())
    assert len([line for line in axis.lines if line.get_linewidth() == 0.6 and len(line.get_xdata()) > 2]) == 3 * 4
    assert legend_of(figure) == ["hidden distance h", "output distance y", "overlap w", "theory", "other runs"]
    assert misplaced(figure) == []


def test_runs_that_did_not_converge_are_counted_and_not_drawn(curves, fits):
    for draw, quantities in ((trajectories, 3), (loss_curves, 1), (phase_plane, 1)):
        figure = draw(curves, fits=fits)
        default, _, some, none = figure.axes
        assert "converge" not in words_of(default) and "2 of 5 did not converge" in words_of(some)
        assert "5 of 5 did not converge" in words_of(none) and not none.lines
        measured = [line for line in some.lines if not line.is_dashed() and len(line.get_xdata()) > 2]
        assert len(measured) == 3 * quantities
    assert misplaced(figure) == []
    assert len(thick(trajectories(curves).axes[3])) == 3  # without fits nothing is left out


def test_large_hidden_distances_are_scaled_and_said_to_be(curves, fits):
    axis = trajectories(curves, fits=fits).axes[2]
    hidden = of(curves, setting="cnn", quantity="hidden")
    assert hidden["measured"].max() > 3 and "0.1 h is drawn" in words_of(axis)
    assert thick(axis)[0].get_ydata()[-1] == pytest.approx(hidden["measured"].max() / 10, rel=0.1)
    assert "is drawn" not in words_of(trajectories(curves, fits=fits).axes[0])
    only = trajectories(curves, ("output",))
    assert len(thick(only.axes[2])) == 1 and words_of(only.axes[2]) == ""


def test_loss_has_a_line_where_the_mean_is_learned(curves, fits):
    figure = loss_curves(curves, fits)
    axis = figure.axes[0]
    (line,) = [line for line in axis.lines if len(line.get_xdata()) == 2]
    assert set(line.get_ydata()) == {0.0625} and line.get_linestyle() == ":"
    assert axis.get_yscale() == "log" and axis.get_ylim()[0] >= 1e-4 and len(dashed(axis)) == 1
    images = curves_of(["default"], experiment="trajectories")
    figure = loss_curves(pd.concat([curves, images]), fits)
    assert titles_of(figure)[4] == "default, images" and len(figure.axes[4].lines) == 6


def test_phase_plane_shows_shares_of_the_end(curves, fits):
    figure = phase_plane(curves, fits)
    assert titles_of(figure)[0] == "default: R² 0.990"
    (measured,), (theory,) = thick(figure.axes[0]), dashed(figure.axes[0])
    assert measured.get_xdata()[-1] == pytest.approx(1) and measured.get_ydata()[-1] == pytest.approx(1, abs=0.01)
    assert np.interp(0.5, theory.get_xdata(), theory.get_ydata()) == pytest.approx(0.25, abs=0.03)


def test_every_setting_has_a_panel_in_at_most_four_columns(fits):
    figure = trajectories(curves_of(NETWORKS, points=30, seeds=2), fits=fits)
    assert len(figure.axes) == len(NETWORKS)
    assert misplaced(figure) == [] and rows_of(figure) == 5


def test_collapse_has_raw_and_rescaled_curves_with_the_law():
    rises = rises_of(NETWORKS)
    figure = collapse(rises)
    raw, scaled = figure.axes
    assert raw.get_xscale() == "log" and len(raw.lines) == 3 * len(NETWORKS) and len(dashed(raw)) == 0
    (law,) = dashed(scaled)
    assert np.interp(0, law.get_xdata(), law.get_ydata()) == pytest.approx(0.25, abs=1e-3)
    shares = [
        identity_r2(run["value"], rich_law(run["position"]))
        for _, run in of(rises, kind="rescaled").groupby(["setting", "seed"])
    ]
    assert titles_of(figure)[1] == f"Rescaled: median R² {np.median(shares):.3f}"
    assert len(legend_of(figure)) == len(NETWORKS) + 1
    typical = [line for line in scaled.lines if line.get_linewidth() == 1.4]
    assert {line.get_label() for line in typical} == set(NETWORKS) and len(typical) == len(NETWORKS)
    assert misplaced(figure) == []


def test_quality_is_sorted_with_its_bounds(fits):
    figure = fit_quality(fits)
    (axis,) = figure.axes
    names = [text.get_text() for text in axis.get_yticklabels()]
    medians = {name.split(" (")[0].replace(" ", "_"): None for name in names}
    kept = fits[fits["converged"] & (fits["experiment"] == "two_point")]
    order = [kept.loc[kept["setting"] == name, "r2"].median() for name in medians]
    assert len(names) == len(NETWORKS) and order[:-1] == sorted(order[:-1], reverse=True)
    assert names[-1] == "gain 1.6 (5 of 5 lost)" and "cnn (2 of 5 lost)" in names
    bounds = [
        line.get_xdata()[0] for line in axis.lines if len(line.get_ydata()) == 2 and line.get_linestyle() != "None"
    ]
    assert bounds == pytest.approx([0.05, 0.15])
    arrows = [line for line in axis.lines if line.get_marker() == "<"]
    assert len(arrows) == 1 and set(arrows[0].get_xdata()) == {2.0}  # gain 1.4, whose R² is far below 0
    hollow = [line for line in axis.lines if line.get_markerfacecolor() == "none"]
    assert len(hollow) == len(NETWORKS) - 1
    assert axis.get_xlim()[0] > axis.get_xlim()[1] and misplaced(figure) == []


def test_rates_are_of_runs_that_converged(fits):
    figure = rates(fits)
    for axis, column in zip(figure.axes, ("hidden_rate", "output_rate"), strict=True):
        shown = [line for line in axis.lines if set(line.get_ydata()) == {0} and line.get_marker() != "|"]
        expected = of(fits, experiment="two_point", setting="default")[column]
        assert np.asarray(shown[0].get_xdata()) == pytest.approx(expected.to_numpy())
        assert axis.get_xscale() == "log" and axis.get_xlim()[0] > 1e-7
        assert axis.get_xlabel().endswith("(1 / epoch)")
    arrows = [line for line in figure.axes[0].lines if line.get_marker() == "<"]
    assert len(arrows) == 1 and "below 1e-06" in legend_of(figure)
    assert misplaced(figure) == []


def test_gains_go_from_rich_to_lazy(fits):
    figure = gain_trend(fits)
    (axis,) = figure.axes
    rows = fits[fits["setting"].isin(GAINS) & (fits["experiment"] == "two_point")]
    (law,) = dashed(axis)
    kept = rows[rows["converged"]].assign(gain=[SETTINGS[name].gain for name in rows.loc[rows["converged"], "setting"]])
    expected = (kept["hidden_theory"] / kept["hidden_start"]).groupby(kept["gain"]).median()
    assert list(law.get_xdata()) == list(expected.index) == [0.9, 1.0, 1.1, 1.2, 1.3, 1.4]
    assert np.asarray(law.get_ydata()) == pytest.approx(expected.to_numpy())
    (ring,) = [line for line in axis.lines if line.get_markersize() == 10]
    (lost,) = [line for line in axis.lines if line.get_marker() == "P"]
    apart = (kept["hidden_theory"] / kept["hidden_end"] - 1).abs() > 0.1
    assert set(ring.get_xdata()) == set(kept.loc[apart, "gain"]) and list(lost.get_xdata()) == [1.6] * 5
    assert axis.get_xticklabels()[-1].get_text() == "1.6\n5 of 5 lost" and axis.get_yscale() == "log"
    assert misplaced(figure) == []


def test_alternatives_stand_beside_the_theory(fits):
    fits = fits.copy()
    fits.loc[(fits["experiment"] == "alternatives") & (fits["seed"] == 4), "converged"] = False
    figure = alternatives(fits)
    (axis,) = figure.axes
    rows = of(fits, experiment="alternatives", converged=True)
    wide = rows.pivot(index="seed", columns="variant", values="residual")[list(VARIANTS)]
    best = int((wide.idxmin(axis=1) == "theory").sum())
    assert titles_of(figure) == [f"default: theory best in {best} of 4"] and "1 of 5 did not converge" in words_of(axis)
    runs = [line for line in axis.lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in runs] == [pytest.approx(list(row)) for row in wide.to_numpy()]
    assert axis.get_xscale() == "log" and axis.get_yticklabels()[0].get_text() == "theory"
    ratio = wide["flipped_sign"].median() / wide["theory"].median()
    assert f"{ratio:.3g} times" in words_of(axis)
    assert misplaced(figure) == []
    two = pd.concat([fits, of(fits, experiment="alternatives").assign(setting="relu")])
    assert len(alternatives(two).axes) == 2


def test_depth_has_medians_over_layers(fits):
    figure = depth(fits)
    rows = of(fits, experiment="depth")
    for axis, column in zip(figure.axes, ("residual", "hidden_rate", "output_rate"), strict=True):
        median = rows.groupby("layer")[column].median()
        assert np.asarray(axis.lines[SEEDS].get_ydata()) == pytest.approx(median.to_numpy())
        assert len(axis.lines) == SEEDS + 1 and axis.get_yscale() == "log"
    least = rows.groupby("layer")["residual"].median().idxmin()
    assert titles_of(figure)[0] == f"Residual: least at layer {least}"
    assert legend_of(figure) == ["default, median", "a seed"]
    assert misplaced(figure) == []


def test_final_distances_stand_against_the_theory():
    distances = distances_of(["shallow", "default", "two_layer"])
    figure = final_distances(distances, "shallow")
    (axis,) = figure.axes
    kept = of(distances, setting="shallow", converged=True)
    shown = np.concatenate([np.asarray(points.get_offsets()) for points in axis.collections])
    expected = kept[["theory", "measured"]].to_numpy()
    assert np.sort(shown, axis=0) == pytest.approx(np.sort(expected, axis=0)) and len(shown) == 24
    pearson, share = np.corrcoef(expected.T)[0, 1], identity_r2(expected[:, 1], expected[:, 0])
    assert words_of(axis) == f"Pearson {pearson:.3f}\nR² to identity {share:.3f}\n1 of 25 did not converge"
    assert len([line for line in axis.lines if line.is_dashed()]) == 1 and axis.get_xlim() == axis.get_ylim()
    assert len(legend_of(figure)) == 5 + 5 + 1
    assert misplaced(figure) == []
    assert titles_of(final_distances(distances)) == ["default", "shallow", "two layer"]
    assert final_distances(distances, "cnn")._suptitle.get_text() == "no final distances of cnn to draw"


def test_exclusive_or_has_theory_beside_medians():
    structure = structure_of()
    figure = xor(structure)
    assert [title.split("\n")[0] for title in titles_of(figure)[::2]] == ["rich", "intermediate", "lazy", "shallow"]
    medians = structure.groupby(["case", "a", "b"])[["theory", "measured"]].median()
    for number, case in enumerate(("rich", "intermediate", "lazy", "shallow")):
        pair = [axis.images[0] for axis in figure.axes[2 * number : 2 * number + 2]]
        assert pair[0].get_clim() == pair[1].get_clim()
        for image, column in zip(pair, ("theory", "measured"), strict=True):
            matrix = np.asarray(image.get_array())
            assert matrix == pytest.approx(matrix.T)
            assert matrix[1, 3] == pytest.approx(medians.loc[(case, 1, 3), column])
        cells = [text.get_text() for text in figure.axes[2 * number + 1].texts]
        assert len(cells) == 16 and f"{medians.loc[(case, 0, 1), 'measured']:.2f}" in cells
    assert misplaced(figure) == []
    assert len(xor(of(structure, case="lazy")).axes) == 2


def test_axes_of_contexts_are_shaded_by_both_features():
    axes = axes_of()
    figure = context_axes(axes, "tanh")
    assert [title for title in titles_of(figure) if title] == [
        f"{case}, shaded by {feature}" for case in ("high", "low", "vlow") for feature in "xy"
    ]
    assert len(figure.axes) == 18 and rows_of(figure) == 6
    rows = of(axes, case="high", activation="tanh", context=1)
    points = figure.axes[4].collections[1]  # axes 1 and 3, shaded by y
    assert np.asarray(points.get_offsets()) == pytest.approx(rows[["axis_1", "axis_3"]].to_numpy())
    assert np.asarray(points.get_array()) == pytest.approx(rows["y"].to_numpy())
    assert figure.axes[4].get_xlabel() == "axis 1" and figure.axes[4].get_ylabel() == "axis 3"
    assert misplaced(figure) == []
    assert context_axes(axes)._suptitle.get_text().endswith("tanh")
    assert context_axes(axes, "elu")._suptitle.get_text() == "no axes of contexts to draw"


def test_images_are_parted_by_class():
    table = images_of()
    figure = image_structure(table)
    places = [axis for axis in figure.axes if axis.images and axis.get_xlabel()]
    assert [axis.get_title(loc="left").split("\n")[0] for axis in places] == [
        "Predicted, sums", "Predicted, means", "Measured",
    ]  # fmt: skip
    labels = table.drop_duplicates("a").set_index("a")["label_a"].to_numpy()
    assert len(places[0].lines) == 2 * int((np.diff(labels) != 0).sum())
    assert [text.get_text() for text in places[0].get_xticklabels()] == [f"{label}" for label in np.unique(labels)]
    pairs = table[table["a"] < table["b"]]
    across = pairs[pairs["label_a"] != pairs["label_b"]]
    r = [rows["theory_mean"].corr(rows["measured"]) for rows in (pairs, across)]
    assert places[1].get_title(loc="left").endswith(f"r {r[0]:.2f}; {r[1]:.2f} between classes")
    half = image_structure(pairs)  # each pair once
    assert np.asarray(half.axes[2].images[0].get_array()) == pytest.approx(np.asarray(places[2].images[0].get_array()))
    assert misplaced(figure) == []


def test_pairs_may_be_given_in_either_order():
    values = pd.Series({(0, 1): 1.0, (2, 0): 2.0, (1, 2): np.nan})
    matrix = symmetric(values, range(3))
    assert matrix[1, 0] == 1 and matrix[0, 2] == 2 and np.isnan(matrix[1, 2]) and np.isnan(matrix[2, 1])
    assert np.diag(matrix).tolist() == [0, 0, 0]


def test_bridge_compares_pairs_of_architectures():
    table = bridge_of()
    figure = bridge(table)
    assert [title.replace("\n", " ") for title in titles_of(figure)] == [
        "cka_linear (two points)", "mutual_knn_euclidean (two points)", "cka_linear (images)",
        "mutual_knn_euclidean (images)",
    ]  # fmt: skip
    same = of(table, experiment="two_point", measure="cka_linear", kind="same architecture")
    pairs = same.groupby(["setting_a", "setting_b", "progress"])["value"].mean().unstack()
    line, band = figure.axes[0].lines[0], figure.axes[0].collections[0].get_datalim(figure.axes[0].transData)
    assert np.asarray(line.get_ydata()) == pytest.approx(pairs.mean().to_numpy())
    assert band.y0 == pytest.approx(pairs.quantile(0.025).min()) and band.y1 == pytest.approx(
        pairs.quantile(0.975).max()
    )
    assert legend_of(figure) == ["same architecture", "other architecture"]
    assert misplaced(figure) == []
    assert titles_of(bridge(of(table, experiment="images"))) == ["cka_linear", "mutual_knn_euclidean"]


def test_gaps_are_drawn(curves, fits):
    broken = curves.copy()
    broken.loc[broken["seed"] == 1, ["measured", "theory"]] = np.nan
    broken.loc[broken["setting"] == "shallow", "theory"] = np.nan
    broken.loc[broken["setting"] == "default", ["measured", "theory"]] = np.nan
    fits = fits[~fits["setting"].isin(ARCHITECTURES[3:9])].copy()
    numbers = fits.select_dtypes("float").columns
    fits.loc[(fits["seed"] == 1) | (fits["setting"] == "cnn"), numbers] = np.nan
    distances, rises = distances_of(["default"]), rises_of(["default", "relu"])
    distances.loc[::3, "measured"], rises.loc[::7, "value"] = np.nan, np.nan
    structure, images, table = structure_of(), images_of(), bridge_of()
    structure.loc[(structure["case"] == "lazy"), "theory"] = np.nan
    images.loc[::5, "measured"], images["theory"] = np.nan, np.nan
    table.loc[::4, "value"] = np.nan
    for figure in (
        *(draw(broken, fits=fits) for draw in (trajectories, loss_curves, phase_plane)),
        *(draw(fits) for draw in (fit_quality, rates, gain_trend, alternatives, depth)),
        final_distances(distances), collapse(rises), xor(structure), image_structure(images), bridge(table),
        collapse(of(rises, kind="raw")), collapse(of(rises, kind="rescaled")),
    ):  # fmt: skip
        assert misplaced(figure) == []


def test_nothing_that_converged_is_drawn_as_such(fits):
    lost = fits.assign(converged=False)
    for draw in (fit_quality, rates, gain_trend, alternatives, depth):
        draw(lost).draw_without_rendering()
    assert "25 of 25 did not converge" in words_of(
        final_distances(distances_of(["cnn"]).assign(converged=False)).axes[0]
    )


@pytest.mark.parametrize(
    ("draw", "table"),
    [
        *((draw, lambda: curves_of(["default"], 5, 1)) for draw in (trajectories, loss_curves, phase_plane)),
        *((draw, lambda: fits_of(["default"])) for draw in (fit_quality, rates, gain_trend, alternatives, depth)),
        (collapse, lambda: rises_of(["default"])),
        (final_distances, lambda: distances_of(["default"])),
        (xor, structure_of),
        (context_axes, axes_of),
        (image_structure, images_of),
        (bridge, bridge_of),
    ],
)
def test_what_has_nothing_to_show_says_so(draw, table):
    assert draw(table()[:0])._suptitle.get_text().startswith("no ")
