"""The theory of two points drawing apart: its solutions against free maps trained by gradient descent, and its fits."""

import warnings

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from convergent.dynamics.fitting import aligned_rise, fit_mean_rate, fit_rates, pairwise_r2, phase_plane_r2
from convergent.dynamics.theory import (
    VARIANTS,
    change,
    conserved,
    final_distance,
    half_rise_delay,
    lazy_limit,
    logistic,
    loss_curve,
    mean_error,
    output_from_hidden,
    rescaled,
    rich_curves,
    rich_limit,
    same_target_distance,
    scaled_rate,
    solve,
)
from convergent.errors import StudyError

RATES = 7.6e-4, 0.0426  # of a deep network, per epoch
DISTANCES = 1.0, 0.5  # X2, Y2


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(generator, aligned=None):
    """Start (3,), rates and distances of two points in three output dimensions.

    `aligned` asks for outputs in the right order, or in the wrong one.
    """
    difference, target = generator.normal(size=(2, 3)) * np.exp(generator.normal(size=(2, 1)))
    if aligned is not None and (difference @ target > 0) != aligned:
        difference = -difference
    hidden, hidden_rate, output_rate, input_distance = np.exp(generator.normal(size=4))
    output = difference @ difference
    start = np.array([hidden, output, output - difference @ target])
    return start, (hidden_rate, output_rate, input_distance, target @ target)


def line(hidden, output, sign=1):
    """Start (3,) with a single output dimension, Y2 = 1/2."""
    return np.array([hidden, output, output - sign * np.sqrt(output * DISTANCES[1])])


# --- solutions -------------------------------------------------------------------------------------------------------


def test_the_solution_ends_where_the_formula_says_and_keeps_its_invariant(generator):
    for case in range(60):
        start, rates = drawn(generator, aligned=case % 3 > 0)
        times = np.concatenate([[0], np.logspace(-2, 4, 50)]) / scaled_rate(*rates)
        found = solve(start, *rates, times)
        expected = final_distance(*start[:2], *rates).item()
        assert found[:, -1] == pytest.approx([expected, rates[-1], 0], rel=1e-4, abs=1e-5)
        assert found[0, -1] == pytest.approx(expected, rel=1e-4)
        slope = rates[1] / (rates[0] * rates[2])
        kept = conserved(*found[:2], *rates[:3])
        scale = (found[1] / found[0] + slope * found[0]).max()
        assert np.abs(kept - kept[0]).max() < 1e-5 * scale
        law = output_from_hidden(found[0], kept[0], *rates[:3])
        assert np.abs(law - found[1]).max() < 1e-5 * scale * found[0].max()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_solver_agrees_with_another_one_on_the_equations_as_they_are_printed(generator, variant):
    for _ in range(4):
        start, rates = drawn(generator, aligned=True)
        times = np.linspace(0, 20, 40) / scaled_rate(*rates)

        def right(_, state, rates=rates):
            return change(state, *rates, variant)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            reference = solve_ivp(right, times[[0, -1]], start, "Radau", times, rtol=1e-9, atol=1e-11).y
        found = solve(start, *rates, times, variant)
        reached = reference.shape[1]
        broken = np.isnan(found).any(axis=0)
        assert reached > 1 and broken.sum() <= len(times) - reached
        sound = ~broken[:reached]
        # Where h is about to vanish, both solvers are lost.
        sound[sound] &= reference[0, :reached][sound] > 1e-6 * start[0]
        assert found[:, :reached][:, sound] == pytest.approx(reference[:, sound], rel=1e-4, abs=1e-5)


