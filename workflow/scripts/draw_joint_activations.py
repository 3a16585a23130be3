"""Joint densities of the activations of the best and the worst pairs of the first layers."""

from job import logged
from products import aligned_layers

from convergent.activations import open_layer
from convergent.activity import joint_pairs
from convergent.figures.activity import joint_activations
from convergent.figures.style import save

with logged(snakemake):
    params, shown = snakemake.params, []
    a, b = params.dump_keys
    for layer, statistics, alignment in aligned_layers(snakemake):
        activations, _ = open_layer(snakemake.input.records, params.dump_keys, layer)
        pairs = joint_pairs(
            layer, activations[a], activations[b], statistics[f"between/{a}/{b}"], alignment[f"semi/{a}/{b}"]
        )
        shown += pairs
    save(joint_activations(shown, (a, b), columns=4), snakemake.output.figure)
