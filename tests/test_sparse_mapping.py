"""Sparse maps: optimality against scikit-learn and theory, planted maps, degenerate units, training, judging."""

import numpy as np
import pytest
from sklearn.linear_model import Lasso, LinearRegression

from convergent.errors import StudyError
from convergent.sparse_mapping import (
    SecondMoments,
    forward_selection,
    held_out_moments,
    lasso_path,
    least_squares_maps,
    matched_order,
    optimality_gap,
    pooled_r_squared,
    prediction_errors,
    prediction_loss,
    predictors_per_target,
    r_squared,
    refit_curve,
    refitted_maps,
    sweep,
    train_maps,
)
from convergent.statistics import Moments, correlation

PENALTIES = [0.5, 0.1, 0.02, 0.002]


def rectified_pair(generator, samples=600, units_x=20, units_y=12, latent=8):
    """Activations of two networks that look at the same few latent variables."""
    shared = generator.normal(size=(samples, latent))
    return tuple(
        np.maximum(shared @ generator.normal(size=(latent, units)) + 0.1 * generator.normal(size=(samples, units)), 0)
        for units in (units_x, units_y)
    )


def standardised(values):
    return (values - values.mean(axis=0)) / values.std(axis=0)


def on_fit(x, y):
    return SecondMoments.of_fit(correlation(x, x), correlation(x, y), y.std(axis=0) > 0)


def test_scikit_learn_finds_the_same_maps(generator):
    x, y = rectified_pair(generator)
    maps = lasso_path(correlation(x, x), correlation(x, y), PENALTIES, tolerance=1e-10)
    for weights, penalty in zip(maps, PENALTIES, strict=True):
        reference = Lasso(alpha=penalty, fit_intercept=False, tol=1e-10, max_iter=100_000)
        reference.fit(standardised(x), standardised(y))
        np.testing.assert_allclose(weights, reference.coef_, atol=1e-4)


def test_the_optimum_meets_its_conditions_with_exact_zeros(generator):
    x, y = rectified_pair(generator)
    within, between = correlation(x, x), correlation(x, y)
    maps = lasso_path(within, between, PENALTIES, tolerance=1e-12)
    assert optimality_gap(maps, within, between, PENALTIES).max() <= 1e-12
    for weights, penalty in zip(maps, PENALTIES, strict=True):
        slope = between.T - weights @ within
        assert np.abs(slope).max() <= penalty + 1e-5
        np.testing.assert_allclose(slope[weights != 0], penalty * np.sign(weights[weights != 0]), atol=1e-5)
    assert (maps[1] == 0).mean() > 0.5


def test_the_gap_bounds_the_distance_to_the_minimum(generator):
    x, y = rectified_pair(generator)
    within, between = correlation(x, x), correlation(x, y)
    moments = on_fit(x, y)

    def objective(weights):
        return prediction_errors(weights, moments) / 2 + 0.05 * np.abs(weights).sum(axis=-1)

    best = lasso_path(within, between, [0.05], tolerance=1e-12)[0]
    for size in (0.001, 0.01, 0.1):
        other = best + size * generator.normal(size=best.shape)
        excess = objective(other) - objective(best)
        assert (excess >= -1e-9).all()
        assert (optimality_gap(other[None], within, between, [0.05])[0] >= excess - 1e-9).all()


def test_independent_units_are_soft_thresholded(generator):
    between = generator.uniform(-0.4, 0.4, size=(6, 9))
    maps = lasso_path(np.eye(6), between, [0.1, 0.3])
    for weights, penalty in zip(maps, (0.1, 0.3), strict=True):
        np.testing.assert_allclose(weights, (np.sign(between) * np.maximum(np.abs(between) - penalty, 0)).T)


def test_identical_networks_are_mapped_by_the_identity(generator):
    x, _ = rectified_pair(generator)
    within = correlation(x, x)
    maps = lasso_path(within, within, [0.2, 0.01, 0.0], tolerance=1e-12)
    for weights, penalty in zip(maps, (0.2, 0.01, 0.0), strict=True):
        np.testing.assert_allclose(weights, (1 - penalty) * np.eye(20), atol=1e-5)
    np.testing.assert_array_equal(np.stack(matched_order(maps[0])), np.tile(matched_order(maps[0])[0], (2, 1)))


