"""Theory of alignment under noise: its limits, where it says nothing, and whether simulated networks agree."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from convergent.noise.linear import measure_linear
from convergent.noise.theory import (
    alignment,
    amplification,
    cosine,
    label_alignment,
    label_error,
    limits,
    population_cka,
)

D = 100
SIZES = (10, 40, 80, 90, 96, 104, 110, 150, 300, 1000)
SNRS = (1.0, 10.0, 100.0)


def simulated(mode):
    """Means over repetitions of what the weights say: measure -> (sizes, ratios)."""
    rows = [
        row
        for n in SIZES
        for row in measure_linear(
            n, d=D, outputs=1, hidden=4, mode=mode, snrs=SNRS, repetitions=6, tests=20, measures=()
        )
    ]
    return {
        name: np.array(
            [
                [np.mean([r["value"] for r in rows if (r["n"], r["snr"], r["measure"]) == (n, s, name)]) for s in SNRS]
                for n in SIZES
            ]
        )
        for name in ("cka_population", "functional_cosine", "test_error")
    }


def agrees(values, theory):
    deviation = np.abs(values - theory)
    assert spearmanr(values.ravel(), theory.ravel()).statistic >= 0.98
    assert deviation.mean() <= 0.05, deviation


def test_alignment_with_input_noise_is_what_theory_says():
    found, n = simulated("input"), np.array(SIZES)[:, None]
    agrees(found["cka_population"], alignment(n, SNRS, D))
    agrees(found["functional_cosine"], cosine(n, SNRS, D))


def test_alignment_with_label_noise_has_the_floor_that_theory_gives():
    found, n = simulated("label"), np.array(SIZES)[:, None]
    theory = label_alignment(n, SNRS, D)
    away = np.abs(n[:, 0] - D) > 4  # next to where it does not exist, the ratio of averages is too high
    agrees(found["cka_population"][away], theory[away])
    agrees(found["functional_cosine"], cosine(n, SNRS, D))
    assert (theory > alignment(n, SNRS, D)).all()
    expected = label_error(n, SNRS, D)
    assert found["test_error"] == pytest.approx(expected, rel=0.5)
    assert np.log(found["test_error"]) == pytest.approx(np.log(expected), abs=0.5)
    assert np.abs(np.log(found["test_error"] / expected)).mean() < 0.12


def test_alignment_grows_with_the_ratio_and_is_lowest_at_the_threshold():
    n = np.arange(1, 400)[:, None]
    values = alignment(n, SNRS, D)
    away = np.abs(n[:, 0] - D) > 1
    assert (np.diff(values[away], axis=1) > 0).all()
    assert (np.diff(values[: D - 1], axis=0) < 0).all() and (np.diff(values[D + 1 :], axis=0) > 0).all()
    assert np.flatnonzero(values[:, 0] == 0) + 1 == pytest.approx([D - 1, D, D + 1])


def test_limits():
    found = limits(SNRS)
    assert alignment(1e-9, SNRS, 10**6) == pytest.approx(found.few, rel=1e-5)
    assert alignment(D, SNRS, D) == pytest.approx(found.threshold)
    assert alignment(1e9, SNRS, D) == pytest.approx(found.many, abs=1e-6)
    assert label_error(0, SNRS, D) == pytest.approx(np.ones(3))
    assert np.isinf(label_error(D, SNRS, D)).all() and np.isinf(amplification(D, D))


def test_above_the_threshold_alignment_is_a_function_of_the_error_and_below_it_is_not():
    n = np.array([110, 150, 300])
    assert alignment(n, 10, D) == pytest.approx((1 + label_error(n, 10, D)) ** -2)
    below = np.array([10, 40, 60])
    assert (np.diff(alignment(below, 100, D)) < 0).all() and (np.diff(label_error(below, 100, D)) < 0).all()


def test_label_alignment_is_not_given_where_its_moments_do_not_exist():
    values = label_alignment(np.arange(D - 5, D + 6), 10, D)
    assert np.isnan(values).tolist() == [abs(n) <= 3 for n in range(-5, 6)]
    assert label_alignment(np.array([50, 200]), np.inf, D) == pytest.approx([1, 1])


def test_population_cka_is_that_of_many_samples(generator):
    x, y = generator.normal(size=(2, 3, 6))
    inputs = generator.normal(size=(400_000, 6))
    from convergent.similarity import MEASURES

    assert population_cka(x, y) == pytest.approx(MEASURES["cka_linear"](inputs @ x.T, inputs @ y.T), abs=5e-3)
    many = generator.normal(size=(2, 5, 3, 6))
    assert population_cka(*many) == pytest.approx([float(population_cka(a, b)) for a, b in zip(*many, strict=True)])
    orthogonal = np.eye(6)[:3], np.eye(6)[3:]
    assert population_cka(*orthogonal) == 0
