"""Groups of units of two networks that belong together, many to many, from correlation matrices alone.

Li et al. 2016, supplement S.3: the units of both networks are the vertices of one graph whose edges are their
correlations above a threshold. Its clusters, by spectral clustering, by recursive bisection or by agglomeration, hold
units of both networks wherever the two represent the same thing with different units.

Vertices are numbered jointly: the units of x first, then those of y. Leave units that never change out of all
matrices, as `group_units` does: they have no correlations. The label -1 means in no group.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh

from convergent.errors import StudyError
from convergent.samples import blocks
from convergent.statistics import mean_of

PUBLISHED_THRESHOLD = 0.2
LARGEST_DENSE = 2048  # vertices up to which all of a matrix is diagonalised; Lanczos iterations are faster beyond
SPARSE_BELOW = 0.1  # share of edges
EQUAL_DECIMALS = 9  # to which eigenvalues count as equal
DISTANCES_PER_BLOCK = 2**22  # of points to means that are held at a time
SMALLEST_ROW = 1e-10  # length below which a row of the eigenvectors is rounding error
ASYMMETRY = 1e-8  # that the rounding of two equal correlations may leave

# What each measure says of a pair of networks; captions and the README quote these lines.
GROUP_MEASURES = {
    "groups_between": "mean over the groups that hold both networks of the mean correlation between the networks",
    "groups_within": "mean over the groups of the mean correlation between different units of the same network",
    "groups_mixed_share": "share of the units, those in no group included, that are in groups that hold both networks",
    "groups_shuffled_between": "the same as groups_between when the units are dealt to groups of these sizes at random",
    "groups_coherence": "correlation between over within networks, in the half of the groups with the highest between",
    "groups_stability": "mean adjusted Rand index of pairs of single k-means runs that differ in their seed",
    "groups_repeatability": "the same of groups that are the best of as many runs as are kept",
    "groups_median_size": "median number of units in a group, both networks together",
    "groups_count": "number of groups",
    "agglomerative_between": "groups_between of as many groups found by agglomeration",
    "agglomerative_within": "groups_within of as many groups found by agglomeration",
    "agglomerative_mixed_share": "groups_mixed_share of as many groups found by agglomeration",
    "bisection_between": "groups_between of the smallest pieces of the recursive bisection",
    "bisection_within": "groups_within of the smallest pieces of the recursive bisection",
    "bisection_mixed_share": "groups_mixed_share of the smallest pieces of the recursive bisection",
}
REPEATS = 4  # groupings with seeds of their own that are compared with one another
MAIN_SCORES = ("between", "within", "mixed_share", "shuffled_between", "coherence", "median_size", "count")
FURTHER_SCORES = ("between", "within", "mixed_share", "shuffled_between")
TREE_SCORES = ("between", "within", "mixed_share")


class Hierarchy(NamedTuple):
    """Nested pieces of a graph. Listed in `order`, the vertices of a piece stand side by side at every level."""

    order: np.ndarray  # (vertices,) or, if some vertices are in no piece, those that are
    labels: np.ndarray  # (depth + 1, vertices) piece at each level, numbered along `order`; -1 = in none


class GroupScores(NamedTuple):
    """What each group holds, and how similar its units are; all arrays (groups,)."""

    groups: np.ndarray  # its label, ascending
    units_x: np.ndarray
    units_y: np.ndarray
    between: np.ndarray  # mean correlation over pairs of a unit of x and one of y; NaN unless it holds both networks
    # Mean correlation of different units of one network, averaged over the networks with at least two; NaN if none.
    within: np.ndarray


class Groups(NamedTuple):
    """Groups of the units of two networks; labels (units_x + units_y,) are -1 for units that are in no group."""

    labels: np.ndarray  # spectral clusters, as many as asked for
    further: dict[int, np.ndarray]  # further number of groups -> spectral clusters
    agglomerative: np.ndarray
    hierarchy: Hierarchy
    scores: dict[str, float]  # those of `group_measures`


def group_units(
    within_x: np.ndarray,
    within_y: np.ndarray,
    between: np.ndarray,
    live_x: np.ndarray,
    live_y: np.ndarray,
    count: int | None = None,
    further_counts: Iterable[int] = (),
    depth: int = 4,
    threshold: float = PUBLISHED_THRESHOLD,
    seed: int = 0,
    restarts: int = 20,
    stability_runs: int = 10,
    draws: int = 20,
) -> Groups:
    """Groups of the live units of two networks by all three methods, with their scores.

    A live unit that correlates above the threshold with no other is in no group of the spectral clusters nor of the
    bisection; agglomeration, which knows no threshold, has it too.

    Args:
        within_x, within_y, between: (units_x, units_x), (units_y, units_y), (units_x, units_y) correlations.
        live_x, live_y: (units_x,), (units_y,) whether each unit varies; the others are in no group.
        count: how many groups; None: `default_count` of the live units. Never more than there are live units.
        further_counts: how many groups else; those larger than the number of live units are left out.
        depth: levels of the bisection, at most 2^depth pieces.
        threshold: of `joint_affinity`.
        seed: of k-means and of the shuffles.
        restarts: of k-means; the best run is kept.
        stability_runs: k-means runs compared for `groups_stability`.
        draws: shuffles of the labels.

    Returns:
        Labels, and the scores of `group_measures`. If a network has no live unit there are no groups: all scores NaN.

    Raises:
        StudyError: the matrices do not fit, are not finite or not symmetric; a count, the depth or the threshold is
            out of range.

    Source: Li et al. 2016, supplement S.3.
    """
    vertices, matrices = live_part(within_x, within_y, between, live_x, live_y)
    further_counts = [further for further in dict.fromkeys(further_counts) if further <= len(vertices)]
    nowhere = np.full(len(live_x) + len(live_y), -1)
    if not matrices[2].size:
        pieces = Hierarchy(vertices[:0], np.tile(nowhere, (depth + 1, 1)))
        scores = dict.fromkeys(group_measures(further_counts), np.nan)
        return Groups(nowhere, dict.fromkeys(further_counts, nowhere), nowhere, pieces, scores)

    count = possible_count(count, *matrices[2].shape)
    affinity = joint_affinity(*matrices, threshold)
    embedding = spectral_embedding(affinity, max([count, *further_counts]))
    labels = clusters_of_embedding(embedding, count, seed, restarts)
    further = {k: clusters_of_embedding(embedding, k, seed, restarts) for k in further_counts}
    agglomerative = agglomerative_clusters(joint_correlation(*matrices), count)
    tree = bisection_of_connected(affinity, depth)

    def scored(prefix: str, names: Sequence[str], groups: np.ndarray) -> dict[str, float]:
        # Each grouping has shuffles of its own, so that none depends on which others are asked for.
        scores = grouping_scores(groups, *matrices, np.random.default_rng(seed), draws)
        return {prefix + name: scores[name] for name in names}

    scores = scored("groups_", MAIN_SCORES, labels)
    scores["groups_stability"] = stability(embedding, count, seed, stability_runs)
    scores["groups_repeatability"] = stability(embedding, count, seed, REPEATS, restarts)
    scores |= scored("agglomerative_", TREE_SCORES, agglomerative) | scored("bisection_", TREE_SCORES, tree.labels[-1])
    for k, found in further.items():
        scores |= scored(f"groups_{k}_", FURTHER_SCORES, found)

    def spread(found: np.ndarray) -> np.ndarray:
        everyone = nowhere.copy()
        everyone[vertices] = found
        return everyone

    return Groups(
        spread(labels),
        {k: spread(found) for k, found in further.items()},
        spread(agglomerative),
        Hierarchy(vertices[tree.order], np.stack([spread(level) for level in tree.labels])),
        {name: scores[name] for name in group_measures(further_counts)},
    )


def main_group_scores(
    within_x: np.ndarray,
    within_y: np.ndarray,
    between: np.ndarray,
    live_x: np.ndarray,
    live_y: np.ndarray,
    count: int | None = None,
    threshold: float = PUBLISHED_THRESHOLD,
    seed: int = 0,
    restarts: int = 20,
    draws: int = 20,
) -> dict[str, float]:
    """The scores that `group_units` gives to its main groups, stability excepted, in a fraction of its time.

    Arguments, errors and source: as for `group_units`.
    """
    _, matrices = live_part(within_x, within_y, between, live_x, live_y)
    if not matrices[2].size:
        return {f"groups_{name}": np.nan for name in MAIN_SCORES}
    count = possible_count(count, *matrices[2].shape)
    labels = spectral_clusters(joint_affinity(*matrices, threshold), count, seed, restarts)
    scores = grouping_scores(labels, *matrices, np.random.default_rng(seed), draws)
    return {f"groups_{name}": scores[name] for name in MAIN_SCORES}


def group_measures(further_counts: Iterable[int] = ()) -> dict[str, str]:
    """What each score of `group_units` says, for these further numbers of groups."""
    further = {
        f"groups_{count}_{name}": f"groups_{name} with {count} groups"
        for count in further_counts
        for name in FURTHER_SCORES
    }
    return GROUP_MEASURES | further


def default_count(units: float) -> int:
    """Number of groups for networks of so many units each (of unequal widths their mean): 0.4 of it, 2 to 100."""
    return max(2, min(100, round(0.4 * units)))


def possible_count(count: int | None, units_x: int, units_y: int) -> int:
    """The number of groups asked for, or the default, and at most the number of units."""
    return min(default_count((units_x + units_y) / 2) if count is None else count, units_x + units_y)


def live_part(
    within_x: np.ndarray, within_y: np.ndarray, between: np.ndarray, live_x: np.ndarray, live_y: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Joint numbers of the live units of both networks, and the three matrices among these."""
    live_x, live_y = np.asarray(live_x, bool), np.asarray(live_y, bool)
    shapes = (len(live_x), len(live_x)), (len(live_y), len(live_y)), (len(live_x), len(live_y))
    if (np.shape(within_x), np.shape(within_y), np.shape(between)) != shapes:
        raise misfit(within_x, within_y, between)
    vertices = np.flatnonzero(np.concatenate([live_x, live_y]))
    chosen = (within_x, live_x, live_x), (within_y, live_y, live_y), (between, live_x, live_y)
    return vertices, tuple(matrix[np.ix_(rows, columns)] for matrix, rows, columns in chosen)


