"""Measures from nearest neighbours: scikit-learn and slow transcriptions of the equations, chance, ties, memory."""

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances
from sklearn.neighbors import NearestNeighbors

from convergent.errors import StudyError
from convergent.similarity import MEASURES, Representation, Undefined
from convergent.similarity import neighbours as library
from convergent.similarity.neighbours import neighbours

NAMES = [name for name, measure in MEASURES.items() if measure.function.__module__ == library.__name__]
SMALL = 4000  # bytes: tiles of a few samples


def related(generator, samples=60, units=(7, 5), noise=0.5):
    """Two networks that share latent variables, neither centred."""
    latent = generator.normal(size=(samples, 6))
    return tuple(
        latent @ generator.normal(size=(6, width)) + noise * generator.normal(size=(samples, width)) + 0.3
        for width in units
    )


def sklearn_lists(x, k, metric):
    return NearestNeighbors(n_neighbors=k, metric=metric, algorithm="brute").fit(x).kneighbors(return_distance=False)


def longest_common_subsequence(a, b):
    if not len(a) or not len(b):
        return 0
    if a[-1] == b[-1]:
        return 1 + longest_common_subsequence(a[:-1], b[:-1])
    return max(longest_common_subsequence(a[:-1], b), longest_common_subsequence(a, b[:-1]))


def edit_distance(a, b):
    if not len(a) or not len(b):
        return len(a) + len(b)
    return min(
        edit_distance(a[:-1], b[:-1]) + (a[-1] != b[-1]), 1 + edit_distance(a[:-1], b), 1 + edit_distance(a, b[:-1])
    )


def rank_similarity(a, b):
    shared = [(a.index(j) + 1, b.index(j) + 1) for j in a if j in b]
    largest = sum(1 / m for m in range(1, len(shared) + 1))
    return sum(2 / ((1 + abs(r - s)) * (r + s)) for r, s in shared) / largest if shared else 0.0


def unbiased_hsic(k, l):  # noqa: E741
    """Song et al. 2012, equation 5, as it stands."""
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    ones = np.ones(n)
    value = np.trace(k @ l) + ones @ k @ ones * (ones @ l @ ones) / ((n - 1) * (n - 2))
    return (value - 2 / (n - 2) * (ones @ k @ l @ ones)) / (n * (n - 3))


def masked(x, k):
    kernel = cosine_similarity(x)
    mask = np.zeros_like(kernel)
    np.put_along_axis(mask, sklearn_lists(x, k, "cosine"), 1, axis=1)
    return kernel, mask


def transcription(name, x, y, k):
    """The equation of a measure, in loops."""
    if name == "information_imbalance":
        nearest = sklearn_lists(x, 1, "euclidean")[:, 0]
        ranks = [
            rankdata(np.delete(row, i))[j - (j > i)]
            for i, (row, j) in enumerate(zip(euclidean_distances(y), nearest, strict=True))
        ]
        n = len(x)
        return 1 - (n * (2 / n * np.mean(ranks)) - 2) / (n - 2)
    if name == "cknna":
        centred = []
        for network in (x, y):
            kernel, mask = masked(network, k)
            centred.append((kernel - kernel.mean(axis=1, keepdims=True)) * mask)
        a, b = centred
        return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())
    if name == "cknna_debiased":
        (kernel_x, mask_x), (kernel_y, mask_y) = masked(x, k), masked(y, k)
        both = mask_x * mask_y
        own = [unbiased_hsic(kernel_x * mask_x, kernel_x * mask_x), unbiased_hsic(kernel_y * mask_y, kernel_y * mask_y)]
        return unbiased_hsic(kernel_x * both, kernel_y * both) / np.sqrt(own[0] * own[1])
    metric = "euclidean" if name.endswith("euclidean") else "cosine"
    lists = [sklearn_lists(network, k, metric).tolist() for network in (x, y)]
    if name == "cycle_knn":
        return np.mean([any(i in lists[0][j] for j in near) for i, near in enumerate(lists[1])])
    one = {
        "jaccard_knn": lambda a, b: len({*a} & {*b}) / len({*a} | {*b}),
        "rank_knn": rank_similarity,
        "lcs_knn": lambda a, b: longest_common_subsequence(a, b) / k,
        "edit_knn": lambda a, b: 1 - edit_distance(a, b) / k,
    }.get(name, lambda a, b: len({*a} & {*b}) / k)
    return np.mean([one(a, b) for a, b in zip(*lists, strict=True)])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("units", [(7, 5), (90, 70)])