def test_planted_combinations_are_recovered(generator):
    x = generator.normal(size=(2000, 40))
    planted = np.zeros((10, 40))
    for row in planted:
        row[generator.choice(40, size=3, replace=False)] = generator.choice([-1, 1], size=3)
    y = x @ planted.T + 0.1 * generator.normal(size=(2000, 10))
    within, between = correlation(x, x), correlation(x, y)
    weights = lasso_path(within, between, [0.15])[0]
    np.testing.assert_array_equal(np.sign(weights), planted)
    chosen = forward_selection(within, between, 3)
    np.testing.assert_array_equal(np.sort(chosen, axis=0).T, [np.flatnonzero(row) for row in planted])


def test_a_large_penalty_leaves_nothing(generator):
    x, y = rectified_pair(generator)
    between = correlation(x, y)
    largest = np.abs(between).max()
    maps = lasso_path(correlation(x, x), between, [largest, largest * 0.99])
    assert not maps[0].any()
    assert maps[1].any()


def test_a_smaller_penalty_fits_better_and_order_does_not_matter(generator):
    x, y = rectified_pair(generator)
    within, between = correlation(x, x), correlation(x, y)
    penalties = [0.9, 0.5, 0.2, 0.05, 0.01, 0.0]
    maps = lasso_path(within, between, penalties)
    assert (np.diff(prediction_loss(maps, on_fit(x, y))) <= 1e-6).all()
    assert (np.diff(predictors_per_target(maps).mean(axis=1)) >= 0).all()
    backwards = lasso_path(within, between, penalties[::-1], targets_per_block=5)
    np.testing.assert_allclose(backwards[::-1], maps, atol=5e-3)
    np.testing.assert_array_equal(maps[-1], least_squares_maps(within, between))


@pytest.mark.parametrize("samples", [15, 600])
def test_dependent_and_dead_units_are_handled(generator, samples):
    x, y = rectified_pair(generator, samples)
    x = np.hstack([x, x[:, :5], -x[:, :2]])  # twins, one pair with the opposite sign
    x[:, 7] = 3.0
    y[:, 4] = 0.0
    within, between = correlation(x, x), correlation(x, y)
    penalties = [0.3, 0.03, 0.003, 0.0]
    maps = lasso_path(within, between, penalties)
    assert np.isfinite(maps).all()
    assert optimality_gap(maps, within, between, penalties).max() <= 1e-6
    assert not maps[:, :, 7].any()
    assert not maps[:, 4].any()
    assert np.isnan(r_squared(maps, on_fit(x, y))[:, 4]).all()
    trained = train_maps(within, between, [0.03], iterations=10).maps[0]
    assert (trained != 0).any() and not trained[:, 7].any() and not trained[4].any()
    curve = refit_curve(within, between, on_fit(x, y), counts=(1, 30, "all"))
    np.testing.assert_allclose(curve[1], curve[2], atol=1e-5)


def test_permuted_units_permute_the_maps(generator):
    x, y = rectified_pair(generator)
    rows, columns = generator.permutation(12), generator.permutation(20)
    maps = lasso_path(correlation(x, x), correlation(x, y), PENALTIES, tolerance=1e-12)
    x, y = x[:, columns], y[:, rows]
    permuted = lasso_path(correlation(x, x), correlation(x, y), PENALTIES, tolerance=1e-12)
    np.testing.assert_allclose(permuted, maps[:, rows][:, :, columns], atol=1e-5)


def test_least_squares_agrees_with_scikit_learn_and_its_loss_with_r_squared(generator):
    x, y = rectified_pair(generator)
    weights = least_squares_maps(correlation(x, x), correlation(x, y))
    reference = LinearRegression(fit_intercept=False).fit(standardised(x), standardised(y))
    np.testing.assert_allclose(weights, reference.coef_, atol=1e-8)
    moments = on_fit(x, y)
    assert prediction_loss(weights, moments) == pytest.approx((1 - r_squared(weights, moments).mean()) / 2)
    assert prediction_loss(np.zeros_like(weights), moments) == 0.5


