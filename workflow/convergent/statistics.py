"""Second-order statistics of units: means, standard deviations, Pearson correlations, in one pass over the samples.

Li et al. 2016, section 2: c_ij = E[(X_i - mean_i)(Y_j - mean_j)] / (sd_i sd_j), signed, for units i and j of two
networks that saw the same samples. Sums are accumulated in float64 whatever the precision of the activations.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple

import numpy as np

from convergent.errors import StudyError
from convergent.mutual_information import mutual_information
from convergent.samples import ROWS_PER_BLOCK, blocks, first_not_finite

__all__ = [
    "Moments",
    "PairSums",
    "correlation",
    "mutual_information",
    "pair_moments",
    "pairs",
    "sides",
    "tile_arrays",
    "tile_pairs",
    "tile_statistics",
]

WIDEST_TRIANGLE = 4096


class Units(NamedTuple):
    """Location and scale of each unit of one network on some samples."""

    mean: np.ndarray  # (units,)
    standard_deviation: np.ndarray  # (units,)

    @property
    def live(self) -> np.ndarray:
        """Whether each unit (units,) varies."""
        return self.standard_deviation > 0


class Sums(NamedTuple):
    """Sums over the samples of one network's units, of values taken relative to the first sample.

    Any value within the range of the data keeps the sums free of cancellation; relative to this one, a constant unit
    has a sum of squares of exactly zero.
    """

    count: int
    shift: np.ndarray  # (units,) the first sample
    total: np.ndarray  # (units,)
    squares: np.ndarray  # (units,)

    @classmethod
    def start(cls, first: np.ndarray) -> "Sums":
        """Sums over no sample yet; `first` (units,) is the first to come."""
        zeros = np.zeros(len(first))
        return cls(0, first.astype(np.float64), zeros, zeros)

    def update(self, shifted: np.ndarray) -> "Sums":
        """Sums that also count a block of samples (samples, units) from which `shift` has been subtracted.

        Raises:
            StudyError: a value is NaN or infinite; the message names the unit by its column.
        """
        squares = np.einsum("ni,ni->i", shifted, shifted)
        if not np.isfinite(squares).all():
            unit = int(np.flatnonzero(~np.isfinite(squares))[0])
            raise StudyError(f"the activations of unit {unit} contain NaN or infinite values.")
        return Sums(self.count + len(shifted), self.shift, self.total + shifted.sum(axis=0), self.squares + squares)

    def joined(self, other: "Sums") -> "Sums":
        """Sums over the samples of both, of the same units; a unit that is constant over both keeps squares of 0."""
        moved = other.shift - self.shift
        squares = other.squares + moved * (2 * other.total + other.count * moved)
        total = other.total + other.count * moved
        return Sums(self.count + other.count, self.shift, self.total + total, self.squares + squares)

    def mean(self) -> np.ndarray:
        """Means (units,)."""
        return self.shift + self.total / self.count

    def standard_deviation(self) -> np.ndarray:
        """Population standard deviations (units,); exactly 0 for a constant unit."""
        variance = self.squares / self.count - (self.total / self.count) ** 2
        return np.sqrt(np.where(self.squares > 0, np.maximum(variance, 0.0), 0.0))


class Moments(NamedTuple):
    """Sums from which all second-order statistics of units x and y follow; `update` returns a new accumulator."""

    x: Sums
    y: Sums
    products: np.ndarray  # (units_x, units_y)

    @classmethod
    def start(cls, x: np.ndarray, y: np.ndarray | None = None) -> "Moments":
        """Accumulator of a first block of samples: x (samples, units_x), y (samples, units_y); y defaults to x."""
        other = x if y is None else y
        empty = cls(Sums.start(x[0]), Sums.start(other[0]), np.zeros((x.shape[1], other.shape[1])))
        return empty.update(x, y)

    def update(self, x: np.ndarray, y: np.ndarray | None = None) -> "Moments":
        """Accumulator that has also seen a further block; pass y exactly if `start` had it.

        Raises:
            StudyError: a value is NaN or infinite; the message names the unit by its column.
        """
        x = x - self.x.shift
        y = x if y is None else y - self.y.shift
        sums = self.x.update(x)
        return Moments(sums, sums if y is x else self.y.update(y), self.products + product_sum(x, y))

    def joined(self, other: "Moments") -> "Moments":
        """Accumulator that has seen the samples of both, of the same units."""
        moved_x, moved_y = other.x.shift - self.x.shift, other.y.shift - self.y.shift
        products = other.products + np.outer(moved_x, other.y.total + other.count * moved_y)
        products += np.outer(other.x.total, moved_y)
        return Moments(self.x.joined(other.x), self.y.joined(other.y), self.products + products)

    @property
    def count(self) -> int:
        """Number of samples."""
        return self.x.count

    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """Means (units_x,), (units_y,)."""
        return self.x.mean(), self.y.mean()

    def standard_deviation(self) -> tuple[np.ndarray, np.ndarray]:
        """Population standard deviations (units_x,), (units_y,); exactly 0 for a constant unit."""
        return self.x.standard_deviation(), self.y.standard_deviation()

    def units(self) -> tuple[Units, Units]:
        """Units of x and of y."""
        return tuple(map(Units, self.mean(), self.standard_deviation()))

    def correlation(self) -> np.ndarray:
        """Pearson correlations (units_x, units_y) in [-1, 1]; 0 wherever a unit is constant."""
        mean_x, mean_y = self.x.total / self.count, self.y.total / self.count
        scale_x, scale_y = (
            np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
            for deviation in self.standard_deviation()
        )
        correlation = self.products / self.count
        for row, values in enumerate(correlation):  # row by row, so that no second matrix is needed
            values -= mean_x[row] * mean_y
            values *= scale_x[row] * scale_y
        return np.clip(correlation, -1.0, 1.0, out=correlation)


class PairSums:
    """Accumulator of the moments of pairs of networks: each network is summed once, whatever the number of its pairs.

    It holds the sums of the samples that it has seen, units_a x units_b numbers for each pair, and no sample.
    """

    def __init__(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Sums over no sample yet of the `wanted` pairs of networks, of which one may be paired with itself."""
        self.wanted = list(wanted)
        self.sums: dict[str, Sums] = {}
        self.products: dict[tuple[str, str], np.ndarray] = {}

    def update(self, block: Mapping[str, np.ndarray]) -> None:
        """Count a block of samples, the same of every network: name -> activations (samples, units).

        Raises:
            StudyError: a value is NaN or infinite; the message names the unit by its column.
        """
        shifted = {}
        for name, values in block.items():
            sums = self.sums.get(name) or Sums.start(values[0])
            shifted[name] = values - sums.shift
            self.sums[name] = sums.update(shifted[name])
        for a, b in self.wanted:
            product = product_sum(shifted[a], shifted[b])
            if (a, b) in self.products:
                self.products[a, b] += product
            else:
                self.products[a, b] = product

    def moments(self) -> dict[tuple[str, str], Moments]:
        """(a, b) -> moments of all samples so far, for each wanted pair.

        Raises:
            StudyError: there are fewer than two samples.
        """
        if self.wanted and min((sums.count for sums in self.sums.values()), default=0) < 2:
            raise StudyError("correlations need at least two samples: use a larger probe set.")
        return {(a, b): Moments(self.sums[a], self.sums[b], self.products[a, b]) for a, b in self.wanted}


