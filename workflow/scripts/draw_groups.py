"""Correlations among the units of two networks, permuted into groups: spectral clusters, and the bisection."""

import numpy as np
from job import logged
from products import products, saved

from convergent.clustering import Hierarchy, group_scores, joint_correlation, nested_boundaries, sorted_by_group
from convergent.figures.groups import grouped_matrix
from convergent.figures.style import save

with logged(snakemake):
    a, b = snakemake.params.networks[:2]
    paths = saved(snakemake)
    for statistics, groups in zip(products(snakemake, "statistics"), products(snakemake, "groups"), strict=True):
        matrices = [statistics[name] for name in (f"within/{a}", f"within/{b}", f"between/{a}/{b}")]
        joint = joint_correlation(*matrices)
        networks = np.repeat([0, 1], matrices[2].shape)
        labels = groups[f"spectral/{a}/{b}"]
        order, boundaries = sorted_by_group(labels, group_scores(labels, *matrices))
        save(grouped_matrix(joint, order, boundaries, networks, (a, b)), next(paths))
        tree = Hierarchy(groups[f"bisection_order/{a}/{b}"], groups[f"bisection/{a}/{b}"])
        save(grouped_matrix(joint, tree.order, nested_boundaries(tree), networks, (a, b)), next(paths))
