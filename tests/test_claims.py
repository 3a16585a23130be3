"""Verdicts of the ledger: every claim holds and fails where it should, and says why where it cannot be tested."""

import base64
import copy
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from convergent.claims import (
    BESIDE,
    CLAIM_COLUMNS,
    NOT_SUPPORTED,
    NOT_TESTED,
    PARTLY,
    REPORTED,
    STATISTICS,
    SUPPORTED,
    criterion,
    holds,
    judge,
    layers_of,
    load_claims,
    question_row,
    slack_of,
)
from convergent.claims_page import claims_markdown, claims_page, questions_markdown
from convergent.errors import StudyError
from convergent.resampling import draw_networks, interval, jackknife_error
from convergent.tables import read_tables, write_table

WORKFLOW = Path(__file__).parent.parent / "workflow"
LEDGER = WORKFLOW / "claims.yaml"
CONVOLUTIONAL = ["conv1", "conv2", "conv3", "conv4", "conv5"]
LAYERS = [*CONVOLUTIONAL, "fc6", "fc7"]
PUBLISHED = read_tables([WORKFLOW / "reference" / "li2016.csv"])
QUESTIONS = load_claims(LEDGER)
CLAIMS = {claim.claim: claim for question in QUESTIONS for claim in question.claims}
OF_NETWORKS = ("spectrum_range", "largest_mean")
FIGURES = (
    *("alignment_by_depth", "matching_curves", "information", "sparse_prediction", "sparse_maps/{layer}"),
    *("unit_predictors/{layer}", "groups/{layer}", "unit_groups/{layer}", "activation_spectra"),
    *("activity_extremes/{layer}", "unit_pairs/{layer}", "few_predictors", "matched_activity"),
    *("similarity_by_depth", "similarity_over_training"),
)
MEASURES = (
    *("semi_match_mean", "match_mean", "match_overlap", "mutual_best_share", "share_below_half", "share_strong"),
    *("share_near_identical", "information_shared_best", "information_shared_worst", "information_compared"),
    *("information_argmax_agreement", "information_rank_correlation", "few_predictors_share", "refit_r2_1"),
    *("refit_r2_4", "refit_r2_all", "groups_between", "groups_shuffled_between", "groups_mixed_share"),
    *(
        "groups_coherence",
        "groups_stability",
        "groups_repeatability",
        "spectrum_distance",
        "spectrum_range",
        "largest_mean",
    ),
    *("matched_mean_correlation", "matched_deviation_correlation", "trained_map_nonzero_share_10^-2.6"),
    *("permutation_correlation", "procrustes", "ridge_r2"),
    *(f"trained_map_loss_{decay}" for decay in ("0", "1e-5", "1e-4", "1e-3", "10^-2.6", "1e-2", "1e-1")),
)


def score_rows(values, population="trained", networks=4):
    """Score rows from a mapping (layer, measure) -> one value for all, or a (networks, networks) matrix."""
    rows = []
    for (layer, measure), value in values.items():
        matrix = np.broadcast_to(value, (networks, networks))
        pairs = itertools.product(range(networks), repeat=2)
        rows += [
            {
                "study": "s",
                "population": population,
                "layer": layer,
                "measure": measure,
                "network_a": f"network_{a}",
                "network_b": f"network_{b}",
                "value": matrix[a, b],
            }
            for a, b in pairs
            if (a == b) == (measure in OF_NETWORKS)
        ]
    return rows


def draw_rows(layer, measure, means, population="shuffled"):
    return [
        {"population": population, "layer": layer, "measure": measure, "draw": draw, "mean": mean}
        for draw, mean in enumerate(means)
    ]


def published_number(layer, reference):
    wanted = (layer, reference["measure"], reference.get("setting", ""))
    return next(float(row["value"]) for row in PUBLISHED if (row["layer"], row["measure"], row["setting"]) == wanted)


