"""Which units are drawn, and that the table of them reads back as the figures need it."""

import numpy as np

from convergent.examples import (
    BEST,
    LEAST,
    MOST,
    WORST,
    activity_drawn,
    activity_examples,
    group_examples,
    groups_drawn,
    pair_examples,
    pairs_drawn,
    predictor_examples,
    predictors_drawn,
    units_drawn,
)

NAMES = ("net1", "net2")


def test_pairs_at_both_ends_in_order(generator):
    similarity = generator.random((20, 15))
    semi = similarity.argmax(axis=1)
    semi[3] = -1
    rows = pair_examples("unit_pairs", "conv1", NAMES, similarity, semi)
    ordered = sorted(((similarity[unit, semi[unit]], unit) for unit in range(20) if unit != 3), reverse=True)
    best, worst = (pairs_drawn(rows, end) for end in (BEST, WORST))
    assert [unit for unit, *_ in best] == [unit for _, unit in ordered[:8]]
    assert [unit for unit, *_ in worst] == [unit for _, unit in ordered[-8:]]
    assert all(partner == semi[unit] and value == similarity[unit, partner] for unit, partner, value in best + worst)


def test_no_unit_is_at_both_ends():
    for count, shown in ((1, (1, 0)), (3, (2, 1)), (12, (6, 6)), (20, (8, 8))):
        rows = pair_examples("unit_pairs", "conv1", NAMES, np.eye(count), np.arange(count))
        best, worst = ([unit for unit, *_ in pairs_drawn(rows, end)] for end in (BEST, WORST))
        assert (len(best), len(worst)) == shown and not set(best) & set(worst)
    assert pairs_drawn(pair_examples("unit_pairs", "conv1", NAMES, np.eye(2), np.array([-1, -1])), BEST) == []


def test_the_most_and_the_least_active_live_units():
    mean = np.arange(30.0)
    live = mean != 29
    rows = activity_examples("activity_extremes", "conv1", "net1", mean, live)
    assert [unit for unit, _ in activity_drawn(rows, MOST, ["net1"])["net1"]] == list(range(28, 20, -1))
    assert activity_drawn(rows, LEAST, ["net1", "net2"])["net1"] == [(unit, float(unit)) for unit in range(7, -1, -1)]


def test_groups_are_ranked_by_what_they_share():
    labels = np.array([0, 0, 1, 2, 3, 0, 1, 1, 2, 2])  # five units each; group 3 is of the first network alone
    between = np.zeros((5, 5))
    between[:2, 0] = 0.4, 0.6
    between[2, 1:3] = 0.9, 0.7
    between[3, 3:] = 0.1
    rows = group_examples("unit_groups", "conv1", NAMES, labels, np.eye(5), np.eye(5), between)
    assert groups_drawn(rows, NAMES) == [([2], [1, 2], 0.8), ([1, 0], [0], 0.5), ([3], [3, 4], 0.1)]


def test_targets_that_gain_most_come_first_with_their_predictors():
    predictors = np.array([[0, 1, 2], [3, -1, 0]])
    weights = np.array([[1.0, 0.5, 0.2], [-0.3, 0.0, 0.7]])
    r_squared = np.array([[0.5, 0.9, 0.1], [0.6, 0.9, np.nan]])
    rows = predictor_examples("unit_predictors", "conv1", NAMES, predictors, weights, r_squared)
    assert predictors_drawn(rows) == [(0, [(0, 1.0), (3, -0.3)]), (1, [(1, 0.5)])]


def test_every_unit_of_every_figure_gets_its_picture():
    rows = pair_examples("unit_pairs", "conv1", NAMES, np.eye(3), np.array([2, 1, -1]))
    rows += activity_examples("activity_extremes", "conv2", "net1", np.array([3.0, 1.0]), np.array([True, True]))
    assert units_drawn(rows, "net1") == {"conv1": [0, 1], "conv2": [0, 1]}
    assert units_drawn(rows, "net2") == {"conv1": [1, 2]}
    assert units_drawn(rows, "net3") == {}