def product_sum(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sum over samples of the products of units (units_x, units_y); x and y may be the same array."""
    # `x.T @ x` on one array lets BLAS compute one triangle only. On very wide arrays OpenBLAS crashes in that routine
    # when it has several threads (seen at 16,384 columns): a copy makes it take the general product.
    return x.T @ (y.copy() if y is x and x.shape[1] > WIDEST_TRIANGLE else y)


def correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed Pearson correlation of every unit of x with every unit of y.

    Args:
        x: activations (samples, units_x), any float precision; may be memory-mapped.
        y: activations (samples, units_y) for the same samples in the same order.

    Returns:
        (units_x, units_y) float64. A constant unit has correlation 0 with everything, itself included.

    Raises:
        StudyError: the numbers of samples differ, there are fewer than two, or a value is not finite.

    Source: Li et al. 2016, section 2.

    Examples:
        >>> x = np.array([[0.0, 1], [1, 1], [2, 1]])  # its second unit is dead
        >>> y = np.array([[0.0, 3], [2, 2], [4, 1]])
        >>> correlation(x, y).round(6)
        array([[ 1., -1.],
               [ 0.,  0.]])
    """
    pair = ("x", "x" if y is x else "y")
    return pair_moments({"x": x, "y": y}, [pair])[pair].correlation()


def pair_moments(
    networks: Mapping[str, np.ndarray],
    wanted: Iterable[tuple[str, str]],
    images: int | None = None,
    order: Mapping[str, np.ndarray] | None = None,
    rows_per_block: int = ROWS_PER_BLOCK,
) -> dict[tuple[str, str], Moments]:
    """Moments of pairs of networks in one pass over their activations.

    Args:
        networks: name -> activations (samples, units); all over the same samples.
        wanted: the pairs; a network may be paired with itself.
        images: how many images the samples come from, the same number from each; needed with `order`.
        order: network name -> which images to read, in this order, each as often as it is named; networks that are
            not in it are read as they are.
        rows_per_block: samples held in memory at a time.

    Returns:
        (a, b) -> moments, for each wanted pair.

    Raises:
        StudyError: the numbers of samples differ, there are fewer than two, or a value is not finite; the message
            names the network and its unit.
    """
    wanted, order = list(wanted), order or {}
    networks = {name: networks[name] for name in dict.fromkeys(name for pair in wanted for name in pair)}
    lengths = {
        name: len(values) // images * len(order[name]) if name in order else len(values)
        for name, values in networks.items()
    }
    if len(set(lengths.values())) > 1:
        raise StudyError(f"the numbers of samples differ between networks ({lengths}): dump them from one probe set.")
    found = PairSums(wanted)
    try:
        for rows in blocks(min(lengths.values(), default=0), rows_per_block):
            found.update(
                {
                    name: values[reordered(rows, len(values) // images, order[name]) if name in order else rows]
                    for name, values in networks.items()
                }
            )
    except StudyError:
        raise StudyError(first_not_finite(networks)) from None
    return found.moments()


def tile_statistics(x: Mapping[str, np.ndarray], y: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """Everything second-order of one layer of several networks, as named arrays.

    Args:
        x: network name -> activations (samples, units); all over the same samples.
        y: the networks of the other side; None: the same as x.

    Returns:
        `samples` (), `mean/<a>` and `standard_deviation/<a>` (units_a,) for each network, `within/<a>`
        (units_a, units_a) if y is None, `between/<a>/<b>` (units_a, units_b) for each of `pairs(x, y)`.
    """
    return tile_arrays(pair_moments({**x, **(y or {})}, tile_pairs(x, y)))


def tile_pairs(x: Iterable[str], y: Iterable[str] | None = None) -> list[tuple[str, str]]:
    """The pairs whose moments make a tile: each network with itself if y is None, and those of `pairs(x, y)`."""
    return [(name, name) for name in x if y is None] + pairs(x, y)


def tile_arrays(moments: dict[tuple[str, str], Moments]) -> dict[str, np.ndarray]:
    """The arrays of `tile_statistics` from the moments of `tile_pairs`, which are used up."""
    arrays: dict[str, np.ndarray] = {}
    for a, b in list(moments):
        pair = moments.pop((a, b))  # its sums make room for the correlations
        for name, mean, deviation in zip((a, b), pair.mean(), pair.standard_deviation(), strict=True):
            arrays |= {f"mean/{name}": mean, f"standard_deviation/{name}": deviation}
        arrays[f"within/{a}" if a == b else f"between/{a}/{b}"] = pair.correlation()
        arrays["samples"] = np.array(pair.count)
    return arrays


def units_of(arrays: Mapping[str, np.ndarray]) -> dict[str, Units]:
    """Network -> its units, from the arrays of `tile_statistics`."""
    names = [name.removeprefix("mean/") for name in arrays if name.startswith("mean/")]
    return {name: Units(arrays[f"mean/{name}"], arrays[f"standard_deviation/{name}"]) for name in names}


def pairs(x: Iterable[str], y: Iterable[str] | None = None) -> list[tuple[str, str]]:
    """Pairs of different networks, each once: all within x, or every one of x with every one of y."""
    return list(combinations(x, 2)) if y is None else list(product(x, y))


def sides(networks: Mapping[str, np.ndarray], names: Sequence) -> tuple[dict, dict | None]:
    """The two sides of a tile of pairs, chosen by name; None for the second side where it is the same as the first."""
    x, y = ({name: networks[name] for name in side} if side else None for side in names)
    return x, y


def reordered(rows: slice, per_image: int, images: np.ndarray) -> np.ndarray:
    """Where the given rows come from when these images are read, each with `per_image` samples."""
    image, position = np.divmod(np.arange(rows.start, rows.stop), per_image)
    return images[image] * per_image + position


def mean_of(values: Sequence[float] | np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN if there are none."""
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else np.nan
