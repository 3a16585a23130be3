"""Figures of similarities: what they show is what stands in the table, and all of it fits on the page."""

import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba
from pages import misplaced

from convergent.figures.similarity import (
    calibrated_by_depth,
    clustered,
    groundings_figure,
    layer_heat_maps,
    measure_agreement,
    shifted,
    similarity_by_depth,
    similarity_over_training,
    spaced,
    wrapped,
)
from convergent.figures.style import POPULATION_LOOKS
from convergent.groundings import groundings

COLUMNS = ("population", "layer_a", "layer_b", "measure", "network_a", "network_b", "value")
NETWORKS = ("net1", "net2", "net3", "net4")
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
LONG = tuple(f"encoder.layers.encoder_layer_{number}" for number in range(12))
EPOCHS = {"epoch_0001": 1, "epoch_0003": 3, "epoch_0010": 10, "trained": 30}
MANY = [f"distance_correlation_debiased_{number}" for number in range(37)]


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(params=[LAYERS, LAYERS[:1], LONG], ids=["seven", "one", "long"])
def layers(request):
    return request.param


def similarities(generator, layers=LAYERS, measures=("cka", "ridge"), networks=NETWORKS, ordered=("ridge",)):
    """Random similarities in all populations; the measures in `ordered` in both orders of each pair."""
    rows = []
    for measure in measures:
        pairs = itertools.permutations if measure in ordered else itertools.combinations
        for a, b in pairs(networks, 2):
            for population in ("trained", "untrained"):
                rows += [(population, la, lb, measure, a, b) for la, lb in itertools.product(layers, repeat=2)]
            for population in ("epoch_0001", "epoch_0003", "epoch_0010", "blurred", "grey", "shuffled"):
                rows += [(population, layer, layer, measure, a, b) for layer in layers]
        for a, b in itertools.permutations(networks, 2):
            rows += [("against_untrained", layer, layer, measure, a, b) for layer in layers]
        for network in networks:
            for population in ("noisy_0.1", "noisy_1", "permuted", "rotated"):
                rows += [(population, layer, layer, measure, network, network) for layer in layers]
    return pd.DataFrame([(*row, generator.random()) for row in rows], columns=COLUMNS)


def by_depth(table):
    same = table[table["layer_a"] == table["layer_b"]].rename(columns={"layer_a": "layer"})
    spread = same.groupby(["population", "layer", "measure"], sort=False)["value"].agg(["mean", "min", "max"])
    return spread.reset_index().rename(columns={"min": "minimum", "max": "maximum"})


def calibrations(generator, layers=LAYERS, measures=("cka", "ridge")):
    rows = [
        (population, layer, measure, a, b, *generator.random(4))
        for measure in measures
        for population in ("trained", "untrained", "shuffled")
        for layer in layers
        for a, b in itertools.combinations(NETWORKS, 2)
    ]
    columns = ("population", "layer", "measure", "network_a", "network_b", "score", "calibrated", "p_value")
    return pd.DataFrame(rows, columns=[*columns, "null_mean"])


def lines_of(axis):
    return {line.get_label(): np.asarray(line.get_ydata(), dtype=float) for line in axis.lines}


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_depth_shows_the_means_and_ranges_of_the_summary(generator, layers):
    summary = by_depth(similarities(generator, layers))
    figure = similarity_by_depth(summary, {"ridge": "Ridge regression", "cka": "CKA"})
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["Ridge regression", "CKA"]
    assert [axis.get_xlabel() for axis in figure.axes] == ["layer", "layer"]
    assert figure.axes[0].get_ylabel() == "mean similarity"
    # Checkpoints and altered copies are left out.
    drawn = ["trained", "untrained", "against_untrained", "shuffled", "blurred", "grey"]
    assert legend_of(figure) == drawn
    for axis, measure in zip(figure.axes, ("ridge", "cka"), strict=True):
        lines, bands = lines_of(axis), dict(zip(drawn, axis.collections, strict=True))
        for population in drawn:
            rows = summary[(summary["measure"] == measure) & (summary["population"] == population)]
            assert lines[population] == pytest.approx(rows["mean"].to_numpy())
            box = bands[population].get_datalim(axis.transData)
            assert (box.y0, box.y1) == pytest.approx((rows["minimum"].min(), rows["maximum"].max()))
    assert misplaced(figure) == []


