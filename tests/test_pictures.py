"""The pictures of a unit show what it responds to: planted templates are found, gradients are worked by hand."""

import numpy as np
import pytest
import stand_in
import torch
from matplotlib import pyplot as plt
from torch import nn

from convergent.activations import open_dump
from convergent.dumping import dump
from convergent.errors import StudyError
from convergent.figures.units import activity_extremes, filters, unit_groups, unit_pairs, unit_predictors
from convergent.models import build, standardised
from convergent.mosaics import GROUND, mosaic
from convergent.pictures import first_layer_filters, guided_backpropagation, strongest_images, unit_pictures
from convergent.receptive_fields import receptive_fields

OPTIONS = stand_in.CAFFENET


def naive_strongest(activations, images, unit, count):
    """(image, row, value) of the images with the highest maximum, found by sorting all."""
    by_image = activations.reshape(images, -1, activations.shape[1])[:, :, unit]
    ranked = sorted(range(images), key=lambda image: (-by_image[image].max(), image))[:count]
    return [(image, int(by_image[image].argmax()), by_image[image].max()) for image in ranked]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("block", [1, 200, 10**6])
def test_strongest_images_are_those_of_a_plain_search(dtype, block, generator, monkeypatch):
    monkeypatch.setattr("convergent.pictures.VALUES_PER_BLOCK", block)
    activations = generator.integers(0, 6, (40 * 7, 5)).astype(dtype)  # full of ties
    activations[:, 3] = 2
    units = [4, 0, 3]
    strongest = strongest_images(activations, 40, units, 9)
    for place, unit in enumerate(units):
        found = list(zip(*(array[place].tolist() for array in strongest[:3]), strict=True))
        assert found == naive_strongest(activations, 40, unit, 9)
    np.testing.assert_array_equal(strongest.lowest, activations[:, units].min(axis=0))


def test_fewer_images_than_asked_for_are_all_given(generator):
    strongest = strongest_images(generator.normal(size=(4, 3)), 4, [0, 2], 9)
    assert strongest.images.shape == (2, 4)
    assert all(sorted(images) == [0, 1, 2, 3] for images in strongest.images)


def test_guided_gradients_of_a_linear_network_are_the_plain_ones(generator):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AvgPool2d(2), nn.Conv2d(3, 4, 2))
    inputs = torch.from_numpy(generator.normal(size=(5, 2, 9, 8)).astype(np.float32))
    units, positions = np.array([0, 3, 1, 1, 2]), np.array([0, 3, 2, 1, 2])
    leaf = inputs.clone().requires_grad_()
    values = network(leaf).flatten(2)
    values[torch.arange(5), torch.from_numpy(units), torch.from_numpy(positions)].sum().backward()
    guided = guided_backpropagation(network, "2", inputs, units, positions)
    np.testing.assert_allclose(guided, leaf.grad.numpy(), atol=1e-6)


def by_hand(in_place):
    """Four pixels; three hidden units, two of which are on; two outputs."""
    first, second = nn.Linear(4, 3), nn.Linear(3, 2)
    network = nn.Sequential(nn.Flatten(), first, nn.ReLU(in_place), second, nn.ReLU(in_place))
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, -2, 0, 3], [2, 1, -1, 0], [-5, 0, 0, -5]]))
        second.weight.copy_(torch.tensor([[2.0, -1, 7], [-1, 3, 7]]))
        first.bias.zero_()
        second.bias.fill_(1.0)
    return network


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("layer", ["3", "4"])
def test_guided_gradients_take_positive_paths_only(in_place, layer):
    # Pixels of 1 put the hidden units at 2, 2 and -10. Output 0 has the weight 2 to the first, -1 to the second.
    guided = guided_backpropagation(by_hand(in_place), layer, torch.ones(2, 1, 2, 2), np.array([0, 1]))
    assert guided.reshape(2, 4).tolist() == [[2, -4, 0, 6], [6, 3, -3, 0]]


