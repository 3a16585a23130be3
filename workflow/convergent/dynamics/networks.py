"""Networks of one setting trained on a handful of points, with all that the theory speaks of recorded at every epoch.

van Rossem & Saxe 2024: full-batch gradient descent on a mean over points and outputs of (y - y*)^2. With n points a
step changes each weight matrix by n outer products: gradients are written out by hand, and the matrices stay as they
are for several steps, W a = W_0 a + U (V a), because to read and write them is what a step of a wide network costs.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from convergent.dynamics.settings import Setting
from convergent.errors import StudyError
from convergent.files import digest
from convergent.threads import one_thread

FIRST_MOMENT, SECOND_MOMENT, EPSILON = 0.9, 0.999, 1e-8  # Adam as PyTorch has it
SLOPE = 0.01  # of a leaky rectified unit below zero
KERNEL, CHANNELS = 11, 20  # of a convolution
DROPPED = 0.1  # share of what enters a linear layer
LARGEST_LOSS = 1e6  # above it a network has diverged
HELD = 8  # steps for which a large weight matrix is left as it is
LARGE = 40_000  # weights of a matrix from which on leaving it as it is pays
STACKED = 20_000_000  # weights that are trained at a time: a step of many networks has the overhead of one
MOST = 50  # networks that are trained at a time: more gain nothing

_kernels = torch.ops.aten
# Activation, and the gradient with respect to its input, of the gradient, the input and the output.
ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor, Tensor], Tensor]]] = {
    "none": (lambda z: z, lambda g, z, a: g),
    "relu": (torch.relu, lambda g, z, a: _kernels.threshold_backward(g, z, 0)),
    "leaky_relu": (
        lambda z: functional.leaky_relu(z, SLOPE),
        lambda g, z, a: _kernels.leaky_relu_backward(g, z, SLOPE, False),
    ),
    "elu": (functional.elu, lambda g, z, a: _kernels.elu_backward(g, 1.0, 1.0, 1.0, False, z)),
    "tanh": (torch.tanh, lambda g, z, a: _kernels.tanh_backward(g, a)),
    "silu": (functional.silu, lambda g, z, a: _kernels.silu_backward(g, z)),
}


class Record(NamedTuple):
    """What was measured before each step, without dropout; NaN where a network had stopped or diverged."""

    distances: np.ndarray  # (networks, layers, epochs, pairs) squared, pairs as in combinations(range(points), 2)
    outputs: np.ndarray  # (networks, epochs, points, outputs)
    loss: np.ndarray  # (networks, epochs)
    epochs: np.ndarray  # (networks,) how many were recorded
    probes: np.ndarray | None  # (networks, probe epochs, samples, dimensions) single precision, as `rotated` gives them


class Pair(NamedTuple):
    """The theory's variables of two points, each (networks, epochs)."""

    hidden: np.ndarray  # h = |dh|^2
    output: np.ndarray  # y = |dy|^2
    overlap: np.ndarray  # w = |dy|^2 - dy* . dy
    mean_error: np.ndarray  # m = |mean y - mean y*|^2


class Stack(ABC):
    """Networks of one setting side by side; activations are (networks, points, units)."""

    @abstractmethod
    def forward(self, inputs: Tensor) -> tuple[list[Tensor], Tensor]:
        """Hidden activations, flattened, and outputs, both without dropout; what `step` needs is kept."""

    @abstractmethod
    def probe(self, inputs: Tensor, layer: int) -> Tensor:
        """Activations of one hidden layer without dropout; nothing is kept."""

    @abstractmethod
    def step(self, targets: Tensor, factor: float, rate: float) -> None:
        """One step down factor * mean (outputs - targets)^2 of the inputs of the last `forward`."""

    @abstractmethod
    def parameters(self) -> list[Tensor]:
        """Weights (networks, fan in, fan out), or (networks, out, in, kernel), and biases (networks, out), in turn."""

    @abstractmethod
    def select(self, kept: Tensor) -> None:
        """Go on with some of the networks only."""


