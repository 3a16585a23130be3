"""Similarity measures from kernels of samples: CKA with an RBF kernel, distance correlation.

The n by n matrices of two networks enter through a few sums over pairs of samples, which are accumulated in float64
over tiles of the upper triangle; no whole matrix is held. (Released code of several peers sums n squared float32 terms,
which is wrong in the second decimal at 10,000 samples.)
"""

from collections.abc import Callable
from typing import NamedTuple, Unpack

import numpy as np

from convergent.errors import StudyError
from convergent.similarity.distributions import order_statistics
from convergent.similarity.factors import Representation
from convergent.similarity.registry import ROTATIONS, Undefined, measure
from convergent.similarity.sample_pairs import (
    TIE,
    Limits,
    Samples,
    centre,
    limited,
    order_of,
    pairs_of,
    require_four,
    tile_side,
    upper_tiles,
)


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


# --- CKA with an RBF kernel ------------------------------------------------------------------------------------------


def median_squared_distance(x: Representation, zeros: bool, memory_bytes: int) -> float:
    """Median squared distance of two samples.

    Args:
        x: the network.
        zeros: whether the distances of samples from themselves count too.
        memory_bytes: see `Limits`.

    Raises:
        Undefined: it is zero.
    """

    def compute() -> float:
        pairs = pairs_of(x)
        # The values are minus the squared distances. With zeros, the matrix has each pair twice and n zeros first.
        entries = x.samples**2 if zeros else pairs
        places = [(entries - 1) // 2, entries // 2]
        if zeros:
            places = [(place - x.samples) // 2 for place in places]
        found = order_statistics(x, "euclidean", [pairs - 1 - place for place in places if place >= 0], memory_bytes)
        return -sum(found) / len(places)

    median = x.factor(f"median squared distance/{zeros}", compute, unordered=True)
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
    invariances=ROTATIONS,
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
    invariances=ROTATIONS,
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
    invariances=ROTATIONS,
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
    invariances=ROTATIONS,
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
