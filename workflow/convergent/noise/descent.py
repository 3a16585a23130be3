"""Linear networks with one hidden layer trained step by step, all members at all ratios at once: a check of `linear`.

Umar & Laio 2026; only the abstract's claims are known, the protocol is a reconstruction. Full-batch gradient descent
with momentum on |B A X' - Y'|^2 / 2n. From small weights it ends where the closed form says (Saxe, McClelland & Ganguli
2014); from large ones the hidden layer stays what it was at random, the control for that.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from convergent.draws import generator
from convergent.noise.alignment import LINEAR_MEASURES
from convergent.noise.linear import PROTOCOL, draw, least_squares, summary_rows, training_sets
from convergent.threads import one_thread

SMALL, LAZY = 0.05, 1.0  # standard deviations of initial weights, times 1 / sqrt(fan in)
MOMENTUM = 0.95
STEP = 0.01  # of what is stable without momentum: larger ones unbalance the layers while they grow
LATER_STEP, LATER = 0.04, 1 / 3  # where only what is slow is left to learn; from this share of the steps on


class Layers(NamedTuple):
    """Weights of networks that are trained together."""

    first: np.ndarray  # A (..., hidden, d)
    second: np.ndarray  # B (..., outputs, hidden)


def initial_layers(
    n: int, repetition: int, deviation: float, *, d: int, outputs: int, hidden: int, members: int, seed: int
) -> Layers:
    """Independent Gaussian weights of each member, of this standard deviation times 1 / sqrt(fan in)."""
    own = [generator(PROTOCOL, "weights", seed, repetition, n, member) for member in range(members)]
    first = np.stack([one.normal(size=(hidden, d)) for one in own]) * deviation / np.sqrt(d)
    second = np.stack([one.normal(size=(outputs, hidden)) for one in own]) * deviation / np.sqrt(hidden)
    return Layers(first, second)


def descend(layers: Layers, inputs: np.ndarray, targets: np.ndarray, steps: int) -> Layers:
    """The layers after gradient descent, each network with a rate of its own.

    v <- momentum v - rate gradient, w <- w + v, in double precision. The rate is a step over the largest variance of
    the inputs and, if it is more than 1, the largest singular value of what is to be learned. The inputs of each
    network are first turned onto their principal axes, which gradient descent does not notice and which makes their
    covariance diagonal.

    Args:
        layers: (networks, ...) initial.
        inputs, targets: (networks, n, d), (networks, n, outputs).
        steps: how many.
    """
    n = inputs.shape[1]
    variances, turn = np.linalg.eigh(inputs.swapaxes(1, 2) @ inputs / n)
    between = targets.swapaxes(1, 2) @ inputs @ turn / n
    largest = np.linalg.norm(least_squares(inputs, targets), ord=2, axis=(1, 2))
    rates = STEP / (variances[:, -1] * np.maximum(1, largest))
    with one_thread():
        first, second, between = (torch.from_numpy(part) for part in (layers.first @ turn, layers.second, between))
        variances, rates = torch.from_numpy(variances)[:, None, :], torch.from_numpy(rates)[:, None, None]
        second = second.clone()
        moves = torch.zeros_like(first), torch.zeros_like(second)
        # The rate of each network is part of its gradient.
        variances, between = variances * rates, between * rates
        for step in range(steps):
            if step == round(LATER * steps):
                variances, between = variances * (LATER_STEP / STEP), between * (LATER_STEP / STEP)
            residual = torch.bmm(second, first).mul_(variances).sub_(between)
            gradients = torch.bmm(second.transpose(1, 2), residual), torch.bmm(residual, first.transpose(1, 2))
            for weights, move, gradient in zip((first, second), moves, gradients, strict=True):
                weights.add_(move.mul_(MOMENTUM).sub_(gradient))
    return Layers(first.numpy() @ turn.swapaxes(1, 2), second.numpy())


@one_thread()
def measure_descent(
    n: int,
    *,
    deviation: float = SMALL,
    steps: int = 15_000,
    d: int = 30,
    outputs: int = 3,
    hidden: int = 20,
    mode: str = "input",
    snrs: Sequence[float] = (1, 10, 100),
    repetitions: int = 3,
    members: int = 5,
    tests: int = 500,
    measures: Sequence[str] = LINEAR_MEASURES,
    seed: int = 0,
) -> list[dict]:
    """The same as `linear.measure_linear` gives, of networks that are really trained, on the same training sets.

    Args:
        n: training samples; at n = d, where the smallest variance is next to nothing, training does not end in time.
        deviation: of the initial weights: `SMALL`, or `LAZY` for the control.
        steps: of gradient descent.
        For the others see `linear.measure_linear`.

    Returns:
        rows as `linear.summary_rows` makes them.
    """
    sizes = {"d": d, "outputs": outputs, "hidden": hidden, "members": members, "seed": seed}
    every, sets, starts = [], [], []
    for repetition in range(repetitions):
        every.append(draw(n, repetition, tests=tests, fresh=False, **sizes))
        sets.append(
            [
                np.broadcast_to(part, (len(snrs), members, *part.shape[2:]))
                for part in training_sets(every[-1], snrs, mode)
            ]
        )
        start = initial_layers(n, repetition, deviation, **sizes)
        starts.append([np.broadcast_to(part, (len(snrs), *part.shape)) for part in start])
    together = (repetitions, len(snrs), members)
    inputs, targets = (np.stack(part).reshape(-1, n, part[0].shape[-1]) for part in zip(*sets, strict=True))
    layers = Layers(*(np.stack(part).reshape(-1, *part[0].shape[2:]) for part in zip(*starts, strict=True)))
    first, second = descend(layers, inputs, targets, steps)
    maps = second @ first
    errors = np.square(inputs @ maps.swapaxes(1, 2) - targets).mean(axis=(1, 2)).reshape(together).mean(axis=2)
    first, maps = (part.reshape(*together, *part.shape[1:]) for part in (first, maps))
    return [
        row
        for repetition, draws in enumerate(every)
        for place, snr in enumerate(snrs)
        for row in summary_rows(
            n,
            repetition,
            snr,
            draws,
            maps[repetition, place],
            first[repetition, place],
            errors[repetition, place],
            measures,
        )
    ]