def test_networks_with_rectifiers_in_place_give_the_same_and_are_left_alone(generator):
    network = build("resnet18", {}, (3, 32, 32), 10, seed=0)
    network.layer1.eval()
    inputs = torch.from_numpy(generator.normal(size=(2, 3, 32, 32)).astype(np.float32))
    modes = [module.training for module in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    units, positions = np.array([3, 60]), np.array([7, 20])
    in_place = guided_backpropagation(network, "layer1.1", inputs, units, positions)

    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    rectifiers = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    assert all(module.inplace for module in rectifiers)

    for module in rectifiers:
        module.inplace = False
    copies = guided_backpropagation(network, "layer1.1", inputs, units, positions)
    assert np.abs(copies).max() > 0
    np.testing.assert_allclose(in_place, copies, atol=1e-6)


def test_gradients_are_zero_outside_the_receptive_field():
    data = stand_in.noise((2, 14, 11))
    network = build("caffenet", OPTIONS, data.shape, 10, seed=0)
    fields = receptive_fields(network, ["conv3"], data.shape)["conv3"]
    positions = np.arange(0, len(fields), 5)
    inputs = standardised(data.images(np.zeros(len(positions), dtype=int)), data)
    gradients = guided_backpropagation(network, "conv3", inputs, np.full(len(positions), 2), positions)
    for (top, bottom, left, right), gradient in zip(fields[positions], gradients, strict=True):
        gradient[:, top:bottom, left:right] = 0
        assert (gradient == 0).all()


class Planted(nn.Module):
    """Unit 0 looks for a template of 3 x 3 pixels; unit 1 never changes; unit 2 responds to one image only."""

    def __init__(self, template):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.bias.copy_(torch.tensor([0.0, 1.0, -90.0]))
            self.conv.weight[0, 0] = torch.from_numpy(template) - template.mean()
            self.conv.weight[2, 0, 1, 1] = 100.0
        self.rectifier = nn.ReLU(inplace=True)

    def forward(self, images):
        return self.rectifier(self.conv(images))


@pytest.fixture
def planted(generator, tmp_path):
    """Dim images, with a bright template in the middle of image 6 and a weaker one cut off by a corner of image 2."""
    template = generator.choice([0.0, 1.0], (3, 3)).astype(np.float32)
    template[1, 1], template[0, 0] = 1, 0
    data = stand_in.noise((1, 9, 7), count=8)
    data.array = (data.array // 32).astype(np.uint8)
    data.array[6, 0, 3:6, 2:5] = 255 * template
    data.array[2, 0, :2, :2] = 200 * template[1:, 1:]
    data.mean, data.std = np.zeros(1), np.ones(1)
    network = Planted(template)
    dump(network, data, np.array([5, 6, 0, 2, 7]), ["rectifier"], tmp_path)
    return template, data, network, tmp_path


def test_the_top_patch_of_a_template_unit_is_the_template(planted):
    template, data, network, folder = planted
    pictures = unit_pictures(network, data, folder, "rectifier", [0, 1, 2], count=4)
    assert pictures.patches.shape == pictures.gradients.shape == (3, 4, 1, 3, 3)
    np.testing.assert_array_equal(pictures.patches[0, 0, 0], template)
    np.testing.assert_allclose(pictures.gradients[0, 0, 0], template - template.mean(), atol=1e-6)
    assert pictures.images[0, 0] == 6


def test_beyond_the_border_there_is_nothing(planted):
    template, data, network, folder = planted
    pictures = unit_pictures(network, data, open_dump(folder), "rectifier", [0], count=2)
    corner = pictures.patches[0, 1, 0]
    assert pictures.images[0, 1] == 2
    assert np.isnan(corner[0]).all()
    assert np.isnan(corner[:, 0]).all()
    np.testing.assert_allclose(corner[1:, 1:], 200 / 255 * template[1:, 1:], rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(pictures.gradients), np.isnan(pictures.patches))


def test_dead_units_and_images_that_do_not_excite_are_left_blank(planted):
    _, data, network, folder = planted
    pictures = unit_pictures(network, data, folder, "rectifier", [0, 1, 2], count=3)
    assert pictures.live.tolist() == [True, False, True]
    assert pictures.values[2].tolist() == [10, 0, 0]
    assert pictures.patches[2, 0, 0, 1, 1] == 1
    for blank in (pictures.patches[1], pictures.gradients[1], pictures.patches[2, 1:], pictures.gradients[2, 1:]):
        assert np.isnan(blank).all()


def smooth(network):
    """The network with another activation for each ReLU, so that guided gradients are plain ones."""
    for name, module in network.named_children():
        if isinstance(module, nn.ReLU):
            setattr(network, name, nn.GELU())
        smooth(module)
    return network


TINY_VIT = {"patch_size": 4, "num_layers": 1, "num_heads": 2, "hidden_dim": 6, "mlp_dim": 8}
BLOCK = "encoder.layers.encoder_layer_0"


@pytest.mark.parametrize("choice", ["all", "sample", "centre", "mean", "flatten"])
@pytest.mark.parametrize(
    ("name", "options", "layer"),
    [("caffenet", OPTIONS, "conv3"), ("caffenet", OPTIONS, "fc6"), ("vit_b_16", TINY_VIT, BLOCK)],
)
def test_pictures_are_of_the_sample_that_was_recorded(choice, name, options, layer, tmp_path):
    if name == "vit_b_16" and choice == "centre":
        pytest.skip("tokens have no centre")
    data = stand_in.noise((1, 8, 8), count=20)
    network = smooth(build(name, options, data.shape, 10, seed=0))
    dump(network, data, np.arange(3, 15), [layer], tmp_path, positions=choice, positions_per_image=3)
    recording = open_dump(tmp_path)
    units = [0, recording.units(layer) // 2, recording.units(layer) - 1]
    strongest = strongest_images(recording.activations(layer), 12, units, 2)
    pictures = unit_pictures(network, data, recording, layer, units, count=2)
    for place, unit in enumerate(units):
        image = strongest.images[place, 0]
        assert pictures.images[place, 0] == image + 3
        leaf = standardised(data.images([image + 3]), data).requires_grad_()
        caught = []
        hook = network.get_submodule(layer).register_forward_hook(lambda *call, caught=caught: caught.append(call[2]))
        network.eval()(leaf)
        hook.remove()
        value = recorded_value(caught[0][0], unit, choice, recording.positions(layer), image, strongest.rows[place, 0])
        assert value.item() == pytest.approx(float(pictures.values[place, 0]), abs=1e-5)
        (gradient,) = torch.autograd.grad(value, leaf)
        shown = pictures.gradients[place, 0]
        assert np.nansum(shown) == pytest.approx(float(gradient.sum()), abs=1e-5)
        assert np.nansum(shown**2) == pytest.approx(float((gradient**2).sum()), rel=1e-4)


def recorded_value(output, unit, choice, positions, image, row):
    """The value of one sample, from a layer's output for its image."""
    if choice == "flatten" or output.ndim == 1:
        return output.flatten()[unit]
    values = output.flatten(1)[unit] if output.ndim == 3 else output[:, unit]
    return values.mean() if choice == "mean" else values[positions[image if len(positions) > 1 else 0, row]]


def test_another_data_set_is_refused(planted):
    _, _, network, folder = planted
    with pytest.raises(StudyError, match="recorded on the data set noise and not on digits"):
        unit_pictures(network, stand_in.digits(), folder, "rectifier", [0])


def test_filters_are_drawn_of_the_first_layer_only():
    network = build("caffenet", OPTIONS, (3, 8, 8), 10, seed=0)
    np.testing.assert_array_equal(first_layer_filters(network, "conv1"), network.conv1[0].weight.detach().numpy())
    assert first_layer_filters(network, "conv2") is first_layer_filters(network, "pool1") is None
    assert first_layer_filters(build("caffenet", OPTIONS, (2, 8, 8), 10, seed=0), "conv1") is None
    assert first_layer_filters(build("mlp", {}, (1, 8, 8), 10, seed=0), "fc1") is None


def test_a_mosaic_shows_light_gradients_and_gaps_in_their_places():
    patches = np.full((4, 1, 2, 2), np.nan)
    gradients = patches.copy()
    patches[0], patches[1], gradients[0], gradients[1] = 0, 1, 0, [[[1, -1], [1, -1]]]
    picture = mosaic(patches, gradients)
    height, width, _ = picture.shape
    quarter, three_quarters = width // 4, 3 * width // 4
    assert picture[quarter, quarter].tolist() == [0] * 3
    assert picture[quarter, three_quarters].tolist() == [255] * 3
    ground = (GROUND * 255).round().tolist()
    assert picture[three_quarters, quarter].tolist() == picture[0, 0].tolist() == ground
    lower = height - width
    assert picture[lower + quarter, quarter].tolist() == [128] * 3
    assert picture[lower + quarter, three_quarters - 5].tolist() == [255] * 3
    assert picture[lower + quarter, three_quarters + 5].tolist() == [0] * 3


@pytest.mark.parametrize(("side", "channels"), [(3, 1), (11, 3), (51, 3), (163, 3), (227, 2)])
def test_mosaics_are_of_moderate_size_whatever_the_patches(side, channels, generator):
    patches = generator.random((9, channels, side, side)).astype(np.float32)
    height, width, colours = mosaic(patches, patches - 0.5).shape
    assert 90 < width < 250 and 2 * width < height < 2.2 * width and colours == 3


def test_figures_show_every_unit_and_number(planted):
    _, data, network, folder = planted
    pictures = unit_pictures(network, data, folder, "rectifier", [0, 1])
    drawn = [mosaic(*unit) for unit in zip(pictures.patches, pictures.gradients, strict=True)]
    images = {(name, unit): drawn[unit] if pictures.live[unit] else None for name in "ab" for unit in (0, 1)}
    names = "a", "b"
    weights = first_layer_filters(network, "conv")
    figures = [
        (unit_pairs(images, [(0, 0, 0.91)], [(0, 1, 0.0)], names, "conv"), 3, {"0.91", "0.00", "unit 0", "constant"}),
        (activity_extremes(images, {"a": [(0, 2.5)]}, {"a": [(1, 0.0)]}, "conv"), 1, {"0: 2.5", "1: 0", "constant"}),
        (unit_groups(images, [([0, 1], [0], 0.7), ([0], [], 0.1)], names, "conv"), 3, {"similarity\n0.70"}),
        (unit_predictors(images, [(0, [(0, -0.5)]), (1, [])], names, "conv"), 2, {"unit 1", "=  no unit"}),
        (filters({"a": weights, "b": weights}, [(0, 2, 0.4), (1, -1, 0.0)], "conv"), 3, {"0.40", "none"}),
    ]
    for figure, count, words in figures:
        (axis,) = figure.axes
        assert len(axis.images) == count
        assert words <= {text.get_text() for text in axis.texts}
        assert axis.get_xlim() == (0, figure.get_figwidth())
        plt.close(figure)
