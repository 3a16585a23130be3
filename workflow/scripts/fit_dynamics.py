"""Fit the effective theory to every network of one experiment, and keep its curves beside those measured."""

from job import logged

from convergent.dynamics.analysis import CURVE_COLUMNS, FIT_COLUMNS, fit_case
from convergent.files import load_arrays
from convergent.scores import fragment
from convergent.tables import write_table

with logged(snakemake):
    params, wildcards = snakemake.params, snakemake.wildcards
    fits, curves = fit_case(wildcards.experiment, wildcards.case, load_arrays(snakemake.input[0], params.run_key))
    for path, columns, rows in (
        (snakemake.output.fits, FIT_COLUMNS, fits),
        (snakemake.output.curves, CURVE_COLUMNS, curves),
    ):
        write_table(path, (*columns, "key", "rows"), fragment([row | {"key": params.key} for row in rows]))
