"""Sparse maps: their loss against the decay, what few predictors are worth, and the maps themselves."""

import numpy as np
import pandas as pd
from job import logged
from products import products, saved, table

from convergent.figures.sparse import few_predictors, loss_panels, mapping_schematic, weight_matrices
from convergent.figures.style import save
from convergent.prediction import MAP_COLUMNS, REFIT_COLUMNS, prediction_tables
from convergent.tables import read_tables, write_table

with logged(snakemake):
    params, output = snakemake.params, snakemake.output
    maps, refits = prediction_tables(read_tables([snakemake.input.scores]))
    write_table(output.maps_table, MAP_COLUMNS, maps)
    write_table(output.refits_table, REFIT_COLUMNS, refits)
    maps, refits = pd.DataFrame(maps).replace("", np.nan), pd.DataFrame(refits)
    published = table(snakemake.input.published, keep_default_na=False)
    published = published[published["measure"] == "sparse_validation_loss"]
    published = published.query("network_a == 'net1' and network_b == 'net2'").copy()
    published["decay"] = published["setting"].str.removeprefix("decay ").astype(float)
    save(loss_panels(maps, published, params.layers), output.loss)
    save(few_predictors(refits, maps[maps["maps"] == "exact"], params.layers), output.few)
    a, b = params.networks[:2]
    save(mapping_schematic(params.layers, (a, b)), output.schematic)
    for layer, arrays, paths in zip(params.layers, products(snakemake, "maps"), saved(snakemake), strict=True):
        save(weight_matrices(arrays[f"exact/{a}/{b}"], arrays[f"trained/{a}/{b}"], layer, (a, b)), paths)