def trained(generator, sign, steps, rates, outputs=3, inputs=4, units=5, size=0.4, free=False):
    """Free maps to and from a hidden layer and a free mean output, trained on two points by gradient descent.

    The gradient is that of (1/2) <|y - y*|^2> over the points themselves. Returns h, y, w (3, T), the squared error of
    the mean and the loss (T,), and X2 and Y2.
    """
    points, targets = generator.normal(size=(2, inputs)), generator.normal(size=(2, outputs))
    centred = points - points.mean(axis=0)
    encoder = generator.normal(size=(units, inputs)) * size
    direction = encoder @ (points[1] - points[0])
    # The hidden difference keeps its direction if the map from it sees nothing else: an assumption of the theory.
    toward = generator.normal(size=outputs)
    toward *= sign * np.sign(toward @ (targets[1] - targets[0]))
    decoder = 0.3 * np.outer(toward, direction) / np.linalg.norm(direction)
    mean = generator.normal(size=outputs)
    if free:
        decoder = generator.normal(size=decoder.shape) * size
    rows = []
    for _ in range(steps):
        hidden = centred @ encoder.T
        output = mean + hidden @ decoder.T
        error = output - targets
        apart, wanted = output[1] - output[0], targets[1] - targets[0]
        rows.append(
            (
                np.square(hidden[1] - hidden[0]).sum(),
                apart @ apart,
                apart @ apart - wanted @ apart,
                np.square(error.mean(axis=0)).sum(),
                0.5 * np.square(error).sum(axis=1).mean(),
            )
        )
        encoder, decoder, mean = (
            encoder - rates[0] * 0.5 * decoder.T @ error.T @ centred,
            decoder - rates[1] * 0.5 * error.T @ hidden,
            mean - rates[2] * 0.5 * error.sum(axis=0),
        )
    found = np.array(rows).T
    return found[:3], found[3], found[4], (np.square(points[1] - points[0]).sum(), wanted @ wanted)


@pytest.mark.parametrize(("sign", "size"), [(1, 0.4), (-1, 0.4), (-1, 0.02)])
def test_free_maps_trained_by_gradient_descent_follow_the_theory_at_half_their_rates(generator, sign, size):
    """Also where the outputs begin in the wrong order, and the hidden points pass through each other."""
    rates, steps = (2e-3, 5e-3, 1e-3), 4000
    times = np.arange(steps)
    for _ in range(3):
        measured, mean, loss, distances = trained(generator, sign, steps, rates, size=size)
        expected = solve(measured[:, 0], rates[0] / 2, rates[1] / 2, *distances, times)
        scale = np.abs(expected).max(axis=1, keepdims=True)
        assert (np.abs(measured - expected) / scale).max() < 0.02
        fallen = mean_error(times, mean[0], rates[2])
        assert mean == pytest.approx(fallen, abs=0.01 * mean[0])
        assert loss == pytest.approx(loss_curve(*expected[1:], fallen, distances[1]), abs=0.02 * loss[0])
        if size < 0.1:
            assert measured[0].min() < 1e-2 * measured[0, 0] < 1e-2 * measured[0, -1]


def test_small_free_maps_end_at_the_rich_limit(generator):
    rates = (0.01, 0.02, 0.01)
    measured, _, _, distances = trained(generator, 1, 6000, rates, outputs=1, size=0.02, free=True)
    assert measured[0, -1] == pytest.approx(rich_limit(rates[0], rates[1], *distances), rel=0.02)


def test_the_rich_limit_is_logistic():
    start_height, rates = 1e-3, (*RATES, *DISTANCES)
    end = rich_limit(*rates)
    hidden = start_height * end
    start = line(hidden, DISTANCES[1] * start_height**2)
    assert lazy_limit(*start[:2], *rates[:3]) == pytest.approx(0, abs=1e-12)
    times = np.linspace(0, 6000, 500)
    scaled, *found = rescaled(times, solve(start, *rates, times), *rates)
    assert np.array(found) == pytest.approx(rich_curves(scaled, start_height), abs=1e-5)
    delay = half_rise_delay(hidden, *rates)
    assert solve(start, *rates, [0, delay])[0, -1] == pytest.approx(end / 2, rel=1e-5)
    assert logistic(delay * scaled_rate(*rates), start_height) == pytest.approx(0.5)
    assert loss_curve(*(DISTANCES[1] * rich_curves(scaled, start_height)[1:]), 0, DISTANCES[1]) == pytest.approx(
        DISTANCES[1] / 8 * (1 - logistic(scaled, start_height)) ** 2
    )