def values_with(claim, target):
    """Scores of the trained networks in which the statistic of a claim is `target`; others stand at 0.2 beside it."""
    first, second = (*claim.measures, "")[:2]
    match claim.statistic:
        case "excess_over_chance":
            return {(layer, first): 0.3 + target for layer in LAYERS}
        case "difference":
            return {(layer, first): 0.3 + target for layer in LAYERS} | {(layer, second): 0.3 for layer in LAYERS}
        case "less_four_times":
            return {(layer, first): 0.4 + target for layer in LAYERS} | {(layer, second): 0.1 for layer in LAYERS}
        case "ratio":
            return {(layer, first): 0.2 * target for layer in LAYERS} | {(layer, second): 0.2 for layer in LAYERS}
        case "shared_of_eight":
            return {(layer, first): target for layer in LAYERS} | {(layer, second): 8 for layer in LAYERS}
        case "distance_from_published":
            layers = [layer for role in claim.layers for layer in layers_of(role, LAYERS, CONVOLUTIONAL)]
            references = list(zip(claim.measures, claim.against, strict=True))
            # One measure is as far away as asked, the others are nearer.
            return {
                (layer, measure): published_number(layer, reference) + (target if index == 0 else target / 2)
                for layer in layers
                for index, (measure, reference) in enumerate(references)
            }
        case "largest_to_smallest_network":
            return {(layer, first): np.diag([1, target, 1, (1 + target) / 2]) for layer in LAYERS}
        case "lead_of_first":
            return {(layer, first): 0.5 - (target if layer != "conv1" else 0) for layer in LAYERS}
        case "rebound":
            return {(layer, first): 0.5 + (target if layer == "conv5" else 0) for layer in LAYERS}
        case "smallest_rise":
            return {(layer, first): 0.1 + target * depth for depth, layer in enumerate(LAYERS)}
        case "smallest_drop_in_published_order":
            order = ["conv1", "conv2", "conv3", "conv5", "conv4"]
            return {(layer, first): 0.9 - target * place for place, layer in enumerate(order)}
        case "depth_correlation":
            return {(layer, first): 0.5 + np.sign(target) * depth / 10 for depth, layer in enumerate(LAYERS)}
        case "less_beside":
            return {(layer, first): 0.2 + target for layer in LAYERS}
        case "beside_relative":
            return {(layer, first): 0.2 / target for layer in LAYERS}
        case "widening":
            return {(layer, first): 0.2 + target * depth for depth, layer in enumerate(LAYERS)}
        case _:
            return {(layer, measure): target for layer in LAYERS for measure in claim.measures}


def judged(claim, values, draws=(), regime=None, layers=LAYERS, convolutional=CONVOLUTIONAL, more=(), **options):
    """The row of one claim, on scores with the chance levels that the core of Q1 needs."""
    question = QUESTIONS[0]._replace(claims=[claim])
    chance = [row for layer in CONVOLUTIONAL for row in draw_rows(layer, "semi_match_mean", np.linspace(0.1, 0.3, 20))]
    against = score_rows({(layer, "semi_match_mean"): 0.25 for layer in CONVOLUTIONAL}, "against_untrained")
    regime = regime or (claim.regime if claim.regime != "any" else "scaled")
    compared = score_rows({(layer, measure): 0.2 for layer in LAYERS for measure in claim.measures}, claim.beside)
    rows = [*score_rows(values), *against, *more, *(compared if claim.beside and not more else ())]
    options = {"network_draws": 40} | options
    return judge([question], rows, [*chance, *draws], PUBLISHED, layers, convolutional, regime, **options)[1]


def passing(claim):
    low = claim.bound.get("at_least", claim.bound.get("above"))
    high = claim.bound.get("at_most", claim.bound.get("below"))
    return (low + high) / 2 if None not in (low, high) else low + 0.01 if high is None else high - 0.01


def failing(claim):
    sides = {"at_least": -0.01, "above": -0.01, "at_most": 0.01, "below": 0.01}
    return [limit + sides[side] for side, limit in claim.bound.items()]


BOUNDED = [pytest.param(claim, id=name) for name, claim in CLAIMS.items() if claim.bound]


@pytest.mark.parametrize("claim", BOUNDED)
def test_every_claim_holds_on_one_side_of_its_bound_and_fails_on_the_other(claim):
    row = judged(claim, values_with(claim, passing(claim)))
    assert row["verdict"] == SUPPORTED
    # What one network decides is lost in draws without it.
    assert row["agreeing_draws"] == 1 or claim.statistic == "largest_to_smallest_network"
    if claim.statistic != "depth_correlation":
        assert row["measured"] == pytest.approx(passing(claim))
    for target in failing(claim):
        assert judged(claim, values_with(claim, target))["verdict"] == NOT_SUPPORTED


@pytest.mark.parametrize(
    "claim", [claim for claim in CLAIMS.values() if not claim.bound], ids=lambda claim: claim.claim
)
def test_claims_without_a_threshold_are_measured_and_reported(claim):
    if claim.statistic == "change_with_depth":
        row = judged(claim, {(layer, claim.measures[0]): -0.1 * depth for depth, layer in enumerate(LAYERS)})
        assert row["measured"] == pytest.approx(-0.4)
    else:
        row = judged(claim, values_with(claim, 0.4))
        assert row["measured"] == pytest.approx(0.4)
    assert (row["verdict"], row["reason"]) == (NOT_TESTED, REPORTED)
    assert np.isnan(row["agreeing_draws"]) and np.isfinite(row["ci_low"])


