"""Train ensembles on one number of noisy samples, at every ratio, and measure how alike their networks are."""

from job import logged

from convergent.noise.protocols import run, variants_at
from convergent.scores import fragment
from convergent.tables import write_table

COLUMNS = ("protocol", "variant", "n", "repetition", "snr", "measure", "value", "reason")

with logged(snakemake):
    params, wildcards = snakemake.params, snakemake.wildcards
    n, rows = int(wildcards.size), []
    for variant in variants_at(wildcards.protocol, n, params.scale):
        rows += run(wildcards.protocol, variant, n, params.scale, params.seed)
        print(f"{wildcards.protocol} {variant}")
    rows = fragment([row | {"key": params.key} for row in rows])
    write_table(snakemake.output[0], (*COLUMNS, "key", "rows"), rows)
