"""Architectures: sizes known without torch are the real ones; CaffeNet is CaffeNet; mistakes are told."""

import subprocess
import sys
from pathlib import Path

import pytest
import stand_in
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from convergent.architectures import ARCHITECTURES
from convergent.errors import StudyError
from convergent.layers import check_layers, layer_shapes
from convergent.models import build, load_weights, save_weights, standardised

SMALL = {
    "channels": [4, 6, 8, 8, 6],
    "kernels": [3, 3, 3, 3, 3],
    "strides": [1, 1, 1, 1, 1],
    "paddings": [1, 1, 1, 1, 1],
    "pools": [1],
    "pool_kernel": 2,
    "dense": [12, 10],
}
TINY_VIT = stand_in.TINY_VIT


def shapes_in_torch(network, layers, input_shape):
    """Shapes of the layers' outputs, as a forward pass gives them."""
    found = {}
    for layer in layers:
        network.get_submodule(layer).register_forward_hook(
            lambda module, inputs, output, layer=layer: found.update({layer: tuple(output.shape[1:])})
        )
    with torch.no_grad():
        network.eval()(torch.zeros(1, *input_shape))
    return found


def test_full_size_is_exactly_caffenet():
    shapes = layer_shapes("caffenet", {}, (3, 227, 227), 1000)
    assert shapes == {
        "conv1": (96, 55, 55),
        "pool1": (96, 27, 27),
        "norm1": (96, 27, 27),
        "conv2": (256, 27, 27),
        "pool2": (256, 13, 13),
        "norm2": (256, 13, 13),
        "conv3": (384, 13, 13),
        "conv4": (384, 13, 13),
        "conv5": (256, 13, 13),
        "pool5": (256, 6, 6),
        "fc6": (4096,),
        "fc7": (4096,),
        "fc8": (1000,),
    }
    network = build("caffenet", {}, (3, 227, 227), 1000, seed=0)
    assert shapes_in_torch(network, shapes, (3, 227, 227)) == shapes
    # Weights and biases layer by layer: outputs x (fan-in + 1).
    by_hand = 96 * (3 * 121 + 1) + 256 * (96 * 25 + 1) + 384 * (256 * 9 + 1) + 384 * (384 * 9 + 1)
    by_hand += 256 * (384 * 9 + 1) + 4096 * (256 * 36 + 1) + 4096 * (4096 + 1) + 1000 * (4096 + 1)
    assert sum(weight.numel() for weight in network.parameters()) == by_hand == 62_378_344


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(5, 40), st.integers(5, 40)),
    kernels=st.lists(st.integers(1, 5), min_size=5, max_size=5),
    strides=st.lists(st.integers(1, 3), min_size=5, max_size=5),
    paddings=st.lists(st.integers(0, 2), min_size=5, max_size=5),
    pools=st.lists(st.integers(1, 5), max_size=5, unique=True),
    pool_kernel=st.integers(1, 4),
    pool_stride=st.integers(1, 4),
    normalise=st.booleans(),
)
def test_static_shapes_are_those_of_the_network(size, **options):
    options |= {"channels": [2, 3, 4, 3, 2], "dense": [5, 6]}
    input_shape = (2, *size)
    try:
        shapes = layer_shapes("caffenet", options, input_shape, 7)
    except StudyError as error:
        assert "nothing is left after" in str(error)
        return
    network = build("caffenet", options, input_shape, 7, seed=0)
    assert shapes_in_torch(network, shapes, input_shape) == shapes


@pytest.mark.parametrize(
    ("name", "options", "input_shape"),
    [("mlp", {"widths": [5, 4], "activation": "tanh"}, (1, 8, 8)), ("mlp", {"widths": []}, (3, 4, 4))],
)
def test_shapes_of_mlp(name, options, input_shape):
    shapes = layer_shapes(name, options, input_shape, 3)
    assert list(shapes.values())[-1] == (3,)
    assert shapes_in_torch(build(name, options, input_shape, 3, 0), shapes, input_shape) == shapes


@pytest.mark.parametrize(
    ("name", "options", "input_shape", "layer", "shape"),
    [
        ("resnet18", {}, (1, 32, 32), "layer2.0.conv1", (128, 4, 4)),
        ("vgg11", {}, (3, 32, 32), "features.3", (128, 16, 16)),
        ("vit_b_16", TINY_VIT, (1, 8, 8), "encoder.layers.encoder_layer_1", (5, 16)),
    ],
)
def test_zoo_gives_every_module_path(name, options, input_shape, layer, shape):
    shapes = layer_shapes(name, options, input_shape, 10)
    network = build(name, options, input_shape, 10, seed=3)
    assert list(shapes) == [path for path, _ in network.named_modules() if path]
    assert shapes[layer] == shape
    assert network.eval()(torch.zeros(2, *input_shape)).shape == (2, 10)