def test_the_ledger_names_what_exists():
    assert [question.question for question in QUESTIONS] == [f"Q{number}" for number in range(1, 7)]
    assert {claim.statistic for claim in CLAIMS.values()} == set(STATISTICS)
    published = {(row["measure"], row["setting"]) for row in PUBLISHED}
    for claim in CLAIMS.values():
        assert set(claim.measures) <= set(MEASURES)
        assert claim.figure in FIGURES
        for reference in [*claim.against, *([claim.published] if isinstance(claim.published, dict) else [])]:
            assert (reference["measure"], reference.get("setting", "")) in published
        for limit in claim.bound.values():
            assert f" {limit:g} " in criterion(claim)


def test_criteria_read_as_sentences():
    assert criterion(CLAIMS["Q1.competition"]).endswith(
        "one-to-one matching: above 0 and at most 0.08 in every convolutional layer"
    )
    assert criterion(CLAIMS["Q1.rare_features_deeper"]).endswith(
        "below 0.5: at least 0.5 in some deeper convolutional layer"
    )
    assert criterion(CLAIMS["Q1.falls_with_depth"]).endswith("best partner: below 0 over all convolutional layers")
    assert criterion(CLAIMS["Q4.decline_with_depth"]).endswith(
        ", over all convolutional layers: reported, no threshold"
    )


def test_published_numbers_are_looked_up():
    texts = {name: judged(claim, {})["published"] for name, claim in CLAIMS.items()}
    assert texts["Q1.rare_features_first_layer"] == "0.17"
    assert texts["Q1.rare_features_deeper"] == "conv2 0.37, conv3 0.63, conv4 0.92, conv5 0.75"
    assert "conv3 0.434 (unverified)" in texts["Q3.loss_rises_with_depth"]
    assert texts["Q2.core"] == "7"
    assert texts["Q5.core"] == ""


def test_the_published_numbers_keep_to_the_claims_made_of_them():
    for name in ("Q1.first_layer_highest", "Q1.published_order", "Q1.falls_with_depth", "Q1.rebound"):
        values = {
            (layer, "semi_match_mean"): published_number(layer, {"measure": "semi_match_mean"})
            for layer in CONVOLUTIONAL
        }
        row = judged(CLAIMS[name], values)
        assert row["verdict"] == SUPPORTED
        assert row["measured"] == pytest.approx(CLAIMS[name].published, abs=6e-4)


@pytest.mark.parametrize(
    ("side", "at_limit"), [("at_least", True), ("above", False), ("at_most", True), ("below", False)]
)
def test_limits_belong_to_at_least_and_at_most(side, at_limit):
    assert holds(0.5, {side: 0.5}) == at_limit
    assert holds(0.5 + (0.1 if side in ("at_least", "above") else -0.1), {side: 0.5})
    assert not holds(np.nan, {side: 0.5})


def test_slack_is_the_distance_to_the_nearer_limit():
    assert slack_of(np.array([0.1, 0.5, 1.2]), {"above": 0.0, "at_most": 1.0}) == pytest.approx([0.1, 0.5, -0.2])


def test_the_layer_that_decides_is_named_with_its_figure_and_baseline():
    claim = CLAIMS["Q1.overlap"]
    values = {(layer, "match_overlap"): 0.6 + 0.01 * depth for depth, layer in enumerate(LAYERS)}
    untrained = score_rows({key: value / 2 for key, value in values.items()}, "untrained")
    row = judged(claim._replace(figure="groups/{layer}"), values | {("conv4", "match_overlap"): 0.79}, more=untrained)
    assert (row["where"], row["figure"], row["verdict"]) == ("conv4", "groups/conv4", SUPPORTED)
    assert (row["baseline"], row["baseline_population"]) == (pytest.approx(0.315), "untrained")
    some = CLAIMS["Q1.rare_features_deeper"]
    values = {(layer, "share_below_half"): 0.1 for layer in LAYERS} | {("conv3", "share_below_half"): 0.7}
    row = judged(some, values | {("conv1", "share_below_half"): 0.9})
    assert (row["where"], row["measured"], row["verdict"]) == ("conv3", pytest.approx(0.7), SUPPORTED)


