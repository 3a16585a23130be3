"""The effective theory of two points that a network learns to tell apart, its solutions and its limits.

van Rossem & Saxe 2024 (arXiv 2402.09142): h = |dh|^2, y = |dy|^2 and w = |dy|^2 - dy* . dy obey dh/dt = -eta_h X2 w,
dy/dt = -w (eta_y h + eta_h X2 y / h), dw/dt = -(1/2) eta_y h (3 w - y + Y2) - (1/2) eta_h X2 (y + w) w / h.

All distances are squared: `hidden` is h between the two hidden representations, `output` is y between the two outputs,
`overlap` is w, 0 where the outputs are right, `input_distance` is X2 = |dx|^2 and `target_distance` is Y2 = |dy*|^2.
`hidden_rate` is eta_h and `output_rate` is eta_y, effective learning rates per unit of time; the time unit is an epoch.
They are half the rates of gradient descent on the maps to and from the hidden layer with the loss (1/2) <|y - y*|^2>.
Functions broadcast unless they say otherwise.
"""

import math
import warnings

import numpy as np
from scipy.integrate import ODEintWarning, odeint
from scipy.special import expit, exprel

from convergent.errors import StudyError, did_you_mean

# Factors of dy/dt, of dh/dt, of the second term of dw/dt, and of eta_h X2 y / h in dy/dt.
SWITCHES = {
    "theory": (1, 1, 1, 1),
    "doubled_output": (2, 1, 1, 1),
    "doubled_hidden": (1, 2, 1, 1),
    "flipped_sign": (1, 1, -1, 1),
    "without_hidden_growth": (1, 1, 1, 0),
}
VARIANTS = tuple(SWITCHES)  # the theory, and wrong equations that should fit worse

RELATIVE, ABSOLUTE = 1e-8, 1e-11  # tolerances of the solver
STEPS = 20_000  # most steps between two times
SMALLEST, LARGEST = -30.0, 60.0  # change of log h at which a variant counts as broken
EXPLODED = 1e9  # times the scale of y and w at which a variant counts as broken


# --- the equations ---------------------------------------------------------------------------------------------------


def slopes(h, y, w, encoder, decoder, target_distance, switches):
    """dh/dt, dy/dt and dw/dt, of numbers or of arrays, with encoder = eta_h X2 and decoder = eta_y."""
    output_factor, hidden_factor, sign, growth = switches
    relative = encoder * w / h
    return (
        -hidden_factor * encoder * w,
        -output_factor * (decoder * h * w + growth * relative * y),
        -0.5 * decoder * h * (3 * w - y + target_distance) - 0.5 * sign * relative * (y + w),
    )


