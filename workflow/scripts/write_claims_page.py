"""One page with every claim, its verdict, and the figure that shows it."""

from job import logged

from convergent.claims_page import claims_page
from convergent.files import written_whole
from convergent.tables import read_tables

with logged(snakemake):
    rows = read_tables([snakemake.input.claims])
    with written_whole(snakemake.output[0]) as partial:
        partial.write_text(claims_page(rows, snakemake.params.figures))
