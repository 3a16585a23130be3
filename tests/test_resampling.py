"""Errors and intervals over networks and images: independent recomputation, coverage, and what widens what."""

import itertools
import time

import numpy as np
import pytest

from convergent.resampling import (
    SUMMARY_COLUMNS,
    ScoreMatrices,
    collect_draws,
    draw_networks,
    interval,
    jackknife_error,
    leave_one_out,
    limits_of,
    networks_error,
    summarise_with_intervals,
    weighted_largest,
    weighted_means,
    weighted_percentile,
    weighted_smallest,
)


def pair_rows(matrix, population="trained", layer="conv1", measure="semi_match_mean"):
    """Score rows of the entries of a (networks, networks) matrix that are not NaN."""
    return [
        {
            "study": "s",
            "population": population,
            "layer": layer,
            "measure": measure,
            "network_a": f"network_{a}",
            "network_b": f"network_{b}",
            "value": str(matrix[a, b]),
        }
        for a, b in itertools.product(range(len(matrix)), repeat=2)
        if not np.isnan(matrix[a, b])
    ]


def scores_between(generator, networks, missing=()):
    matrix = generator.normal(size=(networks, networks))
    np.fill_diagonal(matrix, np.nan)
    for a, b in missing:
        matrix[a, b] = np.nan
    return matrix


def drawn_pairs(matrix, weights):
    """Every scored pair as often as it stands in the sample: a slow loop over the copies of the networks."""
    sample = np.repeat(np.arange(len(matrix)), weights.astype(int))
    pairs = [(a, b) for a, b in itertools.product(sample, repeat=2) if a != b and not np.isnan(matrix[a, b])]
    return [matrix[pair] for pair in pairs]


@pytest.mark.parametrize("missing", [(), ((0, 1), (3, 2), (1, 4))])
def test_weighted_scores_are_those_of_the_sample_written_out(generator, missing):
    matrix = scores_between(generator, 5, missing)
    weights = draw_networks(5, 40, generator)
    samples = [drawn_pairs(matrix, row) for row in weights]
    whole = [(index, sample) for index, sample in enumerate(samples) if sample]
    for function, slow in [
        (weighted_means, np.mean),
        (weighted_largest, np.max),
        (weighted_smallest, np.min),
        (weighted_percentile, lambda sample: np.quantile(sample, 0.99, method="inverted_cdf")),
    ]:
        fast = function(matrix, weights)
        assert fast[[index for index, _ in whole]] == pytest.approx([slow(sample) for _, sample in whole])
        assert np.isnan(np.delete(fast, [index for index, _ in whole])).all()


def test_scores_of_single_networks_are_weighted_once(generator):
    matrix = np.diag(np.array([1.0, 2.0, 6.0]))
    matrix[matrix == 0] = np.nan
    weights = np.array([[1, 1, 1], [2, 0, 1], [0, 3, 0]])
    assert weighted_means(matrix, weights) == pytest.approx([3, 8 / 3, 2])
    assert weighted_largest(matrix, weights) == pytest.approx([6, 6, 2])
    assert weighted_smallest(matrix, weights) == pytest.approx([1, 1, 2])


def test_a_network_and_its_own_copy_are_no_pair():
    matrix = np.array([[100.0, 1], [2, 100]])
    assert weighted_means(matrix, np.array([[3, 1], [4, 0]])) == pytest.approx([1.5, np.nan], nan_ok=True)


def test_blocks_of_draws_give_the_same(generator, monkeypatch):
    matrix, weights = scores_between(generator, 6), draw_networks(6, 50, generator)
    whole = weighted_percentile(matrix, weights)
    monkeypatch.setattr("convergent.resampling.ENTRIES_PER_BLOCK", 70)
    assert (weighted_percentile(matrix, weights) == whole).all()


def test_draws_hold_a_pair_and_are_the_seeds():
    weights = draw_networks(3, 500, np.random.default_rng(1))
    assert (weights.sum(axis=1) == 3).all() and ((weights > 0).sum(axis=1) > 1).all()
    assert (weights == draw_networks(3, 500, np.random.default_rng(1))).all()
    assert len(weights) == pytest.approx(500 * 8 / 9, rel=0.1)


def test_jackknife_of_one_score_per_network_is_the_textbook_error(generator):
    values = generator.normal(size=7)
    matrix = np.where(np.eye(7, dtype=bool), values, np.nan)
    error, networks = networks_error(matrix)
    assert networks == 7
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(7))


def test_jackknife_sees_that_pairs_share_networks(generator):
    effects = generator.normal(size=8)
    matrix = np.where(np.eye(8, dtype=bool), np.nan, effects[:, None] + effects)
    assert networks_error(matrix)[0] == pytest.approx(2 * effects.std(ddof=1) / np.sqrt(8))


def test_networks_without_a_score_do_not_count(generator):
    matrix = scores_between(generator, 6)
    matrix[4:] = matrix[:, 4:] = np.nan
    assert networks_error(matrix) == (pytest.approx(networks_error(matrix[:4, :4])[0]), 4)