def test_grey_image_equals_three_equal_channels():
    grey, colour = (build("resnet18", {}, (channels, 32, 32), 10, seed=5).eval() for channels in (1, 3))
    images = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        assert torch.allclose(grey(images), colour(images.expand(-1, 3, -1, -1)), atol=1e-4)


def test_convolutions_end_in_relu_and_normalisation_follows_the_formula():
    network = build("caffenet", SMALL, (1, 8, 8), 10, seed=1).eval()
    images = 100 * torch.randn(3, 1, 8, 8)
    filters = network.conv1[0]
    by_hand = functional.conv2d(images, filters.weight, filters.bias, padding=1).clamp(min=0)
    assert torch.allclose(network.conv1(images), by_hand)
    pooled = network.pool1(by_hand)
    squares = functional.pad(pooled**2, (0, 0, 0, 0, 2, 2))
    window = sum(squares[:, start : start + 4] for start in range(5))  # the five channels around each of the four
    assert torch.allclose(network.norm1(pooled), pooled / (1 + 1e-4 / 5 * window) ** 0.75, rtol=1e-5)
    assert not torch.allclose(network.norm1(pooled), pooled, rtol=1e-3)


def test_initialisation():
    he = build("caffenet", SMALL | {"dense": [500, 400]}, (1, 8, 8), 10, seed=0)
    fan_in = he.fc7[0].weight.shape[1]
    assert float(he.fc7[0].weight.detach().std()) == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
    assert float(he.fc8.weight.detach().std()) == pytest.approx((1 / 400) ** 0.5, rel=0.05)
    caffe = build("caffenet", SMALL | {"dense": [500, 400], "initialisation": "caffe"}, (1, 8, 8), 10, seed=0)
    assert float(caffe.fc7[0].weight.detach().std()) == pytest.approx(0.005, rel=0.02)
    biases = [caffe.get_submodule(name)[0].bias.detach() for name in ("conv1", "conv2", "fc6")]
    assert [float(bias.mean()) for bias in biases] == [0, 1, 1]


@pytest.mark.parametrize(("name", "options"), [("caffenet", SMALL), ("mlp", {}), ("resnet18", {})])
def test_seed_decides_and_leaves_the_callers_randomness_alone(name, options):
    shape = (1, 8, 8) if name != "resnet18" else (3, 32, 32)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, again, other = (build(name, options, shape, 10, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("cafenet", {}, ["'cafenet'", "did you mean 'caffenet'"]),
        ("caffenet", {"chanels": [1]}, ["chanels", "did you mean 'channels'"]),
        ("caffenet", {"channels": [1, 2]}, ["channels", "five whole numbers", "[1, 2]"]),
        ("caffenet", {"dropout": 1.0}, ["dropout", "1.0"]),
        ("caffenet", {"pools": [6]}, ["pools", "[6]"]),
        ("caffenet", {"initialisation": "xavier"}, ["initialisation", "he, caffe"]),
        ("caffenet", {}, ["conv1", "8 x 8", "lower kernels[0]", "larger images"]),
        ("mlp", {"activation": "swish"}, ["activation", "relu"]),
        ("vgg11", {}, ["vgg11", "(1, 8, 8)"]),
        ("vit_b_16", {}, ["patch_size", "16"]),
        ("no_such_module:network", {}, ["no_such_module", "PYTHONPATH"]),
        ("math:network", {}, ["math", "network"]),
        ("math:sqrt", {}, ["math:sqrt", "TypeError"]),
    ],
)
def test_mistakes_are_told(name, options, words):
    with pytest.raises(StudyError) as caught:
        layer_shapes(name, options, (1, 8, 8), 10)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_unknown_layer_is_told_with_the_nearest():
    assert check_layers("caffenet", layer_shapes("caffenet", SMALL, (1, 8, 8), 10), ["conv1", "fc6"]) == {
        "conv1": (4, 8, 8),
        "fc6": (12,),
    }
    with pytest.raises(StudyError, match=r"'conv6' \(did you mean 'conv\d'\?\).*conv1, pool1, norm1"):
        check_layers("caffenet", layer_shapes("caffenet", SMALL, (1, 8, 8), 10), ["conv6"])
    with pytest.raises(StudyError, match=r"layer1\.0\.conv.*\.\.\. \(\d\d in all\)"):
        check_layers("resnet18", layer_shapes("resnet18", {}, (3, 32, 32), 10), ["layer1.0.conv"])