def test_the_core_of_q1_compares_with_the_higher_chance():
    claim = CLAIMS["Q1.core"]
    values = {(layer, "semi_match_mean"): 0.6 for layer in LAYERS}
    assert judged(claim, values)["measured"] == pytest.approx(0.3)  # the highest of twenty draws is 0.3
    one_pair = np.full((4, 4), 0.1)
    one_pair[1, 2] = 0.5  # of 12 pairs the 99th percentile is the highest
    against = score_rows({("conv3", "semi_match_mean"): one_pair}, "against_untrained")
    row = judged(claim, values, more=against)
    assert (row["measured"], row["where"]) == (pytest.approx(0.1), "conv3")
    untrained = score_rows({("conv3", "semi_match_mean"): 0.55}, "untrained")
    assert judged(claim, values, more=[*against, *untrained])["baseline"] == pytest.approx(0.05)


def uneven(generator, centre, networks=4):
    """Scores between networks that have effects of their own."""
    effects = 0.05 * generator.normal(size=networks)
    return centre + effects[:, None] + effects + 0.01 * generator.normal(size=(networks, networks))


def test_interval_and_agreement_are_those_of_a_slow_loop(generator):
    claim = CLAIMS["Q1.rare_features_deeper"]._replace(layers=("first", "second"), hold="every")
    matrices = {layer: uneven(generator, 0.55) for layer in ("conv1", "conv2")}
    row = judged(claim, {(layer, "share_below_half"): matrix for layer, matrix in matrices.items()}, seed=3)

    def statistic(sample):
        pairs = [(a, b) for a, b in itertools.product(sample, repeat=2) if a != b]
        return min(np.mean([matrix[pair] for pair in pairs]) for matrix in matrices.values())

    networks = range(4)
    error = jackknife_error(np.array([statistic([a for a in networks if a != b]) for b in networks]))
    measured = statistic(networks)
    drawn = draw_networks(4, 40, np.random.default_rng(3)).astype(int)
    agreeing = [(statistic(np.repeat(networks, weights)) >= 0.5) == (measured >= 0.5) for weights in drawn]
    assert row["measured"] == pytest.approx(measured)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(interval(measured, error, np.nan, 4)[:2])
    assert row["agreeing_draws"] == pytest.approx(np.mean(agreeing))
    assert 0 < row["agreeing_draws"] < 1


def test_draws_of_the_images_widen_the_interval(generator):
    claim = CLAIMS["Q1.rare_features_first_layer"]
    values = {("conv1", "share_below_half"): uneven(generator, 0.5)}
    draws = draw_rows("conv1", "share_below_half", 0.5 + 0.1 * generator.normal(size=20), "resampled")
    narrow, wide = judged(claim, values), judged(claim, values, draws)
    assert (narrow["replicates"], wide["replicates"]) == ("networks", "networks and images")
    assert wide["ci_low"] < narrow["ci_low"] < narrow["ci_high"] < wide["ci_high"]
    assert wide["measured"] == narrow["measured"]


def test_one_score_that_was_not_drawn_leaves_an_interval_over_networks(generator):
    claim = CLAIMS["Q1.competition"]
    values = {(layer, measure): uneven(generator, 0.4) for layer in LAYERS for measure in claim.measures}
    draws = [row for layer in LAYERS for row in draw_rows(layer, "semi_match_mean", [0.4, 0.5, 0.6], "resampled")]
    assert judged(claim, values, draws)["replicates"] == "networks"
    draws += [row for layer in LAYERS for row in draw_rows(layer, "match_mean", [0.4, 0.5, 0.6], "resampled")]
    assert judged(claim, values, draws)["replicates"] == "networks and images"


def test_images_shared_by_two_measures_cancel_in_their_difference(generator):
    claim = CLAIMS["Q3.few_beat_one"]
    values = {("conv1", "refit_r2_4"): uneven(generator, 0.7), ("conv1", "refit_r2_1"): uneven(generator, 0.5)}
    together = generator.normal(size=20)
    draws = [
        *draw_rows("conv1", "refit_r2_4", 0.7 + together, "resampled"),
        *draw_rows("conv1", "refit_r2_1", 0.5 + together, "resampled"),
    ]
    alone, drawn = judged(claim, values), judged(claim, values, draws)
    assert drawn["replicates"] == "networks and images"
    assert drawn["ci_high"] == pytest.approx(alone["ci_high"])


def test_intervals_do_not_leave_what_is_possible(generator):
    values = {(layer, "semi_match_mean"): uneven(generator, 0.8 - 0.02 * depth) for depth, layer in enumerate(LAYERS)}
    row = judged(CLAIMS["Q1.falls_with_depth"], values)
    assert -1 <= row["ci_low"] <= row["measured"] < row["ci_high"] <= 1


