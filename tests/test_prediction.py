"""Scores of sparse maps: halves that do not mix, planted few-to-one maps, identical networks, names of decays."""

import numpy as np
import pytest
from sklearn.linear_model import Lasso, LinearRegression

from convergent import prediction
from convergent.decays import decay_name, exponent_of
from convergent.prediction import (
    PREDICTION_MEASURES,
    exact_scores,
    halves,
    map_scores,
    part_moments,
    prediction_tables,
    predictions,
    predictions_by_source,
    refit_scores,
    shown_maps,
    trained_scores,
)
from convergent.sparse_mapping import lasso_path, train_maps

DECAYS = [-4, -3, -2.6, -1]


def networks(generator, images=60, per_image=10, units=8):
    """x is random; each unit of y is a sum of two of x with little noise; z is x."""
    x = np.maximum(generator.normal(size=(images * per_image, units)), 0)
    y = x + 0.7 * np.roll(x, 1, axis=1) + 0.01 * generator.normal(size=x.shape)
    return {"x": x, "y": y, "z": x}


def problem(generator, pair=("x", "y"), **options):
    activations = networks(generator, **options)
    images = options.get("images", 60)
    return dict(predictions(activations, [pair], images, *halves(images, generator)))[pair]


def test_halves_share_no_image_and_leave_none_out(generator):
    fit, test = halves(7, generator)
    assert (len(fit), len(test)) == (3, 4)
    assert sorted([*fit, *test]) == list(range(7))


def test_what_a_prediction_knows_is_that_of_the_samples(generator):
    activations = networks(generator)
    fit, test = halves(60, generator)
    found = dict(predictions(activations, [("x", "y")], 60, fit, test))
    assert list(found) == [("x", "y"), ("y", "x")]
    rows = {part: (images[:, None] * 10 + np.arange(10)).ravel() for part, images in (("fit", fit), ("test", test))}
    for (a, b), known in found.items():
        a, b = activations[a], activations[b]
        both = np.corrcoef(a[rows["fit"]], b[rows["fit"]], rowvar=False)
        np.testing.assert_allclose(known.within, both[:8, :8], atol=1e-12)
        np.testing.assert_allclose(known.between, both[:8, 8:], atol=1e-12)
        a, b = (
            (values[rows["test"]] - values[rows["fit"]].mean(axis=0)) / values[rows["fit"]].std(axis=0)
            for values in (a, b)
        )
        np.testing.assert_allclose(known.test.xx, a.T @ a / len(a), atol=1e-12)
        np.testing.assert_allclose(known.test.xy, a.T @ b / len(a), atol=1e-12)
        np.testing.assert_allclose(known.test.yy, (b**2).mean(axis=0), atol=1e-12)


def test_two_planted_predictors_are_enough(generator):
    scores = refit_scores(problem(generator), [1, 2, 3])
    assert scores["refit_r2_1"] < 0.8
    assert scores["refit_r2_2"] == pytest.approx(1, abs=1e-3) == scores["refit_r2_all"]
    exact = exact_scores(problem(generator), 8, DECAYS)
    assert exact["few_predictors_share"] > 0.95
    assert exact["map_predictors_0"] == 8
    assert exact["map_predictors_1e-3"] < 4


def test_exact_scores_are_those_of_scikit_learn_on_the_samples(generator):
    activations = networks(generator)
    activations["y"] = activations["y"] + generator.normal(size=activations["y"].shape)
    fit, test = halves(60, generator)
    known = dict(predictions(activations, [("x", "y")], 60, fit, test))["x", "y"]
    scores = exact_scores(known, 8, DECAYS)
    rows = [(images[:, None] * 10 + np.arange(10)).ravel() for images in (fit, test)]
    (x, x_test), (y, y_test) = (
        [(values[part] - values[rows[0]].mean(axis=0)) / values[rows[0]].std(axis=0) for part in rows]
        for values in (activations["x"], activations["y"])
    )
    for decay, name in [(None, "0"), (-2.6, "10^-2.6"), (-3, "1e-3")]:
        model = LinearRegression() if decay is None else Lasso(alpha=8 * 10**decay, tol=1e-10, max_iter=100_000)
        error = ((model.fit(x, y).predict(x_test) - y_test) ** 2).mean(axis=0)
        variance = (y_test**2).mean(axis=0)
        assert scores[f"map_loss_{name}"] == pytest.approx((error / (1 + variance)).mean(), abs=1e-5)
        assert scores[f"map_predictors_{name}"] == pytest.approx(
            (np.abs(model.coef_) > 1e-9).sum(axis=1).mean(), abs=0.2
        )