def test_depth_draws_any_subset_of_populations_and_leaves_gaps(generator):
    summary = by_depth(similarities(generator))
    summary = summary[summary["population"].isin(["untrained", "grey"])]
    summary.loc[summary["layer"] == "conv3", ["mean", "minimum", "maximum"]] = np.nan
    figure = similarity_by_depth(summary, ["cka"])
    assert legend_of(figure) == ["untrained", "grey"]
    for values in lines_of(figure.axes[0]).values():
        assert np.isnan(values).tolist() == [layer == "conv3" for layer in LAYERS]


def test_depth_keeps_values_beyond_one_on_the_page(generator):
    summary = by_depth(similarities(generator))
    figure = similarity_by_depth(summary, ["cka"])
    assert figure.axes[0].get_ylim()[0] < 0 and 1 < figure.axes[0].get_ylim()[1] < 1.1
    summary.loc[0, ["mean", "minimum"]] = -3
    low, high = similarity_by_depth(summary, ["cka"]).axes[0].get_ylim()
    assert low < -3 and high > summary["maximum"].max()


def test_sixteen_panels_of_long_names_fit(generator):
    measures = [f"distance_correlation_{number}_debiased" for number in range(16)]
    figure = similarity_by_depth(by_depth(similarities(generator, measures=measures)), measures)
    assert len(figure.axes) == 16
    assert misplaced(figure) == []


def test_shifted_images_have_looks_of_their_own():
    looks = shifted([f"shift{number}" for number in range(6)])
    for key in ("color", "marker"):
        values = [str(look[key]) for look in looks.values()]
        assert len(set(values)) == 6
    markers = {look["marker"] for look in POPULATION_LOOKS.values()}
    assert not {look["marker"] for look in looks.values()} & markers
    colours = {to_rgba(look["color"]) for look in POPULATION_LOOKS.values()}
    assert not {to_rgba(look["color"]) for look in looks.values()} & colours
    assert len(shifted(["one"])) == 1 and shifted([]) == {}


def panel(figure, title):
    (axis,) = [axis for axis in figure.axes if axis.get_title(loc="left") == title]
    return axis


def shown(axis):
    return np.ma.filled(axis.images[0].get_array(), np.nan)


@pytest.mark.parametrize("measure", ["cka", "ridge"])
def test_heat_maps_show_means_over_both_orders_and_single_pairs(generator, layers, measure):
    table = similarities(generator, layers)
    figure = layer_heat_maps(table, measure, NETWORKS)
    names = [axis.get_title(loc="left") for axis in figure.axes]
    singles = [f"{a}, {b}" for a, b in itertools.combinations(NETWORKS, 2)]
    assert names[:-1] == ["trained, mean of 6 pairs", "untrained, mean of 6 pairs", *singles]
    assert figure._suptitle.get_text() == measure
    rows = table[table["measure"] == measure]
    for population in ("trained", "untrained"):
        chosen = rows[rows["population"] == population]
        mean = chosen.groupby(["layer_a", "layer_b"])["value"].mean().unstack().loc[list(layers), list(layers)]
        axis = panel(figure, f"{population}, mean of 6 pairs")
        expected = mean.to_numpy()
        # Either network of a symmetric measure may be called the first.
        assert shown(axis) == pytest.approx((expected + expected.T) / 2 if measure == "cka" else expected)
        assert axis.get_ylabel() == "layer of the first" and axis.get_xlabel() == "layer of the second"
        words = [text.get_text() for text in axis.texts]
        assert words == ([f"{value:.2f}" for value in shown(axis).flat] if len(layers) <= 8 else [])
    pair = rows[(rows["population"] == "trained") & (rows["network_a"] == "net2") & (rows["network_b"] == "net4")]
    axis = panel(figure, "net2, net4")
    expected = pair.set_index(["layer_a", "layer_b"])["value"].unstack().loc[list(layers), list(layers)]
    assert shown(axis) == pytest.approx(expected.to_numpy())
    assert (axis.get_ylabel(), axis.get_xlabel()) == ("layer of net2", "layer of net4")
    ticks = [text.get_text() for text in axis.get_yticklabels()]
    assert len(ticks) == len(layers) and all(
        layer.endswith(tick.lstrip("…")) for layer, tick in zip(layers, ticks, strict=True)
    )
    # One colour scale for all, and its bar.
    assert len({image.norm.vmin for axis in figure.axes[:-1] for image in axis.images}) == 1
    drawn = np.concatenate([shown(axis).ravel() for axis in figure.axes[:-1]])
    norm = figure.axes[0].images[0].norm
    if len(layers) > 1:
        assert (norm.vmin, norm.vmax) == pytest.approx((drawn.min(), drawn.max()))
    assert figure.axes[-1].get_ylabel() == "similarity"
    assert misplaced(figure) == []


