"""Linear maps that predict each unit of one network from few units of another, from correlation matrices alone.

Li et al. 2016, section 4. For unit i of y, with R the correlations within x and c_i those of x with that unit:
loss_i(w) = E[(w.x - y_i)^2] / 2 = (1 - 2 w.c_i + w.R w) / 2, and the sparse map minimises loss_i(w) + penalty |w|_1.
The paper's decay multiplies |W|_1 of the mean loss over units: penalty = decay * units, which is what transfers
between layers of different width.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dposv

from convergent.errors import StudyError
from convergent.matching import bipartite_match
from convergent.samples import blocks
from convergent.statistics import Moments, Units

TARGETS_PER_BLOCK = 512
COORDINATES_PER_BLOCK = 32  # small enough that their updates stay in cache, large enough for a matrix product
SWEEPS_PER_CHECK = 10
WEIGHTS_TRAINED_TOGETHER = 2**16
MAGNIFIED = np.float32(1e30)  # times this, every weight that is not 0 is larger than any penalty
DAMPING = 1e-10  # of Newton steps: where units are duplicated, still a descent along their difference
PUBLISHED_DECAYS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # columns of the paper's Table 1
PUBLISHED_THRESHOLD = 1e-3  # |w| above which the paper's maps, which hold no exact zeros, count as non-zero


def lasso_path(
    correlation_xx: np.ndarray,
    correlation_xy: np.ndarray,
    penalties: Sequence[float],
    tolerance: float = 1e-6,
    max_sweeps: int = 20_000,
    targets_per_block: int = TARGETS_PER_BLOCK,
) -> np.ndarray:
    """Maps that minimise loss + penalty |w|_1 exactly, for all units of y at once and for each penalty.

    Args:
        correlation_xx: (units_x, units_x) correlations within x; zero rows and columns for dead units.
        correlation_xy: (units_x, units_y) correlations between x and y.
        penalties: at least 0, in any order; decay * units of the paper, alpha of scikit-learn's `Lasso` on
            standardised units. 0 gives `least_squares_maps`.
        tolerance: largest `optimality_gap` of any target, as a share of its variance.
        max_sweeps: sweeps over all units of x, at one penalty, after which the search is given up.
        targets_per_block: units of y solved together; memory beyond the result is a few (units_x, targets) arrays.

    Returns:
        (penalties, units_y, units_x) in the order of the penalties given, with exact zeros.

    Raises:
        StudyError: the matrices do not fit, are not finite or not correlations; a penalty is negative or NaN; the
            tolerance is not reached.

    Source: Li et al. 2016, section 4; coordinate descent: Friedman et al. 2010; steps on the support with fixed
    signs: Lee et al. 2007.

    Examples:
        With uncorrelated predictors, every weight is the correlation less the penalty, or 0:

        >>> between = np.array([[0.8], [0.3], [-0.5]])  # of three units of x with one of y
        >>> lasso_path(np.eye(3), between, penalties=[0.0, 0.4]).round(6) + 0.0
        array([[[ 0.8,  0.3, -0.5]],
        <BLANKLINE>
               [[ 0.4,  0. , -0.1]]])
    """
    within, between = checked_correlations(correlation_xx, correlation_xy)
    penalties = checked_penalties(penalties)
    maps = np.zeros((len(penalties), between.shape[1], len(within)))
    if (penalties == 0).any():
        maps[penalties == 0] = least_squares_maps(within, between)
    # From the largest penalty down: each solution is near the one before.
    descending = [index for index in np.argsort(-penalties, kind="stable") if penalties[index] > 0]
    for columns in blocks(between.shape[1], targets_per_block):
        target = np.ascontiguousarray(between[:, columns])
        weights = np.zeros_like(target)
        for index in descending:
            weights = minimise(within, target, penalties[index], weights, tolerance, max_sweeps)
            maps[index, columns] = weights.T
    return maps


def minimise(
    within: np.ndarray, between: np.ndarray, penalty: float, start: np.ndarray, tolerance: float, max_sweeps: int
) -> np.ndarray:
    """Weights (units_x, targets) at one positive penalty.

    Coordinate descent, one unit of x at a time for all targets that have not converged. Where it is slow, because
    units of x are nearly dependent, a Newton step on the support jumps to the end of the current piece.
    """
    result = start.copy()
    weights, live, previous = result.copy(), np.arange(between.shape[1]), np.full(between.shape[1], np.inf)
    residual = between - within @ weights
    for sweeps in range(0, max_sweeps + 1, SWEEPS_PER_CHECK):
        gap = duality_gap(weights, residual, between, penalty)
        going = ~(gap <= tolerance)
        if not going.all():
            result[:, live[~going]] = weights[:, ~going]
            live, gap, previous = live[going], gap[going], previous[going]
            weights, residual, between = (
                np.ascontiguousarray(array[:, going]) for array in (weights, residual, between)
            )
        if not len(live):
            return result
        if sweeps + SWEEPS_PER_CHECK > max_sweeps:
            break
        slow = np.flatnonzero(gap > previous / 2)
        for i in slow:
            newton_step(within, residual[:, i], penalty, weights[:, i])
        if len(slow):
            residual[:, slow] = between[:, slow] - within @ weights[:, slow]
        previous = gap
        for _ in range(SWEEPS_PER_CHECK):
            sweep(within, penalty, weights, residual)
        # Rounding errors of the updates do not add up over the sweeps.
        residual = between - within @ weights
    raise StudyError(
        f"the sparse map at penalty {penalty:g} did not converge in {max_sweeps} sweeps for {len(live)} units "
        f"(gap {gap.max():.1e}, tolerance {tolerance:.1e}): use more samples, a larger penalty or a larger tolerance."
    )


def sweep(within: np.ndarray, penalty: float, weights: np.ndarray, residual: np.ndarray) -> None:
    """One coordinate-descent pass over the units of x, in place; residual = between - within @ weights.

    Rows of the residual outside a block of coordinates wait for the end of the block, so that most of the work is
    one matrix product.
    """
    value, shrunk = np.empty_like(residual[0]), np.empty_like(residual[0])
    for block in blocks(len(within), COORDINATES_PER_BLOCK):
        own, inner = weights[block], within[block, block]
        # What each unit would be worth if none before it in the block changed; the diagonal is 1 (0 for a dead unit,
        # whose value is then 0 as well).
        values, changes = residual[block] + own, np.empty_like(own)
        # In place, and without `np.clip`: on rows of so few targets, calling NumPy takes longer than computing.
        for j, (weight, change) in enumerate(zip(own, changes, strict=True)):
            np.dot(inner[j, :j], changes[:j], out=value)
            np.subtract(values[j], value, out=value)
            np.minimum(np.maximum(value, -penalty, out=shrunk), penalty, out=shrunk)
            np.subtract(value, shrunk, out=shrunk)
            np.subtract(shrunk, weight, out=change)
            weight[:] = shrunk
        residual -= within[:, block] @ changes


def newton_step(within: np.ndarray, residual: np.ndarray, penalty: float, weights: np.ndarray) -> None:
    """Move one target's non-zero weights (units_x,) in place towards the minimum for their present signs.

    Weights that would change sign become 0 if that lowers the objective; otherwise the step ends where the objective
    is lowest along it. The objective never rises.
    """
    support = np.flatnonzero(weights)
    old, slope = weights[support], residual[support]
    signs = np.sign(old)
    curvature = within[np.ix_(support, support)]
    damped = curvature.copy()
    damped.flat[:: len(support) + 1] += DAMPING
    _, step, failed = dposv(damped, slope - penalty * signs, overwrite_a=1)
    if failed:
        return
    new = old + step
    crossing = signs * new < 0
    if crossing.any():
        new[crossing] = 0
        moved = new - old
        rise = -slope @ moved + moved @ curvature @ moved / 2 + penalty * (np.abs(new).sum() - np.abs(old).sum())
        if rise >= 0:
            # Along the step the objective is a parabola with a kink wherever a weight crosses 0.
            kinks = np.divide(-old, step, out=np.full_like(old, np.inf), where=crossing)
            derivative = penalty * (signs @ step) - slope @ step
            bend = step @ curvature @ step + DAMPING * (step @ step)
            stops = None
            for i in np.argsort(kinks)[: crossing.sum()]:
                if derivative + kinks[i] * bend >= 0:
                    break
                derivative += 2 * penalty * abs(step[i])
                if derivative + kinks[i] * bend >= 0:
                    stops = i
                    break
            new = old + (-derivative / bend if stops is None else kinks[stops]) * step
            if stops is not None:
                new[stops] = 0
    weights[support] = new


def duality_gap(weights: np.ndarray, residual: np.ndarray, between: np.ndarray, penalty: float) -> np.ndarray:
    """Upper bound on objective - minimum (targets,) for targets of variance 1 and a positive penalty.

    The dual point is the residual y - w.x, shrunk until its correlations with all of x are within the penalty.
    """
    explained = np.einsum("it,it->t", weights, between)
    square = np.maximum(1 - explained - np.einsum("it,it->t", weights, residual), 0)
    largest = np.abs(residual).max(axis=0)
    shrink = np.divide(penalty, largest, out=np.ones_like(largest), where=largest > penalty)
    # A dead target has variance 0, not 1, but then nothing shrinks and the variance cancels.
    return (1 + shrink**2) / 2 * square + penalty * np.abs(weights).sum(axis=0) - shrink * (1 - explained)


def optimality_gap(
    maps: np.ndarray, correlation_xx: np.ndarray, correlation_xy: np.ndarray, penalties: Sequence[float]
) -> np.ndarray:
    """How far each target's objective can be above its minimum, as a share of its variance.

    Args:
        maps: (penalties, units_y, units_x).
        correlation_xx, correlation_xy, penalties: as in `lasso_path`.

    Returns:
        (penalties, units_y): the duality gap, an upper bound; at penalty 0 the excess over least squares itself.

    Raises:
        StudyError: see `lasso_path`, or the maps do not fit the matrices.
    """
    within, between = checked_correlations(correlation_xx, correlation_xy)
    penalties = checked_penalties(penalties)
    maps = checked_maps(maps, within, between)
    if maps.shape[:-2] != penalties.shape:
        raise StudyError(f"there are {len(penalties)} penalties, but the maps have shape {maps.shape}.")
    gaps = np.empty(maps.shape[:-1])
    for gap, weights, penalty in zip(gaps, maps, penalties, strict=True):
        residual = between - within @ weights.T
        if penalty > 0:
            gap[:] = duality_gap(weights.T, residual, between, penalty)
        else:
            gap[:] = np.einsum("it,ti->t", residual, least_squares_maps(within, residual)) / 2
    return gaps


def least_squares_maps(correlation_xx: np.ndarray, correlation_xy: np.ndarray) -> np.ndarray:
    """Ordinary least squares (units_y, units_x); of several optima (dependent units) the one of smallest norm.

    Raises:
        StudyError: see `lasso_path`.
    """
    within, between = checked_correlations(correlation_xx, correlation_xy)
    values, vectors = np.linalg.eigh(within)
    # Directions below this share of the largest are rounding errors of the correlations, not variance.
    kept = values > 1e-10 * max(values[-1], 0)
    vectors = vectors[:, kept]
    maps = (between.T @ vectors / values[kept]) @ vectors.T
    maps[:, np.diag(within) == 0] = 0  # exactly, where the eigenvectors hold rounding errors
    maps[~between.any(axis=0)] = 0
    return maps


class TrainedMaps(NamedTuple):
    """Result of `train_maps`."""

    maps: np.ndarray  # (penalties, units_y, units_x) float32; exact zeros only where a unit is dead
    losses: np.ndarray  # (penalties, 2) prediction loss before the first and the last update, without the penalty


def train_maps(
    correlation_xx: np.ndarray,
    correlation_xy: np.ndarray,
    penalties: Sequence[float],
    seed: int = 0,
    iterations: int = 4501,
    learning_rate: float = 1e-3,
    halve_every: int = 1500,
    momentum: float = 0.98,
) -> TrainedMaps:
    """Maps by the paper's own training: sub-gradient descent with momentum, here on the full batch.

    The published table is of maps that had not converged: the step sizes sum to 131, against curvatures eig(R) /
    units, so directions of small variance keep much of their initial noise (most visibly at penalty 0, whose loss
    is above that of a small penalty), and weights hover around zero rather than reaching it. `lasso_path` gives the
    minimum of the same objective; the difference between the two is the finding.

    Args:
        correlation_xx, correlation_xy: as in `lasso_path`.
        penalties: decay * units_y.
        seed: of the initial weights, N(0, 0.01^2), rescaled once so that predictions vary as much as targets; they
            are the same for each penalty.
        iterations, learning_rate, halve_every, momentum: as published by default. As in the paper the step does not
            depend on the number of units, so narrow layers come nearer to convergence.

    Raises:
        StudyError: see `lasso_path`.

    Source: Li et al. 2016, section 4, and the training logs released with it.
    """
    within, between = checked_correlations(correlation_xx, correlation_xy)
    penalties = checked_penalties(penalties)
    live_y = between.any(axis=0)
    units = max(int(live_y.sum()), 1)
    start = np.random.default_rng(seed).normal(scale=0.01, size=between.T.shape)
    start[~live_y] = 0
    start[:, np.diag(within) == 0] = 0
    predicted = np.vdot(start @ within, start)
    start *= np.sqrt(units / predicted) if predicted > 0 else 0.0
    # Single precision, as in the paper: twice as fast, and far finer than the noise that training leaves.
    start, within, target = (np.ascontiguousarray(array, dtype=np.float32) for array in (start, within, between.T))
    trained = TrainedMaps(np.empty((len(penalties), *start.shape), np.float32), np.empty((len(penalties), 2)))
    # The maps of narrow layers train together: one at a time, calling NumPy would take longer than computing.
    for some in blocks(len(penalties), max(1, WEIGHTS_TRAINED_TOGETHER // start.size)):
        maps, targets = (np.tile(array, (some.stop - some.start, 1)) for array in (start, target))
        highest = np.repeat(penalties[some], start.size).astype(np.float32).reshape(maps.shape)
        lowest = -highest
        velocity, gradient, slope = np.zeros_like(maps), np.empty_like(maps), np.empty_like(maps)
        for iteration in range(iterations):
            np.matmul(maps, within, out=gradient)
            gradient -= targets
            if iteration in (0, iterations - 1):
                fits = np.einsum("ti,ti->t", gradient - targets, maps).reshape(-1, len(start)).sum(axis=1)
                trained.losses[some, int(iteration > 0)] = (units + fits) / (2 * units)
            # The penalty with the sign of the weight, in half the time of `np.sign`.
            np.multiply(maps, MAGNIFIED, out=slope)
            np.minimum(np.maximum(slope, lowest, out=slope), highest, out=slope)
            gradient += slope
            gradient *= np.float32(learning_rate * 0.5 ** (iteration // halve_every) / units)
            velocity *= np.float32(momentum)
            velocity += gradient
            maps -= velocity
        trained.maps[some] = maps.reshape(-1, *start.shape)
    return trained


class SecondMoments(NamedTuple):
    """What judges a map: second moments of units x and y on one part of the samples, standardised by the fit part."""

    xx: np.ndarray  # (units_x, units_x)
    xy: np.ndarray  # (units_x, units_y)
    yy: np.ndarray  # (units_y,) the diagonal; 0 for a unit that was dead in the fit part

    @classmethod
    def of_fit(cls, correlation_xx: np.ndarray, correlation_xy: np.ndarray, live_y: np.ndarray) -> "SecondMoments":
        """The fit part itself, where second moments are correlations; live_y (units_y,) whether each unit varies."""
        return cls(correlation_xx, correlation_xy, live_y.astype(float))


def second_moments(correlation: np.ndarray, test_x: Units, test_y: Units, fit_x: Units, fit_y: Units) -> np.ndarray:
    """Second moments (units_x, units_y) on the test part of units standardised by the fit part.

    E_test[(x - mean_fit)(y - mean_fit)] / (sd_fit sd_fit). A unit that is constant in the fit part has no scale and
    gets zeros.

    Args:
        correlation: (units_x, units_y) on the test part.
        test_x, test_y, fit_x, fit_y: means and standard deviations of the units on either part.
    """
    moments = correlation * np.outer(test_x.standard_deviation, test_y.standard_deviation)
    moments += np.outer(test_x.mean - fit_x.mean, test_y.mean - fit_y.mean)
    for axis, deviation in ((1, fit_x.standard_deviation), (0, fit_y.standard_deviation)):
        inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        moments *= np.expand_dims(inverse, axis)
    return moments


def held_out_moments(fit: Moments, test: Moments) -> np.ndarray:
    """`second_moments` of x and y (units_x, units_y), from the accumulated sums of the two parts."""
    return second_moments(test.correlation(), *test.units(), *fit.units())


def prediction_errors(maps: np.ndarray, moments: SecondMoments) -> np.ndarray:
    """Mean squared error E[(w.x - y_i)^2] of each target (..., units_y), in units of its variance in the fit part.

    Args:
        maps: (..., units_y, units_x).
        moments: of the part on which the maps are judged.

    Raises:
        StudyError: the shapes do not fit.
    """
    maps = checked_maps(maps, moments.xx, moments.xy)
    # One map at a time: a whole path of wide layers would double the memory.
    flat = maps.reshape(-1, *maps.shape[-2:])
    errors = [
        moments.yy - 2 * np.einsum("ti,it->t", one, moments.xy) + np.einsum("ti,ti->t", one @ moments.xx, one)
        for one in flat
    ]
    return np.array(errors).reshape(maps.shape[:-1])


def prediction_loss(maps: np.ndarray, moments: SecondMoments) -> np.ndarray:
    """Mean over live targets of E[(w.x - y_i)^2] / (1 + E[y_i^2]) (...,): about 0.5 for predicting the mean.

    Half the squared error in units of each target's variance over both parts together. In units of the variance of one
    part alone, a rare unit that fires almost only in the other would outweigh all the rest. On the fit part itself it
    is (1 - mean R^2) / 2, the paper's loss. NaN if no target is live. Source: Li et al. 2016, section 4.
    """
    return weighted_mean(prediction_errors(maps, moments), moments)


def pooled_r_squared(maps: np.ndarray, moments: SecondMoments) -> np.ndarray:
    """Share of the variance of all live targets together that is predicted (...,), in the units of `prediction_loss`.

    NaN if no target is live.
    """
    return 1 - prediction_loss(maps, moments) / weighted_mean(moments.yy, moments)


def weighted_mean(errors: np.ndarray, moments: SecondMoments) -> np.ndarray:
    """Mean over live targets of errors (..., units_y), each divided by the sum of its variances in both parts."""
    live = moments.yy > 0
    if not live.any():
        return np.full(np.shape(errors)[:-1], np.nan)
    return (errors[..., live] / (1 + moments.yy[live])).mean(axis=-1)


def r_squared(maps: np.ndarray, moments: SecondMoments) -> np.ndarray:
    """Share of each target's variance that is predicted (..., units_y); negative if worse than the fit part's mean.

    NaN for dead targets. Raises StudyError if the shapes do not fit. A rare unit that hardly fires in the test part
    can be very negative and rule a mean over targets: take the median, or `pooled_r_squared`.
    """
    errors = prediction_errors(maps, moments)
    share = np.full(errors.shape, np.nan)
    live = moments.yy > 0
    share[..., live] = 1 - errors[..., live] / moments.yy[live]
    return share


def predictors_per_target(maps: np.ndarray, threshold: float = 0.0) -> np.ndarray:
    """Number of weights with |w| > threshold (..., units_y): 0 for exact maps, `PUBLISHED_THRESHOLD` for trained."""
    return (np.abs(maps) > threshold).sum(axis=-1)


def forward_selection(correlation_xx: np.ndarray, correlation_xy: np.ndarray, count: int) -> np.ndarray:
    """Predictors of each target, chosen one after the other, each the one that lowers the squared error most.

    Returns:
        (count, units_y) units of x in the order chosen; -1 where no unit adds variance any more. The first is the
        unit with the largest absolute correlation.

    Raises:
        StudyError: see `lasso_path`; count is not positive.

    Source: forward stepwise regression; Gram-Schmidt on the correlations, so that no system is solved twice.
    """
    within, between = checked_correlations(correlation_xx, correlation_xy)
    if count < 1:
        raise StudyError(f"at least one predictor must be selected, not {count}.")
    chosen = np.full((count, between.shape[1]), -1)
    for columns in blocks(between.shape[1], TARGETS_PER_BLOCK // 2):
        gradient = between[:, columns].T.copy()  # (targets, units_x) covariance with what is left of the target
        targets = np.arange(len(gradient))
        left = np.tile(np.diag(within), (len(targets), 1))  # variance of each unit not explained by those chosen
        basis = np.zeros((count, *gradient.shape))  # covariances of all units with the orthogonalised chosen ones
        for step in range(count):
            usable = left > 1e-9
            gain = np.divide(gradient**2, left, out=np.full_like(left, -1.0), where=usable)
            best = gain.argmax(axis=1)
            found = usable[targets, best] & (gain[targets, best] > 0)
            if not found.any():
                break
            chosen[step, columns] = np.where(found, best, -1)
            direction = within[best] - np.einsum("kt,kti->ti", basis[:step, targets, best], basis[:step])
            scale = np.sqrt(np.where(found, left[targets, best], np.inf))
            direction /= scale[:, None]
            basis[step] = direction
            gradient -= direction * np.where(found, gradient[targets, best] / scale, 0.0)[:, None]
            left -= direction**2
            left[targets[found], best[found]] = 0
    return chosen


def refitted_maps(correlation_xx: np.ndarray, correlation_xy: np.ndarray, predictors: np.ndarray) -> np.ndarray:
    """Least squares (units_y, units_x) on the given predictors of each target only, without shrinkage.

    Args:
        correlation_xx, correlation_xy: as in `lasso_path`.
        predictors: (count, units_y) linearly independent units of x, -1 = none, as from `forward_selection`.
    """
    within, between = checked_correlations(correlation_xx, correlation_xy)
    count, units_y = predictors.shape
    missing = predictors.T < 0
    chosen = np.where(missing, 0, predictors.T)
    # A missing predictor becomes an equation of its own with the answer 0.
    systems = within[chosen[:, :, None], chosen[:, None, :]]
    systems[missing[:, :, None] | missing[:, None, :]] = 0
    systems[:, range(count), range(count)] += missing
    targets = np.arange(units_y)[:, None]
    weights = np.linalg.solve(systems, np.where(missing, 0, between[chosen, targets])[..., None])[..., 0]
    maps = np.zeros((units_y, len(within)))
    np.add.at(maps, (targets, chosen), weights)
    return maps


def refit_curve(
    correlation_xx: np.ndarray,
    correlation_xy: np.ndarray,
    test: SecondMoments,
    counts: Sequence[int | str] = (1, 2, 3, 4, 8, "all"),
) -> np.ndarray:
    """Pooled R^2 against the number of predictors, selected and refitted on the fit part, judged on the test.

    Args:
        correlation_xx, correlation_xy: of the fit part, as in `lasso_path`.
        test: second moments of the part on which the maps are judged; the fit part's for the training curve.
        counts: numbers of predictors; "all" = ordinary least squares. 1 is the best single unit.

    Returns:
        (counts,) `pooled_r_squared`.

    Raises:
        StudyError: see `lasso_path`.
    """
    numbers = [count for count in counts if count != "all"]
    order = forward_selection(correlation_xx, correlation_xy, max(numbers)) if numbers else None
    return np.array(
        [
            pooled_r_squared(
                least_squares_maps(correlation_xx, correlation_xy)
                if count == "all"
                else refitted_maps(correlation_xx, correlation_xy, order[:count]),
                test,
            )
            for count in counts
        ]
    )


def matched_order(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orders of rows and columns that put a map's largest weights on the diagonal, strongest first.

    Args:
        weights: (units_y, units_x) one map.

    Returns:
        rows (units_y,) and columns (units_x,): `weights[np.ix_(rows, columns)]` is the picture. Rows are sorted by
        the weight of their one-to-one partner; columns stand below their row, and those without one come last.

    Raises:
        StudyError: the map is not two-dimensional or not finite.
    """
    strength = np.abs(weights)
    partners = bipartite_match(strength)
    matched = partners >= 0
    own = np.where(matched, strength[np.arange(len(partners)), partners], -1.0)
    rows = np.argsort(-own, kind="stable")
    columns = partners[rows][matched[rows]]
    return rows, np.concatenate([columns, np.setdiff1d(np.arange(strength.shape[1]), columns)])


