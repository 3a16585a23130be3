"""Draw the chosen units by what excites them: one kind of figure, layer by layer."""

from collections.abc import Callable
from functools import partial

from job import logged
from products import saved

from convergent.examples import (
    BEST,
    LEAST,
    MOST,
    WORST,
    activity_drawn,
    groups_drawn,
    pairs_drawn,
    predictors_drawn,
    read_examples,
)
from convergent.figures.style import save
from convergent.figures.units import activity_extremes, unit_groups, unit_pairs, unit_predictors
from convergent.files import load_arrays

DRAWINGS: dict[str, Callable] = {
    "unit_pairs": lambda drawn, rows, names, layer, **more: unit_pairs(
        drawn, pairs_drawn(rows, BEST), pairs_drawn(rows, WORST), names, layer, **more
    ),
    "unit_groups": lambda drawn, rows, names, layer: unit_groups(drawn, groups_drawn(rows, names), names, layer),
    "unit_predictors": lambda drawn, rows, names, layer: unit_predictors(drawn, predictors_drawn(rows), names, layer),
    "activity_extremes": lambda drawn, rows, names, layer: activity_extremes(
        drawn, activity_drawn(rows, MOST, params.networks), activity_drawn(rows, LEAST, params.networks), layer
    ),
}
DRAWINGS["unit_pairs_information"] = partial(DRAWINGS["unit_pairs"], similarity="mutual information (nats)")

with logged(snakemake):
    params, files = snakemake.params, snakemake.input
    examples = read_examples(files.examples, params.examples_key)
    pictures = {
        name: load_arrays(path, key)
        for name, path, key in zip(params.networks, files.pictures, params.pictures_keys, strict=True)
    }
    for layer, paths in zip(params.layers, saved(snakemake), strict=True):
        rows = [row for row in examples if (row["figure"], row["layer"]) == (params.figure, layer)]
        drawn = {
            (name, int(unit)): mosaic if live else None
            for name, arrays in pictures.items()
            for unit, live, mosaic in zip(
                *(arrays.get(f"{part}/{layer}", ()) for part in ("units", "live", "mosaics")), strict=True
            )
        }
        save(DRAWINGS[params.figure](drawn, rows, tuple(params.networks[:2]), layer), paths)
