"""From runs to verdicts: planted trajectories give back what was planted, and what did not converge is named."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configuration import completed
from convergent.claims import NOT_SUPPORTED, NOT_TESTED, SUPPORTED
from convergent.dynamics import theory
from convergent.dynamics.analysis import (
    CURVE_COLUMNS,
    FIT_COLUMNS,
    LEVELS,
    OTHER,
    SAME,
    all_tables,
    bridge_rows,
    fit_case,
    plateau,
)
from convergent.dynamics.criteria import COLUMNS, PLACE_COLUMNS, REPLICATES, all_criteria, coincidence, estimate
from convergent.dynamics.experiments import (
    CONTEXT_WIDTH,
    GRID_INPUTS,
    GRID_TARGETS,
    PROBES,
    SCALES,
    SIZES,
    cells,
    scale_of,
)
from convergent.dynamics.settings import ARCHITECTURES, SETTINGS, setting
from convergent.errors import StudyError
from convergent.verdicts import judge_criteria, load_criterion_claims
from plan import Plan

LEDGER = Path(__file__).parents[1] / "workflow" / "dynamics_claims.yaml"
QUESTIONS = load_criterion_claims(LEDGER, PLACE_COLUMNS)
CLAIMS = {claim.claim: claim for question in QUESTIONS for claim in question.claims}
EPOCHS = 200


def curves(rates, start=(0.01, 1e-4, -0.005), epochs=EPOCHS, distances=(1.0, 0.5)):
    return theory.solve(np.array(start), *rates, *distances, np.arange(epochs, dtype=float))


def two_point_arrays(rates, layers=(10,), seeds=2, probes=True):
    """What the two-point experiment gives if networks follow the theory with these rates, layer by layer."""
    each = [curves(rate) for rate in (rates if isinstance(rates, list) else [rates])]
    hidden = np.stack([one[0] for one in each])
    output, overlap = each[-1][1:]
    mean_error = theory.mean_error(np.arange(EPOCHS), 0.4, 0.5)
    loss = theory.loss_curve(output, overlap, mean_error, 0.5)
    arrays = {
        "hidden": np.stack([hidden] * seeds),
        "layers": np.array(layers),
        "input_distance": np.full(seeds, 1.0),
        "target_distance": np.full(seeds, 0.5),
    }
    arrays |= {
        name: np.stack([values] * seeds)
        for name, values in (("output", output), ("overlap", overlap), ("mean_error", mean_error), ("loss", loss))
    }
    if probes:
        generator = np.random.default_rng(0)
        epochs = np.linspace(0, EPOCHS - 1, 10).astype(int)
        arrays |= {"probes": generator.normal(size=(seeds, 10, len(PROBES), 5)), "probe_epochs": epochs}
    return arrays


def tables_of(fits, more=()):
    empty = dict.fromkeys(("curves", "rises", "distances", "xor", "context", "structure", "bridge"), pd.DataFrame())
    return empty | {"fits": pd.DataFrame(fits)} | dict(more)


def values(found, statistic):
    return {row["setting"]: row["value"] for row in found if row["statistic"] == statistic}


def test_planted_rates_are_found_and_end_where_the_closed_form_says():
    rates = (0.03, 0.4)
    fits, rows = fit_case("two_point", "narrow", two_point_arrays(rates))
    assert [tuple(row) for row in fits] == [FIT_COLUMNS] * 2 and {tuple(row) for row in rows} == {CURVE_COLUMNS}
    for row in fits:
        assert row["converged"] and row["reason"] == ""
        assert (row["hidden_rate"], row["output_rate"]) == pytest.approx(rates, rel=1e-3)
        assert row["mean_rate"] == pytest.approx(0.5, rel=1e-3)
        assert row["r2"] > 0.9999 and row["r2_loss"] > 0.9999 and row["phase_r2"] > 0.9999
        assert row["hidden_end"] == pytest.approx(row["hidden_theory"], rel=1e-3)
        assert row["half_rise_ratio"] == pytest.approx(1, abs=0.05)
    table = pd.DataFrame(rows)
    assert set(table["quantity"]) == {"hidden", "output", "overlap", "loss"} and table["epoch"].max() == EPOCHS - 1
    assert np.abs(table["measured"] - table["theory"]).max() < 1e-3


def test_alternatives_are_fitted_to_the_default_network_alone():
    fits, _ = fit_case("two_point", "default", two_point_arrays((0.03, 0.4), seeds=1))
    others = [row for row in fits if row["experiment"] == "alternatives"]
    assert [row["variant"] for row in others] == list(theory.VARIANTS)
    assert others[0]["residual"] < 1e-6 < others[3]["residual"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda arrays: arrays["loss"][1].__setitem__(slice(50, None), np.nan), "diverged at epoch 50"),
        (lambda arrays: arrays["loss"][1].__iadd__(0.02), "loss 0.02"),
        (lambda arrays: arrays["hidden"][1].fill(0), "both points begin at one place of the hidden layer"),
    ],
)
def test_a_run_that_failed_is_dropped_and_named(change, reason):
    arrays = two_point_arrays((0.03, 0.4))
    change(arrays)
    fits, rows = fit_case("two_point", "narrow", arrays)
    assert [row["converged"] for row in fits] == [True, False]
    assert fits[1]["reason"].startswith(reason) and np.isnan(fits[1]["r2"])
    assert {row["seed"] for row in rows if np.isfinite(row["theory"])} == {0}
    found = all_criteria(tables_of(fits), draws=10)
    assert {row[REPLICATES] for row in found} == {1}


def test_the_plateau_is_where_the_loss_rests():
    epochs = np.arange(1000)
    rise = 1 / (1 + np.exp(-(epochs - 500) / 20))
    loss = 0.4 * np.exp(-epochs / 10) + 0.0625 * (1 - rise)
    assert plateau(loss, 0.5 * rise, 0.5) == pytest.approx(0.0625, rel=0.02)
    assert np.isnan(plateau(np.exp(-epochs / 200.0), 0.5 * rise, 0.5))  # it never rests


def test_verdicts_on_planted_architectures():
    """Eleven architectures that follow the theory at different speeds, and the same fitted badly."""
    fits, runs, rows = [], {}, []
    for speed, name in zip(np.geomspace(0.3, 1, len(ARCHITECTURES)), ARCHITECTURES, strict=True):
        runs["two_point", name] = two_point_arrays((0.05 * speed, 0.8 * speed), seeds=1)
        found, more = fit_case("two_point", name, runs["two_point", name])
        fits, rows = fits + found, rows + more
    fits = pd.DataFrame(fits)
    bad = fits.assign(r2=np.where(fits["setting"].isin(ARCHITECTURES[:4]), 0.6, fits["r2"]))
    for table, verdict, agreeing in ((fits, SUPPORTED, 11), (bad, NOT_SUPPORTED, 7)):
        tables = all_tables(runs, table, pd.DataFrame(rows))
        criteria = pd.DataFrame(all_criteria(tables, draws=5))
        judged = {row["claim"]: row for row in judge_criteria(QUESTIONS, criteria, REPLICATES)}
        assert (judged["D1.architectures"]["verdict"], judged["D1.architectures"]["measured"]) == (verdict, agreeing)
        assert judged["D1.worst"]["verdict"] == verdict
    assert judged["D3.collapse"]["measured"] > 0.99 > judged["D3.raw"]["measured"]
    assert judged["D3.phase_plane"]["measured"] > 0.999
    assert judged["D4.best"]["verdict"] == NOT_TESTED


def test_the_layer_that_follows_the_theory_is_the_best():
    arrays = two_point_arrays([(0.002, 0.4), (0.03, 0.4), (0.3, 0.4)], layers=(0, 1, 2), probes=False)
    arrays["output"], arrays["overlap"] = (np.stack([part] * 2) for part in curves((0.03, 0.4))[1:])
    fits, rows = fit_case("depth", "default", arrays)
    assert not rows and [row["layer"] for row in fits] == [0, 1, 2] * 2
    found = all_criteria(tables_of(fits), draws=10)
    assert values(found, "best_layer") == {"default": 1} and values(found, "best_layer_r2")["default"] > 0.999
    assert values(found, "first_layer_excess")["default"] > 50 and values(found, "hidden_rate_rank")["default"] == 1


def test_distances_and_structure_of_planted_networks():
    rates = (0.03, 0.4)
    followed = {("two_point", name): two_point_arrays(rates, seeds=1) for name in ("narrow", "default")}
    fits = pd.DataFrame([row for place, arrays in followed.items() for row in fit_case(*place, arrays)[0]])
    grid = np.array([(x**2, y**2) for x in GRID_INPUTS for y in GRID_TARGETS])
    starts = np.random.default_rng(0).uniform(0.01, 0.5, (2, len(grid)))
    ends = theory.final_distance(*starts, *rates, *grid.T)
    names = ("hidden_start", "output_start", "hidden_end", "input_distance", "target_distance")
    grid_arrays = dict(zip(names, (*starts, ends, *grid.T), strict=True))
    grid_arrays |= {"loss_end": np.full(len(grid), 1e-5), "epochs": np.full(len(grid), 9)}
    grid_arrays["loss_end"][3] = 0.5
    pairs = np.array([(a, b) for a in range(4) for b in range(a + 1, 4)])
    apart, wanted = np.array([1.0, 1, 2, 2, 1, 1]), np.array([1.0, 1, 0, 0, 1, 1])
    begin = np.random.default_rng(1).uniform(1e-6, 1e-5, (2, 3, 6))
    xor = {
        "hidden_start": begin[0],
        "output_start": begin[1],
        "hidden_end": theory.final_distance(*begin, *rates, apart, wanted),
        "loss_end": np.zeros(3),
        "pairs": pairs,
        "targets": np.array([[0.0], [1], [1], [0]]),
        "input_distance": apart,
        "target_distance": wanted,
    }
    labels = np.repeat(np.arange(4), 3)
    sums = np.abs(np.subtract.outer(labels, labels)).astype(float)
    structure = {"sums": sums, "means": sums**2, "measured": np.stack([sums, sums]), "labels": labels}
    structure |= {"accuracy": np.array([0.9, 0.8]), "before": np.random.default_rng(3).uniform(size=(2, 12, 12))}
    structure |= {"loss": np.full((2, 3), 1e-3)}
    context = np.random.default_rng(2).normal(size=(2, 1, 1800, CONTEXT_WIDTH))
    runs = followed | {
        ("distances", "narrow"): grid_arrays,
        ("xor", "rich"): xor,
        ("structure", "slow"): structure,
        ("context", "low-tanh"): {"before": context[0], "representations": context[1], "loss": np.zeros((1, 3))},
    }
    tables = all_tables(runs, fits, pd.DataFrame())
    assert len(tables["distances"]) == 25 and (~tables["distances"]["converged"]).sum() == 1
    found = all_criteria(tables, draws=20)
    assert values(found, "distance_r2")["narrow"] > 0.999 and values(found, "distance_slope")[
        "narrow"
    ] == pytest.approx(1, abs=1e-3)
    counts = [row[REPLICATES] for row in found if row["statistic"] == "distance_r2"]
    assert counts == [24]
    assert values(found, "separation")["rich"] > 5 and values(found, "scale")["rich"] == pytest.approx(1, abs=1e-2)
    assert values(found, "structure_correlation")["rich"] > 0.999
    assert values(found, "all_correlation")["slow-sums"] == pytest.approx(1)
    assert values(found, "between_correlation")["slow-means"] < 1
    assert values(found, "all_correlation")["slow-sums-before"] < 0.9
    # Random features are no feature.
    assert values(found, "relevant")["low-tanh"] < 0.2 and values(found, "irrelevant")["low-tanh"] < 0.2
    axes = tables["context_axes"]
    assert len(axes) == 600 and set(axes["context"]) == {0.0, 1.0}


def test_similarity_between_networks_that_come_to_share_a_representation(generator):
    shared = generator.normal(size=(40, 6))

    def learner():
        own = generator.normal(size=(2, 1, 40, 6))
        share = np.linspace(0, 1, 11)[None, :, None, None]
        return {
            "representations": (1 - share) * own + share * shared,
            "progress": np.tile(np.linspace(0, 1, 11), (2, 1)),
        }

    rows = pd.DataFrame(bridge_rows("two_point", {"a": learner(), "b": learner(), "c": learner()}))
    assert set(rows["progress"]) == set(LEVELS)
    counts = rows[(rows["measure"] == "cka_linear") & (rows["progress"] == 1)]["kind"].value_counts()
    assert counts.to_dict() == {SAME: 3, OTHER: 3}
    end = rows[(rows["measure"] == "cka_linear") & (rows["progress"] == 1)]["value"]
    assert end.min() > 1 - 1e-9
    found = all_criteria(tables_of([], {"bridge": rows}), draws=20)
    assert values(found, "rise")["cka_linear"] > 0.3 and values(found, "gap")["cka_linear"] == pytest.approx(
        0, abs=1e-9
    )


def test_curves_that_coincide_explain_each_other(generator):
    curve = np.linspace(0, 1, 50) ** 2
    noisy = curve + 0.01 * generator.normal(size=(5, 50))
    assert coincidence(noisy, noisy[::-1]) == pytest.approx(1)
    assert coincidence(noisy, 1 - noisy) < 0
    found = estimate(lambda values: float(np.mean(values)), [np.arange(10.0)], 200, "mean")
    assert found["low"] < 4.5 == found["value"] < found["high"]
    alone = estimate(lambda values: float(np.mean(values)), [np.ones(1)], 200, "mean")
    assert alone["value"] == 1 and np.isnan(alone["low"])


@pytest.mark.parametrize("size", SIZES)
def test_every_case_of_a_size_exists_and_every_drawn_figure_is_planned(size):
    assert len(set(cells(size))) == len(cells(size))
    assert set(SCALES[size].settings) <= set(SETTINGS)
    plan = Plan(completed({"study": "mine", "dynamics": {"scale": size}}))
    assert len(plan.dynamics.runs) == len(cells(size))


def test_names_that_do_not_exist_are_refused_with_what_does():
    with pytest.raises(StudyError, match=r"there is no setting 'narow' of the dynamics \(did you mean 'narrow'\?\)"):
        setting("narow")
    with pytest.raises(StudyError, match="size must be one of smoke, reduced, full, not 'huge'"):
        scale_of("huge")


def test_the_ledger_names_what_exists():
    plan = Plan(completed({"study": "mine"}))
    known = {(experiment, case) for experiment, case in cells("reduced")}
    for claim in CLAIMS.values():
        assert claim.figure in plan.dynamics.figures
        for experiment, name in product(claim.places["experiment"], claim.places["setting"]):
            if experiment in ("two_point", "xor", "context", "trajectories", "distances") and name != "architectures":
                assert (experiment, name) in known
    assert set(COLUMNS) > {"statistic", "value", "low", "high", *PLACE_COLUMNS}


def test_networks_of_two_architectures_never_share_their_draws(generator):
    """Networks of one seed that begin alike would be taken for architectures that are alike."""
    starts = generator.normal(size=(2, 1, 40, 6))
    learner = {"representations": np.repeat(starts, 3, axis=1), "progress": np.tile([0.0, 0.5, 1.0], (2, 1))}
    rows = pd.DataFrame(bridge_rows("two_point", {"a": learner, "b": learner}))
    assert rows.loc[rows["measure"] == "cka_linear", "value"].max() < 0.9


def test_networks_that_did_not_learn_take_no_part_anywhere(generator):
    """One of three networks of each experiment fails: it is named, and counted nowhere."""
    labels = np.repeat(np.arange(4), 3)
    loss = np.array([[0.5, 1e-3], [0.5, 0.3], [0.5, 1e-3]])
    measured = generator.uniform(size=(3, 12, 12))
    measured[1] = np.nan
    structure = {"sums": measured[0], "means": measured[0], "measured": measured, "before": measured[[0, 0, 0]]}
    structure |= {"labels": labels, "accuracy": np.array([0.9, 0.1, 0.9]), "loss": loss}
    learner = {
        "representations": generator.normal(size=(3, 4, 30, 5)),
        "progress": np.tile(np.linspace(0, 1, 4), (3, 1)),
    }
    learner["representations"][1] = np.nan
    context = generator.normal(size=(2, 3, 1800, CONTEXT_WIDTH))
    pairs = np.array([(a, b) for a in range(4) for b in range(a + 1, 4)])
    ends = generator.uniform(0.1, 1, (3, 6))
    xor = {"hidden_start": ends, "output_start": ends, "hidden_end": ends, "loss_end": loss[:, -1], "pairs": pairs}
    xor |= {"targets": np.array([[0.0], [1], [1], [0]]), "input_distance": np.ones(6), "target_distance": np.ones(6)}
    runs = {
        ("two_point", "default"): two_point_arrays((0.03, 0.4), seeds=1),
        ("xor", "rich"): xor,
        ("structure", "slow"): structure,
        ("context", "low-tanh"): {"before": context[0], "representations": context[1], "loss": loss},
        **{("trajectories", name): learner | {"loss": loss} for name in ("tanh", "relu")},
    }
    fits = pd.DataFrame(fit_case("two_point", "default", runs["two_point", "default"])[0])
    tables = all_tables(runs, fits, pd.DataFrame())
    for name in ("xor", "structure", "context"):
        lost = tables[name][~tables[name]["converged"]]
        assert set(lost["seed"]) == {1} and set(lost["reason"]) == {"ended with a loss of 0.3"}
    found = pd.DataFrame(all_criteria(tables, draws=5))
    chosen = found[found["experiment"].isin(["xor", "structure", "context"])]
    assert len(chosen) and set(chosen[REPLICATES]) == {2} and not chosen["value"].isna().any()
    assert len(tables["bridge"]) and not tables["bridge"]["value"].isna().any()
