"""Many small networks with one hidden rectified layer, trained at once by full-batch Adam.

The products of all networks are one batched product, or one large product for networks that share their inputs, and
all weights are one vector, so that a step costs little more than its arithmetic. Kingma & Ba 2015 for Adam; Smith &
Topin 2018 for the one-cycle schedule.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from convergent.threads import one_thread

FIRST_MOMENT, SECOND_MOMENT, EPSILON = 0.9, 0.999, 1e-8
WARM_UP = 0.05  # share of the steps
PEAK = 0.02  # learning rate


@dataclass
class Perceptrons:
    """Weights of networks of one shape: outputs = second relu(first [x; 1]) + shift."""

    first: Tensor  # (networks, hidden, d + 1), the bias last
    second: Tensor  # (networks, outputs, hidden)
    shift: Tensor  # (networks, outputs, 1)

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """The weights, in order."""
        return self.first, self.second, self.shift

    def outputs(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden activations (networks, hidden, n) and outputs (networks, outputs, n) of inputs (groups, d + 1, n)."""
        hidden = preactivations(self.first, inputs).relu_()
        return hidden, torch.baddbmm(self.shift, self.second, hidden)


@dataclass(frozen=True)
class Fit:
    """How well networks do on the samples that they were trained on."""

    loss: np.ndarray  # (networks,) mean squared error, or cross-entropy in nats
    accuracy: np.ndarray  # (networks,) share of labels; NaN for a regression


def initial(starts: list[np.random.Generator], d: int, hidden: int, outputs: int, scale: float) -> Perceptrons:
    """Networks with weights scale N(0, 1 / fan in) and no biases, one for each generator; single precision."""
    draws = [(one.normal(size=(hidden, d)), one.normal(size=(outputs, hidden))) for one in starts]
    first = np.zeros((len(starts), hidden, d + 1), dtype=np.float32)
    first[:, :, :d] = np.stack([one for one, _ in draws]) * (scale / math.sqrt(d))
    second = np.stack([one for _, one in draws]) * (scale / math.sqrt(hidden))
    shift = torch.zeros(len(starts), outputs, 1)
    return Perceptrons(torch.from_numpy(first), torch.from_numpy(second.astype(np.float32)), shift)


def with_ones(inputs: np.ndarray) -> Tensor:
    """Inputs (groups, n, d) as (groups, d + 1, n), the last row ones, in single precision."""
    groups, n, d = inputs.shape
    rows = np.ones((groups, d + 1, n), dtype=np.float32)
    rows[:, :d] = inputs.swapaxes(1, 2)
    return torch.from_numpy(rows)


def preactivations(first: Tensor, inputs: Tensor, out: Tensor | None = None) -> Tensor:
    """first inputs (networks, hidden, n): networks of one group, which follow each other, share their inputs.

    Args:
        first: (networks, hidden, d + 1).
        inputs: (groups, d + 1, n).
        out: (networks, hidden, n) to write to.
    """
    networks, hidden, _ = first.shape
    groups, _, n = inputs.shape
    grouped = first.reshape(groups, -1, first.shape[2])
    out = first.new_empty(networks, hidden, n) if out is None else out
    torch.bmm(grouped, inputs, out=out.view(groups, -1, n))
    return out


def learning_rate(step: int, steps: int, peak: float = PEAK) -> float:
    """Linear up over the first twentieth of the steps, then half a cosine down to zero; steps count from 0."""
    progress = (step + 0.5) / steps
    if progress < WARM_UP:
        return peak * progress / WARM_UP
    return peak * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


def train_together(start: Perceptrons, inputs: Tensor, targets: Tensor, steps: int, peak: float = PEAK) -> Perceptrons:
    """The networks after full-batch Adam without weight decay; each is trained as if it were alone.

    Args:
        start: initial weights, which are left as they are.
        inputs: (groups, d + 1, n) as `with_ones` gives them; networks / groups networks that follow each other share
            theirs.
        targets: (networks, outputs, n) of the same precision as the weights, for mean squared error; or classes
            (networks, n), whole numbers, for cross-entropy.
        steps: of the optimiser.
        peak: of the learning rate.
    """
    with one_thread(), torch.no_grad():
        sizes = [part.numel() for part in start.parts()]
        weights = torch.cat([part.flatten() for part in start.parts()])
        gradient, squares, mean = torch.zeros_like(weights), torch.zeros_like(weights), torch.zeros_like(weights)

        def shaped(vector: Tensor) -> Perceptrons:
            pieces = zip(vector.split(sizes), start.parts(), strict=True)
            return Perceptrons(*(piece.view(part.shape) for piece, part in pieces))

        now, slope = shaped(weights), shaped(gradient)
        networks, units, width = now.first.shape
        groups, _, n = inputs.shape
        classes = None if targets.is_floating_point() else targets[:, None, :]
        minus = None if classes is None else torch.full(classes.shape, -1.0, dtype=weights.dtype)
        samples_first = inputs.transpose(1, 2)  # a copy in this order would be slower to multiply with
        hidden = weights.new_empty(networks, units, n)
        back = torch.empty_like(hidden)
        error = weights.new_empty(networks, now.second.shape[1], n)
        for step in range(steps):
            preactivations(now.first, inputs, hidden).clamp_(min=0)
            torch.baddbmm(now.shift, now.second, hidden, out=error)
            if classes is None:
                error.sub_(targets).mul_(2 / (n * error.shape[1]))
            else:
                torch.softmax(error, 1, out=error)
                error.scatter_add_(1, classes, minus).mul_(1 / n)
            torch.bmm(error, hidden.transpose(1, 2), out=slope.second)
            torch.sum(error, 2, keepdim=True, out=slope.shift)
            torch.bmm(now.second.transpose(1, 2), error, out=back)
            back.mul_(hidden.sign_())  # the slope of a rectified unit
            torch.bmm(back.view(groups, -1, n), samples_first, out=slope.first.view(groups, -1, width))

            mean.lerp_(gradient, 1 - FIRST_MOMENT)
            squares.mul_(SECOND_MOMENT).addcmul_(gradient, gradient, value=1 - SECOND_MOMENT)
            scale = math.sqrt(1 - SECOND_MOMENT ** (step + 1))
            rate = learning_rate(step, steps, peak) * scale / (1 - FIRST_MOMENT ** (step + 1))
            weights.addcdiv_(mean, squares.sqrt().add_(EPSILON * scale), value=-rate)
    return now


def fit(networks: Perceptrons, inputs: Tensor, targets: Tensor) -> Fit:
    """Loss and accuracy on samples and targets as in `train_together`."""
    with one_thread(), torch.no_grad():
        _, outputs = networks.outputs(inputs)
        if targets.is_floating_point():
            loss = (outputs - targets).square().mean(dim=(1, 2)).numpy()
            return Fit(loss, np.full(len(loss), np.nan))
        loss = functional.cross_entropy(outputs, targets, reduction="none").mean(dim=1).numpy()
        return Fit(loss, (outputs.argmax(dim=1) == targets).float().mean(dim=1).numpy())
