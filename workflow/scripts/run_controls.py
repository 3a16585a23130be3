"""Negative and positive control of one layer: networks with shuffled images, and networks with permuted units."""

import numpy as np
from job import logged, sides

from convergent.activations import open_layer
from convergent.alignment import align
from convergent.controls import permuted_correlation, require_recovered, shuffled_moments, sibling_correlation
from convergent.scores import DRAW_COLUMNS, score_rows
from convergent.statistics import between, columns_of
from convergent.tables import write_table

with logged(snakemake):
    layer, params = snakemake.wildcards.layer, snakemake.params
    activations, image_of_row = open_layer(snakemake.input.records, params.dump_keys, layer)
    x, y = sides(activations, params.sides)
    generator = np.random.default_rng(params.seed)
    rows = []
    draws = shuffled_moments(x, y, image_of_row, params.shuffles, generator)
    for draw, moments in enumerate(draws, start=1):
        live = {}
        for side, deviations in zip((x, y or {}), moments.standard_deviation(), strict=True):
            live |= {name: deviations[columns] > 0 for name, columns in columns_of(side).items()}
        for (a, b), correlation in between(x, y, moments.correlation()):
            for (first, second), found in zip(((a, b), (b, a)), align(correlation, live[a], live[b]), strict=True):
                rows += score_rows(params.study, "shuffled", layer, first, second, found.scores, draw=draw)
    # What a network has to do with itself belongs to the tile on the diagonal, so that it is scored once.
    for network, values in x.items() if y is None else ():
        correlation, planted, live = permuted_correlation(values, generator)
        require_recovered(correlation, planted, live)
        permuted, _ = align(correlation, live, live[np.argsort(planted)])
        siblings, _ = align(sibling_correlation(correlation, planted), live, live)
        for control, found in {"permuted": permuted, "siblings": siblings}.items():
            rows += score_rows(params.study, control, layer, network, network, found.scores, draw=1)
    write_table(snakemake.output[0], DRAW_COLUMNS, rows)
