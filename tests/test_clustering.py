"""Groups of units: planted blocks, a slow loop, scikit-learn's clusters, isolated and dead units, figures."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import KMeans, SpectralClustering, kmeans_plusplus
from sklearn.metrics import adjusted_rand_score

from convergent import clustering
from convergent.clustering import (
    FURTHER_SCORES,
    GROUP_MEASURES,
    adjusted_rand_index,
    agglomerative_clusters,
    bisection,
    clusters_of_embedding,
    default_count,
    group_measures,
    group_scores,
    group_units,
    grouping_scores,
    joint_affinity,
    joint_correlation,
    kmeans,
    kmeans_starts,
    main_group_scores,
    nested_boundaries,
    sorted_by_group,
    spectral_clusters,
    spectral_embedding,
    stability,
)
from convergent.errors import StudyError
from convergent.figures.groups import best_blocks, grouped_matrix, unit_names
from convergent.figures.style import save
from convergent.statistics import correlation


def planted(generator, groups=4, units_x=24, units_y=20, noise=0.5, samples=600):
    """Correlations of two networks whose units, in random order, each follow one of a few features."""
    features = generator.normal(size=(samples, groups))
    feature = [generator.permutation(np.arange(units) % groups) for units in (units_x, units_y)]
    x, y = (features[:, which] + noise * generator.normal(size=(samples, len(which))) for which in feature)
    return np.concatenate(feature), (correlation(x, x), correlation(y, y), correlation(x, y))


def nested_affinity(generator, pieces=8, size=5):
    """Affinity with blocks within blocks: vertices in random order; (levels, vertices) the true pieces."""
    depth = int(np.log2(pieces))
    leaves = generator.permutation(np.repeat(np.arange(pieces), size))
    truth = np.stack([leaves >> (depth - level) for level in range(depth + 1)])
    shared = (truth[:, :, None] == truth[:, None]).sum(axis=0)
    affinity = 0.9 * 5.0 ** (shared - depth - 1) * (1 + 0.1 * generator.random(shared.shape))
    affinity = (affinity + affinity.T) / 2
    np.fill_diagonal(affinity, 0)
    return affinity, truth


def live(matrices):
    return np.ones(len(matrices[0]), bool), np.ones(len(matrices[1]), bool)


def same_partition(one, other):
    """Whether two labellings are equal up to renaming, and leave the same vertices out."""
    one, other = np.asarray(one), np.asarray(other)
    pairs = set(zip(one.tolist(), other.tolist(), strict=True))
    renamed = len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
    return renamed and ((one < 0) == (other < 0)).all()


def test_planted_groups_are_recovered_by_all_methods(generator):
    truth, matrices = planted(generator)
    groups = group_units(*matrices, *live(matrices), count=4, depth=2)
    assert same_partition(groups.labels, truth)
    assert same_partition(groups.agglomerative, truth)
    assert same_partition(groups.hierarchy.labels[-1], truth)
    scores = groups.scores
    assert scores["groups_count"] == 4 and scores["groups_median_size"] == 11
    for method in ("groups", "agglomerative", "bisection"):
        assert scores[f"{method}_mixed_share"] == 1
        assert scores[f"{method}_between"] > 0.7 and scores[f"{method}_within"] > 0.7
    assert scores["groups_stability"] > 0.6 and scores["groups_coherence"] == pytest.approx(1, abs=0.05)
    assert abs(scores["groups_shuffled_between"]) < scores["groups_between"] / 3


def test_anticorrelated_units_do_not_share_a_group(generator):
    truth, (within_x, within_y, between) = planted(generator, groups=3)
    sign_x, sign_y = (np.where(generator.random(len(within)) < 0.5, -1, 1) for within in (within_x, within_y))
    matrices = (
        within_x * np.outer(sign_x, sign_x),
        within_y * np.outer(sign_y, sign_y),
        between * np.outer(sign_x, sign_y),
    )
    signed = 2 * truth + (np.concatenate([sign_x, sign_y]) > 0)
    assert same_partition(spectral_clusters(joint_affinity(*matrices), 6, seed=0), signed)
    assert same_partition(agglomerative_clusters(joint_correlation(*matrices), 6), signed)


def test_the_order_of_units_does_not_matter(generator):
    _, (within_x, within_y, between) = planted(generator, groups=6, noise=0.8)
    x, y = generator.permutation(len(within_x)), generator.permutation(len(within_y))
    matrices = within_x, within_y, between
    permuted = within_x[np.ix_(x, x)], within_y[np.ix_(y, y)], between[np.ix_(x, y)]
    order = np.concatenate([x, len(x) + y])
    found, again = (group_units(*each, *live(each), count=6, depth=3, threshold=0) for each in (matrices, permuted))
    assert same_partition(found.labels[order], again.labels)
    assert same_partition(found.agglomerative[order], again.agglomerative)
    for level, permuted_level in zip(found.hierarchy.labels, again.hierarchy.labels, strict=True):
        assert same_partition(level[order], permuted_level)


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_spectral_clusters_agree_with_scikit_learn(generator, noise):
    truth, matrices = planted(generator, groups=5, units_x=40, units_y=35, noise=noise)
    affinity = joint_affinity(*matrices, threshold=0)
    reference = SpectralClustering(5, affinity="precomputed", assign_labels="kmeans", random_state=0).fit(affinity)
    labels = spectral_clusters(affinity, 5, seed=0)
    assert adjusted_rand_score(labels, reference.labels_) > 0.95
    assert adjusted_rand_score(labels, truth) > 0.95


def test_a_network_and_its_copy_pair_up(generator):
    x = generator.normal(size=(4000, 12))
    order = generator.permutation(12)
    matrices = correlation(x, x), correlation(x[:, order], x[:, order]), correlation(x, x[:, order])
    groups = group_units(*matrices, *live(matrices), count=12)
    for labels in (groups.labels, groups.agglomerative):
        np.testing.assert_array_equal(labels[12:], labels[order])
        assert len(np.unique(labels)) == 12
    scores = groups.scores
    assert scores["groups_between"] == pytest.approx(1) and scores["groups_mixed_share"] == 1
    assert np.isnan(scores["groups_within"]) and np.isnan(scores["groups_coherence"])


def test_affinity_joins_the_three_matrices(generator):
    _, matrices = planted(generator, units_x=6, units_y=4)
    affinity = joint_affinity(*matrices, threshold=0.3)
    joint = np.block([[matrices[0], matrices[2]], [matrices[2].T, matrices[1]]])
    expected = np.where(joint > 0.3, joint, 0) * ~np.eye(10, dtype=bool)
    np.testing.assert_allclose(affinity, expected, atol=1e-15)
    np.testing.assert_array_equal(affinity, affinity.T)
    assert (affinity == 0).sum() > 10 and (affinity > 0).any()


def test_a_correlation_equal_to_the_threshold_is_no_edge():
    between = np.array([[0.25, np.nextafter(0.25, 1)]])
    affinity = joint_affinity(np.eye(1), np.eye(2), between, threshold=0.25)
    assert affinity[0, 1] == 0 and affinity[0, 2] > 0


def test_rounding_does_not_make_an_edge_one_sided():
    within = np.array([[1, 0.2], [np.nextafter(0.2, 1), 1]])
    affinity = joint_affinity(within, np.eye(1), np.full((2, 1), 0.5))
    np.testing.assert_array_equal(affinity, affinity.T)


def test_eigenvectors_are_those_of_the_normalised_laplacian(generator):
    _, matrices = planted(generator)
    affinity = joint_affinity(*matrices, threshold=0)
    scale = 1 / np.sqrt(affinity.sum(axis=1))
    laplacian = np.eye(len(affinity)) - affinity * np.outer(scale, scale)
    embedding = spectral_embedding(affinity, 7)
    lowest = np.linalg.eigvalsh(laplacian)[:7]
    np.testing.assert_allclose(laplacian @ embedding, embedding * lowest, atol=1e-12)
    np.testing.assert_allclose(embedding.T @ embedding, np.eye(7), atol=1e-12)
    # Fewer clusters need no embedding of their own.
    np.testing.assert_array_equal(clusters_of_embedding(embedding, 4, 3), spectral_clusters(affinity, 4, 3))


@pytest.mark.parametrize(("share", "threshold"), [(0.0, 0), (1.0, 0), (1.0, 0.2)])
def test_large_graphs_give_the_same_embedding(generator, monkeypatch, share, threshold):
    truth, (within_x, within_y, between) = planted(generator, groups=4, units_x=60, units_y=60)
    # With edges between the networks only, the smallest eigenvalues are as far from 0 as the largest.
    affinity = joint_affinity(0 * within_x, 0 * within_y, between, threshold)
    dense = spectral_embedding(affinity, 4)
    monkeypatch.setattr(clustering, "LARGEST_DENSE", 10)
    monkeypatch.setattr(clustering, "SPARSE_BELOW", share)
    lanczos = spectral_embedding(affinity, 4)
    np.testing.assert_allclose(lanczos @ lanczos.T, dense @ dense.T, atol=1e-9)
    assert same_partition(clusters_of_embedding(lanczos, 4, 0), truth)


def test_isolated_vertices_are_in_no_cluster(generator):
    truth, matrices = planted(generator, groups=3)
    affinity = joint_affinity(*matrices)
    alone = generator.choice(len(affinity), 5, replace=False)
    affinity[alone], affinity[:, alone] = 0, 0
    embedding = spectral_embedding(affinity, 3)
    assert np.isfinite(embedding).all() and (embedding[alone] == 0).all()
    truth[alone] = -1
    assert same_partition(clusters_of_embedding(embedding, 3, 0), truth)
    assert (spectral_clusters(np.zeros((4, 4)), 2, 0) == -1).all()
    assert np.isnan(stability(np.zeros((4, 2)), 2, seed=0))


def test_with_too_few_clusters_the_largest_components_have_them():
    affinity = np.zeros((9, 9))
    for piece in ([0, 4], [1, 3, 7], [2, 5, 6, 8]):
        affinity[np.ix_(piece, piece)] = 0.5
    np.fill_diagonal(affinity, 0)
    assert same_partition(spectral_clusters(affinity, 2, 0), [-1, 0, 1, 0, -1, 1, 1, 0, 1])
    assert same_partition(spectral_clusters(affinity, 3, 0), [2, 0, 1, 0, 2, 1, 1, 0, 1])


def test_the_seed_decides(generator):
    similarity = correlation(generator.normal(size=(30, 40)), generator.normal(size=(30, 40)))
    within = np.eye(40)
    embedding = spectral_embedding(joint_affinity(within, within, similarity, threshold=0), 12)
    first, again = (clusters_of_embedding(embedding, 12, seed=1, restarts=1) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert any(not same_partition(first, clusters_of_embedding(embedding, 12, seed, 1)) for seed in range(2, 6))
    clusters_of_embedding(embedding, 12, seed=2**70)


def test_rows_count_by_their_direction(generator):
    _, matrices = planted(generator, noise=1.5, groups=6)
    embedding = spectral_embedding(joint_affinity(*matrices, threshold=0), 6)
    longer = embedding * generator.uniform(0.1, 10, size=(44, 1))
    np.testing.assert_array_equal(clusters_of_embedding(longer, 6, 0), clusters_of_embedding(embedding, 6, 0))


def test_restarts_find_tighter_clusters(generator):
    rows = generator.normal(size=(80, 10))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)

    def spread(labels):
        return sum(((rows[labels == label] - rows[labels == label].mean(axis=0)) ** 2).sum() for label in set(labels))

    one, many = (spread(clusters_of_embedding(rows, 10, 0, restarts)) for restarts in (1, 20))
    assert many < one


def test_labels_are_numbered_by_first_appearance(generator):
    _, matrices = planted(generator, groups=5)
    for labels in (
        spectral_clusters(joint_affinity(*matrices), 5, 4),
        agglomerative_clusters(joint_correlation(*matrices), 5),
    ):
        firsts = [int(np.flatnonzero(labels == label)[0]) for label in range(5)]
        assert firsts == sorted(firsts)


def test_stability_is_the_mean_agreement_of_single_runs(generator):
    _, matrices = planted(generator, noise=3, groups=6, samples=80)
    embedding = spectral_embedding(joint_affinity(*matrices, threshold=0), 8)
    value = stability(embedding, 8, seed=5, runs=4)
    runs = [clusters_of_embedding(embedding, 8, state, 1) for state in clustering.kmeans_seeds(5, 4)]
    assert value == pytest.approx(np.mean([adjusted_rand_score(*pair) for pair in combinations(runs, 2)]))
    assert 0 < value < 1
    assert np.isnan(stability(embedding, 8, seed=5, runs=1))


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_bisection_finds_blocks_within_blocks(generator, depth):
    affinity, truth = nested_affinity(generator)
    tree = bisection(affinity, depth)
    assert tree.labels.shape == (depth + 1, 40)
    for level in range(depth + 1):
        assert same_partition(tree.labels[level], truth[level])
        assert (np.diff(tree.labels[level][tree.order]) >= 0).all()
    assert sorted(tree.order) == list(range(40))


@pytest.mark.parametrize("draw", range(8))
def test_the_normalised_cut_is_the_smallest_along_the_second_eigenvector(draw):
    generator = np.random.default_rng(draw)
    weights = generator.exponential(size=9) ** 2  # so that degrees differ widely
    affinity = generator.random((9, 9)) * np.outer(weights, weights)
    affinity = np.triu(affinity, 1) + np.triu(affinity, 1).T
    degrees = affinity.sum(axis=1)
    scale = 1 / np.sqrt(degrees)
    _, vectors = np.linalg.eigh(np.eye(9) - affinity * np.outer(scale, scale))
    order = np.argsort(vectors[:, 1] * scale)

    def normalised_cut(inside):
        cut = sum(affinity[i, j] for i in inside for j in range(9) if j not in inside)
        volume = sum(degrees[i] for i in inside)
        return cut / volume + cut / (degrees.sum() - volume)

    best = min((set(order[:size].tolist()) for size in range(1, 9)), key=normalised_cut)
    labels = bisection(affinity, 1).labels[1]
    assert same_partition(labels, [vertex in best for vertex in range(9)])


def test_bisection_never_cuts_a_component_before_all_are_apart(generator):
    sizes = [7, 6, 1, 1, 5]
    truth = generator.permutation(np.repeat(np.arange(5), sizes))
    affinity = np.where(truth[:, None] == truth, 0.3 + 0.1 * np.eye(20)[generator.permutation(20)], 0)
    affinity = (affinity + affinity.T) / 2
    np.fill_diagonal(affinity, 0)
    tree = bisection(affinity, 6)
    assert len(np.unique(tree.labels[1])) == 2
    for component in range(5):
        assert len(np.unique(tree.labels[1][truth == component])) == 1
    assert len(np.unique(tree.labels[-1])) == 20
    for coarse, fine in zip(tree.labels[:-1], tree.labels[1:], strict=True):
        assert len(np.unique(np.stack([coarse, fine]), axis=1).T) == len(np.unique(fine))
    assert connected_components(affinity)[0] == 5
    halves = np.bincount(tree.labels[1])
    assert sorted(halves) == [9, 11]  # 7 + 1 + 1 and 6 + 5


def test_agglomeration_merges_the_smallest_mean_distance(generator):
    _, matrices = planted(generator, units_x=7, units_y=6, noise=2)
    joint = joint_correlation(*matrices)
    clusters = [[unit] for unit in range(13)]
    for count in range(13, 0, -1):
        labels = np.empty(13, int)
        for label, members in enumerate(clusters):
            labels[members] = label
        assert same_partition(agglomerative_clusters(joint, count), labels)
        if count > 1:
            closeness = {
                pair: joint[np.ix_(*(clusters[c] for c in pair))].mean() for pair in combinations(range(count), 2)
            }
            first, second = max(closeness, key=closeness.get)
            clusters[first] += clusters.pop(second)


def slow_scores(labels, within_x, within_y, between):
    """Between and within of each group by loops over its units."""
    units_x, result = len(within_x), {}
    for group in sorted(set(labels) - {-1}):
        x = [unit for unit in range(units_x) if labels[unit] == group]
        y = [unit for unit in range(len(within_y)) if labels[units_x + unit] == group]
        cross = [between[i, j] for i in x for j in y]
        own = [
            np.mean([within[i, j] for i in members for j in members if i != j])
            for within, members in ((within_x, x), (within_y, y))
            if len(members) > 1
        ]
        result[group] = len(x), len(y), np.mean(cross) if cross else np.nan, np.mean(own) if own else np.nan
    return result


def test_scores_agree_with_loops(generator):
    _, matrices = planted(generator, noise=1.5)
    labels = generator.integers(-1, 9, size=44)
    labels[:24][labels[:24] == 3] = 5  # a group of y alone
    labels[24:][labels[24:] == 4] = 6  # and one of x alone
    expected = slow_scores(labels, *matrices)
    scores = group_scores(labels, *matrices)
    np.testing.assert_array_equal(scores.groups, list(expected))
    for found, values in zip(scores[1:], zip(*expected.values(), strict=True), strict=True):
        np.testing.assert_allclose(found, values)
    summary = grouping_scores(labels, *matrices, generator, draws=0)
    x, y, between, within = (np.array(column) for column in zip(*expected.values(), strict=True))
    assert summary["between"] == pytest.approx(np.nanmean(between))
    assert summary["within"] == pytest.approx(np.nanmean(within))
    assert summary["mixed_share"] == pytest.approx((x + y)[(x > 0) & (y > 0)].sum() / 44)
    assert summary["median_size"] == np.median(x + y) and summary["count"] == len(expected)
    both = [(b, w) for b, w in zip(between, within, strict=True) if not np.isnan(b + w)]
    half = sorted(both, reverse=True)[: (len(both) + 1) // 2]
    assert summary["coherence"] == pytest.approx(np.mean([b for b, _ in half]) / np.mean([w for _, w in half]))
    assert np.isnan(summary["shuffled_between"])


def test_coherence_leaves_out_groups_without_siblings():
    within, between = np.eye(5), np.zeros((5, 3))
    within[[0, 1], [1, 0]], within[[2, 3], [3, 2]] = 0.5, 0.4
    between[[0, 1, 2, 3, 4], [0, 0, 1, 1, 2]] = 0.3, 0.5, 0.1, 0.1, 0.9
    labels = np.array([0, 0, 1, 1, 2, 0, 1, 2])
    assert grouping_scores(labels, within, np.eye(3), between, None, draws=0)["coherence"] == pytest.approx(0.4 / 0.5)
    pairs = grouping_scores(np.array([0, 1, 2, 3, 4, 0, 1, 2]), within, np.eye(3), between, None, draws=0)
    assert np.isnan(pairs["coherence"])
    negative = grouping_scores(labels, -within, np.eye(3), between, None, draws=0)
    assert np.isnan(negative["coherence"])


def test_shuffled_labels_give_the_mean_over_all_deals(generator):
    between = generator.normal(size=(3, 3))
    labels = np.array([0, 0, 1, 1, 1, -1])
    values = []
    for group in combinations(range(5), 2):
        dealt = np.array([0 if unit in group else 1 for unit in range(5)] + [-1])
        means = [row[2] for row in slow_scores(dealt, np.eye(3), np.eye(3), between).values()]
        if not np.isnan(means).all():
            values.append(np.nanmean(means))
    scores = grouping_scores(labels, np.eye(3), np.eye(3), between, generator, draws=20_000)
    assert scores["shuffled_between"] == pytest.approx(np.mean(values), abs=0.02)


def test_dead_units_are_in_no_group_and_change_nothing(generator):
    truth, matrices = planted(generator)
    whole = group_units(*matrices, *live(matrices), count=4, further_counts=(8,), depth=2)
    padded = tuple(np.pad(matrix, ((0, 2 if matrix is not matrices[1] else 3),) * 2) for matrix in matrices)
    padded = padded[0], padded[1], np.pad(matrices[2], ((0, 2), (0, 3)))
    alive = np.arange(26) < 24, np.arange(23) < 20
    groups = group_units(*padded, *alive, count=4, further_counts=(8,), depth=2)
    kept = np.concatenate(alive)
    for found in (groups.labels, groups.agglomerative, groups.further[8], groups.hierarchy.labels[-1]):
        assert (found[~kept] == -1).all() and (found[kept] >= 0).all()
    assert same_partition(groups.labels[kept], truth)
    np.testing.assert_array_equal(groups.hierarchy.order, np.flatnonzero(kept)[whole.hierarchy.order])
    assert groups.scores == whole.scores


def test_units_without_a_relative_are_counted_as_not_mixed(generator):
    truth, (within_x, within_y, between) = planted(generator)
    within_x = np.pad(within_x, (0, 6))
    np.fill_diagonal(within_x, 1)
    matrices = within_x, within_y, np.pad(between, ((0, 6), (0, 0)))
    groups = group_units(*matrices, *live(matrices), count=4, depth=2)
    assert (groups.labels[24:30] == -1).all() and (groups.hierarchy.labels[:, 24:30] == -1).all()
    assert same_partition(np.delete(groups.labels, range(24, 30)), truth)
    assert groups.scores["groups_mixed_share"] == groups.scores["bisection_mixed_share"] == pytest.approx(44 / 50)
    assert sorted(groups.hierarchy.order) == [*range(24), *range(30, 50)]


def test_unrelated_networks_have_no_groups():
    groups = group_units(np.eye(5), np.eye(4), np.zeros((5, 4)), np.ones(5, bool), np.ones(4, bool))
    assert (groups.labels == -1).all() and not len(groups.hierarchy.order)
    assert groups.scores["groups_mixed_share"] == groups.scores["groups_count"] == 0
    assert np.isnan(groups.scores["groups_between"]) and np.isnan(groups.scores["groups_stability"])


def test_a_network_without_live_units_has_no_groups(generator):
    _, matrices = planted(generator)
    alive = np.zeros(24, bool), np.ones(20, bool)
    groups = group_units(*matrices, *alive, further_counts=(10, 30))
    assert set(groups.scores) == set(group_measures([10]))
    assert np.isnan(list(groups.scores.values())).all()
    for labels in (groups.labels, groups.agglomerative, groups.further[10], *groups.hierarchy.labels):
        assert labels.shape == (44,) and (labels == -1).all()
    assert np.isnan(list(main_group_scores(*matrices, *alive).values())).all()


def test_scores_of_further_counts_and_the_quick_scores(generator):
    _, matrices = planted(generator, groups=6, noise=0.8)
    groups = group_units(*matrices, *live(matrices), further_counts=(5, 10, 45))
    assert list(groups.scores) == list(group_measures([5, 10])) and set(groups.further) == {5, 10}
    assert set(GROUP_MEASURES) <= set(groups.scores)
    assert groups.scores["groups_count"] == default_count(22) == 9
    for k, labels in groups.further.items():
        expected = grouping_scores(labels, *matrices, np.random.default_rng(0))
        assert {name: groups.scores[f"groups_{k}_{name}"] for name in FURTHER_SCORES} == {
            name: expected[name] for name in FURTHER_SCORES
        }
    quick = main_group_scores(*matrices, *live(matrices))
    assert quick == pytest.approx({name: groups.scores[name] for name in quick})
    assert set(quick) == {name for name in GROUP_MEASURES if name.startswith("groups_")} - {
        "groups_stability",
        "groups_repeatability",
    }
    few = group_units(*matrices, *live(matrices), count=1000)
    assert few.scores["groups_count"] == 44


@pytest.mark.parametrize(("units", "count"), [(96, 38), (1, 2), (5, 2), (4096, 100), (22.5, 9)])
def test_default_number_of_groups(units, count):
    assert default_count(units) == count


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda affinity: affinity.__setitem__((1, 2), 0.7), "differ"),
        (lambda affinity: affinity.__setitem__((1, 2), np.nan), "not a number"),
        (lambda affinity: affinity.__setitem__((slice(None), 2), np.inf), "not a number"),
        (lambda affinity: affinity.__isub__(0.1), "smallest affinity is -0.1"),
    ],
)
def test_a_bad_affinity_is_refused(change, message):
    affinity = np.full((4, 4), 0.5)
    affinity[0] = affinity[:, 0] = 0
    change(affinity)
    for cluster in (lambda: spectral_clusters(affinity, 2, 0), lambda: bisection(affinity, 1)):
        with pytest.raises(StudyError, match=message):
            cluster()


@pytest.mark.parametrize("count", [0, -1, 5])
def test_an_impossible_number_of_clusters_is_refused(count):
    affinity = np.full((4, 4), 0.5)
    for cluster in (lambda: spectral_clusters(affinity, count, 0), lambda: agglomerative_clusters(affinity, count)):
        with pytest.raises(StudyError, match=f"{count} clusters"):
            cluster()


def test_other_bad_arguments_are_refused(generator):
    _, (within_x, within_y, between) = planted(generator, units_x=6, units_y=4)
    everyone = np.ones(6, bool), np.ones(4, bool)
    with pytest.raises(StudyError, match="do not fit"):
        joint_correlation(within_y, within_x, between)
    with pytest.raises(StudyError, match="do not fit"):
        group_units(within_x, within_y, between.T, *everyone)
    with pytest.raises(StudyError, match="threshold"):
        joint_affinity(within_x, within_y, between, threshold=-0.1)
    with pytest.raises(StudyError, match="depth"):
        bisection(np.ones((3, 3)), -1)
    with pytest.raises(StudyError, match="shape"):
        spectral_clusters(np.ones((3, 2)), 1, 0)
    for count in (0, -3):
        with pytest.raises(StudyError, match="clusters"):
            group_units(within_x, within_y, between, *everyone, count=count)
    lopsided = within_x.copy()
    lopsided[0, 1] += 0.1
    with pytest.raises(StudyError, match="differ"):
        agglomerative_clusters(lopsided, 2)


def test_groups_are_sorted_by_similarity_with_x_before_y(generator):
    truth, matrices = planted(generator)
    truth[3] = -1
    truth[:2] = 9  # a group of one network only
    scores = group_scores(truth, *matrices)
    order, boundaries = sorted_by_group(truth, scores)
    assert sorted(order) == [unit for unit in range(44) if unit != 3]
    blocks = [order[first:last] for first, last in pairwise(boundaries)]
    values = [scores.between[scores.groups == truth[block[0]]][0] for block in blocks]
    assert values[:4] == sorted(values[:4], reverse=True) and np.isnan(values[4])
    for block in blocks:
        assert len(set(truth[block])) == 1 and list(block) == sorted(block)


def test_figures_show_the_groups(generator, tmp_path):
    _, matrices = planted(generator)
    groups = group_units(*matrices, *live(matrices), count=4, depth=2)
    joint, networks = joint_correlation(*matrices), np.repeat([0, 1], [24, 20])
    order, boundaries = sorted_by_group(groups.labels, group_scores(groups.labels, *matrices))
    figure = grouped_matrix(joint, order, boundaries, networks, ("net1", "net2"), zoom=2)
    main, *zoomed = (axis for axis in figure.axes if axis.get_images() and axis.get_title(loc="left"))
    shown = main.get_images()[0].get_array()
    np.testing.assert_array_equal(shown, joint[np.ix_(order, order)] * ~np.eye(44, dtype=bool))
    assert len(zoomed) == 2
    expected = [f"net{1 + (unit >= 24)}:{unit - 24 * (unit >= 24)}" for unit in order[: boundaries[1]]]
    assert [label.get_text() for label in zoomed[0].get_yticklabels()] == expected
    levels = nested_boundaries(groups.hierarchy)
    assert [len(level) for level in levels] == [2, 3, 5]
    tree = grouped_matrix(joint, groups.hierarchy.order, levels, networks, ("net1", "net2"), zoom=0)
    nobody = grouped_matrix(joint, order[:0], boundaries[:1], networks, ("net1", "net2"))
    for number, drawn in enumerate((figure, tree, nobody)):
        save(drawn, [tmp_path / f"{number}.png"])
        assert (tmp_path / f"{number}.png").stat().st_size > 1000


def test_enlarged_blocks_are_the_most_similar_large_mixed_ones():
    networks = np.array([0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1])
    boundaries = np.array([0, 4, 6, 10, 14])
    matrix = np.zeros((14, 14))
    matrix[:4, :4], matrix[4:6, 4:6], matrix[6:10, 6:10], matrix[10:, 10:] = 0.3, 0.9, 0.8, 0.5
    assert best_blocks(matrix, boundaries, networks, 3, 4) == [(10, 14), (0, 4)]
    assert best_blocks(matrix, boundaries, networks, 1, 2) == [(4, 6)]
    assert list(unit_names(np.array([0, 0, 1, 1]), ("a", "b"))) == ["a:0", "a:1", "b:0", "b:1"]


@pytest.mark.parametrize(("points", "count"), [(30, 1), (30, 7), (60, 25), (12, 12)])
def test_starts_of_all_runs_are_those_that_scikit_learn_draws_one_after_the_other(generator, points, count):
    same = []
    for seed in range(10):
        rows, random = generator.normal(size=(points, 5)), np.random.RandomState(seed)
        drawn = [kmeans_plusplus(rows, count, random_state=random)[1] for _ in range(6)]
        found = kmeans_starts(rows, count, 6, np.random.RandomState(seed))
        same.extend((found == drawn).all(axis=1))
    # Where two points are each other's nearest, rounding decides between them.
    assert np.mean(same) > 0.95


@pytest.mark.parametrize(("count", "clusters", "dimensions"), [(30, 1, 3), (60, 8, 5), (90, 40, 6), (12, 12, 4)])
@pytest.mark.parametrize("at_once", [1, 2**22])
def test_kmeans_ends_where_scikit_learn_does(generator, monkeypatch, count, clusters, dimensions, at_once):
    monkeypatch.setattr(clustering, "DISTANCES_PER_BLOCK", at_once)
    points = generator.normal(size=(count, dimensions))
    starts = kmeans_starts(points, clusters, 7, np.random.RandomState(0))
    runs = [KMeans(clusters, init=points[start], n_init=1, tol=0).fit(points) for start in starts]
    best = min(runs, key=lambda run: run.inertia_)
    assert same_partition(kmeans(points, starts), best.labels_)


def test_no_cluster_is_empty_while_points_differ(generator):
    points = generator.normal(size=(20, 3))
    # All of a run's means in one place: all but the first are nearest to no point.
    labels = kmeans(np.concatenate([points, points[:5]]), np.zeros((1, 6), dtype=int))
    assert len(set(labels)) == 6
    np.testing.assert_array_equal(labels[:5], labels[20:])
    twice = kmeans(np.repeat(points[:3], 4, axis=0), np.arange(5)[None])
    assert same_partition(twice, np.repeat(np.arange(3), 4))


@pytest.mark.parametrize(("first", "second"), [(3, 5), (1, 4), (1, 1), (40, 40)])
def test_the_adjusted_rand_index_is_scikit_learns(generator, first, second):
    one, other = generator.integers(first, size=40), generator.integers(second, size=40)
    assert adjusted_rand_index(one, other) == pytest.approx(adjusted_rand_score(one, other))
    assert adjusted_rand_index(one, one) == 1
    apart = np.arange(40)
    assert adjusted_rand_index(apart, apart) == 1
    assert adjusted_rand_index(apart, other) == pytest.approx(adjusted_rand_score(apart, other))