def joint_correlation(within_x: np.ndarray, within_y: np.ndarray, between: np.ndarray) -> np.ndarray:
    """Correlations among the units of both networks, [[within_x, between], [between^T, within_y]].

    Args:
        within_x, within_y, between: (units_x, units_x), (units_y, units_y), (units_x, units_y).

    Returns:
        (units_x + units_y, units_x + units_y), exactly symmetric.

    Raises:
        StudyError: the matrices do not fit, are not finite or not symmetric.
    """
    units_x, units_y = np.shape(between) if np.ndim(between) == 2 else (0, 0)
    if np.shape(within_x) != (units_x, units_x) or np.shape(within_y) != (units_y, units_y) or not np.size(between):
        raise misfit(within_x, within_y, between)
    joint = np.empty((units_x + units_y,) * 2)
    joint[:units_x, :units_x], joint[units_x:, units_x:] = within_x, within_y
    joint[:units_x, units_x:], joint[units_x:, :units_x] = between, np.transpose(between)
    joint = symmetric(joint, "correlations")
    # A threshold must not fall between two roundings of the same correlation.
    return (joint + joint.T) / 2


def misfit(within_x: np.ndarray, within_y: np.ndarray, between: np.ndarray) -> StudyError:
    """The error for matrices that are not of the same two networks."""
    shapes = f"{np.shape(within_x)}, {np.shape(within_y)} and {np.shape(between)}"
    return StudyError(f"correlations within x, within y and between them have shapes {shapes}, which do not fit.")


