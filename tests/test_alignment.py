"""Alignment of a pair in both directions."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from convergent.alignment import align, align_by_information, information_against_correlation, partner_curves
from convergent.scores import INFORMATION_MEASURES
from convergent.statistics import correlation, mutual_information


def test_both_directions_of_a_planted_pair(generator):
    """The second network holds the units of the first, in another order, and three units of its own."""
    x = generator.normal(size=(1000, 8))
    planted = generator.permutation(11)[:8]
    y = generator.normal(size=(1000, 11))
    y[:, planted] = x
    forward, backward = align(correlation(x, y), np.ones(8, bool), np.ones(11, bool))
    np.testing.assert_array_equal(forward.match, planted)
    np.testing.assert_array_equal(forward.semi, planted)
    np.testing.assert_array_equal(backward.match[planted], np.arange(8))
    assert (np.delete(backward.match, planted) == -1).all()
    assert forward.scores["match_mean"] == pytest.approx(1)
    assert backward.scores["match_mean"] == pytest.approx(1)
    assert forward.scores["share_below_half"] == 0
    assert backward.scores["share_below_half"] == pytest.approx(3 / 11)
    assert backward.scores["mutual_best_share"] == pytest.approx(8 / 11)


def test_dead_units_have_no_partner_and_are_nobodys(generator):
    similarity = generator.uniform(-1, 1, size=(7, 9))
    live_x, live_y = np.ones(7, bool), np.ones(9, bool)
    live_x[[1, 4]] = live_y[[0, 3, 8]] = False
    forward, backward = align(similarity, live_x, live_y)
    among_live = similarity[live_x][:, live_y]
    expected = among_live[linear_sum_assignment(among_live, maximize=True)].mean()
    for found, live, live_other in ((forward, live_x, live_y), (backward, live_y, live_x)):
        assert found.scores["match_mean"] == pytest.approx(expected)
        assert found.scores["dead_units"] == (~live).sum()
        for partners in (found.semi, found.match):
            assert (partners[~live] == -1).all()
            assert live_other[partners[partners >= 0]].all()
    assert (forward.semi[live_x] >= 0).all()
    np.testing.assert_array_equal(similarity[live_x, forward.semi[live_x]], among_live.max(axis=1))


def test_a_network_without_a_live_unit_has_no_partners():
    forward, backward = align(np.zeros((2, 3)), np.zeros(2, bool), np.ones(3, bool))
    assert (forward.match == -1).all() and (backward.semi == -1).all()
    assert (forward.scores["dead_units"], backward.scores["dead_units"]) == (2, 0)
    assert np.isnan(backward.scores["match_mean"])


def test_curves_are_sorted_by_the_best_partner_and_bounded_by_all_pairs():
    one, other = np.array([[0.2, 0.9], [0.7, 0.1], [0.0, 0.0]]), np.array([[0.5, 0.3], [0.4, 0.8], [0.1, 0.0]])
    narrow = np.array([[1.0, 1.0]])
    assignments = {
        "semi/a/b": np.array([1, 0, -1]),
        "match/a/b": np.array([1, 0, -1]),
        "semi/c/d": np.array([0, 1, 0]),
        "match/c/d": np.array([1, 1, 1]),
        "semi/e/f": np.array([0]),
        "match/e/f": np.array([0]),
    }
    rows = partner_curves("fc6", {("a", "b"): one, ("c", "d"): other, ("e", "f"): narrow}, assignments)
    assert [row["unit"] for row in rows] == [0, 1, 2]
    assert [row["semi"] for row in rows[:2]] == [row["match"] for row in rows[:2]] == [0.9, 0.7]
    assert np.isnan(rows[2]["semi"])
    assert [row["semi_low"] for row in rows] == [0.8, 0.5, 0.1]
    assert [row["semi_high"] for row in rows] == [0.9, 0.7, 0.1]


def test_information_finds_partners_that_correlation_misses(generator):
    x = generator.normal(size=(4000, 6))
    planted = generator.permutation(6)
    y = np.empty_like(x)
    y[:, planted] = x**2
    live = np.ones(6, bool)
    live[3] = False
    information = mutual_information(x, y)
    forward, backward = align_by_information(information, correlation(x, y), live, live[np.argsort(planted)])
    np.testing.assert_array_equal(forward.match[live], planted[live])
    assert forward.match[3] == -1
    assert set(forward.scores) == set(INFORMATION_MEASURES)
    assert forward.scores["information_mutual_best_share"] == backward.scores["information_mutual_best_share"] == 1
    expected = information[np.arange(6), planted][live].mean()
    assert forward.scores["information_semi_match_mean"] == pytest.approx(expected)
    assert forward.scores["information_argmax_agreement"] < 1


def test_measures_that_agree_are_said_to_agree(generator):
    x = generator.normal(size=(4000, 20))
    y = x + generator.uniform(0.5, 3, 20) * generator.normal(size=x.shape)
    live = np.ones(20, bool)
    forward, _ = align_by_information(mutual_information(x, y), correlation(x, y), live, live)
    assert forward.scores["information_argmax_agreement"] == 1
    assert forward.scores["information_shared_best"] >= 7
    assert forward.scores["information_rank_correlation"] > 0.9


def test_no_live_unit_no_agreement():
    nobody = np.zeros(2, bool)
    forward, _ = align_by_information(np.zeros((2, 2)), np.zeros((2, 2)), nobody, nobody)
    assert all(np.isnan(value) for value in forward.scores.values())


def test_units_without_a_partner_are_left_out_of_the_comparison():
    correlation, information = np.array([[0.1, 0.9], [0.0, 0.0]]), np.array([[0.3, 0.2], [0.0, 0.0]])
    rows = information_against_correlation("fc6", correlation, np.array([1, -1]), information, np.array([0, -1]))
    assert [tuple(row.values()) for row in rows] == [("fc6", 0, 0.9, 1, 0.3, 0)]
