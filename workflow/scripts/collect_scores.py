"""All scores of the study in one tidy table, and their spread over pairs in another."""

from job import logged

from convergent.scores import COLUMNS, SUMMARY_COLUMNS, mean_over_draws, require_fragment, summarise
from convergent.tables import read_tables, write_table

with logged(snakemake):
    fragments = []
    for path, (keys, empty) in zip(snakemake.input.fragments, snakemake.params.contents, strict=True):
        rows = read_tables([path])
        require_fragment(path, rows, keys, empty)
        fragments += rows
    rows = mean_over_draws(fragments)
    write_table(snakemake.output.scores, COLUMNS, rows)
    write_table(snakemake.output.summary, SUMMARY_COLUMNS, summarise(rows))
