"""How the similarities of all pairs of samples of a network are distributed: their ranks and quantiles.

Few are sorted; of many, the numbers in about a million bins are counted, tile by tile, so that none is held.
"""

from collections.abc import Sequence

import numpy as np

from convergent.similarity.factors import Representation
from convergent.similarity.sample_pairs import TIE, Samples, as_stored, condensed_tiles, pairs_of, scale_of

MOST_SORTED = 2**19  # pairs of samples whose similarities are sorted one by one; of more, bins are counted
BINS = 2**20
CELLS = 2**12
SAMPLES_FOR_CELLS = 1024


class Sorted:
    """Distribution of few values, all of which are known.

    Args:
        values: (values,).
        tie: values that differ by at most this are equal.
    """

    def __init__(self, values: np.ndarray, tie: float) -> None:
        values = np.sort(values)
        steps = np.flatnonzero(np.diff(values) > tie)
        self.between = (values[steps] + values[steps + 1]) / 2
        ends = np.append(steps, len(values) - 1) + 1
        self.counts = np.diff(ends, prepend=0)
        self.ranks = ends - (self.counts - 1) / 2

    def place(self, values: np.ndarray) -> np.ndarray:
        """Which entry of `ranks` each value has."""
        return np.searchsorted(self.between, values)


class Binned:
    """Distribution of many values, counted in about a million bins that hold nearly equal numbers of them.

    Values in one bin count as equal. That changes a rank correlation by about the share of the values in a bin over
    the root of the number of values, by less than 1e-7 therefore, and treats true ties as `Sorted` does.

    Args:
        some: (some,) a sample of the values; it decides on the bins.
        tie: values that differ by at most this are equal.
    """

    def __init__(self, some: np.ndarray, tie: float) -> None:
        span = max(float(np.ptp(some)), tie)
        # An odd margin, so that no edge falls on values that recur, as those of whole numbers do.
        self.low = float(some.min()) - 0.0027182818 * span
        self.per_value = CELLS / (1.0058782 * span)
        share = np.bincount(self.cells(some)[0], minlength=CELLS) / len(some)
        self.width = np.floor(1 + share * (BINS - CELLS))
        self.base = np.concatenate([[0], np.cumsum(self.width)]).astype(np.int64)
        self.counts = np.zeros(self.base[-1], dtype=np.int64)

    def cells(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cell of each value, and where in it the value lies, within [0, 1)."""
        within = values - self.low
        within *= self.per_value
        np.clip(within, 0, np.nextafter(CELLS, 0), out=within)
        cell = within.astype(np.int32)
        within -= cell
        return cell, within

    def place(self, values: np.ndarray) -> np.ndarray:
        """Which bin each value is in."""
        cell, within = self.cells(values)
        within *= self.width.take(cell)
        place = within.astype(np.int32)
        place += self.base.take(cell)
        return place

    def count(self, values: np.ndarray) -> None:
        """Takes these values (values,) into account."""
        self.counts += np.bincount(self.place(values), minlength=len(self.counts))

    @property
    def ranks(self) -> np.ndarray:
        """Mean rank of the values in each bin, from 1."""
        return np.cumsum(self.counts) - (self.counts - 1) / 2

    def statistic(self, place: int) -> float:
        """The value at a place from 0 of the ascending order, interpolated within its bin."""
        ends = np.cumsum(self.counts)
        bin_ = int(np.searchsorted(ends, place, side="right"))
        part = (place + 0.5 - ends[bin_] + self.counts[bin_]) / self.counts[bin_]
        cell = int(np.searchsorted(self.base, bin_, side="right")) - 1
        return self.low + (cell + (bin_ - self.base[cell] + part) / self.width[cell]) / self.per_value


def distribution(x: Representation, comparison: str, memory_bytes: int) -> Sorted | Binned:
    """How the similarities of all pairs of different samples are distributed; of many, computed once per network."""
    tie = TIE * scale_of(x, comparison)
    if pairs_of(x) <= MOST_SORTED:
        samples = Samples(x, comparison, memory_bytes)
        return Sorted(np.concatenate(list(condensed_tiles(samples, samples.side))), tie)

    def compute() -> Binned:
        samples = Samples(x, comparison, memory_bytes)
        chosen = np.sort(np.random.default_rng(0).choice(x.samples, SAMPLES_FOR_CELLS, replace=False))
        some = Samples(Representation(as_stored(x).read(chosen), x.name), comparison, memory_bytes)
        binned = Binned(np.concatenate(list(condensed_tiles(some, some.side))), tie)
        for values in condensed_tiles(samples, samples.side):
            binned.count(values)
        return binned

    return x.factor(f"distribution/{comparison}", compute, unordered=True)


def order_statistics(x: Representation, comparison: str, places: Sequence[int], memory_bytes: int) -> list[float]:
    """The similarities of pairs of different samples at these places, from 0, of their ascending order."""
    if pairs_of(x) > MOST_SORTED:
        known = distribution(x, comparison, memory_bytes)
        return [known.statistic(place) for place in places]
    samples = Samples(x, comparison, memory_bytes)
    values = np.concatenate(list(condensed_tiles(samples, samples.side)))
    values.partition(places)
    return values[list(places)].tolist()
