"""Agreement of two similarity measures on partners."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from convergent.comparison import average_ranks, compare_similarities
from convergent.errors import StudyError


def test_two_measures_that_are_monotone_in_each_other_agree(generator):
    similarity = generator.random((30, 25))
    compared = compare_similarities(similarity, similarity**3, np.ones(30, bool))
    assert compared == {
        "compared": 8,
        "shared_best": 8,
        "shared_best_units": 8,
        "shared_worst": 8,
        "shared_worst_units": 8,
        "argmax_agreement": 1,
        "rank_correlation": pytest.approx(1),
    }


def test_shared_pairs_have_the_same_unit_and_the_same_partner():
    strength = np.arange(1, 21) / 20
    first = np.diag(strength)
    second = np.diag(strength)
    second[[19, 0]] = second[[19, 0]][:, ::-1]  # the best and the worst unit get another partner, with the same value
    second[[18, 5]] = second[[5, 18]][:, np.r_[:20]]  # a unit of the best eight changes places with one of the worst
    compared = compare_similarities(first, second, np.ones(20, bool))
    assert compared["shared_best_units"] == compared["shared_worst_units"] == 7
    assert compared["shared_best"] == compared["shared_worst"] == 6
    assert compared["argmax_agreement"] == pytest.approx(16 / 20)


def test_rank_correlation_is_scipys_over_live_units(generator):
    first, second = generator.random((2, 40, 10)).round(1)
    live = generator.random(40) < 0.7
    compared = compare_similarities(first, second, live)
    expected = spearmanr(first.max(axis=1)[live], second.max(axis=1)[live]).statistic
    assert compared["rank_correlation"] == pytest.approx(expected)


def test_few_and_dead_units_are_compared_as_far_as_they_go(generator):
    similarity = generator.random((12, 5))
    live = np.arange(12) < 3
    compared = compare_similarities(similarity, similarity, live)
    assert compared["compared"] == compared["shared_best"] == compared["shared_worst"] == 3
    none = compare_similarities(similarity, similarity, np.zeros(12, bool))
    assert none["compared"] == none["shared_best"] == 0
    assert np.isnan(none["argmax_agreement"])
    assert np.isnan(none["rank_correlation"])
    with pytest.raises(StudyError, match="different units"):
        compare_similarities(similarity, similarity[:, :4], live)


@pytest.mark.parametrize("values", [[], [3.0], [2.0, 2.0, 1.0, 5.0, 2.0, -1.0]])
def test_ranks_are_scipys(values):
    np.testing.assert_array_equal(average_ranks(np.array(values)), rankdata(values) if values else [])
