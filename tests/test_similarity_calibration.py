"""Calibration against permuted samples: uniform p-values, corrected maxima, derived factors, whole images."""

import numpy as np
import pytest
from scipy.stats import kstest

from convergent.errors import StudyError
from convergent.similarity import MEASURES, Measure, Representation, Undefined, calibration
from convergent.similarity.calibration import calibrate, calibrate_maximum


def related(generator, samples=60, units=(7, 5), noise=0.5):
    latent = generator.normal(size=(samples, 6))
    return tuple(
        latent @ generator.normal(size=(6, width)) + noise * generator.normal(size=(samples, width)) + 0.3
        for width in units
    )


@pytest.mark.parametrize("name", MEASURES)
def test_a_permuted_network_scores_as_its_permuted_activations(name, generator):
    """What belongs to one network is derived, not computed again; the score is the same."""
    x, y = related(generator)
    order = generator.permutation(60)
    whole_x, whole_y = Representation(x, "x"), Representation(y, "y")
    MEASURES[name](whole_x, whole_y)  # so that everything is there to derive from
    one, other = calibration.for_draws(whole_x), calibration.for_draws(whole_y)
    expected = MEASURES[name](x, y[order])
    assert MEASURES[name](one, other.permuted(order)) == pytest.approx(expected, abs=1e-9)
    assert MEASURES[name](whole_x, whole_y.permuted(order)) == pytest.approx(expected, abs=1e-9)
    twice = other.permuted(order).permuted(order)
    assert MEASURES[name](one, twice) == pytest.approx(MEASURES[name](x, y[order][order]), abs=1e-9)


@pytest.mark.parametrize("name", ["distance_correlation", "rsa_correlation_spearman", "information_imbalance"])
def test_draws_agree_whether_or_not_matrices_fit(name, generator):
    x, y = related(generator)
    kept = calibrate(name, x, y, draws=5)
    computed = calibrate(name, x, y, draws=5, memory_bytes=4000)
    np.testing.assert_allclose(kept.null, computed.null, atol=1e-12)


def test_matrices_are_forgotten_after_calibration(generator):
    x, y = (Representation(values) for values in related(generator))
    calibrate("distance_correlation", x, y, draws=2)
    calibrate("information_imbalance", x, y, draws=2)
    assert not [name for one in (x, y) for name in one.unordered_factors if "matrix" in name or "ranks" in name]
    assert "sums/distance" in x.unordered_factors


def test_a_network_with_itself(generator):
    x = generator.normal(size=(40, 3))
    for name in ("mutual_knn", "cka_rbf", "rsa_euclidean_spearman", "cka_linear"):
        found = calibrate(name, x, x, draws=50)
        assert found.score == pytest.approx(1) and found.calibrated == pytest.approx(1)
        assert found.p_value == pytest.approx(1 / 51)
        assert found.null_mean == found.null.mean() and found.null.shape == (50,)


@pytest.mark.parametrize("name", ["mutual_knn", "distance_correlation", "cka_linear"])
def test_independent_networks(name):
    """Wide networks: the raw score is far from 0, the calibrated one is not, and p is uniform."""
    found = []
    for seed in range(60):
        x, y = np.random.default_rng(seed).normal(size=(2, 30, 40))
        found.append(calibrate(name, x, y, draws=39, seed=seed, **({"k": 5} if name == "mutual_knn" else {})))
    scores, calibrated = (np.array([getattr(one, part) for one in found]) for part in ("score", "calibrated"))
    assert scores.mean() > 0.1
    assert abs(calibrated.mean()) < 4 * calibrated.std() / np.sqrt(len(found)) < 0.1
    # Within the ties of a discrete score, any place is as likely.
    places = np.random.default_rng(0).uniform(size=len(found))
    p_values = [
        ((one.null > one.score + 1e-12).sum() + place * (1 + (np.abs(one.null - one.score) <= 1e-12).sum())) / 40
        for one, place in zip(found, places, strict=True)
    ]
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert np.mean([one.p_value <= 0.1 for one in found]) < 0.25


