"""Second-order statistics of units: means, standard deviations, Pearson correlations, in one pass over the samples.

Li et al. 2016, section 2: c_ij = E[(X_i - mean_i)(Y_j - mean_j)] / (sd_i sd_j), signed, for units i and j of two
networks that saw the same samples. Sums are accumulated in float64 whatever the precision of the activations.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, product
from typing import NamedTuple

import numpy as np

from convergent.errors import StudyError

ROWS_PER_BLOCK = 4096


class Moments(NamedTuple):
    """Sums from which all second-order statistics of units x and y follow; `update` returns a new accumulator.

    Values are taken relative to the first sample seen. Any value within the range of the data keeps the sums free
    of cancellation, and with this one a constant unit has a sum of squares of exactly zero.
    """

    count: int
    shift_x: np.ndarray  # (units_x,)
    shift_y: np.ndarray  # (units_y,)
    sum_x: np.ndarray  # (units_x,)
    sum_y: np.ndarray  # (units_y,)
    squares_x: np.ndarray  # (units_x,)
    squares_y: np.ndarray  # (units_y,)
    products: np.ndarray  # (units_x, units_y)

    @classmethod
    def start(cls, x: np.ndarray, y: np.ndarray | None = None) -> "Moments":
        """Accumulator of a first block of samples: x (samples, units_x), y (samples, units_y); y defaults to x."""
        y = x if y is None else y
        shift_x, shift_y = x[0].astype(np.float64), y[0].astype(np.float64)
        zeros_x, zeros_y = np.zeros(len(shift_x)), np.zeros(len(shift_y))
        products = np.zeros((len(shift_x), len(shift_y)))
        empty = cls(0, shift_x, shift_y, zeros_x, zeros_y, zeros_x, zeros_y, products)
        return empty.update(x, None if y is x else y)

    def update(self, x: np.ndarray, y: np.ndarray | None = None) -> "Moments":
        """Accumulator that has also seen a further block; pass y exactly if `start` had it.

        Raises:
            StudyError: a value is NaN or infinite; the message names the unit by its column.
        """
        x = x - self.shift_x
        # `x.T @ x` on one array lets BLAS compute one triangle only.
        y = x if y is None else y - self.shift_y
        squares_x = np.einsum("ni,ni->i", x, x)
        squares_y = squares_x if y is x else np.einsum("ni,ni->i", y, y)
        for squares in (squares_x, squares_y):
            if not np.isfinite(squares).all():
                unit = int(np.flatnonzero(~np.isfinite(squares))[0])
                raise StudyError(f"the activations of unit {unit} contain NaN or infinite values.")
        sum_x = x.sum(axis=0)
        return Moments(
            self.count + len(x),
            self.shift_x,
            self.shift_y,
            self.sum_x + sum_x,
            self.sum_y + (sum_x if y is x else y.sum(axis=0)),
            self.squares_x + squares_x,
            self.squares_y + squares_y,
            self.products + x.T @ y,
        )

    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """Means (units_x,), (units_y,)."""
        return self.shift_x + self.sum_x / self.count, self.shift_y + self.sum_y / self.count

    def standard_deviation(self) -> tuple[np.ndarray, np.ndarray]:
        """Population standard deviations (units_x,), (units_y,); exactly 0 for a constant unit."""
        return (
            standard_deviation(self.count, self.sum_x, self.squares_x),
            standard_deviation(self.count, self.sum_y, self.squares_y),
        )

    def correlation(self) -> np.ndarray:
        """Pearson correlations (units_x, units_y) in [-1, 1]; 0 wherever a unit is constant."""
        covariance = self.products / self.count
        covariance -= np.outer(self.sum_x / self.count, self.sum_y / self.count)
        scale_x, scale_y = (
            np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
            for deviation in self.standard_deviation()
        )
        covariance *= scale_x[:, None]
        covariance *= scale_y
        return np.clip(covariance, -1.0, 1.0, out=covariance)


def standard_deviation(count: int, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Population standard deviation (units,) from the sums of the values and of their squares."""
    variance = squares / count - (total / count) ** 2
    return np.sqrt(np.where(squares > 0, np.maximum(variance, 0.0), 0.0))


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
    """
    return stacked_moments({"x": x}, None if y is x else {"y": y}).correlation()


def stacked_moments(
    x: Mapping[str, np.ndarray],
    y: Mapping[str, np.ndarray] | None = None,
    rows_x: Mapping[str, np.ndarray] | None = None,
    rows_per_block: int = ROWS_PER_BLOCK,
) -> Moments:
    """Moments of several networks' units side by side, in one pass: one matrix product serves every pair.

    Args:
        x: network name -> activations (samples, units); all over the same samples.
        y: the networks of the other side; None: the same as x.
        rows_x: network name -> order in which to read its rows (samples,), for shuffled controls of x against x.
        rows_per_block: samples held in memory at a time.

    Raises:
        StudyError: see `correlation`; the message names the network and its unit.
    """
    everything = {**x, **(y or {})}
    lengths = {name: len(values) for name, values in everything.items()}
    if len(set(lengths.values())) > 1:
        raise StudyError(f"the numbers of samples differ between networks ({lengths}): dump them from one probe set.")
    if min(lengths.values()) < 2:
        raise StudyError("correlations need at least two samples: use a larger probe set.")
    total = None
    for rows in blocks(min(lengths.values()), rows_per_block):
        stack_x = stack(x, rows, rows_x)
        stack_y = None if y is None else stack(y, rows, None)
        try:
            total = Moments.start(stack_x, stack_y) if total is None else total.update(stack_x, stack_y)
        except StudyError:
            raise StudyError(first_not_finite(everything)) from None
    return total


def tile_statistics(x: Mapping[str, np.ndarray], y: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """Everything second-order of one layer of several networks, as named arrays.

    Args:
        x, y: as in `stacked_moments`.

    Returns:
        `samples` (), `mean/<a>` and `standard_deviation/<a>` (units_a,) for each network, `within/<a>`
        (units_a, units_a) if y is None, `between/<a>/<b>` (units_a, units_b) for each of `pairs(x, y)`.
    """
    moments = stacked_moments(x, y)
    arrays = {"samples": np.array(moments.count)}
    for side, means, deviations in zip((x, y or {}), moments.mean(), moments.standard_deviation(), strict=True):
        for network, columns in columns_of(side).items():
            arrays[f"mean/{network}"] = means[columns]
            arrays[f"standard_deviation/{network}"] = deviations[columns]
    correlations = moments.correlation()
    if y is None:
        arrays |= {f"within/{a}": correlations[columns, columns] for a, columns in columns_of(x).items()}
    return arrays | {f"between/{a}/{b}": block for (a, b), block in between(x, y, correlations)}


def between(
    x: Mapping[str, np.ndarray], y: Mapping[str, np.ndarray] | None, correlations: np.ndarray
) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """Each of `pairs(x, y)` with its (units_a, units_b) block of a matrix over the stacked units of x and y."""
    columns_x = columns_of(x)
    columns_y = columns_x if y is None else columns_of(y)
    for a, b in pairs(x, y):
        yield (a, b), correlations[columns_x[a], columns_y[b]]


def pairs(x: Iterable[str], y: Iterable[str] | None = None) -> list[tuple[str, str]]:
    """Pairs of different networks, each once: all within x, or every one of x with every one of y."""
    return list(combinations(x, 2)) if y is None else list(product(x, y))


def columns_of(networks: Mapping[str, np.ndarray]) -> dict[str, slice]:
    """Where each network's units stand when they are stacked side by side."""
    ends = np.cumsum([values.shape[1] for values in networks.values()])
    return {name: slice(end - networks[name].shape[1], end) for name, end in zip(networks, ends, strict=True)}


def blocks(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover range(count) in order."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def stack(networks: Mapping[str, np.ndarray], rows: slice, order: Mapping[str, np.ndarray] | None) -> np.ndarray:
    """The given rows of all networks side by side, (rows, sum of units), float64."""
    chosen = [values[rows] if order is None else values[order[name][rows]] for name, values in networks.items()]
    return np.concatenate(chosen, axis=1, dtype=np.float64)


def first_not_finite(networks: Mapping[str, np.ndarray]) -> str:
    """Sentence that names the first network and unit with a value that is NaN or infinite."""
    for name, values in networks.items():
        for rows in blocks(len(values), ROWS_PER_BLOCK):
            bad = np.flatnonzero(~np.isfinite(values[rows]).all(axis=0))
            if len(bad):
                return f"unit {bad[0]} of {name} has NaN or infinite activations: check that network's training."
    return "activations contain NaN or infinite values."