def joint_affinity(
    within_x: np.ndarray, within_y: np.ndarray, between: np.ndarray, threshold: float = PUBLISHED_THRESHOLD
) -> np.ndarray:
    """Weights of the graph of all units of both networks: their correlations above the threshold, all others 0.

    Args:
        within_x, within_y, between: (units_x, units_x), (units_y, units_y), (units_x, units_y) correlations.
        threshold: at least 0; a correlation equal to it is no edge.

    Returns:
        (units_x + units_y, units_x + units_y), symmetric, with a zero diagonal.

    Raises:
        StudyError: the matrices do not fit, are not finite or not symmetric, or the threshold is negative or NaN.

    Source: Li et al. 2016, supplement S.3.
    """
    if not threshold >= 0:
        raise StudyError(f"the threshold of correlations is {threshold}: choose one of at least 0.")
    affinity = joint_correlation(within_x, within_y, between)
    affinity[~(affinity > threshold)] = 0
    np.fill_diagonal(affinity, 0)
    return affinity


def symmetric(matrix: np.ndarray, what: str) -> np.ndarray:
    """The matrix as float64; StudyError unless it is square, not empty, finite and symmetric."""
    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise StudyError(f"a matrix of {what} has shape (vertices, vertices), but this one has {matrix.shape}.")
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise StudyError(f"the {what} hold {matrix[row, column]} at ({row}, {column}), which is not a number.")
    difference = np.abs(matrix - matrix.T)
    if difference.max() > ASYMMETRY:
        row, column = np.unravel_index(difference.argmax(), matrix.shape)
        raise StudyError(f"the {what} at ({row}, {column}) and ({column}, {row}) differ: pass a symmetric matrix.")
    return matrix


def checked_affinity(affinity: np.ndarray) -> np.ndarray:
    """The affinity as float64; StudyError unless it is symmetric, finite and nowhere negative."""
    affinity = symmetric(affinity, "affinities")
    if affinity.min() < 0:
        raise StudyError(f"the smallest affinity is {affinity.min():g}: set negative ones to 0.")
    return affinity


