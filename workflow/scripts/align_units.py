"""Match the units of every pair of networks of a tile, layer by layer, and score the matches in both directions."""

from job import logged

from convergent.activity import activity_scores, spectrum_scores
from convergent.alignment import align
from convergent.files import load_arrays, save_arrays
from convergent.scores import FRAGMENT_COLUMNS, fragment, score_rows
from convergent.statistics import pairs, units_of
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
        units, assignments, scores = units_of(statistics), {}, []
        for a, b in pairs(*params.sides):
            between = statistics[f"between/{a}/{b}"]
            directions = align(between, units[a].live, units[b].live)
            for (x, y), found in zip(((a, b), (b, a)), directions, strict=True):
                assignments |= {f"semi/{x}/{y}": found.semi, f"match/{x}/{y}": found.match}
                scores.append((x, y, found.scores))
            scores.append((a, b, activity_scores(units[a], units[b], between, assignments[f"match/{a}/{b}"])))
        # What concerns one network alone belongs to the tile on the diagonal, so that it is scored once.
        for network, own in units.items() if params.sides[1] is None else ():
            scores.append((network, network, spectrum_scores(own)))
        for a, b, values in scores:
            rows += score_rows(params.study, population, layer, a, b, values, draw=1, key=target_key)
        save_arrays(target, target_key, **assignments)
    write_table(snakemake.output.scores, FRAGMENT_COLUMNS, fragment(rows))