class Descent:
    """The optimiser of one stacked parameter: gradient descent, or Adam with PyTorch's defaults."""

    def __init__(self, parameter: Tensor, optimiser: str) -> None:
        self.parameter, self.steps = parameter, 0
        self.moments = [torch.zeros_like(parameter) for _ in range(2)] if optimiser == "adam" else []

    def step(self, gradient: Tensor, rate: float) -> None:
        """Change the parameter in place; the gradient is used up."""
        if not self.moments:
            self.parameter.add_(gradient, alpha=-rate)
            return
        self.steps += 1
        mean, squares = self.moments
        mean.lerp_(gradient, 1 - FIRST_MOMENT)
        squares.mul_(SECOND_MOMENT).addcmul_(gradient, gradient, value=1 - SECOND_MOMENT)
        scale = math.sqrt(1 - SECOND_MOMENT**self.steps)
        rate *= scale / (1 - FIRST_MOMENT**self.steps)
        torch.sqrt(squares, out=gradient).add_(EPSILON * scale)
        self.parameter.addcdiv_(mean, gradient, value=-rate)

    def select(self, kept: Tensor) -> None:
        """Go on with some of the networks only."""
        self.parameter = self.parameter[kept]
        self.moments = [moment[kept] for moment in self.moments]


def _multiplied(inputs: np.ndarray, weights: list[tuple[Tensor, np.ndarray]], turned: bool) -> np.ndarray:
    """Inputs (networks, rows, a) times a large matrix (a, b) of each, or (b, a) to be turned, which are given twice.

    A sum reads a matrix in the order of memory, twice as fast as a product with few rows does, which then finds it in
    the cache. NumPy's product of few rows is quicker than PyTorch's.
    """
    products = []
    for rows, (matrix, same) in zip(inputs, weights, strict=True):
        matrix.sum()
        products.append(rows @ (same.T if turned else same))
    return np.stack(products) if len(products) > 1 else products[0][None]


class _Linear:
    """A dense layer of each network: inputs W + b with W = weights + left' right, which are the latest steps."""

    def __init__(self, weights: Tensor, optimiser: str, held: int) -> None:
        networks, inputs, outputs = weights.shape
        self.weights = Descent(weights, optimiser)
        self.biases = Descent(weights.new_zeros(networks, outputs), optimiser)
        self.large = inputs * outputs >= LARGE
        self.held = held if optimiser == "sgd" and self.large else 1
        self._begin()

    def _begin(self) -> None:
        """Views of the weights, and no steps to add to them."""
        self.matrices = [(matrix, matrix.numpy()) for matrix in self.weights.parameter] if self.large else []
        self.left = self.right = None
        self.used = 0

    def forward(self, inputs: Tensor) -> Tensor:
        biases = self.biases.parameter[:, None]
        if not self.large:
            return torch.baddbmm(biases, inputs, self.weights.parameter)
        # Here, because the product reads the weights anyway: they are in the cache then.
        if self.left is not None and self.used == self.left.shape[1]:
            self.settle()
        rows = inputs.numpy()
        out = _multiplied(rows, self.matrices, False)
        if self.used:
            out += rows @ self.left[:, : self.used].swapaxes(1, 2) @ self.right[:, : self.used]
        return torch.from_numpy(out).add_(biases)

    def backward(self, gradient: Tensor) -> Tensor:
        if not self.large:
            return torch.bmm(gradient, self.weights.parameter.transpose(1, 2))
        rows = gradient.numpy()
        out = _multiplied(rows, self.matrices, True)
        if self.used:
            out += rows @ self.right[:, : self.used].swapaxes(1, 2) @ self.left[:, : self.used]
        return torch.from_numpy(out)

    def step(self, inputs: Tensor, gradient: Tensor, rate: float) -> None:
        self.biases.step(gradient.sum(1), rate)
        weights = self.weights
        if weights.moments:
            weights.step(torch.bmm(inputs.transpose(1, 2), gradient), rate)
        elif self.held == 1:
            weights.parameter.baddbmm_(inputs.transpose(1, 2), gradient, alpha=-rate)
        else:
            points = inputs.shape[1]
            if self.left is None:
                self.left, self.right = (
                    np.empty((len(part), self.held * points, part.shape[2]), part.numpy().dtype)
                    for part in (inputs, gradient)
                )
            rows = slice(self.used, self.used + points)
            self.left[:, rows] = inputs.numpy()
            np.multiply(gradient.numpy(), -rate, out=self.right[:, rows])
            self.used += points

    def settle(self) -> None:
        """Add the latest steps to the weights."""
        if self.used:
            left, right = (torch.from_numpy(part[:, : self.used]) for part in (self.left, self.right))
            for (matrix, _), one, other in zip(self.matrices, left, right, strict=True):
                matrix.sum()  # as in `_multiplied`
                matrix.addmm_(one.T, other)
            self.used = 0

    def select(self, kept: Tensor) -> None:
        self.settle()
        self.weights.select(kept)
        self.biases.select(kept)
        self._begin()


