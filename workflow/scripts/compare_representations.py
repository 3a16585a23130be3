"""Compare the representations of every pair of networks of a tile, all layers with all layers or each with itself."""

from job import logged

from convergent.layerwise import compare_networks, open_networks, similarity_rows
from convergent.scores import SIMILARITY_COLUMNS, fragment
from convergent.statistics import pairs
from convergent.tables import write_table

with logged(snakemake):
    params, population = snakemake.params, snakemake.wildcards.population
    settings = params.comparing
    networks = open_networks(snakemake.input.records, params.dump_keys, settings["positions"])
    found = compare_networks(
        networks, pairs(*params.sides), settings["measures"], settings["largest_samples"], params.all_layers
    )
    rows = similarity_rows(params.study, params.key, ((population, *one) for one in found))
    write_table(snakemake.output[0], (*SIMILARITY_COLUMNS, "key", "rows"), fragment(rows))
