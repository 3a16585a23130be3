"""Similarity of whole representations: one row per image, every pair of layers once, controls that know the answer."""

import json

import numpy as np
import pytest

from convergent.activations import RECORD
from convergent.adoption import adopt_activations
from convergent.errors import StudyError
from convergent.layerwise import (
    calibrate_networks,
    compare_networks,
    control,
    open_networks,
    per_image,
    rotated,
    similarity_rows,
)
from convergent.scores import calibrated_scores, same_layers
from convergent.similarity import MEASURES, Representation


@pytest.fixture
def generator():
    return np.random.default_rng(5)


@pytest.fixture
def networks(generator):
    """Three networks that share a signal in each layer; the third one has a layer of another name and width."""
    signal = {layer: generator.normal(size=(60, 5)) for layer in ("low", "high")}

    def layer(name, units):
        return Representation(
            (signal[name] @ generator.normal(size=(5, units)) + 0.5 * generator.normal(size=(60, units))).astype("f4"),
            name,
        )

    return {
        "a": {"low": layer("low", 6), "high": layer("high", 8)},
        "b": {"low": layer("low", 6), "high": layer("high", 8)},
        "c": {"low": layer("low", 7), "top": layer("high", 9), "high": layer("high", 4)},
    }


def plain(networks):
    return {
        name: {layer: np.asarray(one.activations) for layer, one in layers.items()} for name, layers in networks.items()
    }


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_positions_become_one_row_per_image(generator, dtype):
    maps = generator.normal(size=(7, 12, 3)).astype(dtype)  # images, positions, units
    stored = maps.reshape(-1, 3)
    exact = maps.astype(np.float64)
    assert per_image(stored, 7, "mean") == pytest.approx(exact.mean(axis=1), abs=1e-6)
    assert np.array_equal(per_image(stored, 7, "flatten"), maps.reshape(7, 36).astype(np.float32))
    dense = maps[:, 0]
    assert np.array_equal(per_image(dense, 7, "mean"), dense.astype(np.float32))
    many = np.repeat(np.arange(9000.0, dtype=np.float32), 2)[:, None]
    assert np.array_equal(per_image(many, 9000, "mean")[:, 0], np.arange(9000))


def test_every_pair_of_layers_is_compared_once_or_both_ways(networks):
    found = list(compare_networks(networks, [("a", "b"), ("a", "c")], ["cka_linear", "ridge_r2"], 1000, True))
    places = [(one.measure, a, one.layer_a, b, one.layer_b) for a, b, one in found]
    assert len(set(places)) == len(places)
    symmetric = {place for place in places if place[0] == "cka_linear"}
    directed = {place for place in places if place[0] == "ridge_r2"}
    assert len(symmetric) == 2 * 2 + 2 * 3
    assert {(a, b) for _, a, _, b, _ in symmetric} == {("a", "b"), ("a", "c")}
    assert len(directed) == 2 * (2 * 2 + 2 * 3)
    x = plain(networks)
    for a, b, one in found:
        assert one.value == pytest.approx(MEASURES[one.measure](x[a][one.layer_a], x[b][one.layer_b]), abs=1e-6)
        assert one.reason == ""


def test_only_layers_of_one_name_are_compared_on_the_way(networks):
    found = list(compare_networks(networks, [("a", "c")], ["cka_linear"], 1000, False))
    assert [(one.layer_a, one.layer_b) for _, _, one in found] == [("low", "low"), ("high", "high")]


def test_a_measure_without_a_value_says_why(generator):
    dead = Representation(np.zeros((20, 3), dtype="f4"), "net1 conv1")
    alive = Representation(generator.normal(size=(20, 3)), "net2 conv1")
    (found,) = compare_networks({"a": {"l": dead}, "b": {"l": alive}}, [("a", "b")], ["cka_linear"], 1000, True)
    assert np.isnan(found[2].value) and "net1 conv1" in found[2].reason
    (row,) = calibrate_networks({"a": {"l": dead}, "b": {"l": alive}}, [("a", "b")], ["cka_linear"], [], 20, 1000, 0)
    assert np.isnan(row["score"]) and "net1 conv1" in row["reason"]


