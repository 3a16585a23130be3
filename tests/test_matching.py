"""Assignments: planted permutations, SciPy's solver, unequal widths, ties with dead units."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convergent.errors import StudyError
from convergent.matching import bipartite_match, mutual_best, reversed_match, semi_match, values_of
from convergent.statistics import correlation


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_a_planted_permutation_is_recovered(generator, noise):
    x = np.maximum(generator.normal(size=(2000, 40)), 0)
    planted = generator.permutation(40)
    y = np.empty_like(x)
    y[:, planted] = 2.5 * x + noise * x.std() * generator.normal(size=x.shape)
    similarity = correlation(x, y)
    np.testing.assert_array_equal(bipartite_match(similarity), planted)
    np.testing.assert_array_equal(semi_match(similarity), planted)
    assert mutual_best(similarity).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**31))
def test_no_assignment_has_a_larger_sum(units_x, units_y, seed):
    similarity = np.random.default_rng(seed).normal(size=(units_x, units_y))
    partners = bipartite_match(similarity)
    matched = partners[partners >= 0]
    assert len(matched) == min(units_x, units_y) == len(set(matched))
    wide = similarity if units_x <= units_y else similarity.T
    best = max(
        sum(wide[row, column] for row, column in enumerate(columns))
        for columns in itertools.permutations(range(wide.shape[1]), wide.shape[0])
    )
    assert np.nansum(values_of(similarity, partners)) == pytest.approx(best)


def test_semi_matching_is_never_below_matching(generator):
    similarity = generator.normal(size=(30, 30))
    best = values_of(similarity, semi_match(similarity))
    assert (best >= values_of(similarity, bipartite_match(similarity))).all()
    np.testing.assert_array_equal(best, similarity.max(axis=1))


def test_a_wider_network_keeps_unmatched_units(generator):
    similarity = generator.normal(size=(6, 4))
    partners = bipartite_match(similarity)
    assert (partners == -1).sum() == 2
    assert np.isnan(values_of(similarity, partners)).sum() == 2


def test_mutual_best_is_symmetric(generator):
    similarity = generator.normal(size=(20, 25))
    forward, backward = mutual_best(similarity), mutual_best(similarity.T)
    np.testing.assert_array_equal(np.sort(semi_match(similarity)[forward]), np.flatnonzero(backward))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("match", [bipartite_match, semi_match])
def test_a_similarity_that_is_no_number_is_refused(match, bad):
    similarity = np.eye(3)
    similarity[1, 2] = bad
    with pytest.raises(StudyError, match="units 1 and 2"):
        match(similarity)


def test_a_vector_is_not_a_similarity_matrix():
    with pytest.raises(StudyError, match="shape"):
        bipartite_match(np.ones(3))


@pytest.mark.parametrize("shape", [(5, 5), (6, 4), (4, 6)])
def test_a_matching_seen_from_the_other_side(generator, shape):
    similarity = generator.normal(size=shape)
    partners = bipartite_match(similarity)
    np.testing.assert_array_equal(reversed_match(partners, shape[1]), bipartite_match(similarity.T))
