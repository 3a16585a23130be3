"""Choose the units that are drawn, from everything that is known of the first tile of trained networks."""

from job import logged
from products import products

from convergent.examples import EXAMPLE_COLUMNS, activity_examples, group_examples, pair_examples, predictor_examples
from convergent.scores import fragment
from convergent.statistics import units_of
from convergent.tables import write_table

with logged(snakemake):
    params, rows = snakemake.params, []
    a, b = params.networks[:2]
    mapped = iter(products(snakemake, "maps"))
    stages = (products(snakemake, stage) for stage in ("statistics", "alignment", "information", "groups"))
    for layer, statistics, alignment, information, groups in zip(params.layers, *stages, strict=True):
        units, between = units_of(statistics), statistics[f"between/{a}/{b}"]
        rows += pair_examples("unit_pairs", layer, (a, b), between, alignment[f"semi/{a}/{b}"])
        by_information = information[f"information/{a}/{b}"], information[f"semi/{a}/{b}"]
        rows += pair_examples("unit_pairs_information", layer, (a, b), *by_information)
        for network in params.drawn_networks:
            rows += activity_examples("activity_extremes", layer, network, units[network].mean, units[network].live)
        within = statistics[f"within/{a}"], statistics[f"within/{b}"]
        rows += group_examples("unit_groups", layer, (a, b), groups[f"spectral/{a}/{b}"], *within, between)
        if layer in params.mapped_layers:
            maps = next(mapped)
            found = (maps[f"{name}/{a}/{b}"] for name in ("predictors", "weights", "r_squared"))
            rows += predictor_examples("unit_predictors", layer, (a, b), *found)
    write_table(snakemake.output[0], EXAMPLE_COLUMNS, fragment([row | {"key": params.key} for row in rows]))
