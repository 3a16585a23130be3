"""Linear networks with one hidden layer, trained to the end in closed form, on training sets with independent noise.

Umar & Laio 2026; only the abstract's claims are known, the protocol is a reconstruction. Gradient descent from small
weights ends at the least-squares map of minimum norm W = U S V' with balanced layers, so that the hidden layer is
A = R S^(1/2) V', R orthonormal and set by the initial weights. `descent` trains the same networks step by step.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from convergent.architectures import require_choice
from convergent.draws import generator, orthonormal
from convergent.noise.alignment import LINEAR_MEASURES, alignments, rows
from convergent.noise.theory import population_cka
from convergent.threads import one_thread

MODES = ("input", "label", "both")
PROTOCOL = "linear"


class Draws(NamedTuple):
    """All that is random in one repetition at one size; the ratio plays no part."""

    teacher: np.ndarray  # (outputs, d) orthonormal rows
    inputs: np.ndarray  # (members or 1, n, d) clean training inputs
    input_noise: np.ndarray  # (members, n, d) of variance 1
    label_noise: np.ndarray  # (members, n, outputs) of variance 1
    rotations: np.ndarray  # (members, hidden, outputs) orthonormal columns
    test: np.ndarray  # (tests, d) clean


def draw(
    n: int, repetition: int, *, d: int, outputs: int, hidden: int, members: int, tests: int, fresh: bool, seed: int
) -> Draws:
    """The draws of one repetition.

    Args:
        n: training samples.
        fresh: whether each member has clean inputs of its own.
    """
    names = (PROTOCOL, seed, repetition, n)
    shared = generator(*names)
    teacher = orthonormal(outputs, d, shared)
    inputs, test = shared.normal(size=(1, n, d)), shared.normal(size=(tests, d))
    own = [generator(*names, member) for member in range(members)]
    input_noise = np.stack([one.normal(size=(n, d)) for one in own])
    label_noise = np.stack([one.normal(size=(n, outputs)) for one in own])
    rotations = np.stack([orthonormal(hidden, outputs, one) for one in own])
    if fresh:
        inputs = np.stack([one.normal(size=(n, d)) for one in own])
    return Draws(teacher, inputs, input_noise, label_noise, rotations, test)


def training_sets(draws: Draws, snrs: Sequence[float], mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (snrs or 1, members or 1, n, d) and targets (snrs or 1, members or 1, n, outputs) of every member.

    Args:
        snrs: variance of the clean inputs, or targets, over that of the noise; infinite for none.
        mode: where the noise is: `input`, `label`, or `both`.
    """
    require_choice("mode", mode, MODES)
    scales = 1 / np.sqrt(np.asarray(snrs, dtype=float))[:, None, None, None]
    inputs, targets = draws.inputs[None], (draws.inputs @ draws.teacher.T)[None]
    if mode != "label":
        inputs = inputs + scales * draws.input_noise
    if mode != "input":
        targets = targets + scales * draws.label_noise
    return inputs, targets


def least_squares(inputs: np.ndarray, targets: np.ndarray, penalties: np.ndarray | float = 0.0) -> np.ndarray:
    """Maps W (..., outputs, d) that minimise |X W' - Y|^2 + penalty |W|^2; without a penalty those of minimum norm.

    Args:
        inputs: X (..., n, d), of full rank.
        targets: Y (..., n, outputs); leading axes broadcast.
        penalties: broadcasts against the leading axes.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(4, 9))
        >>> y = np.random.default_rng(1).normal(size=(4, 2))
        >>> bool(np.allclose(least_squares(x, y), (np.linalg.pinv(x) @ y).T))
        True
    """
    n, d = inputs.shape[-2:]
    transposed = inputs.swapaxes(-1, -2)
    ridge = np.asarray(penalties, dtype=float)[..., None, None] * np.eye(min(n, d))
    if n < d:
        maps = transposed @ np.linalg.solve(inputs @ transposed + ridge, targets)
    else:
        maps = np.linalg.solve(transposed @ inputs + ridge, transposed @ targets)
    return maps.swapaxes(-1, -2)


def hidden_layers(maps: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """First-layer weights A = R S^(1/2) V' (..., hidden, d) of balanced networks with these maps (..., outputs, d)."""
    _, scales, right = np.linalg.svd(maps, full_matrices=False)
    return rotations[..., : scales.shape[-1]] @ (np.sqrt(scales)[..., None] * right)


@one_thread()
def measure_linear(
    n: int,
    *,
    d: int = 100,
    outputs: int = 5,
    hidden: int = 20,
    mode: str = "input",
    ridge: bool = False,
    fresh: bool = False,
    snrs: Sequence[float] = (1, 3, 10, 30, 100),
    repetitions: int = 4,
    members: int = 5,
    tests: int = 500,
    measures: Sequence[str] = LINEAR_MEASURES,
    seed: int = 0,
) -> list[dict]:
    """Alignment of linear networks and their errors at one number of training samples.

    Args:
        n: training samples; d is the interpolation threshold.
        outputs, hidden: at most d of the former, and at least as many of the latter.
        mode: see `training_sets`.
        ridge: the control with the penalty d / snr, which does not interpolate.
        fresh: the control with clean inputs of its own for each member.
        tests: clean samples on which hidden layers are compared.
        measures: of the registry.
        seed: another one repeats the study.

    Returns:
        rows as `summary_rows` makes them.
    """
    found = []
    for repetition in range(repetitions):
        draws = draw(
            n, repetition, d=d, outputs=outputs, hidden=hidden, members=members, tests=tests, fresh=fresh, seed=seed
        )
        inputs, targets = training_sets(draws, snrs, mode)
        penalties = d / np.asarray(snrs, dtype=float)[:, None] if ridge else 0.0
        maps = least_squares(inputs, targets, penalties)
        maps = np.broadcast_to(maps, (len(snrs), members, *maps.shape[2:]))
        first = hidden_layers(maps, draws.rotations)
        errors = np.square(inputs @ maps.swapaxes(-1, -2) - targets).mean(axis=(1, 2, 3))
        for place, snr in enumerate(snrs):
            found += summary_rows(n, repetition, snr, draws, maps[place], first[place], errors[place], measures)
    return found


def summary_rows(
    n: int,
    repetition: int,
    snr: float,
    draws: Draws,
    maps: np.ndarray,
    first: np.ndarray,
    train_error: float,
    measures: Sequence[str],
) -> list[dict]:
    """Rows of one ensemble of linear networks.

    Args:
        maps: (members, outputs, d) end to end.
        first: (members, hidden, d) weights of the hidden layer.

    Returns:
        rows of n, repetition, snr, measure, value, reason: the registry's measures and `output_correlation` on the test
        inputs; `cka_population` and `functional_cosine` (of the maps) from the weights, all means over pairs of
        members; `train_error` on the noisy training set, and `test_error`, both mean squares per output; the latter is
        exact for isotropic clean inputs.
    """
    values = dict(alignments(draws.test @ first.swapaxes(-1, -2), draws.test @ maps.swapaxes(-1, -2), measures))
    a, b = map(list, zip(*combinations(range(len(maps)), 2), strict=True))
    flat = maps.reshape(len(maps), -1)
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    values["cka_population"] = population_cka(first[a], first[b]).mean()
    values["functional_cosine"] = np.sum(flat[a] * flat[b], axis=1).mean()
    values["train_error"] = train_error
    values["test_error"] = np.square(maps - draws.teacher).sum(axis=(1, 2)).mean() / len(draws.teacher)
    return rows(n, repetition, snr, values)