def test_a_maximum_over_more_layers_is_not_more_alike():
    """Raw maxima of independent networks grow with the number of layers; calibrated ones do not."""
    raw, calibrated = {1: [], 6: []}, {1: [], 6: []}
    for seed in range(25):
        generator = np.random.default_rng(seed)
        x, y = ({f"layer{i}": generator.normal(size=(40, 10)) for i in range(6)} for _ in range(2))
        for layers in raw:
            few = [dict(list(network.items())[:layers]) for network in (x, y)]
            found = calibrate_maximum("mutual_knn", *few, draws=30, seed=seed, k=5)
            raw[layers].append(found.score)
            calibrated[layers].append(found.calibrated)
    assert np.mean(raw[6]) > np.mean(raw[1]) + 0.04
    for values in calibrated.values():
        assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def test_the_maximum_names_its_layers_and_permutes_them_together(generator):
    x, y = related(generator)
    found = calibrate_maximum("cka_linear", {"a": generator.normal(size=(60, 4)), "b": x}, {"c": y, "d": y}, draws=20)
    assert found.layers == ("b", "c")
    assert found.score == pytest.approx(MEASURES["cka_linear"](x, y), abs=1e-12)
    alone = calibrate_maximum("cka_linear", {"b": x}, {"c": y}, draws=20)
    twice = calibrate_maximum("cka_linear", {"b": x}, {"c": y, "d": y.copy()}, draws=20)
    np.testing.assert_allclose(alone.null, twice.null, atol=1e-12)


def test_whole_images_are_permuted(generator):
    orders = list(calibration.orders(images=5, per_image=4, draws=6, seed=0))
    for order in orders:
        blocks = order.reshape(5, 4)
        np.testing.assert_array_equal(blocks - blocks[:, :1], np.tile(np.arange(4), (5, 1)))
        np.testing.assert_array_equal(np.sort(order), np.arange(20))
    assert len({tuple(order) for order in orders}) > 1


def test_samples_of_one_image_are_not_taken_for_independent():
    """Positions of an image are alike in any network: permuting them one by one would find networks related."""
    single, whole = [], []
    for seed in range(25):
        generator = np.random.default_rng(seed)
        x, y = (
            np.repeat(generator.normal(size=(12, 3)), 6, axis=0) + 0.1 * generator.normal(size=(72, 3))
            for _ in range(2)
        )
        single.append(calibrate("mutual_knn", x, y, draws=19, k=5, seed=seed).p_value)
        whole.append(calibrate("mutual_knn", x, y, draws=19, k=5, seed=seed, images=12).p_value)
    assert np.mean(np.array(single) <= 0.05) > 0.9
    assert np.mean(np.array(whole) <= 0.05) < 0.2


def test_deterministic_and_seeded(generator):
    x, y = related(generator)
    one, same, another = (calibrate("mutual_knn", x, y, draws=10, seed=seed).null for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != another).any()


def test_largest_samples_takes_whole_images(generator):
    x, y = related(generator, samples=120)
    chosen = np.sort(np.random.default_rng(4).choice(30, 10, replace=False))
    rows = (4 * chosen[:, None] + np.arange(4)).ravel()
    found = calibrate("mutual_knn", x, y, draws=3, seed=4, images=30, largest_samples=42)
    expected = calibrate("mutual_knn", x[rows], y[rows], draws=3, seed=4, images=10)
    assert found.score == expected.score
    np.testing.assert_array_equal(found.null, expected.null)


def test_what_cannot_be_calibrated(generator):
    x, y = related(generator)
    with pytest.raises(Undefined, match="in every permutation"):
        calibrate("mutual_knn", x[:8], y[:8], draws=3, k=7)
    with pytest.raises(StudyError, match="at least one draw"):
        calibrate("mutual_knn", x, y, draws=0)
    with pytest.raises(StudyError, match="cannot come from 7 images"):
        calibrate("mutual_knn", x, y, images=7)
    with pytest.raises(StudyError, match="numbers of samples differ"):
        calibrate_maximum("mutual_knn", {"a": x}, {"b": y, "c": y[:-1]})
    with pytest.raises(StudyError, match="without layers"):
        calibrate_maximum("mutual_knn", {}, {"b": y})
    with pytest.raises(StudyError, match="did you mean 'mutual_knn'"):
        calibrate("mutual_knm", x, y)
    unbounded = Measure("ratio", lambda x, y: 1.0, "", "", frozenset(), True, 0.0, np.inf, "samples", "")
    with pytest.raises(StudyError, match="no largest value"):
        calibrate(unbounded, x, y)
