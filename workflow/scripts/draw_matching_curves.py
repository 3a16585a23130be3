"""Correlation of each unit with its partners, semi-matching against matching, for every layer."""

import pandas as pd
from job import logged
from products import aligned_layers

from convergent.alignment import CURVE_COLUMNS, partner_curves
from convergent.figures.matching import matching_curves
from convergent.figures.style import save
from convergent.statistics import pairs
from convergent.tables import write_table

with logged(snakemake):
    output, networks, rows = snakemake.output, snakemake.params.networks, []
    for layer, statistics, assignments in aligned_layers(snakemake):
        between = {(a, b): statistics[f"between/{a}/{b}"] for a, b in pairs(networks)}
        between |= {(b, a): values.T for (a, b), values in between.items()}
        rows += partner_curves(layer, between, assignments)
    write_table(output.table, CURVE_COLUMNS, rows)
    save(matching_curves(pd.DataFrame(rows), networks[:2]), [output.figure, output.print])
