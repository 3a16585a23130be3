"""What measures of similarity give where the answer is known: copies, noise, shuffled images, untrained networks."""

from job import logged

from convergent.layerwise import control, open_networks, similarity_rows
from convergent.scores import SIMILARITY_COLUMNS, fragment
from convergent.statistics import pairs
from convergent.tables import write_table

with logged(snakemake):
    params, files = snakemake.params, snakemake.input
    settings = params.comparing
    networks = open_networks(files.records, params.dump_keys, settings["positions"])
    untrained = open_networks(files.untrained_records, params.untrained_dump_keys, settings["positions"])
    x, y = params.sides
    found = control(
        networks,
        untrained,
        pairs(x, y),
        # What a network has to do with itself belongs to the tile on the diagonal, so that it is scored once.
        alone=x if y is None else (),
        names=settings["measures"],
        levels=params.noise,
        largest_samples=settings["largest_samples"],
        seed=params.seed,
    )
    rows = similarity_rows(params.study, params.key, found)
    write_table(snakemake.output[0], (*SIMILARITY_COLUMNS, "key", "rows"), fragment(rows))
