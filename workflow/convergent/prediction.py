"""How well few units of one network predict each unit of another, on images that the maps were not fitted to.

Li et al. 2016, section 4 and Table 1. Half of the images fits the maps of `sparse_mapping`, the other half judges
them; correlations of the one and second moments of the other are all that is needed.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from convergent.decays import decay_name, exponent_of
from convergent.samples import blocks
from convergent.sparse_mapping import (
    PUBLISHED_THRESHOLD,
    TARGETS_PER_BLOCK,
    SecondMoments,
    forward_selection,
    held_out_moments,
    lasso_path,
    least_squares_maps,
    pooled_r_squared,
    prediction_errors,
    prediction_loss,
    predictors_per_target,
    r_squared,
    refit_curve,
    refitted_maps,
    train_maps,
    weighted_mean,
)
from convergent.statistics import Moments, mean_of, pair_moments

# The paper's weight matrix of conv1, at decay 10^-2.6; the same penalty is shown for every layer.
SHOWN_PENALTY = 96 * 10**-2.6
SHOWN_PREDICTORS = 3
FEW = 5

# What each measure says of the ordered pair (a, b), where units of a predict those of b; losses and R^2 on held-out
# images. <decay> is 0, 1e-5, ..., 10^-2.6: times the published width it is the penalty.
PREDICTION_MEASURES = {
    "map_loss_<decay>": "half the mean squared error of exact sparse maps, in units of variance; 0.5 = the mean",
    "map_r2_<decay>": "share of the variance of all b's units together that they predict",
    "map_predictors_<decay>": "mean number of a's units that one of b's needs",
    "few_predictors_share": "R^2 of the best exact maps with a mean of at most 5 predictors, over that of dense maps",
    "trained_map_loss_<decay>": "the same loss of maps trained by the paper's protocol",
    "trained_map_r2_<decay>": "share of the variance that those predict",
    "trained_map_predictors_<decay>": "mean number of weights above 0.001 per unit of b in them",
    "trained_map_nonzero_share_<decay>": "share of such weights among all",
    "refit_r2_<count>": "R^2 from the best few of a's units, selected forward and refitted; all = least squares",
}

MAP_COLUMNS = ("layer", "maps", "log10_decay", "loss", "predictors", "r_squared")
REFIT_COLUMNS = ("population", "layer", "predictors", "r_squared")
MAP_MEASURE = re.compile(r"(?P<trained>trained_)?map_(?P<what>loss|r2|predictors)_(?P<decay>.+)")


class Prediction(NamedTuple):
    """Everything needed to predict units of b from units of a."""

    within: np.ndarray  # (units_a, units_a) correlations within a, on the half that fits
    between: np.ndarray  # (units_a, units_b) correlations of a with b, on the half that fits
    test: SecondMoments  # of the half that judges


def halves(images: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Random halves of the images, in ascending order: those that fit and those that judge."""
    order = generator.permutation(images)
    return np.sort(order[: images // 2]), np.sort(order[images // 2 :])


def predictions(
    networks: Mapping[str, np.ndarray],
    pairs: Sequence[tuple[str, str]],
    images: int,
    fit: Mapping[str, np.ndarray] | np.ndarray,
    test: Mapping[str, np.ndarray] | np.ndarray,
) -> Iterator[tuple[tuple[str, str], Prediction]]:
    """Each pair of networks in both directions, with what predicts the second from the first.

    Args:
        networks: name -> activations (samples, units), all over the same samples, image by image.
        pairs: unordered pairs of networks.
        images: how many images the samples come from.
        fit, test: the images that fit and that judge, for all networks or for each by name.
    """
    moments = (part_moments(networks, pairs, images, part) for part in (fit, test))
    for a, problems in predictions_by_source(*moments, pairs):
        yield from (((a, b), problem) for b, problem in problems.items())


def part_moments(
    networks: Mapping[str, np.ndarray],
    pairs: Sequence[tuple[str, str]],
    images: int,
    part: Mapping[str, np.ndarray] | np.ndarray,
) -> dict[tuple[str, str], Moments]:
    """Moments of each network with itself and of each pair, over part of the images; arguments as in `predictions`."""
    names = names_of(pairs)
    order = part if isinstance(part, Mapping) else dict.fromkeys(names, part)
    return pair_moments(networks, [(name, name) for name in names] + list(pairs), images, order)


def predictions_by_source(
    fitted: Mapping[tuple[str, str], Moments],
    judged: Mapping[tuple[str, str], Moments],
    pairs: Sequence[tuple[str, str]],
) -> Iterator[tuple[str, dict[str, Prediction]]]:
    """Each network, with what predicts those it is paired with from it, by name; all have the same `within`.

    Args:
        fitted, judged: `part_moments` of the images that fit and of those that judge.
        pairs: unordered pairs of networks.
    """
    targets = {y: np.diag(held_out_moments(fitted[y, y], judged[y, y])).copy() for y in names_of(pairs)}
    for x in targets:
        within, xx = fitted[x, x].correlation(), held_out_moments(fitted[x, x], judged[x, x])
        problems = {}
        for a, b in (pair for pair in pairs if x in pair):
            between, xy = fitted[a, b].correlation(), held_out_moments(fitted[a, b], judged[a, b])
            y = b if x == a else a
            if x == b:
                between, xy = between.T, xy.T
            problems[y] = Prediction(within, between, SecondMoments(xx, xy, targets[y]))
        yield x, problems


def names_of(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """The networks of the pairs, in order of first appearance."""
    return list(dict.fromkeys(name for pair in pairs for name in pair))


def exact_scores(problem: Prediction, published_units: int, log10_decays: Sequence[float]) -> dict[str, float]:
    """Scores of the maps that minimise loss + penalty |w|_1, at each decay and at 0.

    Args:
        published_units: the penalty is decay * published_units.
        log10_decays: base-10 logarithms of the decays.

    Returns:
        the `map_...` measures and `few_predictors_share`, which is NaN where the dense maps predict nothing, or need
        no more than a few units themselves.
    """
    (scores,) = exact_scores_of_source([problem], published_units, log10_decays)
    return scores


def exact_scores_of_source(
    problems: Sequence[Prediction], published_units: int, log10_decays: Sequence[float]
) -> list[dict[str, float]]:
    """`exact_scores` of problems with the same `within`, in not much more time than one of them takes.

    The units of all networks that one source predicts are solved for together: on the few of one network alone,
    calling NumPy takes longer than computing.
    """
    names = [decay_name(None), *map(decay_name, log10_decays)]
    penalties = published_units * 10.0 ** np.array(log10_decays, dtype=float)
    within, between = problems[0].within, np.hstack([problem.between for problem in problems])
    test = SecondMoments(
        problems[0].test.xx,
        np.hstack([problem.test.xy for problem in problems]),
        np.concatenate([problem.test.yy for problem in problems]),
    )
    errors, predictors = np.zeros((2, len(names), len(test.yy)))
    dense = least_squares_maps(within, between)
    errors[0], predictors[0] = prediction_errors(dense, test), predictors_per_target(dense)
    # Some targets at a time: all maps of a path at once would take far more memory than the correlations.
    for columns in blocks(len(test.yy), TARGETS_PER_BLOCK):
        maps = lasso_path(within, between[:, columns], penalties)
        some = test._replace(xy=test.xy[:, columns], yy=test.yy[columns])
        errors[1:, columns] = prediction_errors(maps, some)
        predictors[1:, columns] = predictors_per_target(maps)
    ends = np.cumsum([len(problem.test.yy) for problem in problems])[:-1]
    parts = zip(problems, np.split(errors, ends, axis=1), np.split(predictors, ends, axis=1), strict=True)
    return [exact_summary(names, *part) for part in parts]


def exact_summary(
    names: Sequence[str], problem: Prediction, errors: np.ndarray, predictors: np.ndarray
) -> dict[str, float]:
    """The scores of `exact_scores` from the errors and numbers of predictors (decays, units_b), decay 0 first."""
    live = problem.test.yy > 0
    loss, mean = weighted_mean(errors, problem.test), weighted_mean(problem.test.yy, problem.test)
    pooled = 1 - loss / mean
    needed = predictors[:, live].mean(axis=1) if live.any() else np.full(len(names), np.nan)
    few = needed <= FEW
    # Where all units are few, or all together predict nothing, there is nothing to be kept.
    kept = pooled[few].max() / pooled[0] if pooled[0] > 0 and few.any() and not few[0] else np.nan
    return {
        **dict(zip(every_name("map_loss", names), loss, strict=True)),
        **dict(zip(every_name("map_r2", names), pooled, strict=True)),
        **dict(zip(every_name("map_predictors", names), needed, strict=True)),
        "few_predictors_share": kept,
    }


def trained_scores(
    problem: Prediction, published_units: int, log10_decays: Sequence[float], seed: int
) -> dict[str, float]:
    """Scores of maps from the paper's training protocol, at each decay and at 0; arguments as in `exact_scores`.

    Args:
        seed: of the initial weights, the same for every decay.
    """
    names = [decay_name(None), *map(decay_name, log10_decays)]
    penalties = published_units * np.array([0.0, *(10.0**exponent for exponent in log10_decays)])
    maps = train_maps(problem.within, problem.between, penalties, seed).maps
    live = problem.test.yy > 0
    loss = prediction_loss(maps, problem.test)
    count = np.full(len(names), np.nan)
    if live.any():
        count = predictors_per_target(maps, PUBLISHED_THRESHOLD)[:, live].mean(axis=1)
    return {
        **dict(zip(every_name("trained_map_loss", names), loss, strict=True)),
        **dict(zip(every_name("trained_map_r2", names), pooled_r_squared(maps, problem.test), strict=True)),
        **dict(zip(every_name("trained_map_predictors", names), count, strict=True)),
        **dict(zip(every_name("trained_map_nonzero_share", names), count / maps.shape[-1], strict=True)),
    }


def refit_scores(problem: Prediction, counts: Sequence[int]) -> dict[str, float]:
    """R^2 of all units together against the number of predictors, `refit_r2_<count>` and `refit_r2_all`."""
    every = (*counts, "all")
    curve = refit_curve(problem.within, problem.between, problem.test, every)
    return {f"refit_r2_{count}": float(value) for count, value in zip(every, curve, strict=True)}


def map_scores(
    problems: Mapping[str, Prediction],
    published_units: int | None,
    log10_decays: Sequence[float],
    trained_log10_decays: Sequence[float],
    predictors: Sequence[int],
    protocol: Collection[str],
    seed: int,
) -> dict[str, dict[str, float]]:
    """All scores of one source: `exact_scores`, `refit_scores` and `trained_scores`.

    Args:
        problems: network b -> what predicts it, all with the same `within`.
        published_units: None: as many as b has units.
        protocol: the networks b for which maps are trained.

    Returns:
        network b -> its scores.
    """
    units = {b: published_units or len(problem.test.yy) for b, problem in problems.items()}
    scores: dict[str, dict[str, float]] = {}
    for count in dict.fromkeys(units.values()):
        alike = {b: problem for b, problem in problems.items() if units[b] == count}
        scores |= zip(alike, exact_scores_of_source(list(alike.values()), count, log10_decays), strict=True)
    for b, problem in problems.items():
        scores[b] |= refit_scores(problem, predictors)
        if b in protocol:
            scores[b] |= trained_scores(problem, units[b], trained_log10_decays, seed)
    return scores


def shown_maps(problem: Prediction, seed: int) -> dict[str, np.ndarray]:
    """What figures show of one pair.

    Returns:
        `exact`, `trained` (units_b, units_a): maps at `SHOWN_PENALTY`; `predictors` (3, units_b): the best units of a,
        one after the other, -1 = none; `weights` (3, units_b): of these together; `r_squared` (2, units_b): on
        held-out images, with the first of them and with all.
    """
    predictors = forward_selection(problem.within, problem.between, SHOWN_PREDICTORS)
    together = refitted_maps(problem.within, problem.between, predictors)
    first = refitted_maps(problem.within, problem.between, predictors[:1])
    return {
        "exact": lasso_path(problem.within, problem.between, [SHOWN_PENALTY])[0],
        "trained": train_maps(problem.within, problem.between, [SHOWN_PENALTY], seed).maps[0],
        "predictors": predictors,
        "weights": np.where(predictors >= 0, together[np.arange(len(together)), predictors], 0.0),
        "r_squared": r_squared(np.stack([first, together]), problem.test),
    }


def every_name(measure: str, names: Sequence[str]) -> list[str]:
    """Names of a measure at each decay."""
    return [f"{measure}_{name}" for name in names]


def prediction_tables(scores: Iterable[dict]) -> tuple[list[dict], list[dict]]:
    """What figures and the paper's Table 1 show: means over pairs of networks.

    Args:
        scores: rows with the keys population, layer, measure, network_a, network_b, value.

    Returns:
        rows of `MAP_COLUMNS` (trained networks; `maps` is `exact` or `trained`, a decay of 0 is an empty text), exact
        and trained maps over the same ordered pairs, and rows of `REFIT_COLUMNS`.
    """
    maps: dict[tuple, dict[tuple, float]] = {}
    refits: dict[tuple, list[float]] = {}
    for row in scores:
        where = row["population"], row["layer"]
        if row["measure"].startswith("refit_r2_"):
            place = (*where, row["measure"].removeprefix("refit_r2_"))
            refits.setdefault(place, []).append(float(row["value"]))
        found = MAP_MEASURE.fullmatch(row["measure"])
        if found and where[0] == "trained":
            place = where[1], "trained" if found["trained"] else "exact", exponent_of(found["decay"]), found["what"]
            maps.setdefault(place, {})[row["network_a"], row["network_b"]] = float(row["value"])
    # The paper's protocol is run in one direction only.
    trained = {pair for place, values in maps.items() if place[1] == "trained" for pair in values}
    table: dict[tuple, dict] = {}
    for (*place, what), values in maps.items():
        entry = table.setdefault(
            tuple(place), dict.fromkeys(MAP_COLUMNS, np.nan) | dict(zip(MAP_COLUMNS, place, strict=False))
        )
        entry[{"r2": "r_squared"}.get(what, what)] = mean_of([values[pair] for pair in values if pair in trained])
    curves = [dict(zip(REFIT_COLUMNS, (*place, mean_of(found)), strict=True)) for place, found in refits.items()]
    return list(table.values()), curves
