"""Labelled images: pairs of them that draw apart as a network learns, and the distances that the theory predicts.

van Rossem & Saxe 2024 (arXiv 2402.09142): the matrix P = E D E, with D the product of input and target distances and
E = exp(-D), both elementwise. Settings of the authors' public code.
"""

from typing import NamedTuple

import numpy as np

from convergent.draws import generator
from convergent.dynamics.context import pearson
from convergent.errors import StudyError
from convergent.samples import blocks

PROTOCOL = "image pairs"
ROWS = 1024  # images of a class whose distances are held at once


def standardised(images: np.ndarray) -> np.ndarray:
    """Images (N, ...) less the mean of all their pixels, over the standard deviation of all.

    For the handwritten digits of MNIST these are the usual .1307 and .3081.

    Raises:
        StudyError: all pixels are equal.
    """
    images = np.asarray(images, dtype=float)
    deviation = images.std()
    if not deviation > 0:
        raise StudyError("all pixels of the images are equal, so they cannot be standardised: give other images.")
    return (images - images.mean()) / deviation


def one_hot(labels: np.ndarray, classes: int | None = None) -> np.ndarray:
    """Targets (N, classes) of labels 0, 1, ...: 1 for the label's class and 0 elsewhere.

    Examples:
        >>> one_hot(np.array([1, 0]))
        array([[0., 1.],
               [1., 0.]])
    """
    return np.eye(int(np.max(labels)) + 1 if classes is None else classes)[labels]


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Euclidean distances (n, m) of rows; by one product, as a search over all pixels of all pairs takes minutes."""
    squares = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1) - 2 * one @ other.T
    return np.sqrt(np.maximum(squares, 0))


def literal_structure(images: np.ndarray, labels: np.ndarray, shown: np.ndarray, squared: bool = True) -> np.ndarray:
    """`predicted_structure` by the product P = E D E itself, which holds at any scale of the images.

    Args:
        images: (N, d). N x N matrices are held.
        labels, shown, squared: see `predicted_structure`.
    """
    images, labels = np.asarray(images, dtype=float), np.asarray(labels)
    distances = _distances(images, images) * (np.sqrt(2) * (labels[:, None] != labels))
    near = np.exp(-distances)
    product = near[shown] @ distances @ near[:, shown]
    return np.square(product) if squared else product


def class_sums(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of D over all pairs of images of two classes.

    Returns:
        the classes (C,), their sizes (C,), and sums (C, C) with zeros on the diagonal, as targets of one class do not
        differ.
    """
    images, labels = np.asarray(images, dtype=float), np.asarray(labels)
    classes, sizes = np.unique(labels, return_counts=True)
    members = [images[labels == one] for one in classes]
    sums = np.zeros((len(classes), len(classes)))
    for place, one in enumerate(members):
        for rows in blocks(len(one), ROWS):
            for later in range(place + 1, len(classes)):
                sums[place, later] += _distances(one[rows], members[later]).sum()
    return classes, sizes, np.sqrt(2) * (sums + sums.T)


def predicted_structure(
    images: np.ndarray, labels: np.ndarray, shown: np.ndarray, average: bool = False, squared: bool = True
) -> np.ndarray:
    """The theory's matrix P = E D E of some images, for pixels as large as those of 8-bit images.

    Distances of images of two classes are then so large that E = exp(-D) is 0, and within a class, where targets do not
    differ, it is 1: P_ij is the sum of D over all images of i's class and all of j's. `literal_structure` makes no such
    assumption; the two differ by about exp(-the smallest distance between classes) times as much again.

    Args:
        images: (N, d) pixels as they are, not standardised.
        labels: (N,) classes; targets are one-hot, at a distance of sqrt(2).
        shown: (n,) indices of the images whose rows and columns are wanted, in their order.
        average: divide every block by its number of pairs, as the sum grows with the sizes of classes.
        squared: elementwise squares, which the authors' picture shows.

    Returns:
        (n, n).
    """
    classes, sizes, blocks_of = class_sums(images, labels)
    if average:
        blocks_of = blocks_of / np.outer(sizes, sizes)
    own = np.searchsorted(classes, np.asarray(labels)[shown])
    matrix = blocks_of[np.ix_(own, own)]
    return np.square(matrix) if squared else matrix


