"""Measures that follow from second moments of the units: CKA, CCA, Procrustes, matchings, regressions.

With S_x, S_y the covariances within and C = S_xy those between the units of x and y, everything here is a function of
S_x, S_y and C, or of the same for parts of the samples. They are accumulated in float64, block by block, once for all
measures of a pair; covariances and principal axes of a network once for all its partners. Nothing of size
samples x samples is formed, unless there are more units than samples.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular
from scipy.linalg.lapack import dpstrf
from scipy.optimize import linprog
from scipy.sparse import csr_array

from convergent.errors import StudyError
from convergent.matching import bipartite_match
from convergent.samples import ROWS_PER_BLOCK, blocks
from convergent.similarity.factors import Activations, MomentsOnly, Representation, representation, require_same_samples
from convergent.similarity.registry import Undefined, measure
from convergent.statistics import product_sum

T = TypeVar("T")
Pair = tuple[Representation, Representation]

FOLDS = 5
FOLD_BYTES = 2**24  # products of every fold are kept from the first pass on where they take no more than this
# Products of float32 activations taken in float32, some samples at a time, and added up in float64 are right to 1e-7 of
# the units' deviations, in half the time: see `quick_covariance`.
QUICK = "quick covariance"
QUICK_ROWS = 512
SMALL = 1e-12
LEVEL_ROWS = 256  # samples that tell near which value each unit lies
# Covariances of float32 activations carry errors near 1e-15 of the largest: directions below this are rounding.
RANK_TOLERANCE = 1e-12
BATCH = 256  # samples
# Ridge penalties to choose from, in units of the mean variance along the principal axes of the predicting network.
PENALTIES = 10.0 ** np.array([-6, -4, -3, -2, -1, 0, 1, 2, 3])
CANDIDATES = 8  # partners per unit with which the search for an optimal transport begins
OPTIMALITY = 1e-9

ROTATIONS = ("permutation", "orthogonal", "isotropic_scaling", "translation")
LINEAR = ("permutation", "orthogonal", "isotropic_scaling", "unit_scaling", "translation", "invertible_linear")
UNITS = ("permutation", "isotropic_scaling", "unit_scaling", "translation")


class Sums(NamedTuple):
    """Sums over the samples of each fold, of values taken relative to a `level`."""

    count: np.ndarray  # (folds,)
    x: np.ndarray  # (folds, units_x)
    y: np.ndarray  # (folds, units_y)
    products: np.ndarray  # (folds, units_x, units_y)

    def covariance(self) -> np.ndarray:
        """Population covariances (units_x, units_y) over all folds."""
        count = self.count.sum()
        covariance = self.products.sum(axis=0)
        covariance -= np.outer(self.x.sum(axis=0) / count, self.y.sum(axis=0))
        return np.divide(covariance, count, out=covariance)

    def parts(self, fold: int) -> tuple["Sums", "Sums"]:
        """Sums over all other folds, and over this one."""
        test = Sums(*(values[fold : fold + 1] for values in self))
        train = Sums(*(values.sum(axis=0, keepdims=True) - own for values, own in zip(self, test, strict=True)))
        return train, test

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Means (units_x,), (units_y,), relative to the levels."""
        return self.x.sum(axis=0) / self.count.sum(), self.y.sum(axis=0) / self.count.sum()


class Axes(NamedTuple):
    """Principal axes of the units of one network along which it varies, widest first."""

    variances: np.ndarray  # (rank,)
    directions: np.ndarray  # (units, rank) orthonormal columns


class Split(NamedTuple):
    """Which fold each sample belongs to."""

    name: str
    labels: np.ndarray  # (samples,) 0 ... folds - 1
    folds: int


class Fold(NamedTuple):
    """What predicts y from x without one fold, and what judges it on that fold; all covariances are population ones."""

    train: int  # number of samples
    train_xx: np.ndarray  # (units_x, units_x)
    train_xy: np.ndarray  # (units_x, targets)
    test: int
    test_xx: np.ndarray  # (units_x, units_x)
    test_xy: np.ndarray  # (units_x, targets)
    test_yy: np.ndarray  # (targets,) variances
    shift_x: np.ndarray  # (units_x,) mean in the fold less mean in the rest
    shift_y: np.ndarray  # (targets,)

    def turned(self, basis: np.ndarray) -> "Fold":
        """The same with x expressed in another basis (units_x, directions)."""
        turned = {name: basis.T @ getattr(self, name) @ basis for name in ("train_xx", "test_xx")}
        turned |= {name: basis.T @ getattr(self, name) for name in ("train_xy", "test_xy", "shift_x")}
        return self._replace(**turned)


# Sufficient statistics ------------------------------------------------------------------------------------------------


def level(x: Representation) -> np.ndarray:
    """A value near those of each unit (units,): the mean of some samples, or what they all are.

    Values relative to it keep sums of products free of cancellation, and a unit that never varies is exactly 0.
    """
    some = x.read(slice(0, LEVEL_ROWS))
    return np.where((some == some[0]).all(axis=0), some[0], some.mean(axis=0))


