"""Similarity of networks from partners of their units, one by one or set by set, from moments.

Li et al. 2016: the best one-to-one matching and the best partners; Khosla and Williams 2024: optimal transport; Wang
et al. 2018: matches of subspaces.
"""

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpstrf
from scipy.sparse import csr_array

from convergent.errors import StudyError
from convergent.matching import bipartite_match
from convergent.similarity.factors import Representation
from convergent.similarity.moments import RANK_TOLERANCE, axes, correlations, cross_covariance, require_fewer_directions
from convergent.similarity.registry import UNITS, measure

CANDIDATES = 8  # partners per unit with which the search for an optimal transport begins
OPTIMALITY = 1e-9
MOST_COPIES = 4  # of a unit of the wider layer, for an optimal transport to be found as an assignment of copies
LARGEST_ASSIGNMENT = 2048  # of copies


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

    For as many rows as columns this is an assignment; for 64 and 96 it is one of three copies of each row to two of
    each column. Where that takes many copies, a linear programme with some pairs only is solved, and pairs whose
    prices violate optimality are added until there are none: then it is the optimum of all pairs.

    Args:
        similarity: (units_x, units_y).

    Raises:
        StudyError: the solver fails.
    """
    rows, columns = similarity.shape
    side = np.lcm(rows, columns)
    if rows == columns or (side <= MOST_COPIES * max(rows, columns) and side <= LARGEST_ASSIGNMENT):
        copies = similarity.repeat(side // rows, axis=0).repeat(side // columns, axis=1)
        return float(copies[np.arange(side), bipartite_match(copies)].mean())
    from scipy.optimize import linprog  # takes longer to import than most layers need it

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
