"""Scores of a matching, and their spread over pairs."""

import numpy as np
import pytest

from convergent.matching import bipartite_match, semi_match
from convergent.scores import MATCHING_MEASURES, matching_scores, summarise


def scores_of(similarity, live=None):
    live = np.ones(len(similarity), dtype=bool) if live is None else live
    return matching_scores(similarity, semi_match(similarity), bipartite_match(similarity), live)


def test_identical_networks_match_perfectly(generator):
    order = generator.permutation(12)
    scores = scores_of(np.where(np.arange(12)[:, None] == order, 1.0, 0.1))
    assert scores == {
        "semi_match_mean": 1,
        "match_mean": 1,
        "match_overlap": 1,
        "mutual_best_share": 1,
        "share_below_half": 0,
        "dead_units": 0,
    }


def test_scores_of_a_matrix_worked_by_hand():
    # Both units of the first network want unit 0 of the second; only the better of the two can have it.
    scores = scores_of(np.array([[0.9, 0.2], [0.8, 0.4]]))
    assert scores["semi_match_mean"] == pytest.approx((0.9 + 0.8) / 2)
    assert scores["match_mean"] == pytest.approx((0.9 + 0.4) / 2)
    assert scores["match_overlap"] == 0.5
    assert scores["mutual_best_share"] == 0.5
    assert scores["share_below_half"] == 0


def test_dead_units_are_counted_and_enter_no_mean():
    similarity = np.diag([1.0, 0.0, 1.0])
    scores = scores_of(similarity, np.array([True, False, True]))
    assert scores["match_mean"] == scores["semi_match_mean"] == scores["match_overlap"] == 1
    assert scores["dead_units"] == 1


def test_a_layer_without_a_live_unit_has_no_scores():
    scores = scores_of(np.zeros((3, 3)), np.zeros(3, dtype=bool))
    assert scores["dead_units"] == 3
    assert all(np.isnan(scores[measure]) for measure in MATCHING_MEASURES if measure != "dead_units")


def test_unmatched_units_of_a_wider_network_enter_no_one_to_one_mean():
    scores = scores_of(np.array([[0.9], [0.5], [0.1]]))
    assert scores["match_mean"] == pytest.approx(0.9)
    assert scores["semi_match_mean"] == pytest.approx(0.5)


def test_the_summary_is_the_spread_over_pairs():
    rows = [
        {"population": "trained", "layer": "conv1", "measure": "match_mean", "value": value}
        for value in (0.5, 0.7, 0.9)
    ]
    rows.append({"population": "untrained", "layer": "conv1", "measure": "match_mean", "value": 0.2})
    first, second = summarise(rows)
    assert (first["population"], first["pairs"], first["minimum"], first["maximum"]) == ("trained", 3, 0.5, 0.9)
    assert first["mean"] == pytest.approx(0.7)
    assert first["standard_deviation"] == pytest.approx(0.2)
    assert (second["pairs"], second["standard_deviation"]) == (1, 0)