def test_two_networks_give_a_verdict_without_an_interval():
    rows = score_rows({("conv1", "share_below_half"): 0.4}, networks=2)
    question = QUESTIONS[0]._replace(claims=[CLAIMS["Q1.rare_features_first_layer"]])
    row = judge([question], rows, [], PUBLISHED, LAYERS, CONVOLUTIONAL, "scaled")[1]
    assert (row["verdict"], row["replicates"]) == (SUPPORTED, "none")
    assert np.isnan([row["ci_low"], row["agreeing_draws"]]).all()


def test_scores_of_some_networks_only_have_the_interval_of_those(generator):
    claim = CLAIMS["Q4.stability"]
    matrix = uneven(generator, 0.6)
    few = [row for row in score_rows({("conv1", "groups_stability"): matrix}) if "network_3" not in row.values()]
    others = score_rows({("conv1", "groups_coherence"): 0.5})
    question = QUESTIONS[3]._replace(claims=[claim, CLAIMS["Q4.coherence"]])
    row = judge([question], few + others, [], PUBLISHED, LAYERS, CONVOLUTIONAL, "scaled")[1]
    alone = judge([question], few, [], PUBLISHED, LAYERS, CONVOLUTIONAL, "scaled")[1]
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((alone["ci_low"], alone["ci_high"]))


def test_same_seed_same_ledger(generator):
    values = {("conv1", "share_below_half"): uneven(generator, 0.1)}
    claim = CLAIMS["Q1.rare_features_first_layer"]
    assert judged(claim, values, seed=1) == judged(claim, values, seed=1)


def test_claims_of_another_regime_are_not_tested():
    for claim in CLAIMS.values():
        other = {"exact": "scaled", "scaled": "exact"}.get(claim.regime)
        if other:
            row = judged(claim, values_with(claim, passing(claim)), regime=other)
            assert row["verdict"] == NOT_TESTED and np.isnan(row["measured"])
            assert "paper's" in row["reason"]


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda claim: claim.claim)
def test_layers_that_do_not_exist_are_a_reason(claim):
    row = judged(claim, {}, layers=["hidden1", "hidden2"], convolutional=[])
    assert row["verdict"] == NOT_TESTED
    assert re.match("the study has (no |2 such layers, 3 are needed)", row["reason"])


def test_too_few_layers_are_a_reason():
    values = {(layer, "semi_match_mean"): 0.5 for layer in LAYERS}
    row = judged(CLAIMS["Q1.rebound"], values, layers=LAYERS[:2], convolutional=LAYERS[:2])
    assert (row["verdict"], row["reason"]) == (NOT_TESTED, "the study has 2 such layers, 3 are needed")
    row = judged(CLAIMS["Q2.second_layer"], {}, layers=["conv1", "fc6"], convolutional=["conv1"])
    assert row["reason"] == "the study has no such layer: the second convolutional layer that is compared"


def test_undefined_scores_are_a_reason():
    claim = CLAIMS["Q1.overlap"]
    values = {(layer, "match_overlap"): 0.6 for layer in LAYERS}
    row = judged(claim, values | {("conv2", "match_overlap"): np.nan})
    assert (row["verdict"], row["reason"], row["where"]) == (NOT_TESTED, "undefined in conv2", "conv2")
    del values["conv3", "match_overlap"]
    row = judged(claim, values)
    assert row["reason"] == "the study has no match_overlap of conv3 for trained networks"


def test_too_few_draws_or_pairs_are_a_reason():
    values = {(layer, "semi_match_mean"): 0.5 for layer in LAYERS}
    question = QUESTIONS[0]._replace(claims=[CLAIMS["Q1.core"]])
    rows = [*score_rows(values), *score_rows(values, "against_untrained")]
    row = judge(
        [question], rows, draw_rows("conv1", "semi_match_mean", [0.1] * 19), [], LAYERS, CONVOLUTIONAL, "scaled"
    )[1]
    assert row["reason"] == "conv1 has 19 draws of shuffled images, 20 are needed"
    values = {("conv1", "information_shared_best"): 6.0, ("conv1", "information_compared"): 7.0}
    assert judged(CLAIMS["Q2.core"], values)["reason"] == "only 7 of 8 pairs can be compared in conv1"


