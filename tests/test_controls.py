"""Controls: nothing to find, and everything to find."""

import numpy as np
import pytest

from convergent.alignment import align
from convergent.controls import (
    across,
    permuted_correlation,
    require_recovered,
    shuffled_moments,
    sibling_correlation,
)
from convergent.errors import StudyError
from convergent.statistics import correlation


def test_shuffling_removes_what_two_networks_share_and_keeps_each_network(generator):
    x = generator.normal(size=(3000, 5))
    (shuffled,) = shuffled_moments({"a": x, "b": x}, None, 3000, 1, generator)
    assert list(shuffled) == [("a", "b")]
    assert np.abs(shuffled["a", "b"].correlation()).max() < 5 / np.sqrt(3000)
    for deviations in shuffled["a", "b"].standard_deviation():
        np.testing.assert_allclose(deviations, x.std(axis=0))


def test_whole_images_are_shuffled(generator):
    """A value that is the same at all positions of an image keeps pairing with itself within the image."""
    images, positions = 40, 9
    x = np.repeat(generator.normal(size=(images, 1)), positions, axis=0)
    y = np.tile(generator.normal(size=(positions, 1)), (images, 1))
    networks = dict.fromkeys("ab", np.hstack([x, y]))
    (shuffled,) = shuffled_moments(networks, None, images, 1, generator)
    between = shuffled["a", "b"].correlation()
    # The pattern over positions is common to all images, so shuffling images must leave it perfectly correlated.
    assert between[1, 1] == pytest.approx(1)
    assert abs(between[0, 0]) < 0.9


def test_one_side_may_keep_its_order(generator):
    x, y = generator.normal(size=(3000, 2)), generator.normal(size=(3000, 3))
    (shuffled,) = shuffled_moments({"a": x}, {"b": np.hstack([x, y])}, 3000, 1, generator)
    assert shuffled["a", "b"].correlation().shape == (2, 5)
    assert np.abs(shuffled["a", "b"].correlation()).max() < 5 / np.sqrt(3000)


def test_draws_differ_and_a_seed_repeats_them(generator):
    x = generator.normal(size=(100, 3))

    def draw():
        draws = shuffled_moments({"a": x, "b": x}, None, 100, 2, np.random.default_rng(7))
        return [shuffled["a", "b"].products for shuffled in draws]

    (first, second), (again, _) = draw(), draw()
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, again)


def test_populations_are_compared_in_both_directions(generator):
    first = {name: generator.normal(size=(50, units)) for name, units in (("a", 3), ("b", 4))}
    second = {name: generator.normal(size=(50, units)) for name, units in (("a", 3), ("b", 4))}
    found = across(first, second, [("a", "b"), ("b", "a")])
    assert list(found) == [("a", "b"), ("b", "a")]
    for (a, b), moments in found.items():
        np.testing.assert_allclose(moments.correlation(), correlation(first[a], second[b]), atol=1e-12)


def test_the_planted_order_of_units_comes_back(generator):
    x = np.maximum(generator.normal(size=(400, 30)), 0).astype(np.float32)
    x[:, 4] = 0
    between, planted, live = permuted_correlation(x, generator)
    match = require_recovered(between, planted, live)
    np.testing.assert_array_equal(match[live], planted[live])
    np.testing.assert_allclose(between[np.arange(30), planted][live], 1)
    assert list(np.flatnonzero(~live)) == [4]


def test_twins_may_be_exchanged(generator):
    x = generator.normal(size=(50, 3))
    x[:, 2] = x[:, 0]
    between, planted, live = permuted_correlation(x, generator)
    require_recovered(between, planted, live)


def test_a_broken_correlation_fails_the_positive_control(generator):
    x = generator.normal(size=(50, 6))
    between, planted, live = permuted_correlation(x, generator)
    with pytest.raises(StudyError, match="positive control"):
        require_recovered(np.roll(between, 1, axis=0), np.roll(planted, 1)[::-1], live)


def test_blocks_make_no_difference_to_the_control(generator):
    x = generator.normal(size=(9000, 4))
    between, planted, _ = permuted_correlation(x, generator)
    np.testing.assert_allclose(between[:, planted], correlation(x, x), atol=1e-12)


def test_a_unit_that_varies_only_late_is_live(generator):
    x = np.zeros((9000, 3))
    x[:4096] = generator.normal(size=3)
    x[:, 0] = generator.normal(size=9000)
    x[:, 1] = 0
    x[5000, 1] = 1
    _, _, live = permuted_correlation(x, generator)
    assert live[:2].all()


def test_a_match_below_one_fails_the_positive_control(generator):
    between, planted, live = permuted_correlation(generator.normal(size=(50, 4)), generator)
    between[0] *= 1 - 1e-6
    with pytest.raises(StudyError, match="positive control"):
        require_recovered(between, planted, live)


def test_siblings_are_the_other_units_of_the_same_network(generator):
    x = generator.normal(size=(500, 6))
    within = correlation(x, x)
    siblings = sibling_correlation(within)
    np.testing.assert_allclose(np.diag(within), 1)  # it stays as it was
    others = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(siblings[others], np.corrcoef(x, rowvar=False)[others], atol=1e-12)


def test_no_unit_is_its_own_sibling(generator):
    """Even where the others fit so badly that leaving one out would pay."""
    u = generator.normal(size=200)
    x, live = np.column_stack([u, u, -u]), np.ones(3, dtype=bool)
    forward, _ = align(sibling_correlation(correlation(x, x)), live, live)
    assert (forward.match != np.arange(3)).all()
    assert (forward.semi != np.arange(3)).all()
