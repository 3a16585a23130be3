"""Scores of a matching, and their spread over pairs."""

import numpy as np
import pytest

from convergent.errors import StudyError
from convergent.matching import bipartite_match, semi_match
from convergent.scores import (
    COLUMNS,
    MATCHING_MEASURES,
    fragment,
    matching_scores,
    mean_over_draws,
    require_fragment,
    score_rows,
)


def scores_of(similarity, dead=0):
    return matching_scores(similarity, semi_match(similarity), bipartite_match(similarity), dead)


def test_identical_networks_match_perfectly(generator):
    order = generator.permutation(12)
    scores = scores_of(np.where(np.arange(12)[:, None] == order, 1.0, 0.1))
    assert scores == {
        "semi_match_mean": 1,
        "match_mean": 1,
        "match_overlap": 1,
        "mutual_best_share": 1,
        "share_below_half": 0,
        "share_strong": 1,
        "share_near_identical": 1,
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


def test_half_is_not_below_half():
    assert scores_of(np.array([[0.5, 0.0], [0.0, 0.49]]))["share_below_half"] == 0.5


def test_without_live_units_there_are_no_scores():
    scores = matching_scores(None, None, None, 3)
    assert scores["dead_units"] == 3
    assert all(np.isnan(scores[measure]) for measure in MATCHING_MEASURES if measure != "dead_units")


def test_unmatched_units_of_a_wider_network_enter_no_one_to_one_mean():
    scores = scores_of(np.array([[0.9], [0.5], [0.1]]))
    assert scores["match_mean"] == pytest.approx(0.9)
    assert scores["semi_match_mean"] == pytest.approx(0.5)


def test_draws_are_averaged_pair_by_pair():
    def row(network_b, draw, value):
        scores = {"match_mean": value}
        return score_rows("s", "shuffled", "conv1", "net1", network_b, scores, draw=draw, key="k")[0]

    rows = mean_over_draws([row("net2", 1, 0.1), row("net3", 1, 0.7), row("net2", 2, 0.4), row("net3", 2, 0.9)])
    assert [set(row) for row in rows] == [set(COLUMNS)] * 2
    assert {row["network_b"]: row["value"] for row in rows} == pytest.approx({"net2": 0.25, "net3": 0.8})


def test_rows_of_another_run_are_refused():
    require_fragment("a.csv", fragment([{"key": "right"}]), ["other", "right"])
    with pytest.raises(StudyError, match=r"a\.csv was made by another run"):
        require_fragment("a.csv", fragment([{"key": "right"}, {"key": "wrong"}]), ["right"])


def test_lost_rows_are_noticed():
    rows = fragment([{"key": "k", "value": value} for value in range(4)])
    require_fragment("a.csv", rows, ["k"])
    with pytest.raises(StudyError, match=r"a\.csv has lost some of its rows"):
        require_fragment("a.csv", rows[:-1], ["k"])
    with pytest.raises(StudyError, match="lost some"):
        require_fragment("a.csv", [], ["k"])
    require_fragment("a.csv", [], ["k"], empty=True)