def checked_correlations(within: np.ndarray, between: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both matrices as float64; StudyError unless they are the correlations of one layer of two networks."""
    within, between = np.asarray(within, dtype=np.float64), np.asarray(between, dtype=np.float64)
    if within.ndim != 2 or within.shape[0] != within.shape[1] or 0 in within.shape:
        raise StudyError(f"correlations within x have shape (units_x, units_x), but these have {within.shape}.")
    if between.ndim != 2 or len(between) != len(within) or 0 in between.shape:
        raise StudyError(
            f"correlations between x and y have shape (units_x, units_y) with {len(within)} units_x, but these have "
            f"{between.shape}."
        )
    for matrix, name in ((within, "within x"), (between, "between x and y")):
        finite = np.isfinite(matrix)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise StudyError(
                f"the correlation {name} of units {row} and {column} is {matrix[row, column]}, not a number: check the "
                "activations of both."
            )
    if not np.allclose(within, within.T, rtol=0, atol=1e-6):
        row, column = np.unravel_index(np.abs(within - within.T).argmax(), within.shape)
        raise StudyError(f"correlations within x are not symmetric: see units {row} and {column}.")
    diagonal = np.diag(within)
    wrong = np.flatnonzero((np.abs(diagonal - 1) > 1e-6) & (diagonal != 0))
    if len(wrong):
        raise StudyError(
            f"unit {wrong[0]} of x has a correlation of {diagonal[wrong[0]]:g} with itself instead of 1 (0 if it is "
            "dead): pass correlations, not covariances."
        )
    dead = diagonal == 0
    varies = np.flatnonzero(dead & (within.any(axis=1) | between.any(axis=1)))
    if len(varies):
        raise StudyError(f"unit {varies[0]} of x has no variance, so its correlations must be 0, but they are not.")
    return within, between


def checked_penalties(penalties: Sequence[float]) -> np.ndarray:
    """(penalties,) float64; StudyError unless all are finite and at least 0."""
    penalties = np.asarray(penalties, dtype=np.float64)
    if penalties.ndim != 1:
        raise StudyError(f"penalties are a list of numbers, but these have shape {penalties.shape}.")
    for penalty in penalties:
        if not (np.isfinite(penalty) and penalty >= 0):
            raise StudyError(f"a penalty is a finite number of at least 0, not {penalty:g}.")
    return penalties


def checked_maps(maps: np.ndarray, within: np.ndarray, between: np.ndarray) -> np.ndarray:
    """The maps as an array; StudyError unless they are (..., units_y, units_x) of the given matrices."""
    maps = np.asarray(maps)
    if maps.ndim < 2 or maps.shape[-2:] != between.shape[::-1] or len(within) != len(between):
        raise StudyError(
            f"maps of shape {maps.shape} do not fit: (..., units_y, units_x) is expected, with units_x, units_y = "
            f"{between.shape}."
        )
    return maps
