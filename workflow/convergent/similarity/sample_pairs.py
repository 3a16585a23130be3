"""Samples compared with samples: cosines, correlations or distances, tile by tile of the upper triangle.

Every measure of `kernels`, `rsa` and `neighbours` takes three more options, see `Limits`. All samples are used unless
`largest_samples` says otherwise: the cost grows with their square. No matrix of all pairs is held.
"""

from collections.abc import Iterator
from typing import NamedTuple, TypedDict

import numpy as np

from convergent.errors import StudyError
from convergent.samples import blocks
from convergent.similarity.factors import FEWEST_SAMPLES, Representation
from convergent.similarity.registry import Undefined

MEMORY_BYTES = 2**28
LARGEST_SIDE = 1024  # of a tile: large enough for the matrix product, small enough for the caches
TIE = 2.0**-40  # similarities that differ by less, relative to the largest possible, are equal but for rounding


class Limits(TypedDict, total=False):
    """What bounds the work of a measure that compares samples with samples."""

    largest_samples: int | None  # with more samples than this, as many random ones are used; None: always all
    sampling_seed: int  # of that draw; 0
    memory_bytes: int  # bound on the working memory, beside the activations and a few numbers per sample


def limited(
    x: Representation,
    y: Representation,
    largest_samples: int | None = None,
    sampling_seed: int = 0,
    memory_bytes: int = MEMORY_BYTES,
) -> tuple[Representation, Representation, int]:
    """Both networks with at most `largest_samples` samples, the same ones of both, and the bound on the memory.

    Raises:
        StudyError: fewer than three samples are asked for.
    """
    if largest_samples is None or x.samples <= largest_samples:
        return x, y, memory_bytes
    if largest_samples < FEWEST_SAMPLES:
        raise StudyError(
            f"similarity needs at least {FEWEST_SAMPLES} samples, but largest_samples is {largest_samples}."
        )
    chosen = np.sort(np.random.default_rng(sampling_seed).choice(x.samples, largest_samples, replace=False))
    name = f"some samples/{largest_samples}/{sampling_seed}"
    first = some_samples(x, chosen, name)
    return first, first if y is x else some_samples(y, chosen, name), memory_bytes


def some_samples(x: Representation, chosen: np.ndarray, name: str) -> Representation:
    """The chosen samples (chosen,) of x in that order, remembered under a name."""
    return x.factor(name, lambda: Representation(x.read(chosen), x.name))


def as_stored(x: Representation) -> Representation:
    """x with its samples in the order in which they are stored; it shares what does not depend on the order."""
    if x.order is None:
        return x
    stored = Representation(x.activations, x.name)
    stored.unordered_factors = x.unordered_factors
    return stored


def order_of(x: Representation) -> np.ndarray | None:
    """Which stored sample is first, second, ... in x (samples,); None: all of them as they are stored."""
    return x.order


class Centre(NamedTuple):
    """Where the samples of a network lie."""

    location: np.ndarray  # (units,) their mean
    extent: float  # largest squared distance of a sample from it


def centre(x: Representation) -> Centre:
    """Mean and extent of the samples.

    Raises:
        Undefined: all samples are the same.
    """

    def compute() -> Centre:
        first = x.read(slice(0, 1))[0]  # relative to it, samples that are all the same are exactly zero
        location = first + sum((block - first).sum(axis=0) for block in x.blocks()) / x.samples
        return Centre(location, max(float(squared_lengths(block - location).max()) for block in x.blocks()))

    found = x.factor("centre", compute, unordered=True)
    if found.extent == 0:
        raise Undefined(f"all samples of {x.name} are the same.")
    return found


def squared_lengths(values: np.ndarray) -> np.ndarray:
    """Squared length of each row (rows,)."""
    return np.einsum("ij,ij->i", values, values)


def scale_of(x: Representation, comparison: str) -> float:
    """What `TIE` is relative to: 1 for the similarities that are within [-1, 1], else the extent of the samples."""
    return centre(x).extent if comparison == "euclidean" else 1.0


