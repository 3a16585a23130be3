"""Activations from elsewhere come back as a recording of the same values would, whatever form they had."""

import json
import tracemalloc

import numpy as np
import pytest
import stand_in
import torch
from torch import nn

from convergent import activations, adoption, dumping
from convergent.activations import open_dump, open_layer, require_same_samples
from convergent.adoption import adopt_activations, source_layers
from convergent.dumping import dump, recorded
from convergent.errors import StudyError
from convergent.models import build, standardised

INDICES = np.array([7, 3, 11, 0, 5, 9, 2])
LAYERS = ["conv1", "conv5", "fc6"]


@pytest.fixture(scope="module")
def data():
    return stand_in.noise((1, 8, 6))


@pytest.fixture(scope="module")
def network(data):
    return build("caffenet", stand_in.CAFFENET, data.shape, 10, seed=0)


@pytest.fixture(scope="module")
def outputs(data, network):
    """What the layers give for the images, as they leave the network."""
    with torch.no_grad(), recorded(network.eval(), LAYERS) as outputs:
        network(standardised(data.images(INDICES), data))
    return {layer: output.numpy() for layer, output in outputs.items()}


def write(source, arrays):
    """As a folder, or as a .npz file if its name says so."""
    if source.suffix == ".npz":
        np.savez(source, **arrays)
    else:
        source.mkdir()
        for name, array in arrays.items():
            np.save(source / f"{name}.npy", array)
    return source


def one_sentence(error) -> str:
    message = str(error.value)
    assert "\n" not in message and message.endswith("."), message
    return message


@pytest.mark.parametrize("source", ["folder", "file.npz"])
@pytest.mark.parametrize("choice", activations.POSITIONS)
def test_the_same_values_give_the_same_recording(tmp_path, monkeypatch, data, network, outputs, choice, source):
    monkeypatch.setattr(adoption, "BLOCK", 400)  # several blocks, the last one smaller
    how = {"positions": choice, "positions_per_image": 5 if choice == "sample" else None, "position_seed": 3}
    dump(network, data, INDICES, LAYERS, tmp_path / "here", **how, key="k")
    source = write(tmp_path / source, {f"{layer}.out": outputs[layer] for layer in LAYERS})
    adopt_activations(
        source,
        tmp_path / "there",
        {layer: f"{layer}.out" for layer in LAYERS},
        **how,
        key="k",
        data=(data.name, data.key),
        indices=INDICES,
    )
    here, there = open_dump(tmp_path / "here", "k"), open_dump(tmp_path / "there", "k")
    assert here.layers == there.layers
    for layer in LAYERS:
        require_same_samples({"here": here, "there": there}, layer)
        np.testing.assert_allclose(there.activations(layer), here.activations(layer), atol=1e-5)
        np.testing.assert_array_equal(there.positions(layer), here.positions(layer))
        np.testing.assert_array_equal(there.image_of_row(layer), here.image_of_row(layer))
    np.testing.assert_array_equal(there.images(), INDICES)
    assert there.images_digest == here.images_digest
    records = [tmp_path / name / "dump.json" for name in ("here", "there")]
    found, images = open_layer(records, {"a": "k", "b": "k"}, "fc6")
    assert images == len(INDICES) and found["a"].shape == found["b"].shape
    files = [{path.name for path in record.parent.iterdir()} for record in records]
    assert files[0] == files[1]


def test_tokens(tmp_path):
    tokens = np.random.default_rng(0).normal(size=(6, 5, 3))
    source = write(tmp_path / "in", {"block": tokens})
    adopt_activations(source, tmp_path / "all", {"block": "block"})
    adopt_activations(source, tmp_path / "mean", {"block": "block"}, positions="mean")
    np.testing.assert_allclose(open_dump(tmp_path / "all").activations("block"), tokens.reshape(30, 3), rtol=1e-6)
    np.testing.assert_allclose(open_dump(tmp_path / "mean").activations("block"), tokens.mean(axis=1), rtol=1e-5)
    with pytest.raises(StudyError, match="tokens have no centre"):
        adopt_activations(source, tmp_path / "centre", {"block": "block"}, positions="centre")


