"""Centred kernel alignment with linear kernels: biased, debiased, and from batches of samples.

Kornblith et al. 2019; Song et al. 2012 for the unbiased estimate of HSIC. Other kernels are in `kernels`.
"""

from itertools import pairwise

import numpy as np

from convergent.errors import StudyError
from convergent.samples import ROWS_PER_BLOCK, blocks
from convergent.similarity.factors import MomentsOnly, Representation
from convergent.similarity.moments import mean, quick_covariance, quickly, total_variance
from convergent.similarity.registry import ROTATIONS, Undefined, measure

BATCH = 256  # samples


@measure(
    "cka_linear",
    equation="|C|_F^2 / (|S_x|_F |S_y|_F)",
    source="Kornblith et al. 2019, section 3; the biased estimate",
    invariances=ROTATIONS,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2, or samples^2 units if that is less",
)
def cka_linear(x: Representation, y: Representation) -> float:
    """Centred kernel alignment with linear kernels, from the units' covariances, biased upwards for few samples.

    With as many units as samples it is near 1 even for independent activations: see `cka_linear_debiased`.

    Raises:
        Undefined: no unit of x or of y varies.

    Source: Kornblith et al. 2019. Implementations that sum over samples x samples kernels in float32 are off in the
    third decimal at 10,000 samples.
    """
    between = squared_product(x, y)
    total_variance(x), total_variance(y)
    return between / np.sqrt(squared_product(x, x) * squared_product(y, y))


@measure(
    "cka_linear_debiased",
    equation="H_xy / sqrt(H_xx H_yy), H the unbiased estimate of HSIC (Song et al. 2012, equation 4)",
    source="Song et al. 2012, section 2.3; Kornblith et al. 2019",
    invariances=ROTATIONS,
    symmetric=True,
    lowest=-1.0,
    highest=1.0,
    needs="samples",
    cost="samples units^2, or samples^2 units if that is less",
)
def cka_linear_debiased(x: Representation, y: Representation) -> float:
    """Linear CKA of unbiased estimates of HSIC: near 0 for independent activations, negative values included.

    With centred rows x_k: n(n - 3) H_xy = |X'Y|^2 - n/(n - 2) sum |x_k|^2 |y_k|^2 + |X|^2 |Y|^2 / ((n - 1)(n - 2)).
    The ratio itself is not unbiased.

    Raises:
        Undefined: there are fewer than four samples, or H_xx or H_yy is 0.
    """
    return aligned(unbiased_hsic(x, y), unbiased_hsic(x, x), unbiased_hsic(y, y), x, y)


@measure(
    "cka_linear_minibatch",
    equation="sum_b H_xy / sqrt(sum_b H_xx sum_b H_yy), H the unbiased HSIC of batch b",
    source="Nguyen et al. 2021, section 3, equation 2",
    invariances=ROTATIONS,
    symmetric=True,
    lowest=-1.0,
    highest=1.0,
    needs="samples",
    cost="samples batch units",
)
def cka_linear_minibatch(x: Representation, y: Representation, batch: int = BATCH) -> float:
    """Linear CKA from unbiased HSIC averaged over batches of consecutive samples, in the order given.

    Depends on the order: shuffle activations that are sorted, by class for instance. The samples are cut into
    round(samples / batch) batches whose sizes differ by one at most, so that none is left over; peers that keep a small
    last batch fail on it or count it in full. `cka_linear_debiased` costs as much and needs no batches.

    Args:
        batch: number of samples per batch, about.

    Raises:
        StudyError: the batch is smaller than four samples.
        Undefined: there are fewer than four samples, or the averages of H_xx or H_yy are 0.
    """
    if batch < 4:
        raise StudyError(f"unbiased HSIC needs batches of at least 4 samples, but {batch} were asked for.")
    require_four_samples(x)
    edges = np.linspace(0, x.samples, max(1, round(x.samples / batch)) + 1).astype(int)
    totals = np.zeros(3)
    for start, stop in pairwise(edges):
        kernels = [batch_kernel(each, start, stop) for each in ((x,) if y is x else (x, y))]
        sums = [kernel.sum(axis=0) for kernel in kernels]
        for place, (i, j) in enumerate([(0, -1), (0, 0), (-1, -1)]):
            totals[place] += unbiased_inner(kernels[i], kernels[j], sums[i], sums[j])
    return aligned(*totals, x, y)


