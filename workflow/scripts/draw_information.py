"""Best partners by mutual information against best partners by correlation, unit by unit."""

import pandas as pd
from job import logged
from products import aligned_layers

from convergent.alignment import INFORMATION_COLUMNS, information_against_correlation
from convergent.figures.matching import information_panels
from convergent.figures.style import save
from convergent.files import load_arrays
from convergent.tables import write_table

with logged(snakemake):
    output, params, rows = snakemake.output, snakemake.params, []
    a, b = params.networks[:2]
    sources = zip(aligned_layers(snakemake), snakemake.input.information, params.information_keys, strict=True)
    for (layer, statistics, assignments), path, key in sources:
        information = load_arrays(path, key)
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