def test_the_limits_of_the_final_distance():
    rates = (*RATES, *DISTANCES)
    assert final_distance(1e-6, 1e-12, *rates) == pytest.approx(rich_limit(*rates), rel=1e-4)
    assert final_distance(100.0, 1e-3, *rates) == pytest.approx(lazy_limit(100.0, 1e-3, *rates[:3]), rel=1e-4)
    assert final_distance([0.5, 1e-3], [1e-3, 1.0], *rates[:3], 0).tolist() == [
        lazy_limit(0.5, 1e-3, *rates[:3]),
        0,
    ]
    # Without the loss of digits that the difference of nearly equal numbers has: A L^2 of the other root.
    tiny = final_distance(1e-9, 1.0, *rates)
    assert tiny == pytest.approx(rich_limit(*rates) ** 2 / -lazy_limit(1e-9, 1.0, *rates[:3]))
    assert np.isnan(final_distance(0.0, 0.0, *rates))
    assert final_distance(np.ones((4, 1)), np.ones(3), *rates).shape == (4, 3)


def test_points_with_the_same_target_follow_bernoulli(generator):
    for _ in range(10):
        start, (*rates, _) = drawn(generator)
        start[2] = start[1]
        times = np.concatenate([[0], np.logspace(-3, 3, 30)])
        found = solve(start, *rates, 0.0, times)
        expected = same_target_distance(times, *start[:2], *rates)
        assert found[0] == pytest.approx(expected, rel=1e-4, abs=1e-6)
        limit = lazy_limit(*start[:2], *rates)
        with np.errstate(all="ignore"):
            textbook = limit / (1 + (limit / start[0] - 1) * np.exp(-rates[1] * limit * times))
        assert expected == pytest.approx(textbook, rel=1e-8, abs=1e-12)
    assert same_target_distance(np.array([0, 1e9]), 0.1, 5.0, *rates).tolist() == pytest.approx([0.1, 0])


def test_in_scaled_time_solutions_with_other_rates_coincide(generator):
    shape = rich_curves(0.0, 0.01) * np.array([1, 0.7, 1])
    found = []
    for _ in range(4):
        *_, rates = drawn(generator)
        factors = np.array([rich_limit(*rates), rates[3], rates[3]])
        times = np.linspace(0, 20, 100) / scaled_rate(*rates)
        found.append(np.array(rescaled(times, solve(shape * factors, *rates, times), *rates)))
    for other in found[1:]:
        assert other == pytest.approx(found[0], abs=1e-5)
    s, h, y, w = found[0]
    assert np.gradient(h, s)[5:-5] == pytest.approx(-w[5:-5], abs=5e-3)
    assert np.gradient(y, s)[5:-5] == pytest.approx((-w * (h + y / h))[5:-5], abs=1e-2)


def test_the_loss_is_that_of_the_two_points(generator):
    outputs, targets = generator.normal(size=(2, 2, 7, 3))  # of two points, seven times
    apart, wanted = outputs[1] - outputs[0], targets[1] - targets[0]
    y, target = np.square(apart).sum(axis=-1), np.square(wanted).sum(axis=-1)
    mean = np.square((outputs - targets).mean(axis=0)).sum(axis=-1)
    overlap = y - (apart * wanted).sum(axis=-1)
    expected = 0.5 * np.square(outputs - targets).mean(axis=(0, 2))
    assert loss_curve(y, overlap, mean, target) / 3 == pytest.approx(expected)


