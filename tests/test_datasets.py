"""Data sets keep their images, their splits and their promises, whatever they come from."""

import gzip
import hashlib
import io
import json
import pickle
import socket
import struct
import tarfile
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convergent import datasets
from convergent.datasets import downloads as published
from convergent.datasets.splits import draw_splits, split_sizes
from convergent.errors import StudyError

KEY = "k" * 64


def prepare(name, folder, downloads="unused", *, train=None, validation=None, probe=None, seed=0, key=KEY, **options):
    datasets.prepare(
        name,
        folder,
        options=options,
        downloads=downloads,
        train=train,
        validation=validation,
        probe=probe,
        seed=seed,
        key=key,
    )
    return datasets.open_dataset(folder, key)


def one_sentence(error) -> str:
    message = str(error.value)
    assert "\n" not in message and message.endswith(".")
    return message


# --- splits ---


@settings(max_examples=60, deadline=None)
@given(
    pool=st.integers(2, 60),
    other=st.integers(0, 40),
    train=st.none() | st.integers(1, 60),
    validation=st.none() | st.integers(1, 40),
    probe=st.none() | st.integers(1, 40),
    seed=st.integers(0, 5),
)
def test_splits_are_disjoint_and_of_the_sizes_told(pool, other, train, validation, probe, seed):
    found = {"train": pool, "other": other}
    asked = {"train": train, "validation": validation, "probe": probe}
    try:
        n_train, n_validation, n_probe = split_sizes("x", found, **asked)
    except StudyError:
        return
    splits = draw_splits("x", found, **asked, seed=seed)
    for indices in splits.values():
        assert indices.dtype == np.int64 and (np.diff(indices) > 0).all()
        assert indices[0] >= 0 and indices[-1] < pool + other
    assert len(splits["train"]) == n_train == (train or n_train)
    assert len(splits["validation"]) == n_validation == (validation or n_validation)
    assert not set(splits["train"]) & set(splits["validation"])
    assert set(splits["probe"]) <= set(splits["validation"])
    assert len(splits["probe"]) == (n_validation if n_probe is None else n_probe)
    if other:
        assert splits["train"].max() < pool <= splits["validation"].min()
    elif train is None or validation is None:
        assert n_train + n_validation == pool


@pytest.mark.parametrize("found", [{"train": 100, "other": 0}, {"train": 100, "other": 30}])
def test_splits_depend_on_the_seed_and_larger_ones_contain_smaller_ones(found):
    def draw(train, seed):
        return draw_splits("x", found, train=train, validation=20, probe=7, seed=seed)

    few, again, many, other = draw(30, 1), draw(30, 1), draw(60, 1), draw(30, 2)
    for split in few:
        np.testing.assert_array_equal(few[split], again[split])
        assert set(few[split]) <= set(many[split])
        assert set(few[split]) != set(other[split])


@pytest.mark.parametrize(
    ("found", "asked", "told"),
    [
        ((10, 0), (8, 3, None), ["10", "8", "3"]),
        ((10, 0), (None, None, None), ["10", "validation"]),
        ((10, 0), (None, 10, None), ["10", "0 train"]),
        ((10, 5), (11, 5, None), ["11", "at most 10"]),
        ((10, 5), (10, 6, None), ["6", "at most 5"]),
        ((10, 5), (None, 4, 5), ["5 probe", "4 validation"]),
        ((10, 5), (0, 4, None), ["0 train", "at least 1"]),
    ],
)
def test_sizes_that_do_not_fit_are_told_with_what_was_found(found, asked, told):
    with pytest.raises(StudyError) as error:
        split_sizes("some_set", dict(zip(("train", "other"), found, strict=True)), *asked)
    message = one_sentence(error)
    assert all(word in message for word in ["some_set", *told])


# --- on disk, and read back ---


def test_digits_are_those_of_scikit_learn(tmp_path):
    from sklearn.datasets import load_digits

    data = prepare("digits", tmp_path, validation=500, probe=100)
    assert datasets.check_sizes("digits", {}, None, 500, 100) == (1297, 500, 100)
    assert data.shape == datasets.image_shape("digits", {}) == (1, 8, 8)
    assert len(data.class_names) == datasets.class_count("digits", {}) == 10
    images = data.images(np.arange(len(data)))
    assert images.dtype == np.uint8 and images.max() == 255
    np.testing.assert_allclose(images[:, 0] * (16 / 255), load_digits().images, atol=0.04)
    np.testing.assert_array_equal(data.labels, load_digits().target)
    # The numbers for normalisation are those of the train images alone.
    inputs = data.images(data.splits["train"]) * data.scale
    np.testing.assert_allclose(inputs.mean(axis=(0, 2, 3)), data.mean, rtol=1e-10)
    np.testing.assert_allclose(inputs.std(axis=(0, 2, 3)), data.std, rtol=1e-10)


