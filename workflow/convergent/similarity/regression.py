"""How well one network predicts another linearly on held-out samples: ridge and affine maps, universal dimensions.

Maps are fitted and judged from moments of folds, never from samples. Hoerl and Kennard 1970; Chen and Bonner 2025.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from convergent.similarity.factors import Activations, Representation, representation, require_same_samples
from convergent.similarity.folds import FOLDS, split_samples
from convergent.similarity.moments import Sums, axes, between_axes, cross_covariance, fold_sums, total_variance
from convergent.similarity.registry import ROTATIONS, Undefined, measure

# Ridge penalties to choose from, in units of the mean variance along the principal axes of the predicting network.
PENALTIES = 10.0 ** np.array([-6, -4, -3, -2, -1, 0, 1, 2, 3])


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


def fold_moments(
    x: Representation, y: Representation, folds: int | np.ndarray, targets: np.ndarray | None = None
) -> Iterator[Fold]:
    """What regressions of y on x need, for each fold left out, from one pass over the samples.

    Args:
        folds: see `split_samples`.
        targets: (units_y, targets) combinations of units of y to predict; None: the units themselves.

    Returns:
        the folds one by one; a matrix of wide networks is large, so whoever takes one lets go of the one before.
    """
    split = split_samples(x.samples, folds)
    sums = fold_sums(x, y, split)
    return (left_out(*sums, fold, targets) for fold in range(split.folds))


def left_out(xx: Sums, xy: Sums, yy: Sums, fold: int, targets: np.ndarray | None) -> Fold:
    """The same for one fold, from the sums over all."""
    variance = yy.only(fold).covariance()
    variance = np.diag(variance).copy() if targets is None else np.einsum("ij,ij->j", targets, variance @ targets)
    train, test = xy.without(fold), xy.only(fold)
    shift_x, shift_y = (there - here for there, here in zip(test.means(), train.means(), strict=True))
    train_xy, test_xy = train.covariance(), test.covariance()
    if targets is not None:
        train_xy, test_xy, shift_y = train_xy @ targets, test_xy @ targets, shift_y @ targets
    return Fold(
        int(train.count[0]), xx.without(fold).covariance(), train_xy,
        int(test.count[0]), xx.only(fold).covariance(), test_xy, variance, shift_x, shift_y,
    )  # fmt: skip


def ridge_maps(fold: Fold, penalties: np.ndarray) -> np.ndarray:
    """Maps (units_x, targets) that minimise mean squared error + penalty |w|^2 without the fold.

    Args:
        penalties: (targets,) of each target; positive unless the units of x are linearly independent.

    Raises:
        LinAlgError: they are dependent, and a penalty is 0.
    """
    maps, different = None, np.unique(penalties)
    for penalty in different:
        within = fold.train_xx.copy()
        within[np.diag_indices_from(within)] += penalty
        factor = cho_factor(within.T, overwrite_a=True, check_finite=False)
        if len(different) == 1:
            return cho_solve(factor, fold.train_xy, check_finite=False)
        maps = np.empty_like(fold.train_xy) if maps is None else maps
        chosen = np.flatnonzero(penalties == penalty)
        maps[:, chosen] = cho_solve(factor, fold.train_xy[:, chosen], overwrite_b=True, check_finite=False)
    return maps


def held_out_r2(folds: Iterator[Fold], maps: Callable[[Fold], np.ndarray]) -> float:
    """1 - squared error of predictions / squared error of the training mean, both summed over targets and folds.

    Raises:
        Undefined: no target varies.
    """

    def squares(fold: Fold) -> np.ndarray:
        weights = maps(fold)
        deviation = np.sum(fold.test_yy + fold.shift_y**2)
        explained = 2 * np.vdot(weights, fold.test_xy) - np.vdot(weights, fold.test_xx @ weights)
        shifted = fold.shift_x @ weights
        return fold.test * np.array([deviation - explained + shifted @ (shifted - 2 * fold.shift_y), deviation])

    error, deviation = sum(map(squares, folds))
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

    folds = fold_moments(x, y, folds)
    return held_out_r2(folds if basis is None else (fold.turned(basis) for fold in folds), maps)


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

    Examples:
        >>> shared, noise = np.random.default_rng(0).normal(size=(2, 500, 2))
        >>> y = np.hstack([shared * [3, 2], noise[:, :1]])  # its third component is its own
        >>> dimension_universality(shared, y) > 0.9
        array([ True,  True, False])
    """
    x, y = representation(x, "x"), representation(y, "y") if y is not x else x
    require_same_samples(x, y)
    fold_sums(x, y, split_samples(x.samples, folds))  # the same pass serves the covariances
    penalties = chosen_penalties(x, between_axes(x, y) ** 2, axes(y).variances)

    def correlations(fold: Fold) -> np.ndarray:
        maps = ridge_maps(fold, penalties)
        spread = np.einsum("ij,ij->j", maps, fold.test_xx @ maps) * fold.test_yy
        together = np.einsum("ij,ij->j", maps, fold.test_xy)
        return np.divide(together, np.sqrt(spread), out=np.full(len(spread), np.nan), where=spread > 0)

    return np.mean(list(map(correlations, fold_moments(x, y, folds, axes(y).directions))), axis=0)