def read_sums(
    pairs: Sequence[Pair], split: Split | None, precision: type = np.float64, size: int = ROWS_PER_BLOCK
) -> list[Sums]:
    """Sums of pairs of networks over each fold, or over all samples as one, in one pass.

    Args:
        precision: of the products of a block; blocks are added up in double precision.
        size: samples per block.

    Raises:
        StudyError: a value is not finite.
    """
    folds = split.folds if split else 1
    networks = list(dict.fromkeys(each for pair in pairs for each in pair))
    levels = {each: level(each).astype(precision) for each in networks}
    totals = {each: np.zeros((folds, each.units)) for each in networks}
    products = [np.zeros((folds, x.units, y.units)) for x, y in pairs]
    counts = np.zeros(folds)
    for rows in blocks(networks[0].samples, size):
        labels = split.labels[rows] if split else np.zeros(rows.stop - rows.start, dtype=int)
        sizes = np.bincount(labels, minlength=folds)
        # Fold after fold, so that what belongs to one is a slice.
        chosen = rows.start + np.argsort(labels, kind="stable") if split else rows
        ends = np.cumsum(sizes)
        shifted = {}
        for each in networks:
            shifted[each] = each.read(chosen, precision)
            shifted[each] -= levels[each]
        for fold, part in enumerate(map(slice, ends - sizes, ends)):
            counts[fold] += sizes[fold]
            for each in networks:
                totals[each][fold] += shifted[each][part].sum(axis=0, dtype=np.float64)
            for (x, y), product in zip(pairs, products, strict=True):
                own = shifted[x][part]
                product[fold] += product_sum(own, own if y is x else shifted[y][part])
    for each in networks:
        centre = levels[each] + totals[each].sum(axis=0) / each.samples
        each.factor("mean", lambda centre=centre: centre, unordered=True)
    return [Sums(counts, totals[x], totals[y], product) for (x, y), product in zip(pairs, products, strict=True)]


def known(pair: Pair, name: str) -> bool:
    """Whether something of a pair, or of a network with itself, is remembered."""
    x, y = pair
    return x.knows(name) if y is x else x.knows(name, y)


def remember(pair: Pair, name: str, compute: Callable[[], T], unordered: bool = False) -> T:
    """`Representation.factor` of a network with itself, `Representation.with_partner` of two."""
    x, y = pair
    return x.factor(name, compute, unordered=unordered) if y is x else x.with_partner(y, name, compute)


def read_pairs(pairs: Sequence[Pair], split: Split | None) -> None:
    """Remember the covariances of pairs, and with a split the sums over its folds, from one pass."""
    for pair, sums in zip(pairs, read_sums(pairs, split), strict=True):
        if split:
            remember(pair, split.name, lambda sums=sums: sums)
        remember(pair, "covariance", sums.covariance, unordered=True)


def fold_sums(x: Representation, y: Representation, split: Split) -> list[Sums]:
    """Sums over each fold of x with itself, x with y, and y with itself."""
    pairs = [(x, x), (x, y), (y, y)]
    missing = [pair for pair in dict.fromkeys(pairs) if not known(pair, split.name)]
    if missing:
        read_pairs(missing, split)
    return [remember(pair, split.name, dict) for pair in pairs]


def covariance(x: Representation) -> np.ndarray:
    """Population covariances of the units (units, units); exactly 0 for a constant unit."""
    return cross_covariance(x, x)


def cross_covariance(x: Representation, y: Representation, within: bool = False) -> np.ndarray:
    """Population covariances of the units of x with those of y (units_x, units_y).

    Args:
        within: those within x and within y will be needed as well; they are taken from the same pass.
    """
    pairs = dict.fromkeys([(x, y), (x, x), (y, y)] if within else [(x, y)])
    missing = [pair for pair in pairs if not known(pair, "covariance")]
    if known((y, x), "covariance") and (x, y) in missing:
        return remember((y, x), "covariance", dict, unordered=True).T
    if missing:
        # Where sums over folds take little memory, regressions find them here later.
        small = x.samples >= FOLDS and 8 * FOLDS * max(x.units, y.units) ** 2 <= FOLD_BYTES
        read_pairs(missing, split_samples(x.samples, FOLDS) if small and x.lasting else None)
    return remember((x, y), "covariance", dict, unordered=True)


def quick_covariance(x: Representation, y: Representation, within: bool = False) -> np.ndarray:
    """`cross_covariance` for what does not invert covariances: in single precision where that is enough and faster.

    It is faster where nothing else will be computed of these networks, and enough where they have no higher precision.
    """
    if not all(quickly(each) for each in (x, y)) or known((x, y), "covariance"):
        return cross_covariance(x, y, within)
    pairs = dict.fromkeys([(x, y), (x, x), (y, y)] if within else [(x, y)])
    missing = [pair for pair in pairs if not known(pair, QUICK)]
    for pair, sums in zip(missing, read_sums(missing, None, np.float32, QUICK_ROWS) if missing else (), strict=True):
        remember(pair, QUICK, sums.covariance, unordered=True)
    return remember((x, y), QUICK, dict, unordered=True)


def quickly(x: Representation) -> bool:
    """Whether single precision is enough for products of these activations, and nothing will want better ones."""

    def compute() -> bool:
        some = x.read(slice(0, LEVEL_ROWS))
        spread = np.abs(some - level(x)).max(axis=0)
        # Sums of squares of values outside are no numbers in single precision, or 0.
        return bool(((spread == 0) | ((spread > SMALL) & (spread < 1 / SMALL))).all())

    single = not x.lasting and x.activations.dtype in (np.float16, np.float32)
    return single and x.factor("quickly", compute)


