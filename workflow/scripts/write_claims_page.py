"""One page with every claim of one study or of several, its verdict, and the figure that shows it."""

from job import logged

from convergent.claims_page import INTRODUCTIONS, claims_page
from convergent.files import written_whole
from convergent.tables import read_tables

with logged(snakemake):
    files, params = snakemake.input, snakemake.params
    introduction = "\n".join([*(INTRODUCTIONS[name] for name in params.studies), *params.notes])
    with written_whole(snakemake.output[0]) as partial:
        figures = dict(zip(params.names, map(str, files.figures), strict=True))
        partial.write_text(claims_page(read_tables(files.claims), figures, introduction))
