"""Second-order measures: invariances, fixed points, planted truths, independent implementations, precision."""

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes, subspace_angles
from scipy.optimize import linear_sum_assignment, linprog
from scipy.stats import ortho_group
from sklearn.linear_model import LinearRegression, Ridge

from convergent.errors import StudyError
from convergent.similarity import (
    INVARIANCES,
    MEASURES,
    Representation,
    Undefined,
    canonical,
    cka,
    dimension_universality,
    matchings,
    moments,
    of_statistics,
    regression,
    shapes,
    split_samples,
)
from convergent.similarity.canonical import cca_mean, cca_mean_squared, pwcca, svcca
from convergent.similarity.cka import cka_linear, cka_linear_debiased, cka_linear_minibatch
from convergent.similarity.factors import MomentsOnly
from convergent.similarity.matchings import (
    optimal_transport,
    permutation_correlation,
    semi_matching,
    soft_matching,
    subspace_match,
)
from convergent.similarity.regression import affine_r2, ridge_r2, universal_dimensions_r
from convergent.similarity.shapes import gulp, procrustes, procrustes_angle, shape
from convergent.statistics import tile_statistics

MODULES = [module.__name__ for module in (cka, canonical, shapes, matchings, regression)]
OURS = {name: own for name, own in MEASURES.items() if own.function.__module__ in MODULES}
OF_MOMENTS = [name for name, own in OURS.items() if own.needs == "moments"]
OPTIONS = {"svcca": {"variance": 0.9}, "cka_linear_minibatch": {"batch": 25}}
# Ridge regression shrinks a little even where there is no noise.
SELF_TOLERANCE = {"ridge_r2": 1e-5, "universal_dimensions_r": 1e-5, "procrustes_angle": 1e-7}


def score(name, x, y):
    return OURS[name](x, y, **OPTIONS.get(name, {}))


def related(generator, samples=120, units_x=6, units_y=5, noise=1.0):
    """Units of different scales and means that share half their variance, the first dimensions more than the last."""
    shared = generator.normal(size=(samples, 4)) * [3, 2, 1, 0.5]
    sides = []
    for units in (units_x, units_y):
        values = shared @ generator.normal(size=(4, units)) + noise * generator.normal(size=(samples, units))
        sides.append(values * np.linspace(0.5, 2, units) + generator.normal(size=units))
    return sides


def centred(values):
    return values - values.mean(axis=0)


def transformed(generator, values, invariance):
    units = values.shape[1]
    if invariance == "permutation":
        return values[:, np.roll(np.arange(units), 1)]
    if invariance == "orthogonal":
        return values @ ortho_group.rvs(units, random_state=generator)
    if invariance == "isotropic_scaling":
        return 7.3 * values
    if invariance == "unit_scaling":
        return values * np.geomspace(0.1, 10, units)
    if invariance == "translation":
        return values + 5 * generator.normal(size=units)
    return values @ (generator.normal(size=(units, units)) + np.eye(units))


def test_all_are_here():
    assert set(OURS) == {
        "cka_linear", "cka_linear_debiased", "cka_linear_minibatch", "cca_mean", "cca_mean_squared", "svcca", "pwcca",
        "procrustes", "procrustes_angle", "shape", "gulp", "permutation_correlation", "soft_matching", "semi_matching",
        "subspace_match", "ridge_r2", "affine_r2", "universal_dimensions_r",
    }  # fmt: skip


# Declared properties --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("invariance", INVARIANCES)
@pytest.mark.parametrize("name", OURS)
def test_invariant_exactly_as_declared(generator, name, invariance):
    x, y = related(generator)
    before = score(name, x, y)
    changes = [
        score(name, transformed(generator, x, invariance), y) - before,
        score(name, x, transformed(generator, y, invariance)) - before,
    ]
    if invariance in OURS[name].invariances:
        assert np.abs(changes).max() < 1e-8
    else:
        assert np.abs(changes).max() > 1e-4


