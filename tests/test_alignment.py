"""Alignment of a pair in both directions."""

import numpy as np
import pytest

from convergent.alignment import align
from convergent.statistics import correlation


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
