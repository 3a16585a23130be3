"""Draw alignment against noise and sample size, and put the claims beside their figures."""

import numpy as np
import pandas as pd
from job import logged
from products import saved

from convergent.claims_page import claims_page
from convergent.figures import noise as figures
from convergent.figures.style import save
from convergent.files import written_whole
from convergent.noise.criteria import UNRELIABLE, curves
from convergent.noise.summary import drawn_measures, expected, thresholds_of
from convergent.noise.theory import label_error
from convergent.tables import read_tables

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
        protocol, variant = ("linear", place) if kind.startswith("theory") else place.split("-")
        rows = table[(table["protocol"] == protocol) & (table["variant"] == variant)]
        threshold = thresholds[protocol, variant]
        if kind == "theory":
            points = curves(rows[rows["measure"] == "cka_linear"])
            figure = figures.theory_overlay(points, expected(variant, points), threshold)
        elif kind == "theory_error":
            points = curves(rows[rows["measure"] == "test_error"])
            points = points[np.abs(points["n"] - threshold) > UNRELIABLE]
            line = expected(variant, points, label_error)
            figure = figures.theory_overlay(points, line, threshold, "test error", error=True)
        else:
            figure = DRAW[kind](rows, threshold)
        save(figure, paths)
    prints = dict(zip(params.names, map(str, snakemake.output.prints), strict=True))
    with written_whole(snakemake.output.page) as partial:
        partial.write_text(claims_page(read_tables([files.claims]), prints))