@pytest.mark.parametrize("name", OURS)
def test_symmetric_exactly_as_declared(generator, name):
    x, y = related(generator)
    difference = abs(score(name, x, y) - score(name, y, x))
    assert difference < 1e-10 if OURS[name].symmetric else difference > 1e-3


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("same", [True, False], ids=["one object", "equal values"])
def test_nothing_is_more_similar_than_the_same(generator, name, same):
    x, _ = related(generator)
    value = OURS[name](x, x if same else x.copy())
    assert value == pytest.approx(OURS[name].highest, abs=SELF_TOLERANCE.get(name, 1e-9))


@pytest.mark.parametrize("name", OURS)
def test_within_the_declared_range_and_between_its_ends(generator, name):
    own = OURS[name]
    for noise in (0.0, 0.3, 3.0, 100.0):
        for units_x, units_y in ((6, 5), (2, 9), (1, 1)):
            value = score(name, *related(generator, 60, units_x, units_y, noise))
            assert own.lowest - 1e-9 <= value <= own.highest + 1e-9
    assert own.lowest < score(name, *related(generator)) < own.highest


@pytest.mark.parametrize("name", sorted(set(OURS) - {"subspace_match"}))
def test_more_noise_is_less_similar(generator, name):
    x, _ = related(generator, 400)
    disturbance = generator.normal(size=x.shape)
    values = [OURS[name](x, x + noise * disturbance) for noise in (0.1, 1.0, 5.0)]
    assert values == sorted(values, reverse=True)


# Planted truths -------------------------------------------------------------------------------------------------------


@pytest.fixture
def planted(generator):
    """Units with exactly these correlations across the two networks and none within."""
    basis, _ = np.linalg.qr(centred(generator.normal(size=(200, 8))))
    correlations = np.array([0.9, 0.6, 0.3, 0.0])
    return basis[:, :4], basis[:, :4] * correlations + basis[:, 4:] * np.sqrt(1 - correlations**2), correlations


def test_known_canonical_correlations(planted, generator):
    x, y, r = planted
    x, y = x @ generator.normal(size=(4, 4)) + 3, y @ generator.normal(size=(4, 4)) - 1
    assert cca_mean(x, y) == pytest.approx(r.mean(), abs=1e-7)
    assert cca_mean_squared(x, y) == pytest.approx((r**2).mean())
    assert svcca(x, y, variance=1.0) == pytest.approx(r.mean())
    assert shape(x, y, alpha=0.0) == pytest.approx(r.mean())
    assert gulp(x, y, penalty=1e-12) == pytest.approx((r**2).mean(), abs=1e-6)


def test_known_alignment_of_white_units(planted):
    x, y, r = planted
    assert cka_linear(x, y) == pytest.approx((r**2).mean())
    for function in (procrustes, shape, permutation_correlation, soft_matching, semi_matching, cca_mean, pwcca):
        assert function(x, y) == pytest.approx(r.mean(), abs=1e-7), function.__name__
    assert procrustes_angle(x, y) == pytest.approx(1 - np.degrees(np.arccos(r.mean())) / 90)
    assert subspace_match(x, y, epsilon=np.sqrt(1 - 0.59**2)) == 0.5
    assert subspace_match(x, y, epsilon=np.sqrt(1 - 0.61**2)) == 0.25


def test_a_rotated_copy_is_the_same_to_rotation_invariant_measures(generator):
    x, _ = related(generator)
    y = 3 * x @ ortho_group.rvs(6, random_state=generator) + 1
    for name, own in OURS.items():
        if "orthogonal" in own.invariances:
            assert own(x, y) == pytest.approx(1, abs=SELF_TOLERANCE.get(name, 1e-7)), name
    assert permutation_correlation(x, y) < 0.9


def test_a_permuted_copy_is_the_same_to_all(generator):
    x, _ = related(generator)
    for name, own in OURS.items():
        value = own(x, 3 * x[:, generator.permutation(6)] + 1)
        assert value == pytest.approx(1, abs=SELF_TOLERANCE.get(name, 1e-7)), name


