"""Draw the filters of the first layer, each above its one-to-one partner in the second network."""

from job import logged
from products import aligned_layers

from convergent.figures.style import save
from convergent.figures.units import filters, nothing_to_draw
from convergent.files import load_arrays
from convergent.matching import values_of

with logged(snakemake):
    params = snakemake.params
    a, b = names = params.networks[:2]
    stored = map(load_arrays, snakemake.input.pictures, params.pictures_keys)
    weights = {name: arrays.get("filters") for name, arrays in zip(names, stored, strict=True)}
    (layer, statistics, alignment), *_ = aligned_layers(snakemake)
    match = alignment[f"match/{a}/{b}"]
    correlation = values_of(statistics[f"between/{a}/{b}"], match)
    pairs = list(zip(range(len(match)), match.tolist(), correlation.tolist(), strict=True))
    drawable = all(values is not None and len(values) for values in weights.values())
    figure = filters(weights, pairs, layer) if drawable else nothing_to_draw(f"The weights of {layer} are no images.")
    save(figure, snakemake.output.figure)
