"""The user's own images and labels, from NumPy files.

An `.npy` file is read in blocks, so that it may be larger than memory; an `.npz` file is read whole.
Nothing is ever unpickled.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from convergent.datasets.source import Content, Shape, Source
from convergent.errors import StudyError

EXPECTED = "uint8 (0..255) or floating-point images of shape (n, channels, height, width) or (n, height, width)"
BLOCK = 2**22  # values looked at together


class Arrays(Source):
    """Options: `images` (.npy, or .npz with `images` and `labels`), `labels` (.npy), `channels_last`."""

    options = {"images": None, "labels": None, "channels_last": False}  # noqa: RUF012
    optional = frozenset({"labels"})

    def image_shape(self, options: dict) -> Shape:
        return _layout(options)[1]

    def class_count(self, options: dict) -> int:
        return int(_labels(options).max()) + 1

    def available(self, options: dict) -> dict[str, int]:
        count = _layout(options)[0]
        labels = _labels(options)
        if len(labels) != count:
            raise StudyError(
                f"{options['images']} holds {count} images, but there are {len(labels)} labels in "
                f"{_labels_file(options)}: give one label per image."
            )
        return {"train": count, "other": 0}

    def input_files(self, options: dict) -> list[Path]:
        return list(dict.fromkeys([Path(options["images"]), _labels_file(options)]))

    def read(self, options: dict, downloads: Path) -> Content:
        self.available(options)  # the lengths fit
        labels = _labels(options)
        dtype = np.uint8 if _layout(options)[2] == np.uint8 else np.float32
        return Content(
            labels=labels,
            class_names=[str(name) for name in range(labels.max() + 1)],
            origin=", ".join(str(path.resolve()) for path in self.input_files(options)),
            blocks=_blocks(options),
            dtype=dtype,
        )


def _blocks(options: dict) -> Iterator[np.ndarray]:
    """The images as uint8 or float32 blocks (k, channels, height, width)."""
    path = Path(options["images"])
    count, shape, dtype = _layout(options)
    images = _open(path, "images")
    rows = max(1, BLOCK // int(np.prod(shape)))
    for start in range(0, count, rows):
        block = images[start : start + rows]
        if dtype != np.uint8:
            with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is told below
                block = block.astype(np.float32)
            finite = np.isfinite(block).reshape(len(block), -1).all(axis=1)
            if not finite.all():
                raise StudyError(
                    f"{path} holds NaN or a value beyond the range of float32 in image "
                    f"{start + int(finite.argmin())} (counted from 0): every value must be a finite number."
                )
        if block.ndim == 4 and options["channels_last"]:
            block = block.transpose(0, 3, 1, 2)
        yield block.reshape(len(block), *shape)


def _layout(options: dict) -> tuple[int, Shape, np.dtype]:
    """Number of images, (channels, height, width), and type as stored, all from the header."""
    path = Path(options["images"])
    stored, dtype = _header(path, "images")
    if dtype != np.uint8 and dtype.kind != "f":
        raise StudyError(f"{path} holds values of type {dtype}, expected {EXPECTED}.")
    if len(stored) not in (3, 4) or 0 in stored:
        raise StudyError(f"{path} holds an array of shape {stored}, expected {EXPECTED}.")
    if len(stored) == 3:
        return stored[0], (1, *stored[1:]), dtype
    looks_last = stored[3] in (1, 3)
    if options["channels_last"]:
        if not looks_last:
            raise StudyError(
                f"{path} holds an array of shape {stored}, but with `channels_last: true` its last axis must "
                "have length 1 or 3: set `channels_last: false`."
            )
        return stored[0], (stored[3], stored[1], stored[2]), dtype
    if looks_last and stored[1] not in (1, 3) and stored[2] > 3:
        raise StudyError(
            f"{path} holds an array of shape {stored}, whose channels seem to be the last axis: set "
            "`channels_last: true`, or store it as (n, channels, height, width)."
        )
    return stored[0], (stored[1], stored[2], stored[3]), dtype


def _labels_file(options: dict) -> Path:
    if options["labels"] is not None:
        return Path(options["labels"])
    path = Path(options["images"])
    if path.suffix != ".npz":
        raise StudyError(f"the data set arrays needs the option 'labels' beside {path}: give a .npy file of labels.")
    return path


def _labels(options: dict) -> np.ndarray:
    """int64 labels (n,), which are 0..k-1, each at least once, and k at least 2."""
    path = _labels_file(options)
    labels = _open(path, "labels")
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise StudyError(
            f"{path} holds labels of type {labels.dtype} and shape {labels.shape}, expected integers of shape (n,)."
        )
    found = np.unique(labels)
    if len(found) < 2 or found[0] != 0 or found[-1] != len(found) - 1:
        shown = ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
        raise StudyError(
            f"{path} holds {len(found)} different labels ({shown}; the largest is {found[-1]}), expected 0, "
            "1, ... k-1 with each occurring at least once, for k of at least 2 classes."
        )
    return np.asarray(labels, dtype=np.int64)


def _header(path: Path, member: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of a stored array, without reading its values."""
    if path.suffix != ".npz":
        array = _open(path, member)
        return array.shape, array.dtype
    with _explained(path, member), zipfile.ZipFile(path) as archive, archive.open(f"{member}.npy") as handle:
        version = np.lib.format.read_magic(handle)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = reader(handle)
    return shape, dtype


def _open(path: Path, member: str) -> np.ndarray:
    """The array in a `.npy` file, memory-mapped, or the one called `member` in a `.npz` file."""
    with _explained(path, member):
        if path.suffix != ".npz":
            return np.lib.format.open_memmap(path, mode="r")
        with np.load(path, allow_pickle=False) as archive:
            return archive[member]


@contextmanager
def _explained(path: Path, member: str) -> Iterator[None]:
    """Tell a file that is no readable array in one sentence."""
    if not path.is_file():
        raise StudyError(f"{path} does not exist: correct the option {member!r} of the data set arrays.")
    try:
        yield
    except KeyError as error:
        raise StudyError(f"{path} holds no array called {member!r}: store one by that name.") from error
    except (OSError, ValueError, EOFError, SyntaxError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StudyError(
            f"{path} cannot be read as a NumPy array ({reason}): expected a whole .npy or .npz file without "
            "Python objects."
        ) from error