def spectral_clusters(affinity: np.ndarray, n_clusters: int, seed: int, restarts: int = 20) -> np.ndarray:
    """Clusters of a graph by its normalised Laplacian.

    Args:
        affinity: (vertices, vertices) symmetric weights, at least 0.
        n_clusters: how many, at most the number of vertices.
        seed, restarts: of `clusters_of_embedding`.

    Returns:
        Labels (vertices,) from 0, numbered in order of first appearance; -1 = in no cluster: a vertex without edges
        or, of a graph with more connected components than clusters, one outside the largest components.

    Raises:
        StudyError: the affinity is not finite, not symmetric or negative; fewer than 1 or more clusters than vertices.

    Source: Ng, Jordan & Weiss 2002; for units of two networks: Li et al. 2016, supplement S.3.

    Examples:
        >>> affinity = np.array([[0, 9, 1, 0], [9, 0, 0, 0], [1, 0, 0, 9], [0, 0, 9, 0]])
        >>> spectral_clusters(affinity, n_clusters=2, seed=0)
        array([0, 0, 1, 1])
    """
    return clusters_of_embedding(spectral_embedding(affinity, n_clusters), n_clusters, seed, restarts)


def spectral_embedding(affinity: np.ndarray, dimensions: int) -> np.ndarray:
    """Eigenvectors of D^-1/2 A D^-1/2 with the largest eigenvalues, those of the normalised Laplacian's smallest.

    Args:
        affinity: (vertices, vertices) symmetric weights A, at least 0; D holds their sums by row.
        dimensions: how many, at most the number of vertices.

    Returns:
        (vertices, dimensions) orthonormal columns, the largest eigenvalue first, and of equal ones that of the
        largest connected component. A vertex without edges has a zero row, and so have the components that the
        dimensions do not reach; where fewer vertices have edges than there are dimensions, the last columns are zero.

    Raises:
        StudyError: the affinity is not finite, not symmetric or negative; dimensions out of range.

    Source: Ng, Jordan & Weiss 2002.
    """
    affinity = checked_affinity(affinity)
    require_count(dimensions, len(affinity))
    embedding = np.zeros((len(affinity), dimensions))
    values, sizes, columns = [], [], []
    # One component at a time: of several equal eigenvalues Lanczos iterations may miss some, and any solver mixes the
    # eigenvectors.
    for component in components(affinity):
        inner = affinity[np.ix_(component, component)]
        if inner.any():
            eigenvalues, vectors = leading_eigenvectors(inner, min(dimensions, len(component)))
            values.extend(eigenvalues)
            sizes.extend([len(component)] * len(eigenvalues))
            columns.extend((component, vector) for vector in vectors.T)
    ranking = np.lexsort([-np.array(sizes), -np.round(values, EQUAL_DECIMALS)])
    for column, index in enumerate(ranking[:dimensions]):
        component, vector = columns[index]
        embedding[component, column] = vector
    return embedding


