"""Second-order statistics: agreement with NumPy, streaming, dead units, precision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convergent import statistics
from convergent.errors import StudyError
from convergent.statistics import Moments, correlation, pair_moments, tile_statistics, units_of


def rectified(generator, samples, units):
    return np.maximum(generator.normal(size=(samples, units)), 0).astype(np.float32)


def test_correlation_is_numpys(generator):
    x, y = rectified(generator, 500, 7), rectified(generator, 500, 5)
    expected = np.corrcoef(x, y, rowvar=False)[:7, 7:]
    np.testing.assert_allclose(correlation(x, y), expected, atol=1e-12)


def test_correlation_ignores_scale_and_offset_and_keeps_sign(generator):
    x = generator.normal(size=(300, 4))
    np.testing.assert_allclose(correlation(x, -3 * x + 100), -correlation(x, x), atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 60), st.integers(1, 30), st.integers(0, 2**31))
def test_streaming_equals_in_memory(samples, rows_per_block, seed):
    generator = np.random.default_rng(seed)
    x, y = rectified(generator, samples, 3), rectified(generator, samples, 4)
    streamed = pair_moments({"a": x, "b": y}, [("a", "b")], rows_per_block=rows_per_block)["a", "b"]
    whole = Moments.start(x, y)
    for one, other in ((streamed.x, whole.x), (streamed.y, whole.y)):
        for first, second in zip(one, other, strict=True):
            np.testing.assert_allclose(first, second, atol=1e-9)
    np.testing.assert_allclose(streamed.correlation(), whole.correlation(), atol=1e-9)


def test_moments_do_not_change_under_update(generator):
    x = rectified(generator, 20, 3)
    first = Moments.start(x)
    before = first.products.copy()
    first.update(x)
    np.testing.assert_array_equal(first.products, before)
    assert first.count == 20


def test_means_and_deviations_are_numpys(generator):
    x, y = rectified(generator, 400, 3), 1e4 + generator.normal(size=(400, 6))
    moments = pair_moments({"a": x, "b": y}, [("a", "b")], rows_per_block=64)["a", "b"]
    for ours, values in zip(moments.mean(), (x, y), strict=True):
        np.testing.assert_allclose(ours, values.mean(axis=0, dtype=np.float64), rtol=1e-12)
    for ours, values in zip(moments.standard_deviation(), (x, y), strict=True):
        np.testing.assert_allclose(ours, values.std(axis=0, dtype=np.float64), rtol=1e-9)


def test_a_large_mean_costs_no_precision(generator):
    """Sums of squares around zero would lose every digit here."""
    x = generator.normal(size=(5000, 3))
    np.testing.assert_allclose(correlation(x + 1e7, x + 1e7), np.corrcoef(x, rowvar=False), atol=1e-7)


@pytest.mark.parametrize("constant", [0.0, 0.1, -3.7, 1e30])
def test_dead_units_correlate_with_nothing(generator, constant):
    x = generator.normal(size=(101, 4))
    x[:, 2] = constant
    result = pair_moments({"a": x}, [("a", "a")], rows_per_block=13)["a", "a"]
    assert result.standard_deviation()[0][2] == 0
    assert not result.correlation()[2].any()
    assert not result.correlation()[:, 2].any()
    assert np.diag(result.correlation())[[0, 1, 3]] == pytest.approx(1)


def test_half_precision_is_accumulated_in_double(generator):
    x = rectified(generator, 20_000, 3).astype(np.float16)
    np.testing.assert_allclose(correlation(x, x), np.corrcoef(x.astype(np.float64), rowvar=False), atol=1e-12)


def test_networks_of_different_width_are_told_apart(generator):
    a, b, c = networks = [rectified(generator, 200, units) for units in (3, 5, 2)]
    tile = tile_statistics(dict(zip("abc", networks, strict=True)))
    assert tile["samples"] == 200
    np.testing.assert_allclose(tile["between/b/c"], correlation(b, c), atol=1e-12)
    np.testing.assert_allclose(tile["between/a/b"], correlation(a, b), atol=1e-12)
    np.testing.assert_allclose(tile["within/c"], np.corrcoef(c, rowvar=False), atol=1e-12)
    np.testing.assert_allclose(tile["mean/b"], b.mean(axis=0), rtol=1e-6)
    assert sorted(name for name in tile if name.startswith("between")) == ["between/a/b", "between/a/c", "between/b/c"]


def test_units_are_told_from_the_statistics(generator):
    a, b = rectified(generator, 50, 3), rectified(generator, 50, 2)
    a[:, 1] = 7
    units = units_of(tile_statistics({"a": a, "b": b}))
    np.testing.assert_allclose(units["a"].mean, a.mean(axis=0), rtol=1e-6)
    assert {name: list(own.live) for name, own in units.items()} == {"a": [True, False, True], "b": [True, True]}


def test_tiles_give_the_numbers_of_the_whole(generator):
    networks = {name: rectified(generator, 300, 4) for name in "abcd"}
    whole = tile_statistics(networks)
    first, second = ({name: networks[name] for name in names} for names in ("ab", "cd"))
    tiles = tile_statistics(first) | tile_statistics(second) | tile_statistics(first, second)
    assert tiles.keys() == whole.keys()
    for name, values in whole.items():
        np.testing.assert_allclose(tiles[name], values, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("per_image", [1, 4])
def test_reading_images_in_another_order_is_reordering_the_samples(generator, per_image):
    a, b = rectified(generator, 60, 3), rectified(generator, 60, 4)
    images = 60 // per_image
    order = generator.permutation(images)
    moments = pair_moments({"a": a, "b": b}, [("a", "b")], images, {"b": order}, rows_per_block=7)["a", "b"]
    shuffled = b.reshape(-1, per_image, 4)[order].reshape(60, 4)
    np.testing.assert_allclose(moments.correlation(), correlation(a, shuffled), atol=1e-12)


@pytest.mark.parametrize("per_image", [1, 4])
def test_some_images_may_be_read_or_one_several_times(generator, per_image):
    a, b = rectified(generator, 60, 3), rectified(generator, 60, 4)
    chosen = generator.integers(60 // per_image, size=9)
    moments = pair_moments(
        {"a": a, "b": b}, [("a", "b")], 60 // per_image, dict.fromkeys("ab", chosen), rows_per_block=7
    )["a", "b"]
    read = [values.reshape(-1, per_image, values.shape[1])[chosen].reshape(9 * per_image, -1) for values in (a, b)]
    assert moments.count == 9 * per_image
    np.testing.assert_allclose(moments.correlation(), correlation(*read), atol=1e-12)
    with pytest.raises(StudyError, match="samples differ"):
        pair_moments({"a": a, "b": b}, [("a", "b")], 60 // per_image, {"a": chosen})


def test_pairs_are_those_asked_for(generator):
    networks = {name: rectified(generator, 10, 2) for name in "abc"}
    networks["d"] = networks["a"] * np.nan
    wanted = [("a", "c"), ("b", "b"), ("c", "b")]
    assert list(pair_moments(networks, wanted)) == wanted
    assert pair_moments(networks, []) == {}


def test_very_wide_layers_take_another_product_with_the_same_result(generator, monkeypatch):
    x = rectified(generator, 50, 6)
    expected = Moments.start(x).correlation()
    monkeypatch.setattr(statistics, "WIDEST_TRIANGLE", 4)
    np.testing.assert_allclose(Moments.start(x).correlation(), expected, atol=1e-14)


def test_correlations_stay_between_minus_one_and_one(generator):
    x = generator.normal(size=(7, 200)) * 10.0 ** generator.integers(-8, 8, 200)
    assert np.abs(correlation(x, np.hstack([x, -x]))).max() <= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_named(generator, bad):
    a, b = rectified(generator, 50, 3), rectified(generator, 50, 4)
    b[41, 2] = bad
    with pytest.raises(StudyError, match="unit 2 of net2"):
        pair_moments({"net1": a, "net2": b}, [("net1", "net2")], rows_per_block=10)


def test_unequal_numbers_of_samples_are_refused(generator):
    with pytest.raises(StudyError, match="samples differ"):
        correlation(generator.normal(size=(10, 2)), generator.normal(size=(11, 2)))


def test_one_sample_is_not_enough(generator):
    with pytest.raises(StudyError, match="at least two"):
        correlation(generator.normal(size=(1, 2)), generator.normal(size=(1, 2)))


def test_moments_of_two_parts_joined_are_those_of_both(generator):
    x, y = generator.normal(size=(50, 4)) + 5, generator.normal(size=(50, 3))
    x[:, 1], y[:, 2] = 0.1, np.repeat([1.0, 2.0], [20, 30])  # dead in all, and in either part
    joined = Moments.start(x[:20], y[:20]).joined(Moments.start(x[20:], y[20:]))
    whole = Moments.start(x, y)
    assert joined.count == 50
    np.testing.assert_allclose(joined.correlation(), whole.correlation(), atol=1e-12)
    for ours, theirs in zip(joined.units(), whole.units(), strict=True):
        np.testing.assert_allclose(ours.mean, theirs.mean)
        np.testing.assert_allclose(ours.standard_deviation, theirs.standard_deviation)
        np.testing.assert_array_equal(ours.live, theirs.live)
