"""The ledger of claims: for each published claim its criterion, what was measured, and the verdict.

Li et al. 2016; the claims with their sources and bounds stand in claims.yaml, none in here. A claim is one statistic
of the scores, evaluated on all networks, then without each of them, on draws of the networks and on draws of the
images, so that its interval and the share of draws that agree are those of the whole statistic, with everything in it
that chooses a layer or divides by another score.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from convergent.comparison import average_ranks
from convergent.errors import StudyError, did_you_mean
from convergent.resampling import (
    LEAST_NETWORKS,
    TRAINED,
    ScoreMatrices,
    collect_draws,
    draw_networks,
    draws_error,
    interval,
    jackknife_error,
    leave_one_out,
    limits_of,
    taking_part,
    weighted_largest,
    weighted_means,
    weighted_percentile,
    weighted_smallest,
)
from convergent.scores import RESAMPLED, SHUFFLED

CLAIM_COLUMNS = (
    *("claim", "source", "statement", "criterion", "measured", "ci_low", "ci_high", "baseline", "verdict"),
    *("published", "where", "replicates", "agreeing_draws", "reason", "figure", "baseline_population"),
)
SUPPORTED, PARTLY, NOT_SUPPORTED, NOT_TESTED = "supported", "partly supported", "not supported", "not tested"
REPORTED = "reported without a threshold"
BESIDE = "beside the criteria fixed beforehand, so no part of the answer"

AGAINST_UNTRAINED = "against_untrained"
LEAST_DRAWS = 20  # of shuffled images, for a 99th percentile that deserves the name
COMPARED = 8  # pairs at either end of the lists that the paper compares

BASELINES = ("untrained", SHUFFLED, AGAINST_UNTRAINED, "siblings", "permuted", "none")
REGIMES = {
    "any": "",
    "exact": "a claim about the paper's own networks and images, which this study does not have",
    "scaled": "a claim about smaller studies than the paper's, which this is not",
}
BOUNDS = {"at_least": "at least", "above": "above", "at_most": "at most", "below": "below"}

# Where in a network a claim looks; studies differ in the names of their layers and in how many there are.
ROLES = {
    "first": "the first convolutional layer that is compared",
    "second": "the second convolutional layer that is compared",
    "last": "the last of several convolutional layers",
    "convolutional": "convolutional layer",
    "deeper convolutional": "deeper convolutional layer",
    "first four convolutional": "the first four convolutional layers",
    "all": "layer",
}
MANY = ("convolutional", "deeper convolutional", "first four convolutional", "all")
PUBLISHED_CONVOLUTIONAL = ("conv1", "conv2", "conv3", "conv4", "conv5")
PUBLISHED_LAYERS = (*PUBLISHED_CONVOLUTIONAL, "fc6", "fc7")


class Claim(NamedTuple):
    """One entry of claims.yaml, whose head says what each field means."""

    claim: str
    statement: str
    source: str
    regime: str
    statistic: str
    measures: tuple[str, ...]
    layers: tuple[str, ...]
    quantity: str
    bound: dict[str, float]  # empty: reported without a threshold
    figure: str
    core: bool = False
    counts: bool = True
    hold: str = "every"
    baseline: str = "none"
    published: object = ""
    against: tuple[dict, ...] = ()
    beside: str = ""
    remark: str = ""


class Question(NamedTuple):
    """One question with its paper's answer and the claims that it rests on."""

    question: str
    asks: str
    answer: str
    claims: list[Claim]
    source: str = "Li et al. 2016"


class NotTested(Exception):
    """A claim cannot be tested on these scores; the message says why."""


# --- Reading claims.yaml ---


def load_claims(path: str | Path) -> list[Question]:
    """Questions with their claims, checked.

    Raises:
        StudyError: the first fault: which claim, which field, what is allowed.
    """
    questions = [read_question(entry, str(path)) for entry in ledger_entries(path)]
    names = [name for question in questions for name in (question.question, *(c.claim for c in question.claims))]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise StudyError(f"{path}: claim `{twice}` stands there twice: rename or remove one.")
    return questions


