"""Verdicts from tables of criteria: which row decides, what is not tested, and a ledger that names what exists."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from configuration import completed
from convergent.claims import CLAIM_COLUMNS, NOT_SUPPORTED, NOT_TESTED, SUPPORTED
from convergent.errors import StudyError
from convergent.noise.criteria import COLUMNS, PLACE_COLUMNS, REPLICATES
from convergent.noise.protocols import PROTOCOLS
from convergent.noise.summary import CONTROLS, THEORIES, WIDTHS, all_criteria, expected, thresholds_of
from convergent.noise.theory import label_error
from convergent.verdicts import judge_criteria, judge_criterion, load_criterion_claims
from plan import Plan

LEDGER = Path(__file__).parents[1] / "workflow" / "noise_claims.yaml"
QUESTIONS = load_criterion_claims(LEDGER, PLACE_COLUMNS)
CLAIMS = {claim.claim: claim for question in QUESTIONS for claim in question.claims}


def criteria(claim, value, snrs=(1.0, 10.0, 100.0), low=0.0, high=1.0):
    """Rows in which the statistic of a claim is `value` (a number, or one per ratio) wherever it is asked for."""
    values = np.broadcast_to(value, len(snrs))
    rows = [
        {"statistic": claim.statistic, "protocol": protocol, "variant": variant, "measure": measure}
        | {"n": np.nan, "snr": snr, "value": one, "low": low, "high": high, "repetitions": 4}
        for protocol, variant, measure in product(*claim.places.values())
        for snr, one in zip(snrs, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def inside(claim):
    low = claim.bound.get("at_least", claim.bound.get("above"))
    high = claim.bound.get("at_most", claim.bound.get("below"))
    return (low + high) / 2 if None not in (low, high) else low + 0.01 if high is None else high - 0.01


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_the_one_furthest_from_the_bound_decides(claim):
    good = inside(claim)
    row = judge_criterion(claim, criteria(claim, good, low=good - 1, high=good + 1), REPLICATES)
    assert tuple(row) == CLAIM_COLUMNS
    assert (row["verdict"], row["measured"], row["ci_low"]) == (SUPPORTED, pytest.approx(good), good - 1)
    sides = {"at_least": -0.02, "above": 0.0, "at_most": 0.02, "below": 0.0}
    for side, limit in claim.bound.items():
        bad = limit + sides[side]
        row = judge_criterion(claim, criteria(claim, [good, good, bad]), REPLICATES)
        assert (row["verdict"], row["measured"]) == (NOT_SUPPORTED, bad)
        assert row["where"].endswith("SNR 100")


def test_low_ratios_do_not_count_where_only_high_ones_are_asked_for():
    claim = CLAIMS["A3.linear_below"]
    assert judge_criterion(claim, criteria(claim, [-1, 0.5, 0.5]), REPLICATES)["verdict"] == SUPPORTED
    assert judge_criterion(claim, criteria(claim, [1, -0.5, 0.5]), REPLICATES)["verdict"] == NOT_SUPPORTED


def test_what_is_lacking_or_undefined_is_not_tested():
    claim = CLAIMS["A1.linear"]
    rows = criteria(claim, 0.0)
    row = judge_criterion(claim, rows[rows["measure"] != "procrustes"], REPLICATES)
    assert (row["verdict"], row["reason"]) == (NOT_TESTED, "the study has no falls of linear input procrustes")
    row = judge_criterion(claim, criteria(claim, [0.0, np.nan, 0.0]), REPLICATES)
    assert row["verdict"] == NOT_TESTED and row["reason"].startswith("undefined in linear, input")


def test_questions_fall_with_their_core_claims():
    good = pd.concat([criteria(claim, inside(claim)) for claim in CLAIMS.values()])
    verdicts = {row["claim"]: row["verdict"] for row in judge_criteria(QUESTIONS, good, REPLICATES)}
    assert set(verdicts) == {question.question for question in QUESTIONS} | set(CLAIMS)
    assert set(verdicts.values()) == {SUPPORTED}
    bad = good[good["statistic"] != "theory_deviation"]
    bad = pd.concat([bad, criteria(CLAIMS["A4.deviation"], 0.2)])
    verdicts = {row["claim"]: row["verdict"] for row in judge_criteria(QUESTIONS, bad, REPLICATES)}
    assert (verdicts["A4"], verdicts["A4.order"], verdicts["A1"]) == (NOT_SUPPORTED, SUPPORTED, SUPPORTED)


def test_the_smallest_scale_gives_no_verdicts():
    good = pd.concat([criteria(claim, inside(claim)) for claim in CLAIMS.values()])
    rows = judge_criteria(QUESTIONS, good, REPLICATES, scale="smoke")
    assert {row["verdict"] for row in rows} == {NOT_TESTED}
    claim = next(row for row in rows if row["claim"] == "A1.linear")
    assert claim["reason"] == "the scale `smoke` has too few repetitions for a verdict" and np.isfinite(
        claim["measured"]
    )


def test_the_baseline_stands_beside_the_deciding_place():
    claim = CLAIMS["A1.linear"]._replace(baseline="-before")
    rows = criteria(claim, inside(claim))
    before = rows.assign(measure=rows["measure"] + "-before", value=0.7)
    row = judge_criterion(claim, pd.concat([rows, before]), REPLICATES)
    assert (row["verdict"], row["baseline"], row["baseline_population"]) == (SUPPORTED, 0.7, "before")
    assert np.isnan(judge_criterion(claim, rows, REPLICATES)["baseline"])


def test_the_ledger_names_what_exists():
    figures = set(Plan(completed({"study": "mine"})).noise.figures)
    for claim in CLAIMS.values():
        for protocol, variant in product(claim.places["protocol"], claim.places["variant"]):
            assert all((protocol, one) in PROTOCOLS for one in variant.split())
        assert claim.figure in figures
    assert all(place in PROTOCOLS for place in (*CONTROLS, *CONTROLS.values(), *THEORIES))
    assert all(("regression", width) in PROTOCOLS for width in WIDTHS)


def test_a_fault_in_the_ledger_is_named(tmp_path):
    content = yaml.safe_load(LEDGER.read_text())
    del content["questions"][0]["claims"][0]["bound"]
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(StudyError, match=r"claim `A1\.linear`: field `bound` is missing"):
        load_criterion_claims(path, PLACE_COLUMNS)


def test_criteria_of_a_planted_dip(generator):
    """Alignment that dips at the threshold of the linear networks, grows with the ratio and is lost by the control."""
    rows = []
    for variant in ("input", "ridge"):
        for n in (10, 50, 100, 200, 1000):
            for snr in (1.0, 10.0, 100.0):
                for repetition in range(3):
                    dip = 0.5 * (n == 100 and variant == "input")
                    values = {"cka_linear": 0.9 - dip + 0.03 * np.log10(snr), "test_error": 100 / n, "train_error": 0.0}
                    rows += [
                        {"protocol": "linear", "variant": variant, "n": n, "repetition": repetition, "snr": snr}
                        | {"measure": measure, "value": value + 1e-3 * generator.normal()}
                        for measure, value in values.items()
                    ]
    found = pd.DataFrame(all_criteria(pd.DataFrame(rows), draws=50))
    of_input = found[(found["variant"] == "input") & (found["measure"] == "cka_linear")].set_index("statistic")
    assert of_input.loc["falls", "value"] == 0
    assert (of_input.loc["position", "value"] == 1).all()
    assert of_input.loc["dip", "value"].max() < 0.6
    lost = found[found["statistic"] == "depth_lost"]
    assert (lost["variant"] == "ridge").all() and lost["value"].min() > 0.95
    assert thresholds_of(found)["linear", "input"] == 100


def test_theory_is_drawn_over_the_whole_range_of_the_points():
    points = pd.DataFrame({"n": [20, 200, 2000], "snr": [1.0, 1.0, 10.0], "value": 0.5, "low": 0.4, "high": 0.6})
    line = expected("single", points)
    assert (line["n"].min(), line["n"].max()) == (20, 2000) and set(line["snr"]) == {1.0, 10.0}
    assert line["value"].between(0, 1).all()
    # Where a point is, theory has a value to compare it with.
    assert set(points["n"]) <= set(line["n"])
    error = expected("single_label", points, label_error).set_index(["n", "snr"])["value"]
    assert error[2000, 1.0] == pytest.approx(200 / (2000 - 200 - 1))
