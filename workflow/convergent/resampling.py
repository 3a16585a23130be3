"""How far a score would move with other networks and other images: errors and intervals by resampling.

Pairs share networks, so the networks are the replicates, never the pairs: a draw gives network a the weight w_a, the
pair (a, b) the weight w_a w_b, and a network paired with its own copy is no pair. All networks are compared on the
same images, whose own error leaving out networks cannot show; it is the standard deviation over draws of the images,
and variances add: error^2 = networks_error^2 + images_error^2.

The error of the networks is that of the jackknife, which leaves out one network at a time, and the interval is
estimate +- t error with Student's t of N - 1 degrees of freedom. For scores m + u_a + u_b + e_ab (also with two
independent u, or one) of N = 4, 6, 10, 20 networks, nominal intervals of 95 % held the truth in (simulated):

                                        u at least e / 3   u = 0          skewed u, N = 4 and 10
    percentiles of the bootstrap        74 to 98 %         97 to 100 %    71 and 83 %
    t, bootstrap error sqrt(N/(N - 1))  91 to 100 %        100 %          89 and 88 %
    t, jackknife error (used here)      93 to 99 %         99 %           90 and 89 %

The jackknife is also the one without random draws. It is exact for means and good for smooth functions of them; for
the largest or smallest value of few networks it is only an indication.
"""

import re
from array import array
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy.special import stdtrit

from convergent.scores import RESAMPLED

CONFIDENCE = 0.95
LEAST_NETWORKS = 3  # fewer leave no pair when one is left out, or no degree of freedom
TRAINED = "trained"
ENTRIES_PER_BLOCK = 4_000_000  # weights of pairs that are held at a time

# Words in the name of a measure that tell what it cannot leave; the first that fits counts.
LIMITS = {
    "calibrated|gulp|procrustes|imbalance|matching|cka|cknna|knn|cca|svcca|pwcca": (-np.inf, 1.0),
    "information_semi_match_mean|information_match_mean": (-np.inf, np.inf),
    "few_predictors_share": (0.0, np.inf),  # judged on other images than those that fit, a few can beat all
    "share|overlap|agreement|distance": (0.0, 1.0),
    "correlation|stability|match_mean|between|within": (-1.0, 1.0),
    "r2": (-np.inf, 1.0),
    "range": (1.0, np.inf),
    "loss|predictors|largest|units|count|size|shared": (0.0, np.inf),
}

Group = tuple[str, str, str]  # population, layer, measure

SUMMARY_COLUMNS = (
    *("population", "layer", "measure", "pairs", "mean", "standard_deviation", "minimum", "maximum"),
    *("networks_error", "images_error", "ci_low", "ci_high", "replicates"),
)


class ScoreMatrices:
    """Rows of the score table, read as one (networks, networks) matrix per population, layer and measure.

    Rows may come from a generator: only their numbers are kept, 12 bytes each.
    """

    def __init__(self, rows: Iterable[dict], wanted: Callable[[str], bool] = lambda measure: True):
        """Read `rows`, mappings with the keys of `scores.COLUMNS`, of the measures that are `wanted`."""
        self._numbers: dict[str, int] = {}
        self._entries: dict[Group, tuple[array, array, array]] = {}
        for row in rows:
            if wanted(row["measure"]):
                group = row["population"], row["layer"], row["measure"]
                first, second, values = self._entries.setdefault(group, (array("H"), array("H"), array("d")))
                first.append(self._number(row["network_a"]))
                second.append(self._number(row["network_b"]))
                values.append(float(row["value"]))

    def _number(self, network: str) -> int:
        return self._numbers.setdefault(network, len(self._numbers))

    @property
    def networks(self) -> list[str]:
        """Names of the networks in the order of the matrices' rows."""
        return list(self._numbers)

    def __iter__(self) -> Iterator[Group]:
        return iter(self._entries)

    def __contains__(self, group: Group) -> bool:
        return group in self._entries

    def __getitem__(self, group: Group) -> np.ndarray:
        """Scores (networks, networks) of the ordered pairs, those of single networks on the diagonal; NaN: no score."""
        matrix = np.full((len(self._numbers),) * 2, np.nan)
        first, second, values = self._entries[group]
        matrix[np.array(first, dtype=int), np.array(second, dtype=int)] = values
        return matrix

    def values(self, group: Group) -> np.ndarray:
        """Scores (rows,) of a group in the order of the table."""
        return np.array(self._entries[group][2])


