"""How well does the theory of two points describe a trained network? Its two rates by least squares, and what is left.

van Rossem & Saxe 2024 (arXiv 2402.09142): from the measured h, y and w of epoch 0, the rates minimise
sum_t (h - h_theory)^2 + (y - y_theory)^2 + (w - w_theory)^2 over all epochs, unweighted; h, y, w as in the theory.

Each network has its own two rates, and the loss one more. Rates are sought as logarithms, by derivatives, from several
starts: a rise at the wrong time has no slope that leads to the right one.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares, minimize, minimize_scalar

from convergent.dynamics.theory import loss_curve, mean_error, solve
from convergent.errors import StudyError

LEAST_EPOCHS = 3
THINNED = 400  # epochs that the search looks at; the last polish sees all
SPEEDS = np.logspace(-2, 6, 33)  # eta_y times h at its largest times the number of epochs, where the search begins
RATIOS = (1.0, 0.1, 10.0, 0.01)  # eta_h / eta_y where the search begins, times what the end of training suggests
STARTS = 5  # of the scan, from which to descend
LOWEST, HIGHEST = np.log(1e-16), np.log(1e12)  # log rates, per epoch
NUDGE = 1e-4  # of log rates for derivatives; far above the error of the solver
MEAN_RATES = np.logspace(-3, 2, 101)  # where the search for the rate of the mean begins, times 10 / epochs or 1
QUARTER = 0.25  # of the target distance: where rises are aligned, H = 1/2 in the rich limit


class Fit(NamedTuple):
    """Fitted rates, and how far the theory is from what was measured."""

    hidden_rate: float  # eta_h, per epoch
    output_rate: float  # eta_y, per epoch
    residual: float  # sum over epochs of the squared deviations of h, y and w
    fitted: np.ndarray  # (3, T) h, y and w of the theory; where a variant breaks off, its last values are kept
    r2_hidden: float
    r2_output: float
    r2_overlap: float
    r2: float  # of the three curves together, each about its own mean
    relative_error: float  # root mean squared error of h over the mean of h


# --- the rates -------------------------------------------------------------------------------------------------------


def fit_rates(trajectory: np.ndarray, input_distance: float, target_distance: float, variant: str = "theory") -> Fit:
    """The rates with which the theory follows the trajectory of a network best.

    About 0.3 s for 6,000 epochs, up to 2 s for a variant. A trajectory that the theory cannot follow has a fit too,
    with a low R2; a rate of which it says nothing is then anywhere, down to 1e-16. Where a variant breaks off, its last
    values are kept and compared.

    Args:
        trajectory: (3, T) measured h, y and w of successive epochs, T at least 3, h positive at first.
        input_distance, target_distance: squared and positive.
        variant: of `theory.VARIANTS`. In the rich limit with one output, "doubled_hidden" is no other than the theory.

    Raises:
        StudyError: the trajectory or a distance is not as above, or there is no such variant.
    """
    trajectory = _checked(trajectory, input_distance, target_distance)
    epochs = trajectory.shape[1]
    every = np.arange(epochs, dtype=float)
    few = np.unique(np.linspace(0, epochs - 1, min(THINNED, epochs)).round().astype(int))

    def curves(logarithms: np.ndarray, times: np.ndarray) -> np.ndarray:
        hidden_rate, output_rate = np.exp(np.clip(logarithms, LOWEST, HIGHEST))
        found = solve(trajectory[:, 0], hidden_rate, output_rate, input_distance, target_distance, times, variant)
        return _kept(found)

    def deviations(logarithms: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return (curves(logarithms, every[chosen]) - trajectory[:, chosen]).ravel()

    def total(logarithms: np.ndarray, chosen: np.ndarray) -> float:
        return float(np.square(deviations(logarithms, chosen)).sum())

    def descend(start: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return least_squares(
            deviations, start, method="lm", diff_step=NUDGE, max_nfev=200, args=(chosen,), xtol=1e-7, ftol=1e-10
        ).x

    starts = _starts(trajectory, input_distance, target_distance)
    errors = np.array([total(start, few) for start in starts])
    found = [descend(starts[index], few) for index in np.argsort(errors, kind="stable")[:STARTS]]
    best = min(found, key=lambda one: total(one, few))
    whole = np.arange(epochs)
    best = min((best, descend(best, whole)), key=lambda one: total(one, whole))
    # Without derivatives, for variants that break off and for what the descent left.
    polished = minimize(
        total,
        best,
        args=(whole,),
        method="Nelder-Mead",
        options={
            "initial_simplex": best + np.array([[0, 0], [0.02, 0], [0, 0.02]]),
            "xatol": 1e-5,
            "fatol": 1e-9 * total(best, whole),
            "maxfev": 120,
        },
    ).x
    best = np.clip(min((best, polished), key=lambda one: total(one, whole)), LOWEST, HIGHEST)
    return _judged(best, trajectory, curves(best, every))


def _checked(trajectory: np.ndarray, input_distance: float, target_distance: float) -> np.ndarray:
    trajectory = np.asarray(trajectory, dtype=float)
    if trajectory.ndim != 2 or len(trajectory) != 3:
        raise StudyError(f"a trajectory has the shape {trajectory.shape}: give h, y and w as (3, epochs).")
    if trajectory.shape[1] < LEAST_EPOCHS:
        raise StudyError(f"a trajectory has {trajectory.shape[1]} epochs: train for {LEAST_EPOCHS} or more.")
    if not np.isfinite(trajectory).all():
        raise StudyError("a trajectory is not finite: training diverged, take a lower learning rate.")
    for name, distance in {"input": input_distance, "target": target_distance}.items():
        if not (np.isfinite(distance) and distance > 0):
            raise StudyError(f"the squared {name} distance is {distance}: the theory is fitted to two points apart.")
    if trajectory[0, 0] <= 0:
        raise StudyError("a trajectory begins with no hidden distance, where there is no theory: take another seed.")
    return trajectory


def _kept(curves: np.ndarray) -> np.ndarray:
    """Curves (3, T) with the last values kept from where there are none."""
    broken = np.isnan(curves).any(axis=0)
    if broken.any():
        first = int(broken.argmax())
        curves[:, first:] = curves[:, first - 1 : first]
    return curves


def _starts(trajectory: np.ndarray, input_distance: float, target_distance: float) -> np.ndarray:
    """Pairs (starts, 2) of log rates: ratios by the rich limit and by the phase-plane law, at many speeds."""
    hidden, output, _ = trajectory
    rich = max(hidden[-1], hidden.max() * 1e-6) ** 2 / target_distance
    slope = _slope(hidden, output)
    ratios = {rich, 1 / slope if np.isfinite(slope) and slope > 0 else rich}
    ratios = np.array([factor * ratio / input_distance for ratio in sorted(ratios) for factor in RATIOS])
    output_rates = SPEEDS / (hidden.max() * hidden.size)
    hidden_rates = ratios[:, None] * output_rates
    pairs = np.stack(np.broadcast_arrays(hidden_rates, output_rates), axis=-1).reshape(-1, 2)
    return np.clip(np.log(pairs), LOWEST, HIGHEST)


def _judged(logarithms: np.ndarray, trajectory: np.ndarray, fitted: np.ndarray) -> Fit:
    squares = np.square(fitted - trajectory).sum(axis=1)
    spread = np.array([_spread(values) for values in trajectory])
    hidden_rate, output_rate = np.exp(logarithms).tolist()
    mean = trajectory[0].mean()
    return Fit(
        hidden_rate,
        output_rate,
        float(squares.sum()),
        fitted,
        *(_explained(*pair) for pair in zip(squares.tolist(), spread.tolist(), strict=True)),
        _explained(float(squares.sum()), float(spread.sum())),
        float(np.sqrt(squares[0] / trajectory.shape[1]) / mean) if mean > 0 else float("nan"),
    )


def _spread(values: np.ndarray) -> float:
    """Sum of squares about the mean; exactly 0 of a constant, whose mean can differ from it in the last digit."""
    return float(np.square(values - values.mean()).sum()) if np.ptp(values) > 0 else 0.0


def _explained(squares: float, spread: float) -> float:
    """1 - squares / spread; NaN of what does not vary."""
    return 1 - squares / spread if spread > 0 else float("nan")


# --- the loss --------------------------------------------------------------------------------------------------------


def fit_mean_rate(
    loss: np.ndarray, fitted: np.ndarray, start_mean_error: float, target_distance: float, outputs: int = 1
) -> tuple[float, np.ndarray, float]:
    """The rate at which the mean output is learned, from the loss curve, with the other rates as they are.

    Args:
        loss: (T,) half the mean squared error over the two points and the outputs, of successive epochs.
        fitted: (3, T) h, y and w of `Fit`.
        start_mean_error: squared error of the mean of both outputs at epoch 0.
        outputs: how many the network has.

    Returns:
        the rate per epoch, the loss (T,) that follows from it, and its R2.

    Raises:
        StudyError: the loss is not finite, or not of as many epochs as the curves.
    """
    loss = np.asarray(loss, dtype=float)
    if loss.shape != fitted.shape[1:] or not np.isfinite(loss).all():
        raise StudyError(f"a loss of shape {loss.shape} cannot be fitted: give one finite number for each epoch.")
    times = np.arange(loss.size, dtype=float)

    def curve(logarithm: float) -> np.ndarray:
        mean = mean_error(times, start_mean_error, np.exp(logarithm))
        return loss_curve(fitted[1], fitted[2], mean, target_distance) / outputs

    def total(logarithm: float) -> float:
        return float(np.square(curve(logarithm) - loss).sum())

    rates = np.log(np.unique(np.concatenate([MEAN_RATES * 10 / loss.size, MEAN_RATES])))
    place = int(np.argmin([total(rate) for rate in rates]))
    bounds = rates[max(place - 1, 0)], rates[min(place + 1, rates.size - 1)]
    refined = minimize_scalar(total, bounds=bounds, method="bounded", options={"xatol": 1e-9}).x
    best = min((rates[place], refined), key=total)
    explained = _explained(total(best), _spread(loss))
    return float(np.exp(best)), curve(best), explained


# --- without time, and in scaled time --------------------------------------------------------------------------------


def phase_law(hidden: np.ndarray, output: np.ndarray) -> np.ndarray:
    """y (T,) told from h by y = k h^2 + C h, with k and C from the first and the last epoch; NaN if they do not tell.

    Args:
        hidden, output: (T,) measured h and y.
    """
    hidden, output = np.asarray(hidden, dtype=float), np.asarray(output, dtype=float)
    slope = _slope(hidden, output)
    if not np.isfinite(slope):
        return np.full(len(hidden), np.nan)
    return slope * hidden * (hidden - hidden[0]) + output[0] / hidden[0] * hidden


def phase_plane_r2(hidden: np.ndarray, output: np.ndarray) -> float:
    """R2 of y predicted from h by `phase_law`: nothing is fitted.

    Args:
        hidden, output: (T,) measured h and y.

    Returns:
        NaN if h is 0 at an end or the same at both, or y does not vary.

    Examples:
        >>> hidden = np.linspace(0.1, 1, 20)
        >>> phase_plane_r2(hidden, 2 * hidden**2 + 0.3 * hidden) > 1 - 1e-12
        True
    """
    predicted, output = phase_law(hidden, output), np.asarray(output, dtype=float)
    if not np.isfinite(predicted).all():
        return float("nan")
    return _explained(float(np.square(output - predicted).sum()), _spread(output))


def _slope(hidden: np.ndarray, output: np.ndarray) -> float:
    """k = eta_y / (eta_h X2) from the first and the last epoch; NaN if they do not tell."""
    if min(hidden[0], hidden[-1]) <= 0 or hidden[0] == hidden[-1]:
        return float("nan")
    return float((output[-1] / hidden[-1] - output[0] / hidden[0]) / (hidden[-1] - hidden[0]))


def aligned_rise(scaled_times: np.ndarray, output: np.ndarray, target_distance: float, grid: np.ndarray) -> np.ndarray:
    """y / Y2 at scaled times (S,) counted from where it first reaches 1/4, interpolated.

    Architectures whose rises coincide in these are universal; with epochs for `scaled_times` they should not coincide.

    Args:
        scaled_times: (T,) rising, of `theory.rescaled`.
        output: (T,) measured y.
        grid: (S,).

    Returns:
        (S,), NaN outside the times, and everywhere if y never rises through 1/4.

    Examples:
        >>> aligned_rise(np.arange(5), np.array([0, 0, 0.5, 1, 1]), 1.0, np.array([-9, 0, 1])).round(3).tolist()
        [nan, 0.25, 0.75]
    """
    scaled_times, values = np.asarray(scaled_times, dtype=float), np.asarray(output, dtype=float) / target_distance
    crossings = np.flatnonzero((values[:-1] < QUARTER) & (values[1:] >= QUARTER))
    if not crossings.size:
        return np.full(np.shape(grid), np.nan)
    near = slice(crossings[0], crossings[0] + 2)
    moment = np.interp(QUARTER, values[near], scaled_times[near])
    return np.interp(grid, scaled_times - moment, values, left=np.nan, right=np.nan)


def pairwise_r2(curves: np.ndarray) -> np.ndarray:
    """R2 (N, N) of each curve, by column, predicted by each, by row, where both have values; NaN without variance.

    Args:
        curves: (N, S), NaN where there is no value.

    Examples:
        >>> pairwise_r2(np.array([[0.0, 1, 2], [0, 1, np.nan]])).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    curves = np.asarray(curves, dtype=float)
    known = ~np.isnan(curves)
    result = np.full((len(curves), len(curves)), np.nan)
    for row, predicted in enumerate(curves):
        for column, values in enumerate(curves):
            both = known[row] & known[column]
            if both.any():
                kept = values[both]
                squares = float(np.square(kept - predicted[both]).sum())
                result[row, column] = _explained(squares, _spread(kept))
    return result