def test_measures_of_pairs_of_images_look_at_a_sample_of_many(generator):
    x, y = (Representation(generator.normal(size=(80, 4)), name) for name in "xy")
    (few,) = compare_networks({"x": {"l": x}, "y": {"l": y}}, [("x", "y")], ["mutual_knn"], 20, True)
    (linear,) = compare_networks({"x": {"l": x}, "y": {"l": y}}, [("x", "y")], ["cka_linear"], 20, True)
    assert few[2].value == MEASURES["mutual_knn"](x, y, largest_samples=20) != MEASURES["mutual_knn"](x, y)
    assert linear[2].value == MEASURES["cka_linear"](x, y)


def test_controls_know_the_answer(networks):
    names = ["cka_linear", "procrustes", "permutation_correlation", "soft_matching", "mutual_knn"]
    untrained = {"b": networks["a"]}  # pretends that b began as a: whoever is compared with it is compared with a
    trained = {name: networks[name] for name in ("a", "b")}
    pairs = [("a", "b")]
    found = list(control(trained, untrained, pairs, trained, names, [0.1, 2.0], 1000, seed=4))
    values = {}
    for population, a, b, one in found:
        assert one.layer_a == one.layer_b
        values.setdefault((population, one.measure), {})[a, b, one.layer_a] = one.value
    rotation_invariant = [name for name in names if "orthogonal" in MEASURES[name].invariances]
    assert len(rotation_invariant) == 3 and all("permutation" in MEASURES[name].invariances for name in names)
    for name in names:
        assert list(values["permuted", name].values()) == pytest.approx([1] * 4, abs=1e-6), name
        expected = pytest.approx([1] * 4, abs=1e-6)
        assert (list(values["rotated", name].values()) == expected) == (name in rotation_invariant), name
        # Only a may be compared with the untrained b, and here that is a itself.
        assert values["against_untrained", name] == pytest.approx(
            {("a", "b", "low"): 1, ("a", "b", "high"): 1}, abs=1e-6
        )
        for place, similar in values["noisy_0.1", name].items():
            assert similar > values["noisy_2", name][place], (name, place)
        direct = {(a, b, s.layer_a): s.value for a, b, s in compare_networks(trained, pairs, [name], 1000, False)}
        for place, similar in values["shuffled", name].items():
            assert similar < direct[place], (name, place)
        assert (("against_rotated", name) in values) == (name not in rotation_invariant)


def test_a_rotated_partner_tells_whether_single_units_matter(generator):
    x = generator.normal(size=(200, 10))
    alike = {
        "a": {"l": Representation(x, "a")},
        "b": {"l": Representation(x + 0.1 * generator.normal(size=x.shape), "b")},
    }
    found = control(alike, {}, [("a", "b")], (), ["permutation_correlation"], [1.0, 2.0], 1000, seed=4)
    values = {population: one.value for population, _, _, one in found}
    assert set(values) == {"shuffled", "against_rotated"}
    assert values["against_rotated"] < 0.8 < 0.98 < MEASURES["permutation_correlation"](x, alike["b"]["l"])


def test_rotations_are_rotations_and_keep_no_axis(generator):
    turned = rotated(np.eye(6, dtype=np.float32), generator)
    assert turned @ turned.T == pytest.approx(np.eye(6), abs=1e-12)
    assert np.abs(turned).max() < 0.999
    first = np.array([rotated(np.eye(3), np.random.default_rng(seed))[0] for seed in range(4000)])
    # Every direction is equally likely: mean 0, variance 1/3 in each coordinate.
    assert first.mean(axis=0) == pytest.approx(np.zeros(3), abs=0.04)
    assert first.var(axis=0) == pytest.approx(np.full(3, 1 / 3), abs=0.02)