def collect_draws(rows: Iterable[dict]) -> dict[Group, dict[int, float]]:
    """Means over pairs by draw number, for each population, layer and measure of the draws table."""
    draws: dict[Group, dict[int, float]] = {}
    for row in rows:
        group = row["population"], row["layer"], row["measure"]
        draws.setdefault(group, {})[int(row["draw"])] = float(row["mean"])
    return draws


def leave_one_out(networks: int) -> np.ndarray:
    """Weights (networks, networks) of the jackknife: row i has every network but the i-th, once."""
    return 1.0 - np.eye(networks)


def draw_networks(networks: int, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Weights (kept, networks): how often each network is drawn, as many as there are, with replacement.

    Draws of one network alone hold no pair and are not kept (1.6 % with four networks).
    """
    weights = generator.multinomial(networks, np.full(networks, 1 / networks), size=draws).astype(float)
    return weights[(weights > 0).sum(axis=1) > 1]


def among_pairs(values: np.ndarray) -> np.ndarray:
    """Whether each entry of `values` (networks, networks) is a score to average over.

    Where pairs of different networks are scored, those; otherwise the diagonal, with one score per network.
    """
    scored = ~np.isnan(values)
    between = scored & ~np.eye(len(values), dtype=bool)
    return between if between.any() else scored


def taking_part(values: np.ndarray) -> np.ndarray:
    """Whether each network (networks,) has a score among `values` (networks, networks)."""
    scored = among_pairs(values)
    return scored.any(axis=0) | scored.any(axis=1)


def weighted_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over pairs, or over networks where the scores are of single networks, in each draw.

    Args:
        values: (networks, networks) of `ScoreMatrices`.
        weights: (draws, networks).

    Returns:
        (draws,), NaN where nothing that was drawn has a score.
    """
    scored = among_pairs(values)
    numbers = np.where(scored, values, 0.0)
    if single(scored):
        totals, shares = weights @ np.diag(numbers), weights @ np.diag(scored)
    else:
        totals, shares = (((weights @ matrix) * weights).sum(axis=1) for matrix in (numbers, scored))
    with np.errstate(invalid="ignore", divide="ignore"):
        return totals / shares


def weighted_largest(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """As `weighted_means`, the largest score of the pairs that were drawn."""
    return over_drawn(values, weights, lambda numbers, drawn: np.where(drawn > 0, numbers, -np.inf).max(axis=1))


def weighted_smallest(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """As `weighted_means`, the smallest score of the pairs that were drawn."""
    return -weighted_largest(-values, weights)


def weighted_percentile(values: np.ndarray, weights: np.ndarray, share: float = 0.99) -> np.ndarray:
    """As `weighted_means`, the smallest score that `share` of all pairs do not exceed: the largest of few pairs."""

    def percentile(numbers: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        order = np.argsort(numbers)
        reached = np.cumsum(drawn[:, order], axis=1)
        # Rounding of the sum must not decide; the weights are whole numbers.
        places = (reached >= share * reached[:, -1:] - 1e-9).argmax(axis=1)
        return numbers[order][places]

    return over_drawn(values, weights, percentile)


def over_drawn(
    values: np.ndarray, weights: np.ndarray, function: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """`function` of the scores (pairs,) and their weights (draws, pairs), some draws at a time; NaN without a pair."""
    scored = among_pairs(values)
    first, second = np.nonzero(scored)
    numbers, results = values[first, second], np.full(len(weights), np.nan)
    block = max(1, ENTRIES_PER_BLOCK // max(1, len(numbers)))
    for start in range(0, len(weights) if len(numbers) else 0, block):
        part = weights[start : start + block]
        drawn = part[:, first] if single(scored) else part[:, first] * part[:, second]
        results[start : start + block] = np.where(drawn.any(axis=1), function(numbers, drawn), np.nan)
    return results


def single(scored: np.ndarray) -> bool:
    """Whether `scored` of `among_pairs` marks scores of single networks."""
    return bool(np.diag(scored).any())


def jackknife_error(left_out: np.ndarray) -> float:
    """Standard error from the estimates (networks,), each without one network; NaN for fewer than LEAST_NETWORKS."""
    networks = len(left_out)
    if networks < LEAST_NETWORKS or not np.isfinite(left_out).all():
        return np.nan
    return float(np.sqrt((networks - 1) / networks * ((left_out - left_out.mean()) ** 2).sum()))


def draws_error(draws: np.ndarray) -> float:
    """Standard error from the same estimate (draws,) on draws of the images; NaN for fewer than two."""
    finite = draws[np.isfinite(draws)]
    return float(finite.std(ddof=1)) if len(finite) > 1 else np.nan


def interval(
    estimate: float,
    networks_error: float,
    images_error: float,
    networks: int,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> tuple[float, float, str]:
    """Confidence interval of an estimate, and what it covers.

    Args:
        estimate: the value from all networks and all images.
        networks_error: standard error over networks, NaN if unknown.
        images_error: standard error over images, NaN if unknown.
        networks: how many networks.
        limits: values that the estimated quantity cannot leave; the interval ends there.

    Returns:
        low, high and `networks and images`, `networks`, or `none` (low and high NaN): without an error over networks
        an interval would promise what it does not hold.
    """
    if not np.isfinite([estimate, networks_error]).all():
        return np.nan, np.nan, "none"
    known = np.isfinite(images_error)
    error = np.hypot(networks_error, images_error if known else 0.0)
    reach = float(stdtrit(networks - 1, (1 + CONFIDENCE) / 2) * error)
    low, high = np.clip([estimate - reach, estimate + reach], *limits).tolist()
    return low, high, "networks and images" if known else "networks"


def limits_of(measure: str) -> tuple[float, float]:
    """Values that a measure of the score table cannot leave."""
    for words, limits in LIMITS.items():
        if re.search(rf"(^|_)({words})(_|$)", measure):
            return limits
    return -np.inf, np.inf


def summarise_with_intervals(rows: Iterable[dict], draws: Iterable[dict]) -> list[dict]:
    """Spread and interval of every score: one row per population, layer and measure, in order of appearance.

    Args:
        rows: mappings with the keys of `scores.COLUMNS`.
        draws: mappings with the keys population, layer, measure, draw, mean. The draws of `resampled` give the
            images' error of the trained networks; those of other populations are not of images and are not used.

    Returns:
        mappings with the keys of `SUMMARY_COLUMNS`; `pairs` counts those that have a value at all, the standard
        deviation is that of the pairs (0 for one), the errors are those of the mean.
    """
    matrices, by_draw = ScoreMatrices(rows), collect_draws(draws)
    summary = []
    for group in matrices:
        population, layer, measure = group
        values = matrices.values(group)
        values = values[~np.isnan(values)]
        numbers = (np.nan,) * 4
        if len(values):
            spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
            numbers = (np.mean(values), spread, values.min(), values.max())
        error, networks = networks_error(matrices[group])
        resampled = by_draw.get((RESAMPLED, layer, measure), {}) if population == TRAINED else {}
        images_error = draws_error(np.array(list(resampled.values())))
        covered = interval(numbers[0], error, images_error, networks, limits_of(measure))
        entries = (*group, len(values), *numbers, error, images_error, *covered)
        summary.append(dict(zip(SUMMARY_COLUMNS, entries, strict=True)))
    return summary


def networks_error(values: np.ndarray) -> tuple[float, int]:
    """Jackknife error of the mean of `values` (networks, networks), and how many networks it rests on."""
    present = taking_part(values)
    among = values[np.ix_(present, present)]
    return jackknife_error(weighted_means(among, leave_one_out(len(among)))), len(among)
