"""Mutual information: bins, agreement with independent estimates, known truths, tiles, devices, bad input."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from convergent import mutual_information as module
from convergent.errors import StudyError
from convergent.matching import bipartite_match, semi_match
from convergent.mutual_information import (
    codes,
    entropy,
    mutual_information,
    mutual_information_of_codes,
)
from convergent.statistics import correlation


def rectified(generator, samples, units):
    """Rectified units over a few shared latent variables, so that many pairs depend on each other."""
    latent = generator.normal(size=(samples, 3))
    return np.maximum(latent @ generator.normal(size=(3, units)) + generator.normal(size=units), 0).astype(np.float32)


# Bins


def test_zeros_of_a_rectified_unit_have_a_bin_of_their_own(generator):
    x = np.maximum(generator.normal(size=(4000, 3)) - [0, 1, -2], 0)
    values, counts, _ = codes(x, 10)
    np.testing.assert_array_equal(values == 0, x == 0)
    assert (np.ptp(counts[:, 1:], axis=1) <= 1).all()
    assert values.dtype == np.uint8


def test_a_unit_without_zeros_has_equal_counts_throughout(generator):
    counts = codes(1 + generator.random((1003, 4)), 10).counts
    assert set(np.unique(counts)) == {100, 101}


def test_zeros_among_negative_values_are_values_like_others(generator):
    x = generator.normal(size=(1000, 1))
    x[500:510] = 0
    values, counts, _ = codes(x, 10)
    assert (np.abs(counts - 100) <= 10).all()
    assert len(np.unique(values[500:510])) == 1
    assert ((values == values[500]) & (x != 0)).any()


def test_a_frequent_lowest_or_highest_value_has_a_bin_of_its_own(generator):
    """A rectified unit after a normalisation: most samples at one negative value, which no quantile would part."""
    x = np.maximum(generator.normal(size=(5000, 1)) - 1.5, 0)
    shifted = codes((x - x.mean()) / x.std(), 10)
    np.testing.assert_array_equal(shifted.values, codes(x, 10).values)
    turned = codes(-x, 10)
    np.testing.assert_array_equal(turned.values == turned.occupied - 1, x == 0)


def test_few_distinct_values_use_few_bins():
    x = np.repeat([[1.0, 5.0], [2.0, 5.0], [7.0, 5.0]], [900, 3, 97], axis=0)
    values, counts, _ = codes(x, 10)
    np.testing.assert_array_equal(counts[0], [900, 3, 97, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(codes(x, 10).occupied, [3, 1])
    assert not values[:, 1].any()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-4, 12), min_size=20, max_size=80), st.integers(2, 20), st.booleans())
def test_bins_keep_order_and_part_no_equal_values(values, bins, rectify):
    x = np.array(values, dtype=np.float32)[:, None]
    x = np.maximum(x, 0) if rectify else x
    found = codes(x, bins)
    order = np.argsort(x[:, 0], kind="stable")
    sorted_values, sorted_codes = x[order, 0], found.values[order, 0].astype(int)
    steps = np.diff(sorted_codes)
    assert set(steps) <= {0, 1}
    assert not steps[np.diff(sorted_values) == 0].any()
    assert sorted_codes[0] == 0
    assert sorted_codes[-1] + 1 == found.occupied[0] <= bins
    assert found.occupied[0] > 1 or np.ptp(x) == 0
    np.testing.assert_array_equal(found.counts[0], np.bincount(sorted_codes, minlength=bins))


def test_edges_from_some_samples_keep_the_zeros_and_nearly_equal_counts(generator):
    x = np.maximum(generator.normal(size=(50_000, 2)) - 0.5, 0).astype(np.float32)
    values, counts, _ = codes(x, 10, memory_bytes=10_000 * x[0].nbytes)
    np.testing.assert_array_equal(values == 0, x == 0)
    np.testing.assert_allclose(counts[:, 1:] / counts[:, 1:].mean(axis=1, keepdims=True), 1, atol=0.15)


def test_a_rare_positive_value_is_told_from_zero_even_if_no_edge_saw_it():
    x = np.zeros((10_000, 1))
    x[1234] = 1e-40
    values = codes(x, 10, memory_bytes=100 * x[0].nbytes).values
    np.testing.assert_array_equal(values == 0, x == 0)


def test_codes_of_a_memory_map_in_any_blocks_are_those_of_the_array(generator, tmp_path, monkeypatch):
    x = rectified(generator, 500, 4)
    np.save(tmp_path / "x.npy", x)
    whole = codes(x)
    monkeypatch.setattr(module, "ROWS_PER_BLOCK", 37)
    mapped = codes(np.load(tmp_path / "x.npy", mmap_mode="r"))
    np.testing.assert_array_equal(mapped.values, whole.values)


# Mutual information


def histogram_estimate(a, b):
    """Plug-in estimate of one pair of integer codes, straight from the formula."""
    joint = np.histogram2d(a, b, bins=(np.arange(a.max() + 2), np.arange(b.max() + 2)))[0] / len(a)
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    return (joint[joint > 0] * np.log(joint[joint > 0] / independent[joint > 0])).sum()


@pytest.mark.parametrize("bins", [2, 3, 10, 17])
@pytest.mark.parametrize("samples", [50, 10_000])
def test_it_is_the_histogram_estimate(generator, bins, samples):
    x, y = rectified(generator, samples, 5), generator.normal(size=(samples, 4))
    y[:, :2] += x[:, :2]
    information = mutual_information(x, y, bins)
    codes_x, codes_y = codes(x, bins).values, codes(y, bins).values
    for i, j in np.ndindex(information.shape):
        assert information[i, j] == pytest.approx(histogram_estimate(codes_x[:, i], codes_y[:, j]), abs=1e-12)
        assert information[i, j] == pytest.approx(mutual_info_score(codes_x[:, i], codes_y[:, j]), abs=1e-12)


def test_most_bins_and_bins_that_differ(generator):
    x, y = rectified(generator, 3000, 2), rectified(generator, 3000, 3)
    a, b = codes(x, 256), codes(y, 5)
    information = mutual_information_of_codes(a, b)
    for i, j in np.ndindex(information.shape):
        assert information[i, j] == pytest.approx(mutual_info_score(a.values[:, i], b.values[:, j]), abs=1e-12)


def test_it_is_symmetric_and_at_most_either_entropy(generator):
    x, y = rectified(generator, 2000, 6), rectified(generator, 2000, 5)
    information = mutual_information(x, y)
    np.testing.assert_allclose(information, mutual_information(y, x).T, atol=1e-12)
    bound = np.minimum.outer(entropy(codes(x)), entropy(codes(y)))
    assert (information >= 0).all()
    assert (information <= bound + 1e-12).all()


def test_a_unit_tells_of_itself_all_its_entropy(generator):
    x = rectified(generator, 2000, 6)
    np.testing.assert_allclose(np.diag(mutual_information(x, x)), entropy(codes(x)), atol=1e-12)
    np.testing.assert_allclose(entropy(codes(generator.random((1000, 2)))), np.log(10), atol=1e-12)


def test_order_of_samples_and_increasing_transforms_change_nothing(generator):
    x, y = rectified(generator, 1001, 4).astype(np.float64), generator.normal(size=(1001, 3))
    information = mutual_information(x, y)
    order = generator.permutation(1001)
    np.testing.assert_allclose(mutual_information(x[order], y[order]), information, atol=1e-12)
    np.testing.assert_allclose(mutual_information(np.expm1(x), y**3), information, atol=1e-12)


def test_a_decreasing_transform_changes_nothing_where_counts_are_equal(generator):
    x, y = generator.normal(size=(2, 1000, 3))
    y += x
    np.testing.assert_allclose(mutual_information(x, -np.exp(y)), mutual_information(x, y), atol=1e-12)


@pytest.mark.parametrize("bins", [5, 10])
def test_the_bias_of_independent_units_is_as_predicted_and_corrected(generator, bins):
    x, y = generator.normal(size=(2, 2000, 40))
    bias = (bins - 1) ** 2 / (2 * 2000)
    assert mutual_information(x, y, bins).mean() == pytest.approx(bias, rel=0.03)
    corrected = mutual_information(x, y, bins, bias_correction="miller_madow")
    assert corrected.mean() == pytest.approx(0, abs=0.03 * bias)
    assert (corrected < 0).any()


def test_the_correction_counts_only_bins_in_use(generator):
    x, y = generator.integers(0, 3, size=(2, 1000, 30)).astype(float)
    y[:, 0] = 4
    difference = mutual_information(x, y) - mutual_information(x, y, bias_correction="miller_madow")
    np.testing.assert_allclose(difference[:, 1:], 2 * 2 / 2000, atol=1e-12)
    assert not difference[:, 0].any()


def test_it_rises_with_the_bins_to_that_of_a_gaussian_pair(generator):
    r = 0.8
    x = generator.normal(size=(100_000, 1))
    y = r * x + np.sqrt(1 - r**2) * generator.normal(size=x.shape)
    truth = -0.5 * np.log(1 - r**2)
    found = [mutual_information(x, y, bins, "miller_madow")[0, 0] for bins in (2, 4, 8, 16, 32)]
    assert (np.diff(found) > 0).all()
    assert truth - 0.025 < found[-1] < truth


def test_a_planted_order_is_found_where_correlation_sees_nothing(generator):
    """Every unit of y is an even function of a unit of x, and so uncorrelated with it."""
    x = generator.normal(size=(5000, 12))
    planted = generator.permutation(12)
    y = np.empty_like(x)
    y[:, planted] = x**2
    y[:, planted[:4]] = np.cos(2 * x[:, :4])
    information = mutual_information(x, y)
    np.testing.assert_array_equal(bipartite_match(information), planted)
    np.testing.assert_array_equal(semi_match(information), planted)
    assert np.abs(correlation(x, y)[np.arange(12), planted]).max() < 0.1


@pytest.mark.parametrize("correction", [None, "miller_madow"])
@pytest.mark.parametrize("constant", [0.0, 0.1, -3.0])
def test_dead_units_share_nothing(generator, constant, correction):
    x, y = rectified(generator, 777, 4), rectified(generator, 777, 3)
    x[:, 2] = constant
    y[:, 0] = constant
    information = mutual_information(x, y, bias_correction=correction)
    assert not information[2].any()
    assert not information[:, 0].any()
    assert entropy(codes(x))[2] == pytest.approx(0, abs=1e-12)
    assert information[0, 1] != 0


def test_half_precision_is_binned_as_it_is(generator):
    x, y = rectified(generator, 3000, 4).astype(np.float16), rectified(generator, 3000, 3).astype(np.float16)
    np.testing.assert_array_equal(mutual_information(x, y), mutual_information(x.astype(float), y.astype(float)))


# Tiles, blocks, devices


@pytest.mark.parametrize("memory_bytes", [1, 10**5, 10**6])
def test_tiles_change_nothing(generator, memory_bytes):
    x, y = rectified(generator, 300, 23), rectified(generator, 300, 17)
    assert module.tile_side(300, 10, 10, memory_bytes) < 23
    whole = mutual_information(x, y)
    np.testing.assert_allclose(mutual_information(x, y, memory_bytes=memory_bytes), whole, atol=1e-12)


def test_counts_are_exact_across_blocks_of_samples(generator):
    """More equal samples than one product may count: the fields of a packed number must not overflow."""
    x = np.zeros((3 * module.SAMPLES_PER_PRODUCT + 5, 3))
    x[::2, 0], x[1::3, 1], x[1::3, 2] = 1, 1, 2
    x[0, 2] = 1
    information, binned = mutual_information(x, x), codes(x).values
    for i, j in np.ndindex(3, 3):
        assert information[i, j] == pytest.approx(histogram_estimate(binned[:, i], binned[:, j]), abs=1e-12)


def test_memory_stays_within_a_tile(generator):
    x = codes(rectified(generator, 100, 512))
    limit = 2**23
    result_bytes = 512 * 512 * 8
    all_pairs = (10 * 512) ** 2 * 8
    tracemalloc.start()
    mutual_information_of_codes(x, x, memory_bytes=limit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < limit + 4 * result_bytes < all_pairs / 10


def test_pytorch_gives_the_same_numbers(generator):
    x, y = rectified(generator, 5000, 7), rectified(generator, 5000, 6)
    for options in ({}, {"bias_correction": "miller_madow"}, {"memory_bytes": 1}, {"bins": 4}):
        ours, theirs = (mutual_information(x, y, **options, device=device) for device in (None, "cpu"))
        np.testing.assert_allclose(theirs, ours, atol=1e-12)
        assert isinstance(theirs, np.ndarray)


# Bad input


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_named(generator, bad):
    x, y = rectified(generator, 50, 3), rectified(generator, 50, 4)
    y[41, 2] = bad
    with pytest.raises(StudyError, match="unit 2 of y"):
        mutual_information(x, y)


def test_what_cannot_be_binned_is_refused(generator):
    x = rectified(generator, 9, 2)
    with pytest.raises(StudyError, match="samples differ"):
        mutual_information(x, x[:8], 5)
    with pytest.raises(StudyError, match="10 bins need at least as many samples, but x has 9"):
        mutual_information(x, x)
    for bins in (1, 257):
        with pytest.raises(StudyError, match="2 to 256 bins"):
            mutual_information(x, x, bins)
    with pytest.raises(StudyError, match="no bias correction 'bits'"):
        mutual_information(x, x, 5, "bits")


# Comparison with correlation


@pytest.mark.parametrize("bias_correction", [None, "miller_madow"])
def test_a_sample_counted_several_times_is_as_many_samples(generator, bias_correction):
    times = np.concatenate([generator.integers(1, 5, size=300), [module.SAMPLES_PER_PRODUCT - 3, 4000]])
    rows = np.repeat(np.arange(302), times)
    x, y = (codes(rectified(generator, 302, units)[rows]) for units in (4, 3))
    first = np.cumsum(times) - times
    information = mutual_information_of_codes(x.distinct(first, times), y.distinct(first, times), bias_correction)
    np.testing.assert_array_equal(information, mutual_information_of_codes(x, y, bias_correction))


def test_slices_hold_as_many_samples_as_can_be_counted(generator):
    times = generator.integers(1, 900, size=200)
    slices = list(module.countable(times))
    assert np.concatenate([np.arange(200)[rows] for rows in slices]).tolist() == list(range(200))
    assert max(times[rows].sum() for rows in slices) <= module.SAMPLES_PER_PRODUCT
    with pytest.raises(StudyError, match="5000 times"):
        list(module.countable(np.array([1, 5000])))


@pytest.mark.parametrize(("samples", "times"), [(50, 1), (5000, 1), (60, 300)])
def test_products_of_bytes_count_as_those_of_floats_do(generator, samples, times):
    x, y = generator.normal(size=(samples, 5)).clip(0), generator.normal(size=(samples, 4))
    counted = generator.integers(0, times + 1, samples)
    codes_x, codes_y = (codes(values, 7)._replace(times=counted) for values in (x, y))
    tile = codes_x, codes_y, slice(1, 5), slice(0, 3)
    np.testing.assert_array_equal(module.integer_counts(*tile), module.float_counts(*tile, np, {}))


def test_either_way_gives_the_same_information(generator, monkeypatch):
    x, y = generator.normal(size=(500, 6)), generator.normal(size=(500, 5))
    expected = mutual_information(x, y)
    used = []
    monkeypatch.setattr(module, "integers_pay", lambda operations: used.append(operations) or True)
    np.testing.assert_array_equal(mutual_information(x, y), expected)
    assert used == [500 * 9 * 6 * 9 * 5]
