"""Means, deviations and correlations of one layer for all networks of a tile, in one pass over their activations."""

from job import logged

from convergent.activations import open_layer
from convergent.files import save_arrays
from convergent.statistics import sides, tile_statistics

with logged(snakemake):
    params = snakemake.params
    activations, _ = open_layer(snakemake.input.records, params.dump_keys, snakemake.wildcards.layer)
    save_arrays(snakemake.output[0], params.key, **tile_statistics(*sides(activations, params.sides)))