def test_ratios_to_nothing():
    claim = CLAIMS["Q3.published_maps_unfinished"]
    first, second = (("conv1", measure) for measure in claim.measures)
    row = judged(claim, {first: 0.4, second: -0.01})
    assert row["verdict"] == SUPPORTED and np.isinf(row["measured"]) and np.isnan(row["ci_low"])
    assert judged(claim, {first: -0.1, second: -0.01})["reason"] == "undefined in conv1"


def test_what_rests_on_little_says_so():
    claim = CLAIMS["Q1.overlap"]
    matrix = np.full((4, 4), 0.6)
    matrix[0, 1] = matrix[2, 3] = np.nan
    row = judged(claim, {(layer, "match_overlap"): matrix for layer in LAYERS})
    assert (row["verdict"], row["reason"]) == (SUPPORTED, "undefined for 2 of 12")
    rows = score_rows({(layer, "match_overlap"): 0.6 for layer in LAYERS}, networks=2)
    question = QUESTIONS[0]._replace(claims=[claim])
    row = judge([question], rows, [], [], LAYERS, CONVOLUTIONAL, "scaled")[1]
    assert row["reason"] == "no interval from 2 networks" and np.isnan(row["ci_low"])


def test_a_criterion_that_untrained_networks_meet_says_so():
    values = {(layer, "match_overlap"): 0.6 for layer in LAYERS}
    for baseline, reason in ((0.7, "so it is for untrained networks"), (0.4, "")):
        more = score_rows(dict.fromkeys(values, baseline), "untrained")
        assert judged(CLAIMS["Q1.overlap"], values, more=more)["reason"] == reason
    with_remark = judged(CLAIMS["Q1.overlap"]._replace(remark="read me"), values)
    assert with_remark["reason"] == "read me"


def test_a_ratio_of_largest_to_smallest_is_never_below_one():
    row = judged(
        CLAIMS["Q5.range"], {("conv1", "spectrum_range"): np.diag([3.0, 9, 30, 90]), ("conv2", "spectrum_range"): 50.0}
    )
    assert row["ci_low"] == 1


def test_a_baseline_that_compares_nothing_is_left_out():
    values = {(layer, "match_overlap"): 0.6 for layer in LAYERS}
    more = score_rows(values, "untrained")
    assert judged(CLAIMS["Q1.overlap"], values, more=more)["baseline"] == pytest.approx(0.6)
    meaningless = ["untrained", "against_untrained"]
    row = judged(CLAIMS["Q1.overlap"], values, more=more, meaningless=meaningless)
    core = judged(CLAIMS["Q1.core"], {(layer, "semi_match_mean"): 0.6 for layer in LAYERS}, meaningless=meaningless)
    assert (core["verdict"], core["reason"][:17]) == (NOT_TESTED, "against_untrained")
    assert np.isnan(row["baseline"]) and row["baseline_population"] == "" and row["verdict"] == SUPPORTED


def test_an_interval_ends_where_the_measure_ends():
    values = {("conv1", "groups_mixed_share"): np.diag([np.nan] * 4) + np.array([1, 0.7, 1, 1])[:, None]}
    row = judged(CLAIMS["Q4.core_mixed_groups"], values)
    assert row["measured"] > 0.9 and row["ci_high"] == 1


CORE = next(claim for claim in CLAIMS.values() if claim.core)


@pytest.mark.parametrize(
    ("core", "others", "verdict"),
    [
        ([SUPPORTED], [SUPPORTED, SUPPORTED], SUPPORTED),
        ([SUPPORTED], [SUPPORTED, NOT_TESTED], SUPPORTED),
        ([SUPPORTED], [SUPPORTED, NOT_SUPPORTED], PARTLY),
        ([NOT_SUPPORTED], [SUPPORTED, SUPPORTED], NOT_SUPPORTED),
        ([NOT_TESTED], [SUPPORTED, NOT_SUPPORTED], NOT_TESTED),
        ([SUPPORTED, NOT_SUPPORTED], [SUPPORTED], NOT_SUPPORTED),
        ([SUPPORTED, NOT_TESTED], [SUPPORTED], NOT_TESTED),
    ],
)
def test_questions_are_answered_from_their_claims(core, others, verdict):
    claims = [CORE] * len(core) + [CORE._replace(core=False, claim="Q1.other")] * len(others)
    claims.append(CORE._replace(core=False, counts=False))
    rows = [{"verdict": each} for each in [*core, *others, NOT_SUPPORTED]]
    row = question_row(QUESTIONS[0]._replace(claims=claims), rows)
    assert row["verdict"] == verdict
    assert tuple(row) == CLAIM_COLUMNS
    assert "tested criteria hold" in row["reason"]
    assert ("Q1.other" in row["reason"]) == (NOT_SUPPORTED in others)