def test_held_out_scores_equal_those_measured_on_the_samples(generator):
    x, y = rectified_pair(generator, samples=1000)
    x[:, 3] = np.where(np.arange(1000) < 700, 2.0, x[:, 3])  # dead in the fit part only
    fit, test = slice(0, 700), slice(700, None)
    parts = {
        "xx": (Moments.start(x[fit]), Moments.start(x[test])),
        "xy": (Moments.start(x[fit], y[fit]), Moments.start(x[test], y[test])),
        "yy": (Moments.start(y[fit]), Moments.start(y[test])),
    }
    moments = SecondMoments(
        held_out_moments(*parts["xx"]), held_out_moments(*parts["xy"]), np.diag(held_out_moments(*parts["yy"]))
    )
    maps = lasso_path(parts["xx"][0].correlation(), parts["xy"][0].correlation(), PENALTIES)
    deviation = x[fit].std(axis=0)
    x_test = np.divide(x[test] - x[fit].mean(axis=0), deviation, out=np.zeros_like(x[test]), where=deviation > 1e-12)
    y_test = (y[test] - y[fit].mean(axis=0)) / y[fit].std(axis=0)
    for weights, errors, share in zip(maps, prediction_errors(maps, moments), r_squared(maps, moments), strict=True):
        direct = ((x_test @ weights.T - y_test) ** 2).mean(axis=0)
        np.testing.assert_allclose(errors, direct)
        np.testing.assert_allclose(share, 1 - direct / (y_test**2).mean(axis=0))
        variance = (y_test**2).mean(axis=0)
        assert prediction_loss(weights, moments) == pytest.approx((direct / (1 + variance)).mean())
        pooled = 1 - (direct / (1 + variance)).sum() / (variance / (1 + variance)).sum()
        assert pooled_r_squared(weights, moments) == pytest.approx(pooled)


def test_a_unit_that_fires_almost_only_in_the_other_part_does_not_rule_the_loss(generator):
    x, y = rectified_pair(generator, samples=400, units_x=6, units_y=5)
    y[:, 0] = 0
    y[0, 0], y[200:, 0] = 1e-3, y[200:, 1]
    first, second = slice(0, 200), slice(200, None)
    moments = SecondMoments(
        held_out_moments(Moments.start(x[first]), Moments.start(x[second])),
        held_out_moments(Moments.start(x[first], y[first]), Moments.start(x[second], y[second])),
        np.diag(held_out_moments(Moments.start(y[first]), Moments.start(y[second]))),
    )
    assert prediction_errors(np.zeros((5, 6)), moments).max() > 1e4
    assert 0.4 < prediction_loss(np.zeros((5, 6)), moments) < 0.7
    assert pooled_r_squared(np.zeros((5, 6)), moments) == pytest.approx(0)


def test_refit_curve_rises_from_the_best_unit_to_least_squares(generator):
    x, y = rectified_pair(generator)
    within, between = correlation(x, x), correlation(x, y)
    curve = refit_curve(within, between, on_fit(x, y), counts=(1, 2, 3, 4, 8, 20, "all"))
    assert (np.diff(curve) >= -1e-9).all()
    assert curve[0] == pytest.approx((between**2).max(axis=0).mean())
    assert curve[-2] == pytest.approx(curve[-1])
    assert curve[-1] == pytest.approx(r_squared(least_squares_maps(within, between), on_fit(x, y)).mean())


def test_each_selected_unit_is_the_best_addition(generator):
    x, y = rectified_pair(generator)
    within, between = correlation(x, x), correlation(x, y)
    moments = on_fit(x, y)
    chosen = forward_selection(within, between, 3)
    best = r_squared(refitted_maps(within, between, chosen), moments)
    for unit in range(20):
        usable = ~(chosen[:2] == unit).any(axis=0)
        other = np.vstack([chosen[:2], np.where(usable, unit, -1)])
        assert (r_squared(refitted_maps(within, between, other), moments) <= best + 1e-9).all()


def test_training_reaches_the_exact_map_if_it_lasts(generator):
    x, y = rectified_pair(generator, units_x=8, units_y=6)
    within, between = correlation(x, x), correlation(x, y)
    exact = lasso_path(within, between, [0.1])[0]
    trained = train_maps(within, between, [0.1], iterations=20_000, learning_rate=0.02, halve_every=2000)
    np.testing.assert_allclose(trained.maps[0], exact, atol=2e-3)
    moments = on_fit(x, y)
    assert trained.losses[0, -1] == pytest.approx(prediction_loss(exact, moments), abs=1e-3)
    np.testing.assert_array_equal(predictors_per_target(trained.maps[0], 2e-3), predictors_per_target(exact, 2e-3))


def test_training_stops_short_of_least_squares_as_published(generator):
    x, y = rectified_pair(generator, samples=4000, units_x=96, units_y=96, latent=20)
    within, between = correlation(x, x), correlation(x, y)
    maps, losses = train_maps(within, between, 96 * np.array([0.0, 1e-4, 1e-1]))
    free, light, collapsed = losses[:, -1]
    assert free > light > prediction_loss(least_squares_maps(within, between), on_fit(x, y))
    assert collapsed == pytest.approx(0.5, abs=0.01)
    assert losses[0, 0] == pytest.approx(1.0, abs=0.1)  # predictions as large as the targets, but of nothing
    assert (
        predictors_per_target(maps[1], 1e-3).mean()
        > predictors_per_target(lasso_path(within, between, [1e-4 * 96])).mean()
    )
    for index, decay in enumerate((0.0, 1e-4, 1e-1)):  # whether maps train alone or together makes no difference
        np.testing.assert_allclose(maps[index], train_maps(within, between, [96 * decay]).maps[0], atol=1e-6)


