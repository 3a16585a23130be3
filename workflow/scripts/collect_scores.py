"""All scores of the study in one tidy table, their spread and intervals in another, their draws in a third."""

from job import logged
from products import pieces

from convergent.resampling import SUMMARY_COLUMNS, summarise_with_intervals
from convergent.scores import (
    COLUMNS,
    DRAW_COLUMNS,
    SHUFFLED,
    calibrated_scores,
    draw_means,
    mean_over_draws,
    same_layers,
)
from convergent.tables import read_tables, write_table

with logged(snakemake):
    fragments = pieces(snakemake.input.fragments, snakemake.params.contents)
    redrawn = pieces(snakemake.input.redrawn, snakemake.params.redrawn_contents)
    rows = mean_over_draws(fragments)
    rows += same_layers(read_tables([snakemake.input.similarity]), snakemake.params.layers)
    rows += calibrated_scores(read_tables([snakemake.input.calibration]), snakemake.params.layers)
    draws = draw_means([*(row for row in fragments if row["population"] == SHUFFLED), *redrawn])
    write_table(snakemake.output.scores, COLUMNS, rows)
    write_table(snakemake.output.draws, DRAW_COLUMNS, draws)
    write_table(snakemake.output.summary, SUMMARY_COLUMNS, summarise_with_intervals(rows, draws))
