"""Recorded activations are what a plain forward pass gives, row by row; traps are told, not fallen into."""

import errno
import json
import tracemalloc

import numpy as np
import pytest
import stand_in
import torch
from torch import nn

from convergent import activations, dumping
from convergent.activations import choose_positions, open_dump, require_same_samples
from convergent.dumping import dump, recorded
from convergent.errors import StudyError
from convergent.models import build, standardised

OPTIONS = stand_in.CAFFENET
LAYERS = ["conv1", "norm1", "conv5", "fc6", "fc8"]
TINY_VIT = stand_in.TINY_VIT
INDICES = np.array([7, 3, 11, 0, 5, 9, 2])


@pytest.fixture
def data():
    return stand_in.noise((1, 8, 6))


@pytest.fixture
def network(data):
    return build("caffenet", OPTIONS, data.shape, 10, seed=0)


def plain(network, data, layer):
    """The layer's output (images, ...) computed by running the layers before it one after another."""
    values = standardised(data.images(INDICES), data)
    with torch.no_grad():
        for name, module in network.eval().named_children():
            values = module(values)
            if name == layer:
                return values.numpy()
    raise KeyError(layer)


def expected(values, choice, positions):
    """Rows (samples, units), gathered one by one."""
    if values.ndim == 2:
        return values
    images, channels, height, width = values.shape
    if choice == "mean":
        return values.mean(axis=(2, 3))
    if choice == "flatten":
        return values.reshape(images, channels * height * width)
    rows = []
    for image in range(images):
        for position in positions[image % len(positions)]:
            y, x = divmod(int(position), width)
            rows.append(values[image, :, y, x])
    return np.array(rows)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
@pytest.mark.parametrize("choice", activations.POSITIONS)
def test_dump_is_a_plain_forward_pass(tmp_path, network, data, choice, batch_size):
    network.train()
    per_image = 5 if choice == "sample" else None
    how = {"positions": choice, "positions_per_image": per_image, "batch_size": batch_size}
    dump(network, data, INDICES, LAYERS, tmp_path, key="k", weights_digest="w", **how)
    assert network.training
    found = open_dump(tmp_path, "k")
    assert found.layers == LAYERS
    assert np.array_equal(found.images(), INDICES)
    for layer in LAYERS:
        rows = found.activations(layer)
        values = plain(network, data, layer)
        assert rows.dtype == np.float32
        assert np.allclose(rows, expected(values, choice, found.positions(layer)), atol=1e-5)
        assert found.units(layer) == rows.shape[1]
        # Each row says which image it came from.
        per = len(rows) // len(INDICES)
        assert np.array_equal(found.image_of_row(layer), np.arange(len(rows)) // per)
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"{layer}.npy" for layer in LAYERS),
        "samples.npz",
        "dump.json",
    }


def test_all_positions_are_in_row_major_order(tmp_path, network, data):
    dump(network, data, INDICES, ["conv1"], tmp_path)
    values = plain(network, data, "conv1")
    rows = open_dump(tmp_path).activations("conv1")
    assert np.allclose(rows.reshape(7, 8, 6, 4), values.transpose(0, 2, 3, 1), atol=1e-6)
    assert rows.min() >= 0  # after the ReLU
    assert (rows == 0).mean() > 0.05


def test_centre_of_even_and_odd_maps():
    assert choose_positions("centre", (8, 6), INDICES, None, 0).tolist() == [[4 * 6 + 3]]
    assert choose_positions("centre", (5, 3), INDICES, None, 0).tolist() == [[2 * 3 + 1]]


def test_sampled_positions():
    images = np.arange(3000)
    drawn = choose_positions("sample", (4, 3), images, 5, seed=1)
    assert drawn.shape == (3000, 5)
    assert (np.diff(drawn, axis=1) > 0).all()  # without replacement, in order
    # Every position is equally likely.
    counts = np.bincount(drawn.ravel(), minlength=12)
    assert abs(counts - 3000 * 5 / 12).max() < 5 * (3000 * 5 / 12) ** 0.5
    assert len({tuple(row) for row in drawn}) > 600  # of 792 possible ones
    assert np.array_equal(drawn, choose_positions("sample", (4, 3), images, 5, seed=1))
    assert not np.array_equal(drawn, choose_positions("sample", (4, 3), images, 5, seed=2))
    assert np.array_equal(drawn[::-1], choose_positions("sample", (4, 3), images[::-1], 5, seed=1))
    assert np.array_equal(choose_positions("sample", (4, 3), images, 12, 0), np.tile(np.arange(12), (3000, 1)))
    for wrong in (None, 0, 13):
        with pytest.raises(StudyError, match="positions_per_image"):
            choose_positions("sample", (4, 3), images, wrong, seed=1)