def test_change_broadcasts_and_variants_differ_where_they_should(generator):
    states = np.stack([drawn(generator)[0] for _ in range(6)], axis=1).reshape(3, 2, 3)
    rates = np.ones(3), np.full((2, 1), 0.3), 2.0, 0.5
    theory = change(states, *rates)
    for place in np.ndindex(2, 3):
        assert change(states[(slice(None), *place)], 1, 0.3, 2, 0.5) == pytest.approx(theory[(slice(None), *place)])
    ratio = {name: change(states, *rates, name) / theory for name in VARIANTS}
    assert ratio["doubled_output"][:, 0, 0] == pytest.approx([1, 2, 1])
    assert ratio["doubled_hidden"][:, 0, 0] == pytest.approx([2, 1, 1])
    assert ratio["flipped_sign"][:2] == pytest.approx(np.ones((2, 2, 3)))
    assert ratio["without_hidden_growth"][[0, 2]] == pytest.approx(np.ones((2, 2, 3)))
    h, y, w = states
    flipped = change(states, *rates, "flipped_sign")[2] - theory[2]
    assert flipped == pytest.approx(2 * (y + w) * w / h)
    assert change(states, *rates, "without_hidden_growth")[1] == pytest.approx(-w * 0.3 * h)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rates", [(1e12, 1e12), (1e-16, 1e12), (1e12, 1e-16), (1e30, 1e30), (np.inf, 1), (np.nan, 1)])
def test_solutions_that_break_off_are_missing_and_nothing_is_said(variant, rates, capfd):
    for start in (line(1e-3, 1e-3), line(0.5, 0.5, -1), line(1e-12, 1e-3), line(0.0, 0.0), [1e-3, 1, 1]):
        found = solve(start, *rates, *DISTANCES, np.arange(50), variant)
        missing = np.isnan(found)
        assert found.shape == (3, 50) and not missing[:, 0].any() and not np.isinf(found).any()
        assert (missing == missing[0]).all() and (np.diff(missing[0].astype(int)) >= 0).all()
    assert capfd.readouterr() == ("", "")


def test_a_variant_breaks_off_where_the_points_meet_and_the_theory_does_not():
    start, times = line(0.5, 0.5, -1), np.arange(600)
    assert np.isfinite(solve(start, 0.1, 0.1, *DISTANCES, times)).all()
    for variant in VARIANTS[1:]:
        found = solve(start, 0.1, 0.1, *DISTANCES, times, variant)
        assert np.isnan(found[:, -1]).all() or found[0].min() > 0


def test_an_unknown_variant_is_named():
    with pytest.raises(StudyError, match="did you mean 'flipped_sign'"):
        solve(line(0.1, 0.1), *RATES, *DISTANCES, np.arange(3), "fliped_sign")
    with pytest.raises(StudyError, match="there is no variant"):
        change(line(0.1, 0.1), *RATES, *DISTANCES, "none")


# --- fits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("noise", [0, 0.01])
def test_planted_rates_are_found(seed, noise):
    generator = np.random.default_rng(seed)
    epochs = 1000
    speed, ratio = np.exp(generator.uniform(np.log([12, 1e-3]), np.log([120, 10]))) / [epochs, 1]
    input_distance, target_distance = generator.uniform(0.3, 2, 2)
    output_rate = speed / np.sqrt(ratio * input_distance * target_distance)
    rates = ratio * output_rate, output_rate
    scale = rich_limit(*rates, input_distance, target_distance)
    hidden, output = generator.uniform(0.001, 0.05, 2) * [scale, target_distance]
    start = [hidden, output, output - 0.8 * np.sqrt(output * target_distance)]
    planted = solve(start, *rates, input_distance, target_distance, np.arange(epochs))
    measured = planted + noise * generator.normal(size=planted.shape) * np.ptp(planted, axis=1, keepdims=True)
    measured[:, 0] = planted[:, 0]
    fit = fit_rates(measured, input_distance, target_distance)
    assert [fit.hidden_rate, fit.output_rate] == pytest.approx(rates, rel=0.02 if noise else 1e-4)
    assert fit.residual == pytest.approx(np.square(measured - fit.fitted).sum())
    assert fit.residual <= np.square(measured - planted).sum() + 1e-9
    assert min(fit.r2, fit.r2_hidden, fit.r2_output, fit.r2_overlap) > (0.98 if noise else 0.999999)