def test_heat_map_draws_a_pair_that_is_stored_the_other_way_round(generator):
    table = similarities(generator, LAYERS[:2], ["cka"], ("net2", "net1"))
    figure = layer_heat_maps(table, "cka", ("net1", "net2"))
    stored = table[table["population"] == "trained"]["value"].to_numpy().reshape(2, 2)
    assert shown(panel(figure, "net1, net2")) == pytest.approx(stored.T)
    assert panel(figure, "trained, the only pair")


def test_heat_map_averages_only_pairs_with_the_usual_layers(generator):
    table = similarities(generator, LAYERS[:3], ["cka"])
    shallow = [(table[f"network_{side}"] == "net4") & (table[f"layer_{side}"] == "conv3") for side in "ab"]
    table = table[~shallow[0] & ~shallow[1] & (table["population"] == "trained")]
    # Undefined in one pair, and in all.
    table.loc[
        (table["network_a"] == "net1") & (table["layer_a"] == "conv1") & (table["layer_b"] == "conv1"), "value"
    ] = np.nan
    table.loc[(table["layer_a"] == "conv2") & (table["layer_b"] == "conv2"), "value"] = np.nan
    figure = layer_heat_maps(table, "cka", NETWORKS)
    usual = table[(table["network_a"] != "net4") & (table["network_b"] != "net4")]
    mean = shown(panel(figure, "trained, mean of 3 pairs"))
    first = usual[(usual["layer_a"] == "conv1") & (usual["layer_b"] == "conv1")]["value"]
    assert first.isna().sum() == 2 and mean[0, 0] == pytest.approx(first.mean())
    assert np.isnan(mean[1, 1]) and np.isfinite(mean).sum() == 8
    assert len(panel(figure, "trained, mean of 3 pairs").texts) == 8
    assert shown(panel(figure, "net1, net4")).shape == (3, 2)
    assert len(figure.axes) == 1 + 6 + 1
    # Where no two networks have the same layers there is no mean.
    table = table[table["network_a"].isin(["net3"]) & table["network_b"].isin(["net4"])]
    assert [axis.get_title(loc="left") for axis in layer_heat_maps(table, "cka", NETWORKS).axes] == ["net3, net4", ""]


def test_heat_maps_of_many_networks_show_six_pairs(generator):
    networks = [f"net{number}" for number in range(6)]
    figure = layer_heat_maps(similarities(generator, LAYERS[:2], ["cka"], networks), "cka", networks)
    assert len(figure.axes) == 2 + 6 + 1
    assert panel(figure, "trained, mean of 15 pairs")


def test_training_shows_the_mean_of_each_layer_at_each_epoch(generator, layers):
    table = similarities(generator, layers)
    table.loc[(table["population"] == "epoch_0003") & (table["layer_a"] == layers[0]), "value"] = np.nan
    figure = similarity_over_training(table, EPOCHS, ["cka", "ridge"])
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["cka", "ridge"]
    same = table[table["layer_a"] == table["layer_b"]]
    populations = ["untrained", *EPOCHS]
    for axis, measure in zip(figure.axes, ("cka", "ridge"), strict=True):
        assert axis.get_xlabel() == "epoch"
        assert [text.get_text() for text in axis.get_xticklabels()] == ["0", "1", "3", "10", "30"]
        for number, layer in enumerate(layers):
            rows = same[(same["measure"] == measure) & (same["layer_a"] == layer)].groupby("population")["value"]
            line, band = axis.lines[number], axis.collections[number].get_datalim(axis.transData)
            assert line.get_label() == layer
            assert list(line.get_xdata()) == [0, 1, 3, 10, 30]
            assert np.asarray(line.get_ydata()) == pytest.approx(rows.mean()[populations].to_numpy(), nan_ok=True)
            assert (band.y0, band.y1) == pytest.approx((rows.min()[populations].min(), rows.max()[populations].max()))
            assert np.isnan(line.get_ydata()).sum() == (number == 0)
    assert len(legend_of(figure)) == len(layers)
    assert misplaced(figure) == []
    # The lightest line still shows on white.
    red, green, blue, _ = to_rgba(figure.axes[0].lines[-1].get_color())
    assert 0.299 * red + 0.587 * green + 0.114 * blue < 0.75


