"""All scores of the study in one tidy table, and their spread over pairs in another."""

from job import logged

from convergent.scores import COLUMNS, SUMMARY_COLUMNS, mean_over_draws, summarise
from convergent.tables import read_tables, write_table

with logged(snakemake):
    rows = read_tables(snakemake.input.alignments) + mean_over_draws(read_tables(snakemake.input.controls))
    write_table(snakemake.output.scores, COLUMNS, rows)
    write_table(snakemake.output.summary, SUMMARY_COLUMNS, summarise(rows))
