"""Activations recorded elsewhere, brought into the form that `activations.open_dump` reads.

A source is a folder with one `<name>.npy` per layer, or one `.npz` file; nothing in it is ever unpickled.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from convergent.architectures import first_line
from convergent.dumping import Rows, recording, require_names
from convergent.errors import StudyError, abbreviated, did_you_mean

BLOCK = 2**22  # values looked at together
EXPECTED = "real numbers of shape (samples, units), (images, tokens, units) or (images, channels, height, width)"


def source_layers(source: str | Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays in a source, layer2 before layer10; only the headers are read.

    Raises:
        StudyError: there is no such folder or file, it holds no arrays, or one of them is damaged.
    """
    return {name: shape for name, (shape, _) in _headers(Path(source)).items()}


def adopt_activations(
    source: str | Path,
    folder: str | Path,
    layers: Mapping[str, str],
    *,
    positions: str = "all",
    positions_per_image: int | None = None,
    position_seed: int = 0,
    dtype: str = "float32",
    images: int | None = None,
    key: str = "",
    data: tuple[str, str] = ("activations", ""),
    indices: np.ndarray | None = None,
) -> None:
    """Write activations that were recorded elsewhere to `folder`, as `dumping.dump` writes those of a network.

    Rows of all arrays belong to the same images in the same order. Of (images, tokens, units) and of (images,
    channels, height, width) positions are chosen as in `dump`. Of (samples, units) the rows may be several per image,
    image by image; they count as that many tokens. No more than a block is held in memory at a time; of a `.npz` file
    one layer.

    Args:
        layers: from the names that layers are recorded under to their names in the source.
        images: number of images; None: the length of the shortest of the arrays.
        data: name and key of the data set that `indices` (default: 0, 1, ...) are images of. Networks are comparable
            if both are the same: give those of a network recorded here to compare with it.
        positions, positions_per_image, position_seed, dtype, key: as for `dump`.

    Raises:
        StudyError: a layer that the source does not have, or that no file can be named after; arrays that are
            damaged, not numbers, of another shape, empty, or do not fit the number of images; positions that do not
            exist; values that are not finite (the message names layer and unit); a full disk.
    """
    source = Path(source)
    shapes, count = require_arrays(source, layers, images, indices)

    rows = Rows(
        data,
        np.arange(count) if indices is None else np.asarray(indices),
        positions,
        positions_per_image,
        position_seed,
        dtype,
        remedy=f"mend the array in {source}, every value must be a finite number within the range of float32",
    )
    with recording(folder, rows, key, source=str(source), weights="", preprocessing=None) as files:
        for layer, name in layers.items():
            for start, output in _outputs(source, name, shapes[layer], count):
                if start == 0:
                    files.add(layer, output[:1], array=name)
                files.write(layer, output, start)


def require_arrays(
    source: str | Path, layers: Mapping[str, str], images: int | None = None, indices: np.ndarray | None = None
) -> tuple[dict[str, tuple[int, ...]], int]:
    """Shape of the array of each layer, and the number of images, from the headers alone.

    Args: see `adopt_activations`.

    Raises:
        StudyError: what `adopt_activations` raises but for the values themselves.
    """
    source = Path(source)
    require_names(layers)
    headers = _headers(source)
    for name in layers.values():
        if name not in headers:
            raise StudyError(
                f"{source} has no array {name!r}{did_you_mean(name, headers)}: it has {abbreviated(headers)}."
            )
        _require_numbers(source, name, *headers[name])
    shapes = {layer: headers[name][0] for layer, name in layers.items()}
    return shapes, _images(source, shapes, images, indices)


def _outputs(source: Path, name: str, shape: tuple[int, ...], images: int) -> Iterator[tuple[int, Tensor]]:
    """Consecutive images' outputs, float32, as a network gives them; each with the number of its first image."""
    rows = shape[0] // images
    at_once = max(1, BLOCK // (prod(shape) // images))
    with _reading(source, name):
        array = _array(source, name)
    for start in range(0, images, at_once):
        with _reading(source, name), np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is told
            block = np.array(array[start * rows : (start + at_once) * rows], dtype=np.float32)
        if rows > 1:
            block = block.reshape(-1, rows, *shape[1:])
        yield start, torch.from_numpy(block)


def _images(source: Path, shapes: Mapping[str, tuple[int, ...]], images: int | None, indices: np.ndarray | None) -> int:
    """The number of images, which every layer's rows must fit."""
    if not shapes:
        raise StudyError(f"there is nothing to read from {source}: name at least one layer.")
    count = min(shape[0] for shape in shapes.values()) if images is None else images
    if indices is not None and len(indices) != count:
        raise StudyError(
            f"the activations in {source} are of {count} images, but {len(indices)} images are compared: record "
            "exactly these, in their order, or say how many images there are if there are several rows for each."
        )
    for layer, shape in shapes.items():
        if count < 1 or shape[0] % count or (len(shape) > 2 and shape[0] != count):
            several = ", or a multiple of it if there are several for each image" if len(shape) == 2 else ""
            raise StudyError(
                f"layer {layer!r} in {source} has {shape[0]} rows where there are {count} images: it needs that "
                f"number{several}."
            )
    return count


def _require_numbers(source: Path, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise StudyError unless an array is one of the three kinds of activations."""
    if dtype.hasobject:
        raise StudyError(f"{name!r} in {source} holds Python objects, which are never loaded: write {EXPECTED}.")
    if dtype.kind not in "fiu":
        raise StudyError(f"{name!r} in {source} holds values of type {dtype}: write {EXPECTED}.")
    if len(shape) not in (2, 3, 4) or 0 in shape:
        raise StudyError(f"{name!r} in {source} has shape {shape}: write {EXPECTED}, none of them 0.")


def _headers(source: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of every array in a source, in natural order."""
    found = {}
    if source.is_dir():
        for path in source.glob("*.npy"):
            with _reading(source, path.stem), open(path, "rb") as stream:
                found[path.stem] = _header(stream)
    elif source.is_file():
        with _reading(source), zipfile.ZipFile(source) as archive:
            members = [member for member in archive.namelist() if member.endswith(".npy")]
            for member in members:
                with _reading(source, member.removesuffix(".npy")), archive.open(member) as stream:
                    found[member.removesuffix(".npy")] = _header(stream)
    else:
        raise StudyError(f"{source} does not exist: give a folder of .npy files, one for each layer, or a .npz file.")
    if not found:
        raise StudyError(f"{source} holds no arrays: write one .npy file for each layer, or a .npz file.")
    return {name: found[name] for name in sorted(found, key=_natural)}


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type from the header of a `.npy` file."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def _array(source: Path, name: str) -> np.ndarray:
    """An array of the source, memory-mapped if it is a file of its own."""
    if source.is_dir():
        return np.load(source / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    with np.load(source, allow_pickle=False) as archive:
        return archive[f"{name}.npy"]


@contextmanager
def _reading(source: Path, name: str | None = None) -> Iterator[None]:
    """Turn whatever a damaged file leads to into a sentence that names it."""
    try:
        yield
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        place = f"{source}" if name is None else f"{name!r} in {source}"
        raise StudyError(
            f"{place} cannot be read ({first_line(error).rstrip('.')}): write it again with numpy.save or numpy.savez."
        ) from error


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts layer2 before layer10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
