"""Best partners by mutual information against best partners by correlation, unit by unit."""

import pandas as pd
from job import logged
from products import aligned_layers, products

from convergent.alignment import INFORMATION_COLUMNS, information_against_correlation
from convergent.figures.matching import information_panels
from convergent.figures.style import save
from convergent.tables import write_table

with logged(snakemake):
    output, params, rows = snakemake.output, snakemake.params, []
    a, b = params.networks[:2]
    sources = zip(aligned_layers(snakemake), products(snakemake, "information"), strict=True)
    for (layer, statistics, assignments), information in sources:
        rows += information_against_correlation(
            layer,
            statistics[f"between/{a}/{b}"],
            assignments[f"semi/{a}/{b}"],
            information[f"information/{a}/{b}"],
            information[f"semi/{a}/{b}"],
        )
    write_table(output.table, INFORMATION_COLUMNS, rows)
    save(
        information_panels(pd.DataFrame(rows, columns=INFORMATION_COLUMNS), params.layers, (a, b)),
        [output.figure, output.print],
    )
