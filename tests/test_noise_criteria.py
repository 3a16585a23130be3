"""Criteria of the study of noise, on tables of which the answer is planted."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from convergent.errors import StudyError
from convergent.noise.criteria import (
    COLUMNS,
    bootstrap,
    cube,
    curves,
    decoupled_pairs,
    decoupling_rows,
    depth,
    depth_lost_rows,
    dip,
    falls,
    growth_rows,
    lowest_size,
    rank_correlation,
    ratio_rows,
    size_rows,
    stays_beyond,
    summarise,
    theory_rows,
    threshold_rows,
)

SIZES, RATIOS, THRESHOLD = (10, 50, 100, 200, 400), (1.0, 10.0), 100
PLACE = ("linear", "input")
# Alignment dips at the threshold; the error peaks there, and the smallest size has more of both than 200 samples.
DIP = np.array([[0.5, 0.9], [0.4, 0.8], [0.1, 0.3], [0.3, 0.7], [0.6, 0.95]])
ERROR = np.array([[3.0, 1.0], [2.0, 0.8], [9.0, 5.0], [1.0, 0.5], [0.2, 0.1]])
TRAINED = np.array([[0.0, 0.0], [0.0, 0.0], [0.01, 0.0], [0.3, 0.01], [0.8, 0.015]])


def tabled(values, measure="cka_linear", place=PLACE, spread=0.0, repetitions=4, sizes=SIZES, ratios=RATIOS, seed=0):
    noise = np.random.default_rng(seed).normal(size=(repetitions, *np.shape(values))) * spread
    noise -= noise.mean(axis=0)
    return pd.DataFrame(
        [
            {"protocol": place[0], "variant": place[1], "n": n, "repetition": r, "snr": s, "measure": measure}
            | {"value": values[i][j] + noise[r, i, j]}
            for r, (i, n), (j, s) in product(range(repetitions), enumerate(sizes), enumerate(ratios))
        ]
    )


@pytest.fixture
def table():
    parts = {"cka_linear": DIP, "test_error": ERROR, "train_error": TRAINED}
    return pd.concat([tabled(values, measure, spread=0.01) for measure, values in parts.items()], ignore_index=True)


def values_of(rows, statistic):
    return [row["value"] for row in rows if row["statistic"] == statistic]


def test_planted_falls_are_counted():
    mean = DIP.copy()
    assert falls(mean) == 0
    mean[1] = mean[1][::-1]
    mean[4, 1] = np.nan
    assert falls(mean) == pytest.approx(1 / 4)
    assert np.isnan(falls(np.full((5, 2), np.nan)))
    assert falls(np.stack([mean, DIP])) == pytest.approx([1 / 4, 0])


def test_rank_correlation_is_spearman_and_leaves_gaps_out(generator):
    x, y = generator.normal(size=(2, 6, 9)).round(1)
    assert rank_correlation(x, y) == pytest.approx([spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)])
    y[2, 3:5] = np.nan
    kept = ~np.isnan(y[2])
    assert rank_correlation(x, y)[2] == pytest.approx(spearmanr(x[2, kept], y[2, kept]).statistic)
    assert np.isnan(rank_correlation(np.arange(5), np.ones(5))) and np.isnan(rank_correlation([1, 2], [1, 2]))


def test_planted_dip_is_found():
    assert lowest_size(DIP, SIZES).tolist() == [100, 100]
    assert dip(DIP) == pytest.approx([0.1 / 0.5, 0.3 / 0.9]) and depth(DIP) == pytest.approx([0.4, 0.6])
    rising = np.sort(DIP, axis=0)
    assert lowest_size(rising, SIZES).tolist() == [10, 10] and (dip(rising) == 1).all() and (depth(rising) == 0).all()
    gaps = DIP.copy()
    gaps[2, 0], gaps[:, 1] = np.nan, np.nan
    assert lowest_size(gaps, SIZES).tolist()[0] == 200 and np.isnan(lowest_size(gaps, SIZES)[1])
    assert np.isnan(dip(gaps)[1])


def test_threshold_is_where_it_stays():
    curve = np.array([[0.1], [0.0], [0.01], [0.3], [0.8]])  # stuck at the smallest size
    assert stays_beyond(curve, SIZES, 0.02).tolist() == [200]
    assert np.isnan(stays_beyond(curve[:3], SIZES[:3], 0.02)).all()
    assert stays_beyond(1 - curve, SIZES, 0.98, above=False).tolist() == [200]


def test_decoupled_pairs_cross_the_threshold():
    share = decoupled_pairs(DIP, ERROR, SIZES, THRESHOLD)
    # Of (10, 200), (10, 400), (50, 200), (50, 400), the first and third have both higher below the threshold.
    assert share == pytest.approx([0.5, 0.5])
    assert decoupled_pairs(DIP, -DIP, SIZES, THRESHOLD) == pytest.approx([0, 0])
    assert np.isnan(decoupled_pairs(DIP, ERROR, SIZES, 1000)).all()
    assert decoupled_pairs(DIP, ERROR, SIZES, np.array([100, 1000.0]))[0] == 0.5


def test_rows_hold_the_statistics_and_their_intervals(table):
    rows = ratio_rows(table, PLACE, "cka_linear") + size_rows(table, PLACE, "cka_linear", THRESHOLD)
    assert all(tuple(row) == COLUMNS for row in rows)
    assert values_of(rows, "falls") == [0]
    assert values_of(rows, "lowest_size") == [100, 100] and values_of(rows, "position") == [1, 1]
    assert values_of(rows, "dip") == pytest.approx([0.2, 1 / 3])
    found = [row for row in rows if row["statistic"] == "dip"]
    assert [row["snr"] for row in found] == list(RATIOS) and all(row["repetitions"] == 4 for row in rows)
    assert all(row["low"] < row["value"] < row["high"] < row["low"] + 0.2 for row in found)
    more = [*RATIOS, 100.0]
    rising = tabled(np.column_stack([DIP, DIP[:, 1] + 0.01]), ratios=more)
    ranks = [row for row in ratio_rows(rising, PLACE, "cka_linear") if row["statistic"] == "ratio_rank_correlation"]
    assert [(row["n"], row["value"], row["low"]) for row in ranks] == [(n, 1, 1) for n in SIZES]


def test_empirical_threshold_from_loss_and_from_accuracy(table):
    (row,) = threshold_rows(table, PLACE)
    assert (row["value"], row["measure"]) == (200, "train_error") and np.isnan(row["snr"])
    accuracy = np.array([[1, 1], [1, 1], [0.9, 1], [0.8, 0.97], [0.5, 0.9]])
    both = pd.concat([table, tabled(accuracy, "train_accuracy")])
    assert [(row["snr"], row["value"]) for row in threshold_rows(both, PLACE)] == [(1, 100), (10, 200)]
    (row,) = threshold_rows(tabled(TRAINED * 0, "train_error"), PLACE)
    assert np.isnan([row["value"], row["low"], row["high"]]).all()


def test_error_and_alignment_part_below_the_threshold():
    sizes, ratios = (10, 20, 40, 100, 200, 400, 800), (1.0, 10.0)
    alignment = np.array([[0.9], [0.8], [0.7], [0.1], [0.5], [0.8], [0.9]]) * np.ones(2)
    error = np.array([[0.9], [0.8], [0.7], [5.0], [0.5], [0.2], [0.1]]) * np.ones(2)
    made = pd.concat(
        [
            tabled(part, name, sizes=sizes, ratios=ratios, spread=0.001)
            for name, part in {"cka_linear": alignment, "test_error": error}.items()
        ]
    )
    rows = decoupling_rows(made, PLACE, "cka_linear", THRESHOLD)
    assert values_of(rows, "error_below") == pytest.approx([1, 1])
    assert values_of(rows, "error_above") == pytest.approx([-1, -1])
    assert values_of(rows, "decoupled_ratios") == [2]
    assert values_of(rows, "decoupled_pairs") == pytest.approx([4 / 9, 4 / 9], abs=0.12)


def test_nearness_to_theory():
    def theory(n, snr):
        expected = dict(zip(SIZES, DIP, strict=True))
        return np.array([expected[int(size)] for size in n[:, 0]])

    made = tabled(DIP)
    assert values_of(theory_rows(made, PLACE, "cka_linear", theory, THRESHOLD), "theory_deviation") == [0]
    made["value"] += 0.05
    made.loc[made["n"] == THRESHOLD, "value"] += 9  # theory says nothing there
    rows = theory_rows(made, PLACE, "cka_linear", theory, THRESHOLD)
    assert values_of(rows, "theory_deviation") == pytest.approx([0.05])
    assert values_of(rows, "theory_largest") == pytest.approx([0.05])
    assert values_of(rows, "theory_rank_correlation") == pytest.approx([1])


def test_what_a_control_takes_away():
    shallow = DIP.copy()
    shallow[:, 1] = [0.9, 0.88, 0.84, 0.9, 0.95]
    both = pd.concat([tabled(DIP), tabled(shallow, place=("linear", "ridge"))])
    rows = depth_lost_rows(both, PLACE, ("linear", "ridge"), "cka_linear")
    assert values_of(rows, "depth_lost") == pytest.approx([0, 0.9])
    flat = pd.concat([tabled(np.ones((5, 2))), tabled(DIP, place=("linear", "ridge"))])
    assert np.isnan(values_of(depth_lost_rows(flat, PLACE, ("linear", "ridge"), "cka_linear"), "depth_lost")).all()


def test_dips_that_grow_with_the_parameters():
    parts = []
    for variant, lowest in {"width_5": 1, "width_10": 2, "width_20": 3}.items():
        values = np.full((5, 2), 0.9)
        values[lowest, 0], values[2, 1] = 0.1, 0.1
        parts.append(tabled(values, place=("regression", variant)))
    parameters = {"width_5": 50, "width_10": 100, "width_20": 200}
    rows = growth_rows(pd.concat(parts), "regression", parameters, "cka_linear")
    assert values_of(rows, "growth") == pytest.approx([1, 0, 0.5])


def test_intervals_are_those_of_repetitions_drawn_again(generator):
    values = generator.normal(size=(40, 1, 1))
    found = bootstrap(lambda mean: mean, [values], draws=4000)
    assert found.value == pytest.approx(values.mean(axis=0))
    reach = 1.96 * values.std() / np.sqrt(40)
    assert (found.high - found.low).item() == pytest.approx(2 * reach, rel=0.06)
    again = bootstrap(lambda mean: mean, [values], draws=4000)
    assert (found.low, found.high) == (again.low, again.high)
    # What is compared is drawn together.
    paired = bootstrap(lambda a, b: b - a, [values, values + 1], draws=50)
    assert [float(part.item()) for part in paired] == pytest.approx([1, 1, 1])
    assert np.isnan(bootstrap(lambda mean: mean, [values[:1]]).low).all()


def test_values_that_are_missing_leave_the_rest(table):
    table.loc[(table["repetition"] == 0) & (table["n"] == 50), "value"] = np.nan
    table.loc[(table["n"] == 400) & (table["snr"] == 10), "value"] = np.nan
    spread = curves(table)
    assert len(spread) == 3 * len(SIZES) * len(RATIOS)
    gap = spread[(spread["n"] == 400) & (spread["snr"] == 10)]
    assert gap[["value", "low", "high"]].isna().all(axis=None)
    rows = summarise(table, {PLACE: THRESHOLD}, draws=50)
    assert values_of(rows, "lowest_size") == [100, 100] and values_of(rows, "falls") == [0]
    assert np.isnan(values_of(rows, "dip")[1]) and values_of(rows, "dip")[0] == pytest.approx(0.2, rel=0.2)


def test_the_summary_has_every_variant_and_measure_that_is_asked_for(table):
    other = table.assign(variant="label")
    both = pd.concat([table, other, table[table["measure"] == "cka_linear"].assign(measure="procrustes")])
    rows = summarise(both, {PLACE: THRESHOLD, ("linear", "label"): THRESHOLD}, draws=20)
    kinds = {(row["variant"], row["measure"]) for row in rows}
    assert kinds == {(v, m) for v in ("input", "label") for m in ("cka_linear", "train_error")} | {
        ("input", "procrustes")
    }
    assert len(summarise(both, {PLACE: THRESHOLD}, draws=20)) < len(rows)
    assert {row["statistic"] for row in rows} == {
        "falls", "ratio_rank_correlation", "lowest_size", "position", "dip", "depth", "decoupled_ratios",
        "decoupled_pairs", "error_below", "error_above", "empirical_threshold",
    }  # fmt: skip


def test_a_table_without_the_measure_or_with_it_twice(table):
    with pytest.raises(StudyError, match="no values of cka for linear input"):
        cube(table, PLACE, "cka")
    with pytest.raises(StudyError, match="two values of cka_linear"):
        cube(pd.concat([table, table]), PLACE, "cka_linear")
    apart = table.assign(variant="ridge", repetition=table["repetition"] + 10)
    with pytest.raises(StudyError, match="no repetition in common"):
        depth_lost_rows(pd.concat([table, apart]), PLACE, ("linear", "ridge"), "cka_linear")