def test_users_function(tmp_path, monkeypatch):
    (tmp_path / "my_networks.py").write_text(
        "from torch import nn\n"
        "def tiny(input_shape, classes, width=4):\n"
        "    size = input_shape[0] * input_shape[1] * input_shape[2]\n"
        "    hidden, output = nn.Linear(size, width), nn.Linear(width, classes)\n"
        "    return nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), output)\n"
        "def number(input_shape, classes):\n"
        "    return 3\n"
        "def wrong(input_shape, classes):\n"
        "    return nn.Flatten()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert layer_shapes("my_networks:tiny", {"width": 6}, (1, 8, 8), 10)["2"] == (6,)
    with pytest.raises(StudyError, match="widht"):
        build("my_networks:tiny", {"widht": 6}, (1, 8, 8), 10, seed=0)
    with pytest.raises(StudyError, match="must return a torch"):
        build("my_networks:number", {}, (1, 8, 8), 10, seed=0)
    with pytest.raises(StudyError, match=r"scores \(1, 10\)"):
        layer_shapes("my_networks:wrong", {}, (1, 8, 8), 10)


def test_reading_the_configuration_needs_no_torch():
    code = (
        "import sys; from convergent.layers import layer_shapes; import convergent.activations;"
        "layer_shapes('caffenet', {}, (3, 227, 227), 1000);"
        "assert 'torch' not in sys.modules"
    )
    folder = Path(__file__).parents[1] / "workflow"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)


def test_registry_names_its_architectures():
    assert list(ARCHITECTURES) == ["caffenet", "mlp", "resnet18", "vgg11", "vit_b_16"]


# Weights on disk


@pytest.fixture
def saved(tmp_path):
    """A saved small network and its path."""
    network = build("caffenet", SMALL, (1, 8, 8), 10, seed=1)
    path = tmp_path / "network.safetensors"
    save_weights(path, network, {"key": "abc", "seed": "1"})
    return network, path


def test_weights_come_back(saved):
    network, path = saved
    other = build("caffenet", SMALL, (1, 8, 8), 10, seed=2)
    assert load_weights(path, other, key="abc") == {"key": "abc", "seed": "1"}
    assert all(torch.equal(network.state_dict()[name], value) for name, value in other.state_dict().items())
    assert [file.name for file in path.parent.iterdir()] == ["network.safetensors"]


def test_saved_twice_gives_the_same_bytes(saved, tmp_path):
    network, path = saved
    save_weights(tmp_path / "again.safetensors", network, {"key": "abc", "seed": "1"})
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def spoil_truncate(path, network):
    path.write_bytes(path.read_bytes()[:-100])


def spoil_pickle(path, network):
    torch.save(network.state_dict(), path)


def spoil_text(path, network):
    path.write_text("these are no weights")


def spoil_empty(path, network):
    path.write_bytes(b"")


def spoil_nan(path, network):
    with torch.no_grad():
        network.conv3[0].weight[0] = torch.nan
    save_weights(path, network, {"key": "abc"})


def spoil_absent(path, network):
    path.unlink()


def spoil_key(path, network):
    save_weights(path, network, {"key": "another"})


def spoil_architecture(path, network):
    save_weights(path, build("mlp", {}, (1, 8, 8), 10, 0), {"key": "abc"})


def spoil_width(path, network):
    save_weights(path, build("caffenet", SMALL | {"dense": [12, 11]}, (1, 8, 8), 10, 0), {"key": "abc"})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_truncate, "cannot be read"),
        (spoil_pickle, "is a pickle"),
        (spoil_text, "cannot be read"),
        (spoil_empty, "cannot be read"),
        (spoil_nan, "NaN or infinite values in 'conv3.0.weight'"),
        (spoil_absent, "does not exist"),
        (spoil_key, "made by another run"),
        (spoil_architecture, "another architecture"),
        (spoil_width, r"'fc7.0.\w+' of shape"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_nothing_is_loaded(saved, spoil, words):
    network, path = saved
    other = build("caffenet", SMALL, (1, 8, 8), 10, seed=2)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    spoil(path, network)
    with pytest.raises(StudyError, match=words):
        load_weights(path, other, key="abc")
    assert all(torch.equal(before[name], value) for name, value in other.state_dict().items())


def test_standardised_images_have_mean_0_and_deviation_1():
    digits = stand_in.digits()
    images = digits.images(digits.splits["train"])
    seen = standardised(images, digits)
    assert float(seen.mean()) == pytest.approx(0, abs=1e-4)
    assert float(seen.std(correction=0)) == pytest.approx(1, abs=1e-4)
    assert torch.allclose(seen, standardised(images.astype("float32") / 255, digits), atol=1e-6)