def test_a_fit_reports_what_it_says():
    measured = solve(line(0.02, 0.01), *RATES, *DISTANCES, np.arange(2000)) * np.array([[1], [0.9], [1]])
    fit = fit_rates(measured, *DISTANCES)
    again = solve(measured[:, 0], fit.hidden_rate, fit.output_rate, *DISTANCES, np.arange(2000))
    assert fit.fitted == pytest.approx(again)
    squares = np.square(measured - again)
    explained = 1 - squares.mean(axis=1) / measured.var(axis=1)
    assert [fit.r2_hidden, fit.r2_output, fit.r2_overlap] == pytest.approx(explained)
    assert fit.r2 == pytest.approx(1 - squares.mean(axis=1).sum() / measured.var(axis=1).sum())
    assert fit.relative_error == pytest.approx(np.sqrt(squares[0].mean()) / measured[0].mean())


@pytest.mark.parametrize("planted", VARIANTS)
def test_what_a_variant_made_is_fitted_best_by_it(planted):
    measured = solve(line(0.01, 0.02), 0.01, 0.1, *DISTANCES, np.arange(300), planted)
    assert np.isfinite(measured).all()
    residuals = {variant: fit_rates(measured, *DISTANCES, variant).residual for variant in VARIANTS}
    own = residuals.pop(planted)
    assert own < 1e-6 and min(residuals.values()) > 100 * own + 1e-4, residuals


def test_doubling_the_hidden_equation_is_absorbed_by_the_rates_in_the_rich_limit():
    """With y = eta_y h^2 / (eta_h X2) both terms of each equation are the same, and any shares of them fit."""
    start, rates, times = line(0.01, 1e-3), np.array([0.01, 0.1]), np.arange(300)
    assert lazy_limit(*start[:2], *rates, DISTANCES[0]) == pytest.approx(0)
    theory = solve(start, *rates, *DISTANCES, times)
    assert solve(start, *rates * [0.5, 1.5], *DISTANCES, times, "doubled_hidden") == pytest.approx(theory, abs=1e-5)


def test_trajectories_that_the_theory_cannot_follow_have_a_fit_too(generator):
    epochs = np.arange(500)
    done = 1 - np.exp(-epochs / 40)
    shrinking = np.array([0.9 - 0.4 * done, 0.5 * done**2, 0.5 * done**2 - 0.5 * done])
    jumping = np.where(epochs < 250, [[1e-6], [1e-6], [-1e-4]], [[0.1], [0.5], [0.0]])
    noise = np.abs(generator.normal(size=(3, 500)))
    constant = np.tile([[0.3], [0.5], [0.0]], 500)
    for measured in (shrinking, jumping, noise, constant, shrinking[:, :3], line(1e-12, 0)[:, None].repeat(9, 1)):
        for variant in ("theory", "flipped_sign"):
            fit = fit_rates(measured, *DISTANCES, variant)
            numbers = [fit.hidden_rate, fit.output_rate, fit.residual, fit.relative_error, *fit.fitted.ravel()]
            assert np.isfinite(numbers).all()
            if measured is shrinking:
                assert fit.r2_hidden < 0 < fit.r2_output
    assert np.isnan(fit_rates(constant, *DISTANCES).r2)


def test_a_steep_rise_is_met_at_its_time():
    """All the rest of the curve is flat, so that a fit by derivatives alone from one start would miss it."""
    for rates in ((0.05, 0.5), (0.3, 0.003)):
        measured = solve(line(1e-9, 1e-12), *rates, *DISTANCES, np.arange(6000))
        fit = fit_rates(measured, *DISTANCES)
        assert [fit.hidden_rate, fit.output_rate] == pytest.approx(rates, rel=1e-3)


