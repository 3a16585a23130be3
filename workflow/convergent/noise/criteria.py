"""Does alignment follow the ratio and the number of samples as claimed? Statistics of a table, with intervals.

Umar & Laio 2026; only the abstract's claims are known, the protocol is a reconstruction. Alignment should grow with the
signal-to-noise ratio, be lowest near the interpolation threshold, and not follow the error. A table has the columns
protocol, variant, n, repetition, snr, measure and value; intervals hold 95 % of bootstrap draws of repetitions, the
same ones for whatever is compared. Arrays of means have the shape (..., sizes, ratios).
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from convergent.errors import StudyError
from convergent.noise.theory import UNRELIABLE
from convergent.resampling import CONFIDENCE

DRAWS = 500
LEAST_CASES = 3  # of a rank correlation
ERRORS = ("test_error", "train_error", "train_accuracy")  # measures that are none of alignment
PLACE_COLUMNS = ("protocol", "variant", "measure")
REPLICATES = "repetitions"
COLUMNS = ("statistic", *PLACE_COLUMNS, "n", "snr", "value", "low", "high", REPLICATES)

Place = tuple[str, str]  # protocol, variant


class Cube(NamedTuple):
    """All values of one measure in one variant of a protocol."""

    sizes: np.ndarray  # (sizes,) numbers of training samples, rising
    ratios: np.ndarray  # (ratios,) signal-to-noise, rising
    repetitions: np.ndarray  # (repetitions,)
    values: np.ndarray  # (repetitions, sizes, ratios), NaN where there is none


class Estimate(NamedTuple):
    """A statistic of the means over repetitions, and the ends of its interval; arrays of one shape."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


# --- tables and intervals --------------------------------------------------------------------------------------------


def cube(table: pd.DataFrame, place: Place, measure: str) -> Cube:
    """The values of one measure.

    Raises:
        StudyError: there are none, or two for the same repetition, size and ratio.
    """
    kept = (table["protocol"] == place[0]) & (table["variant"] == place[1]) & (table["measure"] == measure)
    rows = table.loc[kept, ["repetition", "n", "snr", "value"]]
    if not len(rows):
        raise StudyError(f"the table has no values of {measure} for {' '.join(place)}: run that protocol first.")
    series = rows.set_index(["repetition", "n", "snr"])["value"].astype(float)
    if series.index.has_duplicates:
        raise StudyError(f"the table has two values of {measure} for one repetition of {' '.join(place)}: remove one.")
    repetitions, sizes, ratios = (np.sort(rows[name].unique()) for name in ("repetition", "n", "snr"))
    full = series.reindex(pd.MultiIndex.from_product([repetitions, sizes, ratios])).to_numpy()
    return Cube(sizes, ratios, repetitions, full.reshape(len(repetitions), len(sizes), len(ratios)))


def together(cubes: Sequence[Cube]) -> list[np.ndarray]:
    """The values of cubes in the repetitions that all of them have.

    Raises:
        StudyError: they have none in common.
    """
    common = sorted(set.intersection(*(set(one.repetitions.tolist()) for one in cubes)))
    if not common:
        raise StudyError("what is to be compared has no repetition in common: run the same repetitions of both.")
    return [one.values[np.isin(one.repetitions, common)] for one in cubes]


