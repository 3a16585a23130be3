"""Measures from all pairs of samples: SciPy, slow transcriptions, a frozen reference, ties, precision, invariances."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform
from scipy.stats import kendalltau, ortho_group, pearsonr, spearmanr

from convergent.errors import StudyError
from convergent.similarity import (
    INVARIANCES,
    MEASURES,
    Representation,
    Undefined,
    distributions,
    kernels,
    neighbours,
    rsa,
)

MODULES = [module.__name__ for module in (kernels, rsa)]
NAMES = [name for name, measure in MEASURES.items() if measure.function.__module__ in MODULES]
OF_NEIGHBOURS = [name for name, one in MEASURES.items() if one.function.__module__ == neighbours.__name__]
OF_SAMPLES = NAMES + OF_NEIGHBOURS
SMALL = 4000  # bytes: tiles of a few samples
FEW = {"cycle_knn": {"k": 2}}  # with ten neighbours nearly every sample is found again, whatever is done


def related(generator, samples=60, units=(7, 5), noise=0.5):
    """Two networks that share latent variables, neither centred."""
    latent = generator.normal(size=(samples, 6))
    return tuple(
        latent @ generator.normal(size=(6, width)) + noise * generator.normal(size=(samples, width)) + 0.3
        for width in units
    )


def centred(matrix):
    keep = np.eye(len(matrix)) - 1 / len(matrix)
    return keep @ matrix @ keep


def u_centred(matrix):
    """Székely and Rizzo 2014, definition 2, in loops."""
    n = len(matrix)
    off = matrix - np.diag(np.diag(matrix))
    result = np.zeros_like(off)
    for i in range(n):
        for j in range(n):
            if i != j:
                result[i, j] = off[i, j] - (off[i].sum() + off[:, j].sum()) / (n - 2) + off.sum() / ((n - 1) * (n - 2))
    return result


def cosine_of(a, b):
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


def rbf(x):
    squared = pdist(x, "sqeuclidean")
    return np.exp(-squareform(squared) / (2 * np.median(squared)))


def transcription(name, x, y):
    """The equation of a measure on whole matrices."""
    if name.startswith("rsa"):
        _, distance, statistic = name.split("_")
        correlate = {"spearman": spearmanr, "pearson": pearsonr, "kendall": kendalltau}[statistic]
        return correlate(*(pdist(network, distance) for network in (x, y))).statistic
    kernel = rbf if name.startswith("cka_rbf") else lambda values: squareform(pdist(values))
    centring = u_centred if name.endswith("debiased") else centred
    value = cosine_of(*(centring(kernel(network)) for network in (x, y)))
    return np.sqrt(value) if name == "distance_correlation" else value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("units", [(7, 5), (90, 70)])
def test_equation(name, units, generator):
    x, y = related(generator, units=units)
    assert MEASURES[name](x, y) == pytest.approx(transcription(name, x, y), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_block_sizes_and_precision_of_the_input_do_not_matter(name, generator):
    x, y = (values.astype(np.float32) for values in related(generator))
    whole = MEASURES[name](x, y)
    memory_bytes = 64 * 60 * 59 // 2 if name.endswith("kendall") else SMALL
    assert MEASURES[name](x, y, memory_bytes=memory_bytes) == pytest.approx(whole, abs=1e-12)
    assert MEASURES[name](torch.from_numpy(x), torch.from_numpy(y)) == whole
    assert MEASURES[name](x.astype(np.float64), y.astype(np.float64)) == whole
    half = MEASURES[name](torch.from_numpy(x).half(), y)
    assert half == MEASURES[name](x.astype(np.float16).astype(np.float64), y)


@pytest.mark.parametrize("name", OF_SAMPLES)
def test_symmetric_if_declared(name, generator):
    x, y = related(generator)
    options = FEW.get(name, {})
    forth, back = MEASURES[name](x, y, **options), MEASURES[name](y, x, **options)
    assert (abs(forth - back) < 1e-12) == MEASURES[name].symmetric


@pytest.mark.parametrize("name", OF_SAMPLES)
def test_a_network_with_itself_and_bounds(name, generator):
    measure = MEASURES[name]
    x, y = related(generator)
    assert measure(x, x) == pytest.approx(measure.highest, abs=1e-12)
    assert measure(x, x.copy()) == pytest.approx(measure.highest, abs=1e-12)
    assert measure.lowest < measure(x, y) < measure.highest


def changes(generator, units):
    return {
        "permutation": lambda x: x[:, generator.permutation(units)],
        "orthogonal": lambda x: x @ ortho_group.rvs(units, random_state=generator),
        "isotropic_scaling": lambda x: 17 * x,
        "unit_scaling": lambda x: x * generator.uniform(0.2, 5, units),
        "translation": lambda x: x + 3 * generator.normal(size=units),
        "invertible_linear": lambda x: x @ generator.normal(size=(units, units)),
    }


@pytest.mark.parametrize("change", INVARIANCES)
@pytest.mark.parametrize("name", OF_SAMPLES)
def test_invariant_if_and_only_if_declared(name, change, generator):
    measure, options = MEASURES[name], FEW.get(name, {})
    x, y = related(generator, samples=150)
    before = measure(x, y, **options)
    changed = (changes(generator, 7)[change](x), y), (x, changes(generator, 5)[change](y))
    differences = [abs(measure(*networks, **options) - before) for networks in changed]
    assert (max(differences) < 1e-9) == (change in measure.invariances)


def test_published_reference_of_rbf_cka():
    """Five digits printed by the authors' notebook, whose median counts each sample's distance from itself."""
    state = np.random.RandomState(1337)
    x = state.randn(100, 10)
    y = state.randn(100, 10) + x
    assert MEASURES["cka_rbf"](x, y, bandwidth=0.5, zeros_in_median=True) == pytest.approx(0.65483, abs=5e-6)


@pytest.mark.parametrize("samples", [30, 31])
@pytest.mark.parametrize("zeros", [True, False])
def test_median_distance_with_and_without_zeros(samples, zeros, generator, monkeypatch):
    x = generator.normal(size=(samples, 4))
    squared = squareform(pdist(x, "sqeuclidean"))
    expected = np.median(squared) if zeros else np.median(squared[np.triu_indices(samples, 1)])
    assert kernels.median_squared_distance(Representation(x), zeros, 2**28) == pytest.approx(expected, rel=1e-12)


def test_counted_bins_agree_with_sorting(generator, monkeypatch):
    x, y = related(generator, samples=1200)
    x[0] *= 1000  # the bulk of the distances in a small part of their range
    names = ("rsa_euclidean_spearman", "rsa_correlation_spearman", "cka_rbf")
    counted = [MEASURES[name](x, y) for name in names]
    assert isinstance(distributions.distribution(Representation(x), "cosine", 2**28), distributions.Binned)
    monkeypatch.setattr(distributions, "MOST_SORTED", 2**30)
    np.testing.assert_allclose(counted, [MEASURES[name](x, y) for name in names], atol=3e-8, rtol=0)
    assert counted[1] == pytest.approx(spearmanr(pdist(x, "correlation"), pdist(y, "correlation")).statistic, abs=3e-8)


@pytest.mark.parametrize("samples", [80, 1100])
def test_ties_share_their_rank(samples, generator):
    """Whole numbers: few different distances, and copies of samples."""
    x = generator.integers(0, 3, size=(samples, 3)).astype(float)
    y = x[:, :2] + generator.integers(0, 2, size=(samples, 2))
    expected = spearmanr(pdist(x, "sqeuclidean"), pdist(y, "sqeuclidean")).statistic
    assert MEASURES["rsa_euclidean_spearman"](x + 0.1, y + 0.1) == pytest.approx(expected, abs=1e-9)


def copies(generator, points=80, samples=10_000, units=24):
    """Float32 samples that are copies of few points, far from zero; and which point each is."""
    which = generator.integers(0, points, size=samples)
    x, y = (values.astype(np.float32) for values in related(generator, points, (units, units)))
    return (x + 100)[which], (y + 100)[which], which


def test_float32_sums_over_ten_thousand_samples_are_right_to_six_digits(generator):
    """Sums over few points, each with its number of copies, are sums over all pairs of samples."""
    x, y, which = copies(generator)
    _, first, counts = np.unique(which, return_index=True, return_counts=True)
    share = counts / counts.sum()
    weights = np.outer(share, share)

    def centred_by_weight(kernel):
        rows = kernel @ share
        return kernel - rows[:, None] - rows + share @ rows

    few = [network[first].astype(np.float64) for network in (x, y)]
    distances = [squareform(pdist(network)) for network in few]
    a, b = map(centred_by_weight, distances)
    expected = np.sqrt((weights * a * b).sum() / np.sqrt((weights * a * a).sum() * (weights * b * b).sum()))
    assert MEASURES["distance_correlation"](x, y) == pytest.approx(expected, abs=1e-6)

    pairs = (np.outer(counts, counts) - np.diag(counts)).ravel()  # of different samples, each counted twice
    ranks = []
    for distance in distances:
        _, place = np.unique(distance.round(7), return_inverse=True)
        held = np.bincount(place.ravel(), pairs)
        ranks.append((np.cumsum(held) - held / 2)[place.ravel()] - pairs.sum() / 2)
    expected = (pairs * ranks[0] * ranks[1]).sum() / np.sqrt(
        (pairs * ranks[0] ** 2).sum() * (pairs * ranks[1] ** 2).sum()
    )
    assert MEASURES["rsa_euclidean_spearman"](x, y) == pytest.approx(expected, abs=1e-6)


def test_debiasing_removes_what_width_adds(generator):
    x, y = generator.normal(size=(2, 150, 3000))
    for name in ("distance_correlation", "cka_rbf"):
        assert MEASURES[name](x, y) > 0.9
        assert abs(MEASURES[f"{name}_debiased"](x, y)) < 0.05


def test_factors_are_computed_once(generator):
    x, y = (Representation(values) for values in related(generator))
    z = Representation(related(generator)[0])
    MEASURES["distance_correlation"](x, y)
    known = x.unordered_factors["sums/distance"]
    MEASURES["distance_correlation_debiased"](z, x)
    assert x.unordered_factors["sums/distance"] is known


@pytest.mark.parametrize("name", OF_SAMPLES)
def test_largest_samples_takes_the_same_samples_of_both(name, generator):
    x, y = related(generator, samples=200)
    few = MEASURES[name](x, y, largest_samples=50, sampling_seed=3)
    chosen = np.sort(np.random.default_rng(3).choice(200, 50, replace=False))
    assert few == MEASURES[name](x[chosen], y[chosen])
    assert few != MEASURES[name](x, y)
    assert MEASURES[name](x, y, largest_samples=200) == MEASURES[name](x, y)


def test_what_cannot_be_compared_is_undefined_with_a_reason(generator):
    x, y = related(generator, samples=12)
    flat = x.copy()
    flat[4] = 0.1
    with pytest.raises(Undefined, match="sample 4 of x is the same in every unit"):
        MEASURES["rsa_correlation_spearman"](flat, y)
    with pytest.raises(Undefined, match="sample 4 of y is zero in every unit"):
        MEASURES["rsa_cosine_spearman"](y, np.where(flat == 0.1, 0, flat))
    for name in ("distance_correlation", "cka_rbf", "rsa_euclidean_spearman"):
        with pytest.raises(Undefined, match="all samples of y are the same"):
            MEASURES[name](x, np.full((12, 3), 0.1))
    for name in ("rsa_correlation_spearman", "rsa_correlation_pearson", "rsa_correlation_kendall"):
        with pytest.raises(Undefined, match="equally far apart"):
            MEASURES[name](np.eye(12), y)
    with pytest.raises(Undefined, match="equally far apart"):
        MEASURES["distance_correlation_debiased"](np.eye(12), y)
    with pytest.raises(Undefined, match="at least half of the pairs"):
        MEASURES["cka_rbf"](np.eye(12)[:, :2], y)
    with pytest.raises(Undefined, match="at least 4 samples"):
        MEASURES["cka_rbf_debiased"](x[:3], y[:3])
    with pytest.raises(StudyError, match="positive number"):
        MEASURES["cka_rbf"](x, y, bandwidth=0)
    with pytest.raises(StudyError, match="pass largest_samples"):
        MEASURES["rsa_correlation_kendall"](x, y, memory_bytes=1000)
    with pytest.raises(TypeError):
        MEASURES["distance_correlation"](x, y, largest_sample=5)