def test_calibration_is_that_of_the_library_and_of_the_maximum(networks):
    from convergent.similarity.calibration import calibrate, calibrate_maximum

    rows = list(
        calibrate_networks(networks, [("a", "c")], ["cka_linear", "ridge_r2"], ["mutual_knn"], 20, 1000, seed=3)
    )
    by_place = {(row["over"], row["measure"], row["network_a"], row["layer_a"]): row for row in rows}
    assert len(by_place) == len(rows) == 2 + 2 * 2 + 1
    expected = calibrate("cka_linear", networks["a"]["low"], networks["c"]["low"], 20, 3)
    row = by_place["layer", "cka_linear", "a", "low"]
    assert (row["score"], row["calibrated"], row["p_value"]) == (expected.score, expected.calibrated, expected.p_value)
    expected = calibrate_maximum("mutual_knn", networks["a"], networks["c"], 20, 3, largest_samples=1000)
    (row,) = [row for row in rows if row["over"] == "layers"]
    assert (row["score"], row["layer_a"], row["layer_b"]) == (expected.score, *expected.layers)
    assert row["null_mean"] == expected.null_mean > 0


def test_the_score_table_has_the_layers_that_all_networks_share(networks):
    found = list(compare_networks(networks, [("a", "c")], ["cka_linear"], 1000, True))
    rows = similarity_rows("mine", "k", (("trained", *one) for one in found))
    scores = same_layers(rows, ["low"])
    assert [(row["layer"], row["measure"]) for row in scores] == [("low", "cka_linear")]
    assert list(scores[0]) == ["study", "population", "layer", "measure", "network_a", "network_b", "value"]
    calibrated = [
        {"study": "mine", "population": "trained"} | row
        for row in calibrate_networks(networks, [("a", "c")], ["cka_linear"], ["cka_linear"], 20, 1000, 0)
    ]
    scores = calibrated_scores(calibrated, ["low", "high"])
    assert [(row["layer"], row["measure"], row["value"]) for row in scores] == [
        (row["layer_a"], "cka_linear_calibrated", row["calibrated"]) for row in calibrated if row["over"] == "layer"
    ]


def test_networks_on_other_images_are_refused(tmp_path, generator):
    for name, images in (("one", 12), ("two", 12), ("three", 15)):
        source = tmp_path / f"{name}.npz"
        np.savez(source, conv=generator.normal(size=(images, 3, 2, 2)), dense=generator.normal(size=(images, 4)))
        adopt_activations(source, tmp_path / name, {"conv": "conv", "dense": "dense"}, key=name)
    records = {name: tmp_path / name / RECORD for name in ("one", "two", "three")}
    opened = open_networks([records["one"], records["two"]], {"one": "one", "two": "two"}, "mean")
    assert {
        name: {layer: one.activations.shape for layer, one in layers.items()} for name, layers in opened.items()
    } == {name: {"conv": (12, 3), "dense": (12, 4)} for name in ("one", "two")}
    with pytest.raises(StudyError, match="'one' and 'three' were recorded on different images"):
        open_networks([records["one"], records["three"]], {"one": "one", "three": "three"}, "mean")
    record = json.loads(records["two"].read_text())
    with pytest.raises(StudyError, match="another run"):
        open_networks([records["two"]], {"two": record["key"] + "x"}, "mean")


def test_controls_of_a_pair_do_not_depend_on_the_other_networks(networks):
    def drawn(pairs, alone, seed=4):
        found = control(networks, {}, pairs, alone, ["cka_linear", "soft_matching"], [0.5, 1.0], 1000, seed)
        return {(population, *ab, one.layer_a, one.measure): one.value for population, *ab, one in found}

    together = drawn([("a", "b"), ("a", "c"), ("b", "c")], ["a", "b", "c"])
    apart = drawn([("b", "c")], ["c"])
    assert apart == {place: value for place, value in together.items() if place in apart} and len(apart) > 20
    assert drawn([("b", "c")], ["c"], seed=5) != apart
