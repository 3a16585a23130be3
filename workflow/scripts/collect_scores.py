"""All scores of the study in one tidy table, their spread and intervals in another, their draws in a third."""

from job import logged

from convergent.resampling import SUMMARY_COLUMNS, summarise_with_intervals
from convergent.scores import COLUMNS, DRAW_COLUMNS, SHUFFLED, draw_means, mean_over_draws, require_fragment
from convergent.tables import read_tables, write_table


def pieces(paths: list[str], contents: list[tuple[list[str], bool]]) -> list[dict]:
    """Rows of all fragments, each checked to be whole and of this study."""
    every = []
    for path, (keys, empty) in zip(paths, contents, strict=True):
        rows = read_tables([path])
        require_fragment(path, rows, keys, empty)
        every += rows
    return every


with logged(snakemake):
    fragments = pieces(snakemake.input.fragments, snakemake.params.contents)
    redrawn = pieces(snakemake.input.redrawn, snakemake.params.redrawn_contents)
    rows = mean_over_draws(fragments)
    draws = draw_means([*(row for row in fragments if row["population"] == SHUFFLED), *redrawn])
    write_table(snakemake.output.scores, COLUMNS, rows)
    write_table(snakemake.output.draws, DRAW_COLUMNS, draws)
    write_table(snakemake.output.summary, SUMMARY_COLUMNS, summarise_with_intervals(rows, draws))
