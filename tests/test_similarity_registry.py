"""The registry of similarity measures, and what a representation remembers."""

import gc
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from convergent.errors import StudyError
from convergent.similarity import INVARIANCES, MEASURES, Representation, measure, measure_named, registry
from convergent.similarity.factors import FEWEST_SAMPLES, MomentsOnly

ROOT = Path(__file__).parents[1]
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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", MEASURES)
def test_tensors_give_what_arrays_give(name, dtype, generator):
    x = torch.from_numpy(generator.normal(size=(40, 4))).to(dtype)
    y = (x + torch.from_numpy(generator.normal(size=(40, 4))).to(dtype)).requires_grad_()
    # Of the types, NumPy has no bfloat16; its values are float32 numbers.
    arrays = [(v.detach().float() if dtype == torch.bfloat16 else v.detach()).numpy() for v in (x, y)]
    assert MEASURES[name](x, y) == MEASURES[name](*arrays)


WITHOUT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"snakemake", "torch", "torchvision", "jsonschema", "matplotlib"}:
            raise ModuleNotFoundError(f"{name} is not installed")

sys.meta_path.insert(0, Refuse())
import numpy as np
from convergent.clustering import spectral_clusters
from convergent.matching import bipartite_match, semi_match
from convergent.similarity import MEASURES
from convergent.similarity.calibration import calibrate
from convergent.sparse_mapping import lasso_path
from convergent.statistics import correlation, mutual_information

x, y = np.random.default_rng(0).normal(size=(2, 40, 4))
between = correlation(x, y)
results = [one(x, y) for one in MEASURES.values()]
results += [calibrate("cka_linear", x, y, draws=5).score, mutual_information(x, y), between]
results += [bipartite_match(between), semi_match(between), lasso_path(correlation(x, x), between, [0.1])]
results += [spectral_clusters(np.abs(correlation(x, x)), 2, 0)]
assert all(np.isfinite(value).all() for value in results)
print(len(MEASURES))
"""


def test_the_library_needs_neither_snakemake_nor_torch():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], env={"PYTHONPATH": str(ROOT / "workflow")}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(MEASURES)


def test_an_installed_library_does_not_ask_for_snakemake():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.match(r"[\w.-]+", line)[0].lower() for line in project["dependencies"]}
    assert {"numpy", "scipy"} <= names
    assert not {name for name in names if "snakemake" in name}


def test_memory_mapped_activations_stay_so(tmp_path, generator):
    np.save(tmp_path / "a.npy", generator.normal(size=(10, 3)))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert np.shares_memory(Representation(mapped).activations, mapped)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_reading_a_file_gives_what_is_in_it_however_often(tmp_path, generator, mode):
    values = generator.normal(size=(5000, 3))
    np.save(tmp_path / "a.npy", values)
    mapped = np.load(tmp_path / "a.npy", mmap_mode=mode)
    if mode != "r":
        mapped[7], values[7] = 9, 9  # of a copy on write, only this process has the change
    x = Representation(mapped[:, :2])
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate(list(x.blocks())), values[:, :2])
    x.hold()
    assert type(x.activations) is np.ndarray
    np.testing.assert_array_equal(x.activations, values[:, :2])


def test_what_was_read_of_a_file_does_not_stay_in_memory(tmp_path):
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("this system does not tell how much of its files a process holds")

    def held():
        return int(re.search(r"RssFile:\s+(\d+)", status.read_text())[1]) / 1024

    np.save(tmp_path / "a.npy", np.zeros((100_000, 100)))
    x = Representation(np.load(tmp_path / "a.npy", mmap_mode="r"))
    before = held()
    for _ in x.blocks():
        assert held() - before < 20  # of 76 MiB


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


def test_the_page_of_measures_is_that_of_the_registry():
    path = ROOT / "docs" / "refresh.py"
    specification = importlib.util.spec_from_file_location("refresh", path)
    refresh = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(refresh)
    assert (path.parent / "measures.md").read_text() == refresh.measures_page()