def test_an_affine_copy_is_the_same_to_linear_measures(generator):
    x, _ = related(generator)
    y = x @ generator.normal(size=(6, 6)) + 1
    for function in (cca_mean, cca_mean_squared, pwcca, affine_r2, subspace_match):
        assert function(x, y) == pytest.approx(1, abs=1e-7), function.__name__
    assert procrustes(x, y) < 0.99


def test_independent_activations_are_told_apart_only_without_bias(generator):
    x, y = generator.normal(size=(2, 200, 2000))
    assert cka_linear(x, y) > 0.9
    assert abs(cka_linear_debiased(x, y)) < 0.1
    assert abs(cka_linear_minibatch(x, y, batch=50)) < 0.1


def test_regressions_on_unrelated_activations_explain_nothing(generator):
    x, y = generator.normal(size=(2, 200, 10))
    assert -0.02 < ridge_r2(x, y) < 0.02
    assert affine_r2(x, y) < 0
    assert abs(universal_dimensions_r(x, y)) < 0.15


def test_dimensions_that_are_shared_are_universal(generator):
    shared = generator.normal(size=(500, 3)) * [9, 6, 4]
    x = shared @ generator.normal(size=(3, 12)) + 0.1 * generator.normal(size=(500, 12))
    y = np.hstack([shared, generator.normal(size=(500, 3))]) @ ortho_group.rvs(6, random_state=generator)
    values = dimension_universality(x, y)
    assert values.shape == (6,)
    assert values[:3].min() > 0.99
    assert np.abs(values[3:]).max() < 0.2
    assert universal_dimensions_r(x, y) == pytest.approx(values.mean())


# Independent implementations ------------------------------------------------------------------------------------------


@pytest.fixture
def published():
    """The activations of Kornblith et al.'s demonstration, whose printed values are the references below."""
    random = np.random.RandomState(1337)
    x = random.randn(100, 10)
    return x, random.randn(100, 10) + x


def test_published_values(published):
    x, y = published
    assert cka_linear(x, y) == pytest.approx(0.55761, abs=5e-6)
    assert cka_linear_debiased(x, y) == pytest.approx(0.51346, abs=5e-6)
    # Theirs is of activations that are not centred.
    a, b = MomentsOnly(100, x.T @ x / 100, "x"), MomentsOnly(100, y.T @ y / 100, "y")
    a.relate(b, x.T @ y / 100)
    assert cca_mean_squared(a, b) == pytest.approx(0.54312, abs=5e-6)


def canonical_correlations(x, y):
    return np.cos(subspace_angles(centred(x), centred(y)))


def kernel(values):
    return centred(values) @ centred(values).T


def unbiased(k, l):  # noqa: E741
    """Song et al. 2012, equation 4, term by term."""
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    n, one = len(k), np.ones(len(k))
    terms = np.trace(k @ l) + one @ k @ one * (one @ l @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ l @ one)
    return terms / (n * (n - 3))


@pytest.mark.parametrize("samples", [50, 8])
def test_cka_is_that_of_sample_kernels(generator, samples):
    x, y = related(generator, samples, 9, 12)
    k, l = kernel(x), kernel(y)  # noqa: E741
    assert cka_linear(x, y) == pytest.approx(np.vdot(k, l) / np.linalg.norm(k) / np.linalg.norm(l))
    expected = unbiased(x @ x.T, y @ y.T) / np.sqrt(unbiased(x @ x.T, x @ x.T) * unbiased(y @ y.T, y @ y.T))
    assert cka_linear_debiased(x, y) == pytest.approx(expected)
    assert cka_linear_minibatch(x, y, batch=10**6) == pytest.approx(expected)


