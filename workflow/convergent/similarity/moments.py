"""Second moments of the units, from which CKA, CCA, Procrustes, matchings of units and linear regressions follow.

With S_x, S_y the covariances within and C = S_xy those between the units of x and y, all of them are functions of S_x,
S_y and C, or of the same for parts of the samples. They are accumulated in float64, block by block, once for all
measures of a pair; covariances and principal axes of a network once for all its partners. Nothing of size
samples x samples is formed.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple, TypeVar

import numpy as np

from convergent.samples import ROWS_PER_BLOCK, blocks
from convergent.similarity.factors import MomentsOnly, Representation, require_same_samples
from convergent.similarity.folds import FOLDS, Split, split_samples
from convergent.similarity.registry import Undefined
from convergent.statistics import product_sum

T = TypeVar("T")
Pair = tuple[Representation, Representation]

FOLD_BYTES = 2**24  # products of every fold are kept from the first pass on where they take no more than this
# Products of float32 activations taken in float32, some samples at a time, and added up in float64 are right to 1e-7 of
# the units' deviations, in half the time: see `quick_covariance`.
QUICK = "quick covariance"
QUICK_ROWS = 2048
CENTRED_ROWS = 256
SMALL = 1e-12
LEVEL_ROWS = 256  # samples that tell near which value each unit lies
# Covariances of float32 activations carry errors near 1e-15 of the largest: directions below this are rounding.
RANK_TOLERANCE = 1e-12


class Sums(NamedTuple):
    """Sums over the samples of each fold, of values taken relative to a `level`."""

    count: np.ndarray  # (folds,)
    x: np.ndarray  # (folds, units_x)
    y: np.ndarray  # (folds, units_y)
    products: np.ndarray  # (folds, units_x, units_y)

    def covariance(self) -> np.ndarray:
        """Population covariances (units_x, units_y) over all folds."""
        return centred(self.products.sum(axis=0), self.x.sum(axis=0), self.y.sum(axis=0), self.count.sum())

    def only(self, fold: int) -> "Sums":
        """Sums over one fold."""
        return Sums(*(values[fold : fold + 1] for values in self))

    def without(self, fold: int) -> "Sums":
        """Sums over all other folds, as one."""
        products = self.products.sum(axis=0, keepdims=True)
        products -= self.products[fold]
        others = (values.sum(axis=0, keepdims=True) - values[fold] for values in self[:-1])
        return Sums(*others, products)

    @property
    def T(self) -> "Sums":
        """The same with x and y exchanged."""
        return Sums(self.count, self.y, self.x, self.products.transpose(0, 2, 1))

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Means (units_x,), (units_y,), relative to the levels."""
        return self.x.sum(axis=0) / self.count.sum(), self.y.sum(axis=0) / self.count.sum()


class Axes(NamedTuple):
    """Principal axes of the units of one network along which it varies, widest first."""

    variances: np.ndarray  # (rank,)
    directions: np.ndarray  # (units, rank) orthonormal columns


def centred(products: np.ndarray, x: np.ndarray, y: np.ndarray, count: float) -> np.ndarray:
    """Covariances in place of sums of products (units_x, units_y), given the sums (units_x,), (units_y,) of each."""
    for rows in blocks(len(products), CENTRED_ROWS):  # so that no second matrix is needed
        products[rows] -= np.outer(x[rows] / count, y)
        products[rows] /= count
    return products


def level(x: Representation) -> np.ndarray:
    """A value near those of each unit (units,): the mean of some samples, or what they all are.

    Values relative to it keep sums of products free of cancellation, and a unit that never varies is exactly 0.
    """
    some = x.read(slice(0, LEVEL_ROWS))
    return np.where((some == some[0]).all(axis=0), some[0], some.mean(axis=0))


