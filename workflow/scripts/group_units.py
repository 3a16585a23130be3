"""Group the units of each pair of networks of a tile, one layer, so that a group may hold several units of both."""

from job import logged

from convergent.clustering import group_units
from convergent.files import load_arrays, save_arrays
from convergent.scores import FRAGMENT_COLUMNS, fragment, score_rows
from convergent.statistics import pairs, units_of
from convergent.tables import write_table

with logged(snakemake):
    params, wildcards = snakemake.params, snakemake.wildcards
    statistics = load_arrays(snakemake.input.statistics, params.statistics_key)
    for path, key in zip(snakemake.input.within, params.within_keys, strict=True):
        statistics |= load_arrays(path, key)
    units, arrays, rows = units_of(statistics), {}, []
    for a, b in pairs(*params.sides):
        groups = group_units(
            statistics[f"within/{a}"],
            statistics[f"within/{b}"],
            statistics[f"between/{a}/{b}"],
            units[a].live,
            units[b].live,
            further_counts=params.counts,
            depth=params.depth,
            threshold=params.threshold,
            seed=params.seed,
        )
        arrays |= {
            f"spectral/{a}/{b}": groups.labels,
            f"agglomerative/{a}/{b}": groups.agglomerative,
            f"bisection/{a}/{b}": groups.hierarchy.labels,
            f"bisection_order/{a}/{b}": groups.hierarchy.order,
        }
        arrays |= {f"spectral_{count}/{a}/{b}": labels for count, labels in groups.further.items()}
        where = (params.study, wildcards.population, wildcards.layer, a, b)
        rows += score_rows(*where, groups.scores, draw=1, key=params.key)
    save_arrays(snakemake.output.groups, params.key, **arrays)
    write_table(snakemake.output.scores, FRAGMENT_COLUMNS, fragment(rows))
