"""Representational similarity analysis: correlations of the distances of two networks' samples.

Kriegeskorte, Mur and Bandettini 2008.
"""

from typing import Unpack

import numpy as np

from convergent.errors import StudyError
from convergent.samples import ROWS_PER_BLOCK, blocks
from convergent.similarity.distributions import MOST_SORTED, distribution
from convergent.similarity.factors import Representation
from convergent.similarity.kernels import Kernel, own_sums, product_sum
from convergent.similarity.registry import ROTATIONS, Undefined, measure
from convergent.similarity.sample_pairs import (
    TIE,
    Limits,
    Samples,
    condensed_tiles,
    limited,
    order_of,
    pairs_of,
    scale_of,
    stored_rows,
    tile_side,
)


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


def centred_ranks(x: Representation, comparison: str, memory_bytes: int) -> np.ndarray:
    """Ranks of the similarities of all pairs of stored samples (pairs,), less their mean; for few pairs only.

    In the order of the upper triangle, row by row; computed once per network.
    """

    def compute() -> np.ndarray:
        (values,) = condensed_tiles(Samples(x, comparison, memory_bytes), x.samples)
        order = np.argsort(values)
        # Values that differ by rounding only share the mean of their ranks.
        steps = np.flatnonzero(np.diff(values[order]) > TIE * scale_of(x, comparison))
        ends = np.append(steps, len(values) - 1) + 1
        counts = np.diff(ends, prepend=0)
        ranks = np.empty(len(values))
        ranks[order] = np.repeat(ends - (counts - 1) / 2, counts)
        return ranks - (len(values) + 1) / 2

    return x.factor(f"centred ranks/{comparison}", compute, unordered=True)


def rank_matrix(x: Representation, ranks: np.ndarray, comparison: str) -> np.ndarray:
    """Centred ranks as a matrix of the samples in their order (samples, samples), zero on the diagonal."""

    def compute() -> np.ndarray:
        matrix = np.zeros((x.samples, x.samples))
        matrix[np.triu_indices(x.samples, 1)] = ranks
        return matrix + matrix.T

    matrix = x.factor(f"rank matrix/{comparison}", compute, unordered=True)
    order = order_of(x)
    return matrix if order is None else matrix[order[:, None], order]


def spearman(x: Representation, y: Representation, comparison: str, **limits: Unpack[Limits]) -> float:
    """Spearman correlation of the similarities of two networks' samples, over all pairs of different samples."""
    x, y, memory_bytes = limited(x, y, **limits)
    if pairs_of(x) <= MOST_SORTED and 64 * pairs_of(x) <= memory_bytes:
        ranks = [centred_ranks(network, comparison, memory_bytes) for network in (x, y)]
        squares = [2 * np.dot(values, values) for values in ranks]
        if order_of(x) is order_of(y) is None:
            product = 2 * np.dot(*ranks)
        else:
            matrices = (rank_matrix(network, own, comparison) for network, own in zip((x, y), ranks, strict=True))
            product = np.vdot(*matrices)
    else:
        mean = (pairs_of(x) + 1) / 2
        known = [distribution(network, comparison, memory_bytes) for network in (x, y)]
        squares = [2 * np.dot(one.counts, (one.ranks - mean) ** 2) for one in known]
        kernels = [rank_kernel(network, comparison, memory_bytes) for network in (x, y)]
        product = product_sum(x, y, *kernels, memory_bytes) if all(squares) else 0.0
    for network, value in zip((x, y), squares, strict=True):
        if value == 0:
            raise equally_far(network)
    return product / np.sqrt(squares[0] * squares[1])


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
    invariances=ROTATIONS,
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