def test_an_identical_network_is_predicted_by_its_own_units(generator):
    known = problem(generator, ("x", "z"))
    scores = refit_scores(known, [1]) | exact_scores(known, 8, DECAYS)
    assert scores["refit_r2_1"] == pytest.approx(1) == scores["map_r2_0"]
    shown = shown_maps(known, seed=0)
    np.testing.assert_array_equal(shown["predictors"][0], np.arange(8))
    np.testing.assert_array_equal(shown["exact"].argmax(axis=1), np.arange(8))
    assert (np.count_nonzero(shown["exact"], axis=1) == 1).all()


def test_shown_weights_are_those_of_the_planted_map(generator):
    activations = networks(generator)
    fit, test = halves(60, generator)
    shown = shown_maps(dict(predictions(activations, [("x", "y")], 60, fit, test))["x", "y"], seed=0)
    rows = (fit[:, None] * 10 + np.arange(10)).ravel()
    for unit in range(8):
        weights = dict(zip(shown["predictors"][:, unit].tolist(), shown["weights"][:, unit].tolist(), strict=True))
        deviation = activations["x"][rows].std(axis=0) / activations["y"][rows].std(axis=0)[unit]
        assert weights[unit] == pytest.approx(deviation[unit], abs=0.01)
        assert weights[(unit - 1) % 8] == pytest.approx(0.7 * deviation[unit - 1], abs=0.01)
    assert (shown["r_squared"][1] > shown["r_squared"][0]).all()


def test_trained_maps_are_judged_on_the_other_half(generator):
    known = problem(generator)
    scores = trained_scores(known, 8, [-3, -1], seed=3)
    assert set(scores) == {
        f"trained_map_{what}_{decay}"
        for what in ("loss", "r2", "predictors", "nonzero_share")
        for decay in ("0", "1e-3", "1e-1")
    }
    assert scores["trained_map_r2_0"] > 0.9 > scores["trained_map_r2_1e-1"] == pytest.approx(0, abs=0.05)
    assert scores["trained_map_loss_0"] < 0.05 < scores["trained_map_loss_1e-1"]
    assert scores["trained_map_nonzero_share_0"] == scores["trained_map_predictors_0"] / 8
    assert trained_scores(known, 8, [-3], seed=3)["trained_map_loss_1e-3"] == scores["trained_map_loss_1e-3"]


def test_blocks_of_targets_make_no_difference(generator, monkeypatch):
    known = problem(generator)
    whole = exact_scores(known, 8, DECAYS)
    monkeypatch.setattr(prediction, "TARGETS_PER_BLOCK", 3)
    assert exact_scores(known, 8, DECAYS) == pytest.approx(whole)


def test_dead_targets_need_no_predictors_and_count_for_nothing(generator):
    activations = networks(generator)
    fit, test = halves(60, generator)
    with_dead = activations | {"y": np.hstack([activations["y"], np.zeros((600, 4))])}
    found, expected = (
        exact_scores(dict(predictions(each, [("x", "y")], 60, fit, test))["x", "y"], 8, DECAYS)
        for each in (with_dead, activations)
    )
    assert found == pytest.approx(expected)


def test_trained_maps_count_what_the_paper_counts(generator):
    activations = networks(generator)
    fit, test = halves(60, generator)
    known = dict(predictions(activations | {"y": activations["y"][:, :5]}, [("x", "y")], 60, fit, test))["x", "y"]
    maps = train_maps(known.within, known.between, [8 * 10**-2.6], seed=4).maps[0]
    scores = trained_scores(known, 8, [-2.6], seed=4)
    assert scores["trained_map_predictors_10^-2.6"] == (np.abs(maps) > 1e-3).sum(axis=1).mean()
    assert scores["trained_map_nonzero_share_10^-2.6"] == (np.abs(maps) > 1e-3).mean()
    assert (np.abs(maps) > 0).mean() > (np.abs(maps) > 1e-3).mean()
    assert trained_scores(known, 8, [-2.6], seed=5) != scores


def test_maps_are_shown_at_the_papers_penalty(generator):
    known = problem(generator)
    shown = shown_maps(known, seed=4)
    expected = lasso_path(known.within, known.between, [96 * 10**-2.6])[0]
    np.testing.assert_array_equal(shown["exact"], expected)
    np.testing.assert_array_equal(shown["trained"], train_maps(known.within, known.between, [96 * 10**-2.6], 4).maps[0])


