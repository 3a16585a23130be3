"""Mutual information of all pairs of units of one layer, and the partners that it finds."""

from job import logged

from convergent.activations import open_layer
from convergent.alignment import align_by_information
from convergent.files import load_arrays, save_arrays
from convergent.mutual_information import codes, mutual_information_of_codes
from convergent.scores import FRAGMENT_COLUMNS, fragment, score_rows
from convergent.statistics import pairs, units_of
from convergent.tables import write_table

with logged(snakemake):
    params, wildcards = snakemake.params, snakemake.wildcards
    activations, _ = open_layer(snakemake.input.records, params.dump_keys, wildcards.layer)
    statistics = load_arrays(snakemake.input.statistics, params.statistics_key)
    units = units_of(statistics)
    binned = {network: codes(values, params.bins, network) for network, values in activations.items()}
    arrays, rows = {}, []
    for a, b in pairs(*params.sides):
        information = mutual_information_of_codes(binned[a], binned[b], params.bias_correction)
        arrays[f"information/{a}/{b}"] = information
        found = align_by_information(information, statistics[f"between/{a}/{b}"], units[a].live, units[b].live)
        for (x, y), alignment in zip(((a, b), (b, a)), found, strict=True):
            arrays |= {f"semi/{x}/{y}": alignment.semi, f"match/{x}/{y}": alignment.match}
            where = (params.study, wildcards.population, wildcards.layer, x, y)
            rows += score_rows(*where, alignment.scores, draw=1, key=params.key)
    save_arrays(snakemake.output.information, params.key, **arrays)
    write_table(snakemake.output.scores, FRAGMENT_COLUMNS, fragment(rows))
