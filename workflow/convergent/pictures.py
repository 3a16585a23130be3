"""Pictures of units: the image patches that excite a unit most, and what in these patches excites it.

Sources: Li et al. 2016, figures 2, S3, S4 and S11 (top patches beside deconvolutions); Springenberg et al. 2015 for
guided backpropagation, which here takes the place of the deconvolution (Zeiler and Fergus 2014): the two differ only in
that it also stops gradients where a rectifier was off.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from convergent.activations import Dump, open_dump
from convergent.architectures import Shape, input_size
from convergent.dumping import evaluation
from convergent.errors import StudyError
from convergent.models import standardised
from convergent.receptive_fields import Enough, receptive_fields, unit_values
from convergent.samples import blocks

VALUES_PER_BLOCK = 2**22  # of activations looked at together
VALUES_PER_PASS = 2**21  # of images shown to a network together, at most IMAGES_PER_PASS of them
IMAGES_PER_PASS = 128
WEIGHTED = (nn.Conv2d, nn.Linear)


class Strongest(NamedTuple):
    """Where each of some units is most active, strongest first."""

    images: np.ndarray  # (units, count) int64, 0..images-1
    rows: np.ndarray  # (units, count) int64, which of the image's samples it is
    values: np.ndarray  # (units, count) float32
    lowest: np.ndarray  # (units,) float32, the lowest value in any sample


class Pictures(NamedTuple):
    """What to draw of each of some units.

    Every window has the size of the layer's largest receptive field; where it sticks out of the image there is NaN. A
    window is NaN all over if its image leaves the unit at its lowest value, and so does not excite it.
    """

    units: np.ndarray  # (units,) int64
    patches: np.ndarray  # (units, count, channels, height, width) float32 of 0..1, the images as they are
    gradients: np.ndarray  # the same shape, of guided backpropagation to the standardised image
    values: np.ndarray  # (units, count) float32, activations, strongest first
    images: np.ndarray  # (units, count) int64, indices into the data set
    live: np.ndarray  # (units,) bool, whether the unit ever changes


def strongest_images(activations: np.ndarray, images: int, units: np.ndarray, count: int = 9) -> Strongest:
    """The images in which each unit is most active, each image at its most active position.

    Of equal values the earlier image, and the earlier position, comes first. A unit that never changes, or
    in few images, is given the first of the others. If there are fewer than `count` images, all are given.

    Args:
        activations: (samples, units of the layer), ordered by image, as many samples of each; may be memory-mapped.
        images: number of images.
        units: (units,) those that are asked about.
    """
    units = np.asarray(units, dtype=np.int64)
    per_image = len(activations) // images
    best = np.empty((0, len(units)), dtype=np.float32)
    found = np.empty((0, len(units)), dtype=np.int64)
    lowest = np.full(len(units), np.inf, dtype=np.float32)
    for chosen in blocks(images, max(1, VALUES_PER_BLOCK // (per_image * activations.shape[1]))):
        rows = activations[chosen.start * per_image : chosen.stop * per_image]
        values = np.asarray(rows)[:, units].astype(np.float32).reshape(-1, per_image, len(units))
        lowest = np.minimum(lowest, values.min(axis=(0, 1)))
        # Those found before stand in front, and the sort leaves equal values in their order.
        best = np.concatenate([best, values.max(axis=1)])
        numbers = np.arange(chosen.start, chosen.stop)[:, None]
        found = np.concatenate([found, np.broadcast_to(numbers, (len(numbers), len(units)))])
        order = np.argsort(-best, axis=0, kind="stable")[:count]
        best, found = (np.take_along_axis(array, order, axis=0) for array in (best, found))
    places = np.empty_like(found)
    for rank, column in np.ndindex(found.shape):
        start = found[rank, column] * per_image
        places[rank, column] = activations[start : start + per_image, units[column]].argmax()
    return Strongest(found.T, places.T, best.T, lowest)


def guided_backpropagation(
    network: nn.Module,
    layer: str,
    inputs: Tensor,
    units: np.ndarray,
    positions: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of one activation with respect to each input, negative parts stopped at every rectifier on the way.

    Rectifiers are the `nn.ReLU` modules of the network, in place or not. Without any, and at those that the network
    calls as a function, it is the plain gradient. The network is left as it was.

    Args:
        inputs: (n, channels, height, width) on the network's device, as the network is to see them.
        units: (n,) of which channel or neuron the activation is taken, one for each input.
        positions: (n,) at which position of the map (row by row) or token; None: the neuron, or the mean over all.

    Returns:
        (n, channels, height, width) float32.

    Source: Springenberg et al. 2015, section 3.4.
    """
    gradients = np.empty(tuple(inputs.shape), dtype=np.float32)
    with evaluation(network), rectified_gradients(network), caught(network, layer) as outputs, torch.enable_grad():
        for batch in blocks(len(inputs), images_per_pass(inputs.shape[1:])):
            images = inputs[batch].detach().clone().requires_grad_()
            outputs.clear()
            with suppress(Enough):
                network(images.clone())  # a copy, because modules that work in place cannot change the original
            values = unit_values(outputs[0])
            numbers = torch.arange(len(values), device=values.device)
            values = values[numbers, torch.as_tensor(np.asarray(units)[batch], device=values.device)]
            if positions is None:
                chosen = values.mean(dim=1)
            else:
                chosen = values[numbers, torch.as_tensor(np.asarray(positions)[batch], device=values.device)]
            (gradient,) = torch.autograd.grad(chosen.sum(), images)
            gradients[batch] = gradient.float().cpu().numpy()
    return gradients


