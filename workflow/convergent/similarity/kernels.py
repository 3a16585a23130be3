"""Similarity measures that compare how alike every two samples are: RSA, CKA with an RBF kernel, distance correlation.

The n by n matrices of two networks enter through a few sums over pairs of samples, which are accumulated in float64
over tiles of the upper triangle; no whole matrix is held. (Released code of several peers sums n squared float32 terms,
which is wrong in the second decimal at 10,000 samples.)

Every measure of this module and of `neighbours` takes three more options, see `Limits`. All samples are used unless
`largest_samples` says otherwise: the cost grows with their square.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypedDict, Unpack

import numpy as np

from convergent.errors import StudyError
from convergent.samples import ROWS_PER_BLOCK, blocks
from convergent.similarity.factors import FEWEST_SAMPLES, Representation
from convergent.similarity.registry import Undefined, measure

MEMORY_BYTES = 2**28
LARGEST_SIDE = 1024  # of a tile: large enough for the matrix product, small enough for the caches
TIE = 2.0**-40  # similarities that differ by less, relative to the largest possible, are equal but for rounding
MOST_SORTED = 2**19  # pairs of samples whose similarities are sorted one by one; of more, bins are counted
BINS = 2**20
CELLS = 2**12
SAMPLES_FOR_CELLS = 1024


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


# --- samples compared with samples, tile by tile ---------------------------------------------------------------------


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


# --- how the similarities are distributed ----------------------------------------------------------------------------


class Sorted:
    """Distribution of few values, all of which are known.

    Args:
        values: (values,).
        tie: values that differ by at most this are equal.
    """

    def __init__(self, values: np.ndarray, tie: float) -> None:
        self.values = np.sort(values)
        steps = np.flatnonzero(np.diff(self.values) > tie)
        self.between = (self.values[steps] + self.values[steps + 1]) / 2
        ends = np.append(steps, len(values) - 1) + 1
        self.counts = np.diff(ends, prepend=0)
        self.ranks = ends - (self.counts - 1) / 2

    def place(self, values: np.ndarray) -> np.ndarray:
        """Which entry of `ranks` each value has."""
        return np.searchsorted(self.between, values)

    def statistic(self, place: int) -> float:
        """The value at a place from 0 of the ascending order."""
        return float(self.values[place])


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
    """How the similarities of all pairs of different samples are distributed; computed once per network."""

    def compute() -> Sorted | Binned:
        tie = TIE * scale_of(x, comparison)
        samples = Samples(x, comparison, memory_bytes)
        if pairs_of(x) <= MOST_SORTED:
            return Sorted(np.concatenate(list(condensed_tiles(samples, samples.side))), tie)
        chosen = np.sort(np.random.default_rng(0).choice(x.samples, SAMPLES_FOR_CELLS, replace=False))
        some = Samples(Representation(as_stored(x).read(chosen), x.name), comparison, memory_bytes)
        binned = Binned(np.concatenate(list(condensed_tiles(some, some.side))), tie)
        for values in condensed_tiles(samples, samples.side):
            binned.count(values)
        return binned

    return x.factor(f"distribution/{comparison}", compute, unordered=True)


def pairs_of(x: Representation) -> int:
    """Number of pairs of different samples."""
    return x.samples * (x.samples - 1) // 2


# --- sums over pairs of samples --------------------------------------------------------------------------------------


class Kernel(NamedTuple):
    """What becomes of the similarities of a network's samples."""

    name: str  # with every option that changes its values
    comparison: str
    values: Callable[[np.ndarray], np.ndarray]  # of a tile of similarities, which may be overwritten


class Sums(NamedTuple):
    """Sums over the pairs of different samples of one network."""

    rows: np.ndarray  # (samples,) of each sample's values with all others
    squares: float  # of all values, each pair counted twice


