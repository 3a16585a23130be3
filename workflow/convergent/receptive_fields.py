"""Receptive fields: the part of the input image that can reach each position of a layer.

They are measured on the network itself, whatever its architecture: where pixels are NaN, so is everything that is
computed from them. A zero weight hides nothing, for 0 times NaN is NaN.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import torch
from torch import Tensor, nn

from convergent.architectures import Shape
from convergent.dumping import evaluation, recorded, require_output
from convergent.samples import blocks

VALUES_PER_PASS = 2**19  # of the images shown together; what the layers hold is many times as large


def receptive_fields(network: nn.Module, layers: list[str], input_shape: Shape) -> dict[str, np.ndarray]:
    """The smallest rectangle of the image that holds all pixels on which each position of each layer depends.

    A position that depends on no pixel, such as the class token before it has attended, counts as depending on all.
    The network's mode and device are restored.

    Args:
        layers: module paths, as `network.named_modules()` has them.
        input_shape: (channels, height, width) of an image.

    Returns:
        layer -> int64 (positions, 4): top, bottom, left, right, half-open, in pixels. Positions are those of a map
        (height, width) row by row, or tokens; a dense layer has one.

    Raises:
        StudyError: a layer that is unknown, not called, called more than once in a pass, or gives no map, tokens or
            neurons.
    """
    layers = list(dict.fromkeys(layers))
    with on_the_processor(network), recorded(network, layers) as outputs, stopping(network, layers) as stop:
        probe = Probe(network, outputs, stop, torch.randn(input_shape, generator=torch.Generator().manual_seed(0)))
        probe.measure_positions(layers)
        rows, columns = probe.extent(axis=1), probe.extent(axis=2)
    return {layer: np.concatenate([rows[layer], columns[layer]], axis=1) for layer in layers}


class Probe:
    """One image of which rows or columns are made NaN, and what the layers of a network make of it.

    Attributes:
        outputs: what the layers gave in the last pass.
        stop: the layer behind which a pass ends; empty: none.
        positions: number of positions of each layer, in the order in which they are called.
    """

    def __init__(self, network: nn.Module, outputs: dict[str, Tensor], stop: set[str], image: Tensor) -> None:
        self.network, self.outputs, self.stop, self.image = network, outputs, stop, image
        self.positions: dict[str, int] = {}

    def measure_positions(self, layers: list[str]) -> None:
        """Find the number of positions of each layer, in a pass through the whole network."""
        self.network(self.image[None])
        for layer in layers:
            require_output(self.network, layer, self.outputs.get(layer), images=1)
        for layer, output in self.outputs.items():
            self.positions[layer] = unit_values(output).shape[2]

    def extent(self, axis: int) -> dict[str, np.ndarray]:
        """First and one past the last pixel (positions, 2) along an axis of the image that reach each position."""
        length = self.image.shape[axis]
        before, after = self.shortest(axis, from_end=False), self.shortest(axis, from_end=True)
        extent = {}
        for layer in self.positions:
            ends = np.stack([before[layer] - 1, length - after[layer] + 1], axis=1)
            ends[before[layer] > length] = 0, length
            extent[layer] = ends
        return extent

    def shortest(self, axis: int, from_end: bool) -> dict[str, np.ndarray]:
        """How many pixels at one end of the image must be NaN for each position to be; one too many if none suffice.

        Found by bisection, for all positions at once: what is learnt of one bounds the others.
        """
        length = self.image.shape[axis]
        clean = {layer: np.zeros(count, dtype=np.int64) for layer, count in self.positions.items()}
        reached = {layer: np.full(count, length + 1) for layer, count in self.positions.items()}
        # The deepest layer first, because a pass on its behalf tells about those before it too.
        for deepest in reversed(self.positions):
            while (unknown := reached[deepest] - clean[deepest] > 1).any():
                tried = np.unique((clean[deepest] + reached[deepest])[unknown] // 2)
                for number, layer, hit in self.hits(tried, axis, from_end, deepest):
                    reached[layer] = np.where(hit, np.minimum(reached[layer], number), reached[layer])
                    clean[layer] = np.where(hit, clean[layer], np.maximum(clean[layer], number))
        return reached

    def hits(
        self, numbers: np.ndarray, axis: int, from_end: bool, deepest: str
    ) -> Iterator[tuple[int, str, np.ndarray]]:
        """For each number of NaN pixels and each layer up to `deepest`, whether each position (positions,) is NaN."""
        self.stop.add(deepest)
        for chosen in blocks(len(numbers), max(1, VALUES_PER_PASS // self.image.numel())):
            images = self.image.repeat(len(numbers[chosen]), 1, 1, 1)
            for image, number in zip(images, numbers[chosen], strict=True):
                start = image.shape[axis] - int(number) if from_end else 0
                image.narrow(axis, start, int(number)).fill_(torch.nan)
            self.outputs.clear()
            with suppress(Enough):
                self.network(images)
            for layer, output in self.outputs.items():
                hit = unit_values(output).isnan().any(dim=1).numpy()
                yield from ((int(number), layer, row) for number, row in zip(numbers[chosen], hit, strict=True))
        self.stop.clear()


def unit_values(output: Tensor) -> Tensor:
    """A layer's output as (n, units, positions): a map row by row, tokens, or the one position of a dense layer."""
    if output.ndim == 3:
        return output.transpose(1, 2)
    return output.flatten(2) if output.ndim == 4 else output[:, :, None]


class Enough(Exception):
    """Ends a forward pass of which nothing more is wanted."""


@contextmanager
def stopping(network: nn.Module, layers: list[str]) -> Iterator[set[str]]:
    """Within the block, a set of layers: when one of them has been called, a forward pass ends with `Enough`.

    Hooks that were registered before are run.
    """
    stop: set[str] = set()

    def after(layer: str):
        def hook(module: nn.Module, inputs: tuple, output: object) -> None:
            if layer in stop:
                raise Enough

        return hook

    hooks = [network.get_submodule(layer).register_forward_hook(after(layer)) for layer in layers]
    try:
        yield stop
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def on_the_processor(network: nn.Module) -> Iterator[None]:
    """Within the block, the network is on the CPU, evaluates, and computes convolutions term by term.

    The fast algorithms for convolutions transform whole tiles, and a NaN would spread over them.
    """
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    try:
        with (
            evaluation(network.to("cpu")),
            warnings.catch_warnings(action="ignore"),  # the switches warn of hardware that is not there
            torch.backends.mkldnn.flags(enabled=False),
            torch.backends.nnpack.flags(enabled=False),
        ):
            yield
    finally:
        network.to(device)
