"""The registry of similarity measures, and what a representation remembers."""

import gc

import numpy as np
import pytest
import torch

from convergent.errors import StudyError
from convergent.similarity import INVARIANCES, MEASURES, Representation, measure, measure_named, registry
from convergent.similarity.factors import FEWEST_SAMPLES, MomentsOnly

DECLARED = {
    "equation": "0",
    "source": "nowhere",
    "invariances": ("permutation",),
    "symmetric": True,
    "lowest": 0.0,
    "highest": 1.0,
    "needs": "samples",
    "cost": "none",
}


@pytest.fixture
def empty(monkeypatch):
    monkeypatch.setattr(registry, "MEASURES", {})
    return registry.MEASURES


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_is_described(name):
    found = measure_named(name)
    assert found.name == name == name.lower()
    assert found.equation and found.source and found.cost
    assert found.invariances <= set(INVARIANCES)
    assert found.lowest < found.highest
    assert found.function.__doc__
    if "invertible_linear" in found.invariances:
        assert found.invariances >= {"permutation", "orthogonal", "isotropic_scaling", "unit_scaling"}
    if "unit_scaling" in found.invariances:
        assert "isotropic_scaling" in found.invariances
    if "orthogonal" in found.invariances:
        assert "permutation" in found.invariances


def test_an_unknown_measure_is_told_with_the_nearest():
    with pytest.raises(StudyError, match=r"'cka_liner' \(did you mean 'cka_linear'\?\).*procrustes"):
        measure_named("cka_liner")


def test_a_registered_function_takes_arrays_and_representations(empty, generator):
    @measure("first", **DECLARED)
    def first(x: Representation, y: Representation, add: float = 0.0) -> float:
        """Docstring."""
        return np.float32(x.samples + y.units + add)

    x, y = generator.normal(size=(5, 2)), torch.zeros(5, 3)
    assert first(x, y) == empty["first"](Representation(x), y) == 8
    assert first(x, y, add=2.0) == 10
    assert isinstance(first(x, y), float)
    assert (first.__name__, first.__doc__) == ("first", "Docstring.")


def test_the_same_array_twice_is_one_representation(empty, generator):
    @measure("same", **DECLARED)
    def same(x: Representation, y: Representation) -> float:
        return float(x is y)

    x = generator.normal(size=(5, 2))
    assert same(x, x) == 1
    assert same(x, x.copy()) == 0


@pytest.mark.parametrize("wrong", [{"invariances": ("rotation",)}, {"needs": "luck"}])
def test_declarations_are_checked(empty, wrong):
    with pytest.raises(StudyError, match="declares"):
        measure("wrong", **(DECLARED | wrong))


def test_a_name_is_given_once(empty):
    measure("twice", **DECLARED)(lambda x, y: 0.0)
    with pytest.raises(StudyError, match="two measures with the name 'twice'"):
        measure("twice", **DECLARED)


def test_different_or_few_samples_are_refused(generator):
    call = MEASURES["cka_linear"]
    with pytest.raises(StudyError, match="samples differ"):
        call(generator.normal(size=(5, 2)), generator.normal(size=(6, 2)))
    few = generator.normal(size=(FEWEST_SAMPLES - 1, 2))
    with pytest.raises(StudyError, match="at least 3"):
        call(few, few)


@pytest.mark.parametrize("shape", [(5,), (5, 2, 2), (5, 0), (0, 5)])
def test_only_matrices_are_activations(shape):
    with pytest.raises(StudyError, match="net7"):
        Representation(np.zeros(shape), "net7")


def test_only_real_numbers_are_activations():
    with pytest.raises(StudyError, match="complex128"):
        Representation(np.zeros((5, 2), dtype=complex))


def test_blocks_are_the_activations_in_double_precision(generator):
    values = generator.normal(size=(10, 3)).astype(np.float16)
    blocks = list(Representation(values).blocks(4))
    assert [len(block) for block in blocks] == [4, 4, 2]
    assert blocks[0].dtype == np.float64
    np.testing.assert_array_equal(np.concatenate(blocks), values.astype(np.float64))
    blocks[0][:] = 0
    assert values.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_named(generator, bad):
    values = generator.normal(size=(10, 3))
    values[7, 1] = bad
    with pytest.raises(StudyError, match="unit 1 of net2"):
        list(Representation(values, "net2").blocks(4))


def test_huge_values_are_numbers():
    assert len(list(Representation(np.full((4, 2), 1e308)).blocks())) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_are_taken(dtype):
    values = torch.arange(12.0).reshape(4, 3).to(dtype).requires_grad_()
    np.testing.assert_array_equal(next(Representation(values).blocks()), np.arange(12.0).reshape(4, 3))


def test_memory_mapped_activations_stay_so(tmp_path, generator):
    np.save(tmp_path / "a.npy", generator.normal(size=(10, 3)))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert np.shares_memory(Representation(mapped).activations, mapped)


def test_factors_are_computed_once(generator):
    calls = []
    x = Representation(generator.normal(size=(5, 2)))
    assert [x.factor("a", lambda: calls.append(1) or len(calls)) for _ in range(3)] == [1, 1, 1]
    assert x.factor("b", lambda: calls.append(1) or len(calls)) == 2


def test_the_last_partner_is_remembered_and_not_kept_alive(generator):
    x, y, z = (Representation(generator.normal(size=(5, 2)), name) for name in "xyz")
    assert [x.with_partner(y, "a", lambda value=value: value) for value in (1, 2)] == [1, 1]
    assert x.with_partner(z, "a", lambda: 3) == 3
    assert x.with_partner(y, "a", lambda: 4) == 4
    del y
    gc.collect()
    assert x.with_partner(z, "a", lambda: 5) == 5


def test_permuted_copies_share_only_what_has_no_order(generator):
    x = Representation(generator.normal(size=(5, 2)))
    order = generator.permutation(5)
    other = x.permuted(order)
    np.testing.assert_array_equal(next(other.blocks()), x.activations[order])
    np.testing.assert_array_equal(next(other.permuted(order).blocks()), x.activations[order][order])
    x.factor("rows", lambda: 1)
    x.factor("units", lambda: 1, unordered=True)
    assert other.factor("rows", lambda: 2) == 2
    assert other.factor("units", lambda: 2, unordered=True) == 1


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 3], [0, 1, 2], [1, 2, 3, 4, 5]])
def test_an_order_is_a_permutation(generator, order):
    with pytest.raises(StudyError, match="not a permutation"):
        Representation(generator.normal(size=(5, 2))).permuted(order)


def test_moments_alone_cannot_be_read():
    known = MomentsOnly(10, np.eye(2), "net4")
    assert (known.samples, known.units) == (10, 2)
    for reading in (lambda: next(known.blocks()), lambda: known.permuted(np.arange(10))):
        with pytest.raises(StudyError, match="only moments of net4"):
            reading()