def test_minibatch_cka_is_that_of_averages_over_batches(generator):
    x, y = related(generator, 34)
    sums = np.zeros(3)
    for rows in (slice(0, 11), slice(11, 22), slice(22, 34)):
        k, l = x[rows] @ x[rows].T, y[rows] @ y[rows].T  # noqa: E741
        sums += unbiased(k, l), unbiased(k, k), unbiased(l, l)
    assert cka_linear_minibatch(x, y, batch=11) == pytest.approx(sums[0] / np.sqrt(sums[1] * sums[2]))


def test_cca_is_that_of_angles_between_subspaces(generator):
    x, y = related(generator)
    r = canonical_correlations(x, y)
    assert cca_mean(x, y) == pytest.approx(r.mean(), abs=1e-7)
    assert cca_mean_squared(x, y) == pytest.approx((r**2).mean())


@pytest.mark.parametrize("variance", [0.5, 0.9, 0.99, 1.0])
def test_svcca_is_cca_of_principal_components(generator, variance):
    parts = []
    for values in (sides := related(generator)):
        u, s, _ = np.linalg.svd(centred(values), full_matrices=False)
        kept = next(count for count in range(1, len(s) + 1) if (s[:count] ** 2).sum() >= (variance - 1e-12) * s @ s)
        parts.append(u[:, :kept])
    assert svcca(*sides, variance=variance) == pytest.approx(canonical_correlations(*parts).mean())


def test_pwcca_is_the_definition(generator):
    for units_x, units_y in ((6, 5), (4, 7)):
        x, y = (centred(values) for values in related(generator, 120, units_x, units_y))
        (qx, _), (qy, _) = np.linalg.qr(x), np.linalg.qr(y)
        u, r, _ = np.linalg.svd(qx.T @ qy, full_matrices=False)
        weights = np.array([sum(abs(variate @ unit) for unit in x.T) for variate in (qx @ u).T])
        assert pwcca(x, y) == pytest.approx((weights * r).sum() / weights.sum())


def test_procrustes_is_scipys(generator):
    x, y = (centred(values) / np.linalg.norm(centred(values)) for values in related(generator, units_y=6))
    rotation, scale = orthogonal_procrustes(x, y)
    assert procrustes(x, y) == pytest.approx(scale)
    assert np.sum((x @ rotation - y) ** 2) == pytest.approx(2 - 2 * procrustes(x, y))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_shape_is_the_definition(generator, alpha):
    sides = related(generator)
    whitened = []
    for values in sides:
        values = centred(values)
        values *= np.sqrt(len(values) * values.shape[1]) / np.linalg.norm(values)
        u, _, vt = np.linalg.svd(values, full_matrices=False)
        partly = alpha * values + (1 - alpha) * np.sqrt(len(values)) * u @ vt
        whitened.append(partly / np.linalg.norm(partly))
    assert shape(*sides, alpha=alpha) == pytest.approx(np.linalg.norm(whitened[0].T @ whitened[1], "nuc"))


def test_shape_without_whitening_is_procrustes(generator):
    x, y = related(generator)
    assert shape(x, y, alpha=1.0) == pytest.approx(procrustes(x, y))


def test_gulp_is_the_definition(generator):
    sides = [centred(values) / np.linalg.norm(centred(values)) for values in related(generator)]
    (a, sx), (b, sy) = ((np.linalg.inv(s + 0.01 * np.eye(len(s))), s) for s in (v.T @ v for v in sides))
    cross = sides[0].T @ sides[1]
    own_x, own_y, shared = (
        np.trace(a @ sx @ a @ sx), np.trace(b @ sy @ b @ sy), np.trace(a @ cross @ b @ cross.T)
    )  # fmt: skip
    distance = own_x + own_y - 2 * shared
    assert gulp(*sides, penalty=0.01) == pytest.approx(1 - distance / (own_x + own_y))