def tile_reader(
    x: Representation, kernel: Kernel, memory_bytes: int, order: np.ndarray | None
) -> Callable[[slice, slice], np.ndarray]:
    """Function of rows and columns that returns a tile (rows, columns) of the kernel, its diagonal zero."""
    if order is not None and 16 * x.samples**2 <= memory_bytes:
        # A network in another order is one of many draws: the matrix, computed once, serves all.
        whole = x.factor(f"matrix/{kernel.name}", lambda: whole_matrix(x, kernel, memory_bytes), unordered=True)
        return reordered_tiles(whole, order)
    samples = Samples(x, kernel.comparison, memory_bytes, order)

    def read(rows: slice, columns: slice) -> np.ndarray:
        tile = kernel.values(samples.similarity(rows, columns))
        if rows == columns:
            np.fill_diagonal(tile, 0)
        return tile

    return read


def reordered_tiles(whole: np.ndarray, order: np.ndarray) -> Callable[[slice, slice], np.ndarray]:
    """Function of rows and columns that returns a tile (rows, columns) of a matrix whose samples are reordered."""
    if np.array_equal(order, np.arange(len(order))):
        return lambda rows, columns: whole[rows, columns]
    last: dict[int, np.ndarray] = {}  # the rows of the last tile; the tiles come row by row

    def read(rows: slice, columns: slice) -> np.ndarray:
        if rows.start not in last:
            last.clear()
            last[rows.start] = whole.take(order[rows], axis=0)
        return last[rows.start].take(order[columns], axis=1)

    return read


def whole_matrix(x: Representation, kernel: Kernel, memory_bytes: int) -> np.ndarray:
    """The kernel (samples, samples) of the samples as they are stored, its diagonal zero."""
    whole = np.empty((x.samples, x.samples))
    read = tile_reader(x, kernel, memory_bytes, None)
    for rows, columns in upper_tiles(x.samples, tile_side(x.units, memory_bytes)):
        tile = read(rows, columns)
        whole[rows, columns] = tile
        whole[columns, rows] = tile.T
    return whole


def own_sums(x: Representation, kernel: Kernel, memory_bytes: int) -> Sums:
    """Sums of one network's kernel, computed once per network."""

    def compute() -> Sums:
        read = tile_reader(x, kernel, memory_bytes, None)
        sums, squares = np.zeros(x.samples), 0.0
        for rows, columns in upper_tiles(x.samples, tile_side(x.units, memory_bytes)):
            tile = read(rows, columns)
            sums[rows] += tile.sum(axis=1)
            squares += times(rows, columns) * np.vdot(tile, tile)
            if rows != columns:
                sums[columns] += tile.sum(axis=0)
        return Sums(sums, float(squares))

    stored, order = x.factor(f"sums/{kernel.name}", compute, unordered=True), order_of(x)
    return stored if order is None else Sums(stored.rows[order], stored.squares)


def product_sum(x: Representation, y: Representation, kernel_x: Kernel, kernel_y: Kernel, memory_bytes: int) -> float:
    """Sum over pairs of different samples of the product of both kernels, each pair counted twice."""
    read_x = tile_reader(x, kernel_x, memory_bytes, order_of(x))
    read_y = read_x if y is x else tile_reader(y, kernel_y, memory_bytes, order_of(y))
    total = 0.0
    for rows, columns in upper_tiles(x.samples, tile_side(max(x.units, y.units), memory_bytes)):
        first = read_x(rows, columns)
        total += times(rows, columns) * np.vdot(first, first if y is x else read_y(rows, columns))
    return float(total)


def times(rows: slice, columns: slice) -> int:
    """How often a tile of the upper triangle occurs in the whole matrix."""
    return 1 if rows == columns else 2


def centred_product(product: float, first: np.ndarray, second: np.ndarray, diagonal: float) -> float:
    """Sum of the products of two kernels whose rows and columns have been centred, n^2 times the biased HSIC.

    Args:
        product: sum over pairs of different samples.
        first, second: (samples,) row sums of either kernel without its diagonal.
        diagonal: value of both kernels on it.
    """
    samples = len(first)
    first, second = first + diagonal, second + diagonal
    product += samples * diagonal**2
    return product - 2 / samples * np.dot(first, second) + first.sum() * second.sum() / samples**2


