"""A task whose context says which of two features counts, and how the hidden layer of a network that learned it looks.

van Rossem & Saxe 2024 (arXiv 2402.09142), whose figure shows representations and no numbers; the statistics are ours:
a rich network keeps the feature that counts, a lazy one the inputs. The task is that of Flesch et al. 2022.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import pdist, squareform

from convergent.draws import generator
from convergent.errors import StudyError

PROTOCOL = "context scaling"
ITERATIONS, CHANGE = 300, 1e-6  # of multidimensional scaling: most of them, and the relative change that ends them

ROUNDING = 1e-12  # variation that is less than this share of the values is none


class ContextTask(NamedTuple):
    """Every bump in both contexts."""

    inputs: np.ndarray  # (2 side^2, pixels^2 + 2): the image, then one unit for each context
    targets: np.ndarray  # (2 side^2, 1): x of the bump in context 0, y in context 1
    factors: np.ndarray  # (2 side^2, 3): context, x, y


def context_task(side: int = 30, pixels: int = 5, sigma: float = 1.0) -> ContextTask:
    """Images of a round bump on a grid of places; the context says whether its x or its y is the target.

    Args:
        side: places along x and y, evenly from -1 to 1.
        pixels: along each side of the image, evenly from -1 to 1.
        sigma: standard deviation of the bump; every image sums to 1.

    Examples:
        >>> task = context_task(side=3)
        >>> task.inputs.shape, task.targets[:2, 0].tolist(), task.factors[0].tolist()
        ((18, 27), [-1.0, -1.0], [0.0, -1.0, -1.0])
    """
    places, pixel = np.linspace(-1, 1, side), np.linspace(-1, 1, pixels)
    context, x, y = (part.ravel() for part in np.meshgrid([0.0, 1.0], places, places, indexing="ij"))
    # A round bump is the product of one along x and one along y.
    along_x, along_y = (np.exp(-np.square(pixel - part[:, None]) / (2 * sigma**2)) for part in (x, y))
    images = (along_y[:, :, None] * along_x[:, None, :]).reshape(len(x), -1)
    images /= images.sum(axis=1, keepdims=True)
    units = np.stack([context == 0, context == 1], axis=1)
    targets = np.where(context == 0, x, y)[:, None]
    return ContextTask(np.hstack([images, units]), targets, np.stack([context, x, y], axis=1))


def pearson(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson correlation of two lists of numbers; NaN if one of them is constant but for rounding."""
    parts = []
    for values in (one, other):
        centred = values - values.mean()
        size = np.linalg.norm(centred)
        if not size > ROUNDING * np.linalg.norm(values):
            return float("nan")
        parts.append(centred / size)
    return float(parts[0] @ parts[1])


def input_correlation(representation: np.ndarray, inputs: np.ndarray, within: np.ndarray | None = None) -> float:
    """Pearson correlation of the distances of all pairs of samples in a representation with those of their inputs.

    NaN where either has no distances that differ.

    Args:
        representation: (samples, width).
        inputs: (samples, d).
        within: (samples,) groups, of which only pairs within one are taken; the mean over groups. Whether two samples
            of the context task share their context is nearly all that their distance says (r = .998), so that over all
            pairs any representation that sets the contexts apart has a correlation near 1.

    Examples:
        >>> round(input_correlation(np.array([[0.0], [2.0], [6.0]]), np.array([[0.0], [1.0], [3.0]])), 6)
        1.0
    """
    if within is not None:
        groups = [np.asarray(within) == one for one in np.unique(within)]
        return float(np.mean([input_correlation(representation[own], inputs[own]) for own in groups]))
    return pearson(*(pdist(np.asarray(part, dtype=float)) for part in (representation, inputs)))


def target_correlation(representation: np.ndarray, targets: np.ndarray, within: np.ndarray | None = None) -> float:
    """`input_correlation` with the distances of targets (samples, k)."""
    return input_correlation(representation, targets, within)


class FeatureCorrelations(NamedTuple):
    """Means over both contexts of absolute correlations."""

    relevant: float
    irrelevant: float


