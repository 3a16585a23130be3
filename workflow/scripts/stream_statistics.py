"""Means, deviations and correlations of all layers for all networks of a tile, accumulated while the networks run."""

from job import logged
from running import images_shown, study_images, tile_networks

from convergent.devices import device_named
from convergent.files import save_arrays
from convergent.statistics import sides
from convergent.streaming import stream_statistics

with logged(snakemake):
    params, population = snakemake.params, snakemake.wildcards.population
    data = study_images(snakemake)
    shown = images_shown(snakemake, population, data)
    tile = stream_statistics(
        *sides(tile_networks(snakemake, snakemake.input.weights, data), params.sides),
        shown,
        shown.splits["probe"],
        position_seed=params.position_seed,
        device=device_named(params.device),
        **params.recording,
    )
    for (layer, arrays), path, key in zip(tile, snakemake.output, params.statistics_keys, strict=True):
        save_arrays(path, key, **arrays)
        print(f"accumulated {arrays['samples']} samples of {layer}, {population} networks")
