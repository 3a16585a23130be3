"""Figures of alignment under noise: what they show is what stands in the table, and all of it fits on the page."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba
from pages import misplaced

from convergent.figures.noise import (
    alignment_against_ratio,
    alignment_against_size,
    chosen_sizes,
    error_alignment_plane,
    error_beside_alignment,
    ratio_looks,
    theory_overlay,
)
from convergent.noise import theory
from convergent.noise.criteria import curves

SIZES, RATIOS, THRESHOLD = (10, 40, 80, 100, 125, 200, 500, 1000), (1.0, 3.0, 10.0, 30.0, 100.0), 100
MEASURES = ("cka_linear", "procrustes", "mutual_knn_euclidean", "permutation_correlation", "output_correlation")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture
def table(generator):
    rows = []
    for n, repetition, snr in product(SIZES, range(4), RATIOS):
        aligned = float(theory.alignment(n + 2, snr, THRESHOLD))
        values = {name: aligned + 0.02 * generator.normal() for name in MEASURES}
        values |= {"test_error": min(float(theory.label_error(n + 2, snr, THRESHOLD)), 1e3)}
        values |= {"train_error": max(0.0, 1 - THRESHOLD / n) / snr}
        place = {"protocol": "linear", "variant": "input", "n": n, "repetition": repetition, "snr": snr}
        rows += [place | {"measure": name, "value": value} for name, value in values.items()]
    return pd.DataFrame(rows)


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def lines_of(axis):
    """Lines of means by label, the threshold and others left out."""
    return {line.get_label(): line for line in axis.lines if not line.get_label().startswith("_")}


def mean_of(table, measure, **fixed):
    rows = table[table["measure"] == measure]
    for name, value in fixed.items():
        rows = rows[rows[name] == value]
    return rows


def test_alignment_against_size_shows_means_bands_and_the_threshold(table):
    figure = alignment_against_size(table, THRESHOLD, dict.fromkeys(MEASURES[:2], "Title"))
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["Title", "Title"]
    for axis, measure in zip(figure.axes, MEASURES, strict=False):
        assert axis.get_xscale() == "log" and axis.get_xlabel() == "training samples n"
        (dashed,) = [line for line in axis.lines if line.get_linestyle() == "--"]
        assert set(dashed.get_xdata()) == {THRESHOLD}
        lines = lines_of(axis)
        assert list(lines) == ["1", "3", "10", "30", "100"]
        for number, ratio in enumerate(RATIOS):
            rows = mean_of(table, measure, snr=ratio).groupby("n")["value"]
            line, band = lines[f"{ratio:g}"], axis.collections[number].get_datalim(axis.transData)
            assert list(line.get_xdata()) == list(SIZES)
            assert np.asarray(line.get_ydata()) == pytest.approx(rows.mean().to_numpy())
            assert rows.min().min() <= band.y0 < band.y1 <= rows.max().max()
    assert figure.axes[0].get_ylabel() == "alignment"
    assert legend_of(figure) == ["SNR 1", "SNR 3", "SNR 10", "SNR 30", "SNR 100", "threshold (n = 100)"]
    assert misplaced(figure) == []


def test_colours_of_ratios_show_on_white_and_in_grey():
    looks = ratio_looks(RATIOS)
    lightness = [np.dot(to_rgba(look["color"])[:3], (0.299, 0.587, 0.114)) for look in looks.values()]
    assert np.diff(lightness).min() > 0.05 and max(lightness) < 0.75
    assert len({look["marker"] for look in looks.values()}) == len(RATIOS)
    assert list(ratio_looks([100, 1, 100])) == [1, 100]


def test_alignment_against_ratio_has_lines_for_some_sizes(table):
    figure = alignment_against_ratio(table, THRESHOLD, MEASURES)
    shown = [10, 40, 80, 100, 200, 1000]
    for axis, measure in zip(figure.axes, MEASURES, strict=True):
        lines = lines_of(axis)
        assert [float(label) for label in lines] == shown
        for n in shown:
            rows = mean_of(table, measure, n=n).groupby("snr")["value"].mean()
            assert list(lines[f"{n:g}"].get_xdata()) == list(RATIOS)
            assert np.asarray(lines[f"{n:g}"].get_ydata()) == pytest.approx(rows.to_numpy())
            assert (lines[f"{n:g}"].get_linestyle() == "-") == (n >= THRESHOLD)
    assert legend_of(figure)[0] == "n = 10 (0.1 of the threshold)"
    assert misplaced(figure) == []
    assert chosen_sizes(np.array([1, 2, 3]), 2).tolist() == [1, 2, 3]


def test_error_stands_beside_alignment(table):
    figure = error_beside_alignment(table, THRESHOLD)
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["alignment (cka_linear)", "test error", "train error"]
    for axis, measure in zip(figure.axes, ("cka_linear", "test_error", "train_error"), strict=True):
        for ratio in RATIOS:
            expected = mean_of(table, measure, snr=ratio).groupby("n")["value"].mean()
            assert np.asarray(lines_of(axis)[f"{ratio:g}"].get_ydata()) == pytest.approx(expected.to_numpy())
    assert figure.axes[1].get_yscale() == "log"
    assert misplaced(figure) == []
    accuracy = table[table["measure"] == "train_error"].assign(measure="train_accuracy")
    figure = error_beside_alignment(pd.concat([table, accuracy]), THRESHOLD)
    assert figure.axes[2].get_title(loc="left") == "train accuracy"


def test_theory_lies_under_the_points(table):
    points = curves(table[table["measure"] == "cka_linear"])
    n, snr = (part.ravel() for part in np.meshgrid(np.arange(5, 1200), RATIOS))
    expected = pd.DataFrame({"n": n, "snr": snr, "value": theory.alignment(n, snr, THRESHOLD)})
    figure = theory_overlay(points, expected, THRESHOLD)
    overlay, against = figure.axes
    full = [line for line in overlay.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 50]
    assert len(full) == 2 * len(RATIOS)  # broken at the threshold
    assert np.asarray(full[0].get_ydata()) == pytest.approx(theory.alignment(np.arange(5, 100), 1, THRESHOLD))
    dots = [line for line in overlay.lines if line.get_linestyle() == "None" and len(line.get_xdata()) == len(SIZES)]
    for line, ratio in zip(dots, RATIOS, strict=True):
        assert np.asarray(line.get_ydata()) == pytest.approx(points[points["snr"] == ratio]["value"].to_numpy())
    pairs = [line for line in against.lines if line.get_linestyle() == "None" and len(line.get_xdata()) == len(SIZES)]
    assert np.asarray(pairs[2].get_xdata()) == pytest.approx(theory.alignment(np.array(SIZES), 10, THRESHOLD))
    assert misplaced(figure) == []


def test_plane_of_error_and_alignment_has_a_line_for_each_ratio(table):
    figure = error_alignment_plane(table, THRESHOLD)
    axis, bar = figure.axes
    assert len(axis.lines) == len(RATIOS) and bar.get_ylabel() == "training samples / threshold"
    wide = table.groupby(["snr", "n", "measure"])["value"].mean().unstack()
    for line, ratio in zip(axis.lines, RATIOS, strict=True):
        assert np.asarray(line.get_xdata()) == pytest.approx(wide.loc[ratio, "test_error"].to_numpy())
        assert np.asarray(line.get_ydata()) == pytest.approx(wide.loc[ratio, "cka_linear"].to_numpy())
    points, ring = axis.collections[:2]
    assert np.asarray(points.get_array()) == pytest.approx(np.array(SIZES) / THRESHOLD)
    assert np.asarray(ring.get_offsets()[0]) == pytest.approx(
        wide.loc[(1.0, 100)][["test_error", "cka_linear"]].to_numpy()
    )
    assert len(legend_of(figure)) == len(RATIOS) + 1
    assert misplaced(figure) == []


def test_gaps_and_single_repetitions_are_drawn(table):
    table.loc[(table["n"] == 100) & (table["snr"] == 1), "value"] = np.nan
    for rows in (table, table[table["repetition"] == 0]):
        for figure in (
            alignment_against_size(rows, THRESHOLD, MEASURES),
            alignment_against_ratio(rows, THRESHOLD, MEASURES[:1]),
            error_beside_alignment(rows, THRESHOLD),
            error_alignment_plane(rows, THRESHOLD),
        ):
            assert misplaced(figure) == []
    line = lines_of(alignment_against_size(table, THRESHOLD, MEASURES[:1]).axes[0])["1"]
    assert np.isnan(line.get_ydata()).tolist() == [n == 100 for n in SIZES]


@pytest.mark.parametrize(
    "draw",
    [
        lambda empty: alignment_against_size(empty, THRESHOLD, MEASURES),
        lambda empty: alignment_against_ratio(empty, THRESHOLD, MEASURES),
        lambda empty: error_beside_alignment(empty, THRESHOLD),
        lambda empty: error_alignment_plane(empty, THRESHOLD),
        lambda empty: theory_overlay(empty, empty, THRESHOLD),
    ],
)
def test_what_has_nothing_to_show_says_so(table, draw):
    assert draw(table[:0])._suptitle.get_text().startswith("no ")