def test_images_come_in_the_order_asked_for(tmp_path):
    data = prepare("digits", tmp_path, validation=10)
    everything = data.images(np.arange(len(data)))
    asked = np.array([1700, 3, 3, 900])
    np.testing.assert_array_equal(data.images(asked), everything[asked])
    with pytest.raises(ValueError, match="crop"):
        data.images(asked, np.random.default_rng(0))


def test_preparing_twice_gives_the_same_files(tmp_path):
    for run in ("a", "b"):
        prepare("dead_leaves", tmp_path / run, count=150, size=16, validation=50, probe=20, seed=5)
    for file in ("images.npy", "labels.npy", "dataset.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "dataset.json",
        "images.npy",
        "labels.npy",
        "splits.npz",
    ]


def test_files_of_another_run_are_refused(tmp_path):
    prepare("dead_leaves", tmp_path / "a", count=100, size=16, validation=50)
    prepare("dead_leaves", tmp_path / "b", count=100, size=16, validation=50, key="other" * 12, seed=1)
    prepare("dead_leaves", tmp_path / "c", count=100, size=16, validation=50, key="c" * 64, classes=4)
    with pytest.raises(StudyError, match="another run"):
        datasets.open_dataset(tmp_path / "b", KEY)
    for file in ("splits.npz", "images.npy"):
        kept = (tmp_path / "a" / file).read_bytes()
        (tmp_path / "a" / file).write_bytes((tmp_path / "c" / file).read_bytes())
        with pytest.raises(StudyError, match="another run"):
            datasets.open_dataset(tmp_path / "a", KEY)
        (tmp_path / "a" / file).write_bytes(kept)
    datasets.open_dataset(tmp_path / "a", KEY)


def test_sample_digest_tells_samples_apart(tmp_path):
    a = prepare("digits", tmp_path / "a", validation=100, probe=50)
    b = prepare("digits", tmp_path / "b", validation=100, probe=51)
    assert a.sample_digest() != b.sample_digest() != a.sample_digest("train")
    assert a.sample_digest() == datasets.open_dataset(tmp_path / "a").sample_digest()


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("cifar11", {}, ["cifar11", "cifar10"]),
        ("digits", {"size": 3}, ["digits", "size"]),
        ("arrays", {}, ["arrays", "images"]),
        ("imagenet", {"path": "/nowhere"}, ["/nowhere"]),
        ("arrays", {"images": "/nowhere.npy", "labels": "/nowhere.npy"}, ["/nowhere.npy", "images"]),
        ("image_folder", {"path": "/", "image_size": 300}, ["image_size", "300"]),
    ],
)
def test_unknown_names_options_and_paths_are_told(name, options, told):
    with pytest.raises(StudyError) as error:
        datasets.image_shape(name, options)
        datasets.class_count(name, options)
    assert all(word in one_sentence(error) for word in told)


def test_describing_needs_neither_torch_nor_pillow():
    import subprocess
    import sys

    code = (
        "import sys; from convergent import datasets as d\n"
        "assert [d.available(n, {})['other'] for n in ('mnist', 'dead_leaves')] == [10000, 0]\n"
        "assert d.image_shape('cifar100', {}) == (3, 32, 32) and d.class_count('cifar100', {}) == 100\n"
        "assert not {'torch', 'torchvision', 'PIL', 'sklearn'} & set(sys.modules)"
    )
    workflow = Path(__file__).parents[1] / "workflow"
    subprocess.run([sys.executable, "-c", code], cwd=workflow, check=True)


# --- the user's arrays ---


def save_arrays(folder, images, labels=None) -> dict:
    np.save(folder / "x.npy", images, allow_pickle=True)
    np.save(folder / "y.npy", np.arange(len(images)) % 2 if labels is None else labels)
    return {"images": str(folder / "x.npy"), "labels": str(folder / "y.npy")}


RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (20, 3, 6, 5), dtype=np.uint8)
FLOATS = RANDOM.normal(4, 2, (20, 2, 6, 5))


@pytest.mark.parametrize(
    ("stored", "options", "expected"),
    [
        (BYTES, {}, BYTES),
        (BYTES[:, 0], {}, BYTES[:, :1]),
        (BYTES.transpose(0, 2, 3, 1), {"channels_last": True}, BYTES),
        (np.asfortranarray(BYTES), {}, BYTES),
        (FLOATS, {}, FLOATS.astype(np.float32)),
        (FLOATS.astype(">f4"), {}, FLOATS.astype(np.float32)),
        (FLOATS.astype(np.float16), {}, FLOATS.astype(np.float16).astype(np.float32)),
    ],
)
def test_arrays_keep_their_values(tmp_path, monkeypatch, stored, options, expected):
    monkeypatch.setattr("convergent.datasets.arrays.BLOCK", 7 * 90)  # several blocks, the last one smaller
    options |= save_arrays(tmp_path, stored)
    data = prepare("arrays", tmp_path / "out", validation=5, **options)
    assert data.shape == datasets.image_shape("arrays", options) == expected.shape[1:]
    assert datasets.available("arrays", options) == {"train": 20, "other": 0}
    assert datasets.class_count("arrays", options) == 2
    images = data.images(np.arange(20))
    assert images.dtype == expected.dtype
    np.testing.assert_array_equal(images, expected)
    train = images[data.splits["train"]].astype(float) / (255 if images.dtype == np.uint8 else 1)
    np.testing.assert_allclose(data.mean, train.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(data.std, train.std(axis=(0, 2, 3)), rtol=1e-6)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_holds_both(tmp_path, save):
    save(tmp_path / "d.npz", images=BYTES, labels=np.arange(20) % 4)
    options = {"images": tmp_path / "d.npz"}
    assert datasets.image_shape("arrays", options) == (3, 6, 5)
    data = prepare("arrays", tmp_path / "out", validation=5, **options)
    np.testing.assert_array_equal(data.images(np.arange(20)), BYTES)
    assert datasets.class_count("arrays", options) == len(data.class_names) == 4
    assert datasets.input_files("arrays", options) == [tmp_path / "d.npz"]


def spoiled(array, value, image=13):
    array = array.copy()
    array[image, 0, 0, 0] = value
    return array


@pytest.mark.parametrize(
    ("images", "labels", "options", "told"),
    [
        (np.array([{}, {}], dtype=object), None, {}, ["x.npy", "Python objects"]),
        (spoiled(FLOATS, np.nan), None, {}, ["x.npy", "NaN", "image 13"]),
        (spoiled(FLOATS, np.inf), None, {}, ["x.npy", "image 13"]),
        (spoiled(FLOATS, 1e300), None, {}, ["x.npy", "float32", "image 13"]),
        (BYTES.astype(np.int64), None, {}, ["x.npy", "int64", "uint8"]),
        (BYTES[0, 0], None, {}, ["x.npy", "(6, 5)"]),
        (BYTES[:0], None, {}, ["x.npy", "(0, 3, 6, 5)"]),
        (BYTES, np.arange(19) % 2, {}, ["20 images", "19 labels", "y.npy"]),
        (BYTES, np.arange(20) % 2 + 1, {}, ["y.npy", "1, 2", "0, 1"]),
        (BYTES, np.arange(20) % 2 * 2, {}, ["y.npy", "0, 2"]),
        (BYTES, np.zeros(20, dtype=int), {}, ["y.npy", "1 different"]),
        (BYTES, np.arange(20) % 2 - 1, {}, ["y.npy", "-1"]),
        (BYTES, np.arange(20) / 2, {}, ["y.npy", "float64"]),
        (BYTES, np.eye(20, dtype=int), {}, ["y.npy", "(20, 20)"]),
        (BYTES.transpose(0, 2, 3, 1), None, {}, ["x.npy", "channels_last"]),
        (BYTES, None, {"channels_last": True}, ["x.npy", "channels_last"]),
        (np.where(np.arange(3)[:, None, None] == 1, np.uint8(7), BYTES), None, {}, ["channel 1"]),
    ],
)
def test_unfit_arrays_are_told(tmp_path, images, labels, options, told):
    options = options | save_arrays(tmp_path, images, labels)
    with pytest.raises(StudyError) as error:
        prepare("arrays", tmp_path / "out", validation=5, **options)
    message = one_sentence(error)
    assert all(word in message for word in told), message
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_damaged_array_files_are_told(tmp_path):
    options = save_arrays(tmp_path, BYTES)
    whole = (tmp_path / "x.npy").read_bytes()
    for damaged in (whole[:-10], b"", b"not an array", pickle.dumps([1, 2])):
        (tmp_path / "x.npy").write_bytes(damaged)
        with pytest.raises(StudyError) as error:
            datasets.image_shape("arrays", options)
        assert "x.npy" in one_sentence(error)
    np.savez(tmp_path / "z.npz", pictures=BYTES)
    with pytest.raises(StudyError, match="images"):
        datasets.image_shape("arrays", {"images": tmp_path / "z.npz"})
    with pytest.raises(StudyError, match="labels"):
        datasets.class_count("arrays", {"images": tmp_path / "x.npy"})


# --- image folders ---


def draw_image(path: Path, colour, size=(40, 30), **save) -> None:
    """The left half is of one colour, the right half black, so that mirroring shows."""
    pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    pixels[:, : size[0] // 2] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **save)


COLOURS = {"ant": (200, 0, 0), "bee": (0, 200, 0), "cat": (0, 0, 200)}


def make_folder(root: Path, per_class: int) -> Path:
    for name, colour in COLOURS.items():
        for i in range(per_class):
            draw_image(root / name / f"{name}, {i:02}.{'PNG' if i % 2 else 'png'}", colour, (40 + i, 30))
    (root / "ant" / "notes.txt").write_text("not an image")
    (root / "ant" / "._ant.png").write_text("not an image either")
    return root


SMALL = {"image_size": 12, "resize": 16}


def test_image_folder_is_listed_and_decoded_not_copied(tmp_path):
    options = {"path": make_folder(tmp_path / "in", 4), **SMALL}
    data = prepare("image_folder", tmp_path / "out", validation=3, **options)
    assert datasets.available("image_folder", options) == {"train": 12, "other": 0}
    assert datasets.image_shape("image_folder", options) == data.shape == (3, 12, 12)
    assert data.class_names == ["ant", "bee", "cat"] and datasets.class_count("image_folder", options) == 3
    assert not (tmp_path / "out" / "images.npy").exists() and datasets.images_file("image_folder") == "images.csv"
    assert (tmp_path / "out" / "images.csv").read_text().splitlines()[:2] == [
        "path,label",
        '"ant/ant, 00.png",0',
    ]
    indices = np.array([9, 0, 5])
    images = data.images(indices)
    assert images.shape == (3, 3, 12, 12) and images.dtype == np.uint8
    for image, label in zip(images, data.labels[indices], strict=True):
        assert image[label, :, 1].min() > 180 and image[:, :, -1].max() < 20, "left coloured, right black"
        assert np.delete(image, label, axis=0).max() == 0


def test_official_parts_of_an_image_folder_are_kept_apart(tmp_path):
    make_folder(tmp_path / "in" / "train", 3)
    make_folder(tmp_path / "in" / "val", 2)
    for name in ("imagenet", "image_folder"):
        assert datasets.available(name, {"path": tmp_path / "in"}) == {"train": 9, "other": 6}
        data = prepare(name, tmp_path / name, path=tmp_path / "in", **SMALL)
        paths = [
            line.rsplit(",", 1)[0].strip('"') for line in (tmp_path / name / "images.csv").read_text().splitlines()[1:]
        ]
        assert all(paths[i].startswith("train/") for i in data.splits["train"])
        assert all(paths[i].startswith("val/") for i in data.splits["validation"])
        np.testing.assert_array_equal(data.labels, np.repeat([0, 1, 2, 0, 1, 2], [3, 3, 3, 2, 2, 2]))


def test_random_crops_are_reproducible_and_mirror_half_of_the_time(tmp_path):
    data = prepare("image_folder", tmp_path / "out", path=make_folder(tmp_path / "in", 2), validation=2, **SMALL)
    indices = np.arange(6).repeat(30)
    drawn = data.images(indices, np.random.default_rng(1))
    one_thread = datasets.open_dataset(tmp_path / "out", threads=1).images(indices, np.random.default_rng(1))
    np.testing.assert_array_equal(drawn, one_thread)
    coloured_left = drawn[..., 0].max(axis=(1, 2)) > 100
    assert 0.35 < coloured_left.mean() < 0.65
    # Five by five places, two directions, seen by where the edge lies.
    edges = (drawn.max(axis=1)[:, 0] > 100).sum(axis=1)
    assert len(np.unique(edges)) == 5


def test_scaling_keeps_the_aspect_and_the_centre(tmp_path):
    for i, size in enumerate([(64, 32), (32, 64), (6, 9), (300, 17)]):
        draw_image(tmp_path / "in" / f"{i % 2}" / f"{i}.png", (250, 250, 250), size)
    data = prepare("image_folder", tmp_path / "out", path=tmp_path / "in", validation=1, **SMALL)
    for image in data.images(np.arange(4)):
        # The edge between white and black stays in the middle, wherever the image was longer.
        assert image[:, :, :4].min() > 200 and image[:, :, 8:].max() < 50


def test_any_kind_of_colour_becomes_rgb(tmp_path):
    grey = Image.fromarray(np.arange(400, dtype=np.uint8).reshape(20, 20))
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "b").mkdir()
    grey.save(tmp_path / "in" / "a" / "grey.jpeg")
    grey.convert("P").save(tmp_path / "in" / "a" / "palette.gif")
    grey.convert("CMYK").save(tmp_path / "in" / "b" / "print.jpg")
    grey.convert("RGBA").save(tmp_path / "in" / "b" / "alpha.png")
    data = prepare("image_folder", tmp_path / "out", path=tmp_path / "in", validation=1, **SMALL)
    assert data.images(np.arange(4)).shape == (4, 3, 12, 12)


def test_a_damaged_image_is_named(tmp_path):
    root = make_folder(tmp_path / "in", 3)
    data = prepare("image_folder", tmp_path / "out", path=root, validation=3, **SMALL)
    victim = root / "bee" / "bee, 01.PNG"
    whole = victim.read_bytes()
    for damaged in (
        whole[: len(whole) // 2],
        b"",
        b"GIF89a nonsense",
        whole[:40] + b"\xff" * 30 + whole[70:],
    ):
        victim.write_bytes(damaged)
        with pytest.raises(StudyError) as error:
            data.images(np.array([4]))
        assert str(victim) in one_sentence(error)
    data.images(np.array([3, 5]))


def test_unfit_image_folders_are_told(tmp_path):
    def told(name, path):
        with pytest.raises(StudyError) as error:
            datasets.available(name, {"path": path})
        return one_sentence(error)

    make_folder(tmp_path / "in" / "train", 1)
    assert "val" in told("imagenet", tmp_path / "in")
    draw_image(tmp_path / "in" / "val" / "ILSVRC2012_val_00000001.JPEG", (9, 9, 9))
    flat = told("imagenet", tmp_path / "in")
    assert "no class folders" in flat and "move each image" in flat and "ILSVRC2012_val_00000001.JPEG" in flat
    (tmp_path / "in" / "val" / "ILSVRC2012_val_00000001.JPEG").unlink()
    make_folder(tmp_path / "in" / "val", 1)
    (tmp_path / "in" / "val" / "cat").rename(tmp_path / "in" / "val" / "dog")
    assert "cat" in told("imagenet", tmp_path / "in")
    (tmp_path / "in" / "val" / "dog").rename(tmp_path / "in" / "val" / "cat")
    (tmp_path / "in" / "val" / "cat" / "cat, 00.png").unlink()
    assert str(tmp_path / "in" / "val" / "cat") in told("imagenet", tmp_path / "in")
    (tmp_path / "empty").mkdir()
    assert "at least two" in told("image_folder", tmp_path / "empty")


# --- published data sets ---


class Server:
    """A web server on this machine that can cut short, alter, withhold or delay what it serves."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.behaviour = "honest"
        self.lasting = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append(self.path)
                content = server.files.get(self.path.removeprefix("/"))
                if server.behaviour == "silent":
                    server.lasting.wait(10)
                    return
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if server.behaviour == "truncating":
                    content = content[: len(content) // 2]
                elif server.behaviour == "tampering":
                    content = content[:-1] + bytes([content[-1] ^ 1])
                with suppress(OSError):  # torchvision hangs up after asking where the address leads
                    self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.lasting.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


def tar(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def publish(name: str, server: Server, monkeypatch, hostile: bool = False):
    """Serve a small data set in its real format; return its images and labels (12 to train on, 8 to test)."""
    from convergent.torchvision_import import torchvision

    shape = datasets.image_shape(name, {})
    images = np.random.default_rng(len(name)).integers(0, 256, (20, *shape), dtype=np.uint8)
    labels = np.arange(20) % 10
    loader = getattr(torchvision.datasets, datasets.DATASETS[name].loader)
    if name in ("mnist", "fashion_mnist"):
        server.files = {
            "train-images-idx3-ubyte.gz": idx(images[:12, 0]),
            "train-labels-idx1-ubyte.gz": idx(labels[:12]),
            "t10k-images-idx3-ubyte.gz": idx(images[12:, 0]),
            "t10k-labels-idx1-ubyte.gz": idx(labels[12:]),
        }
        monkeypatch.setattr(loader, "mirrors", [server.url + "absent/", server.url])
        monkeypatch.setattr(loader, "resources", [(file, md5(content)) for file, content in server.files.items()])
    elif name == "svhn":
        parts = {}
        for part, chosen in (("train", slice(0, 12)), ("test", slice(12, 20))):
            stream = io.BytesIO()
            digits = np.where(labels[chosen] == 0, 10, labels[chosen]).astype(np.uint8)[:, None]
            scipy.io.savemat(stream, {"X": images[chosen].transpose(2, 3, 1, 0), "y": digits})
            server.files[f"{part}_32x32.mat"] = stream.getvalue()
            parts[part] = [f"{server.url}{part}_32x32.mat", f"{part}_32x32.mat", md5(stream.getvalue())]
        monkeypatch.setattr(loader, "split_list", parts)
    else:
        key = "labels" if name == "cifar10" else "fine_labels"
        batches = {"a": slice(0, 7), "b": slice(7, 12), "c": slice(12, 20)}
        members = {
            batch: pickle.dumps({"data": images[chosen].reshape(-1, 3072), key: labels[chosen].tolist()})
            for batch, chosen in batches.items()
        }
        members["meta"] = pickle.dumps({loader.meta["key"]: [f"class {i}" for i in range(10)]})
        sums = {member: md5(content) for member, content in members.items()}
        stored = {f"{loader.base_folder}/{member}": content for member, content in members.items()}
        if hostile:
            stored["../../escaped"] = b"out of the folder"
        server.files = {loader.filename: tar(stored)}
        monkeypatch.setattr(loader, "url", server.url + loader.filename)
        monkeypatch.setattr(loader, "tgz_md5", md5(server.files[loader.filename]))
        monkeypatch.setattr(loader, "train_list", [["a", sums["a"]], ["b", sums["b"]]])
        monkeypatch.setattr(loader, "test_list", [["c", sums["c"]]])
        monkeypatch.setattr(loader, "meta", loader.meta | {"filename": "meta", "md5": sums["meta"]})
    return images, labels


PUBLISHED = ["mnist", "fashion_mnist", "cifar10", "cifar100", "svhn"]


def check_same(data, images, labels):
    np.testing.assert_array_equal(data.images(np.arange(20)), images)
    np.testing.assert_array_equal(data.labels, labels)
    np.testing.assert_array_equal(data.splits["train"], np.arange(12))
    np.testing.assert_array_equal(data.splits["validation"], np.arange(12, 20))
    assert len(data.class_names) == 10


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_images_are_downloaded_once(name, tmp_path, server, monkeypatch):
    images, labels = publish(name, server, monkeypatch)
    check_same(prepare(name, tmp_path / "out", tmp_path / "downloads"), images, labels)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "downloads" / name).iterdir()}
    assert kept == server.files, "the published files and nothing else"
    server.requests.clear()
    check_same(prepare(name, tmp_path / "again", tmp_path / "downloads"), images, labels)
    assert server.requests == []


@pytest.mark.parametrize("name", PUBLISHED)
def test_files_put_there_by_hand_need_no_network(name, tmp_path, server, monkeypatch):
    images, labels = publish(name, server, monkeypatch)
    (tmp_path / name).mkdir()
    for file, content in server.files.items():
        (tmp_path / name / file).write_bytes(content)
    server.files = {}
    check_same(prepare(name, tmp_path / "out", tmp_path), images, labels)
    assert server.requests == []


@pytest.mark.parametrize("behaviour", ["truncating", "tampering"])
@pytest.mark.parametrize("name", ["mnist", "cifar10", "svhn"])
def test_a_bad_download_is_refused_and_leaves_nothing(name, behaviour, tmp_path, server, monkeypatch):
    images, labels = publish(name, server, monkeypatch)
    server.behaviour = behaviour
    with pytest.raises(StudyError) as error:
        prepare(name, tmp_path / "out", tmp_path / "downloads")
    message = one_sentence(error)
    assert server.url in message and str(tmp_path / "downloads" / name) in message
    assert list((tmp_path / "downloads" / name).iterdir()) == []
    assert not (tmp_path / "out").exists()
    server.behaviour = "honest"
    check_same(prepare(name, tmp_path / "out", tmp_path / "downloads"), images, labels)


@pytest.mark.parametrize("name", PUBLISHED)
def test_without_network_one_is_told_what_to_put_where(name, tmp_path, server, monkeypatch):
    publish(name, server, monkeypatch)
    server.close()
    with pytest.raises(StudyError) as error:
        prepare(name, tmp_path / "out", tmp_path / "downloads")
    message = one_sentence(error)
    assert str(tmp_path / "downloads" / name) in message
    for file, content in server.files.items():
        assert file in message and md5(content) in message


def test_a_silent_server_is_given_up(tmp_path, server, monkeypatch):
    publish("cifar10", server, monkeypatch)
    server.behaviour = "silent"
    monkeypatch.setattr(published, "TIMEOUT", 0.3)
    started = time.monotonic()
    with pytest.raises(StudyError):
        prepare("cifar10", tmp_path / "out", tmp_path / "downloads")
    assert time.monotonic() - started < 5
    assert socket.getdefaulttimeout() is None, "nobody else's connections are hurried"


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar100", "svhn"])
def test_a_damaged_file_put_there_by_hand_is_named_and_left(name, tmp_path, server, monkeypatch):
    publish(name, server, monkeypatch)
    file, content = list(server.files.items())[-1]
    (tmp_path / name).mkdir()
    (tmp_path / name / file).write_bytes(content[:-5])
    with pytest.raises(StudyError) as error:
        prepare(name, tmp_path / "out", tmp_path)
    message = one_sentence(error)
    assert str(tmp_path / name / file) in message and md5(content) in message
    assert (tmp_path / name / file).read_bytes() == content[:-5]
    assert server.requests == []


def test_an_archive_cannot_write_outside(tmp_path, server, monkeypatch):
    publish("cifar10", server, monkeypatch, hostile=True)
    with pytest.raises(StudyError) as error:
        prepare("cifar10", tmp_path / "out", tmp_path / "downloads")
    assert "escaped" in one_sentence(error)
    assert list(tmp_path.rglob("*escaped*")) == []
    assert tarfile.TarFile.extraction_filter is None, "other users of tarfile keep their default"


def test_unpacked_leftovers_are_not_believed(tmp_path, server, monkeypatch):
    images, labels = publish("mnist", server, monkeypatch)
    leftovers = tmp_path / "mnist" / "MNIST" / "raw"
    leftovers.mkdir(parents=True)
    for file in server.files:
        (leftovers / file.removesuffix(".gz")).write_bytes(b"half written")
    check_same(prepare("mnist", tmp_path / "out", tmp_path), images, labels)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_real_addresses_and_checksums_are_stated(name):
    from convergent.torchvision_import import torchvision

    files = published.published_files(getattr(torchvision.datasets, datasets.DATASETS[name].loader))
    for file in files:
        assert len(file.md5) == 32 and all(url.startswith("http") and url.endswith(file.name) for url in file.urls)


def test_the_description_says_where_the_images_came_from(tmp_path, server, monkeypatch):
    publish("cifar10", server, monkeypatch)
    prepare("cifar10", tmp_path / "out", tmp_path / "downloads", probe=3)
    description = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert description["key"] == KEY and description["name"] == "cifar10"
    assert description["count"] == 20 and description["official_train"] == 12 and description["shape"] == [3, 32, 32]
    assert server.url in description["origin"]
    assert len(description["mean"]) == len(description["std"]) == 3
