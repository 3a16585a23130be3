"""Measured receptive fields are those of the arithmetic, and changes outside of them do nothing."""

import numpy as np
import pytest
import stand_in
import torch
from torch import nn

from convergent.dumping import recorded
from convergent.errors import StudyError
from convergent.models import build
from convergent.receptive_fields import receptive_fields, unit_values

DIGITS = stand_in.CAFFENET | {"channels": [32, 64, 9, 8, 6]}
NARROW = {"channels": [2] * 5, "dense": [3, 3]}  # in all else the network of the paper
TINY_VIT = stand_in.TINY_VIT


def one_axis(layers, length):
    """First and one past the last pixel for each position along one axis, layer by layer.

    `layers` are (kernel, stride, padding), None for the padding of a pooling that rounds up.
    """
    fields = [(pixel, pixel + 1) for pixel in range(length)]
    for kernel, stride, padding in layers:
        starts = range(-(padding or 0), len(fields) + (padding or 0), stride)
        windows = [range(max(start, 0), min(start + kernel, len(fields))) for start in starts]
        if padding is None:
            needed = max(0, -(-(len(fields) - kernel) // stride)) + 1
            windows = windows[:needed]
        else:
            windows = windows[: (len(fields) + 2 * padding - kernel) // stride + 1]
        fields = [(fields[window[0]][0], fields[window[-1]][1]) for window in windows]
    return np.array(fields)


def arithmetic(options, input_shape):
    """Fields of conv1..conv5 of a caffenet."""
    complete = {
        "kernels": (11, 5, 3, 3, 3),
        "strides": (4, 1, 1, 1, 1),
        "paddings": (0, 2, 1, 1, 1),
        "pools": (1, 2, 5),
        "pool_kernel": 3,
        "pool_stride": 2,
    } | options
    layers, fields = [], {}
    convolutions = zip(complete["kernels"], complete["strides"], complete["paddings"], strict=True)
    for number, convolution in enumerate(convolutions, start=1):
        layers.append(convolution)
        rows, columns = (one_axis(layers, length) for length in input_shape[1:])
        fields[f"conv{number}"] = np.array([[*row, *column] for row in rows for column in columns])
        if number in complete["pools"]:
            layers.append((complete["pool_kernel"], complete["pool_stride"], None))
    return fields


@pytest.mark.parametrize(
    ("options", "input_shape"),
    [
        (DIGITS, (1, 8, 8)),
        (DIGITS | {"pools": [1, 2], "pool_kernel": 3}, (1, 29, 18)),  # pooling windows cut off by the border
        (DIGITS | {"kernels": [5, 4, 3, 3, 2], "strides": [2, 1, 1, 2, 1], "paddings": [0, 2, 0, 1, 1]}, (3, 40, 33)),
        (NARROW, (3, 131, 115)),
    ],
)
def test_fields_of_convolutions_are_those_of_the_arithmetic(options, input_shape):
    network = build("caffenet", options, input_shape, 10, seed=0)
    expected = arithmetic(options, input_shape)
    measured = receptive_fields(network, list(expected), input_shape)
    for layer, fields in expected.items():
        np.testing.assert_array_equal(measured[layer], fields, err_msg=layer)


def test_fields_of_the_published_network():
    network = build("caffenet", NARROW, (3, 227, 227), 10, seed=0)
    known = {"conv1": (11, 4), "conv2": (51, 8), "conv3": (99, 16), "conv4": (131, 16), "conv5": (163, 16)}
    measured = receptive_fields(network, list(known), (3, 227, 227))
    for layer, (width, stride) in known.items():
        top, bottom, left, right = measured[layer].T
        side = int(np.sqrt(len(top)))
        whole = (bottom - top == width).reshape(side, side)[:, 0]
        assert (bottom - top).max() == (right - left).max() == width
        np.testing.assert_array_equal(np.diff(top.reshape(side, side)[whole, 0]), stride)


@pytest.mark.parametrize(
    ("name", "options", "layers"),
    [("caffenet", DIGITS, ["norm1", "conv3"]), ("resnet18", {}, ["layer1", "layer2.0"])],
)
def test_only_changes_inside_a_field_are_felt(name, options, layers, generator):
    shape = (3, 45, 38)
    network = build(name, options, shape, 10, seed=1).double().eval()
    fields = receptive_fields(network.float(), layers, shape)
    network.double()
    image = torch.from_numpy(generator.normal(size=shape))

    def at(changed, layer, position):
        with torch.no_grad(), recorded(network, [layer]) as outputs:
            network(changed[None])
        return unit_values(outputs[layer])[0, :, position].numpy()

    for layer in layers:
        for position in generator.choice(len(fields[layer]), 3, replace=False):
            top, bottom, left, right = fields[layer][position]
            before = at(image, layer, position)
            outside = torch.from_numpy(generator.normal(scale=9, size=shape))
            outside[:, top:bottom, left:right] = image[:, top:bottom, left:right]
            np.testing.assert_allclose(at(outside, layer, position), before, atol=1e-9)
            edges = [np.s_[:, top, left:right], np.s_[:, bottom - 1, left:right]]
            edges += [np.s_[:, top:bottom, left], np.s_[:, top:bottom, right - 1]]
            for edge in edges:
                inside = image.clone()
                inside[edge] += torch.from_numpy(generator.normal(scale=99, size=inside[edge].shape))
                assert (at(inside, layer, position) != before).any(), (layer, position, edge)


ACTIVATIONS = [nn.GELU(), nn.ReLU6(), nn.Hardswish(), nn.Hardtanh(), nn.SiLU(), nn.LeakyReLU(), nn.ELU(), nn.Softplus()]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda module: type(module).__name__)
@pytest.mark.parametrize("pool", [nn.MaxPool2d, nn.AvgPool2d])
def test_no_activation_or_pooling_hides_a_pixel(activation, pool):
    # Many images and channels invite the fast algorithms, over whose tiles NaN would spread.
    convolutions = nn.Conv2d(3, 32, 3, padding=1), activation, pool(3, 2), nn.Conv2d(32, 32, 3)
    fields = receptive_fields(nn.Sequential(*convolutions, nn.ReLU(inplace=True)), ["3"], (3, 24, 24))["3"]
    axis = one_axis([(3, 1, 1), (3, 2, 0), (3, 1, 0)], 24)
    assert fields.tolist() == [[*row, *column] for row in axis for column in axis]


def test_dense_layers_see_the_whole_image():
    network = build("mlp", {"widths": [5]}, (2, 7, 4), 3, seed=0)
    fields = receptive_fields(network, ["fc1", "fc2"], (2, 7, 4))
    assert fields["fc1"].tolist() == fields["fc2"].tolist() == [[0, 7, 0, 4]]


def test_tokens_see_their_patch_until_they_attend():
    network = build("vit_b_16", TINY_VIT, (3, 12, 12), 10, seed=0)
    first = "encoder.layers.encoder_layer_0"
    fields = receptive_fields(network, ["conv_proj", f"{first}.ln_1", first], (3, 12, 12))
    patches = [[top, top + 4, left, left + 4] for top in (0, 4, 8) for left in (0, 4, 8)]
    assert fields["conv_proj"].tolist() == patches
    assert fields[f"{first}.ln_1"].tolist() == [[0, 12, 0, 12], *patches]  # the class token depends on nothing yet
    assert fields[first].tolist() == [[0, 12, 0, 12]] * 10


class Odd(nn.Module):
    """A convolution with holes and a zero weight, a layer called twice, and one that ignores the image."""

    def __init__(self):
        super().__init__()
        self.holes = nn.Conv2d(1, 2, 3, dilation=2, padding=2)
        self.twice, self.unused, self.ignores = nn.ReLU(), nn.ReLU(), nn.Identity()
        nn.init.zeros_(self.holes.weight)

    def forward(self, images):
        values = self.twice(self.twice(self.holes(images)))
        return self.ignores(torch.zeros_like(values)).flatten(1) + values.flatten(1)


def test_a_field_covers_holes_and_zero_weights_and_nothing_counts_as_everything():
    fields = receptive_fields(Odd(), ["holes", "ignores"], (1, 9, 9))
    assert fields["holes"][4 * 9 + 4].tolist() == [2, 7, 2, 7]
    assert fields["holes"][0].tolist() == [0, 3, 0, 3]
    assert fields["ignores"].tolist() == [[0, 9, 0, 9]] * 81


@pytest.mark.parametrize(
    ("layer", "words"), [("hole", "did you mean 'holes'"), ("twice", "more than once"), ("unused", "not called")]
)
def test_layers_that_cannot_be_measured_are_told(layer, words):
    with pytest.raises(StudyError, match=words):
        receptive_fields(Odd(), [layer], (1, 9, 9))


def test_the_network_is_left_as_it_was():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.BatchNorm2d(4), nn.Dropout())
    network[3].eval()
    modes = [module.training for module in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    receptive_fields(network, ["0", "3"], (3, 8, 8))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert not any(module._forward_hooks for module in network.modules())
    assert torch.backends.mkldnn.enabled