def stored_rows(x: Representation, comparison: str, rows: slice | np.ndarray) -> np.ndarray:
    """Stored samples (rows, units), made ready for a comparison.

    Args:
        x: the network.
        comparison: "cosine": scaled to length 1; "correlation": the mean over units is taken away first; "euclidean":
            the mean over samples is taken away, which costs no digits if it is large.
        rows: which samples, as they are stored.

    Raises:
        StudyError: a value is not finite.
        Undefined: a sample is zero in every unit (cosine), the same in every unit (correlation), or all samples are
            the same (Euclidean).
    """
    values = as_stored(x).read(rows)
    if comparison == "euclidean":
        return values - centre(x).location
    if comparison == "correlation":
        values -= values[:, :1].copy()  # makes a constant sample exactly zero
        values -= values.mean(axis=1, keepdims=True)
    lengths = np.sqrt(squared_lengths(values))
    if not lengths.all():
        sample = np.arange(x.samples)[rows][np.flatnonzero(lengths == 0)[0]]
        what = "is the same" if comparison == "correlation" else "is zero"
        raise Undefined(f"sample {sample} of {x.name} {what} in every unit, so it has no {comparison} with another.")
    values /= lengths[:, None]
    return values


class Samples:
    """The samples of a network, ready to be compared with each other tile by tile.

    Args:
        x: the network.
        comparison: "cosine", "correlation" or "euclidean", see `stored_rows`.
        memory_bytes: bound on the working memory.
        order: which stored sample is first, second, ...; None: as they are stored.
        single: compute in float32, twice as fast, with the extent of the samples as unit of squared distances.
    """

    def __init__(
        self,
        x: Representation,
        comparison: str,
        memory_bytes: int,
        order: np.ndarray | None = None,
        single: bool = False,
    ) -> None:
        self.x, self.comparison, self.order, self.single = x, comparison, order, single
        self.side = tile_side(x.units, memory_bytes)
        fits = 8 * x.samples * x.units <= memory_bytes // 4
        self.held = self.read(slice(0, x.samples)) if fits else None

    def read(self, stored: slice | np.ndarray) -> np.ndarray:
        """Stored samples (rows, units) ready for the comparison."""
        values = stored_rows(self.x, self.comparison, stored)
        if not self.single:
            return values
        values /= np.sqrt(scale_of(self.x, self.comparison))
        return values.astype(np.float32)

    def rows(self, rows: slice | np.ndarray) -> np.ndarray:
        """Samples (rows, units) ready for the comparison."""
        stored = rows if self.order is None else self.order[rows]
        return self.read(stored) if self.held is None else self.held[stored]

    def similarity(self, rows: slice, columns: slice) -> np.ndarray:
        """Similarities (rows, columns): cosine, correlation, or minus the squared distance."""
        first = self.rows(rows)
        second = first if rows == columns else self.rows(columns)
        tile = first @ second.T
        if self.comparison == "euclidean":
            tile *= 2
            tile -= squared_lengths(first)[:, None]
            tile -= squared_lengths(second)
        return tile


def tile_side(units: int, memory_bytes: int) -> int:
    """Samples per side of a tile whose working memory stays below the bound; at least 1, at most `LARGEST_SIDE`."""
    per_pair = 8 * 8  # tiles of both networks and what becomes of them
    per_sample = 8 * 6 * units  # rows and columns of both networks, read and made ready
    side = (np.sqrt(per_sample**2 + 4 * per_pair * memory_bytes) - per_sample) / (2 * per_pair)
    return int(min(max(1, side), LARGEST_SIDE))


def upper_tiles(samples: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the tiles of an upper triangle; those on the diagonal have equal rows and columns."""
    every = list(blocks(samples, side))
    return ((rows, columns) for place, rows in enumerate(every) for columns in every[place:])


def condensed_tiles(samples: Samples, side: int) -> Iterator[np.ndarray]:
    """Similarities of all pairs of different samples, tile by tile of the upper triangle (pairs of the tile,)."""
    for rows, columns in upper_tiles(samples.x.samples, side):
        tile = samples.similarity(rows, columns)
        yield tile[np.triu_indices(len(tile), 1)] if rows == columns else tile.ravel()


def pairs_of(x: Representation) -> int:
    """Number of pairs of different samples."""
    return x.samples * (x.samples - 1) // 2


def require_four(x: Representation) -> None:
    """Undefined with fewer than four samples, which debiasing needs."""
    if x.samples < 4:
        raise Undefined(f"debiasing needs at least 4 samples, but there are {x.samples}.")
