"""All tables of the study of learning dynamics: fits, curves, collapse, structure, and similarity between networks."""

from job import logged
from products import pieces, typed

from convergent.dynamics.analysis import all_tables
from convergent.files import load_arrays, written_whole

with logged(snakemake):
    files, params = snakemake.input, snakemake.params
    runs = {
        tuple(name): load_arrays(path, key)
        for name, path, key in zip(params.names, files.runs, params.run_keys, strict=True)
    }
    fits, curves = (
        typed(pieces(paths, contents))
        for paths, contents in ((files.fits, params.fit_contents), (files.curves, params.curve_contents))
    )
    for name, table in all_tables(runs, fits, curves).items():
        with written_whole(snakemake.output[name]) as partial:
            table.to_csv(partial, index=False)
