"""Controls of one layer: networks with shuffled images, with permuted units, and against their own siblings."""

import numpy as np
from job import logged

from convergent.activations import open_layer
from convergent.alignment import align
from convergent.controls import permuted_correlation, require_recovered, shuffled_moments, sibling_correlation
from convergent.scores import FRAGMENT_COLUMNS, fragment, score_rows
from convergent.statistics import sides
from convergent.tables import write_table

with logged(snakemake):
    layer, params = snakemake.wildcards.layer, snakemake.params
    activations, images = open_layer(snakemake.input.records, params.dump_keys, layer)
    x, y = sides(activations, params.sides)
    generator = np.random.default_rng(params.seed)
    rows = []

    def score(population: str, a: str, b: str, found, draw: int = 1) -> None:
        rows.extend(score_rows(params.study, population, layer, a, b, found.scores, draw=draw, key=params.key))

    for draw, shuffled in enumerate(shuffled_moments(x, y, images, params.shuffles, generator), start=1):
        for (a, b), moments in shuffled.items():
            live_a, live_b = (deviation > 0 for deviation in moments.standard_deviation())
            forward, backward = align(moments.correlation(), live_a, live_b)
            score("shuffled", a, b, forward, draw)
            score("shuffled", b, a, backward, draw)
    # What a network has to do with itself belongs to the tile on the diagonal, so that it is scored once.
    for network, values in x.items() if y is None else ():
        correlation, planted, live = permuted_correlation(values, generator)
        require_recovered(correlation, planted, live)
        score("permuted", network, network, align(correlation, live, live[np.argsort(planted)])[0])
        if live.sum() > 1:
            score("siblings", network, network, align(sibling_correlation(correlation, planted), live, live)[0])
    write_table(snakemake.output[0], FRAGMENT_COLUMNS, fragment(rows))