def test_matched_order_shows_a_planted_permutation(generator):
    weights = 0.1 * generator.normal(size=(5, 8))
    partners = generator.permutation(8)[:5]
    weights[np.arange(5), partners] = [-3, 5, 1, 4, 2]
    rows, columns = matched_order(weights)
    np.testing.assert_array_equal(rows, [1, 3, 0, 4, 2])
    np.testing.assert_array_equal(np.sort(columns), np.arange(8))
    np.testing.assert_array_equal(np.abs(np.diag(weights[np.ix_(rows, columns)])), [5, 4, 3, 2, 1])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda within, between: (within[:, :-1], between), "correlations within x have shape"),
        (lambda within, between: (within, between[:-1]), "between x and y have shape"),
        (lambda within, between: (within, np.where(between == between[2, 1], np.nan, between)), "units 2 and 1 is nan"),
        (lambda within, between: (within + np.triu(np.full_like(within, 0.1), 1), between), "not symmetric"),
        (lambda within, between: (2 * within, between), "unit 0 of x has a correlation of 2 with itself"),
        (lambda within, between: (within * (1 - np.eye(20)), between), "unit 0 of x has no variance"),
    ],
)
def test_matrices_that_are_no_correlations_are_refused(generator, spoil, sentence):
    x, y = rectified_pair(generator)
    within, between = spoil(correlation(x, x), correlation(x, y))
    for solve in (lambda *matrices: lasso_path(*matrices, [0.1]), least_squares_maps):
        with pytest.raises(StudyError, match=sentence):
            solve(within, between)


def test_bad_penalties_maps_and_hopeless_tolerances_are_refused(generator):
    x, y = rectified_pair(generator)
    within, between = correlation(x, x), correlation(x, y)
    for penalty in (-0.1, np.nan, np.inf):
        with pytest.raises(StudyError, match="a penalty is a finite number of at least 0"):
            lasso_path(within, between, [0.1, penalty])
    with pytest.raises(StudyError, match="do not fit"):
        prediction_loss(np.zeros((20, 12)), on_fit(x, y))
    with pytest.raises(StudyError, match="did not converge in 10 sweeps"):
        lasso_path(within, between, [1e-4], max_sweeps=10)


def test_a_sweep_moves_one_unit_after_the_other_to_its_optimum(generator):
    units, targets, penalty = 70, 3, 0.1
    within = correlation(*[generator.normal(size=(200, units))] * 2)
    between = generator.uniform(-0.5, 0.5, size=(units, targets))
    weights = np.where(generator.random((units, targets)) < 0.3, 0.2, 0.0)
    expected = weights.copy()
    for j in range(units):
        value = between[j] - within[j] @ expected + expected[j]
        expected[j] = np.sign(value) * np.maximum(np.abs(value) - penalty, 0)
    residual = between - within @ weights
    sweep(within, penalty, weights, residual)
    np.testing.assert_allclose(weights, expected, atol=1e-12)
    np.testing.assert_array_equal(weights == 0, expected == 0)
    np.testing.assert_allclose(residual, between - within @ expected, atol=1e-12)


def test_training_takes_the_sign_of_every_weight_and_none_of_zero(generator):
    x = generator.normal(size=(60, 5))
    x[:, 2] = 1.0  # dead
    y = x[:, ::-1] + generator.normal(size=(60, 5))
    within, between = correlation(x, x), correlation(x, y)
    penalties = [0.0, 1e-3, 10.0]
    found = train_maps(within, between, penalties, seed=4, iterations=30).maps
    start = train_maps(within, between, [0.0], seed=4, iterations=0).maps[0]
    for penalty, trained in zip(penalties, found, strict=True):
        maps, velocity = start.astype(float), 0.0
        for _ in range(30):
            gradient = maps @ within - between.T + np.sign(maps) * penalty
            velocity = 0.98 * velocity + 1e-3 / 5 * gradient
            maps = maps - velocity
        np.testing.assert_allclose(trained, maps, atol=1e-5)
        assert (trained[:, 2] == 0).all()
