"""Figures of odd studies: one layer, long names, nothing to draw. What is written must fit on the page."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from convergent.figures.activity import activation_spectra, joint_activations, matched_activity
from convergent.figures.groups import grouped_matrix
from convergent.figures.matching import alignment_by_depth, information_panels, matching_curves
from convergent.figures.sparse import few_predictors, loss_panels, mapping_schematic, weight_matrices
from convergent.figures.units import activity_extremes, unit_groups, unit_pairs, unit_predictors

LONG = [f"encoder.layers.encoder_layer_{number}" for number in range(3)]
NAMES = ("net1", "net2")


@pytest.fixture(params=[["conv1"], ["fc1", "fc2"], LONG], ids=["one", "two", "long"])
def layers(request):
    return request.param


def outside(figure):
    """Words and legends that are not wholly on the page."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    page = figure.bbox
    boxes = {
        text.get_text(): text.get_window_extent(renderer) for axis in figure.axes for text in (axis.title, *axis.texts)
    }
    boxes |= {text.get_text(): text.get_window_extent(renderer) for text in figure.texts}
    boxes |= {axis.get_title(loc="left"): axis._left_title.get_window_extent(renderer) for axis in figure.axes}
    boxes |= {f"legend {number}": legend.get_window_extent(renderer) for number, legend in enumerate(figure.legends)}
    plt.close(figure)
    return [
        words
        for words, box in boxes.items()
        if words and (box.x0 < page.x0 - 1 or box.x1 > page.x1 + 1 or box.y0 < page.y0 - 1 or box.y1 > page.y1 + 1)
    ]


def test_titles_and_legends_fit_on_the_page(layers, generator):
    curves = pd.DataFrame(
        [
            {"layer": layer, "rank": rank, "unit": rank, "semi": 0.5, "match": 0.4, "semi_low": 0.3, "semi_high": 0.6}
            for layer in layers
            for rank in range(3)
        ]
    )
    assert outside(matching_curves(curves, NAMES)) == []
    columns = ("layer", "unit", "correlation", "correlation_partner", "information", "information_partner")
    information = pd.DataFrame([(layer, 0, 0.5, 1, 0.2, 1) for layer in layers], columns=columns)
    assert outside(information_panels(information, layers, NAMES)) == []
    losses = pd.DataFrame(
        [(layer, maps, decay, 0.3) for layer in layers for maps in ("exact", "trained") for decay in (np.nan, -3, -2)],
        columns=("layer", "maps", "log10_decay", "loss"),
    )
    assert outside(loss_panels(losses, pd.DataFrame(columns=("layer", "decay", "value")), layers)) == []
    refits = pd.DataFrame(
        [
            (population, layer, n, -5.0)
            for population in ("trained", "untrained")
            for layer in layers
            for n in ("1", "all")
        ],
        columns=("population", "layer", "predictors", "r_squared"),
    )
    maps = pd.DataFrame([(layer, 1.0, 0.2) for layer in layers], columns=("layer", "predictors", "r_squared"))
    figure = few_predictors(refits, maps, layers)
    # What is far below is drawn at the edge, not left out.
    low, _ = figure.axes[0].get_ylim()
    assert min(figure.axes[0].lines[0].get_ydata()) > low
    assert outside(figure) == []
    spectra = pd.DataFrame(
        [(layer, network, rank, 1.0 / (rank + 1)) for layer in layers for network in NAMES for rank in range(3)],
        columns=("layer", "network", "rank", "mean"),
    )
    assert outside(activation_spectra(spectra)) == []
    matched = pd.DataFrame(
        [(layer, 0.9, 1, 2, 3, 4) for layer in layers],
        columns=("layer", "correlation", "mean_a", "mean_b", "standard_deviation_a", "standard_deviation_b"),
    )
    assert outside(matched_activity(matched, NAMES)) == []
    assert outside(mapping_schematic(layers, NAMES)) == []
    pairs = [
        {
            "layer": layer,
            "unit_a": 1,
            "unit_b": 2,
            "correlation": 0.5,
            "x": generator.random(9),
            "y": generator.random(9),
        }
        for layer in layers
    ]
    assert outside(joint_activations(pairs, NAMES, columns=4)) == []
    assert outside(weight_matrices(np.eye(2), np.eye(2), layers[0], NAMES)) == []


def test_a_layer_without_a_value_leaves_a_gap():
    columns = ("population", "layer", "measure", "mean", "minimum", "maximum")
    rows = [("trained", layer, "m", 0.5, 0.4, 0.6) for layer in ("a", "b", "c")]
    rows += [("siblings", layer, "m", 0.5, 0.4, 0.6) for layer in ("a", "c")]
    published = pd.DataFrame([("a", "m", 0.6)], columns=("layer", "measure", "value"))
    figure = alignment_by_depth(pd.DataFrame(rows, columns=columns), published, {"m": "measure"})
    lines = {line.get_label(): np.asarray(line.get_ydata(), dtype=float) for line in figure.axes[0].lines}
    plt.close(figure)
    assert np.isnan(lines["siblings"]).tolist() == [False, True, False]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: unit_pairs({}, [], [], NAMES, "fc6"),
        lambda: unit_groups({}, [], NAMES, "fc6"),
        lambda: unit_predictors({}, [], NAMES, "fc6"),
        lambda: activity_extremes({}, {"net1": [], "net2": []}, {"net1": [], "net2": []}, "fc6"),
        lambda: grouped_matrix(np.zeros((2, 2)), np.zeros(0, int), np.zeros(1, int), np.array([0, 1]), NAMES),
    ],
)
def test_what_has_nothing_to_show_says_so(draw):
    figure = draw()
    words = [text.get_text() for axis in figure.axes for text in axis.texts] + [
        text.get_text() for text in figure.texts
    ]
    if figure._suptitle is not None:
        words.append(figure._suptitle.get_text())
    plt.close(figure)
    assert any(word.startswith(("fc6: no ", "no unit ")) for word in words)
