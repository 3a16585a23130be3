"""Match the units of every pair of networks of a tile, layer by layer, and score the matches in both directions."""

from job import logged

from convergent.alignment import align
from convergent.files import load_arrays, save_arrays
from convergent.scores import FRAGMENT_COLUMNS, fragment, score_rows
from convergent.statistics import live_units, pairs
from convergent.tables import write_table

with logged(snakemake):
    params, population, rows = snakemake.params, snakemake.wildcards.population, []
    for layer, source, source_key, target, target_key in zip(
        params.layers,
        snakemake.input.statistics,
        params.product_keys["statistics"],
        snakemake.output.assignments,
        params.product_keys["alignment"],
        strict=True,
    ):
        statistics = load_arrays(source, source_key)
        live = live_units(statistics)
        assignments = {}
        for a, b in pairs(*params.sides):
            directions = align(statistics[f"between/{a}/{b}"], live[a], live[b])
            for (x, y), found in zip(((a, b), (b, a)), directions, strict=True):
                assignments |= {f"semi/{x}/{y}": found.semi, f"match/{x}/{y}": found.match}
                rows += score_rows(params.study, population, layer, x, y, found.scores, draw=1, key=target_key)
        save_arrays(target, target_key, **assignments)
    write_table(snakemake.output.scores, FRAGMENT_COLUMNS, fragment(rows))