def debiased_product(product: float, first: np.ndarray, second: np.ndarray) -> float:
    """The same for U-centred kernels without their diagonals, n (n - 3) times the unbiased HSIC.

    Source: Song et al. 2012, equation 5; Székely and Rizzo 2014 for distances.
    """
    samples = len(first)
    centred = product - 2 / (samples - 2) * np.dot(first, second)
    return centred + first.sum() * second.sum() / ((samples - 1) * (samples - 2))


def normalised(
    x: Representation,
    y: Representation,
    kernels: tuple[Kernel, Kernel],
    centring: Callable[[float, np.ndarray, np.ndarray], float],
    memory_bytes: int,
) -> float:
    """Centred product of two kernels over the geometric mean of either's with itself.

    Raises:
        Undefined: a kernel has no variance left after centring.
    """
    first, second = own_sums(x, kernels[0], memory_bytes), own_sums(y, kernels[1], memory_bytes)
    own = [centring(sums.squares, sums.rows, sums.rows) for sums in (first, second)]
    for network, variance, sums in zip((x, y), own, (first, second), strict=True):
        if variance <= TIE * sums.squares:
            raise Undefined(f"all samples of {network.name} are equally far apart, so nothing is left after centring.")
    product = product_sum(x, y, *kernels, memory_bytes)
    return centring(product, first.rows, second.rows) / np.sqrt(own[0] * own[1])


def require_four(x: Representation) -> None:
    """Undefined with fewer than four samples, which debiasing needs."""
    if x.samples < 4:
        raise Undefined(f"debiasing needs at least 4 samples, but there are {x.samples}.")


# --- CKA with an RBF kernel ------------------------------------------------------------------------------------------

DISTANCES = ("permutation", "orthogonal", "isotropic_scaling", "translation")  # what leaves ratios of distances alone


