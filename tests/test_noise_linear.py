"""Linear networks on noisy training sets: closed form, gradient descent, planted truths, common random numbers."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from convergent.draws import generator as named_generator
from convergent.draws import orthonormal
from convergent.errors import StudyError
from convergent.noise.alignment import LINEAR_MEASURES, OUTPUT, alignments, output_correlation
from convergent.noise.linear import draw, hidden_layers, least_squares, measure_linear, training_sets
from convergent.noise.theory import population_cka

SIZES = {"d": 20, "outputs": 3, "hidden": 6, "members": 3, "tests": 60}
ROTATION_INVARIANT = (
    "cka_linear",
    "procrustes",
    "affine_r2",
    "mutual_knn",
    "information_imbalance",
    OUTPUT,
    "cka_population",
    "functional_cosine",
)


def some_draws(n=15, repetition=0, seed=0, fresh=False):
    return draw(n, repetition, fresh=fresh, seed=seed, **SIZES)


def values_of(rows):
    return {(row["n"], row["repetition"], row["snr"], row["measure"]): row["value"] for row in rows}


def mean_of(rows, measure, snr):
    return np.mean([row["value"] for row in rows if (row["measure"], row["snr"]) == (measure, snr)])


@pytest.mark.parametrize("n", [5, 20, 50])
def test_least_squares_is_the_pseudo_inverse(generator, n):
    x, y = generator.normal(size=(2, 4, n, 20)), generator.normal(size=(2, 1, n, 3))
    expected = (np.linalg.pinv(x) @ y).swapaxes(-1, -2)
    assert least_squares(x, y) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    ridge = least_squares(x, y, np.array([[0.5], [2.0]]))
    direct = np.linalg.solve(x[1, 2].T @ x[1, 2] + 2 * np.eye(20), x[1, 2].T @ y[1, 0]).T
    assert ridge[1, 2] == pytest.approx(direct)


def test_hidden_layers_are_balanced(generator):
    maps = generator.normal(size=(4, 3, 20))
    rotations = np.stack([orthonormal(6, 3, generator) for _ in range(4)])
    first = hidden_layers(maps, rotations)
    own = first.swapaxes(1, 2) @ first
    assert own @ own == pytest.approx(maps.swapaxes(1, 2) @ maps)
    # The second layer that gives the map has the same squares.
    second = maps @ np.linalg.pinv(first)
    assert second.swapaxes(1, 2) @ second == pytest.approx(first @ first.swapaxes(1, 2))
    assert second @ first == pytest.approx(maps)


def test_directions_of_noise_are_the_same_at_every_ratio():
    draws = some_draws()
    x, y = training_sets(draws, (2.0, 50.0), "both")
    for noisy, clean in ((x, draws.inputs), (y, draws.inputs @ draws.teacher.T)):
        low, high = noisy - clean
        assert low * np.sqrt(2) == pytest.approx(high * np.sqrt(50))
        assert low.std() == pytest.approx(1 / np.sqrt(2), rel=0.1)
        assert np.abs(np.corrcoef(low.reshape(3, -1))[np.triu_indices(3, 1)]).max() < 0.4
    assert training_sets(draws, (2.0,), "label")[0].shape[:2] == (1, 1)
    assert (training_sets(draws, (2.0,), "input")[1][0] == draws.inputs @ draws.teacher.T).all()
    assert training_sets(draws, (np.inf,), "both")[0] == pytest.approx(np.stack([draws.inputs] * 3, axis=1))
    with pytest.raises(StudyError, match="mode must be one of"):
        training_sets(draws, (2.0,), "inputs")


def test_draws_never_depend_on_the_ratio_and_differ_otherwise():
    few = values_of(measure_linear(15, snrs=(10.0,), repetitions=2, **SIZES))
    many = values_of(measure_linear(15, snrs=(1.0, 10.0, 30.0), repetitions=2, **SIZES))
    assert few == pytest.approx({key: many[key] for key in few})
    assert values_of(measure_linear(15, snrs=(10.0,), repetitions=2, seed=1, **SIZES)) != few
    one, same, other = some_draws(), some_draws(), some_draws(repetition=1)
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert not any((a == b).all() for a, b in zip(one, other, strict=True))
    assert all(not (some_draws(seed=1).inputs == part.inputs).all() for part in (one, other))
    assert some_draws(fresh=True).inputs.shape == (3, 15, 20) and one.inputs.shape == (1, 15, 20)


def test_without_noise_networks_are_alike():
    rows = measure_linear(15, snrs=(np.inf, 1.0), repetitions=1, **SIZES)
    assert {row["measure"] for row in rows} == {
        *LINEAR_MEASURES, OUTPUT, "cka_population", "functional_cosine", "train_error", "test_error",
    }  # fmt: skip
    assert {tuple(row) for row in rows} == {("n", "repetition", "snr", "measure", "value", "reason")}
    found = {(row["snr"], row["measure"]): row["value"] for row in rows}
    for name in ROTATION_INVARIANT:
        assert found[np.inf, name] == pytest.approx(1, abs=1e-6), name
        assert found[1.0, name] < 0.8, name
    # Units are turned by the initial weights, whatever the training set.
    assert found[np.inf, "permutation_correlation"] < 0.95
    assert found[np.inf, "train_error"] == pytest.approx(0, abs=1e-12)


def test_independent_networks_are_as_alike_as_chance(generator):
    hidden = [generator.normal(size=(400, 3)) @ generator.normal(size=(3, 6)) for _ in range(4)]
    outputs = [generator.normal(size=(400, 2)) for _ in range(4)]
    found = alignments(hidden, outputs, LINEAR_MEASURES)
    assert found["cka_linear"].value < 0.05 and found["mutual_knn"].value == pytest.approx(10 / 399, abs=0.01)
    assert found["information_imbalance"].value == pytest.approx(0, abs=0.07)
    assert found[OUTPUT].value == pytest.approx(0, abs=0.1)
    assert all(value.reason == "" for value in found.values())


def test_directed_measures_are_taken_both_ways_and_undefined_ones_say_why(generator):
    from convergent.similarity import MEASURES

    x, y = generator.normal(size=(30, 3)), generator.normal(size=(30, 5))
    both = [MEASURES["semi_matching"](x, y), MEASURES["semi_matching"](y, x)]
    found = alignments([x, y, np.ones((30, 4))], [x, x, x], ["semi_matching"])["semi_matching"]
    assert found.value == pytest.approx(np.mean(both))
    assert found.reason.startswith("2 of 3 pairs have no value: no unit of member 2 varies")
    silent = alignments([np.ones((30, 3))] * 2, [np.ones((30, 1))] * 2, ["cka_linear"])
    assert np.isnan(silent["cka_linear"].value) and silent["cka_linear"].reason
    assert np.isnan(silent[OUTPUT].value) and "no output varies" in silent[OUTPUT].reason
    mixed = np.column_stack([x[:, 0], np.ones(30)])
    assert output_correlation(mixed, -mixed).value == pytest.approx(-1)


def test_errors_and_weights_are_those_of_the_networks():
    rows = measure_linear(12, snrs=(4.0,), repetitions=1, mode="both", **SIZES)
    found = {row["measure"]: row["value"] for row in rows}
    draws = some_draws(12)
    x, y = (part[0] for part in training_sets(draws, (4.0,), "both"))
    maps = [(np.linalg.pinv(a) @ b).T for a, b in zip(x, y, strict=True)]
    assert found["test_error"] == pytest.approx(np.mean([np.sum((w - draws.teacher) ** 2) / 3 for w in maps]))
    pairs = [(0, 1), (0, 2), (1, 2)]
    cosines = [np.vdot(maps[a], maps[b]) / np.linalg.norm(maps[a]) / np.linalg.norm(maps[b]) for a, b in pairs]
    assert found["functional_cosine"] == pytest.approx(np.mean(cosines))
    hidden = hidden_layers(np.stack(maps), draws.rotations)
    assert found["cka_population"] == pytest.approx(np.mean([population_cka(hidden[a], hidden[b]) for a, b in pairs]))
    assert found["train_error"] == pytest.approx(0, abs=1e-12)


def test_the_dip_is_at_the_threshold_and_goes_with_interpolation():
    sizes, snrs = (4, 12, 20, 30, 60), (3.0, 10.0, 30.0)
    options = {"snrs": snrs, "repetitions": 3, "measures": ()} | SIZES
    curves = {}
    for name, change in {"usual": {}, "ridge": {"ridge": True}, "fresh": {"fresh": True}}.items():
        rows = {n: measure_linear(n, **options, **change) for n in sizes}
        curves[name] = np.array([[mean_of(rows[n], "cka_population", snr) for snr in snrs] for n in sizes])
    usual, ridge, fresh = (curves[name] for name in ("usual", "ridge", "fresh"))
    assert usual.argmin(axis=0).tolist() == [2, 2, 2]
    assert all((low < high).all() for low, high in pairwise(usual.T))
    lost = 1 - (ridge[0] - ridge.min(axis=0)) / (usual[0] - usual.min(axis=0))
    assert lost[1] > 0.7
    assert (fresh[0] - fresh[2] < 0.5 * (usual[0] - usual[2])).all()


def test_gradient_descent_from_small_weights_ends_at_the_closed_form():
    from convergent.noise.descent import LAZY, measure_descent

    options = {"d": 20, "outputs": 2, "hidden": 10, "snrs": (3.0, 30.0), "repetitions": 2, "members": 3, "tests": 200}
    for n in (6, 14, 40):
        exact = values_of(measure_linear(n, measures=("cka_linear",), **options))
        small = values_of(measure_descent(n, deviation=0.005, steps=5000, measures=("cka_linear",), **options))
        assert set(exact) == set(small)
        for key, value in exact.items():
            assert small[key] == pytest.approx(value, abs=0.02), key
    lazy = values_of(measure_descent(6, steps=4000, deviation=LAZY, measures=("cka_linear",), **options))
    exact = values_of(measure_linear(6, measures=("cka_linear",), **options))
    key = (6, 0, 30.0, "cka_linear")
    assert exact[key] - lazy[key] > 0.2
    assert lazy[6, 0, 30.0, "train_error"] < 1e-4


def test_gradient_descent_is_that_of_the_equation(generator):
    from convergent.noise.descent import LATER_STEP, MOMENTUM, STEP, Layers, descend

    x, y = generator.normal(size=(2, 7, 4)), generator.normal(size=(2, 7, 3))
    start = Layers(generator.normal(size=(2, 5, 4)), generator.normal(size=(2, 3, 5)))
    found = descend(start, x, y, 30)
    for member in range(2):
        a, b = start.first[member].copy(), start.second[member].copy()
        within, between = x[member].T @ x[member] / 7, y[member].T @ x[member] / 7
        slowest = max(1, np.linalg.norm(y[member].T @ np.linalg.pinv(x[member]).T, 2))
        rate = STEP / (np.linalg.eigvalsh(within)[-1] * slowest)
        moves = [np.zeros_like(a), np.zeros_like(b)]
        for step in range(30):
            rate *= LATER_STEP / STEP if step == 10 else 1
            residual = b @ a @ within - between
            gradients = b.T @ residual, residual @ a.T
            moves = [MOMENTUM * move - rate * gradient for move, gradient in zip(moves, gradients, strict=True)]
            a, b = a + moves[0], b + moves[1]
        assert found.first[member] == pytest.approx(a) and found.second[member] == pytest.approx(b)


def test_draws_by_name():
    assert named_generator("a", 1).normal() == named_generator("a", 1).normal()
    assert len({named_generator(*names).normal() for names in (("a", 1, 2), ("a", 2, 1), ("a", 12), ("b", 1, 2))}) == 4


def test_closed_forms_do_without_torch():
    command = "import sys, convergent.noise.linear, convergent.noise.protocols; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command]).returncode == 0
