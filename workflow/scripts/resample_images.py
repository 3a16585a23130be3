"""Scores of one layer on images drawn with replacement, averaged over the pairs of networks: how much they vary."""

import numpy as np
from job import logged

from convergent.activations import open_layer
from convergent.prediction import halves, part_moments
from convergent.redraws import alignment_scores, draw_images, information_scores, prediction_scores
from convergent.scores import REDRAWN_COLUMNS, fragment, mean_over_pairs
from convergent.statistics import pairs
from convergent.tables import write_table

with logged(snakemake):
    params, layer = snakemake.params, snakemake.wildcards.layer
    activations, images = open_layer(snakemake.input.records, params.dump_keys, layer)
    parts, unordered = halves(images, np.random.default_rng(params.halves_seed)), pairs(*params.sides)
    rows = []
    for draw in range(1, params.draws + 1):
        fit, test = draw_images(parts, params.seed, draw)
        fitted, judged = (part_moments(activations, unordered, images, part) for part in (fit, test))
        shared = {pair: fitted[pair].joined(judged[pair]) for pair in fitted}, unordered
        scored = list(alignment_scores(*shared, params.threshold))
        if "information" in params.costly:
            scored += information_scores(
                *shared, activations, images, np.concatenate([fit, test]), **params.information
            )
        if "maps" in params.costly:
            settings = {"published_units": params.published_units, "seed": params.maps_seed, **params.maps}
            scored += prediction_scores(fitted, judged, unordered, **settings)
        rows += mean_over_pairs(scored, layer=layer, draw=draw, key=params.key)
    write_table(snakemake.output[0], REDRAWN_COLUMNS, fragment(rows))