def means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted means (draws, sizes, ratios) over repetitions of the values that there are; NaN where there is none.

    Args:
        values: (repetitions, sizes, ratios).
        weights: (draws, repetitions).
    """
    known = ~np.isnan(values)
    totals = np.tensordot(weights, np.where(known, values, 0.0), axes=1)
    counts = np.tensordot(weights, known.astype(float), axes=1)
    return np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0)


def bootstrap(
    statistic: Callable[..., np.ndarray], values: Sequence[np.ndarray], draws: int = DRAWS, seed: int = 0
) -> Estimate:
    """A statistic of means over repetitions with its percentile interval over draws of repetitions.

    Args:
        statistic: of one array of means (..., sizes, ratios) for each of `values`; keeps the leading axes.
        values: arrays (repetitions, sizes, ratios) with the same repetitions, which are drawn together.
        draws: how many; intervals of a single repetition have no width and are NaN.
        seed: of the draws.
    """
    repetitions = len(values[0])
    picked = np.random.default_rng(seed).integers(0, repetitions, (draws, repetitions))
    weights = np.stack([(picked == number).sum(axis=1) for number in range(repetitions)], axis=1).astype(float)
    value = statistic(*(means(one, np.ones((1, repetitions))) for one in values))[0]
    if repetitions < 2:
        missing = np.full_like(np.asarray(value, dtype=float), np.nan)
        return Estimate(value, missing, missing)
    drawn = statistic(*(means(one, weights) for one in values))
    reach = 50 * (1 - CONFIDENCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing but NaN
        low, high = np.nanpercentile(drawn, [reach, 100 - reach], axis=0)
    return Estimate(value, low, high)


def curves(table: pd.DataFrame, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Means over repetitions with their intervals: columns protocol, variant, measure, n, snr, value, low, high."""
    found = []
    for place, measure in places(table):
        one = cube(table, place, measure)
        estimate = bootstrap(lambda mean: mean, [one.values], draws, seed)
        n, snr = (part.ravel() for part in np.meshgrid(one.sizes, one.ratios, indexing="ij"))
        numbers = {name: part.ravel() for name, part in estimate._asdict().items()}
        found.append(
            pd.DataFrame({"protocol": place[0], "variant": place[1], "measure": measure, "n": n, "snr": snr} | numbers)
        )
    columns = ["protocol", "variant", "measure", "n", "snr", "value", "low", "high"]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)


def places(table: pd.DataFrame) -> list[tuple[Place, str]]:
    """Protocol and variant, and measure, of all that the table holds, in order of appearance."""
    return [
        ((protocol, variant), measure)
        for protocol, variant, measure in table[["protocol", "variant", "measure"]]
        .drop_duplicates()
        .itertuples(index=False)
    ]


# --- statistics of means ---------------------------------------------------------------------------------------------


def falls(mean: np.ndarray) -> np.ndarray:
    """Share (...,) of neighbouring ratios, over all sizes, at which alignment falls."""
    change = np.diff(mean, axis=-1)
    known = (~np.isnan(change)).sum(axis=(-2, -1))
    wrong = (change < 0).sum(axis=(-2, -1))
    return np.divide(wrong, known, out=np.full(wrong.shape, np.nan), where=known > 0)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman correlation (...,) along the last axis over the cases that have both numbers.

    NaN for fewer than three cases, or where one side is constant.
    """
    x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    shape = x.shape[:-1]
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    known = ~(np.isnan(x) | np.isnan(y))
    result = np.full(len(x), np.nan)
    whole = known.all(axis=1)
    groups = [(np.flatnonzero(whole), slice(None))] if whole.any() else []
    groups += [(np.array([row]), known[row]) for row in np.flatnonzero(~whole)]
    for rows, cases in groups:
        first, second = x[rows][:, cases], y[rows][:, cases]
        if first.shape[1] < LEAST_CASES:
            continue
        first, second = (rankdata(part, axis=1) for part in (first, second))
        first, second = (part - part.mean(axis=1, keepdims=True) for part in (first, second))
        scale = np.sqrt(np.square(first).sum(axis=1) * np.square(second).sum(axis=1))
        result[rows] = np.divide((first * second).sum(axis=1), scale, out=np.full(len(rows), np.nan), where=scale > 0)
    return result.reshape(shape)


def lowest_size(mean: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Size (..., ratios) at which alignment is lowest; NaN without a value."""
    known = ~np.isnan(mean)
    place = np.where(known, mean, np.inf).argmin(axis=-2)
    return np.where(known.any(axis=-2), np.asarray(sizes, dtype=float)[place], np.nan)


def dip(mean: np.ndarray) -> np.ndarray:
    """Lowest alignment over the smaller of those at the smallest and largest size (..., ratios): 1 is no dip."""
    return lowest(mean) / np.minimum(mean[..., 0, :], mean[..., -1, :])


def depth(mean: np.ndarray) -> np.ndarray:
    """Alignment at the smallest size less the lowest (..., ratios)."""
    return mean[..., 0, :] - lowest(mean)


