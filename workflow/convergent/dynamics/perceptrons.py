"""Fully connected networks with several hidden layers, one for each seed, trained at once on minibatches.

van Rossem & Saxe 2024 (arXiv 2402.09142), which takes minibatches of its larger data sets, and constant learning
rates. The products of all networks are one batched product; derivatives are written by hand (Rumelhart et al. 1986).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from convergent.architectures import require_choice
from convergent.draws import generator
from convergent.errors import StudyError
from convergent.samples import blocks
from convergent.threads import one_thread

OPTIMISERS = ("sgd", "adam")
LEAK = 0.01  # slope of `leaky_relu` below zero
WEIGHTS = 1 << 19  # networks are trained together as long as they have no more: with more, a cache no longer holds them
ROWS = 1024  # samples of which all activations are held when nothing is learned
PROTOCOL = "dynamics samples"  # of the draws' names


class Activation(NamedTuple):
    """A nonlinearity and its slope."""

    value: Callable[[Tensor], Tensor]  # of preactivations
    slope: Callable[[Tensor, Tensor], Tensor]  # of preactivations and values


def _silu_slope(before: Tensor, value: Tensor) -> Tensor:
    gate = torch.sigmoid(before)
    return gate * (1 + before * (1 - gate))


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "none": Activation(lambda before: before, lambda before, value: torch.ones_like(value)),
        "relu": Activation(torch.relu, lambda before, value: value.sign()),
        "leaky_relu": Activation(
            lambda before: torch.maximum(before, LEAK * before),
            lambda before, value: (value > 0).to(value.dtype).mul_(1 - LEAK).add_(LEAK),
        ),
        "elu": Activation(torch.nn.functional.elu, lambda before, value: value.clamp(max=0).add_(1)),
        "tanh": Activation(torch.tanh, lambda before, value: 1 - value.square()),
        "silu": Activation(torch.nn.functional.silu, _silu_slope),
    }
)


class Trained(NamedTuple):
    """What is known of networks that were trained together; single precision unless another was asked for.

    Everything about a network is NaN from the epoch on at whose beginning its loss or its activations are not finite.
    """

    representations: np.ndarray  # (networks, recorded epochs, samples, width) of the tracked inputs
    outputs: np.ndarray  # (networks, recorded epochs, samples, k) of the tracked inputs
    loss: np.ndarray  # (networks, epochs + 1) on all training samples; double precision
    test_outputs: np.ndarray | None  # (networks, tests, k) after training


class Layer(NamedTuple):
    """Weights of one layer of all networks, as inputs times weight plus bias."""

    weight: Tensor  # (networks, fan in, fan out)
    bias: Tensor  # (networks, 1, fan out)


class Pass(NamedTuple):
    """Everything that one pass through the networks computes."""

    before: list[Tensor]  # preactivations (networks, n, width) of every hidden layer
    values: list[Tensor]  # of the nonlinearity
    hidden: list[Tensor]  # the inputs, then the activations of every hidden layer: the values, and what skips to them
    outputs: Tensor  # (networks, n, k)


class Stack:
    """The weights of all networks, one vector, and what is done with them.

    Args:
        sizes: of the input, every hidden layer, and the output.
        draws: a generator for each network.
        gain: weights are normal with deviation gain * sqrt(2 / (fan in + fan out)); biases are 0.
        activation: a name of `ACTIVATIONS`.
        skip: from the third hidden layer on, the activation two layers before is added.
        precision: of weights.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        draws: Sequence[np.random.Generator],
        gain: float,
        activation: str,
        skip: bool,
        precision: torch.dtype,
    ) -> None:
        self.activation, self.skip = ACTIVATIONS[activation], skip
        shapes = []
        for before, after in pairwise(sizes):
            shapes += [(len(draws), before, after), (len(draws), 1, after)]
        self.shapes, self.numbers = shapes, [math.prod(shape) for shape in shapes]
        self.weights = torch.zeros(sum(self.numbers), dtype=precision)
        self.layers = self.shaped(self.weights)
        for weight, _ in self.layers:
            deviation = gain * math.sqrt(2 / (weight.shape[1] + weight.shape[2]))
            for one, draw in zip(weight, draws, strict=True):
                one.copy_(torch.from_numpy(draw.normal(size=tuple(one.shape)) * deviation))

    def shaped(self, vector: Tensor) -> list[Layer]:
        """Views of a vector as layers."""
        pieces = [piece.view(shape) for piece, shape in zip(vector.split(self.numbers), self.shapes, strict=True)]
        return [Layer(weight, bias) for weight, bias in zip(pieces[::2], pieces[1::2], strict=True)]

    def forward(self, inputs: Tensor) -> Pass:
        """The pass of inputs (networks, n, d)."""
        before, values, hidden = [], [], [inputs]
        for place, (weight, bias) in enumerate(self.layers[:-1]):
            before.append(torch.baddbmm(bias, hidden[-1], weight))
            values.append(self.activation.value(before[-1]))
            hidden.append(values[-1] + hidden[-2] if self.skip and place >= 2 else values[-1])
        return Pass(before, values, hidden, torch.baddbmm(self.layers[-1].bias, hidden[-1], self.layers[-1].weight))

    def backward(self, done: Pass, error: Tensor, use: Callable[[int, Tensor, Tensor], None]) -> None:
        """Derivatives of the loss, from the last layer to the first.

        Args:
            done: the pass of a minibatch.
            error: (networks, n, k) derivative of the loss by its outputs.
            use: is told each layer's place, its inputs (networks, n, fan in) and the derivative by its preactivations
                (networks, n, fan out), after which the layer's weights are not needed again.
        """
        ahead: Tensor | None = None  # derivative by the activations of the hidden layer one nearer to the output
        carried: Tensor | None = None  # the same two layers nearer
        for place in reversed(range(len(self.layers))):
            below = torch.bmm(error, self.layers[place].weight.transpose(1, 2)) if place else None
            use(place, done.hidden[place], error)
            if below is not None:
                if self.skip and carried is not None:
                    below += carried
                carried, ahead = ahead, below
                error = below * self.activation.slope(done.before[place - 1], done.values[place - 1])

    def representations(self, inputs: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Activations (networks, n, width) of a hidden layer, and outputs (networks, n, k), of inputs (n, d)."""
        found = [self._one(inputs[rows], layer) for rows in blocks(len(inputs), ROWS)]
        hidden, outputs = zip(*found, strict=True)
        return torch.cat(hidden, dim=1), torch.cat(outputs, dim=1)

    def _one(self, inputs: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        done = self.forward(inputs.expand(len(self.layers[0].weight), -1, -1))
        return done.hidden[layer + 1], done.outputs

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error (networks,) over all samples (n, d) and targets (n, k), summed in double precision."""
        total = torch.zeros(len(self.layers[0].weight), dtype=torch.float64)
        for rows in blocks(len(inputs), ROWS):
            outputs = self._one(inputs[rows], 0)[1]
            total += (outputs - targets[rows]).square_().sum(dim=(1, 2), dtype=torch.float64)
        return total / targets.numel()


def _descent(stack: Stack, rate: float, adam: bool) -> Callable[[Pass, Tensor], None]:
    """A step of the optimiser, of a pass and the derivative of the loss by its outputs."""
    if not adam:

        def by_layer(place: int, inputs: Tensor, error: Tensor) -> None:
            weight, bias = stack.layers[place]
            weight.baddbmm_(inputs.transpose(1, 2), error, alpha=-rate)
            bias.sub_(error.sum(dim=1, keepdim=True), alpha=rate)

        return lambda done, error: stack.backward(done, error, by_layer)

    gradient = torch.zeros_like(stack.weights)
    slopes = stack.shaped(gradient)
    stack.weights.grad = gradient
    optimiser = torch.optim.Adam([stack.weights], lr=rate, fused=True)  # one pass over the memory

    def gathered(place: int, inputs: Tensor, error: Tensor) -> None:
        torch.bmm(inputs.transpose(1, 2), error, out=slopes[place].weight)
        torch.sum(error, 1, keepdim=True, out=slopes[place].bias)

    def step(done: Pass, error: Tensor) -> None:
        stack.backward(done, error, gathered)
        optimiser.step()

    return step


def _require(
    inputs: np.ndarray, targets: np.ndarray, widths: Sequence[int], layer: int, skip: bool, epochs: Sequence[int]
) -> None:
    """Raise StudyError for a training that cannot be."""
    if len(inputs) != len(targets) or not len(inputs):
        raise StudyError(f"{len(inputs)} inputs have {len(targets)} targets: give one target to each input.")
    if not 0 <= layer < len(widths):
        raise StudyError(f"there is no hidden layer {layer} of {len(widths)}: count them from 0.")
    if skip and any(one != two for one, two in zip(widths[2:], widths[:-2], strict=True)):
        raise StudyError(f"layers of widths {', '.join(map(str, widths))} cannot skip: make them equally wide.")
    *record, last = epochs
    if any(not 0 <= one <= last for one in record):
        raise StudyError(f"epochs {min(record)} to {max(record)} cannot be recorded: there are 0 to {last}.")


@one_thread()
def train_together(
    inputs: np.ndarray,
    targets: np.ndarray,
    *,
    seeds: Sequence[int],
    widths: Sequence[int],
    activation: str = "leaky_relu",
    gain: float,
    rate: float,
    batch: int,
    epochs: int,
    optimiser: str = "sgd",
    loss_factor: float = 0.5,
    skip: bool = False,
    layer: int,
    tracked: np.ndarray,
    record_epochs: Sequence[int],
    tests: np.ndarray | None = None,
    precision: torch.dtype = torch.float32,
) -> Trained:
    """Train a network for each seed on minibatches, each as if it were alone.

    Initial weights and the order of samples of every epoch are named by the seed, and by nothing else: settings that
    differ in gain, rate, activation or optimiser begin with the same draws. Only rounding depends on which networks are
    trained together.

    Args:
        inputs, targets: (N, d) and (N, k).
        seeds: of the networks.
        widths: of the hidden layers.
        activation: after every layer but the last, a name of `ACTIVATIONS`.
        gain: of the initial weights, see `Stack`.
        rate: learning rate.
        batch: samples of a step; the last step of an epoch has what is left.
        epochs: passes over all samples.
        optimiser: `sgd`, or `adam` with its usual constants (.9, .999, 1e-8).
        loss_factor: the loss is this times the mean squared error over samples and outputs.
        skip: from the third hidden layer on, the activation two layers before is added.
        layer: the hidden layer that is recorded, 0 the first; after its nonlinearity.
        tracked: (samples, d) inputs whose representations are recorded.
        record_epochs: when: before the first step of this epoch, 0 before training and `epochs` after it.
        tests: (M, d) inputs whose final outputs are wanted.
        precision: of weights and of everything recorded but the loss.

    Raises:
        StudyError: an option that is not one of its choices, or sizes that do not fit.
    """
    require_choice("activation", activation, tuple(ACTIVATIONS))
    require_choice("optimiser", optimiser, OPTIMISERS)
    _require(inputs, targets, widths, layer, skip, (*record_epochs, epochs))

    def tensor(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.require(array, requirements="CW")).to(precision)

    inputs, targets, tracked = tensor(inputs), tensor(targets), tensor(tracked)
    sizes = inputs.shape[1], *widths, targets.shape[1]

    def group(seeds: Sequence[int]) -> Trained:
        starts = [generator(PROTOCOL, "weights", seed) for seed in seeds]
        stack = Stack(sizes, starts, gain, activation, skip, precision)
        step = _descent(stack, rate, optimiser == "adam")
        loss = np.empty((len(seeds), epochs + 1))
        recorded: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for epoch in range(epochs + 1):
            loss[:, epoch] = loss_factor * stack.loss(inputs, targets).numpy()
            if epoch in record_epochs:
                recorded[epoch] = tuple(part.numpy() for part in stack.representations(tracked, layer))
            if epoch == epochs:
                break
            order = np.stack([generator(PROTOCOL, "order", seed, epoch).permutation(len(inputs)) for seed in seeds])
            for samples in torch.from_numpy(order).split(batch, dim=1):
                done = stack.forward(inputs[samples])
                error = (done.outputs - targets[samples]).mul_(2 * loss_factor / (samples.shape[1] * targets.shape[1]))
                step(done, error)
        final = None if tests is None else stack.representations(tensor(tests), layer)[1].numpy()
        hidden, outputs = (np.stack([recorded[epoch][part] for epoch in record_epochs], axis=1) for part in (0, 1))
        return Trained(hidden, outputs, loss, final)

    together = max(1, WEIGHTS // sum(before * after for before, after in pairwise(sizes)))
    with torch.no_grad():
        groups = [group(seeds[rows]) for rows in blocks(len(seeds), together)]
    parts = (None if part[0] is None else np.concatenate(part) for part in zip(*groups, strict=True))
    return _without_diverged(Trained(*parts), record_epochs)


def _without_diverged(found: Trained, record_epochs: Sequence[int]) -> Trained:
    """The same, with NaN from where a network is no longer finite; written in place."""
    bad = ~np.isfinite(found.loss)
    for place, epoch in enumerate(record_epochs):
        for part in (found.representations, found.outputs):
            bad[:, epoch] |= ~np.isfinite(part[:, place]).all(axis=(1, 2))
    bad = np.maximum.accumulate(bad, axis=1)
    found.loss[bad] = np.nan
    for part in (found.representations, found.outputs):
        part[bad[:, list(record_epochs)]] = np.nan
    if found.test_outputs is not None:
        found.test_outputs[bad[:, -1]] = np.nan
    return found