def test_rows_of_several_per_image_are_positions(tmp_path):
    draws = np.random.default_rng(0)
    stacked, dense = draws.normal(size=(24, 3)), draws.normal(size=(6, 4))
    source = write(tmp_path / "in", {"stacked": stacked, "dense": dense, "tokens": stacked.reshape(6, 4, 3)})
    adopt_activations(source, tmp_path / "out", {name: name for name in ("stacked", "dense", "tokens")})
    found = open_dump(tmp_path / "out")
    assert found.record["images"] == 6
    np.testing.assert_allclose(found.activations("stacked"), stacked, rtol=1e-6)
    assert found.record["layers"]["stacked"]["map"] == [4]
    np.testing.assert_array_equal(found.positions("stacked"), [[0, 1, 2, 3]])
    np.testing.assert_array_equal(found.image_of_row("stacked"), np.repeat(np.arange(6), 4))
    assert found.sample_digest("stacked") == found.sample_digest("tokens") != found.sample_digest("dense")
    # The same rows, said to be of one image each.
    adopt_activations(source, tmp_path / "one", {"stacked": "stacked"})
    assert open_dump(tmp_path / "one").record["images"] == 24
    assert open_dump(tmp_path / "one").record["layers"]["stacked"]["map"] == []
    adopt_activations(source, tmp_path / "said", {"stacked": "stacked"}, images=6)
    assert open_dump(tmp_path / "said").sample_digest("stacked") == found.sample_digest("stacked")


@pytest.mark.parametrize("stored", ["float16", "float64", ">f4", "int8", "int64", "uint16"])
@pytest.mark.parametrize("dtype", activations.DTYPES)
def test_types(tmp_path, stored, dtype):
    values = np.random.default_rng(0).uniform(0, 100, (6, 4)).astype(stored)
    for name, array in (("rows", values), ("columns", np.asfortranarray(values))):
        adopt_activations(write(tmp_path / name, {"a": array}), tmp_path / f"{name} out", {"b": "a"}, dtype=dtype)
        found = open_dump(tmp_path / f"{name} out").activations("b")
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, values.astype("float32").astype(dtype))


def test_sources_are_comparable_if_they_are_of_as_many_images(tmp_path):
    draws = np.random.default_rng(0)
    found = {}
    for name, images in (("a", 6), ("b", 6), ("c", 5)):
        source = write(tmp_path / name, {"x": draws.normal(size=(images, 3))})
        adopt_activations(source, tmp_path / f"{name} out", {"x": "x"})
        found[name] = open_dump(tmp_path / f"{name} out")
    require_same_samples({name: found[name] for name in "ab"}, "x")
    assert found["a"].images_digest == found["b"].images_digest != found["c"].images_digest
    with pytest.raises(StudyError, match="different samples"):
        require_same_samples({name: found[name] for name in "ac"}, "x")


def test_memory_is_bounded_by_the_block(tmp_path, monkeypatch):
    monkeypatch.setattr(adoption, "BLOCK", 2**12)
    source = write(tmp_path / "in", {"a": np.zeros((4000, 50, 10), np.float32)})
    tracemalloc.start()
    adopt_activations(source, tmp_path / "out", {"a": "a"})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 0.1 * (source / "a.npy").stat().st_size


@pytest.mark.parametrize("source", ["folder", "file.npz"])
def test_layers_of_a_source_are_in_natural_order_and_only_headers_are_read(tmp_path, source):
    arrays = {"layer10": np.zeros((6, 4)), "layer2.1": np.zeros((3, 2, 2)), "layer2": np.zeros((3, 1, 2, 2)), "b": [{}]}
    source = write(tmp_path / source, {name: np.array(array) for name, array in arrays.items()})
    assert list(source_layers(source).items()) == [
        ("b", (1,)),
        ("layer2", (3, 1, 2, 2)),
        ("layer2.1", (3, 2, 2)),
        ("layer10", (6, 4)),
    ]


GOOD = np.arange(24, dtype=np.float32).reshape(6, 4)