@pytest.mark.parametrize(
    ("trajectory", "distances", "sentence"),
    [
        (np.ones((4, 9)), DISTANCES, "as \\(3, epochs\\)"),
        (np.ones(9), DISTANCES, "as \\(3, epochs\\)"),
        (np.ones((3, 2)), DISTANCES, "has 2 epochs"),
        (np.full((3, 9), np.nan), DISTANCES, "not finite"),
        (np.ones((3, 9)), (0.0, 0.5), "squared input distance is 0"),
        (np.ones((3, 9)), (1.0, -0.5), "squared target distance is -0.5"),
        (np.ones((3, 9)), (1.0, np.nan), "squared target distance is nan"),
        (np.zeros((3, 9)), DISTANCES, "no hidden distance"),
    ],
)
def test_what_cannot_be_fitted_is_said_in_a_sentence(trajectory, distances, sentence):
    with pytest.raises(StudyError, match=sentence) as caught:
        fit_rates(trajectory, *distances)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@pytest.mark.parametrize("rate", [2e-4, 0.01, 0.5])
@pytest.mark.parametrize("outputs", [1, 10])
def test_the_rate_of_the_mean_is_found(rate, outputs):
    times = np.arange(3000)
    curves = solve(line(0.01, 0.01), *RATES, *DISTANCES, times)
    loss = loss_curve(*curves[1:], mean_error(times, 0.9, rate), DISTANCES[1]) / outputs
    found, fitted, explained = fit_mean_rate(loss, curves, 0.9, DISTANCES[1], outputs)
    assert found == pytest.approx(rate, rel=1e-4) and explained > 1 - 1e-9
    assert fitted == pytest.approx(loss, abs=1e-6)
    with pytest.raises(StudyError, match="one finite number for each epoch"):
        fit_mean_rate(loss[1:], curves, 0.9, DISTANCES[1])


# --- without time, and in scaled time --------------------------------------------------------------------------------


def test_the_phase_plane_needs_no_rates_and_no_time():
    times = np.linspace(0, 6000, 300)
    hidden, output, _ = solve(line(0.02, 0.01), *RATES, *DISTANCES, times)
    assert phase_plane_r2(hidden, output) > 1 - 1e-8
    warped = np.unique((np.linspace(0, 1, 300) ** 3 * 299).astype(int))
    assert phase_plane_r2(hidden[warped], output[warped]) > 1 - 1e-8
    assert phase_plane_r2(hidden, output**3) < 0.95
    assert np.isnan(phase_plane_r2(np.ones(5), np.ones(5))) and np.isnan(phase_plane_r2(np.arange(5), np.arange(5)))


def test_rises_coincide_in_scaled_time_and_not_in_epochs():
    times, grid = np.arange(4000), np.linspace(-4, 4, 81)
    collapsed, raw = [], []
    for rates in (RATES, (3e-3, 0.02), (0.02, 0.06)):
        curve = solve(line(*(np.array([1e-3, 5e-7]) * [rich_limit(*rates, *DISTANCES), 1])), *rates, *DISTANCES, times)
        scaled, *_ = rescaled(times, curve, *rates, *DISTANCES)
        collapsed.append(aligned_rise(scaled, curve[1], DISTANCES[1], grid))
        raw.append(aligned_rise(times, curve[1], DISTANCES[1], grid * 200))
    assert pairwise_r2(np.array(collapsed)).min() > 0.999
    assert pairwise_r2(np.array(raw)).min() < 0.9
    assert collapsed[0] == pytest.approx(logistic(grid, 0.5) ** 2, abs=2e-3)
    assert np.isnan(aligned_rise(times, np.zeros(4000), DISTANCES[1], grid)).all()


def test_pairwise_r2_is_of_the_column_by_the_row(generator):
    curves = generator.normal(size=(3, 20))
    curves[2] = 1.0
    found = pairwise_r2(curves)
    assert found[0, 1] == pytest.approx(1 - np.square(curves[1] - curves[0]).sum() / (20 * curves[1].var()))
    assert np.diag(found)[:2] == pytest.approx([1, 1]) and np.isnan(found[:, 2]).all()
    curves[0, 4:], curves[1, :4] = np.nan, np.nan
    assert np.isnan(pairwise_r2(curves)[0, 1])
