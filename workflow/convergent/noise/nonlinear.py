"""Networks with one hidden rectified layer on noisy training sets: a regression with a teacher, and written digits.

Umar & Laio 2026; only the abstract's claims are known, the protocol is a reconstruction. All networks of one size, of
every repetition, ratio and member, are trained at once (`perceptron`). Initial weights and directions of noise are the
same at every ratio.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from convergent.architectures import require_choice
from convergent.draws import generator
from convergent.errors import StudyError
from convergent.noise.alignment import RECTIFIED_MEASURES, alignments, rows
from convergent.noise.perceptron import Perceptrons, fit, initial, train_together, with_ones
from convergent.threads import one_thread

REGRESSION, CLASSIFICATION = "regression", "classification"
MODES = ("input", "label")
TEACHER_GAIN, TEACHER_SHIFT, TEACHER_DRAWS = 1.5, 0.3, 5000
CLASSES = 10


def parameters(d: int, hidden: int, outputs: int) -> int:
    """Number of weights and biases of a network, to which the threshold is compared.

    Examples:
        >>> parameters(10, 10, 1), parameters(20, 8, 10)
        (121, 258)
    """
    return hidden * (d + 1) + outputs * (hidden + 1)


class Teacher(NamedTuple):
    """A network of hyperbolic tangents whose output has mean 0 and variance 1."""

    first: np.ndarray  # (hidden, d)
    shift: np.ndarray  # (hidden,)
    second: np.ndarray  # (hidden,)
    mean: float = 0.0
    deviation: float = 1.0

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Outputs (n,) of inputs (n, d)."""
        return (np.tanh(inputs @ self.first.T + self.shift) @ self.second - self.mean) / self.deviation


def teacher(draws: np.random.Generator, d: int, hidden: int) -> Teacher:
    """A random teacher: weights of deviation 1.5 / sqrt(d), biases of .3, standardised on 5000 inputs."""
    raw = Teacher(
        draws.normal(size=(hidden, d)) * TEACHER_GAIN / np.sqrt(d),
        draws.normal(size=hidden) * TEACHER_SHIFT,
        draws.normal(size=hidden),
    )
    outputs = raw(draws.normal(size=(TEACHER_DRAWS, d)))
    return raw._replace(mean=outputs.mean(), deviation=outputs.std())