def spoiled(value):
    array = GOOD.astype(np.float64)
    array[4, 2] = value
    return array


@pytest.mark.parametrize("source", ["folder", "file.npz"])
@pytest.mark.parametrize(
    ("array", "how", "words"),
    [
        (np.array([[{}]], dtype=object), {}, ["'x'", "Python objects"]),
        (GOOD.astype(complex), {}, ["'x'", "complex128"]),
        (GOOD > 3, {}, ["'x'", "bool"]),
        (np.array([["a"]]), {}, ["'x'", "<U1"]),
        (GOOD[:0], {}, ["'x'", "(0, 4)"]),
        (GOOD[:, :0], {}, ["'x'", "(6, 0)"]),
        (GOOD[0], {}, ["'x'", "(4,)"]),
        (GOOD[None, None, None], {}, ["'x'", "(1, 1, 1, 6, 4)"]),
        (spoiled(np.nan), {}, ["unit 2", "'name'", "finite"]),
        (spoiled(-np.inf), {}, ["unit 2", "'name'", "finite"]),
        (spoiled(1e300), {}, ["unit 2", "'name'", "float32"]),
        (spoiled(1e5), {"dtype": "float16"}, ["'name'", "float16"]),
        (GOOD, {"images": 4}, ["'name'", "6 rows", "4 images"]),
        (GOOD, {"images": 0}, ["'name'", "0 images"]),
        (GOOD, {"images": 12}, ["'name'", "6 rows", "12 images"]),
        (GOOD[:, None], {"images": 3}, ["'name'", "6 rows", "3 images"]),
        (GOOD, {"indices": np.arange(5)}, ["6 images", "5 images are compared"]),
        (GOOD, {"indices": np.arange(6), "images": 3}, ["3 images", "6 images are compared"]),
        (GOOD[:, None], {"positions": "sample", "positions_per_image": 2}, ["positions_per_image is 2"]),
        (GOOD, {"positions": "some"}, ["positions", "'some'"]),
        (GOOD, {"dtype": "float64"}, ["dtype", "'float64'"]),
    ],
)
def test_unfit_arrays_are_told_and_leave_nothing(tmp_path, source, array, how, words):
    source = write(tmp_path / source, {"good": GOOD[: len(array)], "x": array})
    layers = {"name": "x"} if "images" in how or len(array) < 6 else {"good": "good", "name": "x"}
    with pytest.raises(StudyError) as error:
        adopt_activations(source, tmp_path / "out", layers, **how)
    message = one_sentence(error)
    assert all(word in message for word in words), message
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def cut(content):
    return content[: len(content) // 2]


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"no array", cut, lambda content: content[:20]])
def test_damaged_files_are_told(tmp_path, damage):
    folder = write(tmp_path / "folder", {"good": GOOD, "bad": GOOD})
    archive = write(tmp_path / "file.npz", {"good": GOOD, "bad": GOOD})
    for source, path in ((folder, folder / "bad.npy"), (archive, archive)):
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(StudyError) as error:
            adopt_activations(source, tmp_path / "out", {"good": "good", "bad": "bad"})
        assert str(source) in one_sentence(error)
        assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_changed_byte_in_an_archive_is_told(tmp_path):
    large = np.random.default_rng(0).normal(size=(6, 4000))
    archive = write(tmp_path / "file.npz", {"good": GOOD, "bad": large})
    content = bytearray(archive.read_bytes())
    content[content.find(large[5].tobytes()) + 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(StudyError) as error:
        adopt_activations(archive, tmp_path / "out", {"good": "good", "bad": "bad"})
    assert "'bad'" in one_sentence(error)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ({"a": "goood"}, ["'goood'", "did you mean 'good'"]),
        ({"a": "../secret"}, ["no array '../secret'"]),
        ({"../a": "good"}, ["'../a'", "letters, digits"]),
        ({".a": "good"}, ["'.a'"]),
        ({"a/b": "good"}, ["'a/b'"]),
        ({"a\n": "good"}, ["letters, digits"]),
        ({"": "good"}, ["''"]),
        ({}, ["at least one layer"]),
    ],
)
def test_names_that_cannot_be_are_told(tmp_path, layers, words):
    np.save(tmp_path / "secret.npy", GOOD)
    source = write(tmp_path / "in", {"good": GOOD})
    with pytest.raises(StudyError) as error:
        adopt_activations(source, tmp_path / "out", layers)
    message = one_sentence(error)
    assert all(word in message for word in words), message
    assert not (tmp_path / "out").exists()