def batch_kernel(x: Representation, start: int, stop: int) -> np.ndarray:
    """Inner products (samples, samples) of centred samples start ... stop - 1 with each other; zero diagonal."""
    rows = x.read(slice(start, stop), np.float32 if quickly(x) else np.float64)
    rows -= rows.mean(axis=0)
    kernel = (rows @ rows.T).astype(np.float64, copy=False)
    np.fill_diagonal(kernel, 0.0)
    return kernel


def unbiased_inner(k: np.ndarray, l: np.ndarray, sums_k: np.ndarray, sums_l: np.ndarray) -> float:  # noqa: E741
    """Unbiased HSIC of two kernels (samples, samples) with zero diagonals, and their column sums (samples,).

    Source: Song et al. 2012, equation 4.
    """
    count = len(k)
    value = np.vdot(k, l) + sums_k.sum() * sums_l.sum() / ((count - 1) * (count - 2))
    return (value - 2 * sums_k @ sums_l / (count - 2)) / (count * (count - 3))


def unbiased_hsic(x: Representation, y: Representation) -> float:
    """Unbiased HSIC with linear kernels, up to a factor that is the same for all pairs of these samples.

    Raises:
        Undefined: there are fewer than four samples.
    """
    require_four_samples(x)
    count = x.samples
    between = squared_product(x, y)
    norms_x, norms_y = row_norms(x), row_norms(y)
    value = between - norms_x @ norms_y / (count * (count - 2))
    return value + norms_x.mean() * norms_y.mean() / ((count - 1) * (count - 2))


def row_norms(x: Representation) -> np.ndarray:
    """Squared length of each sample (samples,) after centring."""

    def compute() -> np.ndarray:
        precision = np.float32 if quickly(x) else np.float64
        centre, norms = mean(x).astype(precision), []
        for rows in blocks(x.samples, ROWS_PER_BLOCK):
            block = x.read(rows, precision)
            block -= centre
            norms.append(np.einsum("ni,ni->n", block, block).astype(np.float64))
        return np.concatenate(norms)

    return x.factor("row norms", compute)


def squared_product(x: Representation, y: Representation) -> float:
    """|C|_F^2, from covariances of units or, where there are fewer samples than units, from kernels of samples."""
    if min(x.units, y.units) > x.samples and not any(isinstance(each, MomentsOnly) for each in (x, y)):
        return float(np.vdot(kernel(x), kernel(y)))
    matrix = quick_covariance(x, y, within=True)
    return float(np.vdot(matrix, matrix))


def kernel(x: Representation) -> np.ndarray:
    """Inner products of centred samples over the number of samples (samples, samples)."""

    def compute() -> np.ndarray:
        centre, matrix = mean(x), np.empty((x.samples, x.samples))
        parts = list(blocks(x.samples, ROWS_PER_BLOCK))
        for rows, block_x in zip(parts, x.blocks(), strict=True):
            block_x -= centre
            for columns, block_y in zip(parts, x.blocks(), strict=True):
                matrix[rows, columns] = block_x @ (block_y - centre).T
        return matrix / x.samples

    return x.factor("kernel", compute)


def aligned(xy: float, xx: float, yy: float, x: Representation, y: Representation) -> float:
    """xy / sqrt(xx yy).

    Raises:
        Undefined: xx or yy is not positive.
    """
    for value, each in ((xx, x), (yy, y)):
        if not value > 0:
            raise Undefined(f"the unbiased HSIC of {each.name} with itself is {value:.3g}, not positive.")
    return float(xy / np.sqrt(xx * yy))


def require_four_samples(x: Representation) -> None:
    """Undefined where unbiased HSIC is."""
    if x.samples < 4:
        raise Undefined(f"unbiased HSIC needs at least 4 samples, but there are {x.samples}.")
