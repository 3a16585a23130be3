"""Similarity against what chance gives: any measure calibrated by permuting which sample goes with which.

Wide networks score above 0 without having anything in common, and the maximum over many pairs of layers is above any
one of them. Both are measured by the same null: the samples of y in random orders, everything else as it is. The
permutations leave what belongs to one network alone (covariances, neighbours, ranks, row sums), so only what belongs to
the pair is computed again.

Gröger, Wen and Brbić 2026. Their published score is max(0, (s - t) / (1 - t)) with t the 95 % quantile of the null.
Here the mean takes the place of the quantile and nothing is clipped, so that independent networks score 0 on average;
the p-value says what the quantile says.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from convergent.errors import StudyError
from convergent.similarity.factors import Activations, Representation, representation, require_same_samples
from convergent.similarity.registry import Measure, Undefined, measure_named
from convergent.similarity.sample_pairs import some_samples
from convergent.statistics import reordered

DRAWS = 200
ROUNDING = 1e-12  # a draw this little below the score is as high as the score


class Calibrated(NamedTuple):
    """A similarity and its null."""

    score: float
    calibrated: float  # (score - null_mean) / (highest - null_mean): 0 by chance, 1 for the highest score
    p_value: float  # (1 + draws at least as high as the score) / (1 + draws)
    null_mean: float
    null: np.ndarray  # (draws,)


class CalibratedMaximum(NamedTuple):
    """The largest similarity of any pair of layers and the null of that maximum."""

    score: float
    calibrated: float
    p_value: float
    null_mean: float
    null: np.ndarray  # (draws,) the maximum over pairs of layers in each draw
    layers: tuple[str, str]  # the pair with the largest score, the first of equals


def calibrate(
    measure: str | Measure,
    x: Activations,
    y: Activations,
    draws: int = DRAWS,
    seed: int = 0,
    images: int | None = None,
    largest_samples: int | None = None,
    **options,
) -> Calibrated:
    """Similarity of two networks against the null that their samples have nothing to do with each other.

    Args:
        measure: or its name in the registry.
        x: activations (samples, units_x), or a `Representation`.
        y: activations (samples, units_y) of the same samples in the same order.
        draws: how many permutations.
        seed: of the permutations.
        images: how many images the samples come from, the same number from each, one image after the other; whole
            images are permuted, because samples of one image are not independent. None: every sample is its own.
        largest_samples: with more samples than this, as many random ones (or whole images) are used; None: always all.
        options: of the measure. Those that sum over pairs of samples keep (samples, samples) matrices while they are
            calibrated if `memory_bytes` allows (up to 4,096 samples by default), and else compute them in each draw:
            pass `largest_samples`. Lists of neighbours are only relabelled.

    Raises:
        StudyError: the measure has no largest value, there is no draw, the samples are not equally many per image, or
            what the measure itself raises.
        Undefined: the measure has no value, or its mean null is its largest value.

    Source: Gröger, Wen and Brbić 2026, see the head of this module.

    Examples:
        Activations that have nothing in common look alike to CKA when there are few samples, but not beside its null:

        >>> x, y = np.random.default_rng(0).normal(size=(2, 30, 100))
        >>> found = calibrate("cka_linear", x, y, draws=99)
        >>> round(found.score, 1), found.p_value > 0.1, abs(found.calibrated) < 0.1
        (0.8, True, True)
        >>> calibrate("cka_linear", x, x + y, draws=99).p_value
        0.01
    """
    found = calibrate_maximum(measure, {"x": x}, {"y": y}, draws, seed, images, largest_samples, **options)
    return Calibrated(*found[:-1])


def calibrate_maximum(
    measure: str | Measure,
    x: Mapping[str, Activations],
    y: Mapping[str, Activations],
    draws: int = DRAWS,
    seed: int = 0,
    images: int | None = None,
    largest_samples: int | None = None,
    **options,
) -> CalibratedMaximum:
    """Largest similarity of any layer of one network with any layer of another, against the null of that maximum.

    All layers of y are permuted alike, so the null has the same dependence between layers as the data, and its maximum
    is over equally many pairs: a network does not score higher for having more layers.

    Args:
        x: layer -> activations (samples, units), or a `Representation`.
        y: the same of the other network, of the same samples.
        measure, draws, seed, images, largest_samples, options: see `calibrate`.

    Raises:
        StudyError: see `calibrate`; or a network has no layers.
        Undefined: see `calibrate`; a pair without a value is not passed over.

    Source: Gröger, Wen and Brbić 2026.

    Examples:
        >>> early, late, noise = np.random.default_rng(0).normal(size=(3, 100, 5))
        >>> found = calibrate_maximum("mutual_knn", {"conv1": early, "conv2": late}, {"conv": late + noise}, draws=99)
        >>> found.layers, found.p_value
        (('conv2', 'conv'), 0.01)
    """
    measure = measure if isinstance(measure, Measure) else measure_named(measure)
    if not np.isfinite(measure.highest):
        raise StudyError(f"{measure.name} has no largest value, so it cannot be calibrated: choose another measure.")
    if draws < 1:
        raise StudyError(f"a null needs at least one draw, but draws is {draws}.")
    first, second = layers_of(x, y)
    samples = next(iter(first.values())).samples
    images = samples if images is None else images
    if images < 1 or samples % images:
        raise StudyError(f"{samples} samples cannot come from {images} images, the same number from each.")
    per_image = samples // images
    if largest_samples is not None and largest_samples < samples:
        kept = max(largest_samples // per_image, 1)
        chosen = np.sort(np.random.default_rng(seed).choice(images, kept, replace=False))
        images, name = kept, f"some images/{kept}/{per_image}/{seed}"
        first, second = (
            {layer: some_samples(one, whole_images(chosen, per_image), name) for layer, one in network.items()}
            for network in (first, second)
        )
    scores = pairwise(measure, first, second, options)
    null = null_maxima(measure, first, second, orders(images, per_image, draws, seed), options)
    layers = max(scores, key=scores.get)
    mean = float(null.mean())
    if measure.highest - mean <= ROUNDING:
        raise Undefined(f"{measure.name} is at its largest value in every permutation, so nothing can be above chance.")
    return CalibratedMaximum(
        score=scores[layers],
        calibrated=(scores[layers] - mean) / (measure.highest - mean),
        p_value=(1 + int((null >= scores[layers] - ROUNDING).sum())) / (1 + draws),
        null_mean=mean,
        null=null,
        layers=layers,
    )


def layers_of(x: Mapping[str, Activations], y: Mapping[str, Activations]) -> tuple[dict, dict]:
    """Both networks as layer -> `Representation`; activations that are on both sides are read once.

    Raises:
        StudyError: a network has no layers, or the numbers of samples differ.
    """
    if not x or not y:
        raise StudyError("a network without layers was passed: the maximum is over pairs of layers.")
    known: dict[int, Representation] = {}
    first, second = (
        {layer: known.setdefault(id(values), representation(values, layer)) for layer, values in network.items()}
        for network in (x, y)
    )
    for one in known.values():
        require_same_samples(next(iter(first.values())), one)
    return first, second


def null_maxima(
    measure: Measure,
    x: Mapping[str, Representation],
    y: Mapping[str, Representation],
    orders: Iterable[np.ndarray],
    options: Mapping,
) -> np.ndarray:
    """Largest similarity of any pair of layers for each order (orders,) of the samples of y."""
    x, y = ({layer: for_draws(one) for layer, one in network.items()} for network in (x, y))
    drawn = ({layer: one.permuted(order) for layer, one in y.items()} for order in orders)
    return np.array([max(pairwise(measure, x, permuted, options).values()) for permuted in drawn])


def pairwise(
    measure: Measure, x: Mapping[str, Representation], y: Mapping[str, Representation], options: Mapping
) -> dict[tuple[str, str], float]:
    """Similarity of every layer of x with every layer of y."""
    return {(a, b): measure(one, other, **options) for a, one in x.items() for b, other in y.items()}


def for_draws(x: Representation) -> Representation:
    """The same network with what it knows so far; what it learns from now on is forgotten with it, not kept in x."""
    copy = x.permuted(np.arange(x.samples))
    copy.unordered_factors = dict(x.unordered_factors)
    return copy


def orders(images: int, per_image: int, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Random orders of the samples (samples,), those of an image together and in their own order."""
    generator = np.random.default_rng(seed)
    return (whole_images(generator.permutation(images), per_image) for _ in range(draws))


def whole_images(images: np.ndarray, per_image: int) -> np.ndarray:
    """The samples (samples,) of these images, one image after the other."""
    return reordered(slice(0, len(images) * per_image), per_image, images)