def test_a_member_with_any_name_is_only_read(tmp_path):
    source = write(tmp_path / "file.npz", {"../../escaped": GOOD})
    adopt_activations(source, tmp_path / "deep" / "out", {"layer": "../../escaped"})
    np.testing.assert_array_equal(open_dump(tmp_path / "deep" / "out").activations("layer"), GOOD)
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_source_that_is_absent_or_empty_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    np.savez(tmp_path / "empty.npz")
    for name, words in (("absent", "does not exist"), ("empty", "no arrays"), ("empty.npz", "no arrays")):
        with pytest.raises(StudyError, match=words) as error:
            source_layers(tmp_path / name)
        assert str(tmp_path / name) in one_sentence(error)


def test_the_record_says_where_they_came_from(tmp_path):
    source = write(tmp_path / "in", {"x": GOOD})
    adopt_activations(source, tmp_path / "out", {"a": "x"}, key="k")
    record = json.loads((tmp_path / "out" / "dump.json").read_text())
    assert record["key"] == "k" and record["source"] == str(source) and record["data"] == "activations"
    assert record["layers"]["a"]["array"] == "x"


# What recording a network shares with it


def test_layers_are_recorded_under_other_names(tmp_path, data, network):
    dump(network, data, INDICES, {"early": "conv1", "again": "conv1", "dense": "fc6"}, tmp_path / "named")
    dump(network, data, INDICES, ["conv1", "fc6"], tmp_path / "plain")
    named, plain = open_dump(tmp_path / "named"), open_dump(tmp_path / "plain")
    assert named.layers == ["early", "again", "dense"]
    for name, module in (("early", "conv1"), ("again", "conv1"), ("dense", "fc6")):
        np.testing.assert_array_equal(named.activations(name), plain.activations(module))
        assert named.record["layers"][name]["module"] == module
        assert named.sample_digest(name) == plain.sample_digest(module)
    with pytest.raises(StudyError, match="letters, digits"):
        dump(network, data, INDICES, {"a/b": "conv1"}, tmp_path / "wrong")


def test_digest_of_the_images_depends_on_them_alone(tmp_path, data, network, monkeypatch):
    def recorded_digest(name, indices=INDICES, layers=("conv1",), **how):
        dump(network, data, indices, list(layers), tmp_path / name, **how)
        return open_dump(tmp_path / name).images_digest

    first = recorded_digest("first")
    assert recorded_digest("mean", positions="mean", dtype="float16", layers=["fc6"]) == first
    assert recorded_digest("order", INDICES[::-1]) != first
    monkeypatch.setattr(data, "key", "another")
    assert recorded_digest("key") != first


def test_standardisation_of_another_training(tmp_path, data):
    seen = nn.Sequential(nn.Flatten())
    dump(seen, data, INDICES, ["0"], tmp_path, standardisation=([0.25], [2.0]))
    expected = (data.images(INDICES).reshape(len(INDICES), -1) / 255 - 0.25) / 2
    np.testing.assert_allclose(open_dump(tmp_path).activations("0"), expected, atol=1e-6)
    assert open_dump(tmp_path).record["preprocessing"] == {"mean": [0.25], "std": [2.0]}
    for wrong in (([0.1] * 3, [1.0] * 3), ([0.1], [0.0]), ([np.nan], [1.0]), ([0.1], [1.0, 1.0])):
        with pytest.raises(StudyError, match="1 finite numbers each") as error:
            dump(seen, data, INDICES, ["0"], tmp_path, standardisation=wrong)
        one_sentence(error)


def test_recordings_share_their_writing():
    assert adoption.recording is dumping.recording