def test_same_samples_for_every_network(tmp_path, data):
    dumps = {}
    for name, seed, how in (
        ("a", 0, {}),
        ("b", 1, {}),
        ("seed", 0, {"position_seed": 1}),
        ("mean", 0, {"positions": "mean"}),
        ("flat", 0, {"positions": "flatten"}),
    ):
        how = {"positions": "sample", "positions_per_image": 4} | how
        dump(build("caffenet", OPTIONS, data.shape, 10, seed), data, INDICES, LAYERS, tmp_path / name, **how)
        dumps[name] = open_dump(tmp_path / name)
    dump(build("caffenet", OPTIONS, data.shape, 10, 0), data, INDICES[::-1], LAYERS, tmp_path / "order")
    dumps["order"] = open_dump(tmp_path / "order")

    def compared(layer, *names):
        require_same_samples({name: dumps[name] for name in names}, layer)

    compared("conv1", "a", "b")
    compared("conv1", "mean", "flat")  # rows are the same images
    compared("fc6", "a", "b", "seed", "mean", "flat")  # a dense layer has no positions
    for layer, one, other in (("conv1", "b", "seed"), ("conv1", "a", "mean"), ("fc6", "a", "order")):
        with pytest.raises(StudyError, match=f"'{one}' and '{other}'.*{layer}"):
            compared(layer, one, other)
    # conv1 and conv5 have maps of different sizes.
    assert dumps["a"].sample_digest("conv1") != dumps["a"].sample_digest("conv5")


def test_float16_is_within_a_thousandth(tmp_path, network, data):
    dump(network, data, INDICES, LAYERS, tmp_path / "half", dtype="float16")
    dump(network, data, INDICES, LAYERS, tmp_path / "full")
    for layer in LAYERS:
        half = open_dump(tmp_path / "half").activations(layer)
        assert half.dtype == np.float16
        assert np.allclose(half, open_dump(tmp_path / "full").activations(layer), rtol=1e-3, atol=1e-6)


def test_memory_is_bounded_by_the_batch(tmp_path, network):
    def peak(count):
        data = stand_in.noise((1, 8, 6), count=count)
        tracemalloc.start()  # sees the memory of NumPy, through which all that is written goes
        dump(network, data, np.arange(count), ["conv1"], tmp_path / str(count), batch_size=10)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(20)
    growth = peak(2000) - peak(200)
    assert growth < 0.05 * (tmp_path / "2000" / "conv1.npy").stat().st_size


@pytest.mark.parametrize(
    ("name", "options", "shape", "layers"),
    [
        ("resnet18", {}, (3, 32, 32), ["conv1", "layer1.0.bn1", "layer2", "layer1.0.conv1", "avgpool", "fc"]),
        ("vgg11", {}, (1, 32, 32), ["features.0", "features.1", "classifier.0", "classifier.6"]),
        (
            "vit_b_16",
            TINY_VIT,
            (1, 8, 8),
            ["encoder.layers.encoder_layer_0.self_attention", "heads"],
        ),
    ],
)
def test_zoo(tmp_path, name, options, shape, layers):
    data = stand_in.noise(shape)
    network = build(name, options, shape, 10, seed=0).eval()
    dump(network, data, INDICES, layers, tmp_path, positions="flatten", batch_size=4)
    found = open_dump(tmp_path)
    with torch.no_grad():
        scores = network(standardised(data.images(INDICES), data))
    assert np.allclose(found.activations(layers[-1]), scores, atol=1e-4)
    assert all(np.isfinite(found.activations(layer)).all() for layer in layers)


def test_in_place_relu_does_not_reach_back(tmp_path):
    """torchvision's ReLUs work in place on what features.0 (VGG) and layer1.0.bn1 (ResNet) gave."""
    data = stand_in.noise((3, 32, 32))
    network = build("vgg11", {}, data.shape, 10, seed=0).eval()
    dump(network, data, INDICES, ["features.0", "features.1"], tmp_path)
    before, after = (open_dump(tmp_path).activations(layer) for layer in ("features.0", "features.1"))
    assert before.min() < 0
    assert np.array_equal(np.maximum(before, 0), after)


def test_tokens(tmp_path):
    data = stand_in.noise((1, 8, 8))
    network = build("vit_b_16", TINY_VIT, data.shape, 10, seed=0).eval()
    layer = "encoder.layers.encoder_layer_1"
    with torch.no_grad(), recorded(network, [layer]) as outputs:
        network(standardised(data.images(INDICES), data))
    tokens = outputs[layer].numpy()  # (images, tokens, units)
    assert tokens.shape == (7, 5, 16)
    how = {"sample": {"positions_per_image": 2}}
    found = {}
    for choice in ("all", "mean", "flatten", "sample"):
        dump(network, data, INDICES, [layer], tmp_path / choice, positions=choice, **how.get(choice, {}))
        found[choice] = open_dump(tmp_path / choice)
    rows = {choice: recording.activations(layer) for choice, recording in found.items()}
    assert np.allclose(rows["all"], tokens.reshape(35, 16), atol=1e-5)
    assert np.allclose(rows["mean"], tokens.mean(axis=1), atol=1e-5)
    assert np.allclose(rows["flatten"], tokens.reshape(7, 80), atol=1e-5)
    picked = np.take_along_axis(tokens, found["sample"].positions(layer)[:, :, None], axis=1)
    assert np.allclose(rows["sample"], picked.reshape(14, 16), atol=1e-5)
    with pytest.raises(StudyError, match="tokens have no centre"):
        dump(network, data, INDICES, [layer], tmp_path / "centre", positions="centre")


