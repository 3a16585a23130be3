"""Draw alignment against noise and sample size."""

import numpy as np
import pandas as pd
from job import logged
from products import saved

from convergent.figures import noise as figures
from convergent.figures.style import save
from convergent.noise.criteria import UNRELIABLE, curves
from convergent.noise.summary import TRAINED, drawn_measures, expected, limits_of, thresholds_of
from convergent.noise.theory import label_error

DRAW = {
    "alignment_against_size": lambda rows, threshold: figures.alignment_against_size(
        rows, threshold, drawn_measures(rows)
    ),
    "alignment_against_ratio": lambda rows, threshold: figures.alignment_against_ratio(
        rows, threshold, drawn_measures(rows)
    ),
    "error_beside_alignment": figures.error_beside_alignment,
    "error_alignment_plane": figures.error_alignment_plane,
}

with logged(snakemake):
    params, files = snakemake.params, snakemake.input
    table, thresholds = pd.read_csv(files.table), thresholds_of(pd.read_csv(files.criteria))
    for name, paths in zip(params.names, saved(snakemake), strict=True):
        _, kind, place = name.split("/")
        protocol, variant = place.split("-") if kind in DRAW else ("linear", place)
        rows = table[(table["protocol"] == protocol) & (table["variant"] == variant)]
        threshold = thresholds[protocol, variant]
        if kind == "theory":
            points = curves(rows[rows["measure"] == "cka_linear"])
            line = expected(variant, points)
            line.loc[np.abs(line["n"] - threshold) <= UNRELIABLE, "value"] = np.nan
            ends = limits_of(variant, points)
            figure = figures.theory_overlay(points, line, threshold, ends=ends)
        elif kind == "closed_form":
            trained = table[(table["protocol"] == TRAINED[0]) & (table["variant"] == TRAINED[1])]
            points, line = (curves(each[each["measure"] == "cka_linear"]) for each in (trained, rows))
            figure = figures.theory_overlay(points, line, threshold, "linear CKA", "closed form", "training")
        elif kind == "theory_error":
            points = curves(rows[rows["measure"] == "test_error"])
            points = points[np.abs(points["n"] - threshold) > UNRELIABLE]
            line = expected(variant, points, label_error)
            figure = figures.theory_overlay(points, line, threshold, "test error", error=True)
        else:
            figure = DRAW[kind](rows, threshold)
        save(figure, paths)