def images_per_pass(shape: Shape) -> int:
    """How many images of a shape go through a network together when gradients are wanted."""
    return min(IMAGES_PER_PASS, max(1, VALUES_PER_PASS // input_size(shape)))


@contextmanager
def rectified_gradients(network: nn.Module) -> Iterator[None]:
    """Within the block, gradients that reach the output of an `nn.ReLU` lose their negative part."""

    def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(lambda gradient: gradient.clamp(min=0))

    hooks = [module.register_forward_hook(hook) for module in network.modules() if isinstance(module, nn.ReLU)]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()


@contextmanager
def caught(network: nn.Module, layer: str) -> Iterator[list[Tensor]]:
    """Within the block, a list to which a forward pass adds the layer's output, with its history, and there ends."""
    outputs: list[Tensor] = []

    def hook(module: nn.Module, inputs: tuple, output: object) -> None:
        outputs.append(output[0] if isinstance(output, tuple | list) else output)
        raise Enough

    handle = network.get_submodule(layer).register_forward_hook(hook)
    try:
        yield outputs
    finally:
        handle.remove()


def unit_pictures(
    network: nn.Module,
    data,
    dump: Dump | str | Path,
    layer: str,
    units: np.ndarray,
    count: int = 9,
    device: str | torch.device = "cpu",
    fields: np.ndarray | None = None,
) -> Pictures:
    """The patches of the recorded images in which each unit is most active, with guided gradients of the same windows.

    Args:
        network: with the weights that were recorded; it is moved to `device`.
        data: the data set that was recorded.
        dump: the recording, or its folder.
        units: (units,) columns of the recorded activations.
        count: how many patches, each from another image; fewer if there are fewer images.
        fields: receptive fields (positions, 4) of the layer, if they are known already: they are the same for all
            networks of one architecture.

    Raises:
        StudyError: the layer was not recorded, or of another data set.
    """
    dump = dump if isinstance(dump, Dump) else open_dump(dump)
    if dump.record["data"] != data.name:
        raise StudyError(
            f"{dump.folder} was recorded on the data set {dump.record['data']} and not on {data.name}: "
            "open the data set that it was recorded on."
        )
    units = np.asarray(units, dtype=np.int64)
    strongest = strongest_images(dump.activations(layer), dump.record["images"], units, count)
    images = dump.images()[strongest.images]
    excites = strongest.values > strongest.lowest[:, None]
    if fields is None:
        fields = receptive_fields(network, [layer], data.shape)[layer]
    channels, positions = sources(dump, layer, units, strongest)
    fields, corners, size = windows(fields, positions, images.size)

    patches = np.full((images.size, data.shape[0], *size), np.nan, dtype=np.float32)
    gradients = patches.copy()
    network.to(device)
    for batch in blocks(images.size, images_per_pass(data.shape)):
        pixels = data.images(images.reshape(-1)[batch])
        inputs = standardised(pixels, data, device)
        at = None if positions is None else positions[batch]
        gradient = guided_backpropagation(network, layer, inputs, channels[batch], at)
        pixels = pixels.astype(np.float32) / (255 if pixels.dtype == np.uint8 else 1)
        for number in np.flatnonzero(excites.reshape(-1)[batch]):
            window = batch.start + number
            cut(pixels[number], fields[window], corners[window], patches[window])
            cut(gradient[number], fields[window], corners[window], gradients[window])
    shape = (*images.shape, *patches.shape[1:])
    return Pictures(units, patches.reshape(shape), gradients.reshape(shape), strongest.values, images, excites[:, 0])


def sources(dump: Dump, layer: str, units: np.ndarray, strongest: Strongest) -> tuple[np.ndarray, np.ndarray | None]:
    """Channel and position, in what the layer gives, of each of the strongest samples, unit by unit.

    Returns:
        (units * count,) each; None instead of the positions of neurons and of means over the map.
    """
    map_shape, choice = dump.record["layers"][layer]["map"], dump.record["positions"]
    channels = np.repeat(units, strongest.images.shape[1])
    if not map_shape or choice == "mean":
        return channels, None
    if choice != "flatten":
        recorded = dump.positions(layer)
        rows = strongest.images if len(recorded) > 1 else np.zeros_like(strongest.images)
        return channels, recorded[rows, strongest.rows].reshape(-1)
    if len(map_shape) == 2:
        return np.divmod(channels, map_shape[0] * map_shape[1])
    tokens, channels = np.divmod(channels, dump.units(layer) // map_shape[0])
    return channels, tokens


def windows(
    fields: np.ndarray, positions: np.ndarray | None, count: int
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Windows of one size, that of the largest field, in the places of the fields.

    Args:
        fields: (positions of the layer, 4) top, bottom, left, right.
        positions: (count,) which of the fields; None: what all of them cover together.

    Returns:
        the fields (count, 4); the top and left of the windows (count, 2), negative where a field is cut off by the
        border of the image; height and width of a window.
    """
    if positions is None:
        least, most = fields.min(axis=0), fields.max(axis=0)
        fields = np.array([[least[0], most[1], least[2], most[3]]])
        positions = np.zeros(count, dtype=np.int64)
    height, width = (fields[:, 1] - fields[:, 0]).max(), (fields[:, 3] - fields[:, 2]).max()
    top, bottom, left, right = fields[positions].T
    corners = np.where(top == 0, bottom - height, top), np.where(left == 0, right - width, left)
    return fields[positions], np.stack(corners, axis=1), (int(height), int(width))


def cut(image: np.ndarray, field: np.ndarray, corner: np.ndarray, window: np.ndarray) -> None:
    """Copy a field of an image (channels, height, width) to its place in a window that lies at `corner`."""
    top, bottom, left, right = field
    rows = slice(top - corner[0], bottom - corner[0])
    columns = slice(left - corner[1], right - corner[1])
    window[:, rows, columns] = image[:, top:bottom, left:right]


def first_layer_filters(network: nn.Module, layer: str) -> np.ndarray | None:
    """Weights (units, channels, height, width) of the layer if they can be drawn, else None.

    They can if the layer has one convolution, the first of the network, over several pixels of 1 or 3 channels.
    """
    weighted = [module for module in network.get_submodule(layer).modules() if isinstance(module, WEIGHTED)]
    first = next((module for module in network.modules() if isinstance(module, WEIGHTED)), None)
    if len(weighted) != 1 or weighted[0] is not first or not isinstance(first, nn.Conv2d):
        return None
    weights = first.weight.detach().float().cpu().numpy().copy()
    drawable = first.in_channels in (1, 3) and first.groups == 1 and max(first.kernel_size) > 1
    return weights if drawable else None
