"""Controls: nothing to find, and everything to find."""

import numpy as np
import pytest

from convergent.controls import permuted_correlation, require_recovered, shuffled_moments, sibling_correlation
from convergent.errors import StudyError
from convergent.statistics import stacked_moments


def test_shuffling_removes_what_two_networks_share_and_keeps_each_network(generator):
    x = generator.normal(size=(3000, 5))
    (moments,) = shuffled_moments({"a": x, "b": x}, None, np.arange(3000), 1, generator)
    correlations = moments.correlation()
    np.testing.assert_allclose(correlations[:5, :5], np.corrcoef(x, rowvar=False), atol=1e-12)
    assert np.abs(correlations[:5, 5:]).max() < 5 / np.sqrt(3000)


def test_whole_images_are_shuffled(generator):
    """A value that is the same at all positions of an image keeps pairing with itself within the image."""
    images, positions = 40, 9
    x = np.repeat(generator.normal(size=(images, 1)), positions, axis=0)
    y = np.tile(generator.normal(size=(positions, 1)), (images, 1))
    image_of_row = np.repeat(np.arange(images), positions)
    networks = dict.fromkeys("ab", np.hstack([x, y]))
    (moments,) = shuffled_moments(networks, None, image_of_row, 1, generator)
    between = moments.correlation()[:2, 2:]
    # The pattern over positions is common to all images, so shuffling images must leave it perfectly correlated.
    assert between[1, 1] == pytest.approx(1)
    assert abs(between[0, 0]) < 0.9


def test_one_side_may_keep_its_order(generator):
    x, y = generator.normal(size=(3000, 2)), generator.normal(size=(3000, 3))
    (moments,) = shuffled_moments({"a": x}, {"b": np.hstack([x, y])}, np.arange(3000), 1, generator)
    assert moments.correlation().shape == (2, 5)
    assert np.abs(moments.correlation()).max() < 5 / np.sqrt(3000)


def test_draws_differ_and_a_seed_repeats_them(generator):
    x = generator.normal(size=(100, 3))

    def draw():
        draws = shuffled_moments({"a": x, "b": x}, None, np.arange(100), 2, np.random.default_rng(7))
        return [moments.products for moments in draws]

    (first, second), (again, _) = draw(), draw()
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, again)


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
    full = stacked_moments({"x": x}).correlation()
    np.testing.assert_allclose(between[:, planted], full, atol=1e-12)


def test_siblings_are_the_other_units_of_the_same_network(generator):
    x = generator.normal(size=(500, 6))
    between, planted, _ = permuted_correlation(x, generator)
    siblings = sibling_correlation(between, planted)
    expected = np.corrcoef(x, rowvar=False)
    np.fill_diagonal(expected, -1)
    np.testing.assert_allclose(siblings, expected, atol=1e-12)
    assert (siblings.argmax(axis=1) != np.arange(6)).all()