def test_a_claim_beside_the_criteria_says_so():
    row = judged(CLAIMS["Q1.rebound_scaled"], values_with(CLAIMS["Q1.rebound"], 0.1))
    assert (row["verdict"], row["reason"]) == (SUPPORTED, BESIDE)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"claim": "Q2.core"}, "claim `Q2.core`: field `claim` must begin with `Q1.`"),
        ({"claim": "Q1.overlap"}, "claim `Q1.overlap` stands there twice"),
        ({"bonud": {}}, "claim `Q1.core`: field `bonud` is unknown (did you mean 'bound'?)"),
        ({"bound": None}, "claim `Q1.core`: field `bound` is missing"),
        ({"bound": {"least": 3}}, "claim `Q1.core`: field `bound` must be"),
        ({"bound": {}}, "claim `Q1.core`: field `bound` must be"),
        ({"bound": {"at_least": 1, "above": 2}}, "claim `Q1.core`: field `bound` must be"),
        ({"bound": {"at_least": "much"}}, "claim `Q1.core`: field `bound` must be"),
        ({"bound": "reported"}, "claim `Q1.core`: field `layers` names several"),
        ({"statistic": "rebuond"}, "claim `Q1.core`: field `statistic` names `rebuond` (did you mean 'rebound'?)"),
        ({"layers": "frist"}, "claim `Q1.core`: field `layers` names `frist` (did you mean 'first'?)"),
        ({"layers": []}, "claim `Q1.core`: field `layers` is empty"),
        ({"regime": "big"}, "claim `Q1.core`: field `regime` names `big`"),
        ({"hold": "many"}, "claim `Q1.core`: field `hold` names `many`"),
        ({"baseline": "trained"}, "claim `Q1.core`: field `baseline` names `trained`"),
        ({"measures": ["a", "b"]}, "claim `Q1.core`: field `measures` has 2 entries"),
        ({"measures": "a"}, "claim `Q1.core`: field `measures` must be a list"),
        ({"against": [{"measure": "a"}]}, "claim `Q1.core`: field `against` has 1 entries, but needs 0"),
        ({"published": {"setting": "a"}}, "claim `Q1.core`: a published number is chosen by `measure`"),
        ({"core": "yes"}, "claim `Q1.core`: field `core` must be true or false"),
        ({"core": False}, "question `Q1`: no claim has `core: true`"),
        ({"statement": 3}, "claim `Q1.core`: field `statement` must be text"),
    ],
)
def test_faults_of_the_ledger_are_told_in_one_sentence(tmp_path, change, sentence):
    content = copy.deepcopy(yaml.safe_load(LEDGER.read_text()))
    entry = content["questions"][0]["claims"][0]
    for name, value in change.items():
        entry[name] = value
        if value is None:
            del entry[name]
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(StudyError, match=re.escape(sentence)) as fault:
        load_claims(path)
    assert str(path) in str(fault.value)


@pytest.mark.parametrize(
    "content", ["", "questions: 3", "questions: [3]", "questions: [{question: Q1}]", "a: [", "- b"]
)
def test_files_that_are_no_ledger_are_refused(tmp_path, content):
    path = tmp_path / "claims.yaml"
    path.write_text(content)
    with pytest.raises(StudyError):
        load_claims(path)
    with pytest.raises(StudyError):
        load_claims(tmp_path / "absent.yaml")


@pytest.fixture(scope="module")
def ledger():
    """Rows of the whole ledger on scores that have everything."""
    generator = np.random.default_rng(0)
    values = {(layer, measure): uneven(generator, 0.4) for layer in LAYERS for measure in MEASURES}
    values |= {(layer, "information_compared"): 8 for layer in LAYERS}
    draws = [row for layer in LAYERS for row in draw_rows(layer, "semi_match_mean", [0.1] * 20)]
    beside = {claim.beside for claim in CLAIMS.values() if claim.beside}
    rows = [row for name in ("trained", "untrained", "against_untrained", *beside) for row in score_rows(values, name)]
    return judge(QUESTIONS, rows, draws, PUBLISHED, LAYERS, CONVOLUTIONAL, "scaled", network_draws=50)