def test_equation(name, units, generator):
    x, y = related(generator, units=units)
    options = {} if name == "information_imbalance" else {"k": 4}
    assert MEASURES[name](x, y, **options) == pytest.approx(transcription(name, x, y, 4), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_block_sizes_and_precision_of_the_input_do_not_matter(name, generator):
    x, y = (values.astype(np.float32) for values in related(generator))
    whole = MEASURES[name](x, y)
    assert MEASURES[name](x, y, memory_bytes=SMALL) == pytest.approx(whole, abs=1e-12)
    assert MEASURES[name](torch.from_numpy(x), torch.from_numpy(y)) == whole
    assert MEASURES[name](x.astype(np.float64), y.astype(np.float64)) == whole


@pytest.mark.parametrize("samples", [11, 500, 3000])
@pytest.mark.parametrize(("comparison", "metric"), [("cosine", "cosine"), ("euclidean", "euclidean")])
def test_lists_are_scikit_learns(samples, comparison, metric, generator, monkeypatch):
    monkeypatch.setattr(library, "MOST_CANDIDATES", 20_000)  # so that lists are pruned on the way
    x = generator.normal(size=(samples, 8)) + 0.5
    found = neighbours(Representation(x), comparison, 10, memory_bytes=2**20)
    np.testing.assert_array_equal(found.samples, sklearn_lists(x, 10, metric))
    assert (np.diff(found.similarity, axis=1) <= 0).all()


@pytest.mark.parametrize("most", [0, 1000])
def test_float32_decides_nothing(most, generator, monkeypatch):
    """Samples whose cosines agree to six digits: single precision cannot tell them apart."""
    monkeypatch.setattr(library, "MOST_DOUBTFUL", most)
    monkeypatch.setattr(library, "MOST_CANDIDATES", 20_000)
    x = 1 + 1e-3 * generator.normal(size=(600, 8))
    np.testing.assert_array_equal(neighbours(Representation(x), "cosine", 5).samples, sklearn_lists(x, 5, "cosine"))


def test_a_large_mean_costs_no_neighbours(generator):
    x = generator.normal(size=(300, 5))
    found = neighbours(Representation(x + 1e6), "euclidean", 5)
    np.testing.assert_array_equal(found.samples, sklearn_lists(x, 5, "euclidean"))


@pytest.mark.parametrize("memory_bytes", [SMALL, 2**28])
def test_equals_are_in_the_order_of_the_samples(memory_bytes, generator):
    """Corners of a cube: equal distances everywhere, and copies of each corner."""
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T
    x = np.tile(corners, (5, 1)) + 1 / 3
    squared = ((x[:, None] - x[None]) ** 2).sum(-1).round(9)
    np.fill_diagonal(squared, np.inf)
    expected = np.argsort(squared, axis=1, kind="stable")[:, :12]
    np.testing.assert_array_equal(
        neighbours(Representation(x), "euclidean", 12, memory_bytes=memory_bytes).samples, expected
    )


def test_ranks_share_ties_however_they_are_found(generator):
    y = generator.integers(0, 3, size=(70, 3)).astype(float)
    partners = (np.arange(70) + generator.integers(1, 70, size=70)) % 70
    squared = ((y[:, None] - y[None]) ** 2).sum(-1)
    expected = [
        rankdata(np.delete(row, i))[j - (j > i)] for i, (row, j) in enumerate(zip(squared, partners, strict=True))
    ]
    for memory_bytes in (SMALL, 2**28):
        np.testing.assert_array_equal(library.distance_ranks(Representation(y), partners, memory_bytes), expected)
    order = generator.permutation(70)
    for memory_bytes in (SMALL, 2**28):
        view = Representation(y).permuted(order)
        place = np.argsort(order)
        ranks = library.distance_ranks(view, place[partners[order]], memory_bytes)
        np.testing.assert_array_equal(ranks, np.array(expected)[order])


def test_chance_of_mutual_neighbours(generator):
    x, y = generator.normal(size=(2, 1500, 20))
    expected = 10 / 1499
    assert MEASURES["mutual_knn"](x, y) == pytest.approx(expected, abs=5 * np.sqrt(expected / (1500 * 10)))
    assert MEASURES["information_imbalance"](x, y) == pytest.approx(0, abs=5 / np.sqrt(3 * 1500))


def test_information_goes_one_way(generator):
    x = generator.normal(size=(400, 2))
    y = x[:, :1]
    forth, back = MEASURES["information_imbalance"](x, y), MEASURES["information_imbalance"](y, x)
    assert forth > back + 0.2


def test_lists_are_searched_once(generator, monkeypatch):
    calls = []
    search = library.search
    monkeypatch.setattr(library, "search", lambda x, *rest: calls.append(x.name) or search(x, *rest))
    x, y = (Representation(values, name) for values, name in zip(related(generator), "xy", strict=True))
    for name in ("mutual_knn", "jaccard_knn", "cknna", "cycle_knn", "lcs_knn"):
        MEASURES[name](x, y)
        MEASURES[name](y, x, k=3)
    assert calls == ["x", "y"]


def test_long_lists_cost_one_more_search(generator):
    x = generator.normal(size=(50, 4))
    network = Representation(x)
    short, long = neighbours(network, "cosine", 3), neighbours(network, "cosine", 30)
    np.testing.assert_array_equal(short.samples, long.samples[:, :3])


def test_what_cannot_be_compared_is_undefined_with_a_reason(generator):
    x, y = related(generator, samples=12)
    zero = x.copy()
    zero[4] = 0
    with pytest.raises(Undefined, match="sample 4 of x is zero in every unit"):
        MEASURES["mutual_knn"](zero, y)
    with pytest.raises(Undefined, match="at least 13 samples"):
        MEASURES["mutual_knn"](x, y, k=12)
    with pytest.raises(Undefined, match="all samples of y are the same"):
        MEASURES["information_imbalance"](x, np.full((12, 3), 0.1))
    with pytest.raises(Undefined, match="same cosines"):
        MEASURES["cknna"](np.full((12, 3), 0.1), y)
    with pytest.raises(Undefined, match="at least 4 samples"):
        MEASURES["cknna_debiased"](x[:3], y[:3], k=2)
    with pytest.raises(StudyError, match="positive whole number"):
        MEASURES["mutual_knn"](x, y, k=0)
    with pytest.raises(StudyError, match="at least 2 neighbours"):
        MEASURES["cknna"](x, y, k=1)
    with pytest.raises(StudyError, match="largest_samples is 2"):
        MEASURES["mutual_knn"](x, y, largest_samples=2)
    x[3, 2] = np.nan
    with pytest.raises(StudyError, match="unit 2 of x"):
        MEASURES["mutual_knn_euclidean"](x, y)