def measured_structure(representations: np.ndarray, squared: bool = True) -> np.ndarray:
    """Distances (samples, samples) in a hidden layer, mean over networks.

    Args:
        representations: (networks, samples, width), without networks that diverged.
        squared: the mean of squared distances, as the authors take it; else of distances.
    """
    values = np.asarray(representations, dtype=float)
    squares = np.stack([_distances(one - one.mean(axis=0), one - one.mean(axis=0)) for one in values])
    diagonal = np.arange(values.shape[1])
    squares[:, diagonal, diagonal] = 0  # rounding leaves some
    return (np.square(squares) if squared else squares).mean(axis=0)


class StructureCorrelation(NamedTuple):
    """Pearson correlations of a predicted and a measured matrix; NaN where one is constant."""

    all: float  # over all entries
    between: float  # over those of two classes


def structure_correlation(predicted: np.ndarray, measured: np.ndarray, labels: np.ndarray) -> StructureCorrelation:
    """How well a matrix of distances is predicted, with and without the blocks of one class, which are easy.

    Args:
        predicted, measured: (n, n).
        labels: (n,) of the images shown.
    """
    labels = np.asarray(labels)
    differ = labels[:, None] != labels
    return StructureCorrelation(
        pearson(np.ravel(predicted), np.ravel(measured)),
        pearson(predicted[differ], measured[differ]),
    )


def tracked_pairs(
    images: np.ndarray, labels: np.ndarray, classes: tuple[int, int] = (0, 1), pairs: int = 10, seed: int = 0
) -> np.ndarray:
    """Indices (pairs, 2) of random images, one of each class; no image is in two pairs.

    Raises:
        StudyError: a class has fewer images, or the images are not as many as labels.
    """
    if len(images) != len(labels):
        raise StudyError(f"{len(images)} images have {len(labels)} labels: give one label to each image.")
    columns = []
    for place, one in enumerate(classes):
        own = np.flatnonzero(np.asarray(labels) == one)
        if len(own) < pairs:
            raise StudyError(f"class {one} has {len(own)} images, too few for {pairs} pairs: ask for fewer pairs.")
        columns.append(generator(PROTOCOL, seed, place).choice(own, pairs, replace=False))
    return np.stack(columns, axis=1)


class PairQuantities(NamedTuple):
    """The theory's three numbers of a pair, each (networks, pairs, epochs)."""

    hidden: np.ndarray  # squared distance of the representations
    output: np.ndarray  # squared distance of the outputs
    overlap: np.ndarray  # that less the product of the outputs' difference with the targets'; 0 once they are learned


def pair_quantities(representations: np.ndarray, outputs: np.ndarray, targets: np.ndarray) -> PairQuantities:
    """The theory's quantities of tracked pairs.

    Args:
        representations: (networks, epochs, 2 pairs, width), the two images of a pair next to each other, as
            `tracked_pairs(...).ravel()` has them.
        outputs: (networks, epochs, 2 pairs, k).
        targets: (2 pairs, k).

    Raises:
        StudyError: the number of images is odd.
    """
    targets = np.asarray(targets, dtype=float)
    if len(targets) % 2:
        raise StudyError(f"{len(targets)} tracked images are no pairs: give an even number of them.")
    hidden, given = (np.asarray(part, dtype=float) for part in (representations, outputs))
    hidden, given, wanted = (part[..., 1::2, :] - part[..., ::2, :] for part in (hidden, given, targets))
    output = np.square(given).sum(axis=-1)
    found = np.square(hidden).sum(axis=-1), output, output - (given * wanted).sum(axis=-1)
    return PairQuantities(*(np.moveaxis(part, 1, 2) for part in found))