def variances(x: Representation) -> np.ndarray:
    """Population variances (units,); exactly 0 for a constant unit."""

    def compute() -> np.ndarray:
        for name in ("covariance", QUICK):
            if x.knows(name):
                return np.diag(x.factor(name, dict, unordered=True)).copy()
        first, total, squares = None, 0.0, 0.0
        for block in x.blocks():
            first = block[0].copy() if first is None else first
            block -= first
            total, squares = total + block.sum(axis=0), squares + np.einsum("ni,ni->i", block, block)
        return np.where(squares > 0, np.maximum(squares / x.samples - (total / x.samples) ** 2, 0.0), 0.0)

    return x.factor("variance", compute, unordered=True)


def mean(x: Representation) -> np.ndarray:
    """Means (units,)."""
    return x.factor("mean", lambda: sum(block.sum(axis=0) for block in x.blocks()) / x.samples, unordered=True)


def total_variance(x: Representation) -> float:
    """Sum of the units' variances.

    Raises:
        Undefined: no unit varies.
    """
    total = float(variances(x).sum())
    if not total > 0:
        raise Undefined(f"no unit of {x.name} varies over the samples.")
    return total


def axes(x: Representation) -> Axes:
    """Principal axes of the units; those that rounding alone could explain are left out.

    Raises:
        Undefined: no unit varies.
    """

    def compute() -> Axes:
        values, vectors = np.linalg.eigh(covariance(x))
        total_variance(x)
        chosen = np.flatnonzero(values > RANK_TOLERANCE * values[-1])[::-1]
        return Axes(values[chosen], np.ascontiguousarray(vectors[:, chosen]))

    return x.factor("axes", compute, unordered=True)


def between_axes(x: Representation, y: Representation) -> np.ndarray:
    """Covariances (rank_x, rank_y) of the principal components of x with those of y."""

    def compute() -> np.ndarray:
        between = cross_covariance(x, y, within=True)
        return axes(x).directions.T @ between @ axes(y).directions

    return np.diag(axes(x).variances) if y is x else remember((x, y), "between axes", compute)


def correlations(x: Representation, y: Representation) -> np.ndarray:
    """Correlations of the units that vary (live_x, live_y).

    Raises:
        Undefined: no unit of x or of y varies.
    """

    def compute() -> np.ndarray:
        total_variance(x), total_variance(y)
        live_x, live_y = (np.flatnonzero(variances(each)) for each in (x, y))
        scale_x, scale_y = (np.sqrt(variances(each)[live]) for each, live in ((x, live_x), (y, live_y)))
        return quick_covariance(x, y)[np.ix_(live_x, live_y)] / np.outer(scale_x, scale_y)

    return remember((x, y), "correlation", compute, unordered=True)


def of_statistics(arrays: Mapping[str, np.ndarray]) -> dict[str, MomentsOnly]:
    """Networks from statistics alone, for the measures that need no more than moments.

    Args:
        arrays: as from `statistics.tile_statistics` of one side: `samples`, `standard_deviation/<a>`, `within/<a>`,
            `between/<a>/<b>`.

    Returns:
        network -> what a measure takes in place of its activations.
    """
    scales = {name.partition("/")[2]: scale for name, scale in arrays.items() if name.startswith("standard_deviation/")}
    networks = {
        name: MomentsOnly(int(arrays["samples"]), arrays[f"within/{name}"] * np.outer(scale, scale), name)
        for name, scale in scales.items()
    }
    for a in networks:
        for b in networks:
            if f"between/{a}/{b}" in arrays:
                networks[a].relate(networks[b], arrays[f"between/{a}/{b}"] * np.outer(scales[a], scales[b]))
    return networks


# Kernel alignment -----------------------------------------------------------------------------------------------------


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
        first, last = kernels[0], kernels[-1]
        totals += [unbiased_inner(first, last), unbiased_inner(first, first), unbiased_inner(last, last)]
    return aligned(*totals, x, y)


def batch_kernel(x: Representation, start: int, stop: int) -> np.ndarray:
    """Inner products of centred samples start ... stop - 1 with each other; zero diagonal."""
    rows = x.read(slice(start, stop), np.float32 if quickly(x) else np.float64)
    rows -= rows.mean(axis=0)
    kernel = (rows @ rows.T).astype(np.float64, copy=False)
    np.fill_diagonal(kernel, 0.0)
    return kernel


def unbiased_inner(k: np.ndarray, l: np.ndarray) -> float:  # noqa: E741
    """Unbiased HSIC of two kernels (samples, samples) with zero diagonals, Song et al. 2012, equation 4."""
    count = len(k)
    sums_k, sums_l = k.sum(axis=0), l.sum(axis=0)
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


# Canonical correlations -----------------------------------------------------------------------------------------------


class Canonical(NamedTuple):
    """Canonical correlations of two networks, the largest first, and where they lie in x."""

    correlations: np.ndarray  # (directions,) min(rank_x, rank_y) of them
    directions: np.ndarray  # (rank_x, directions) orthonormal columns, in whitened principal axes of x


def whitened(x: Representation, y: Representation) -> np.ndarray:
    """Correlations (rank_x, rank_y) of the principal components of x with those of y.

    Raises:
        Undefined: the units of either can take any values on these samples.
    """
    between = between_axes(x, y)
    require_fewer_directions(x, len(axes(x).variances))
    require_fewer_directions(y, len(axes(y).variances))
    return between / np.sqrt(np.outer(axes(x).variances, axes(y).variances))


