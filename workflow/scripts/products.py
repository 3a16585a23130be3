"""What several scripts read in the same way."""

from collections.abc import Iterator

from convergent.files import load_arrays


def aligned_layers(snakemake) -> Iterator[tuple[str, dict, dict]]:
    """Each layer with its statistics and its assignments, from the first tile of the trained networks."""
    files, keys = snakemake.input, snakemake.params.product_keys
    statistics = map(load_arrays, files.statistics, keys["statistics"])
    assignments = map(load_arrays, files.assignments, keys["alignment"])
    yield from zip(snakemake.params.layers, statistics, assignments, strict=True)