@pytest.mark.parametrize("side", ["both", "one"])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_intervals_of_four_networks_hold_the_truth_as_often_as_they_say(side, noise):
    generator = np.random.default_rng(5)
    held = []
    for _ in range(1000):
        effects = generator.normal(size=4)
        matrix = 3 + effects[:, None] + (effects if side == "both" else 0) + noise * generator.normal(size=(4, 4))
        np.fill_diagonal(matrix, np.nan)
        low, high, _ = interval(weighted_means(matrix, np.ones((1, 4)))[0], networks_error(matrix)[0], np.nan, 4)
        held.append(low <= 3 <= high)
    assert 0.93 <= np.mean(held) <= 0.99


def test_images_widen_an_interval_and_are_named():
    low, high, replicates = interval(1.0, 0.1, np.nan, 4)
    wider_low, wider_high, both = interval(1.0, 0.1, 0.05, 4)
    assert (replicates, both) == ("networks", "networks and images")
    assert wider_low < low < 1 < high < wider_high
    assert high - 1 == pytest.approx(3.182446 * 0.1)
    assert wider_high - 1 == pytest.approx(3.182446 * np.hypot(0.1, 0.05))


def test_two_networks_have_no_interval():
    assert np.isnan(jackknife_error(np.array([1.0, 2.0])))
    low, high, replicates = interval(1.0, np.nan, 0.05, 2)
    assert np.isnan([low, high]).all() and replicates == "none"


def test_leaving_out_is_having_every_other():
    assert (leave_one_out(3) == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]).all()


def test_matrices_return_the_table(generator):
    matrix = scores_between(generator, 4)
    rows = pair_rows(matrix) + pair_rows(matrix + 1, measure="other")
    matrices = ScoreMatrices(iter(rows), lambda measure: measure != "other")
    group = ("trained", "conv1", "semi_match_mean")
    assert list(matrices) == [group] and group in matrices
    order = [int(name.removeprefix("network_")) for name in matrices.networks]
    assert np.array_equal(matrices[group], matrix[np.ix_(order, order)], equal_nan=True)


def test_summary_has_spread_errors_and_interval(generator):
    matrix = scores_between(generator, 4) / 10
    rows = pair_rows(matrix) + pair_rows(matrix, "untrained") + pair_rows(matrix[:2, :2], layer="conv2")
    draws = [
        {"population": population, "layer": "conv1", "measure": "semi_match_mean", "draw": draw, "mean": str(mean)}
        for population in ("resampled", "untrained")
        for draw, mean in enumerate((0.01, 0.03, 0.02))
    ]
    trained, untrained, short = summarise_with_intervals(rows, draws)
    values = matrix[~np.isnan(matrix)]
    assert tuple(trained) == SUMMARY_COLUMNS
    assert trained["pairs"] == 12 and trained["mean"] == pytest.approx(values.mean())
    assert trained["standard_deviation"] == pytest.approx(values.std(ddof=1))
    assert (trained["minimum"], trained["maximum"]) == (values.min(), values.max())
    assert trained["images_error"] == pytest.approx(0.01)
    assert trained["replicates"] == "networks and images"
    assert untrained["replicates"] == "networks" and np.isnan(untrained["images_error"])
    assert trained["ci_low"] < untrained["ci_low"] < untrained["ci_high"] < trained["ci_high"]
    assert short["replicates"] == "none" and np.isnan(short["ci_low"]) and short["pairs"] == 2


@pytest.mark.parametrize(
    ("measure", "limits"),
    [
        ("match_mean", (-1, 1)),
        ("information_match_mean", (-np.inf, np.inf)),
        ("share_below_half", (0, 1)),
        ("groups_mixed_share", (0, 1)),
        ("information_shared_best", (0, np.inf)),
        ("few_predictors_share", (0, np.inf)),
        ("refit_r2_all", (-np.inf, 1)),
        ("map_loss_10^-2.6", (0, np.inf)),
        ("groups_coherence", (-np.inf, np.inf)),
    ],
)
def test_measures_have_the_limits_that_their_names_tell(measure, limits):
    assert limits_of(measure) == limits


def test_an_interval_does_not_leave_the_limits():
    assert interval(0.9, 0.1, np.nan, 4, (0, 1))[:2] == (pytest.approx(0.9 - 3.182 * 0.1, abs=1e-3), 1)


def test_undefined_scores_are_neither_counted_nor_averaged():
    rows = pair_rows(np.array([[np.nan, 1, 2], [3, np.nan, 4], [5, 6, np.nan]]))
    rows[0]["value"] = "nan"
    (row,) = summarise_with_intervals(rows, [])
    assert row["pairs"] == 5 and row["mean"] == 4
    (row,) = summarise_with_intervals([entry | {"value": "nan"} for entry in rows], [])
    assert row["pairs"] == 0 and np.isnan(row["mean"]) and row["replicates"] == "none"


def test_draws_are_kept_by_their_number():
    rows = [{"population": "resampled", "layer": "a", "measure": "m", "draw": "2", "mean": "0.5"}]
    assert collect_draws(rows) == {("resampled", "a", "m"): {2: 0.5}}


def test_two_hundred_networks_take_seconds(generator):
    matrix = scores_between(generator, 200)
    started = time.perf_counter()
    for _ in range(20):
        networks_error(matrix)
    assert time.perf_counter() - started < 3