class Dense(Stack):
    """Perceptrons, those with skips, and those with dropout, whose gradients are written out."""

    def __init__(self, setting: Setting, weights: list[Tensor], masks: list[torch.Generator], held: int) -> None:
        self.setting = setting
        self.activation, self.slope = ACTIVATIONS[setting.activation]
        self.layers = [_Linear(one, setting.optimiser, held) for one in weights]
        self.skips = setting.model == "skip"
        self.generators = masks if setting.model == "dropout" else []

    def _hidden(self, inputs: Tensor, masks: Sequence[Tensor], number: int) -> tuple[list[Tensor], ...]:
        """Of this many hidden layers: what enters each and the next, sums, activations, and those with skips added."""
        entering, sums, activations, hidden = [], [], [], []
        now, points = inputs, inputs.shape[1] // 2
        for place, layer in enumerate(self.layers[: number + 1]):
            if masks:
                # With and without dropout at once, so that weights are read once.
                now = torch.cat([now[:, :points], now[:, points:] * masks[place]], 1)
            entering.append(now)
            if place == number:
                break
            sums.append(layer.forward(now))
            activations.append(self.activation(sums[-1]))
            now = activations[-1] + hidden[place - 2] if self.skips and place >= 2 else activations[-1]
            hidden.append(now)
        return entering, sums, activations, hidden

    def _masks(self, points: int, like: Tensor) -> list[Tensor]:
        """What enters each layer is multiplied with: 0, or 1 / (1 - share) so that the mean stays."""
        sizes = [points * layer.weights.parameter.shape[1] for layer in self.layers]
        kept = torch.stack([torch.rand(sum(sizes), generator=one) >= DROPPED for one in self.generators])
        scaled = kept.to(like.dtype).div_(1 - DROPPED)
        return [part.reshape(len(kept), points, -1) for part in scaled.split(sizes, 1)]

    def forward(self, inputs: Tensor) -> tuple[list[Tensor], Tensor]:
        points = inputs.shape[1]
        self.masks = self._masks(points, inputs) if self.generators else []
        if self.masks:
            inputs = inputs.repeat(1, 2, 1)
        self.entering, self.sums, self.activations, hidden = self._hidden(inputs, self.masks, len(self.layers) - 1)
        outputs = self.layers[-1].forward(self.entering[-1])
        # Gradients are those of the latter half with dropout, and of all without.
        self.outputs = outputs[:, -points:]
        return [one[:, :points] for one in hidden], outputs[:, :points]

    def probe(self, inputs: Tensor, layer: int) -> Tensor:
        return self._hidden(inputs, (), layer + 1)[-1][layer]

    def step(self, targets: Tensor, factor: float, rate: float) -> None:
        points = targets.shape[1]
        gradient = (self.outputs - targets).mul_(2 * factor / targets[0].numel())
        around = {}  # gradients that pass a layer by
        for number in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[number]
            entering = self.entering[number][:, -points:]
            back = layer.backward(gradient) if number else None
            layer.step(entering, gradient, rate)
            if not number:
                break
            if self.masks:
                back.mul_(self.masks[number])
            place = number - 1
            if place in around:
                back += around.pop(place)
            if self.skips and place >= 2:
                around[place - 2] = back
            gradient = self.slope(back, self.sums[place][:, -points:], self.activations[place][:, -points:])

    def parameters(self) -> list[Tensor]:
        for layer in self.layers:
            layer.settle()
        return [part.parameter for layer in self.layers for part in (layer.weights, layer.biases)]

    def select(self, kept: Tensor) -> None:
        self.generators = [one for one, chosen in zip(self.generators, kept.tolist(), strict=False) if chosen]
        for layer in self.layers:
            layer.select(kept)


