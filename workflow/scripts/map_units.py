"""Predict the units of each network from few units of another, one layer; the images that fit do not judge."""

import numpy as np
from job import logged

from convergent.activations import open_layer
from convergent.files import save_arrays
from convergent.prediction import (
    halves,
    map_scores,
    part_moments,
    predictions,
    predictions_by_source,
    refit_scores,
    shown_maps,
)
from convergent.scores import FRAGMENT_COLUMNS, fragment, score_rows
from convergent.statistics import pairs
from convergent.tables import write_table

with logged(snakemake):
    params, wildcards = snakemake.params, snakemake.wildcards
    activations, images = open_layer(snakemake.input.records, params.dump_keys, wildcards.layer)
    parts = halves(images, np.random.default_rng(params.halves_seed))
    unordered = pairs(*params.sides)
    trained = wildcards.population == "trained"
    arrays, rows = {}, []

    def score(population: str, a: str, b: str, scores: dict[str, float]) -> None:
        rows.extend(score_rows(params.study, population, wildcards.layer, a, b, scores, draw=1, key=params.key))

    settings = {"published_units": params.published_units, "seed": params.maps_seed, **params.maps}
    moments = (part_moments(activations, unordered, images, part) for part in parts)
    for a, problems in predictions_by_source(*moments, unordered):
        protocol = [b for b in problems if trained and (a, b) in unordered]  # the paper trained maps in one direction
        for b, scores in map_scores(problems, protocol=protocol, **settings).items():
            score(wildcards.population, a, b, scores)
        for b in protocol:
            shown = shown_maps(problems[b], params.maps_seed)
            arrays |= {f"{kind}/{a}/{b}": values for kind, values in shown.items()}
    if trained:
        generator = np.random.default_rng([params.halves_seed, 1])
        shuffled = [{name: generator.permutation(part) for name in activations} for part in parts]
        for (a, b), problem in predictions(activations, unordered, images, *shuffled):
            score("shuffled", a, b, refit_scores(problem, params.maps["predictors"]))
    save_arrays(snakemake.output.maps, params.key, **arrays)
    write_table(snakemake.output.scores, FRAGMENT_COLUMNS, fragment(rows))