def lowest(mean: np.ndarray) -> np.ndarray:
    """Lowest alignment over sizes (..., ratios)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing but NaN
        return np.nanmin(mean, axis=-2)


def stays_beyond(mean: np.ndarray, sizes: np.ndarray, bound: float, above: bool = True) -> np.ndarray:
    """First size (..., ratios) from which a number is above the bound, or below it, at all larger sizes; NaN if none.

    What happens below the last size that is within the bound does not count: few samples can leave a network stuck.
    """
    beyond = mean > bound if above else mean < bound
    until_end = np.flip(np.logical_and.accumulate(np.flip(beyond, axis=-2), axis=-2), axis=-2)
    return np.where(until_end.any(axis=-2), np.asarray(sizes, dtype=float)[until_end.argmax(axis=-2)], np.nan)


def decoupled_pairs(
    mean: np.ndarray, error: np.ndarray, sizes: np.ndarray, threshold: np.ndarray | float
) -> np.ndarray:
    """Share (..., ratios) of pairs n_a < threshold < n_b with both error and alignment higher at n_a.

    Args:
        mean, error: alignment and test error.
        threshold: one, or that of each ratio (ratios,).
    """
    threshold = np.broadcast_to(np.asarray(threshold, dtype=float), mean.shape[-1:])
    sizes = np.asarray(sizes, dtype=float)[:, None]
    crossing = (sizes < threshold)[:, None] & (sizes > threshold)[None]  # (sizes, sizes, ratios)
    higher = (mean[..., :, None, :] > mean[..., None, :, :]) & (error[..., :, None, :] > error[..., None, :, :])
    pairs = crossing.sum(axis=(0, 1))
    return np.where(pairs > 0, (higher & crossing).sum(axis=(-3, -2)) / np.maximum(pairs, 1), np.nan)


def error_rank_correlation(mean: np.ndarray, error: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Spearman correlation (..., ratios) of error and alignment over the chosen sizes (sizes,)."""
    return rank_correlation(error[..., chosen, :].swapaxes(-1, -2), mean[..., chosen, :].swapaxes(-1, -2))


# --- criteria --------------------------------------------------------------------------------------------------------


def entries(
    statistic: str,
    place: Place,
    measure: str,
    estimate: Estimate,
    repetitions: int,
    n: Sequence[float] | None = None,
    snr: Sequence[float] | None = None,
) -> list[dict]:
    """Rows of `COLUMNS` of an estimate: a number, or one for each size or ratio; what does not apply is NaN."""
    along = "n" if n is not None else "snr"
    coordinates = n if n is not None else snr if snr is not None else [np.nan]
    numbers = zip(coordinates, *map(np.atleast_1d, estimate), strict=True)
    return [
        dict.fromkeys(COLUMNS, np.nan)
        | {"statistic": statistic, "protocol": place[0], "variant": place[1], "measure": measure}
        | {along: float(where), "value": float(value), "low": float(low), "high": float(high)}
        | {"repetitions": repetitions}
        for where, value, low, high in numbers
    ]


def ratio_rows(table: pd.DataFrame, place: Place, measure: str, draws: int = DRAWS, seed: int = 0) -> list[dict]:
    """Does alignment grow with the ratio? `falls`, and at each size `ratio_rank_correlation`."""
    one = cube(table, place, measure)
    share = bootstrap(falls, [one.values], draws, seed)
    ranks = bootstrap(lambda mean: rank_correlation(one.ratios, mean), [one.values], draws, seed)
    count = len(one.repetitions)
    found = entries("falls", place, measure, share, count)
    return found + entries("ratio_rank_correlation", place, measure, ranks, count, n=one.sizes)