def regression_set(
    n: int, repetition: int, snrs: Sequence[float], *, d: int, members: int, mode: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Clean inputs of one repetition with the noise of each member.

    Args:
        snrs: variance of an input, or of the clean target, over that of the noise; infinite for none.
        mode: where the noise is: `input` or `label`.

    Returns:
        inputs (n, d), which members share; noise (snrs, members, n, d or 1), of inputs or of labels.
    """
    require_choice("mode", mode, MODES)
    inputs = generator(REGRESSION, "inputs", seed, repetition, n).normal(size=(n, d))
    width = d if mode == "input" else 1
    own = [generator(REGRESSION, mode, seed, repetition, n, member) for member in range(members)]
    directions = np.stack([one.normal(size=(n, width)) for one in own])
    return inputs, directions / np.sqrt(np.asarray(snrs, dtype=float))[:, None, None, None]


@one_thread()
def measure_regression(
    n: int,
    *,
    d: int = 10,
    hidden: int = 10,
    teacher_hidden: int = 4,
    mode: str = "label",
    snrs: Sequence[float] = (1, 10, 100),
    repetitions: int = 6,
    members: int = 4,
    steps: int = 3000,
    scale: float = 0.2,
    tests: int = 500,
    measures: Sequence[str] = RECTIFIED_MEASURES,
    seed: int = 0,
) -> list[dict]:
    """Alignment of students of one teacher at one number of training samples.

    Args:
        n: training samples.
        d, hidden, teacher_hidden: inputs, and units of students and teacher.
        mode: see `regression_set`.
        snrs, repetitions, members: each repetition has a teacher of its own.
        steps: of training.
        scale: of the initial weights, times 1 / sqrt(fan in); large ones leave random features behind.
        tests: clean samples on which hidden layers are compared.
        measures: of the registry.
        seed: another one repeats the study.

    Returns:
        rows of n, repetition, snr, measure, value, reason: the measures and `output_correlation`, means over pairs;
        `train_error` on the noisy training set and `test_error` on clean samples, mean squares for targets of variance
        1; means over members.
    """
    shared, noise, targets, tested = [], [], [], []
    for repetition in range(repetitions):
        one = generator(REGRESSION, "teacher", seed, repetition)
        rule = teacher(one, d, teacher_hidden)
        test = one.normal(size=(tests, d))
        inputs, own = regression_set(n, repetition, snrs, d=d, members=members, mode=mode, seed=seed)
        shared.append(inputs)
        noise.append(own)
        targets.append(rule(inputs))
        tested.append((test, rule(test)))
    each, noise = len(snrs) * members, np.stack(noise)
    labels = np.repeat(np.stack(targets), each, axis=0)
    inputs = np.stack(shared)
    if mode == "label":
        labels = labels + noise.reshape(-1, n)
    else:
        inputs = np.repeat(inputs, each, axis=0) + noise.reshape(-1, n, d)
    labels = torch.from_numpy(labels.astype(np.float32))[:, None, :]
    starts = every_start(REGRESSION, n, repetitions, len(snrs), members, seed, False)
    networks = train_together(initial(starts, d, hidden, 1, scale), with_ones(inputs), labels, steps)
    loss = fit(networks, with_ones(inputs), labels).loss

    def judge(repetition: int, outputs: np.ndarray) -> dict[str, float]:
        return {"test_error": np.square(outputs[:, :, 0] - tested[repetition][1]).mean()}

    extra = {"train_error": loss}
    return ensemble_rows(n, networks, [test for test, _ in tested], snrs, members, extra, judge, measures)


class Digits(NamedTuple):
    """The 1,797 handwritten digits of scikit-learn as their first principal components."""

    inputs: np.ndarray  # (images, components), centred, of unit standard deviation over all
    labels: np.ndarray  # (images,) 0 ... 9


@cache
def digits(components: int) -> Digits:
    """The digits; read once."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = images - images.mean(axis=0)
    _, directions = np.linalg.eigh(images.T @ images)
    inputs = images @ directions[:, ::-1][:, :components]
    return Digits(inputs / inputs.std(), labels.astype(np.int64))


def flipped(
    labels: np.ndarray, repetition: int, snrs: Sequence[float], *, members: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of each member, each replaced by a uniformly drawn other class with probability p, (1 - p) / p = snr.

    Args:
        labels: (n,).
        snrs: infinite for no noise.

    Returns:
        labels (snrs, members, n), and whether each is replaced: what is replaced at one ratio is so at all lower ones,
        by the same class.
    """
    n = len(labels)
    own = [generator(CLASSIFICATION, "label", seed, repetition, n, member) for member in range(members)]
    draws = [(one.random(n), one.integers(1, CLASSES, n)) for one in own]
    chances, moves = (np.stack(part) for part in zip(*draws, strict=True))
    replaced = chances < (1 / (1 + np.asarray(snrs, dtype=float)))[:, None, None]
    return np.where(replaced, (labels + moves) % CLASSES, labels), replaced


@one_thread()
def measure_classification(
    n: int,
    *,
    components: int = 20,
    hidden: int = 8,
    snrs: Sequence[float] = (2 / 3, 3 / 2, 4, 9, 19),
    repetitions: int = 3,
    members: int = 4,
    steps: int = 2000,
    scale: float = 0.5,
    shared_start: bool = True,
    tests: int = 400,
    measures: Sequence[str] = RECTIFIED_MEASURES,
    seed: int = 0,
) -> list[dict]:
    """Alignment of classifiers of handwritten digits whose training labels are noisy, at one number of images.

    Args:
        n: training images.
        components: of the images, their principal ones.
        snrs: (1 - p) / p of the probability p that a label is replaced.
        shared_start: whether the members of a repetition start from the same weights.
        tests: clean images, other than those of training, on which hidden layers are compared.
        For the others see `measure_regression`.

    Returns:
        rows as those of `measure_regression`, but `train_error` is the cross-entropy in nats, `test_error` the share of
        wrong classes, and `train_accuracy` that of noisy training labels that are reproduced. Outputs are correlated
        after the mean over classes is taken away, which no probability depends on.

    Raises:
        StudyError: there are not so many images.
    """
    data = digits(components)
    if n + tests > len(data.labels):
        raise StudyError(f"{n} training and {tests} test images are more than the {len(data.labels)} that there are.")
    inputs, labels, tested = [], [], []
    for repetition in range(repetitions):
        order = generator(CLASSIFICATION, "images", seed, repetition).permutation(len(data.labels))
        test, train = order[:tests], order[tests : tests + n]
        inputs.append(data.inputs[train])
        labels.append(flipped(data.labels[train], repetition, snrs, members=members, seed=seed)[0].reshape(-1, n))
        tested.append((data.inputs[test], data.labels[test]))
    batch, labels = with_ones(np.stack(inputs)), torch.from_numpy(np.concatenate(labels))
    starts = every_start(CLASSIFICATION, n, repetitions, len(snrs), members, seed, shared_start)
    networks = train_together(initial(starts, components, hidden, CLASSES, scale), batch, labels, steps)
    found = fit(networks, batch, labels)

    def judge(repetition: int, outputs: np.ndarray) -> dict[str, float]:
        return {"test_error": (outputs.argmax(axis=2) != tested[repetition][1]).mean()}

    extra = {"train_error": found.loss, "train_accuracy": found.accuracy}
    return ensemble_rows(n, networks, [test for test, _ in tested], snrs, members, extra, judge, measures)


def every_start(
    protocol: str, n: int, repetitions: int, ratios: int, members: int, seed: int, shared: bool
) -> list[np.random.Generator]:
    """Generators of initial weights by repetition, ratio and member; the same at every ratio, or for all members."""
    return [
        generator(protocol, "weights", seed, repetition, n, 0 if shared else member)
        for repetition in range(repetitions)
        for _ in range(ratios)
        for member in range(members)
    ]


def ensemble_rows(
    n: int,
    networks: Perceptrons,
    tests: Sequence[np.ndarray],
    snrs: Sequence[float],
    members: int,
    extra: dict[str, np.ndarray],
    judge: Callable[[int, np.ndarray], dict[str, float]],
    measures: Sequence[str],
) -> list[dict]:
    """Rows of all ensembles of one size.

    Args:
        networks: by repetition, ratio and member.
        tests: inputs (samples, d) of each repetition.
        extra: name -> (networks,) numbers of which means over members are wanted.
        judge: of a repetition and outputs (members, samples, outputs), names and values of errors.
        measures: of the registry.
    """
    with torch.no_grad():
        hidden, outputs = networks.outputs(with_ones(np.stack(tests)))
    shape = len(tests), len(snrs), members
    hidden, outputs = (part.transpose(1, 2).numpy().astype(np.float64) for part in (hidden, outputs))
    hidden, outputs = (part.reshape(*shape, *part.shape[1:]) for part in (hidden, outputs))
    extra = {name: values.reshape(shape).mean(axis=2) for name, values in extra.items()}
    found = []
    for repetition in range(len(tests)):
        for place, snr in enumerate(snrs):
            ours = outputs[repetition, place]
            # Only what is common to all classes is taken away; a single output has no classes.
            relative = ours - ours.mean(axis=2, keepdims=True) if ours.shape[2] > 1 else ours
            values = dict(alignments(hidden[repetition, place], relative, measures))
            values |= {name: means[repetition, place] for name, means in extra.items()}
            found += rows(n, repetition, snr, values | judge(repetition, ours))
    return found