def feature_correlations(representation: np.ndarray, factors: np.ndarray) -> FeatureCorrelations:
    """Correlation of what varies most within a context with the feature that counts there, and with the other.

    What varies most is the first principal axis of the samples of a context, which knows nothing of the task: a
    representation that keeps both features alike, as a lazy one does, has an arbitrary axis between them.

    Args:
        representation: (samples, width).
        factors: (samples, 3) of `ContextTask`.
    """
    found = []
    for context in (0, 1):
        own, features = _of_context(representation, factors, context)
        along = own @ np.linalg.eigh(own.T @ own)[1][:, -1]
        found.append([abs(pearson(along, features[:, feature])) for feature in (context, 1 - context)])
    return FeatureCorrelations(*np.mean(found, axis=0).tolist())


def axes_cosine(representation: np.ndarray, factors: np.ndarray) -> float:
    """Absolute cosine of the directions in which the two contexts code their own relevant feature.

    The direction of a context is the slope of every unit on the feature that counts there, of a linear regression on
    both features. Unlike a principal axis it is unique even where both features vary alike.

    Args:
        representation: (samples, width).
        factors: (samples, 3) of `ContextTask`.

    Returns:
        0 for orthogonal axes, 1 for parallel ones; NaN where a context codes nothing.
    """
    slopes = []
    for context in (0, 1):
        own, features = _of_context(representation, factors, context)
        slopes.append(np.linalg.lstsq(features, own, rcond=None)[0][context])
    lengths = [np.linalg.norm(slope) for slope in slopes]
    return float(abs(slopes[0] @ slopes[1]) / np.prod(lengths)) if all(lengths) else float("nan")


def participation_ratio(representation: np.ndarray) -> float:
    """Number of directions of a representation (samples, width): (sum of variances)^2 / sum of their squares.

    Examples:
        >>> round(participation_ratio(np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])), 6)
        2.0
    """
    centred = np.asarray(representation, dtype=float) - np.mean(representation, axis=0, dtype=float)
    # Traces need no eigenvalues.
    covariance = centred.T @ centred
    total = np.square(covariance).sum()
    return float(np.trace(covariance) ** 2 / total) if total else float("nan")


class Scaled(NamedTuple):
    """Coordinates that keep distances."""

    coordinates: np.ndarray  # (shown, components), centred
    shown: np.ndarray  # (shown,) which samples, in order
    stress: float  # Kruskal's first: root of sum (distance - kept)^2 / sum kept^2; 0 if every distance is kept


def scaled(representation: np.ndarray, components: int = 3, samples: int = 600, seed: int = 0) -> Scaled:
    """Metric multidimensional scaling of a representation, begun at its principal components.

    Euclidean distances make classical scaling the same as principal components; from there on the iterations are
    deterministic and few.

    Args:
        representation: (all samples, width).
        components: coordinates.
        samples: the most that are shown, drawn without replacement; the cost grows with their square.
        seed: of which are shown.

    Raises:
        StudyError: there are more components than units or samples.
    """
    from sklearn.manifold import smacof

    values = np.asarray(representation, dtype=float)
    shown = np.arange(len(values))
    if samples < len(values):
        shown = np.sort(generator(PROTOCOL, seed).choice(len(values), samples, replace=False))
    values = values[shown] - values[shown].mean(axis=0)
    if components > min(values.shape):
        raise StudyError(f"{values.shape[0]} samples of {values.shape[1]} units have no {components} components.")
    left, sizes, right = np.linalg.svd(values, full_matrices=False)
    # The sign of an axis is the routine's choice; let the largest entry be positive.
    signs = np.sign(right[np.arange(components), np.abs(right[:components]).argmax(axis=1)])
    start = left[:, :components] * (sizes[:components] * signs)
    distances = squareform(pdist(values))
    coordinates, _ = smacof(
        distances,
        n_components=components,
        init=start,
        n_init=1,
        max_iter=ITERATIONS,
        eps=CHANGE,
        normalized_stress=False,
    )
    coordinates -= coordinates.mean(axis=0)
    kept = pdist(coordinates)
    total = np.square(kept).sum()
    stress = np.sqrt(np.square(squareform(distances, checks=False) - kept).sum() / total) if total else 0.0
    return Scaled(coordinates, shown, float(stress))


def _of_context(representation: np.ndarray, factors: np.ndarray, context: int) -> tuple[np.ndarray, np.ndarray]:
    """Centred activity and features (x, y) of the samples of a context."""
    own = np.asarray(factors)[:, 0] == context
    parts = (np.asarray(part, dtype=float)[own] for part in (representation, np.asarray(factors)[:, 1:]))
    activity, features = (part - part.mean(axis=0) for part in parts)
    return activity, features