def size_rows(
    table: pd.DataFrame,
    place: Place,
    measure: str,
    threshold: np.ndarray | float,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[dict]:
    """Is alignment lowest near the threshold? At each ratio `lowest_size`, `position`, `dip` and `depth`.

    Args:
        threshold: one, or that of each ratio (ratios,); `position` is the lowest size over it.
    """
    one = cube(table, place, measure)
    statistics = {
        "lowest_size": lambda mean: lowest_size(mean, one.sizes),
        "position": lambda mean: lowest_size(mean, one.sizes) / threshold,
        "dip": dip,
        "depth": depth,
    }
    return [
        row
        for name, statistic in statistics.items()
        for row in entries(
            name,
            place,
            measure,
            bootstrap(statistic, [one.values], draws, seed),
            len(one.repetitions),
            snr=one.ratios,
        )
    ]


def threshold_rows(
    table: pd.DataFrame,
    place: Place,
    largest_loss: float = 0.02,
    largest_snr: float = 3.0,
    least_accuracy: float = 0.98,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[dict]:
    """From which size on do networks no longer reproduce their training set? `empirical_threshold`.

    With training accuracy, at each ratio: the first size from which its mean stays below `least_accuracy`. Otherwise
    one number: the first size from which the mean training error at ratios up to `largest_snr` (the smallest one, if
    there is none) stays above `largest_loss`; at high ratios there is too little noise to tell.
    """
    if (place, "train_accuracy") in places(table):
        one = cube(table, place, "train_accuracy")
        estimate = bootstrap(
            lambda mean: stays_beyond(mean, one.sizes, least_accuracy, above=False), [one.values], draws, seed
        )
        return entries("empirical_threshold", place, "train_accuracy", estimate, len(one.repetitions), snr=one.ratios)
    one = cube(table, place, "train_error")
    low = one.ratios <= max(largest_snr, one.ratios[0])

    def first(mean: np.ndarray) -> np.ndarray:
        return stays_beyond(mean[..., low].mean(axis=-1, keepdims=True), one.sizes, largest_loss)[..., 0]

    estimate = bootstrap(first, [one.values], draws, seed)
    return entries("empirical_threshold", place, "train_error", estimate, len(one.repetitions))


def decoupling_rows(
    table: pd.DataFrame,
    place: Place,
    measure: str,
    threshold: np.ndarray | float,
    below: float = 0.8,
    above: float = 1.05,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[dict]:
    """Do alignment and error part? At each ratio `decoupled_pairs` and the signs of their relation on either side.

    `error_below` and `error_above` are rank correlations of error and alignment over the sizes up to `below`, and from
    `above`, times the threshold; `decoupled_ratios` is the number of ratios with at least one decoupled pair.

    Args:
        threshold: one, or that of each ratio (ratios,), of which the median separates the two sides.
    """
    one, error = cube(table, place, measure), cube(table, place, "test_error")
    values, middle = together([one, error]), float(np.nanmedian(threshold))
    sides = {"error_below": one.sizes <= below * middle, "error_above": one.sizes >= above * middle}

    def pairs(mean: np.ndarray, wrong: np.ndarray) -> np.ndarray:
        return decoupled_pairs(mean, wrong, one.sizes, threshold)

    def count(mean: np.ndarray, wrong: np.ndarray) -> np.ndarray:
        return (pairs(mean, wrong) > 0).sum(axis=-1).astype(float)

    repetitions = len(values[0])
    found = entries("decoupled_ratios", place, measure, bootstrap(count, values, draws, seed), repetitions)
    estimate = bootstrap(pairs, values, draws, seed)
    found += entries("decoupled_pairs", place, measure, estimate, repetitions, snr=one.ratios)
    for name, chosen in sides.items():
        estimate = bootstrap(
            lambda mean, wrong, chosen=chosen: error_rank_correlation(mean, wrong, chosen), values, draws, seed
        )
        found += entries(name, place, measure, estimate, repetitions, snr=one.ratios)
    return found


def theory_rows(
    table: pd.DataFrame,
    place: Place,
    measure: str,
    theory: Callable[[np.ndarray, np.ndarray], np.ndarray],
    threshold: float,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[dict]:
    """How near is theory? Over all sizes and ratios `theory_rank_correlation`, `theory_deviation`, `theory_largest`.

    The latter two are the mean and the largest absolute deviation. Sizes within three samples of the threshold are left
    out.

    Args:
        theory: expected value of sizes (sizes, 1) and ratios (ratios,); NaN where it says nothing.
    """
    one = cube(table, place, measure)
    valid = np.abs(one.sizes - threshold) > UNRELIABLE
    expected = np.asarray(theory(one.sizes[valid, None].astype(float), one.ratios.astype(float))).ravel()

    def flat(mean: np.ndarray) -> np.ndarray:
        return mean[..., valid, :].reshape(*mean.shape[:-2], -1)

    def apart(mean: np.ndarray) -> np.ndarray:
        return np.abs(flat(mean) - expected)

    statistics = {
        "theory_rank_correlation": lambda mean: rank_correlation(expected, flat(mean)),
        "theory_deviation": lambda mean: np.nanmean(apart(mean), axis=-1),
        "theory_largest": lambda mean: np.nanmax(apart(mean), axis=-1),
    }
    return [
        row
        for name, statistic in statistics.items()
        for row in entries(name, place, measure, bootstrap(statistic, [one.values], draws, seed), len(one.repetitions))
    ]


def depth_lost_rows(
    table: pd.DataFrame, ordinary: Place, control: Place, measure: str, draws: int = DRAWS, seed: int = 0
) -> list[dict]:
    """How much of the dip does a control take away? `depth_lost` at each ratio: 1 less its depth over the ordinary one.

    For the controls with a ridge penalty and with large initial weights. NaN where there is no dip to lose.
    """
    pair = [cube(table, place, measure) for place in (ordinary, control)]
    ratios = np.intersect1d(pair[0].ratios, pair[1].ratios)
    values = [part[:, :, np.isin(one.ratios, ratios)] for one, part in zip(pair, together(pair), strict=True)]

    def lost(mean: np.ndarray, other: np.ndarray) -> np.ndarray:
        whole = depth(mean)
        return np.where(whole > 0, 1 - depth(other) / np.where(whole > 0, whole, 1), np.nan)

    estimate = bootstrap(lost, values, draws, seed)
    return entries("depth_lost", control, measure, estimate, len(values[0]), snr=ratios)


def start_lost_rows(
    table: pd.DataFrame, ordinary: Place, control: Place, measure: str, draws: int = DRAWS, seed: int = 0
) -> list[dict]:
    """How much alignment does a control take away where samples are fewest? `start_lost` at each ratio, as a share.

    For fresh inputs, which take away the branch below the threshold and leave the dip at it.
    """
    pair = [cube(table, place, measure) for place in (ordinary, control)]
    ratios = np.intersect1d(pair[0].ratios, pair[1].ratios)
    values = [part[:, :, np.isin(one.ratios, ratios)] for one, part in zip(pair, together(pair), strict=True)]
    estimate = bootstrap(lambda mean, other: 1 - other[..., 0, :] / mean[..., 0, :], values, draws, seed)
    return entries("start_lost", control, measure, estimate, len(values[0]), snr=ratios)


def closed_form_rows(
    table: pd.DataFrame, trained: Place, closed: Place, measure: str, threshold: int, draws: int = DRAWS, seed: int = 0
) -> list[dict]:
    """How near do networks that are trained step by step come to the closed form? `closed_form_deviation`.

    The mean absolute difference on the same training sets over sizes and ratios; without the threshold, where training
    does not end in time.
    """
    pair = [cube(table, place, measure) for place in (trained, closed)]
    away = np.intersect1d(pair[0].sizes, pair[1].sizes) != threshold

    def apart(mean: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.nanmean(np.abs(mean - other)[..., away, :], axis=(-2, -1))

    estimate = bootstrap(apart, together(pair), draws, seed)
    return entries("closed_form_deviation", trained, measure, estimate, len(pair[0].repetitions))


def growth_rows(
    table: pd.DataFrame, protocol: str, parameters: Mapping[str, int], measure: str, draws: int = DRAWS, seed: int = 0
) -> list[dict]:
    """Does the dip move with the number of parameters P? `growth` at each ratio, and over the mean of all.

    The slope of log(lowest size) over log P by least squares: 1 if the dip follows P, 0 if it stays.

    Args:
        parameters: variant -> P, two or more.
    """
    cubes = [cube(table, (protocol, variant), measure) for variant in parameters]
    x = np.log(np.array(list(parameters.values()), dtype=float))
    x = (x - x.mean()) / np.square(x - x.mean()).sum()

    def slopes(*every: np.ndarray) -> np.ndarray:
        y = [np.log(lowest_size(mean, one.sizes)) for mean, one in zip(every, cubes, strict=True)]
        return sum(weight * each for weight, each in zip(x, y, strict=True))

    values, place = together(cubes), (protocol, " ".join(parameters))
    estimate = bootstrap(slopes, values, draws, seed)
    found = entries("growth", place, measure, estimate, len(values[0]), snr=cubes[0].ratios)
    estimate = bootstrap(lambda *every: slopes(*every).mean(axis=-1), values, draws, seed)
    return found + entries("growth", place, measure, estimate, len(values[0]))


def summarise(
    table: pd.DataFrame,
    thresholds: Mapping[Place, np.ndarray | float],
    draws: int = DRAWS,
    seed: int = 0,
) -> list[dict]:
    """`ratio_rows`, `size_rows`, `decoupling_rows` and `threshold_rows` of all that the table holds.

    Args:
        thresholds: protocol and variant -> its threshold, one or for each ratio; only these are summarised.

    Returns:
        rows of `COLUMNS`.
    """
    options, found = {"draws": draws, "seed": seed}, []
    for place, measure in places(table):
        if place not in thresholds:
            continue
        if measure == "train_error":
            found += threshold_rows(table, place, **options)
        if measure in ERRORS:
            continue
        found += ratio_rows(table, place, measure, **options)
        found += size_rows(table, place, measure, thresholds[place], **options)
        found += decoupling_rows(table, place, measure, thresholds[place], **options)
    return found