def median_squared_distance(x: Representation, zeros: bool, memory_bytes: int) -> float:
    """Median squared distance of two samples.

    Args:
        x: the network.
        zeros: whether the distances of samples from themselves count too.
        memory_bytes: see `Limits`.

    Raises:
        Undefined: it is zero.
    """
    values, pairs = distribution(x, "euclidean", memory_bytes), pairs_of(x)
    # The values are minus the squared distances. With zeros, the matrix has each pair twice and n zeros before them.
    entries = x.samples**2 if zeros else pairs
    places = [(entries - 1) // 2, entries // 2]
    if zeros:
        places = [(place - x.samples) // 2 for place in places]
    median = float(np.mean([-values.statistic(pairs - 1 - place) if place >= 0 else 0.0 for place in places]))
    if median <= TIE * centre(x).extent:
        raise Undefined(f"at least half of the pairs of samples of {x.name} coincide: the median distance is zero.")
    return median


def rbf_kernel(x: Representation, bandwidth: float, zeros: bool, memory_bytes: int) -> Kernel:
    """exp(-d^2 / (2 bandwidth^2 median(d^2))) for samples at distance d.

    Raises:
        StudyError: the bandwidth is not positive.
        Undefined: the median distance is zero.
    """
    if not bandwidth > 0:
        raise StudyError(f"the bandwidth of an RBF kernel is a positive number, but it is {bandwidth}.")
    factor = 1 / (2 * bandwidth**2 * median_squared_distance(x, zeros, memory_bytes))

    def values(tile: np.ndarray) -> np.ndarray:
        tile *= factor
        return np.exp(tile, out=tile)

    return Kernel(f"rbf/{bandwidth}/{zeros}", "euclidean", values)


@measure(
    "cka_rbf",
    equation="<H K H, H L H> / (||H K H|| ||H L H||), K = exp(-d^2 / (2 bandwidth^2 median(d^2)))",
    source="Kornblith et al. 2019",
    invariances=DISTANCES,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="samples",
    cost="samples^2 units",
)
def cka_rbf(
    x: Representation,
    y: Representation,
    bandwidth: float = 1.0,
    zeros_in_median: bool = False,
    **limits: Unpack[Limits],
) -> float:
    """Biased centred kernel alignment of Gaussian kernels.

    Args:
        x, y: the networks.
        bandwidth: in units of the root of each network's median squared distance.
        zeros_in_median: count the distances of samples from themselves too, as the authors' released code does; it
            lowers the median by about 1 part in n.
        limits: see `Limits`.

    Raises:
        StudyError: the bandwidth is not positive.
        Undefined: half of the samples of a network coincide.
    """
    x, y, memory_bytes = limited(x, y, **limits)
    kernels = tuple(rbf_kernel(network, bandwidth, zeros_in_median, memory_bytes) for network in (x, y))
    return normalised(x, y, kernels, lambda *sums: centred_product(*sums, diagonal=1.0), memory_bytes)


@measure(
    "cka_rbf_debiased",
    equation="<U(K), U(L)> / sqrt(<U(K), U(K)> <U(L), U(L)>), U: U-centred, K as for cka_rbf",
    source="Song et al. 2012; Nguyen et al. 2021",
    invariances=DISTANCES,
    symmetric=True,
    lowest=-1.0,
    highest=1.0,
    needs="samples",
    cost="samples^2 units",
)
def cka_rbf_debiased(
    x: Representation,
    y: Representation,
    bandwidth: float = 1.0,
    zeros_in_median: bool = False,
    **limits: Unpack[Limits],
) -> float:
    """The same with the unbiased estimate of HSIC: near 0 for independent networks however wide, so also below 0.

    Args: see `cka_rbf`.

    Raises:
        StudyError: the bandwidth is not positive.
        Undefined: as `cka_rbf`, or there are fewer than four samples.
    """
    x, y, memory_bytes = limited(x, y, **limits)
    require_four(x)
    kernels = tuple(rbf_kernel(network, bandwidth, zeros_in_median, memory_bytes) for network in (x, y))
    return normalised(x, y, kernels, debiased_product, memory_bytes)


# --- distance correlation --------------------------------------------------------------------------------------------


def distances(tile: np.ndarray) -> np.ndarray:
    """Distances from minus their squares, of which only rounding makes one positive."""
    np.negative(tile, out=tile)
    return np.sqrt(np.maximum(tile, 0, out=tile), out=tile)


DISTANCE = Kernel("distance", "euclidean", distances)


@measure(
    "distance_correlation",
    equation="sqrt(<H D H, H E H> / (||H D H|| ||H E H||)), D, E: Euclidean distances of samples",
    source="Székely, Rizzo and Bakirov 2007",
    invariances=DISTANCES,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="samples",
    cost="samples^2 units",
)
def distance_correlation(x: Representation, y: Representation, **limits: Unpack[Limits]) -> float:
    """Distance correlation, biased: far above 0 for independent networks that are wide.

    Args:
        x, y: the networks.
        limits: see `Limits`.

    Raises:
        Undefined: all samples of a network are the same.
    """
    x, y, memory_bytes = limited(x, y, **limits)
    squared = normalised(x, y, (DISTANCE, DISTANCE), lambda *sums: centred_product(*sums, diagonal=0.0), memory_bytes)
    return float(np.sqrt(max(squared, 0.0)))  # only rounding makes it negative


@measure(
    "distance_correlation_debiased",
    equation="<U(D), U(E)> / (||U(D)|| ||U(E)||), U: U-centred; on the scale of the squared distance correlation",
    source="Székely and Rizzo 2013",
    invariances=DISTANCES,
    symmetric=True,
    lowest=-1.0,
    highest=1.0,
    needs="samples",
    cost="samples^2 units",
)
def distance_correlation_debiased(x: Representation, y: Representation, **limits: Unpack[Limits]) -> float:
    """Bias-corrected squared distance correlation: near 0 for independent networks, so also below 0; no root is taken.

    Args: see `distance_correlation`.

    Raises:
        Undefined: all samples of a network are the same or equally far apart, or there are fewer than four.
    """
    x, y, memory_bytes = limited(x, y, **limits)
    require_four(x)
    return normalised(x, y, (DISTANCE, DISTANCE), debiased_product, memory_bytes)


# --- representational similarity analysis ----------------------------------------------------------------------------


def similarity_kernel(x: Representation, comparison: str, memory_bytes: int) -> Kernel:
    """Cosine or correlation of samples, less its mean over all pairs of different samples."""

    def mean() -> float:
        total = sum(stored_rows(x, comparison, rows).sum(axis=0) for rows in blocks(x.samples, ROWS_PER_BLOCK))
        return (np.dot(total, total) - x.samples) / (2 * pairs_of(x))

    offset = x.factor(f"mean similarity/{comparison}", mean, unordered=True)
    return Kernel(f"similarity/{comparison}", comparison, lambda tile: np.subtract(tile, offset, out=tile))


def rank_kernel(x: Representation, comparison: str, memory_bytes: int) -> Kernel:
    """Rank of the similarity of two samples among all pairs, equals sharing their mean rank, less the mean rank."""
    known = distribution(x, comparison, memory_bytes)
    ranks = known.ranks - (pairs_of(x) + 1) / 2
    return Kernel(f"rank/{comparison}", comparison, lambda tile: ranks.take(known.place(tile)))


def equally_far(x: Representation) -> Undefined:
    """What there is to say when the similarities of a network's samples do not vary."""
    return Undefined(f"all samples of {x.name} are equally far apart, so their distances correlate with nothing.")


def pearson(x: Representation, y: Representation, comparison: str, **limits: Unpack[Limits]) -> float:
    """Pearson correlation of the similarities of two networks' samples, over all pairs of different samples."""
    x, y, memory_bytes = limited(x, y, **limits)
    kernels = [similarity_kernel(network, comparison, memory_bytes) for network in (x, y)]
    squares = [own_sums(network, kernel, memory_bytes).squares for network, kernel in zip((x, y), kernels, strict=True)]
    for network, value in zip((x, y), squares, strict=True):
        if value <= 2 * pairs_of(x) * TIE**2:
            raise equally_far(network)
    return product_sum(x, y, *kernels, memory_bytes) / np.sqrt(squares[0] * squares[1])


def spearman(x: Representation, y: Representation, comparison: str, **limits: Unpack[Limits]) -> float:
    """Spearman correlation of the similarities of two networks' samples, over all pairs of different samples."""
    x, y, memory_bytes = limited(x, y, **limits)
    mean, squares = (pairs_of(x) + 1) / 2, []
    for network in (x, y):
        known = distribution(network, comparison, memory_bytes)
        squares.append(2 * np.dot(known.counts, (known.ranks - mean) ** 2))
        if squares[-1] == 0:
            raise equally_far(network)
    kernels = [rank_kernel(network, comparison, memory_bytes) for network in (x, y)]
    return product_sum(x, y, *kernels, memory_bytes) / np.sqrt(squares[0] * squares[1])


RSA = {
    "source": "Kriegeskorte, Mur and Bandettini 2008",
    "symmetric": True,
    "lowest": -1.0,
    "highest": 1.0,
    "needs": "samples",
    "cost": "samples^2 units",
}


@measure(
    "rsa_correlation_spearman",
    equation="Spearman over pairs of samples of 1 - r(x_i, x_j) with 1 - r(y_i, y_j), r: Pearson over units",
    invariances=("permutation", "isotropic_scaling"),
    **RSA,
)
def rsa_correlation_spearman(x: Representation, y: Representation, **limits: Unpack[Limits]) -> float:
    """Representational similarity analysis with correlation distance and rank correlation.

    Equal distances share their mean rank. Of more than 524,288 pairs (1,024 samples) the ranks come from about a
    million bins, see `Binned`. A shift of the units changes it, as it changes correlations over units; peers that
    declare otherwise are wrong.

    Args:
        x, y: the networks.
        limits: see `Limits`.

    Raises:
        Undefined: a sample has the same value in every unit, or all samples are equally far apart.
    """
    return spearman(x, y, "correlation", **limits)


@measure(
    "rsa_cosine_spearman",
    equation="Spearman over pairs of samples of 1 - cos(x_i, x_j) with 1 - cos(y_i, y_j)",
    invariances=("permutation", "orthogonal", "isotropic_scaling"),
    **RSA,
)
def rsa_cosine_spearman(x: Representation, y: Representation, **limits: Unpack[Limits]) -> float:
    """Representational similarity analysis with cosine distance; see `rsa_correlation_spearman`.

    Raises:
        Undefined: a sample is zero in every unit, or all samples are equally far apart.
    """
    return spearman(x, y, "cosine", **limits)


@measure(
    "rsa_euclidean_spearman",
    equation="Spearman over pairs of samples of ||x_i - x_j|| with ||y_i - y_j||",
    invariances=DISTANCES,
    **RSA,
)
def rsa_euclidean_spearman(x: Representation, y: Representation, **limits: Unpack[Limits]) -> float:
    """Representational similarity analysis with Euclidean distance; see `rsa_correlation_spearman`.

    Raises:
        Undefined: all samples are the same or equally far apart.
    """
    return spearman(x, y, "euclidean", **limits)


@measure(
    "rsa_correlation_pearson",
    equation="Pearson over pairs of samples of 1 - r(x_i, x_j) with 1 - r(y_i, y_j), r: Pearson over units",
    invariances=("permutation", "isotropic_scaling"),
    **RSA,
)
def rsa_correlation_pearson(x: Representation, y: Representation, **limits: Unpack[Limits]) -> float:
    """Representational similarity analysis with correlation distance and Pearson correlation.

    Args: see `rsa_correlation_spearman`.

    Raises:
        Undefined: a sample has the same value in every unit, or all samples are equally far apart.
    """
    return pearson(x, y, "correlation", **limits)


@measure(
    "rsa_correlation_kendall",
    equation="Kendall's tau-b over pairs of samples of 1 - r(x_i, x_j) with 1 - r(y_i, y_j), r: Pearson over units",
    invariances=("permutation", "isotropic_scaling"),
    **(RSA | {"cost": "samples^2 (units + log samples), all distances in memory"}),
)
def rsa_correlation_kendall(x: Representation, y: Representation, **limits: Unpack[Limits]) -> float:
    """Representational similarity analysis with correlation distance and Kendall's tau-b, which allows for ties.

    All distances must be in memory; above the bound there is an error, never a sample that was not asked for.

    Args: see `rsa_correlation_spearman`.

    Raises:
        StudyError: the distances of all pairs do not fit into `memory_bytes` (2,897 samples fit by default).
        Undefined: a sample has the same value in every unit, or all samples are equally far apart.
    """
    from scipy.stats import kendalltau  # takes half a second to import, and nothing else here needs it

    x, y, memory_bytes = limited(x, y, **limits)
    if 64 * pairs_of(x) > memory_bytes:
        raise StudyError(
            f"Kendall's tau of the {pairs_of(x):,} distances between {x.samples:,} samples needs more than "
            f"{memory_bytes:,} bytes: pass largest_samples or a larger memory_bytes."
        )
    side = tile_side(max(x.units, y.units), memory_bytes)
    prepared = [Samples(network, "correlation", memory_bytes, order_of(network)) for network in (x, y)]
    values = [np.rint(np.concatenate(list(condensed_tiles(samples, side))) / TIE) for samples in prepared]
    for network, value in zip((x, y), values, strict=True):
        if (value == value[0]).all():
            raise equally_far(network)
    return float(kendalltau(*values).statistic)