def test_matchings_are_scipys(generator):
    x, y = related(generator, units_x=7, units_y=7)
    between = np.corrcoef(x, y, rowvar=False)[:7, 7:]
    matched = between[linear_sum_assignment(between, maximize=True)].mean()
    assert permutation_correlation(x, y) == pytest.approx(matched)
    assert soft_matching(x, y) == pytest.approx(matched)
    assert semi_matching(x, y) == pytest.approx(between.max(axis=1).mean())
    assert semi_matching(y, x) == pytest.approx(between.max(axis=0).mean())
    narrow = between[:, :4]
    matched = narrow[linear_sum_assignment(narrow, maximize=True)].mean()
    assert permutation_correlation(x, y[:, :4]) == permutation_correlation(y[:, :4], x) == pytest.approx(matched)


@pytest.mark.parametrize("most_copies", [0, 1000], ids=["linear_programme", "assignment"])
@pytest.mark.parametrize("shape", [(1, 4), (4, 6), (7, 3), (9, 40), (60, 45)])
def test_transport_is_the_assignment_of_replicas(generator, monkeypatch, shape, most_copies):
    monkeypatch.setattr(matchings, "MOST_COPIES", most_copies)
    similarity = generator.uniform(-1, 1, shape)
    common = np.lcm(*shape)
    replicas = similarity.repeat(common // shape[0], axis=0).repeat(common // shape[1], axis=1)
    expected = replicas[linear_sum_assignment(replicas, maximize=True)].mean()
    assert optimal_transport(similarity) == pytest.approx(expected, abs=1e-9)


def test_transport_is_the_linear_programme(generator):
    """Of similarities that make all units want the same few partners."""
    rows, columns = 23, 31
    similarity = generator.uniform(0, 0.1, (rows, columns)) + np.arange(columns) / columns
    constraints = np.zeros((rows + columns, rows, columns))
    constraints[np.arange(rows), np.arange(rows)] = 1
    constraints[rows + np.arange(columns), :, np.arange(columns)] = 1
    margins = np.repeat([1 / rows, 1 / columns], [rows, columns])
    whole = linprog(-similarity.ravel(), A_eq=constraints.reshape(rows + columns, -1), b_eq=margins)
    assert optimal_transport(similarity) == pytest.approx(-whole.fun, abs=1e-8)


def test_subspace_match_is_the_largest_of_all_matches(generator):
    x, y = related(generator, 60, 4, 4, noise=1.5)
    x, y = centred(x), centred(y)

    def explained(values, others):
        fit = others @ np.linalg.lstsq(others, values, rcond=None)[0] if others.shape[1] else 0 * values
        return (np.sum((values - fit) ** 2, axis=0) <= epsilon**2 * np.sum(values**2, axis=0)).all()

    subsets = [[unit for unit in range(4) if code >> unit & 1] for code in range(16)]
    for epsilon in (0.4, 0.6, 0.7, 0.8):
        sizes = [
            len(a) + len(b)
            for a in subsets
            for b in subsets
            if explained(x[:, a], y[:, b]) and explained(y[:, b], x[:, a])
        ]
        assert subspace_match(x, y, epsilon=epsilon) == max(sizes) / 8


def refitted(model, x, y, labels):
    """Predictions of each sample, and the mean, from the samples of all other folds."""
    predicted, level = np.empty_like(y), np.empty_like(y)
    for fold in np.unique(labels):
        fit, test = labels != fold, labels == fold
        predicted[test] = model(np.sum(fit)).fit(x[fit], y[fit]).predict(x[test])
        level[test] = y[fit].mean(axis=0)
    return predicted, level


@pytest.mark.parametrize("folds", [2, 5, 120, "labels"])
def test_affine_r2_is_that_of_maps_refitted_from_samples(generator, folds):
    x, y = related(generator)
    if folds == "labels":
        folds = np.repeat([4, -1, 7], [20, 70, 30])
    labels = split_samples(120, folds).labels
    predicted, level = refitted(lambda _: LinearRegression(), x, y, labels)
    expected = 1 - np.sum((y - predicted) ** 2) / np.sum((y - level) ** 2)
    assert affine_r2(x, y, folds=folds) == pytest.approx(expected)


def least_gcv(x, y):
    """The penalty with the least generalised cross-validation error, from hat matrices."""
    x, y, best = centred(x), centred(y), []
    for factor in regression.PENALTIES:
        penalty = factor * x.var(axis=0).sum() / np.linalg.matrix_rank(x)
        hat = x @ np.linalg.solve(x.T @ x + len(x) * penalty * np.eye(x.shape[1]), x.T) + 1 / len(x)
        best.append((np.sum((y - hat @ y) ** 2) / (1 - np.trace(hat) / len(x)) ** 2, penalty))
    return min(best)[1]


@pytest.mark.parametrize("samples", [120, 30])
def test_ridge_r2_is_that_of_maps_refitted_from_samples(generator, samples):
    x, y = related(generator, samples, 40, 5, noise=2.0)
    penalty = least_gcv(x, y)
    labels = split_samples(samples, 5).labels
    predicted, level = refitted(lambda fitted: Ridge(alpha=fitted * penalty), x, y, labels)
    expected = 1 - np.sum((y - predicted) ** 2) / np.sum((y - level) ** 2)
    assert ridge_r2(x, y) == pytest.approx(expected)


def test_universality_is_that_of_maps_refitted_from_samples(generator):
    x, y = related(generator)
    labels = split_samples(120, 5).labels
    components = centred(y) @ np.linalg.svd(centred(y), full_matrices=False)[2].T
    expected = []
    for target in components.T:
        penalty = least_gcv(x, target[:, None])
        predicted, _ = refitted(lambda fitted, p=penalty: Ridge(alpha=fitted * p), x, target, labels)
        expected.append(np.mean([np.corrcoef(*(v[labels == f] for v in (predicted, target)))[0, 1] for f in range(5)]))
    np.testing.assert_allclose(dimension_universality(x, y), expected, atol=1e-9)


# Moments alone --------------------------------------------------------------------------------------------------------


def test_statistics_of_a_tile_suffice_where_declared(generator):
    x, y = related(generator)
    x[:, 2] = 4
    known = of_statistics(tile_statistics({"a": x, "b": y}))
    for name, own in OURS.items():
        if own.needs == "moments":
            assert own(known["a"], known["b"]) == pytest.approx(own(x, y), abs=1e-8), name
            assert own(known["b"], known["a"]) == pytest.approx(own(y, x), abs=1e-8), name
        else:
            with pytest.raises(StudyError, match="only moments"):
                own(known["a"], known["b"])


def test_pairs_that_are_not_among_the_statistics_are_refused(generator):
    x, y = related(generator)
    first, second = (of_statistics(tile_statistics({name: v})) for name, v in (("a", x), ("b", y)))
    with pytest.raises(StudyError, match="only moments of a"):
        cka_linear(first["a"], second["b"])


def test_everything_is_read_once(generator, monkeypatch):
    counts = []
    read = Representation.read
    monkeypatch.setattr(Representation, "read", lambda self, *rows: counts.append(self.name) or read(self, *rows))
    x, y = (Representation(values, name) for values, name in zip(related(generator), "xy", strict=True))
    for name in OF_MOMENTS + OF_MOMENTS:
        OURS[name](x, y)
    assert sorted(counts) == ["x", "x", "y", "y"]  # the first samples, and the only block


class Counted(np.memmap):
    """Activations in a file, and how many of their samples have been read."""

    read = 0

    def __getitem__(self, rows):
        values = super().__getitem__(rows)
        Counted.read += len(values)
        return values


def in_files(folder, networks):
    for number, values in enumerate(networks):
        np.save(folder / f"{number}.npy", values)
    paths = [folder / f"{number}.npy" for number in range(len(networks))]
    return [Representation(np.load(path, mmap_mode="r").view(Counted), path.stem) for path in paths]


@pytest.mark.parametrize("samples", [60, 1000], ids=["activations are kept", "products are kept"])
def test_related_networks_are_read_once(generator, tmp_path, samples):
    shared = generator.normal(size=(samples, 4))
    networks = [shared + generator.normal(size=(samples, 4)) for _ in range(4)]
    representations = in_files(tmp_path, networks)
    Counted.read = 0
    moments.relate(representations)
    kept = isinstance(representations[0].activations, np.memmap)
    assert kept == (samples == 1000)
    for first, second in [(0, 1), (2, 0), (0, 3), (1, 2), (1, 0), (3, 1), (2, 3)]:
        for name in ("cka_linear", "cca_mean", "soft_matching", "ridge_r2", "universal_dimensions_r"):
            expected = OURS[name](networks[first], networks[second])
            value = OURS[name](representations[first], representations[second])
            assert value == pytest.approx(expected, abs=1e-9), name
    assert Counted.read == 4 * (samples + (256 if kept else 0))  # and the samples that tell the level


def test_without_relating_a_network_is_read_for_each_partner(generator, tmp_path):
    x, *others = in_files(tmp_path, generator.normal(size=(4, 300, 4)))
    Counted.read = 0
    for other in others:
        for name in OF_MOMENTS:
            OURS[name](x, other), OURS[name](other, x)
    assert Counted.read == 3 * 300 + 3 * 300 + (3 + 3) * 256


def test_what_is_kept_of_a_pair_goes_with_the_partner(generator):
    x, y, z = (Representation(values) for values in generator.normal(size=(3, 500, 4)))
    moments.relate([x, y, z])
    assert x.knows("covariance", y) and x.knows("covariance", z)
    del y
    assert len(x._kept) == 1


def test_networks_of_different_samples_are_not_related(generator):
    x, y = (Representation(generator.normal(size=(count, 4))) for count in (50, 51))
    with pytest.raises(StudyError, match="samples differ"):
        moments.relate([x, y])


def test_permuted_samples_reuse_what_they_can(generator):
    x, y = related(generator)
    order = generator.permutation(120)
    for name, own in OURS.items():
        first, second = Representation(x), Representation(y)
        own(first, second)
        assert own(first, second.permuted(order)) == pytest.approx(own(x, y[order]), abs=1e-9), name


# Precision and kinds of arrays ----------------------------------------------------------------------------------------


def test_single_precision_activations_lose_nothing(generator):
    latent = generator.normal(size=(10_000, 20))
    sides = [np.maximum(latent @ generator.normal(size=(20, 30)), 0) + 20 for _ in range(2)]
    single = [values.astype(np.float32) for values in sides]
    for name, own in OURS.items():
        assert own(*single) == pytest.approx(own(*sides), abs=1e-6), name
        expected = own(*(values.astype(np.float64) for values in single))
        assert own(*single) == pytest.approx(expected, abs=1e-6), name
        assert own(*map(Representation, single)) == pytest.approx(expected, abs=1e-10), name


def test_an_unusual_first_sample_costs_no_precision(generator):
    x, y = (values.astype(np.float32) for values in related(generator, 10_000))
    x[0], y[0] = 300, -200
    for name in OURS:
        assert score(name, x, y) == pytest.approx(score(name, x.astype(float), y.astype(float)), abs=1e-6), name


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_very_small_and_large_values_lose_nothing(generator, scale):
    x, y = related(generator)
    columns = np.array([1, 1, scale, 1, 1, 1])
    for name in OURS:
        before = score(name, x, y)
        assert score(name, (scale * x).astype(np.float32), y.astype(np.float32)) == pytest.approx(before, abs=1e-5), (
            name
        )
        if "unit_scaling" in OURS[name].invariances and "invertible_linear" not in OURS[name].invariances:
            value = score(name, (x * columns).astype(np.float32), y.astype(np.float32))
            assert value == pytest.approx(before, abs=1e-5), name


def test_arrays_of_any_kind_give_the_same(generator, tmp_path):
    x, y = (values.astype(np.float16) for values in related(generator))
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for name, own in OURS.items():
        expected = own(x.astype(np.float64), y.astype(np.float64))
        assert own(torch.from_numpy(x), torch.from_numpy(y).double()) == pytest.approx(expected, abs=1e-6), name
        assert own(mapped, y) == pytest.approx(expected, abs=1e-6), name


def test_blocks_and_kept_folds_change_nothing(generator, monkeypatch):
    x, y = related(generator)
    before = {name: own(x, y) for name, own in OURS.items()}
    monkeypatch.setattr(moments, "FOLD_BYTES", 0)
    for module in (moments, cka):
        monkeypatch.setattr(module, "ROWS_PER_BLOCK", 17)
    for name, own in OURS.items():
        assert own(x, y) == pytest.approx(before[name], abs=1e-10), name


# Edges ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_constant_networks_have_no_similarity(generator, name):
    x, constant = generator.normal(size=(50, 3)), np.full((50, 4), 0.1)
    for pair in ((x, constant), (constant, x), (constant, constant)):
        with pytest.raises(Undefined, match=r"varies|HSIC of|explain"):
            OURS[name](*pair)


@pytest.mark.parametrize("name", OURS)
def test_dead_units_change_nothing(generator, name):
    x, y = related(generator)
    value = score(name, x, y)
    wider = np.hstack([x[:, :2], np.full((120, 1), -0.7), x[:, 2:]])
    assert score(name, wider, y) == pytest.approx(value, abs=1e-9)
    assert score(name, x, np.hstack([y, np.zeros((120, 2))])) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("name", sorted(set(OURS) - {"pwcca", "ridge_r2", "universal_dimensions_r"}))
def test_duplicated_units_are_no_obstacle(generator, name):
    x, y = related(generator)
    value = score(name, np.hstack([x, x[:, :2]]), y)
    assert np.isfinite(value)
    if "invertible_linear" in OURS[name].invariances or name == "affine_r2":
        assert value == pytest.approx(score(name, x, y))


@pytest.mark.parametrize("name", ["cca_mean", "cca_mean_squared", "pwcca", "subspace_match"])
@pytest.mark.parametrize("units", [(19, 3), (3, 19), (40, 40)])
def test_fits_that_are_perfect_by_construction_are_no_similarity(generator, name, units):
    x, y = (generator.normal(size=(20, count)) for count in units)
    with pytest.raises(Undefined, match="fit anything"):
        OURS[name](x, y)


def test_fewer_samples_than_units_are_refused_only_where_they_must_be(generator):
    x, y = generator.normal(size=(2, 20, 40))
    refused = {"cca_mean", "cca_mean_squared", "pwcca", "subspace_match", "affine_r2"}
    for name, own in OURS.items():
        if name in refused:
            with pytest.raises(Undefined):
                own(x, y)
        else:
            assert own.lowest - 1e-9 <= own(x, y) <= own.highest + 1e-9, name
    with pytest.raises(Undefined, match="fit anything"):
        shape(x, y, alpha=0.0)


def test_three_samples_are_too_few_for_unbiased_estimates(generator):
    x, y = generator.normal(size=(2, 3, 2))
    for function in (cka_linear_debiased, cka_linear_minibatch):
        with pytest.raises(Undefined, match="at least 4 samples"):
            function(x, y)


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (svcca, {"variance": 0.0}),
        (svcca, {"variance": 1.1}),
        (shape, {"alpha": -0.1}),
        (gulp, {"penalty": 0.0}),
        (subspace_match, {"epsilon": 1.0}),
        (cka_linear_minibatch, {"batch": 3}),
        (ridge_r2, {"folds": 1}),
        (ridge_r2, {"folds": 121}),
        (affine_r2, {"folds": np.zeros(120)}),
        (affine_r2, {"folds": np.arange(119)}),
    ],
)
def test_options_out_of_range_are_told(generator, function, options):
    with pytest.raises(StudyError):
        function(*related(generator), **options)


def test_a_value_that_is_no_number_is_named(generator):
    x, y = related(generator)
    y[3, 2] = np.nan
    for name, own in OURS.items():
        with pytest.raises(StudyError, match="unit 2 of y"):
            own(x, y)
        assert name