def change(
    state: np.ndarray,
    hidden_rate: np.ndarray | float,
    output_rate: np.ndarray | float,
    input_distance: np.ndarray | float,
    target_distance: np.ndarray | float,
    variant: str = "theory",
) -> np.ndarray:
    """Right-hand side (3, ...) of the equations at a state (3, ...) of h, y and w; not finite where h = 0.

    Raises:
        StudyError: there is no such variant.

    Examples:
        >>> change([0.5, 0.5, 0.0], 0.1, 0.2, 1.0, 0.5).tolist() == [0, 0, 0]  # the outputs are right
        True
    """
    switches = _switches(variant)
    h, y, w = np.asarray(state, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = slopes(h, y, w, np.multiply(hidden_rate, input_distance), output_rate, target_distance, switches)
    return np.stack(np.broadcast_arrays(*parts))


def solve(
    start: np.ndarray,
    hidden_rate: float,
    output_rate: float,
    input_distance: float,
    target_distance: float,
    times: np.ndarray,
    variant: str = "theory",
) -> np.ndarray:
    """h, y and w (3, T) at the times, from their values at the first time.

    The theory passes through h = 0, where its equations are singular: with g = sqrt(h), c = dy* . dy / g and r = y / h
    they are polynomials, g' = -(1/2) eta_h X2 (g r - c), c' = -(1/2) eta_y g (g c - Y2), r' = -eta_y g (g r - c). A
    representation that begins with outputs in the wrong order shrinks to a point and grows again turned round. The
    variants have no such form and break off there.

    Args:
        start: (3,) h > 0, y and w at the first time.
        times: (T,) rising.

    Returns:
        (3, T); NaN from where a solution breaks off, and after the first time if it cannot begin.

    Raises:
        StudyError: there is no such variant.

    Examples:
        >>> solve([0.1, 0.1, -0.1], 0.01, 0.02, 1.0, 0.5, [0, 1e4]).round(4)[:, -1].tolist()
        [0.3385, 0.5, 0.0]
    """
    switches = _switches(variant)
    start, times = np.asarray(start, dtype=float), np.asarray(times, dtype=float)
    found = np.full((3, len(times)), np.nan)
    found[:, :1] = start[:, None]
    encoder, decoder, target = float(hidden_rate * input_distance), float(output_rate), float(target_distance)
    if not (np.isfinite([*start, encoder, decoder, target]).all() and start[0] > 0):
        return found
    if variant == "theory":
        found[:, 1:] = _regular(start, encoder, decoder, target, times)[:, 1:]
    else:
        found[:, 1:] = _singular(start, encoder, decoder, target, times, switches)[:, 1:]
    return found


def _switches(variant: str) -> tuple[int, int, int, int]:
    if variant not in SWITCHES:
        near = did_you_mean(variant, VARIANTS)
        raise StudyError(f"there is no variant {variant!r} of the theory{near}: choose of {', '.join(VARIANTS)}.")
    return SWITCHES[variant]


def _regular(start: np.ndarray, encoder: float, decoder: float, target: float, times: np.ndarray) -> np.ndarray:
    """The theory in the variables in which it is polynomial."""
    h, y, w = start.tolist()
    root = math.sqrt(h)
    half_encoder, half_decoder = 0.5 * encoder, 0.5 * decoder

    def right(_: float, state: np.ndarray) -> tuple[float, float, float]:
        g, c, r = state.tolist()
        error = g * r - c
        return -half_encoder * error, -half_decoder * g * (g * c - target), -decoder * g * error

    g, c, r = _integrated(right, [root, (y - w) / root, y / h], times)
    return np.stack([g**2, g**2 * r, g * (g * r - c)])


def _singular(
    start: np.ndarray, encoder: float, decoder: float, target: float, times: np.ndarray, switches: tuple
) -> np.ndarray:
    """A variant in log h, y and w. Where it breaks off it is held: a solver that is stopped takes long to stop."""
    h, y, w = start.tolist()
    begin = math.log(h)
    low, high, most = begin + SMALLEST, begin + LARGEST, EXPLODED * (abs(y) + abs(w) + target)

    def right(_: float, state: np.ndarray) -> tuple[float, float, float]:
        logarithm, y, w = state.tolist()
        if not (low < logarithm < high and abs(y) < most and abs(w) < most):
            return 0.0, 0.0, 0.0
        h = math.exp(logarithm)
        hidden, output, overlap = slopes(h, y, w, encoder, decoder, target, switches)
        return hidden / h, output, overlap

    logarithm, y, w = _integrated(right, [begin, y, w], times)
    # The last step before the bounds is not to be trusted either.
    sound = (logarithm > low + 1) & (logarithm < high - 1) & (np.maximum(np.abs(y), np.abs(w)) < most / 10)
    sound = np.logical_and.accumulate(sound)
    return np.where(sound, [np.exp(np.where(sound, logarithm, 0.0)), y, w], np.nan)


def _integrated(right, start: list[float], times: np.ndarray) -> np.ndarray:
    """The solution (variables, T) of first-order equations; NaN from where the solver gives up."""
    if len(times) < 2:
        return np.asarray(start, dtype=float)[:, None].repeat(len(times), axis=1)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", ODEintWarning)
        found, report = odeint(
            right, start, times, rtol=RELATIVE, atol=ABSOLUTE, mxstep=STEPS, tfirst=True, full_output=True
        )
        sound = np.isfinite(found).all(axis=1)
        if "successful" not in report["message"]:
            # What lies behind the time that was reached was never written.
            sound[1:] &= report["tcur"] >= times[1:]
            sound[1:] &= report["tcur"] <= 2 * times[-1] - times[0]
    return np.where(np.logical_and.accumulate(sound), found.T, np.nan)


# --- what is conserved, and where it ends ----------------------------------------------------------------------------


def conserved(
    hidden: np.ndarray | float,
    output: np.ndarray | float,
    hidden_rate: np.ndarray | float,
    output_rate: np.ndarray | float,
    input_distance: np.ndarray | float,
) -> np.ndarray:
    """C = y / h - eta_y h / (eta_h X2), which training leaves as it is; NaN or infinite where h = 0.

    Examples:
        >>> conserved(0.5, 0.5, 0.1, 0.2, 1.0).item()
        0.0
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.divide(output_rate, np.multiply(hidden_rate, input_distance))
        return np.divide(output, hidden) - slope * np.asarray(hidden, dtype=float)


def output_from_hidden(
    hidden: np.ndarray | float,
    constant: np.ndarray | float,
    hidden_rate: np.ndarray | float,
    output_rate: np.ndarray | float,
    input_distance: np.ndarray | float,
) -> np.ndarray:
    """The phase-plane law y = eta_y h^2 / (eta_h X2) + C h, in which there is no time.

    Args:
        constant: C of `conserved`.
    """
    hidden = np.asarray(hidden, dtype=float)
    return np.divide(output_rate, np.multiply(hidden_rate, input_distance)) * hidden**2 + constant * hidden


def final_distance(
    hidden: np.ndarray | float,
    output: np.ndarray | float,
    hidden_rate: np.ndarray | float,
    output_rate: np.ndarray | float,
    input_distance: np.ndarray | float,
    target_distance: np.ndarray | float,
) -> np.ndarray:
    """h at the end, A / 2 + sqrt(A^2 / 4 + (eta_h / eta_y) X2 Y2) with A = h - (eta_h / eta_y) X2 y / h of any time.

    With the same target for both points, Y2 = 0, this is max(A, 0). NaN where h = 0.

    Examples:
        >>> final_distance(0.5, 0.5, 0.1, 0.2, 1.0, [0.5, 0.0]).tolist()
        [0.5, 0.0]
        >>> round(float(final_distance(4.0, 1e-6, 0.1, 0.2, 1.0, 0.5)), 3)  # lazy: large from the start
        4.062
    """
    half = lazy_limit(hidden, output, hidden_rate, output_rate, input_distance) / 2
    square = rich_limit(hidden_rate, output_rate, input_distance, target_distance) ** 2
    with np.errstate(invalid="ignore"):
        larger = np.abs(half) + np.sqrt(half**2 + square)
        # The difference of two nearly equal numbers as a quotient, where A < 0.
        smaller = np.divide(square, larger, out=np.zeros_like(larger), where=larger != 0)
    return np.where(half < 0, smaller, larger)


def rich_limit(
    hidden_rate: np.ndarray | float,
    output_rate: np.ndarray | float,
    input_distance: np.ndarray | float,
    target_distance: np.ndarray | float,
) -> np.ndarray:
    """h at the end for small initial weights: sqrt((eta_h / eta_y) X2 Y2), a matter of the data alone.

    Examples:
        >>> rich_limit(0.1, 0.2, 1.0, 0.5).item()
        0.5
    """
    return np.sqrt(np.divide(hidden_rate, output_rate) * np.multiply(input_distance, target_distance))


def lazy_limit(
    hidden: np.ndarray | float,
    output: np.ndarray | float,
    hidden_rate: np.ndarray | float,
    output_rate: np.ndarray | float,
    input_distance: np.ndarray | float,
) -> np.ndarray:
    """h at the end for large initial weights: A = h - (eta_h / eta_y) X2 y / h, about h at the start; NaN at h = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.divide(hidden_rate, output_rate) * np.asarray(input_distance, dtype=float)
        return np.asarray(hidden, dtype=float) - ratio * np.divide(output, hidden)


# --- solutions in closed form ----------------------------------------------------------------------------------------


def same_target_distance(
    times: np.ndarray,
    hidden: float,
    output: float,
    hidden_rate: float,
    output_rate: float,
    input_distance: float,
) -> np.ndarray:
    """h at the times (T,) if both points have the same target, from h > 0 and y at time 0.

    Bernoulli's equation dh/dt = eta_y h (A - h): h(t) = A / (1 + (A / h(0) - 1) exp(-eta_y A t)), A of `lazy_limit`.

    Examples:
        >>> same_target_distance(np.array([0.0, 10.0]), 0.5, 0.5, 0.1, 0.2, 1.0).tolist()  # A = 0: like 1 / t
        [0.5, 0.25]
    """
    limit = lazy_limit(hidden, output, hidden_rate, output_rate, input_distance)
    elapsed = output_rate * np.asarray(times, dtype=float)
    with np.errstate(over="ignore"):
        return hidden / (np.exp(-elapsed * limit) + hidden * elapsed * exprel(-elapsed * limit))


def logistic(scaled_time: np.ndarray | float, scaled_start: np.ndarray | float) -> np.ndarray:
    """H(s) = 1 / (1 + (1 / H(0) - 1) exp(-s)): h over its end in the rich limit, in the time of `rescaled`.

    Args:
        scaled_start: H(0) between 0 and 1, exclusive.

    Examples:
        >>> logistic([0.0, 50.0], 0.25).round(6).tolist()
        [0.25, 1.0]
    """
    scaled_start = np.asarray(scaled_start, dtype=float)
    return expit(np.asarray(scaled_time, dtype=float) - np.log1p(-scaled_start) + np.log(scaled_start))


def rich_curves(scaled_time: np.ndarray | float, scaled_start: np.ndarray | float) -> np.ndarray:
    """H, Y = H^2 and W = H^2 - H (3, ...) of the rich limit with outputs along the difference of the targets.

    Examples:
        >>> rich_curves(0.0, 0.5).tolist()  # W is lowest at half of the rise
        [0.5, 0.25, -0.25]
    """
    hidden = logistic(scaled_time, scaled_start)
    return np.stack([hidden, hidden**2, hidden**2 - hidden])


def half_rise_delay(
    hidden: np.ndarray | float,
    hidden_rate: np.ndarray | float,
    output_rate: np.ndarray | float,
    input_distance: np.ndarray | float,
    target_distance: np.ndarray | float,
) -> np.ndarray:
    """Time until h is half of its end in the rich limit, log(1 / H(0) - 1) / (sqrt(eta_h eta_y) |dx| |dy*|).

    Negative if it was before.

    Examples:
        >>> half_rise_delay(0.25, 0.1, 0.2, 1.0, 0.5).item()  # it is at half already
        0.0
    """
    start = hidden / rich_limit(hidden_rate, output_rate, input_distance, target_distance)
    return np.log(1 / start - 1) / scaled_rate(hidden_rate, output_rate, input_distance, target_distance)


def scaled_rate(
    hidden_rate: np.ndarray | float,
    output_rate: np.ndarray | float,
    input_distance: np.ndarray | float,
    target_distance: np.ndarray | float,
) -> np.ndarray:
    """Scaled time per unit of time, sqrt(eta_h eta_y) |dx| |dy*|."""
    return np.sqrt(np.multiply(hidden_rate, output_rate) * np.multiply(input_distance, target_distance))


def rescaled(
    times: np.ndarray,
    trajectory: np.ndarray,
    hidden_rate: float,
    output_rate: float,
    input_distance: float,
    target_distance: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scaled time s and H, Y, W, each (T,), in which the theory has no parameter left; target_distance > 0.

    s = t sqrt(eta_h eta_y) |dx| |dy*|, H = h over `rich_limit`, Y = y / Y2 and W = w / Y2 obey H' = -W,
    Y' = -W (H + Y / H) and W' = -(1/2) (3 W - Y + 1) H - (1/2) (Y + W) W / H.

    Args:
        times: (T,).
        trajectory: (3, T) h, y and w.
    """
    hidden, output, overlap = np.asarray(trajectory, dtype=float)
    rates = hidden_rate, output_rate, input_distance, target_distance
    scaled_time = np.asarray(times, dtype=float) * scaled_rate(*rates)
    return scaled_time, hidden / rich_limit(*rates), output / target_distance, overlap / target_distance


# --- the loss --------------------------------------------------------------------------------------------------------


def mean_error(times: np.ndarray | float, start: np.ndarray | float, mean_rate: np.ndarray | float) -> np.ndarray:
    """Squared error m of the mean of both outputs, m(0) exp(-2 eta_ybar t): it is learned on its own.

    Args:
        start: m(0).
        mean_rate: eta_ybar, the rate of gradient descent on the mean with the loss (1/2) <|y - y*|^2>.
    """
    return start * np.exp(-2 * np.multiply(mean_rate, times))


def loss_curve(
    output: np.ndarray | float,
    overlap: np.ndarray | float,
    mean_error: np.ndarray | float,
    target_distance: np.ndarray | float,
) -> np.ndarray:
    """(1/2) <|y - y*|^2> over the two points, (1/4) (2 m + w + (Y2 - y) / 2), m of `mean_error`.

    Divide by the number of outputs for half of a mean squared error that is a mean over outputs too. It has a plateau
    at Y2 / 8, where the mean is learned and the points are not yet apart.

    Examples:
        >>> loss_curve(0.0, 0.0, 0.0, 0.5).item()
        0.0625
    """
    gap = np.subtract(target_distance, output) / 2
    return 0.25 * (2 * np.asarray(mean_error, dtype=float) + overlap + gap)
