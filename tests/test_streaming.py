"""Statistics of networks while they run are those of their recorded activations, and cost no more for more images."""

import tracemalloc

import numpy as np
import pytest
import stand_in
import torch

from convergent import streaming
from convergent.activations import open_layer
from convergent.dumping import Watched, dump
from convergent.errors import StudyError
from convergent.models import build
from convergent.statistics import tile_statistics, units_of
from convergent.streaming import stream_moments, stream_statistics

LAYERS = {"early": "conv1", "late": "conv5", "dense": "fc6"}
SAMPLED = {"positions": "sample", "positions_per_image": 4, "position_seed": 3}
INDICES = np.arange(29)[::-1]


@pytest.fixture
def data():
    return stand_in.noise((1, 8, 6), count=30)


def networks(data, names="abc"):
    """Networks of which one has a dead unit, one a unit that is never zero, and one its own standardisation."""
    built = {
        name: build("caffenet", stand_in.CAFFENET, data.shape, 10, seed=number) for number, name in enumerate(names)
    }
    with torch.no_grad():
        built["a"].conv5[0].bias[2] = -100
        built["b"].conv1[0].bias[1] = 3
    return {name: Watched(network, LAYERS, ([0.3], [0.2]) if name == "c" else None) for name, network in built.items()}


def recorded(folder, watched, data, **how):
    """Layer -> network -> its activations, by way of files."""
    for name, (network, layers, standardisation) in watched.items():
        dump(network, data, INDICES, layers, folder / name, standardisation=standardisation, **how)
    records = [folder / name / "dump.json" for name in watched]
    return {layer: open_layer(records, dict.fromkeys(watched, ""), layer)[0] for layer in LAYERS}


def require_equal(found, expected, tolerance=1e-9):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=tolerance, rtol=tolerance, err_msg=name)


@pytest.mark.parametrize("batch_size", [1, 7, 100])
@pytest.mark.parametrize(
    "how",
    [{}, SAMPLED, {"positions": "mean"}, {"positions": "flatten"}, {"dtype": "float16"}],
    ids=["all", "sample", "mean", "flatten", "float16"],
)
def test_streamed_statistics_are_those_of_recordings(tmp_path, data, how, batch_size):
    watched = networks(data)
    streamed = dict(stream_statistics(watched, None, data, INDICES, batch_size=batch_size, **how))
    assert list(streamed) == list(LAYERS)
    for layer, activations in recorded(tmp_path, watched, data, batch_size=batch_size, **how).items():
        require_equal(streamed[layer], tile_statistics(activations))


@pytest.mark.parametrize("rows", [1, 100, 4096])
def test_batches_and_blocks_of_any_size_give_the_same(data, monkeypatch, rows):
    watched = networks(data)
    expected = dict(stream_statistics(watched, None, data, INDICES))
    monkeypatch.setattr(streaming, "ROWS_PER_BLOCK", rows)
    for batch_size in (1, 8, 29):
        for layer, found in stream_statistics(watched, None, data, INDICES, batch_size=batch_size):
            require_equal(found, expected[layer], 1e-6)


def test_streamed_statistics_are_numpys(tmp_path, data):
    watched = networks(data)
    activations = recorded(tmp_path, watched, data)["early"]
    streamed = dict(stream_statistics(watched, None, data, INDICES, batch_size=4))["early"]
    assert streamed["samples"] == 29 * 8 * 6
    a, b = (activations[name].astype(np.float64) for name in "ab")
    np.testing.assert_allclose(streamed["between/a/b"], np.corrcoef(a, b, rowvar=False)[:4, 4:], atol=1e-6)
    np.testing.assert_allclose(streamed["mean/b"], b.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(streamed["standard_deviation/b"], b.std(axis=0), rtol=1e-6)


def test_two_sides_of_a_tile(tmp_path, data):
    watched = networks(data)
    sides = [{name: watched[name] for name in names} for names in ("a", "bc")]
    streamed = dict(stream_statistics(*sides, data, INDICES, **SAMPLED))
    for layer, activations in recorded(tmp_path, watched, data, **SAMPLED).items():
        expected = tile_statistics(*({name: activations[name] for name in names} for names in ("a", "bc")))
        require_equal(streamed[layer], expected)


def test_dead_units_stay_dead(data):
    streamed = dict(stream_statistics(networks(data), None, data, INDICES, batch_size=5))["late"]
    assert not units_of(streamed)["a"].live[2]
    assert not streamed["within/a"][2].any() and not streamed["between/a/b"][2].any()


def test_each_image_is_read_once_for_all_networks(data):
    read = []
    images = data.images
    data.images = lambda indices: read.extend(indices) or images(indices)
    stream_moments(networks(data), [("a", "b")], data, INDICES, batch_size=8)
    assert read == [INDICES[0], *INDICES]  # the first one tells the sizes


def test_memory_does_not_grow_with_the_images(data):
    watched = networks(data)

    def peak(count):
        images = np.resize(INDICES, count)
        tracemalloc.start()  # sees the memory of NumPy, in which all sums are
        dict(stream_statistics(watched, None, data, images, batch_size=10))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(20)
    rows = 8 * 6 * 4 * 3 * 4  # bytes that conv1 of three networks gives for an image
    assert peak(1000) - peak(100) < 0.05 * 900 * rows


def test_networks_are_left_as_they_were(data):
    watched = networks(data)
    for network, *_ in watched.values():
        network.train()
    stream_moments(watched, [("a", "b")], data, INDICES)
    for network, *_ in watched.values():
        assert network.training
        assert all(not module._forward_hooks for module in network.modules())


def test_mistakes_name_the_network(data):
    watched = networks(data)
    with torch.no_grad():
        watched["b"].network.conv5[0].bias[3] = np.nan
    with pytest.raises(StudyError, match=r"^b: unit 3 of layer 'late' gives NaN"):
        stream_moments(watched, [("a", "b")], data, INDICES)
    unknown = {**watched, "c": watched["c"]._replace(layers={"early": "conv9"})}
    with pytest.raises(StudyError, match=r"^c: the network has no layer 'conv9'"):
        stream_moments(unknown, [("a", "c")], data, INDICES)
    with pytest.raises(StudyError, match="no images"):
        stream_moments(watched, [("a", "c")], data, INDICES[:0])


def test_maps_of_two_sizes_are_refused(data):
    """Sampled positions are as many in both, but not the same places."""
    watched = {name: own._replace(layers={"layer": "conv1"}) for name, own in networks(data).items()}
    watched["b"] = watched["b"]._replace(layers={"layer": "conv5"})
    with pytest.raises(StudyError, match="'a' and 'b' were recorded at layer on different samples"):
        stream_moments(watched, [("a", "b")], data, INDICES, **SAMPLED)