def test_training_spreads_early_epochs_and_thins_their_names(generator):
    table = similarities(generator, LAYERS[:1], ["cka"])
    (axis,) = similarity_over_training(table, EPOCHS, ["cka"]).axes
    places = np.diff(axis.transData.transform([(epoch, 0) for epoch in (0, 1, 3, 10, 30)])[:, 0])
    assert places.min() > 0.12 * places.sum()
    epochs = list(range(0, 101))
    kept = spaced(epochs, np.log1p(epochs))
    assert (kept[0], kept[-1]) == (0, 100) and len(kept) < 12
    assert np.diff(np.log1p(kept)).min() >= 0.09 * np.log1p(100)
    assert spaced([5], np.array([1.0])) == [5]


def test_agreement_puts_measures_that_agree_side_by_side(generator):
    # Three groups, dealt out in turn.
    group = np.arange(12) % 3
    matrix = np.where(group[:, None] == group, 0.9, 0.1) + np.eye(12) * 0.1
    names = [f"measure{number}" for number in range(12)]
    figure = measure_agreement(names, matrix)
    axis, bar = figure.axes
    order = [names.index(text.get_text()) for text in axis.get_yticklabels()]
    assert [text.get_text() for text in axis.get_xticklabels()] == [names[place] for place in order]
    assert sorted(order) == list(range(12))
    assert np.count_nonzero(np.diff(group[order])) == 2
    assert shown(axis) == pytest.approx(matrix[np.ix_(order, order)])
    assert [text.get_text() for text in axis.texts] == [f"{value:.2f}" for value in shown(axis).flat]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("measure", "measure")
    assert bar.get_ylabel().startswith("rank correlation")
    assert misplaced(figure) == []


@pytest.mark.parametrize("count", [1, 2, 37])
def test_agreement_of_few_and_of_many_measures(generator, count):
    matrix = np.corrcoef(generator.normal(size=(count, 50))).reshape(count, count)
    if count > 2:
        matrix[3], matrix[:, 3] = np.nan, np.nan
    figure = measure_agreement(MANY[:count], matrix)
    axis = figure.axes[0]
    names = [text.get_text() for text in axis.get_yticklabels()]
    assert sorted(names) == sorted(MANY[:count])
    assert len(axis.texts) == (0 if count > 16 else count**2)
    assert misplaced(figure) == []
    # Names do not run into each other.
    boxes = [text.get_window_extent() for text in axis.get_yticklabels()]
    heights = sorted((box.y0, box.y1) for box in boxes)
    assert all(below[1] <= above[0] + 1 for below, above in itertools.pairwise(heights))


def test_clustering_survives_undefined_correlations():
    assert sorted(clustered(np.full((5, 5), np.nan))) == list(range(5))


def test_groundings_are_dots_with_intervals_and_chance(generator):
    rows = groundings(similarities(generator, measures=("a", "b", "c"), ordered=("b",)))
    rows[1]["undefined"] = 0.25
    rows.append(dict.fromkeys(rows[0], np.nan) | {"measure": "undefined"})
    figure = groundings_figure(rows)
    order = sorted(rows[:3], key=lambda row: -row["layer_identification"]) + rows[3:]
    by_place = sorted(
        zip(figure.axes[0].get_yticks(), [text.get_text() for text in figure.axes[0].get_yticklabels()], strict=True),
        reverse=True,
    )
    assert [words.split(" ")[0] for _, words in by_place] == [row["measure"] for row in order]
    assert [words for _, words in by_place if "(" in words] == ["b (25% undefined)"]
    for axis, column in zip(
        figure.axes, ("layer_identification", "trained_from_untrained", "noise_order"), strict=True
    ):
        (dots,) = axis.lines
        assert np.asarray(dots.get_xdata()) == pytest.approx([row[column] for row in order], nan_ok=True)
        assert list(dots.get_ydata()) == [3, 2, 1, 0]
        chance, *intervals = axis.collections
        expected = rows[0]["layer_identification_chance"] if column == "layer_identification" else 0.5
        assert chance.get_segments()[0][:, 0] == pytest.approx(expected)
        if column != "noise_order":
            (ranges,) = intervals
            ends = [segment[:, 0] for segment in ranges.get_segments() if len(segment)]
            expected = [(row[f"{column}_low"], row[f"{column}_high"]) for row in order[:3]]
            assert np.array(ends) == pytest.approx(np.array(expected))
        assert axis.get_xlabel() and axis.get_title(loc="left")
    assert legend_of(figure) == ["share of cases", "95 % interval over networks", "chance"]
    assert misplaced(figure) == []