class Convolutional(Stack):
    """A dense layer, convolutions in one dimension, a dense layer; networks are groups of channels."""

    def __init__(self, setting: Setting, weights: list[Tensor]) -> None:
        self.activation = ACTIVATIONS[setting.activation][0]
        self.parts = []
        for one in weights:
            biases = one.new_zeros(len(one), one.shape[1 if one.ndim == 4 else 2])
            self.parts += [Descent(part.requires_grad_(), setting.optimiser) for part in (one, biases)]

    def _run(self, inputs: Tensor) -> tuple[list[Tensor], Tensor]:
        (first, start), *middle, (last, end) = zip(self.parameters()[::2], self.parameters()[1::2], strict=True)
        networks, points, _ = inputs.shape
        now = self.activation(torch.baddbmm(start[:, None], inputs, first))
        hidden = [now]
        now = now.transpose(0, 1)
        for weights, biases in middle:
            now = self.activation(functional.conv1d(now, weights.flatten(0, 1), biases.flatten(), groups=networks))
            hidden.append(now.reshape(points, networks, -1).transpose(0, 1))
        return hidden, torch.baddbmm(end[:, None], hidden[-1], last)

    @torch.enable_grad()
    def forward(self, inputs: Tensor) -> tuple[list[Tensor], Tensor]:
        hidden, self.outputs = self._run(inputs)
        return [one.detach() for one in hidden], self.outputs.detach()

    def probe(self, inputs: Tensor, layer: int) -> Tensor:
        with torch.no_grad():
            return self._run(inputs)[0][layer]

    def step(self, targets: Tensor, factor: float, rate: float) -> None:
        gradient = (self.outputs.detach() - targets).mul_(2 * factor / targets[0].numel())
        gradients = torch.autograd.grad(self.outputs, self.parameters(), gradient)
        with torch.no_grad():
            for part, slope in zip(self.parts, gradients, strict=True):
                part.step(slope, rate)

    def parameters(self) -> list[Tensor]:
        return [part.parameter for part in self.parts]

    def select(self, kept: Tensor) -> None:
        with torch.no_grad():
            for part in self.parts:
                part.select(kept)
                part.parameter.requires_grad_()


def shapes(setting: Setting, d: int = 1, outputs: int = 1) -> list[tuple[int, ...]]:
    """Of the weights of one network: (fan in, fan out), or (out, in, kernel) of a convolution.

    Raises:
        StudyError: convolutions leave nothing of the width.

    Examples:
        >>> from convergent.dynamics.settings import setting
        >>> shapes(setting("shallow"))
        [(1, 500), (500, 500), (500, 1)]
        >>> shapes(setting("cnn"))[-1]
        (390, 1)
    """
    width, hidden = setting.width, setting.hidden
    if setting.model != "convolutional":
        return [(d, width), *[(width, width)] * (hidden - 1), (width, outputs)]
    left = width - (hidden - 1) * (KERNEL - 1)
    if left < 1 or hidden < 3:
        raise StudyError(
            f"{hidden - 1} convolutions of a width of {width}: two at least, and less than would use it up."
        )
    channels = [1, *[CHANNELS] * (hidden - 2), 1]
    return [(d, width), *[(b, a, KERNEL) for a, b in pairwise(channels)], (left, outputs)]


def _generator(*names: str | int) -> torch.Generator:
    """Generator of the draws called by these names."""
    return torch.Generator().manual_seed(int(digest("dynamics", *names), 16) % 2**63)


def build(
    setting: Setting,
    seeds: Sequence[int],
    *,
    d: int = 1,
    outputs: int = 1,
    dtype: torch.dtype = torch.float32,
    held: int = HELD,
) -> Stack:
    """Untrained networks of a setting: weights gain * sqrt(2 / (fan in + fan out)) N(0, 1), no biases.

    The fans of a convolution count the positions of its kernel.

    Args:
        setting: whose networks.
        seeds: one of each network; with the setting's name it names the draws, in single precision.
        d, outputs: input and output units.
        dtype: of the weights.
        held: steps for which large matrices are left as they are, without Adam; an exact rearrangement.
    """
    drawn = [_generator("weights", setting.name, seed) for seed in seeds]
    sizes = shapes(setting, d, outputs)
    # One block, because systems give large ones large pages, which are quicker to read.
    block = torch.from_numpy(np.empty(len(seeds) * sum(map(math.prod, sizes)), str(dtype).removeprefix("torch.")))
    weights = []
    for shape, part in zip(sizes, block.split([len(seeds) * math.prod(shape) for shape in sizes]), strict=True):
        deviation = setting.gain * math.sqrt(2 / (sum(shape[:2]) * math.prod(shape[2:])))
        weights.append(part.view(len(seeds), *shape))
        for place, one in enumerate(drawn):
            weights[-1][place] = torch.randn(shape, generator=one) * deviation
    if setting.model == "convolutional":
        return Convolutional(setting, weights)
    return Dense(setting, weights, [_generator("dropout", setting.name, seed) for seed in seeds], held)


