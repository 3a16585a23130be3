"""Calibrate similarities against permuted images, layer by layer, and their maximum over all pairs of layers."""

from job import logged

from convergent.layerwise import calibrate_networks, open_networks
from convergent.scores import CALIBRATION_COLUMNS, fragment
from convergent.statistics import pairs
from convergent.tables import write_table

with logged(snakemake):
    params, population = snakemake.params, snakemake.wildcards.population
    settings = dict(params.calibrating)
    networks = open_networks(snakemake.input.records, params.dump_keys, settings.pop("positions"))
    shared = {"study": params.study, "population": population, "key": params.key}
    rows = [shared | row for row in calibrate_networks(networks, pairs(*params.sides), **settings, seed=params.seed)]
    write_table(snakemake.output[0], (*CALIBRATION_COLUMNS, "key", "rows"), fragment(rows))
