"""Judge every claim of the ledger by the scores of this study."""

from job import logged

from convergent.claims import CLAIM_COLUMNS, judge, load_claims
from convergent.tables import read_tables, write_table

with logged(snakemake):
    files, params = snakemake.input, snakemake.params
    scores, draws, published = (read_tables([path]) for path in (files.scores, files.draws, files.published))
    rows = judge(
        load_claims(files.claims),
        scores,
        draws,
        published,
        params.layers,
        params.convolutional,
        params.regime,
        params.network_draws,
        params.seed,
        params.meaningless,
    )
    write_table(snakemake.output.claims, CLAIM_COLUMNS, rows)