def ledger_entries(path: str | Path) -> list:
    """The entries of a ledger's questions, unchecked.

    Raises:
        StudyError: the file cannot be read, or has no questions.
    """
    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StudyError(f"{path} cannot be read as a ledger of claims ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict) or not isinstance(content.get("questions"), list):
        raise StudyError(f"{path} must hold a list `questions`: add it.")
    return content["questions"]


def read_question(entry: object, path: str) -> Question:
    """A question from its mapping, its claims checked."""
    where = f"{path}: question `{entry.get('question', '?') if isinstance(entry, dict) else entry}`"
    check_fields(entry, where, required=required_of(Question), allowed=Question._fields)
    if not isinstance(entry["claims"], list):
        raise StudyError(f"{where}: field `claims` must be a list.")
    question = Question(**entry)._replace(claims=[read_claim(claim, path) for claim in entry["claims"]])
    for claim in question.claims:
        if not claim.claim.startswith(f"{question.question}."):
            raise StudyError(f"{path}: claim `{claim.claim}`: field `claim` must begin with `{question.question}.`.")
    if not any(claim.core for claim in question.claims):
        raise StudyError(f"{where}: no claim has `core: true`, so nothing decides the answer: mark one.")
    return question


def read_claim(entry: object, path: str) -> Claim:
    """A claim from its mapping, every field checked."""
    where = f"{path}: claim `{entry.get('claim', '?') if isinstance(entry, dict) else entry}`"
    check_fields(entry, where, required_of(Claim), Claim._fields)
    fields = dict(entry, layers=entry["layers"] if isinstance(entry["layers"], list) else [entry["layers"]])
    for name in ("claim", "statement", "source", "quantity", "figure", "beside", "remark"):
        if not isinstance(fields.get(name, ""), str):
            raise StudyError(f"{where}: field `{name}` must be text.")
    for name in ("core", "counts"):
        if not isinstance(fields.get(name, False), bool):
            raise StudyError(f"{where}: field `{name}` must be true or false.")
    for name in ("measures", "layers", "against"):
        if not isinstance(fields.get(name, []), list):
            raise StudyError(f"{where}: field `{name}` must be a list.")
        fields[name] = tuple(fields.get(name, []))
    fields["bound"] = read_bound(fields["bound"], where)
    claim = Claim(**fields)
    for name, values, allowed in (
        ("statistic", [claim.statistic], STATISTICS),
        ("layers", claim.layers, ROLES),
        ("regime", [claim.regime], REGIMES),
        ("hold", [claim.hold], ("every", "some")),
        ("baseline", [claim.baseline], BASELINES),
    ):
        if unknown := next((value for value in values if value not in allowed), None):
            near = did_you_mean(unknown, allowed)
            raise StudyError(
                f"{where}: field `{name}` names `{unknown}`{near}: allowed are {', '.join(map(str, allowed))}."
            )
    check_statistic(claim, where)
    return claim


def required_of(entry: type) -> list[str]:
    """The fields of an entry that have no default."""
    return [name for name in entry._fields if name not in entry._field_defaults]


def check_fields(entry: object, where: str, required: Iterable[str], allowed: Sequence[str]) -> None:
    """Raise StudyError unless `entry` is a mapping with all the required fields and none but the allowed ones."""
    if not isinstance(entry, dict):
        raise StudyError(f"{where} must be a mapping of fields to values.")
    if unknown := next((name for name in entry if name not in allowed), None):
        near = did_you_mean(unknown, allowed)
        raise StudyError(f"{where}: field `{unknown}` is unknown{near}: allowed are {', '.join(allowed)}.")
    if missing := next((name for name in required if name not in entry), None):
        raise StudyError(f"{where}: field `{missing}` is missing: add it.")


def read_bound(bound: object, where: str) -> dict[str, float]:
    """The sides of a bound; empty for `reported`."""
    if bound == "reported":
        return {}
    numbers = bound.values() if isinstance(bound, dict) else ()
    if (
        not numbers
        or not set(bound) <= set(BOUNDS)
        or not all(isinstance(number, int | float) and np.isfinite(number) for number in numbers)
        or len(lower(bound)) > 1
        or len(upper(bound)) > 1
    ):
        raise StudyError(
            f"{where}: field `bound` must be `reported`, or a mapping of one of at_least and above, one of at_most "
            "and below, or one of each, to numbers."
        )
    return dict(bound)


def check_statistic(claim: Claim, where: str) -> None:
    """Raise StudyError unless the statistic gets as many measures, and comparisons, as it needs."""
    statistic = STATISTICS[claim.statistic]
    if not claim.measures or len(claim.measures) != (statistic.measures or len(claim.measures)):
        needed = statistic.measures or "at least 1"
        raise StudyError(
            f"{where}: field `measures` has {len(claim.measures)} entries, but statistic {claim.statistic} "
            f"needs {needed}."
        )
    if not claim.layers:
        raise StudyError(f"{where}: field `layers` is empty: name a role.")
    if bool(claim.beside) != statistic.beside:
        need = "needs one" if statistic.beside else "has no use for one"
        raise StudyError(f"{where}: field `beside` names a population, and statistic {claim.statistic} {need}.")
    compared = len(claim.measures) if claim.statistic == "distance_from_published" else 0
    if len(claim.against) != compared:
        raise StudyError(f"{where}: field `against` has {len(claim.against)} entries, but needs {compared}.")
    references = [*claim.against, *([claim.published] if isinstance(claim.published, dict) else [])]
    for reference in references:
        if not isinstance(reference, dict) or "measure" not in reference or set(reference) - {"measure", "setting"}:
            raise StudyError(f"{where}: a published number is chosen by `measure` and, if need be, `setting`.")
    if not claim.bound and not statistic.over_depth and (len(claim.layers) > 1 or claim.layers[0] in MANY):
        raise StudyError(f"{where}: field `layers` names several, but without a bound none of them decides: name one.")


# --- What a claim reads ---


class Evidence(NamedTuple):
    """Everything that a study knows about its claims."""

    scores: ScoreMatrices
    draws: dict[tuple[str, str, str], dict[int, float]]
    published: dict[tuple[str, str, str], tuple[float, str]]  # layer, measure, setting -> value, source
    meaningless: frozenset[str]  # populations that compare nothing in this study

    def undefined(self, layer: str, measure: str) -> tuple[int, int]:
        """How many scores of the trained networks are undefined, and how many there are."""
        group = TRAINED, layer, measure
        values = self.scores.values(group) if group in self.scores else np.empty(0)
        return int(np.isnan(values).sum()), len(values)

    def matrix(self, population: str, layer: str, measure: str) -> np.ndarray:
        """Scores (networks, networks); NotTested if there are none."""
        if population in self.meaningless:
            raise NotTested(f"{population} compares nothing here, because all networks begin with the same weights")
        if (population, layer, measure) not in self.scores:
            raise NotTested(f"the study has no {measure} of {layer} for {population} networks")
        return self.scores[population, layer, measure]

    def chance(self, layer: str, measure: str) -> float:
        """99th percentile of the mean over draws of shuffled images: of few draws the largest."""
        draws = np.array(list(self.draws.get((SHUFFLED, layer, measure), {}).values()))
        if len(draws) < LEAST_DRAWS:
            raise NotTested(f"{layer} has {len(draws)} draws of shuffled images, {LEAST_DRAWS} are needed")
        return float(np.quantile(draws, 0.99, method="inverted_cdf"))

    def number(self, layer: str, measure: str, setting: str = "") -> float:
        """A published number; NotTested if there is none."""
        if (layer, measure, setting) not in self.published:
            raise NotTested(f"no {measure} of a layer {layer} is published")
        return self.published[layer, measure, setting][0]


Reduction = Callable[[np.ndarray, np.ndarray], np.ndarray]


class NetworkView:
    """The scores of one population as draws of its networks show them."""

    def __init__(self, evidence: Evidence, weights: np.ndarray, population: str = TRAINED):
        self.evidence = evidence
        self.weights = weights  # (draws, networks)
        self.population = population
        self.taking_part = np.zeros(weights.shape[1], dtype=bool)  # networks that anything read has scores of

    def read(self, layer: str, measure: str, reduction: Reduction = weighted_means) -> np.ndarray:
        """The measure (draws,), reduced over the pairs of each draw."""
        values = self.evidence.matrix(self.population, layer, measure)
        self.taking_part |= taking_part(values)
        return reduction(values, self.weights)

    def read_other(self, population: str, layer: str, measure: str, reduction: Reduction) -> np.ndarray:
        """The same of a population that is itself what the claim compares with."""
        return reduction(self.evidence.matrix(population, layer, measure), self.weights)


class ImageView:
    """The mean scores of the trained networks on draws of the images; NotTested where these were not scored."""

    def __init__(self, evidence: Evidence):
        self.evidence = evidence
        self.numbers = sorted(
            {draw for group in evidence.draws if group[0] == RESAMPLED for draw in evidence.draws[group]}
        )

    def read(self, layer: str, measure: str, reduction: Reduction = weighted_means) -> np.ndarray:
        by_draw = self.evidence.draws.get((RESAMPLED, layer, measure))
        if by_draw is None or reduction is not weighted_means:
            raise NotTested(f"{measure} of {layer} was not scored on draws of the images")
        return np.array([by_draw.get(number, np.nan) for number in self.numbers])

    def read_other(self, population: str, layer: str, measure: str, reduction: Reduction) -> np.ndarray:
        """Not drawn anew: a constant (draws,)."""
        everyone = np.ones((1, len(self.evidence.scores.networks)))
        return np.repeat(reduction(self.evidence.matrix(population, layer, measure), everyone), len(self.numbers))


View = NetworkView | ImageView


# --- Statistics ---


def value(view: View, claim: Claim, layer: str) -> np.ndarray:
    """The mean of one measure over pairs (or over networks, where it is of single networks)."""
    return view.read(layer, claim.measures[0])


def smallest(view: View, claim: Claim, layer: str) -> np.ndarray:
    """The smallest of several measures' means."""
    return np.min([view.read(layer, measure) for measure in claim.measures], axis=0)


def difference(view: View, claim: Claim, layer: str) -> np.ndarray:
    """The first measure's mean less the second's."""
    first, second = (view.read(layer, measure) for measure in claim.measures)
    return first - second


def ratio(view: View, claim: Claim, layer: str) -> np.ndarray:
    """The first measure's mean divided by the second's; infinite where only the first is above 0."""
    first, second = (view.read(layer, measure) for measure in claim.measures)
    return positive_ratio(first, second)


def less_four_times(view: View, claim: Claim, layer: str) -> np.ndarray:
    """The first measure's mean less four times the second's, which may be near 0, where a ratio means nothing."""
    first, second = (view.read(layer, measure) for measure in claim.measures)
    return first - 4 * second


def positive_ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        unlimited = np.where(np.isnan(below) | ~(above > 0), np.nan, np.inf)
        return np.where(below > 0, above / below, unlimited)


def excess_over_chance(view: View, claim: Claim, layer: str) -> np.ndarray:
    """The mean less what chance and an untrained network reach: the higher of two 99th percentiles.

    Those are of the draws of shuffled images, and of the pairs of a network with an untrained one.
    """
    (measure,) = claim.measures
    untrained = view.read_other(AGAINST_UNTRAINED, layer, measure, weighted_percentile)
    return view.read(layer, measure) - np.maximum(view.evidence.chance(layer, measure), untrained)


def shared_of_eight(view: View, claim: Claim, layer: str) -> np.ndarray:
    """The mean number of shared pairs; the second measure says how many were compared, which must be eight."""
    shared, compared = claim.measures
    numbers = view.evidence.matrix(TRAINED, layer, compared)
    if (fewest := np.nanmin(numbers, initial=COMPARED)) < COMPARED:
        raise NotTested(f"only {fewest:g} of {COMPARED} pairs can be compared in {layer}")
    return view.read(layer, shared)


def distance_from_published(view: View, claim: Claim, layer: str) -> np.ndarray:
    """The largest distance of the measures' means from the published numbers of the layer with the same name."""
    return np.max(
        [
            np.abs(view.read(layer, measure) - view.evidence.number(layer, **reference))
            for measure, reference in zip(claim.measures, claim.against, strict=True)
        ],
        axis=0,
    )


def largest_over_pairs(view: View, claim: Claim, layer: str) -> np.ndarray:
    """The largest value of any pair."""
    return view.read(layer, claim.measures[0], weighted_largest)


def smallest_over_networks(view: View, claim: Claim, layer: str) -> np.ndarray:
    """The smallest value of any network."""
    return view.read(layer, claim.measures[0], weighted_smallest)


def largest_to_smallest_network(view: View, claim: Claim, layer: str) -> np.ndarray:
    """The largest value of any network divided by the smallest."""
    (measure,) = claim.measures
    return positive_ratio(view.read(layer, measure, weighted_largest), view.read(layer, measure, weighted_smallest))


def over_depth(view: View, claim: Claim, layers: Sequence[str]) -> np.ndarray:
    """The mean of one measure (draws, layers)."""
    return np.stack([view.read(layer, claim.measures[0]) for layer in layers], axis=1)


def lead_of_first(view: View, claim: Claim, layers: Sequence[str]) -> np.ndarray:
    """The first layer less the highest of the others."""
    values = over_depth(view, claim, layers)
    return values[:, 0] - values[:, 1:].max(axis=1)


def rebound(view: View, claim: Claim, layers: Sequence[str]) -> np.ndarray:
    """The last layer less the lowest of those before it."""
    values = over_depth(view, claim, layers)
    return values[:, -1] - values[:, :-1].min(axis=1)


def change_with_depth(view: View, claim: Claim, layers: Sequence[str]) -> np.ndarray:
    """The last layer less the first."""
    values = over_depth(view, claim, layers)
    return values[:, -1] - values[:, 0]


def smallest_rise(view: View, claim: Claim, layers: Sequence[str]) -> np.ndarray:
    """The smallest rise from a layer to the next; negative where one falls."""
    return np.diff(over_depth(view, claim, layers), axis=1).min(axis=1)


def smallest_drop_in_published_order(view: View, claim: Claim, layers: Sequence[str]) -> np.ndarray:
    """The smallest drop from a layer to the next, in the order from the highest published value to the lowest."""
    (measure,) = claim.measures
    order = sorted(layers, key=lambda layer: -view.evidence.number(layer, measure))
    return -np.diff(over_depth(view, claim, order), axis=1).max(axis=1)


def depth_correlation(view: View, claim: Claim, layers: Sequence[str]) -> np.ndarray:
    """Spearman's correlation of depth and value; NaN where all layers are equal."""
    values = over_depth(view, claim, layers)
    ranks = np.apply_along_axis(average_ranks, 1, values)
    ranks[np.isnan(values).any(axis=1)] = np.nan
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    depth = np.arange(len(layers)) - (len(layers) - 1) / 2
    with np.errstate(invalid="ignore"):
        return ranks @ depth / np.sqrt((ranks**2).sum(axis=1) * (depth**2).sum())


def less_beside(view: View, claim: Claim, layer: str) -> np.ndarray:
    """The mean less that of another population."""
    (measure,) = claim.measures
    return view.read(layer, measure) - view.read_other(claim.beside, layer, measure, weighted_means)


def beside_relative(view: View, claim: Claim, layer: str) -> np.ndarray:
    """The mean of another population relative to the mean."""
    (measure,) = claim.measures
    return positive_ratio(view.read_other(claim.beside, layer, measure, weighted_means), view.read(layer, measure))


def widening(view: View, claim: Claim, layers: Sequence[str]) -> np.ndarray:
    """The slope, per layer, of the mean less that of another population."""
    gaps = np.stack([less_beside(view, claim, layer) for layer in layers], axis=1)
    depth = np.arange(len(layers)) - (len(layers) - 1) / 2
    return gaps @ depth / np.dot(depth, depth)


class Statistic(NamedTuple):
    """A statistic of one layer at a time, or over the depth of all the layers together."""

    function: Callable[[View, Claim, object], np.ndarray]
    measures: int = 1  # how many it needs; 0: any number
    over_depth: int = 0  # the fewest layers that it needs; 0: one layer at a time
    # Values that it can have, which an interval does not leave; None: those of its measure.
    limits: tuple[float, float] | None = (-np.inf, np.inf)
    beside: bool = False  # whether it compares with another population


STATISTICS = {
    "value": Statistic(value, limits=None),
    "smallest": Statistic(smallest, measures=0, limits=None),
    "difference": Statistic(difference, measures=2),
    "ratio": Statistic(ratio, measures=2),
    "less_four_times": Statistic(less_four_times, measures=2),
    "excess_over_chance": Statistic(excess_over_chance),
    "shared_of_eight": Statistic(shared_of_eight, measures=2, limits=(0, COMPARED)),
    "distance_from_published": Statistic(distance_from_published, measures=0, limits=(0, np.inf)),
    "largest_over_pairs": Statistic(largest_over_pairs, limits=None),
    "smallest_over_networks": Statistic(smallest_over_networks, limits=None),
    "largest_to_smallest_network": Statistic(largest_to_smallest_network, limits=(1, np.inf)),
    "lead_of_first": Statistic(lead_of_first, over_depth=2),
    "rebound": Statistic(rebound, over_depth=3),
    "change_with_depth": Statistic(change_with_depth, over_depth=2),
    "smallest_rise": Statistic(smallest_rise, over_depth=2),
    "smallest_drop_in_published_order": Statistic(smallest_drop_in_published_order, over_depth=2),
    "depth_correlation": Statistic(depth_correlation, over_depth=3, limits=(-1, 1)),
    "less_beside": Statistic(less_beside, beside=True),
    "beside_relative": Statistic(beside_relative, limits=(0, np.inf), beside=True),
    "widening": Statistic(widening, over_depth=3, beside=True),
}


# --- Layers and bounds ---


def layers_of(role: str, layers: Sequence[str], convolutional: Sequence[str]) -> list[str]:
    """The layers that have a role of `ROLES`, in order; none where it does not exist."""
    return list(
        {
            "first": convolutional[:1],
            "second": convolutional[1:2],
            "last": convolutional[1:][-1:],
            "convolutional": convolutional,
            "deeper convolutional": convolutional[1:],
            "first four convolutional": convolutional[:4],
            "all": layers,
        }[role]
    )


def require_layers(claim: Claim, layers: Sequence[str], convolutional: Sequence[str]) -> list[str]:
    """The layers that a claim is about; NotTested if the study has too few of them."""
    found = []
    for role in claim.layers:
        having = layers_of(role, layers, convolutional)
        if not having:
            raise NotTested(f"the study has no such layer: {place(claim, role)}")
        found += having
    needed = STATISTICS[claim.statistic].over_depth
    if len(found) < needed:
        raise NotTested(f"the study has {len(found)} such layer{'s' * (len(found) > 1)}, {needed} are needed")
    return found


def lower(bound: Mapping[str, float]) -> list[float]:
    return [bound[side] for side in ("at_least", "above") if side in bound]


def upper(bound: Mapping[str, float]) -> list[float]:
    return [bound[side] for side in ("at_most", "below") if side in bound]


def slack_of(values: np.ndarray, bound: Mapping[str, float]) -> np.ndarray:
    """How far values are on the right side of a bound; without one, the values themselves."""
    sides = [values - limit for limit in lower(bound)] + [limit - values for limit in upper(bound)]
    return np.min(sides, axis=0) if sides else values


def holds(values: np.ndarray, bound: Mapping[str, float]) -> np.ndarray:
    """Whether values keep to a bound; NaN does not."""
    compare = {"at_least": np.greater_equal, "above": np.greater, "at_most": np.less_equal, "below": np.less}
    return np.all([compare[side](values, limit) for side, limit in bound.items()], axis=0)


def place(claim: Claim, role: str) -> str:
    """A role in words, as part of a sentence."""
    if role not in MANY:
        return ROLES[role]
    if STATISTICS[claim.statistic].over_depth:
        return "the first four convolutional layers" if role == "first four convolutional" else f"all {ROLES[role]}s"
    return f"{claim.hold} {ROLES[role]}"


def criterion(claim: Claim) -> str:
    """The criterion in words, made from the quantity, the bound and the layers."""
    places = " and ".join(place(claim, role) for role in claim.layers)
    where = f"{'over' if STATISTICS[claim.statistic].over_depth else 'in'} {places}"
    if not claim.bound:
        return f"{claim.quantity}, {where}: reported, no threshold"
    sides = " and ".join(f"{BOUNDS[side]} {limit:g}" for side, limit in claim.bound.items())
    return f"{claim.quantity}: {sides} {where}"


# --- Judging ---


class Findings(NamedTuple):
    """What was found out about one claim."""

    measured: float = np.nan
    ci_low: float = np.nan
    ci_high: float = np.nan
    baseline: float = np.nan
    where: str = ""
    replicates: str = "none"
    agreeing_draws: float = np.nan


def judge(
    questions: Sequence[Question],
    scores: Iterable[dict],
    draws: Iterable[dict],
    published: Iterable[dict],
    layers: Sequence[str],
    convolutional: Sequence[str],
    regime: str,
    network_draws: int = 1000,
    seed: int = 0,
    meaningless: Iterable[str] = (),
) -> list[dict]:
    """A verdict on every claim, and on each question before its claims.

    Args:
        questions: of `load_claims`.
        scores: rows with the keys of `scores.COLUMNS`, numbers or text; may come from a generator.
        draws: rows with population, layer, measure, draw and mean; `shuffled` are the draws of chance, `resampled`
            the trained networks on draws of the images.
        published: rows with layer, measure, setting, value, source; of equal ones the first is taken.
        layers: names of the study's layers from input to output.
        convolutional: those of them that are convolutional.
        regime: `exact` for the paper's own study, `scaled` for any other.
        network_draws: how often the networks are drawn with replacement to see how many draws agree.
        seed: of these draws.
        meaningless: populations that are no baseline in this study, such as untrained networks that are all the same.

    Returns:
        rows with the keys of `CLAIM_COLUMNS`; NaN where there is no number.
    """
    used = {measure for question in questions for claim in question.claims for measure in claim.measures}
    reference: dict[tuple[str, str, str], tuple[float, str]] = {}
    for row in published:
        number = float(row["value"]), row["source"]
        reference.setdefault((row["layer"], row["measure"], row["setting"]), number)
    evidence = Evidence(
        ScoreMatrices(scores, used.__contains__), collect_draws(draws), reference, frozenset(meaningless)
    )
    networks = len(evidence.scores.networks)
    drawn = np.zeros((0, networks))
    if networks >= LEAST_NETWORKS:
        drawn = draw_networks(networks, network_draws, np.random.default_rng(seed))
    weights = np.vstack([np.ones((1, networks)), leave_one_out(networks), drawn])
    rows = []
    for question in questions:
        judged = [judge_claim(claim, evidence, weights, layers, convolutional, regime) for claim in question.claims]
        rows += [question_row(question, judged), *judged]
    return rows


def judge_claim(
    claim: Claim,
    evidence: Evidence,
    weights: np.ndarray,
    layers: Sequence[str],
    convolutional: Sequence[str],
    regime: str,
) -> dict:
    """The row of one claim; `weights` (1 + networks + draws, networks): all networks, without each, drawn."""
    findings, reason = Findings(), ""
    try:
        if claim.regime not in ("any", regime):
            raise NotTested(REGIMES[claim.regime])
        findings = investigate(claim, evidence, weights, require_layers(claim, layers, convolutional))
        if np.isnan(findings.measured):
            raise NotTested(f"undefined in {findings.where}")
        remarks = [] if claim.counts else [BESIDE]
        verdict = SUPPORTED if claim.bound and holds(findings.measured, claim.bound) else NOT_SUPPORTED
        if verdict == SUPPORTED and holds(findings.baseline, claim.bound):
            remarks.append(f"so it is for {claim.baseline} networks")
        remarks += few_scores(claim, evidence, findings, networks=weights.shape[1])
        remarks += [claim.remark] if claim.remark else []
        reason = "; ".join(remarks)
        if not claim.bound:
            verdict, reason = NOT_TESTED, REPORTED
    except NotTested as untested:
        verdict, reason = NOT_TESTED, str(untested)
    shown = findings.where or next(iter(layers_of(claim.layers[0], layers, convolutional)), "")
    if STATISTICS[claim.statistic].over_depth:
        shown = next(iter(convolutional), "")
    return {
        "claim": claim.claim,
        "source": claim.source,
        "statement": claim.statement,
        "criterion": criterion(claim),
        "measured": findings.measured,
        "ci_low": findings.ci_low,
        "ci_high": findings.ci_high,
        "baseline": findings.baseline,
        "verdict": verdict,
        "published": published_text(claim, evidence),
        "where": findings.where,
        "replicates": findings.replicates,
        "agreeing_draws": findings.agreeing_draws,
        "reason": reason,
        "figure": claim.figure.replace("{layer}", shown),
        "baseline_population": "" if np.isnan(findings.baseline) else claim.baseline,
    }


def few_scores(claim: Claim, evidence: Evidence, findings: Findings, networks: int) -> list[str]:
    """What a reader should know of a measured value that rests on less than usual."""
    missing, every = max(evidence.undefined(findings.where, measure) for measure in claim.measures)
    remarks = [f"undefined for {missing} of {every}"] if missing else []
    if networks < LEAST_NETWORKS:
        remarks.append(f"no interval from {networks} networks")
    return remarks


def investigate(claim: Claim, evidence: Evidence, weights: np.ndarray, layers: list[str]) -> Findings:
    """Measure a claim on all networks, and how that would move with other networks and other images."""
    view = NetworkView(evidence, weights)
    values, slack, deciding = decide(claim, view, layers)
    networks = weights.shape[1]
    left_out = slack[1 : 1 + networks][view.taking_part]
    # The error is that of the slack: for one limit the same as the value's, and for two it does not jump between them.
    error = jackknife_error(left_out)
    where = f"{layers[0]} to {layers[-1]}" if STATISTICS[claim.statistic].over_depth else layers[deciding[0]]
    measured = float(values[0])
    limits = STATISTICS[claim.statistic].limits or limits_of(claim.measures[0])
    low, high, replicates = interval(measured, error, images_error(claim, evidence, layers), len(left_out), limits)
    drawn = values[1 + networks :]
    drawn = drawn[~np.isnan(drawn)]
    agreeing = np.nan
    if claim.bound and len(drawn) and len(left_out) >= LEAST_NETWORKS and not np.isnan(measured):
        agreeing = float((holds(drawn, claim.bound) == holds(measured, claim.bound)).mean())
    baseline = baseline_of(claim, evidence, layers, deciding[0])
    return Findings(measured, low, high, baseline, where, replicates, agreeing)


def decide(claim: Claim, view: View, layers: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, slack and index of the deciding layer, each (draws,).

    It is the layer with the least slack where every layer must keep to the bound, with the most where some must.
    A layer whose value is undefined decides, since nothing can be said without it.
    """
    values = columns_of(claim, view, layers)
    slack = slack_of(values, claim.bound)
    deciding = (np.argmin if claim.hold == "every" else np.argmax)(slack, axis=1)
    draws = np.arange(len(values))
    return values[draws, deciding], slack[draws, deciding], deciding


def columns_of(claim: Claim, view: View, layers: list[str]) -> np.ndarray:
    """The statistic (draws, layers); one column if it is over the depth of them all."""
    statistic = STATISTICS[claim.statistic]
    if statistic.over_depth:
        return statistic.function(view, claim, layers)[:, None]
    return np.stack([statistic.function(view, claim, layer) for layer in layers], axis=1)


def images_error(claim: Claim, evidence: Evidence, layers: list[str]) -> float:
    """Standard error over draws of the images; NaN where a score that the claim needs was not drawn."""
    try:
        return draws_error(decide(claim, ImageView(evidence), layers)[1])
    except NotTested:
        return np.nan


def baseline_of(claim: Claim, evidence: Evidence, layers: list[str], deciding: int) -> float:
    """The statistic of the claim's baseline population in the layer that decided; NaN if it has none."""
    if claim.baseline == "none":
        return np.nan
    view = NetworkView(evidence, np.ones((1, len(evidence.scores.networks))), claim.baseline)
    try:
        over_depth = STATISTICS[claim.statistic].over_depth
        return float(columns_of(claim, view, layers if over_depth else [layers[deciding]])[0, 0])
    except NotTested:
        return np.nan


def published_text(claim: Claim, evidence: Evidence) -> str:
    """What the paper reports, as far as it is known."""
    if not isinstance(claim.published, dict):
        return str(claim.published)
    roles = [layers_of(role, PUBLISHED_LAYERS, PUBLISHED_CONVOLUTIONAL) for role in claim.layers]
    measure, setting = claim.published["measure"], claim.published.get("setting", "")
    texts = []
    for layer in dict.fromkeys(layer for role in roles for layer in role):
        number, source = evidence.published.get((layer, measure, setting), (np.nan, ""))
        if not np.isnan(number):
            texts.append((layer, f"{number:.3g}" + " (unverified)" * ("unverified" in source)))
    return texts[0][1] if len(texts) == 1 else ", ".join(f"{layer} {text}" for layer, text in texts)


def question_row(question: Question, rows: list[dict]) -> dict:
    """The row of a question from the rows of its claims.

    A core claim that does not hold decides against it; one that was not tested leaves it open; else it is supported
    if every claim that was tested, and counts, holds.
    """
    counted = [(claim, row["verdict"]) for claim, row in zip(question.claims, rows, strict=True) if claim.counts]
    tested = [(claim, verdict) for claim, verdict in counted if verdict != NOT_TESTED]
    failed = [claim.claim for claim, verdict in tested if verdict == NOT_SUPPORTED]
    # Of core claims that are told apart by regime only one can be tested.
    core = [(claim, verdict) for claim, verdict in counted if claim.core]
    if any(verdict == NOT_SUPPORTED for _, verdict in core):
        verdict = NOT_SUPPORTED
    elif any(verdict == NOT_TESTED for _, verdict in core):
        verdict = NOT_TESTED
    else:
        verdict = PARTLY if failed else SUPPORTED
    reason = f"{len(tested) - len(failed)} of {len(tested)} tested criteria hold"
    if failed:
        reason += f"; not {', '.join(failed)}"
    if verdict == NOT_TESTED:
        reason += f"; {next(claim.claim for claim, verdict in core if verdict == NOT_TESTED)} was not tested"
    empty = dict.fromkeys(CLAIM_COLUMNS, "") | dict.fromkeys(
        ("measured", "ci_low", "ci_high", "baseline", "agreeing_draws"), np.nan
    )
    return empty | {
        "claim": question.question,
        "source": question.source,
        "statement": f"{question.asks} {question.answer}",
        "criterion": "every criterion below holds; it is answered no if a core one does not",
        "verdict": verdict,
        "replicates": "none",
        "reason": reason,
    }