def read_sums(
    pairs: Sequence[Pair], split: Split | None, precision: type = np.float64, size: int | None = None
) -> list[Sums]:
    """Sums of pairs of networks over each fold, or over all samples as one, in one pass.

    Args:
        precision: of the products of a block; blocks are added up in double precision.
        size: samples per block; None: as many as two networks may have, shared by however many there are.

    Raises:
        StudyError: a value is not finite.
    """
    folds = split.folds if split else 1
    networks = list(dict.fromkeys(each for pair in pairs for each in pair))
    levels = {each: level(each).astype(precision) for each in networks}
    totals = {each: np.zeros((folds, each.units)) for each in networks}
    products = [np.zeros((folds, x.units, y.units)) for x, y in pairs]
    counts = np.zeros(folds)
    size = size or max(1, ROWS_PER_BLOCK // max(1, len(networks) // 2))
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


def known_either_way(pair: Pair, name: str) -> bool:
    """Whether something of a pair is remembered, or of the same two networks in the other order."""
    return known(pair, name) or known(pair[::-1], name)


def recalled(pair: Pair, name: str, unordered: bool = False) -> np.ndarray | Sums:
    """What is remembered of a pair, transposed where it is remembered in the other order."""
    if known(pair, name):
        return remember(pair, name, dict, unordered)
    return remember(pair[::-1], name, dict, unordered).T


def read_pairs(pairs: Sequence[Pair], split: Split | None, lasting: bool = False) -> None:
    """Remember the covariances of pairs, and with a split the sums over its folds, from one pass.

    Args:
        lasting: as long as the networks live, not only until another partner comes.
    """
    for (x, y), sums in zip(pairs, read_sums(pairs, split), strict=True):
        if lasting and y is not x:
            x.keep_with_partner(y, "covariance", sums.covariance())
            if split:
                x.keep_with_partner(y, split.name, sums)
            continue
        if split:
            remember((x, y), split.name, lambda sums=sums: sums)
        remember((x, y), "covariance", sums.covariance, unordered=True)


def relate(networks: Sequence[Representation], folds: int | np.ndarray | None = FOLDS) -> None:
    """Read the activations of several networks once, so that no measure from moments reads them again for any pair.

    Without it, what belongs to a pair is forgotten when either has another partner, and a network is read once for each
    of its partners. Kept as long as the networks live is whatever takes less memory: activations that are in files, or
    the products of all pairs, 8 units_x units_y bytes each, as many times as there are folds and once more. Of more
    networks than that fits for, relate some at a time.

    Args:
        networks: of the same samples in the same order.
        folds: of the regressions that will be computed, see `split_samples`; None: there will be none.

    Raises:
        StudyError: the numbers of samples differ, or a value is not finite.

    Examples:
        >>> from itertools import combinations
        >>> from convergent.similarity import MEASURES
        >>> generator = np.random.default_rng(0)
        >>> networks = [Representation(generator.normal(size=(1000, 4)), name) for name in ("a", "b", "c")]
        >>> relate(networks)
        >>> {x.name + y.name: round(MEASURES["cka_linear"](x, y), 1) for x, y in combinations(networks, 2)}
        {'ab': 0.0, 'ac': 0.0, 'bc': 0.0}
    """
    pairs = list(combinations_with_replacement(dict.fromkeys(networks), 2))
    for x, y in pairs:
        require_same_samples(x, y)
    split = None if folds is None else split_samples(networks[0].samples, folds)
    products = 8 * sum(x.units * y.units for x, y in pairs) * (1 + (split.folds if split else 0))
    if sum(each.activations.nbytes for each in networks) <= products:
        for each in networks:
            each.hold()
    else:
        read_pairs(pairs, split, lasting=True)


def fold_sums(x: Representation, y: Representation, split: Split) -> list[Sums]:
    """Sums over each fold of x with itself, x with y, and y with itself."""
    pairs = [(x, x), (x, y), (y, y)]
    missing = [pair for pair in dict.fromkeys(pairs) if not known_either_way(pair, split.name)]
    if missing:
        read_pairs(missing, split)
    return [recalled(pair, split.name) for pair in pairs]


def covariance(x: Representation) -> np.ndarray:
    """Population covariances of the units (units, units); exactly 0 for a constant unit."""
    return cross_covariance(x, x)


def cross_covariance(x: Representation, y: Representation, within: bool = False) -> np.ndarray:
    """Population covariances of the units of x with those of y (units_x, units_y).

    Args:
        within: those within x and within y will be needed as well; they are taken from the same pass.
    """
    pairs = dict.fromkeys([(x, y), (x, x), (y, y)] if within else [(x, y)])
    missing = [pair for pair in pairs if not known_either_way(pair, "covariance")]
    if missing:
        # Where sums over folds take little memory, regressions find them here later.
        small = x.samples >= FOLDS and 8 * FOLDS * max(x.units, y.units) ** 2 <= FOLD_BYTES
        read_pairs(missing, split_samples(x.samples, FOLDS) if small and x.lasting else None)
    return recalled((x, y), "covariance", unordered=True)


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
        matrix, scales = quick_covariance(x, y), [np.sqrt(variances(each)) for each in (x, y)]
        if not all(scale.all() for scale in scales):
            matrix = matrix[np.ix_(*map(np.flatnonzero, scales))]
        return matrix / np.outer(*(scale[scale > 0] for scale in scales))

    return compute() if y is x else x.with_partner(y, "correlation", compute)


def of_statistics(arrays: Mapping[str, np.ndarray]) -> dict[str, MomentsOnly]:
    """Networks from statistics alone, for the measures that need no more than moments.

    Args:
        arrays: as from `statistics.tile_statistics` of one side: `samples`, `standard_deviation/<a>`, `within/<a>`,
            `between/<a>/<b>`.

    Returns:
        network -> what a measure takes in place of its activations.

    Examples:
        >>> from convergent.similarity import MEASURES
        >>> from convergent.statistics import tile_statistics
        >>> x, y = np.random.default_rng(0).normal(size=(2, 50, 4))
        >>> known = of_statistics(tile_statistics({"first": x, "second": y}))
        >>> bool(np.isclose(MEASURES["cca_mean"](known["first"], known["second"]), MEASURES["cca_mean"](x, y)))
        True
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


def require_fewer_directions(x: Representation, rank: int) -> None:
    """Undefined where x spans every centred vector of samples, so that it predicts whatever there is."""
    if rank >= x.samples - 1:
        raise Undefined(
            f"{x.name} has {rank} independent directions on {x.samples} samples, which fit anything exactly: "
            "use more samples than units."
        )


def nuclear_norm(matrix: np.ndarray) -> float:
    """Sum of the singular values."""
    return float(np.linalg.svd(matrix, compute_uv=False).sum())