def leading_eigenvectors(affinity: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Largest eigenvalues (count,), descending, of a normalised affinity without isolated vertices; vectors in columns.

    Up to `LARGEST_DENSE` vertices LAPACK's, beyond by Lanczos iterations.
    """
    scale = 1 / np.sqrt(affinity.sum(axis=1))
    normalised = affinity * scale * scale[:, None]
    vertices = len(affinity)
    if vertices <= LARGEST_DENSE or count > vertices // 4:
        values, vectors = eigh(normalised, subset_by_index=(vertices - count, vertices - 1), overwrite_a=True)
    else:
        if np.count_nonzero(normalised) < SPARSE_BELOW * normalised.size:
            normalised = csr_array(normalised)
        start = np.random.default_rng(0).normal(size=vertices)
        values, vectors = eigsh(normalised, k=count, which="LA", v0=start)
    descending = np.argsort(-values, kind="stable")
    return values[descending], vectors[:, descending]


def components(affinity: np.ndarray) -> list[np.ndarray]:
    """Vertices of each connected component, ascending; the components by their lowest vertex."""
    number, labels = connected_components(csr_array(affinity), directed=False)
    return [np.flatnonzero(labels == label) for label in range(number)]


def clusters_of_embedding(embedding: np.ndarray, n_clusters: int, seed: int, restarts: int = 20) -> np.ndarray:
    """Clusters of a graph from its first eigenvectors, by k-means of their rows scaled to length 1.

    Args:
        embedding: (vertices, dimensions) from `spectral_embedding`, of which the first n_clusters columns are used.
        n_clusters: how many, at most the dimensions of the embedding.
        seed: of the random starts; the same seed gives the same labels.
        restarts: runs of k-means, of which the one with the smallest sum of squares is kept.

    Returns:
        Labels (vertices,) from 0, numbered in order of first appearance; -1 where the row is zero, since nothing is
        known of the vertex. There are fewer than n_clusters only if fewer other rows differ.

    Raises:
        StudyError: fewer than 1 or more clusters than dimensions.

    Source: Ng, Jordan & Weiss 2002.
    """
    require_count(n_clusters, embedding.shape[1])
    rows = embedding[:, :n_clusters]
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    placed = np.flatnonzero(lengths > SMALLEST_ROW)
    labels = np.full(len(rows), -1)
    if len(placed):
        points = rows[placed] / lengths[placed]
        points -= points.mean(axis=0)
        random = np.random.RandomState(kmeans_seeds(seed, 1)[0])
        starts = kmeans_starts(points, min(n_clusters, len(placed)), restarts, random)
        labels[placed] = renumbered(kmeans(points, starts))
    return labels


def kmeans(points: np.ndarray, starts: np.ndarray, most_steps: int = 300) -> np.ndarray:
    """Clusters around as many means, each point in that of the nearest: the best of runs that are made side by side.

    For the few points of a graph of units, calling a library run by run takes several times longer than computing.

    Args:
        points: (points, dimensions).
        starts: (runs, clusters) indices of the points from which each run starts.
        most_steps: after which a run ends in any case; else it ends when no point changes its cluster.

    Returns:
        Labels (points,) of the run with the smallest sum of squared distances, the first of equal ones. A cluster is
        empty only if fewer points differ.

    Source: Lloyd 1982.
    """
    squares = np.einsum("nd,nd->n", points, points)
    best, smallest = np.zeros(len(points), dtype=int), np.inf
    for some in blocks(len(starts), max(1, DISTANCES_PER_BLOCK // (starts.shape[1] * len(points)))):
        means = points[starts[some]]
        labels = np.full((len(means), len(points)), -1)
        running = np.arange(len(means))
        for _ in range(most_steps):
            found, distances = nearest_means(points, squares, means[running])
            for run in np.flatnonzero((np.diff(np.sort(found, axis=1)) > 0).sum(axis=1) + 1 < means.shape[1]):
                fill_empty(found[run], distances[run], means.shape[1])
            changed = (found != labels[running]).any(axis=1)
            labels[running] = found
            running = running[changed]
            if not len(running):
                break
            means[running] = cluster_means(points, labels[running], means.shape[1])
        sums = nearest_means(points, squares, means)[1].sum(axis=1)
        if sums.min() < smallest:
            best, smallest = labels[sums.argmin()], sums.min()
    return best


def nearest_means(points: np.ndarray, squares: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of the means (runs, clusters, dimensions) and its squared distance, both (runs, points)."""
    every = means.reshape(-1, points.shape[1])
    distances = (-2 * points) @ every.T
    distances += np.einsum("cd,cd->c", every, every)
    distances = distances.reshape(len(points), *means.shape[:2])
    nearest = distances.argmin(axis=2)
    smallest = np.take_along_axis(distances, nearest[..., None], axis=2)[..., 0]
    return nearest.T, np.maximum(smallest.T + squares, 0)


def cluster_means(points: np.ndarray, labels: np.ndarray, clusters: int) -> np.ndarray:
    """Means (runs, clusters, dimensions) of the points in each cluster of labels (runs, points); 0 of an empty one."""
    runs, count = labels.shape
    cluster = (labels + clusters * np.arange(runs)[:, None]).ravel()
    sizes = np.bincount(cluster, minlength=runs * clusters)
    # Row by row, which points are in a cluster.
    members = np.argsort(cluster, kind="stable") % count, np.concatenate([[0], np.cumsum(sizes)])
    sums = csr_array((np.ones(len(cluster)), *members), shape=(len(sizes), count)) @ points
    return (sums / np.maximum(sizes, 1)[:, None]).reshape(runs, clusters, -1)


def fill_empty(labels: np.ndarray, distances: np.ndarray, clusters: int) -> None:
    """Give each empty cluster the point that is farthest from its mean, in place, as long as there is one off it."""
    for cluster in np.setdiff1d(np.arange(clusters), labels):
        alone = np.bincount(labels, minlength=clusters)[labels] == 1
        farthest = np.where(alone, 0.0, distances).argmax()
        if alone[farthest] or distances[farthest] < SMALLEST_ROW:
            return
        labels[farthest], distances[farthest] = cluster, 0.0


def kmeans_starts(points: np.ndarray, n_clusters: int, restarts: int, random: np.random.RandomState) -> np.ndarray:
    """Points from which runs of k-means start, spread out by k-means++: of several candidates the best, one by one.

    The same as scikit-learn draws, but for all runs at once: on one after the other it spends ten times longer than
    on k-means itself. Two points that are each other's nearest lower the sum equally, and rounding decides; so sums
    are taken as it takes them.

    Args:
        points: (points, dimensions).
        n_clusters: how many points to choose for a run, at most as many as there are.
        restarts: number of runs.
        random: source of all draws, run by run.

    Returns:
        (restarts, n_clusters) indices of the points chosen.

    Source: Arthur & Vassilvitskii 2007, greedy variant.
    """
    candidates_each = 2 + int(np.log(n_clusters))
    first, draws = np.empty(restarts, int), np.empty((restarts, n_clusters - 1, candidates_each))
    for run in range(restarts):
        first[run] = random.choice(len(points), p=np.full(len(points), 1 / len(points)))
        draws[run] = random.uniform(size=draws.shape[1:])
    squares = np.einsum("nd,nd->n", points, points)
    # Squared distances, in place: as large as the graph itself. The copy makes BLAS take the general product.
    distances = points.copy() @ points.T
    distances *= -2
    distances += squares[:, None]
    distances += squares
    np.maximum(distances, 0, out=distances)
    chosen, every = [first], np.arange(restarts)
    nearest = distances[first]  # (restarts, points) squared distance to the nearest point chosen so far
    ones = np.ones((len(points), 1))
    total = nearest @ ones
    for draw in draws.swapaxes(0, 1):
        # A candidate's probability is its share of the sum of squared distances.
        reached = nearest.cumsum(axis=1)
        wanted = draw * total
        candidates = (reached[:, None] < wanted[..., None]).sum(axis=2).clip(max=len(points) - 1)
        closer = np.minimum(nearest[:, None], distances[candidates])
        totals = closer @ ones
        best = totals[..., 0].argmin(axis=1)
        chosen.append(candidates[every, best])
        nearest, total = closer[every, best], totals[every, best]
    return np.stack(chosen, axis=1)


def require_count(count: int, most: int) -> None:
    """Raise StudyError unless this many clusters are possible."""
    if not 1 <= count <= most:
        raise StudyError(f"{count} clusters were asked for: ask for at least 1 and at most {most}.")


def kmeans_seeds(seed: int, count: int) -> list[int]:
    """So many seeds that `RandomState` accepts, from one of any size."""
    return [int(state) for state in np.random.SeedSequence(seed).generate_state(count)]


def renumbered(labels: np.ndarray) -> np.ndarray:
    """The same groups, numbered from 0 in order of first appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def stability(embedding: np.ndarray, n_clusters: int, seed: int, runs: int = 10, restarts: int = 1) -> float:
    """How far runs of k-means, which differ in their seed only, agree on the clusters.

    The best of many restarts agree more than single runs do.

    Args:
        embedding, n_clusters: as in `clusters_of_embedding`.
        seed: of the seeds of all runs.
        runs: how many.
        restarts: of each run; the best is kept.

    Returns:
        Mean adjusted Rand index over all pairs of runs, of the vertices that are in a cluster: 1 = always the same
        clusters, 0 = agreement by chance only. NaN for fewer than two runs or if no vertex is in a cluster.
    """
    labels = [clusters_of_embedding(embedding, n_clusters, state, restarts) for state in kmeans_seeds(seed, runs)]
    labels = [run[run >= 0] for run in labels]
    return mean_of([adjusted_rand_index(one, other) for one, other in combinations(labels, 2) if len(one)])


def adjusted_rand_index(one: np.ndarray, other: np.ndarray) -> float:
    """How far two groupings (vertices,) agree on which pairs belong together: 1 = on all, 0 = as often as by chance.

    Source: Hubert & Arabie 1985.
    """
    (_, first), (_, second) = membership(one), membership(other)

    def couples(counts: np.ndarray) -> float:
        return float((counts * (counts - 1)).sum() / 2)

    together, in_one, in_other = couples(first.T @ second), couples(first.sum(axis=0)), couples(second.sum(axis=0))
    by_chance, most = in_one * in_other / max(couples(np.array(len(one))), 1), (in_one + in_other) / 2
    return 1.0 if most == by_chance else (together - by_chance) / (most - by_chance)


def bisection(affinity: np.ndarray, depth: int) -> Hierarchy:
    """Pieces of a graph, each split in two again and again.

    A connected piece is sorted by the second eigenvector of its own normalised Laplacian, over the square root of the
    degrees, and cut where the normalised cut is smallest. A piece of several components is split without cutting
    edges: the components, the largest first, each go to the half that is smaller so far. A single vertex stays.

    Args:
        affinity: (vertices, vertices) symmetric weights, at least 0.
        depth: how often to split, at least 0.

    Returns:
        Hierarchy of depth + 1 levels, the first of which is one piece. Of two halves, the one with the lowest vertex
        comes first.

    Raises:
        StudyError: the affinity is not finite, not symmetric or negative, or the depth is negative.

    Source: Shi & Malik 2000; for units of two networks: Li et al. 2016, supplement S.3.
    """
    affinity = checked_affinity(affinity)
    if depth < 0:
        raise StudyError(f"the depth of the bisection is {depth}: choose one of at least 0.")
    pieces = [np.arange(len(affinity))]
    labels = np.zeros((depth + 1, len(affinity)), dtype=int)
    for level in range(1, depth + 1):
        pieces = [half for piece in pieces for half in halves(affinity, piece)]
        for number, piece in enumerate(pieces):
            labels[level, piece] = number
    return Hierarchy(np.concatenate(pieces), labels)


def bisection_of_connected(affinity: np.ndarray, depth: int) -> Hierarchy:
    """`bisection` of the vertices that have edges; the others are in no piece."""
    connected = np.flatnonzero(affinity.any(axis=1))
    labels = np.full((depth + 1, len(affinity)), -1)
    if not len(connected):
        return Hierarchy(connected, labels)
    tree = bisection(affinity[np.ix_(connected, connected)], depth)
    labels[:, connected] = tree.labels
    return Hierarchy(connected[tree.order], labels)


def halves(affinity: np.ndarray, piece: np.ndarray) -> list[np.ndarray]:
    """The two halves of a piece (vertices,) of `bisection`, each ascending; the piece itself if it has one vertex."""
    if len(piece) == 1:
        return [piece]
    inner = affinity[np.ix_(piece, piece)]
    parts = components(inner)
    first = best_cut(inner) if len(parts) == 1 else half_of(parts)
    inside = np.isin(np.arange(len(piece)), first)
    return [piece[inside == inside[0]], piece[inside != inside[0]]]


def half_of(parts: list[np.ndarray]) -> np.ndarray:
    """Vertices of one half when whole parts are dealt out, the largest first, each to the smaller half so far."""
    sides: tuple[list, list] = ([], [])
    for part in sorted(parts, key=len, reverse=True):
        min(sides, key=len).extend(part)
    return np.array(sides[0])


def best_cut(affinity: np.ndarray) -> np.ndarray:
    """Vertices on one side of the smallest normalised cut along the second eigenvector of a connected graph."""
    degrees = affinity.sum(axis=1)
    _, vectors = leading_eigenvectors(affinity, 2)
    order = np.argsort(vectors[:, 1] / np.sqrt(degrees), kind="stable")
    affinity = affinity[np.ix_(order, order)]
    # Of the first vertices of the order, for each number of them: the sum of their degrees, and of their edges.
    volume = np.cumsum(degrees[order])
    inside = np.cumsum(2 * np.tril(affinity, -1).sum(axis=1) + np.diag(affinity))
    cut = (volume - inside)[:-1]
    normalised = cut / volume[:-1] + cut / (volume[-1] - volume[:-1])
    return order[: normalised.argmin() + 1]


def agglomerative_clusters(correlation_joint: np.ndarray, n_clusters: int) -> np.ndarray:
    """Clusters by merging the two with the smallest mean distance 1 - correlation between them, over and over.

    Args:
        correlation_joint: (vertices, vertices) of `joint_correlation`, without a threshold. A unit that never changes
            is at distance 1 from all others.
        n_clusters: how many are left when merging stops, at most the number of vertices.

    Returns:
        Labels (vertices,) from 0, numbered in order of first appearance.

    Raises:
        StudyError: the correlations are not finite or not symmetric; fewer than 1 or more clusters than vertices.

    Source: average linkage, SciPy's; for units of two networks: Li et al. 2016, supplement S.3.
    """
    from scipy.cluster.hierarchy import cut_tree, linkage

    correlation = symmetric(correlation_joint, "correlations")
    require_count(n_clusters, len(correlation))
    if len(correlation) == 1:
        return np.zeros(1, dtype=int)
    distances = 1 - correlation[np.triu_indices(len(correlation), 1)]
    return renumbered(cut_tree(linkage(distances, "average"), n_clusters)[:, 0])


def group_scores(labels: np.ndarray, within_x: np.ndarray, within_y: np.ndarray, between: np.ndarray) -> GroupScores:
    """What each group holds and how similar its units are, between the networks and within them.

    Args:
        labels: (units_x + units_y,) group of each unit, -1 = in none.
        within_x, within_y, between: (units_x, units_x), (units_y, units_y), (units_x, units_y) correlations.

    Returns:
        `GroupScores` of all groups.

    Source: Li et al. 2016, supplement S.3.
    """
    groups, members = membership(labels)
    x, y = members[: len(within_x)], members[len(within_x) :]
    within = np.stack([mean_within(x, within_x), mean_within(y, within_y)])
    defined = np.isfinite(within)
    return GroupScores(
        groups,
        x.sum(axis=0).astype(int),
        y.sum(axis=0).astype(int),
        mean_between(x, y, between),
        ratio(np.where(defined, within, 0).sum(axis=0), defined.sum(axis=0)),
    )


def membership(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the groups (groups,), and whether each vertex is in each (vertices, groups), as 0 and 1."""
    groups = np.unique(labels[labels >= 0])
    return groups, (labels[:, None] == groups).astype(float)


def mean_between(x: np.ndarray, y: np.ndarray, between: np.ndarray) -> np.ndarray:
    """Mean correlation (groups,) of members x (units_x, groups) with members y (units_y, groups); NaN if none."""
    return ratio(np.einsum("ig,ig->g", x, between @ y), x.sum(axis=0) * y.sum(axis=0))


def mean_within(members: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Mean correlation (groups,) of different members (units, groups) of one network; NaN for fewer than two."""
    sizes = members.sum(axis=0)
    total = np.einsum("ig,ig->g", members, within @ members) - np.diag(within) @ members
    return ratio(total, sizes * (sizes - 1))


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient of two arrays; NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)


def grouping_scores(
    labels: np.ndarray,
    within_x: np.ndarray,
    within_y: np.ndarray,
    between: np.ndarray,
    generator: np.random.Generator,
    draws: int = 20,
) -> dict[str, float]:
    """Summary of all groups of two networks' units.

    Args:
        labels, within_x, within_y, between: as in `group_scores`.
        generator: source of the shuffles.
        draws: shuffles of the labels over all grouped units, so that the sizes of the groups stay.

    Returns:
        `between`: mean of `GroupScores.between` over the groups that hold both networks;
        `within`: mean of `GroupScores.within` over the groups in which it is defined;
        `mixed_share`: share of all units, those in no group included, that are in groups that hold both networks;
        `shuffled_between`: mean of `between` over the draws;
        `coherence`: of the groups in which both are defined, the half with the highest `between` (rounded up): the
            mean of their `between` over the mean of their `within`; NaN if there are none or they do not correlate
            positively within. A group of one unit of each network has no `within` and does not count;
        `median_size`: median number of units in a group;
        `count`: number of groups.
        The means and the median are NaN where undefined.

    Source: Li et al. 2016, supplement S.3, for `between` and `within`.
    """
    scores = group_scores(labels, within_x, within_y, between)
    sizes = scores.units_x + scores.units_y
    mixed = (scores.units_x > 0) & (scores.units_y > 0)
    return {
        "between": mean_of(scores.between),
        "within": mean_of(scores.within),
        "mixed_share": float(sizes[mixed].sum() / len(labels)),
        "shuffled_between": shuffled_between(labels, between, generator, draws),
        "coherence": coherence(scores),
        "median_size": float(np.median(sizes)) if len(sizes) else np.nan,
        "count": float(len(sizes)),
    }


def shuffled_between(labels: np.ndarray, between: np.ndarray, generator: np.random.Generator, draws: int) -> float:
    """Mean over draws of the `between` of `grouping_scores` when the grouped units exchange their labels at random."""
    _, members = membership(labels)
    grouped = np.flatnonzero(labels >= 0)
    values = []
    for _ in range(draws):
        members[grouped] = members[generator.permutation(grouped)]
        values.append(mean_of(mean_between(members[: len(between)], members[len(between) :], between)))
    return mean_of(values)


def coherence(scores: GroupScores) -> float:
    """The `coherence` of `grouping_scores`."""
    defined = np.flatnonzero(np.isfinite(scores.between) & np.isfinite(scores.within))
    best = defined[np.argsort(-scores.between[defined], kind="stable")][: -(-len(defined) // 2)]
    within = mean_of(scores.within[best])
    return float(scores.between[best].mean() / within) if within > 0 else np.nan


def sorted_by_group(labels: np.ndarray, scores: GroupScores) -> tuple[np.ndarray, np.ndarray]:
    """The grouped units in an order that makes blocks of the groups, those most similar between networks first.

    Args:
        labels: (units_x + units_y,) group of each unit, -1 = in none.
        scores: of these labels, from `group_scores`.

    Returns:
        order (grouped,): joint numbers of the units, group by group, x before y; boundaries (groups + 1,): where in
        this order each group starts, and the end. Groups that do not hold both networks come last.
    """
    ranked = scores.groups[np.argsort(-scores.between, kind="stable")]  # NaN last
    members = [np.flatnonzero(labels == group) for group in ranked]
    return np.concatenate([labels[:0], *members]), np.cumsum([0, *map(len, members)])


def nested_boundaries(hierarchy: Hierarchy) -> list[np.ndarray]:
    """Where the pieces of each level start along the order of a hierarchy, and the end; one array per level."""
    return [
        np.flatnonzero(np.diff(level[hierarchy.order], prepend=-1, append=-1))
        if len(hierarchy.order)
        else np.zeros(1, int)
        for level in hierarchy.labels
    ]