def test_groundings_of_one_and_of_many_measures_fit(generator):
    one = groundings(similarities(generator, LAYERS[:1], ["a"], NETWORKS[:2]))
    assert misplaced(groundings_figure(one)) == []
    many = groundings(similarities(generator, LAYERS[:2], MANY))
    figure = groundings_figure(many)
    assert misplaced(figure) == []
    boxes = sorted(text.get_window_extent().y0 for text in figure.axes[0].get_yticklabels())
    assert np.diff(boxes).min() > 10


def test_calibration_by_depth_shows_means_and_what_chance_explains(generator, layers):
    table = calibrations(generator, layers)
    table["p_value"] = 0.01
    # One pair of six is enough.
    doubtful = (table["population"] == "untrained") & (table["layer"] == layers[-1])
    table.loc[doubtful & (table["network_a"] == "net3"), "p_value"] = 0.06
    figure = calibrated_by_depth(table)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["cka", "ridge"]
    for axis, measure in zip(figure.axes, ("cka", "ridge"), strict=True):
        assert axis.get_xlabel() == "layer"
        for population in ("trained", "untrained"):
            rows = table[(table["measure"] == measure) & (table["population"] == population)]
            means = rows.groupby("layer", sort=False)[["score", "calibrated", "null_mean"]].mean()
            own = [line for line in axis.lines if line.get_color() == POPULATION_LOOKS[population]["color"]]
            for column, style in {"score": "-", "calibrated": "--", "null_mean": ":"}.items():
                (line,) = [line for line in own if line.get_label() == column]
                assert line.get_linestyle() == style
                assert np.asarray(line.get_ydata()) == pytest.approx(means[column].to_numpy())
            hollow = [line for line in own if line.get_markerfacecolor() == "white"]
            expected = [len(layers) - 1] if population == "untrained" else []
            assert [list(line.get_xdata()) for line in hollow] == [expected, expected]
            if expected:
                values = [line.get_ydata()[0] for line in hollow]
                assert values == pytest.approx(means.iloc[-1][["score", "calibrated"]].tolist())
    assert legend_of(figure) == [
        *("trained", "untrained", "similarity", "calibrated", "mean by chance", "largest p > 0.05"),
    ]
    assert misplaced(figure) == []


def test_calibration_of_trained_networks_alone_with_gaps(generator):
    table = calibrations(generator, measures=["cka"]).query("population == 'trained'")
    table.loc[table["layer"] == "fc6", ["score", "calibrated", "p_value", "null_mean"]] = np.nan
    figure = calibrated_by_depth(table)
    assert "untrained" not in legend_of(figure)
    values = lines_of(figure.axes[0])["score"]
    assert np.isnan(values).tolist() == [layer == "fc6" for layer in LAYERS]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: similarity_by_depth(pd.DataFrame(columns=["population", "layer", "measure"], dtype=str), ["cka"]),
        lambda: layer_heat_maps(pd.DataFrame(columns=COLUMNS), "cka", NETWORKS),
        lambda: similarity_over_training(pd.DataFrame(columns=COLUMNS), EPOCHS, ["cka"]),
        lambda: measure_agreement([], np.empty((0, 0))),
        lambda: groundings_figure([]),
        lambda: calibrated_by_depth(pd.DataFrame(columns=["population", "layer", "measure"])),
    ],
)
def test_what_has_nothing_to_show_says_so(draw):
    assert draw()._suptitle.get_text().startswith("no ")


def test_values_that_are_all_undefined_are_drawn_as_gaps(generator):
    table = similarities(generator, LAYERS[:2])
    table["value"] = np.nan
    for figure in (
        similarity_by_depth(by_depth(table), ["cka"]),
        layer_heat_maps(table, "cka", NETWORKS),
        similarity_over_training(table, EPOCHS, ["cka"]),
        groundings_figure(groundings(table)),
    ):
        assert misplaced(figure) == []


def test_long_titles_are_parted():
    assert wrapped("cka_linear") == "cka_linear"
    assert wrapped("distance_correlation_debiased") == "distance_correlation_\ndebiased"
    assert wrapped("similarity of representations") == "similarity of\nrepresentations"


def test_figures_do_without_torch():
    command = "import sys, convergent.figures.similarity; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command]).returncode == 0