def test_the_whole_ledger_is_judged_on_complete_scores(ledger):
    assert [row["claim"] for row in ledger if "." not in row["claim"]] == [f"Q{number}" for number in range(1, 7)]
    assert {row["claim"] for row in ledger if "." in row["claim"]} == set(CLAIMS)
    for row in ledger:
        assert tuple(row) == CLAIM_COLUMNS
        claim = CLAIMS.get(row["claim"])
        if claim and claim.regime != "exact":
            assert np.isfinite([row["measured"], row["ci_low"]]).all()
            assert np.isfinite(row["baseline"]) == (claim.baseline != "none")
            # The synthetic scores are not all possible: a range begins at 1.
            assert row["ci_low"] <= row["measured"] <= row["ci_high"] or "spectrum_range" in claim.measures
            assert (row["verdict"] == NOT_TESTED) == (not claim.bound)


def test_the_page_stands_alone(ledger, tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    rows = [row | {"statement": row["statement"] + " <script>&"} for row in ledger]
    page = claims_page(
        rows, {"matching_curves": tmp_path / "a.png", "information": tmp_path / "absent.png"}, "One & all."
    )
    assert "<script" not in page and "&lt;script&gt;&amp;" in page
    assert "http" not in page and "<link" not in page
    assert re.findall(r'src="([^"]*)"', page) == ["data:image/png;base64," + base64.b64encode(b"picture").decode()]
    targets, anchors = re.findall(r'href="#([^"]*)"', page), re.findall(r'id="([^"]*)"', page)
    assert set(targets) <= set(anchors) and len(anchors) == len(set(anchors))
    assert targets.count("matching-curves") == sum(row["figure"] == "matching_curves" for row in ledger)
    assert "information" not in targets
    for claim in CLAIMS.values():
        assert claim.claim in page


def test_pages_are_the_same_from_the_table(ledger, tmp_path):
    write_table(tmp_path / "claims.csv", CLAIM_COLUMNS, ledger)
    rows = read_tables([tmp_path / "claims.csv"])
    assert claims_page(rows, {}, "") == claims_page(ledger, {}, "")
    assert claims_markdown(rows) == claims_markdown(ledger)


def test_columns_that_no_claim_fills_are_left_out(ledger):
    bare = [row | {"baseline": np.nan, "published": ""} for row in ledger]
    assert "Baseline" not in claims_page(bare, {}, "") and "Baseline" in claims_page(ledger, {}, "")
    assert claims_markdown(bare).startswith("| claim | measured [95 % interval] | verdict |\n|---|---|---|\n")
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in claims_markdown(bare).splitlines())
    questions = questions_markdown(ledger).splitlines()[2:]
    assert len(questions) == sum("." not in row["claim"] for row in ledger) and "**" in questions[0]


def test_the_markdown_table_is_whole(ledger):
    rows = [row | {"statement": "a | b\nc"} for row in ledger]
    lines = claims_markdown(rows).splitlines()
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 6 for line in lines)
    measured = [row for row in ledger if "." not in row["claim"] or np.isfinite(row["measured"])]
    assert len(lines) == 2 + len(measured)
    assert sum(line.endswith("| reported |") for line in lines) == sum(not claim.bound for claim in CLAIMS.values())


def test_a_claim_beside_a_population_that_the_study_lacks_is_not_tested():
    claim = CLAIMS["Q6.first_epoch"]
    row = judged(claim, values_with(claim, 0.9), more=score_rows({("conv1", "procrustes"): 0.2}, "epoch_0002"))
    assert (row["verdict"], row["reason"]) == (
        NOT_TESTED,
        "the study has no procrustes of conv1 for epoch_0001 networks",
    )


def test_a_population_beside_is_asked_of_the_statistics_that_need_one(tmp_path):
    for name, change in (("Q6.core", {"beside": ""}), ("Q1.overlap", {"beside": "untrained"})):
        content = yaml.safe_load(LEDGER.read_text())
        for question in content["questions"]:
            for entry in question["claims"]:
                if entry["claim"] == name:
                    entry.update(change)
        (tmp_path / "claims.yaml").write_text(yaml.safe_dump(content))
        with pytest.raises(StudyError, match=f"{name}`: field `beside` names a population"):
            load_claims(tmp_path / "claims.yaml")


def test_a_gap_that_widens_is_the_slope_of_a_line_fitted_to_it(generator):
    claim = CLAIMS["Q6.noise"]
    own, noisy = generator.uniform(size=(2, len(LAYERS)))
    values = {(layer, "procrustes"): value for layer, value in zip(LAYERS, own, strict=True)}
    beside = {(layer, "procrustes"): value for layer, value in zip(LAYERS, noisy, strict=True)}
    row = judged(claim, values, more=score_rows(beside, "noise"))
    assert row["measured"] == pytest.approx(np.polyfit(range(len(LAYERS)), own - noisy, 1)[0])