def test_few_units_keep_nothing_of_themselves(generator):
    scores = exact_scores(problem(generator, units=5), 5, DECAYS)
    assert scores["map_predictors_0"] == 5 and np.isnan(scores["few_predictors_share"])


def test_fewer_samples_than_units_are_no_obstacle(generator):
    known = problem(generator, images=5, per_image=1, units=8)
    scores = exact_scores(known, 8, DECAYS) | refit_scores(known, [1, 2])
    assert np.isfinite([value for name, value in scores.items() if name != "few_predictors_share"]).all()


def test_dead_networks_have_no_scores(generator):
    activations = {"x": networks(generator)["x"], "y": np.zeros((600, 3))}
    found = dict(predictions(activations, [("x", "y")], 60, *halves(60, generator)))
    for known in found.values():
        scores = exact_scores(known, 8, DECAYS) | refit_scores(known, [1])
        if known is found["x", "y"]:
            assert np.isnan(list(scores.values())).all()
        else:
            assert scores["map_r2_0"] == scores["refit_r2_1"] == 0


@pytest.mark.parametrize(
    ("exponent", "name"), [(None, "0"), (-5, "1e-5"), (-3.0, "1e-3"), (-2.6, "10^-2.6"), (1, "1e1")]
)
def test_decays_have_names_that_read_back(exponent, name):
    assert decay_name(exponent) == name
    assert exponent_of(name) == ("" if exponent is None else exponent)


def test_tables_hold_the_same_pairs_for_both_solvers():
    def row(measure, a, b, value, population="trained"):
        names = ("population", "layer", "measure", "network_a", "network_b", "value")
        return dict(zip(names, (population, "conv1", measure, a, b, value), strict=True))

    rows = [row("map_loss_1e-3", "a", "b", "0.2"), row("map_loss_1e-3", "b", "a", "0.4")]
    rows += [row("trained_map_loss_1e-3", "a", "b", "0.3"), row("map_loss_0", "a", "b", "0.1", "untrained")]
    rows += [
        row("refit_r2_all", "a", "b", "0.5"),
        row("refit_r2_all", "b", "a", "nan"),
        row("match_mean", "a", "b", "1"),
    ]
    maps, refits = prediction_tables(rows)
    assert [(entry["maps"], entry["log10_decay"], entry["loss"]) for entry in maps] == [
        ("exact", -3, 0.2),
        ("trained", -3, 0.3),
    ]
    assert refits == [{"population": "trained", "layer": "conv1", "predictors": "all", "r_squared": 0.5}]


def test_every_score_is_explained(generator):
    known = problem(generator)
    scores = exact_scores(known, 8, [-3]) | trained_scores(known, 8, [-3], 0) | refit_scores(known, [1])
    explained = {name.partition("<")[0] for name in PREDICTION_MEASURES}
    assert all(any(name.startswith(start) for start in explained) for name in scores)


def test_the_scores_of_a_source_are_those_of_each_pair_alone(generator):
    activations = networks(generator)
    activations["y"] = activations["y"][:, :5]
    images = halves(60, generator)
    pairs = [("x", "y"), ("z", "x"), ("y", "z")]
    moments = [part_moments(activations, pairs, 60, part) for part in images]
    by_source = dict(predictions_by_source(*moments, pairs))
    assert {(a, b) for a, problems in by_source.items() for b in problems} == {
        (a, b) for a in "xyz" for b in "xyz" if a != b
    }
    settings = {"log10_decays": DECAYS, "trained_log10_decays": [-3], "predictors": [1, 2], "seed": 0}
    for a, problems in by_source.items():
        for units in (None, 8):
            scores = map_scores(problems, published_units=units, protocol=["z"], **settings)
            for b, known in problems.items():
                alone = dict(predictions(activations, [(a, b)], 60, *images))[a, b]
                np.testing.assert_allclose(known.between, alone.between, atol=1e-12)
                np.testing.assert_allclose(known.test.xy, alone.test.xy, atol=1e-12)
                expected = exact_scores(alone, units or len(alone.test.yy), DECAYS) | refit_scores(alone, [1, 2])
                assert {name: scores[b][name] for name in expected} == pytest.approx(expected, nan_ok=True, abs=1e-9)
                assert any(name.startswith("trained_") for name in scores[b]) == (b == "z")
