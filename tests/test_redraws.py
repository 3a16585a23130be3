"""Scores on drawn images: whole images, halves apart, and the same numbers as the study's own on all images."""

import numpy as np
import pytest

from convergent.alignment import align
from convergent.prediction import halves, part_moments, predictions, refit_scores
from convergent.redraws import alignment_scores, draw_images, information_scores, prediction_scores
from convergent.scores import draw_means, mean_over_pairs
from convergent.statistics import correlation


def networks(generator, images=40, per_image=6, units=7):
    common = np.maximum(generator.normal(size=(images * per_image, units)), 0)
    return {name: np.maximum(common + generator.normal(size=common.shape), 0) for name in "abc"}


def only(scored, a, b, measure):
    (value,) = [scores[measure] for x, y, scores in scored if (x, y) == (a, b) and measure in scores]
    return value


def test_a_draw_repeats_and_keeps_the_halves_apart(generator):
    parts = halves(30, generator)
    drawn, again, other = draw_images(parts, 5, 1), draw_images(parts, 5, 1), draw_images(parts, 5, 2)
    for part, images, same, different in zip(parts, drawn, again, other, strict=True):
        assert len(images) == len(part) and set(images) < set(part)
        np.testing.assert_array_equal(images, same)
        assert not np.array_equal(images, different)


def test_all_images_once_give_the_scores_of_the_study(generator):
    activations = networks(generator)
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    scored = list(alignment_scores(part_moments(activations, pairs, 40, np.arange(40)), pairs, threshold=0.2))
    live = np.ones(7, dtype=bool)
    forward, backward = align(correlation(activations["a"], activations["b"]), live, live)
    for measure, value in forward.scores.items():
        assert only(scored, "a", "b", measure) == pytest.approx(value)
    for measure, value in backward.scores.items():
        assert only(scored, "b", "a", measure) == pytest.approx(value)
    assert only(scored, "c", "c", "largest_mean") == pytest.approx(activations["c"].mean(axis=0).max())


def test_drawn_images_are_taken_whole_and_as_often_as_drawn(generator):
    activations = networks(generator)
    chosen = generator.integers(40, size=40)
    rows = (chosen[:, None] * 6 + np.arange(6)).ravel()
    read = {name: values[rows] for name, values in activations.items()}

    def scored(values, images):
        shared = part_moments(values, [("a", "b")], 40, images), [("a", "b")]
        yield from alignment_scores(*shared, 0.2)
        yield from information_scores(*shared, values, 40, images, 5, None)

    for (*names, scores), (*others, expected) in zip(
        scored(activations, chosen), scored(read, np.arange(40)), strict=True
    ):
        assert names == others
        assert scores == pytest.approx(expected, nan_ok=True)


def test_maps_are_fitted_and_judged_on_their_own_draws(generator):
    activations = networks(generator)
    fit, test = draw_images(halves(40, generator), 1, 1)
    scored = list(
        prediction_scores(
            *(part_moments(activations, [("a", "b")], 40, part) for part in (fit, test)),
            [("a", "b")],
            published_units=None,
            log10_decays=[-3, -2],
            trained_log10_decays=[-2],
            predictors=[1, 2],
            seed=0,
        )
    )
    known = dict(predictions(activations, [("a", "b")], 40, fit, test))
    for pair in (("a", "b"), ("b", "a")):
        assert only(scored, *pair, "refit_r2_2") == refit_scores(known[pair], [1, 2])["refit_r2_2"]
    assert [names for *names, scores in scored if "trained_map_loss_1e-2" in scores] == [["a", "b"]]


def test_settings_reach_the_scores(generator):
    activations = networks(generator)
    fit, test = draw_images(halves(40, generator), 1, 1)
    every = np.concatenate([fit, test])

    def moments(images):
        return part_moments(activations, [("a", "b")], 40, images)

    def found(function, *settings):
        return [scores for *_, scores in function(moments(every), [("a", "b")], *settings)]

    assert found(alignment_scores, 0.2) != found(alignment_scores, 0.7)
    images = activations, 40, every
    assert found(information_scores, *images, 4, None) != found(information_scores, *images, 9, None)
    assert found(information_scores, *images, 4, None) != found(information_scores, *images, 4, "miller_madow")

    def predicted(*parts, units=None, seed=0):
        settings = {"log10_decays": [-3], "trained_log10_decays": [-2], "predictors": [1]}
        both = map(moments, parts)
        scored = prediction_scores(*both, [("a", "b")], published_units=units, seed=seed, **settings)
        return [scores for *_, scores in scored]

    assert predicted(fit, test) == predicted(fit, test, units=7)
    assert predicted(fit, test) != predicted(fit, test, units=96)
    assert predicted(fit, test, seed=1) != predicted(fit, test)
    assert predicted(fit, test) != predicted(test, fit)
    forward, backward = (
        [only(alignment_scores(moments(every), [("a", "b")], 0.2), *pair, "semi_match_mean")]
        for pair in (("a", "b"), ("b", "a"))
    )
    assert forward != backward


def test_means_over_pairs_and_tiles_are_those_over_all_pairs():
    scored = [("a", "b", {"m": 1.0, "n": np.nan}), ("b", "a", {"m": 2.0, "n": np.nan}), ("a", "a", {"k": 5.0})]
    rows = mean_over_pairs(scored, layer="conv1", draw=1, key="x")
    assert {(row["measure"], row["mean"], row["pairs"]) for row in rows} == {("m", 1.5, 2), ("k", 5.0, 1)}
    rows += mean_over_pairs([("a", "c", {"m": 6.0})], layer="conv1", draw=1, key="y")
    (row,) = [row for row in draw_means(rows) if row["measure"] == "m"]
    assert (row["population"], row["draw"], row["mean"]) == ("resampled", 1, 3.0)
    assert draw_means([{"population": "shuffled", "layer": "l", "measure": "m", "draw": 2, "value": "nan"}]) == []
