"""Activity of units: spectra against SciPy's Kolmogorov-Smirnov test, matched units, what is undefined."""

import numpy as np
import pytest
from scipy.stats import ks_2samp, spearmanr

from convergent.activity import (
    activity_scores,
    joint_pairs,
    matched_units,
    spectrum,
    spectrum_distance,
    spectrum_scores,
)
from convergent.statistics import Units


def units(mean, deviation=None):
    mean = np.asarray(mean, dtype=float)
    return Units(mean, np.ones(len(mean)) if deviation is None else np.asarray(deviation, dtype=float))


def test_distance_is_scipys_and_ignores_scale(generator):
    x, y = generator.exponential(size=40), generator.gamma(3, size=25)
    expected = ks_2samp(x / x.mean(), y / y.mean()).statistic
    assert spectrum_distance(x, y) == pytest.approx(expected)
    assert spectrum_distance(7 * x, y) == pytest.approx(expected)
    assert spectrum_distance(x, 2 * x) == 0


def test_range_and_largest_are_of_live_units():
    assert spectrum_scores(units([4.0, 0.5, 100.0, 2.0], [1, 1, 0, 1])) == {"spectrum_range": 8, "largest_mean": 4}


@pytest.mark.parametrize(("mean", "deviation"), [([1.0, -1.0], [1, 1]), ([1.0, 0.0], [1, 1]), ([1.0], [0])])
def test_a_range_needs_positive_live_means(mean, deviation):
    assert np.isnan(spectrum_scores(units(mean, deviation))["spectrum_range"])


def test_constant_and_dead_units_compare_nothing():
    x, y = units([1.0, 2, 3, 9], [1, 1, 1, 0]), units([2.0, 2, 2], [1, 1, 1])
    scores = activity_scores(x, y, np.full((4, 3), 0.9), np.array([0, 1, 2, -1]))
    assert np.isnan(scores["matched_mean_correlation"])
    # The dead unit's mean is not part of the spectrum.
    assert scores["spectrum_distance"] == spectrum_distance(x.mean[:3], y.mean) != spectrum_distance(x.mean, y.mean)


def test_no_live_units_have_no_distance():
    assert np.isnan(spectrum_distance(np.zeros(0), np.ones(3)))
    assert np.isnan(spectrum_distance(-np.ones(2), np.ones(3)))


def test_only_alike_pairs_are_compared(generator):
    x, y = (Units(generator.exponential(size=6), generator.exponential(size=6)) for _ in range(2))
    match = np.array([2, 0, 1, -1, 4, 3])
    correlation = np.full((6, 6), 0.1)
    for unit in (0, 1, 4):
        correlation[unit, match[unit]] = 0.8
    scores = activity_scores(x, y, correlation, match)
    assert scores["matched_mean_correlation"] == pytest.approx(spearmanr(x.mean[[0, 1, 4]], y.mean[[2, 0, 4]])[0])
    deviations = spearmanr(x.standard_deviation[[0, 1, 4]], y.standard_deviation[[2, 0, 4]])[0]
    assert scores["matched_deviation_correlation"] == pytest.approx(deviations)
    correlation[0, 2] = 0.79
    assert np.isnan(activity_scores(x, y, correlation, match)["matched_mean_correlation"])


def test_a_network_and_itself_have_the_same_activity(generator):
    own = Units(generator.exponential(size=9), generator.exponential(size=9))
    scores = activity_scores(own, own, np.eye(9), np.arange(9))
    assert list(scores.values()) == [0, pytest.approx(1), pytest.approx(1)]


def test_a_spectrum_falls_and_names_its_units(generator):
    own = units(generator.normal(size=7))
    rows = spectrum("conv1", "net1", own)
    assert [row["mean"] for row in rows] == sorted(own.mean, reverse=True)
    assert all(row["mean"] == own.mean[row["unit"]] for row in rows)


def test_matched_units_stand_beside_their_partners(generator):
    x, y = units([1.0, 2.0, 3.0]), units([10.0, 20.0])
    correlation = generator.random((3, 2))
    rows = matched_units("conv1", x, y, correlation, np.array([1, -1, 0]))
    assert [(row["unit_a"], row["unit_b"], row["mean_a"], row["mean_b"]) for row in rows] == [
        (0, 1, 1.0, 20.0),
        (2, 0, 3.0, 10.0),
    ]
    assert rows[0]["correlation"] == correlation[0, 1]


def test_joint_activations_are_of_the_best_and_the_worst_pairs(generator):
    x, y = generator.random((5, 4)), generator.random((5, 3))
    correlation = np.zeros((4, 3))
    correlation[[0, 1, 2], [2, 0, 1]] = 0.5, 0.9, 0.1
    pairs = joint_pairs("conv1", x, y, correlation, np.array([2, 0, 1, -1]), each=1)
    assert [(pair["unit_a"], pair["unit_b"], pair["correlation"]) for pair in pairs] == [(1, 0, 0.9), (2, 1, 0.1)]
    np.testing.assert_array_equal(pairs[0]["x"], x[:, 1])
    np.testing.assert_array_equal(pairs[0]["y"], y[:, 0])
    assert len(joint_pairs("conv1", x, y, correlation, np.array([2, 0, 1, -1]), each=2)) == 3