def rotated(activations: np.ndarray) -> np.ndarray:
    """Representations (..., samples, units) in no more dimensions than there are samples, in single precision.

    A rotation of each, in double precision, onto the subspace that its samples span: distances and inner products
    between the samples of one representation stay, directions of two cannot be compared any more.

    Examples:
        >>> rotated(np.array([[3.0, 4.0, 0.0]])).shape
        (1, 1)
    """
    samples, units = activations.shape[-2:]
    if units > samples:
        triangular = np.linalg.qr(activations.astype(np.float64).swapaxes(-1, -2), mode="r")
        activations = triangular.swapaxes(-1, -2)
    return activations.astype(np.float32)


@one_thread()
def train_together(
    setting: Setting,
    inputs: np.ndarray,
    targets: np.ndarray,
    *,
    seeds: Sequence[int],
    epochs: int,
    rate: float,
    layers: Sequence[int] | None = None,
    loss_factor: float = 0.5,
    probes: np.ndarray | None = None,
    probe_epochs: Sequence[int] = (),
    stop_below: float | None = None,
    together: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Record:
    """Train one network for each seed, each as if it were alone, and record them before every step.

    Args:
        setting: whose networks.
        inputs: (points, d), or (networks, points, d) of each network.
        targets: (points, outputs), or (networks, points, outputs).
        seeds: one of each network.
        epochs: full-batch steps at most.
        rate: learning rate; that of the setting is not used.
        layers: indices of the hidden activations that are followed, 0 first; by default the setting's.
        loss_factor: the loss is this times the mean over points and outputs of (outputs - targets)^2.
        probes: inputs (samples, d), or (networks, samples, d), whose representation at the first of `layers` is kept.
        probe_epochs: at these epochs, before the step.
        stop_below: networks stop once they have a loss below it, which is their last that is recorded.
        together: how many are trained at a time; by default what is quickest. No result depends on it.
        dtype: of the weights.

    Returns:
        the record; a network whose loss is not finite or above a million is NaN from that epoch on.

    Raises:
        StudyError: a layer, an epoch of the probes or a shape that cannot be.
    """
    layers = (setting.layer,) if layers is None else tuple(layers)
    count, kept_epochs = len(seeds), list(probe_epochs)
    if not layers or not all(0 <= layer < setting.hidden for layer in layers):
        raise StudyError(f"layers must be some of 0 to {setting.hidden - 1}, not {layers}.")
    if not all(0 <= epoch < epochs for epoch in kept_epochs):
        raise StudyError(f"probes are at epochs 0 to {epochs - 1}, not {kept_epochs}.")
    inputs, targets = (_one_each(part, count, dtype) for part in (inputs, targets))
    if inputs.shape[1] != targets.shape[1]:
        raise StudyError(f"{inputs.shape[1]} points have {targets.shape[1]} targets.")
    probes = None if probes is None else _one_each(probes, count, dtype)
    points = inputs.shape[1]
    record = Record(
        np.full((count, len(layers), epochs, math.comb(points, 2)), np.nan),
        np.full((count, epochs, *targets.shape[1:]), np.nan),
        np.full((count, epochs), np.nan),
        np.zeros(count, dtype=int),
        None
        if probes is None
        else np.full(
            (count, len(kept_epochs), probes.shape[1], min(probes.shape[1], _units(setting, layers[0]))),
            np.nan,
            dtype=np.float32,
        ),
    )
    size = sum(math.prod(shape) for shape in shapes(setting, inputs.shape[2], targets.shape[2]))
    together = min(MOST, max(1, STACKED // size)) if together is None else together
    with torch.no_grad(), np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, count, together):
            places = np.arange(count)[start : start + together]
            stack = build(
                setting, [seeds[place] for place in places], d=inputs.shape[2], outputs=targets.shape[2], dtype=dtype
            )
            _train(stack, inputs, targets, places, record, layers, loss_factor, rate, probes, kept_epochs, stop_below)
    return record


def _units(setting: Setting, layer: int) -> int:
    """Of a hidden layer, channels times positions of a convolution."""
    if setting.model != "convolutional" or layer == 0:
        return setting.width
    channels = 1 if layer == setting.hidden - 1 else CHANNELS
    return channels * (setting.width - layer * (KERNEL - 1))


def _one_each(part: np.ndarray, count: int, dtype: torch.dtype) -> Tensor:
    """(networks, points, units) of an array that all networks may share."""
    part = torch.as_tensor(np.asarray(part, dtype=np.float64)).to(dtype)
    if part.ndim == 2:
        part = part.expand(count, *part.shape)
    if part.ndim != 3 or len(part) != count:
        raise StudyError(f"data of {count} networks are (points, units) or ({count}, points, units).")
    return part


def _train(
    stack: Stack,
    inputs: Tensor,
    targets: Tensor,
    places: np.ndarray,
    record: Record,
    layers: Sequence[int],
    factor: float,
    rate: float,
    probes: Tensor | None,
    probe_epochs: Sequence[int],
    stop_below: float | None,
) -> None:
    """Train the networks of a stack and write them to their places of the record."""
    one, other = (list(side) for side in zip(*combinations(range(inputs.shape[1]), 2), strict=True))
    own_inputs, own_targets = inputs[places].contiguous(), targets[places].contiguous()
    for epoch in range(record.loss.shape[1]):
        hidden, outputs = stack.forward(own_inputs)
        error = (outputs - own_targets).double()
        loss = factor * error.square_().mean(dim=(1, 2)).numpy()
        alive = loss <= LARGEST_LOSS  # NaN is not
        whole = alive.all()
        now = places if whole else places[alive]
        record.loss[now, epoch] = loss[alive]
        record.outputs[now, epoch] = outputs.numpy()[alive]
        record.epochs[now] = epoch + 1
        for number, layer in enumerate(layers):
            activations = hidden[layer]
            apart = (activations[:, one] - activations[:, other]).double()
            record.distances[now, number, epoch] = apart.square_().sum(2).numpy()[alive]
        if probes is not None and epoch in probe_epochs:
            found = rotated(stack.probe(probes[places].contiguous(), layers[0]).numpy()[alive])
            for number in [number for number, at in enumerate(probe_epochs) if at == epoch]:
                record.probes[now, number] = found
        going = alive if stop_below is None else alive & (loss >= stop_below)
        if not going.any() or epoch + 1 == record.loss.shape[1]:
            return
        stack.step(own_targets, factor, rate)
        if not going.all():
            stack.select(torch.from_numpy(going))
            places = places[going]
            own_inputs, own_targets = inputs[places].contiguous(), targets[places].contiguous()


def two_points(input_distance: float = 1.0, target_distance: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (2, 1) and targets (2, 1) at these squared distances, the first of them -1 and 0.6.

    Examples:
        >>> inputs, targets = two_points(4.0, 0.25)
        >>> inputs.tolist(), targets.tolist()
        ([[-1.0], [1.0]], [[0.6], [1.1]])
    """
    inputs = np.array([[-1.0], [-1.0 + math.sqrt(input_distance)]])
    return inputs, np.array([[0.6], [0.6 + math.sqrt(target_distance)]])


def xor() -> tuple[np.ndarray, np.ndarray]:
    """Inputs (4, 2) and targets (4, 1): one where exactly one of the two inputs is.

    Examples:
        >>> inputs, targets = xor()
        >>> inputs.tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
        >>> targets[:, 0].tolist()
        [0.0, 1.0, 1.0, 0.0]
    """
    inputs = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    return inputs, np.array([[0.0], [1.0], [1.0], [0.0]])


def pair_quantities(record: Record, targets: np.ndarray, place: int = 0) -> Pair:
    """The theory's variables of networks that were trained on two points.

    Args:
        record: of `train_together`.
        targets: (2, outputs), or (networks, 2, outputs).
        place: of the hidden layer among those recorded.

    Raises:
        StudyError: there are not two points.
    """
    if record.outputs.shape[2] != 2:
        raise StudyError(f"the theory is of two points, not of {record.outputs.shape[2]}.")
    targets = np.broadcast_to(targets, (len(record.outputs), *record.outputs.shape[2:]))[:, None]
    apart, wanted = np.diff(record.outputs, axis=2)[:, :, 0], np.diff(targets, axis=2)[:, :, 0]
    output = np.square(apart).sum(axis=2)
    return Pair(
        record.distances[:, place, :, 0],
        output,
        output - (apart * wanted).sum(axis=2),
        np.square((record.outputs - targets).mean(axis=2)).sum(axis=2),
    )
