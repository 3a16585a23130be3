"""Correlation matrices of the first two networks, natural and matched order, one figure per layer."""

from job import logged
from products import aligned_layers

from convergent.figures.matching import correlation_matrices
from convergent.figures.style import save

with logged(snakemake):
    a, b = snakemake.params.networks[:2]
    for (_, statistics, assignments), *paths in zip(
        aligned_layers(snakemake), snakemake.output.figures, snakemake.output.prints, strict=True
    ):
        matrices = (statistics[name] for name in (f"within/{a}", f"within/{b}", f"between/{a}/{b}"))
        save(correlation_matrices(*matrices, assignments[f"match/{a}/{b}"], (a, b)), paths)