class Trap(nn.Module):
    """Calls one module twice and another never."""

    def __init__(self):
        super().__init__()
        self.block = nn.Module()
        self.block.relu = nn.ReLU()
        self.relu = nn.ReLU()
        self.unused = nn.Linear(2, 2)
        self.odd = nn.Flatten(0)
        self.split = Split()

    def forward(self, images):
        self.odd(images)
        self.split(images.flatten(1))
        return self.relu(self.relu(self.block.relu(self.block.relu(images.flatten(1)))))


class Split(nn.Module):
    def forward(self, values):
        return values + 1, values + 2


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("block.relu", r"called more than once.*'block'"),
        ("relu", r"called more than once.*record another module"),
        ("unused", r"\(Linear\) is not called.*block around it"),
        ("odd", r"gives a tensor of shape \(48,\)"),
        ("splt", r"no layer 'splt' \(did you mean 'split'\?\)"),
        ("", "no layer ''"),
    ],
)
def test_traps_are_told_and_leave_nothing_behind(tmp_path, data, layer, words):
    network = Trap()
    with pytest.raises(StudyError, match=words):
        dump(network, data, INDICES, ["split", layer], tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert network.training
    assert all(not module._forward_hooks for module in network.modules())


def test_of_a_tuple_the_first_tensor_is_taken(tmp_path, data):
    dump(Trap(), data, INDICES, ["split"], tmp_path)
    images = standardised(data.images(INDICES), data).flatten(1)
    assert np.allclose(open_dump(tmp_path).activations("split"), images + 1)


def test_modes_of_submodules_are_restored(tmp_path, network, data):
    network.train()
    network.drop6.eval()
    dump(network, data, INDICES, ["fc6"], tmp_path)
    assert network.training
    assert network.drop7.training
    assert not network.drop6.training


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_name_layer_and_unit(tmp_path, network, data, value):
    with torch.no_grad():
        network.conv5[0].bias[2] = value
    with pytest.raises(StudyError, match="unit 2 of layer 'conv5'"):
        dump(network, data, INDICES, ["conv1", "conv5"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_overflow_of_float16_is_told(tmp_path, network, data):
    with torch.no_grad():
        network.conv5[0].bias[2] = 1e5
    dump(network, data, INDICES, ["conv5"], tmp_path)
    with pytest.raises(StudyError, match="float32"):
        dump(network, data, INDICES, ["conv5"], tmp_path, dtype="float16")


def test_interrupted_dump_is_not_taken_for_finished(tmp_path, network, data, monkeypatch):
    dump(network, data, INDICES, ["conv1"], tmp_path, key="old")
    monkeypatch.setattr(dumping, "checked", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(StudyError, match="free space"):
        dump(network, data, INDICES, ["conv1"], tmp_path, key="new")
    with pytest.raises(StudyError, match="does not exist"):
        open_dump(tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_files_that_do_not_fit_are_told(tmp_path, network, data):
    dump(network, data, INDICES, ["conv1", "fc6", "fc7"], tmp_path, key="k")
    found = open_dump(tmp_path, "k")
    with pytest.raises(StudyError, match="another run"):
        open_dump(tmp_path, "other")
    with pytest.raises(StudyError, match=r"'fc8' \(did you mean 'fc\d'\?\).*conv1, fc6, fc7"):
        found.activations("fc8")
    np.save(tmp_path / "fc6.npy", np.zeros((3, 12), np.float32))
    with pytest.raises(StudyError, match=r"shape \(3, 12\) where dump.json"):
        found.activations("fc6")
    (tmp_path / "fc7.npy").write_bytes((tmp_path / "fc7.npy").read_bytes()[:-1])
    with pytest.raises(StudyError, match="cannot be read"):
        found.activations("fc7")
    (tmp_path / "conv1.npy").unlink()
    with pytest.raises(StudyError, match="does not exist"):
        found.activations("conv1")


def test_record_says_how_it_was_made(tmp_path, network, data):
    how = {"positions": "sample", "positions_per_image": 3, "position_seed": 8, "dtype": "float16"}
    dump(network, data, INDICES, ["conv5"], tmp_path, key="k", weights_digest="w", **how)
    record = json.loads((tmp_path / "dump.json").read_text())
    assert {key: record[key] for key in how} == how
    assert record["key"] == "k"
    assert record["weights"] == "w"
    assert record["preprocessing"] == {"mean": data.mean.tolist(), "std": data.std.tolist()}
    described = record["layers"]["conv5"]
    assert described.pop("samples_digest") == open_dump(tmp_path).sample_digest("conv5")
    assert described == {"units": 6, "samples": 21, "map": [4, 3]}


def test_empty_split_is_told(tmp_path, network, data):
    with pytest.raises(StudyError, match="no images"):
        dump(network, data, INDICES[:0], ["conv1"], tmp_path)