def require_fewer_directions(x: Representation, rank: int) -> None:
    """Undefined where x spans every centred vector of samples, so that it predicts whatever there is."""
    if rank >= x.samples - 1:
        raise Undefined(
            f"{x.name} has {rank} independent directions on {x.samples} samples, which fit anything exactly: "
            "use more samples than units."
        )


def canonical(x: Representation, y: Representation) -> Canonical:
    """Canonical correlations; those below about 1e-8 are not told from 0.

    Raises:
        Undefined: see `whitened`.
    """

    def compute() -> Canonical:
        matrix = whitened(x, y)
        squares, vectors = np.linalg.eigh(matrix @ matrix.T)
        chosen = np.arange(len(squares))[::-1][: min(matrix.shape)]
        # Rounding alone makes the square of a correlation negative.
        return Canonical(np.sqrt(np.maximum(squares[chosen], 0.0)), vectors[:, chosen])

    return remember((x, y), "canonical", compute, unordered=True)


@measure(
    "cca_mean",
    equation="sum of r_i / min(rank_x, rank_y), r_i the singular values of S_x^(-1/2) C S_y^(-1/2)",
    source="Hotelling 1936; Raghu et al. 2017",
    invariances=LINEAR,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def cca_mean(x: Representation, y: Representation) -> float:
    """Mean canonical correlation, over as many as the network of lower rank has.

    Raises:
        Undefined: no unit varies, or x or y has as many independent directions as centred samples have: every
            correlation would be 1 whatever the activations. From rank_x + rank_y >= samples on some are 1 by
            construction; use several times more samples than units.

    Directions with less than 1e-12 of the largest variance are taken for rounding and left out.

    Source: Raghu et al. 2017. Not the mean over correlations up to 98 % of their sum that google/svcca returns.
    """
    return float(canonical(x, y).correlations.mean())


@measure(
    "cca_mean_squared",
    equation="|S_x^(-1/2) C S_y^(-1/2)|_F^2 / min(rank_x, rank_y)",
    source="Kornblith et al. 2019, table 1, R^2_CCA",
    invariances=LINEAR,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def cca_mean_squared(x: Representation, y: Representation) -> float:
    """Mean squared canonical correlation (Yanai's measure); raises as `cca_mean` does."""
    matrix = whitened(x, y)
    return float(np.vdot(matrix, matrix) / min(matrix.shape))


@measure(
    "svcca",
    equation="cca_mean of the principal components that hold 99 % of the variance of each network",
    source="Raghu et al. 2017",
    invariances=ROTATIONS,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def svcca(x: Representation, y: Representation, variance: float = 0.99) -> float:
    """Mean canonical correlation between the widest principal components of either network.

    Args:
        variance: smallest share of the variance that is kept, in (0, 1].

    Raises:
        StudyError: the share is out of range.
        Undefined: as in `cca_mean`, of the components kept.

    Source: Raghu et al. 2017. ReSi's implementation (2025) keeps a single component.
    """
    if not 0 < variance <= 1:
        raise StudyError(f"a share of the variance lies in (0, 1], but {variance} was asked for.")
    kept, between = [], between_axes(x, y)
    for each in (x, y):
        share = np.cumsum(axes(each).variances) / axes(each).variances.sum()
        kept.append(min(int(np.searchsorted(share, variance)) + 1, len(share)))
        require_fewer_directions(each, kept[-1])
    scale = np.sqrt(np.outer(axes(x).variances[: kept[0]], axes(y).variances[: kept[1]]))
    matrix = between[: kept[0], : kept[1]] / scale
    return nuclear_norm(matrix) / min(matrix.shape)


@measure(
    "pwcca",
    equation="sum a_i r_i / sum a_i, a_i = sum_j |<h_i, x_j>|, h_i the canonical variates and x_j the units of x",
    source="Morcos et al. 2018, section 2.2",
    invariances=("permutation", "isotropic_scaling", "translation"),
    symmetric=False,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def pwcca(x: Representation, y: Representation) -> float:
    """Canonical correlations weighted by how much of x each accounts for; directed.

    The weights add absolute values over the units of x, so that a rotation of x changes them; any invertible map of y
    leaves the value as it is. Raises as `cca_mean` does.

    Source: Morcos et al. 2018, the definition in the paper. google/svcca and its copies (ReSi, RTD, contrasim) apply
    the coefficients without whitening them and add the means back, so that their values change when x is shifted or
    its units are permuted; anatome makes the coefficients orthonormal, not the variates, and does not centre x.
    """
    found, own = canonical(x, y), axes(x)
    weights = np.abs((own.directions * np.sqrt(own.variances)) @ found.directions).sum(axis=0)
    return float(weights @ found.correlations / weights.sum())


# Rotations ------------------------------------------------------------------------------------------------------------


def nuclear_norm(matrix: np.ndarray) -> float:
    """Sum of the singular values."""
    return float(np.linalg.svd(matrix, compute_uv=False).sum())


@measure(
    "procrustes",
    equation="|C|_* / sqrt(tr S_x tr S_y)",
    source="Schoenemann 1966; Ding et al. 2021",
    invariances=ROTATIONS,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def procrustes(x: Representation, y: Representation) -> float:
    """Cosine between x and y after the best rotation of either, both centred and of unit Frobenius norm.

    The squared Procrustes distance of the two is 2 - 2 times this.

    Raises:
        Undefined: no unit of x or of y varies.
    """
    scale = np.sqrt(total_variance(x) * total_variance(y))

    def compute() -> float:
        return nuclear_norm(quick_covariance(x, y))

    return (total_variance(x) if y is x else x.with_partner(y, "nuclear norm", compute)) / scale


@measure(
    "procrustes_angle",
    equation="1 - arccos(procrustes) / (pi / 2)",
    source="Williams et al. 2021, the angular shape metric",
    invariances=ROTATIONS,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def procrustes_angle(x: Representation, y: Representation) -> float:
    """The angle between x and y after the best rotation, which is a metric, as a similarity: 1 less its share of 90°.

    (1 - value) pi / 2 is the angle in radians. Raises as `procrustes` does.
    """
    # Rounding alone takes the cosine above 1.
    return float(1 - np.arccos(min(procrustes(x, y), 1.0)) / (np.pi / 2))


@measure(
    "shape",
    equation="|P_x C P_y|_* / sqrt(tr P_x S_x P_x tr P_y S_y P_y), P = alpha I + (1 - alpha) S^(-1/2)",
    source="Williams et al. 2021, section 2.3",
    invariances=ROTATIONS,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def shape(x: Representation, y: Representation, alpha: float = 0.5) -> float:
    """Cosine between x and y after partial whitening and the best rotation; its arccos is the generalised shape metric.

    Before whitening, each network is scaled to a mean variance of 1 along its principal axes, so that alpha means the
    same whatever the scale (Williams et al. leave the scale as it is). S^(-1/2) is zero where S is.

    Args:
        alpha: 1: no whitening, which is `procrustes`; 0: full whitening, with canonical correlations r_i
            sum r_i / sqrt(rank_x rank_y).

    Raises:
        StudyError: alpha is not within [0, 1].
        Undefined: no unit varies; or alpha is 0, and x or y spans all samples (see `cca_mean`).
    """
    if not 0 <= alpha <= 1:
        raise StudyError(f"alpha lies in [0, 1], but {alpha} was asked for.")
    scaled, lengths = between_axes(x, y), 1.0
    for axis, each in ((1, x), (0, y)):
        values = axes(each).variances
        if alpha == 0:
            require_fewer_directions(each, len(values))
        whitening = alpha + (1 - alpha) * np.sqrt(values.mean() / values)
        scaled = scaled * np.expand_dims(whitening, axis)
        lengths *= np.sum(values * whitening**2)
    return nuclear_norm(scaled) / np.sqrt(lengths)


@measure(
    "gulp",
    equation="2 tr(A_x C A_y C') / (tr (A_x S_x)^2 + tr (A_y S_y)^2), A = (S + penalty I)^(-1), tr S = 1",
    source="Boix-Adsera et al. 2022, section 3",
    invariances=ROTATIONS,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def gulp(x: Representation, y: Representation, penalty: float = 1e-3) -> float:
    """How alike the ridge predictions from x and from y are, over all targets of unit length.

    With d the GULP distance, d^2 = tr (A_x S_x)^2 + tr (A_y S_y)^2 - 2 tr(A_x C A_y C'), the similarity is
    1 - d^2 / (tr (A_x S_x)^2 + tr (A_y S_y)^2). Both networks are centred and scaled to a total variance of 1 first.

    Args:
        penalty: of the ridge regression, above 0.

    Raises:
        StudyError: the penalty is not positive.
        Undefined: no unit of x or of y varies.
    """
    if not penalty > 0:
        raise StudyError(f"the penalty of GULP is above 0, but {penalty} was asked for.")
    between = between_axes(x, y)
    totals = axes(x).variances.sum(), axes(y).variances.sum()
    values_x, values_y = (axes(each).variances / total for each, total in zip((x, y), totals, strict=True))
    weights_x, weights_y = (1 / (values + penalty) for values in (values_x, values_y))
    shared = weights_x @ between**2 @ weights_y / (totals[0] * totals[1])
    own = sum(np.sum((values * weights) ** 2) for values, weights in ((values_x, weights_x), (values_y, weights_y)))
    return float(2 * shared / own)


# Matchings of units ---------------------------------------------------------------------------------------------------


@measure(
    "permutation_correlation",
    equation="max over one-to-one matchings m of the mean of corr(x_i, y_m(i))",
    source="Li et al. 2016, section 3.1",
    invariances=UNITS,
    symmetric=True,
    lowest=-1.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2 + units^3",
)
def permutation_correlation(x: Representation, y: Representation) -> float:
    """Mean correlation of units matched one to one.

    Of unequal widths, every unit of the narrower network has a partner. Units that do not vary are left out.

    Raises:
        Undefined: no unit of x or of y varies.
    """
    similarity = correlations(x, y)
    if len(similarity) > similarity.shape[1]:
        similarity = similarity.T
    return float(similarity[np.arange(len(similarity)), bipartite_match(similarity)].mean())


@measure(
    "soft_matching",
    equation="max over P of sum P_ij corr(x_i, y_j), P >= 0, rows of P add up to 1 / units_x, columns to 1 / units_y",
    source="Khosla and Williams 2024",
    invariances=UNITS,
    symmetric=True,
    lowest=-1.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2 + units^3",
)
def soft_matching(x: Representation, y: Representation) -> float:
    """Mean correlation under the optimal transport of units onto units, all of the same weight.

    For equal widths this is `permutation_correlation`. Units that do not vary are left out. The optimum is exact, see
    `optimal_transport`.

    Raises:
        Undefined: no unit of x or of y varies.

    Source: Khosla and Williams 2024, the score of section 3 (1 less half their squared distance of standardised units).
    """
    return optimal_transport(correlations(x, y))


@measure(
    "semi_matching",
    equation="mean over i of max over j of corr(x_i, y_j)",
    source="Li et al. 2016, section 3.1",
    invariances=UNITS,
    symmetric=False,
    lowest=-1.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def semi_matching(x: Representation, y: Representation) -> float:
    """Mean correlation of the units of x with their best partners in y; directed; grows with the width of y.

    Units that do not vary are left out.

    Raises:
        Undefined: no unit of x or of y varies.
    """
    return float(correlations(x, y).max(axis=1).mean())


def optimal_transport(similarity: np.ndarray) -> float:
    """Largest sum of P_ij similarity_ij over couplings P of the uniform weights of rows and columns.

    For as many rows as columns this is an assignment. Otherwise a linear programme with some pairs only is solved, and
    pairs whose prices violate optimality are added until there are none: then it is the optimum of all pairs.

    Args:
        similarity: (units_x, units_y).

    Raises:
        StudyError: the solver fails.
    """
    rows, columns = similarity.shape
    if rows == columns:
        return float(similarity[np.arange(rows), bipartite_match(similarity)].mean())
    divisor = np.gcd(rows, columns)
    supply = np.concatenate([np.full(rows, columns // divisor), np.full(columns, rows // divisor)]).astype(float)
    chosen = overlapping(rows, columns) | strongest(similarity, CANDIDATES) | strongest(similarity.T, CANDIDATES).T
    while True:
        i, j = np.nonzero(chosen)
        pairs = np.arange(len(i))
        constraints = csr_array(
            (np.ones(2 * len(i)), (np.concatenate([i, rows + j]), np.concatenate([pairs, pairs]))),
            shape=(rows + columns, len(i)),
        )
        solution = linprog(-similarity[i, j], A_eq=constraints, b_eq=supply, method="highs-ds")
        if solution.status != 0:
            raise StudyError(f"the optimal transport of {rows} units to {columns} failed: {solution.message}")
        prices = solution.eqlin.marginals
        gain = similarity + prices[:rows, None] + prices[rows:]
        better = (gain > OPTIMALITY) & ~chosen
        if not better.any():
            return float(-solution.fun * divisor / (rows * columns))
        chosen |= better & (strongest(gain, CANDIDATES) | strongest(gain.T, CANDIDATES).T)


def strongest(values: np.ndarray, count: int) -> np.ndarray:
    """Whether each entry is among the `count` largest of its row."""
    count = min(count, values.shape[1])
    mask = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(mask, np.argpartition(-values, count - 1, axis=1)[:, :count], True, axis=1)
    return mask


def overlapping(rows: int, columns: int) -> np.ndarray:
    """Pairs (rows, columns) that some coupling of the uniform weights needs: where equal parts of [0, 1] overlap."""
    i, j = np.arange(rows)[:, None], np.arange(columns)
    return (i * columns < (j + 1) * rows) & (j * rows < (i + 1) * columns)


@measure(
    "subspace_match",
    equation="(|X*| + |Y*|) / (units_x + units_y), (X*, Y*) the largest sets with dist(x, span Y*) <= epsilon |x| for "
    "all x in X* and dist(y, span X*) <= epsilon |y| for all y in Y*",
    source="Wang et al. 2018, definitions 1 and 2, algorithm 1",
    invariances=UNITS,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="rounds units^3",
)
def subspace_match(x: Representation, y: Representation, epsilon: float = 0.5) -> float:
    """Share of the units in the maximum match of subspaces of units.

    Starting from all units, those that the remaining ones of the other network do not explain are removed, first of x,
    then of y, until none is. As unions of matches are matches, the rest is the one largest match, whatever the order of
    removal. Units are centred (Wang et al. do not); those that do not vary are left out.

    Args:
        epsilon: in (0, 1); 0.5 asks that three quarters of a unit's variance are explained.

    Raises:
        StudyError: epsilon is out of range.
        Undefined: no unit varies, or x or y spans all samples (see `cca_mean`).
    """
    if not 0 < epsilon < 1:
        raise StudyError(f"epsilon lies in (0, 1), but {epsilon} was asked for.")
    cross_covariance(x, y, within=True)
    between = correlations(x, y)
    for each in (x, y):
        require_fewer_directions(each, len(axes(each).variances))
    within_x, within_y = correlations(x, x), correlations(y, y)
    kept_x, kept_y = (np.arange(count) for count in between.shape)
    while True:
        before = len(kept_x) + len(kept_y)
        kept_x = kept_x[unexplained(within_y, between.T, kept_y, kept_x) <= epsilon**2]
        kept_y = kept_y[unexplained(within_x, between, kept_x, kept_y) <= epsilon**2]
        if len(kept_x) + len(kept_y) == before:
            return before / sum(between.shape)


def unexplained(within: np.ndarray, between: np.ndarray, predictors: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Share of the variance of each target unit (targets,) that the predictors together leave.

    Args:
        within: (units, units) correlations of the predicting network.
        between: (units, units of the other) correlations with the predicted one.
        predictors, targets: which units of either.
    """
    if not len(predictors):
        return np.ones(len(targets))
    # Pivots choose units that are linearly independent.
    factor, pivots, rank, _ = dpstrf(within[np.ix_(predictors, predictors)], tol=RANK_TOLERANCE * len(predictors))
    rows = predictors[pivots[:rank] - 1]
    explained = solve_triangular(factor[:rank, :rank], between[np.ix_(rows, targets)], trans="T", check_finite=False)
    return 1 - np.einsum("ij,ij->j", explained, explained)


# Regressions ----------------------------------------------------------------------------------------------------------


def split_samples(samples: int, folds: int | np.ndarray) -> Split:
    """Which fold each sample belongs to.

    Args:
        folds: their number: folds of equal size (to within one), drawn with a fixed seed; or the fold of each sample
            (samples,), any integers: with it, samples that belong together can stay together.

    Raises:
        StudyError: there are fewer than two folds, more folds than samples, or not one label per sample.
    """
    if np.ndim(folds) == 0:
        if not 2 <= folds <= samples:
            raise StudyError(f"{samples} samples can be divided into 2 to {samples} folds, but {folds} were asked for.")
        return Split(f"{folds} folds", np.random.default_rng(0).permutation(samples) % folds, int(folds))
    names, labels = np.unique(np.asarray(folds), return_inverse=True)
    if labels.shape != (samples,) or len(names) < 2:
        raise StudyError(f"folds have one label for each of {samples} samples, and at least two different ones.")
    return Split(f"folds {hashlib.sha256(labels.astype(np.int64).tobytes()).hexdigest()}", labels, len(names))


def fold_moments(
    x: Representation, y: Representation, folds: int | np.ndarray, targets: np.ndarray | None = None
) -> Iterator[Fold]:
    """What regressions of y on x need, for each fold left out, from one pass over the samples.

    Args:
        folds: see `split_samples`.
        targets: (units_y, targets) combinations of units of y to predict; None: the units themselves.
    """
    split = split_samples(x.samples, folds)
    sums = fold_sums(x, y, split)
    for fold in range(split.folds):
        (train_xx, test_xx), (train_xy, test_xy), (_, test_yy) = (each.parts(fold) for each in sums)
        shift_x, shift_y = (test - train for test, train in zip(test_xy.means(), train_xy.means(), strict=True))
        xy, test, yy = train_xy.covariance(), test_xy.covariance(), test_yy.covariance()
        if targets is None:
            variance = np.diag(yy)
        else:
            xy, test, shift_y = xy @ targets, test @ targets, shift_y @ targets
            variance = np.einsum("ij,ij->j", targets, yy @ targets)
        yield Fold(
            int(train_xy.count[0]), train_xx.covariance(), xy,
            int(test_xy.count[0]), test_xx.covariance(), test, variance, shift_x, shift_y,
        )  # fmt: skip


def ridge_maps(fold: Fold, penalties: np.ndarray) -> np.ndarray:
    """Maps (units_x, targets) that minimise mean squared error + penalty |w|^2 without the fold.

    Args:
        penalties: (targets,) of each target; positive unless the units of x are linearly independent.

    Raises:
        LinAlgError: they are dependent, and a penalty is 0.
    """
    maps = np.empty_like(fold.train_xy)
    for penalty in np.unique(penalties):
        chosen = np.flatnonzero(penalties == penalty)
        within = fold.train_xx.copy()
        within[np.diag_indices_from(within)] += penalty
        factor = cho_factor(within, overwrite_a=True, check_finite=False)
        maps[:, chosen] = cho_solve(factor, fold.train_xy[:, chosen], check_finite=False)
    return maps


def held_out_r2(folds: Iterator[Fold], maps: Callable[[Fold], np.ndarray]) -> float:
    """1 - squared error of predictions / squared error of the training mean, both summed over targets and folds.

    Raises:
        Undefined: no target varies.
    """
    error = deviation = 0.0
    for fold in folds:
        weights = maps(fold)
        xx = fold.test_xx + np.outer(fold.shift_x, fold.shift_x)
        xy = fold.test_xy + np.outer(fold.shift_x, fold.shift_y)
        yy = np.sum(fold.test_yy + fold.shift_y**2)
        deviation += fold.test * yy
        error += fold.test * (yy + np.vdot(weights, xx @ weights - 2 * xy))
    if not deviation > 0:
        raise Undefined("no unit of the predicted network varies over the samples.")
    return float(1 - error / deviation)


def chosen_penalties(x: Representation, captured: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Ridge penalty (targets,) with the least generalised cross-validation error over all samples, for each target.

    GCV = residual / (1 - (1 + sum_i l_i / (l_i + penalty)) / samples)^2, l_i the variances along the axes of x.

    Args:
        captured: (rank_x, targets) squared covariances of each target with the principal components of x.
        variance: (targets,) of each target.

    Source: Golub, Heath and Wahba 1979.
    """
    values = axes(x).variances
    penalties = PENALTIES * values.mean()
    shrunk = 1 / (values + penalties[:, None])
    residual = variance - (2 * shrunk - values * shrunk**2) @ captured
    freedom = 1 - (1 + (values * shrunk).sum(axis=1)) / x.samples
    return penalties[np.argmin(residual / freedom[:, None] ** 2, axis=0)]


@measure(
    "ridge_r2",
    equation="1 - sum |y - mean - W'(x - mean)|^2 / sum |y - mean|^2 over held-out samples, W by ridge regression",
    source="Hoerl and Kennard 1970; Schrimpf et al. 2018 for its use",
    invariances=ROTATIONS,
    symmetric=False,
    lowest=-np.inf,
    highest=1.0,
    needs="samples",
    cost="samples units^2 + folds units^3",
)
def ridge_r2(x: Representation, y: Representation, folds: int | np.ndarray = FOLDS) -> float:
    """Share of the variance of all units of y together that a ridge regression on x explains on held-out samples.

    Directed: x predicts y. One penalty for all units of y, chosen by generalised cross-validation on all samples from
    1e-6 ... 1e3 times the mean variance of x along its principal axes. Maps come from the moments of all folds but one
    and are judged on that one; they are never refitted from samples. As predicted units count by their variance, a
    rotation of y changes nothing.

    Args:
        folds: see `split_samples`; give labels where samples belong together, such as positions of one image.

    Raises:
        Undefined: no unit of x or of y varies.
    """
    fold_sums(x, y, split_samples(x.samples, folds))  # the same pass serves the covariances
    between = cross_covariance(x, y)
    captured = np.square(axes(x).directions.T @ between).sum(axis=1)
    penalty = chosen_penalties(x, captured[:, None], np.array([total_variance(y)]))
    return held_out_r2(fold_moments(x, y, folds), lambda fold: ridge_maps(fold, np.repeat(penalty, y.units)))


@measure(
    "affine_r2",
    equation="1 - sum |y - mean - W'(x - mean)|^2 / sum |y - mean|^2 over held-out samples, W by least squares",
    source="Kornblith et al. 2019, table 1, on samples that did not fit",
    invariances=ROTATIONS,
    symmetric=False,
    lowest=-np.inf,
    highest=1.0,
    needs="samples",
    cost="samples units^2 + folds units^3",
)
def affine_r2(x: Representation, y: Representation, folds: int | np.ndarray = FOLDS) -> float:
    """Share of the variance of all units of y together that the best affine map of x explains on held-out samples.

    Directed: x predicts y. Any invertible linear map of x leaves it as it is; of y, rotations and one common scale.

    Args:
        folds: see `split_samples`.

    Raises:
        Undefined: no unit of x or of y varies, or without a fold there are no more samples than directions of x.
    """
    fold_sums(x, y, split_samples(x.samples, folds))  # the same pass serves the covariances
    own = axes(x)
    rank = len(own.variances)
    basis = None if rank == x.units else own.directions / np.sqrt(own.variances)

    def maps(fold: Fold) -> np.ndarray:
        if fold.train - 1 > rank:
            try:
                return ridge_maps(fold, np.zeros(fold.train_xy.shape[1]))
            except LinAlgError:
                pass
        raise Undefined(
            f"{fold.train} samples of a fit do not determine maps from {rank} directions of {x.name}: "
            "use more samples or ridge_r2."
        )

    return held_out_r2((fold if basis is None else fold.turned(basis) for fold in fold_moments(x, y, folds)), maps)


@measure(
    "universal_dimensions_r",
    equation="mean over principal components of y of the correlation with their ridge prediction from x, held out",
    source="Chen and Bonner 2025",
    invariances=ROTATIONS,
    symmetric=False,
    lowest=-1.0,
    highest=1.0,
    needs="samples",
    cost="samples units^2 + folds penalties units^3",
)
def universal_dimensions_r(x: Representation, y: Representation, folds: int | np.ndarray = FOLDS) -> float:
    """Mean over the principal components of y of `dimension_universality`; every component counts the same.

    Directed: x predicts y.

    Raises:
        Undefined: no unit varies, or the prediction of a component is constant in a fold.
    """
    values = dimension_universality(x, y, folds)
    if np.isnan(values).any():
        component = int(np.flatnonzero(np.isnan(values))[0])
        raise Undefined(f"principal component {component} of {y.name} or its prediction is constant in a fold.")
    return float(values.mean())


def dimension_universality(x: Activations, y: Activations, folds: int | np.ndarray = FOLDS) -> np.ndarray:
    """How well x predicts each principal component of y on held-out samples.

    Ridge regression with a penalty for each component, chosen by generalised cross-validation over all samples; the
    correlation of prediction and component, mean over folds. The universality of a component is the median of this over
    several predicting networks.

    Args:
        x, y: see `Measure`.
        folds: see `split_samples`.

    Returns:
        (rank_y,) widest component first; NaN where a component or its prediction is constant in a fold.

    Raises:
        StudyError: see `Measure`.
        Undefined: no unit of x or of y varies.

    Source: Chen and Bonner 2025, who fit the components on other samples.
    """
    x, y = representation(x, "x"), representation(y, "y") if y is not x else x
    require_same_samples(x, y)
    fold_sums(x, y, split_samples(x.samples, folds))  # the same pass serves the covariances
    penalties = chosen_penalties(x, between_axes(x, y) ** 2, axes(y).variances)
    values = []
    for fold in fold_moments(x, y, folds, axes(y).directions):
        maps = ridge_maps(fold, penalties)
        spread = np.einsum("ij,ij->j", maps, fold.test_xx @ maps) * fold.test_yy
        together = np.einsum("ij,ij->j", maps, fold.test_xy)
        values.append(np.divide(together, np.sqrt(spread), out=np.full(len(spread), np.nan), where=spread > 0))
    return np.mean(values, axis=0)
