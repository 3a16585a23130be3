"""A data set on disk: `images.npy` or `images.csv`, `labels.npy`, `splits.npz`, described by `dataset.json`.

`dataset.json` is written last and holds a fingerprint of the rest, so that files of two runs are never taken
together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convergent import files
from convergent.datasets.image_folder import ImageFiles, read_manifest, write_manifest
from convergent.datasets.source import Content, Shape
from convergent.datasets.splits import draw_splits
from convergent.errors import StudyError

BLOCK = 2**22  # values looked at together
DECODED_FOR_STATISTICS = 2000  # image files from which mean and standard deviation are estimated


@dataclass(frozen=True)
class Dataset:
    """Images, labels and splits, as `open_dataset` finds them.

    Attributes:
        name: name of the data set.
        key: digest of what made it.
        shape: (channels, height, width) of an image.
        class_names: one name per label.
        labels: int64 (n,).
        splits: int64 indices of the images of each split: `train`, `validation`, `probe`.
        scale: what stored values are multiplied by for images in 0..1 units: 1/255 for uint8, 1 for float32.
        mean, std: float64 (channels,), per channel over the train split, after scaling.
            A network's input is `(images * scale - mean) / std`.
    """

    name: str
    key: str
    shape: Shape
    class_names: list[str]
    labels: np.ndarray
    splits: dict[str, np.ndarray]
    scale: float
    mean: np.ndarray
    std: np.ndarray
    store: np.ndarray | ImageFiles

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def decodes(self) -> bool:
        """True if images are decoded from files, and so can be cropped at random."""
        return isinstance(self.store, ImageFiles)

    def images(self, indices: np.ndarray, random_state: np.random.Generator | None = None) -> np.ndarray:
        """Some images, uint8 or float32 (len(indices), channels, height, width), in the order asked for.

        Only the images asked for are read. With a `random_state`, image files are cropped at random places
        and mirrored half of the time, for training; arrays have no margin to crop from.

        Raises:
            StudyError: an image file is damaged.
            ValueError: a random state was given for images that are stored as an array.
        """
        if isinstance(self.store, ImageFiles):
            return self.store.decode(indices, random_state)
        if random_state is not None:
            raise ValueError("images stored as an array have no margin from which to crop at random")
        return np.asarray(self.store[np.asarray(indices, dtype=np.int64)])

    def sample_digest(self, split: str = "probe") -> str:
        """Digest shared only by samples that are the same images of the same data set in the same order."""
        return files.digest(self.name, self.key, self.splits[split])


def write_dataset(
    folder: Path,
    content: Content,
    *,
    name: str,
    options: dict,
    shape: Shape,
    sizes: dict,
    seed: int,
    key: str,
) -> None:
    """Write what a source handed over, its splits, and its description.

    Args:
        sizes: numbers of `train`, `validation` and `probe` images, see `splits.split_sizes`.
    """
    count, official = len(content.labels), content.official_train
    found = {"train": count, "other": 0} if official is None else {"train": official, "other": count - official}
    splits = draw_splits(name, found, **sizes, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").unlink(missing_ok=True)  # until all is written, there is no data set
    images_file = "images.csv" if content.paths else "images.npy"
    with files.written_whole(folder / images_file) as partial:
        if content.paths:
            write_manifest(partial, content.paths, content.labels)
        else:
            _write_blocks(partial, content, (count, *shape))
    with files.written_whole(folder / "labels.npy") as partial:
        np.save(partial, content.labels.astype(np.int64))
    files.save_arrays(folder / "splits.npz", key, **splits)
    description = {
        "key": key,
        "name": name,
        "count": count,
        "shape": list(shape),
        "classes": content.class_names,
        "official_train": official,
        "origin": content.origin,
        "options": options,
        "images": images_file,
        "root": None if content.root is None else str(content.root),
    }
    store = _open_store(folder, description)
    description["fingerprint"] = _fingerprint(store, content.labels)
    mean, std = channel_statistics(store, splits["train"], seed)
    if not (std > 0).all():
        raise StudyError(
            f"channel {int(std.argmin())} (counted from 0) of the data set {name} has the same value "
            "everywhere in the train images: remove this channel."
        )
    files.save_json(folder / "dataset.json", {**description, "mean": mean.tolist(), "std": std.tolist()})


def open_dataset(folder: str | Path, key: str | None = None, threads: int = 2) -> Dataset:
    """Open the data set that `prepare` wrote to `folder`, without reading its images.

    Args:
        key: the key it must carry; None: any.
        threads: how many image files are decoded at a time.

    Raises:
        StudyError: a file is missing or damaged, belongs to another run, or the files don't belong together.
    """
    folder = Path(folder)
    description = files.load_json(folder / "dataset.json", key)
    labels = np.array(files.open_array(folder / "labels.npy"))
    splits = files.load_arrays(folder / "splits.npz", description["key"])
    store = _open_store(folder, description, threads)
    if len(store) != len(labels) or _fingerprint(store, labels) != description["fingerprint"]:
        raise StudyError(
            f"the files in {folder} do not belong together (another run has written some of them): delete "
            "the folder and run the study again."
        )
    return Dataset(
        name=description["name"],
        key=description["key"],
        shape=tuple(description["shape"]),
        class_names=description["classes"],
        labels=labels,
        splits=splits,
        scale=_scale(store),
        mean=np.array(description["mean"]),
        std=np.array(description["std"]),
        store=store,
    )


def channel_statistics(store: np.ndarray | ImageFiles, indices: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per channel, float64 (channels,), in 0..1 units for uint8.

    Over all pixels of the images `indices`; of image files, which take long to decode, over at most 2,000
    drawn images.
    """
    if isinstance(store, ImageFiles) and len(indices) > DECODED_FOR_STATISTICS:
        indices = np.sort(np.random.default_rng(seed).choice(indices, DECODED_FOR_STATISTICS, replace=False))
    total = squares = pixels = 0
    for block in _read_blocks(store, indices):
        values = block.astype(np.float64) * _scale(store)
        total = total + values.sum(axis=(0, 2, 3))
        squares = squares + np.square(values).sum(axis=(0, 2, 3))
        pixels += values.size // values.shape[1]
    mean = total / pixels
    return mean, np.sqrt(np.maximum(squares / pixels - mean**2, 0))


def _read_blocks(store: np.ndarray | ImageFiles, indices: np.ndarray) -> Iterator[np.ndarray]:
    if isinstance(store, ImageFiles):
        read, values = store.decode, 3 * store.image_size**2
    else:
        read, values = store.__getitem__, int(np.prod(store.shape[1:]))
    rows = max(1, BLOCK // values)
    for start in range(0, len(indices), rows):
        yield read(indices[start : start + rows])


def _scale(store: np.ndarray | ImageFiles) -> float:
    return 1.0 if getattr(store, "dtype", np.uint8) == np.float32 else 1 / 255


def _write_blocks(path: Path, content: Content, shape: tuple[int, ...]) -> None:
    """Stream the images into a `.npy` file."""
    # Written and not memory-mapped: on a full disk this is an error, where a mapped file would crash.
    header = {"descr": np.dtype(content.dtype).str, "fortran_order": False, "shape": shape}
    rows = 0
    with open(path, "wb") as handle:
        np.lib.format.write_array_header_1_0(handle, header)
        for block in content.blocks:
            if block.shape[1:] != shape[1:] or block.dtype != content.dtype:
                raise StudyError(
                    f"images of type {block.dtype} and shape {block.shape[1:]} were found, expected "
                    f"{content.dtype} and {shape[1:]}: mend the images."
                )
            handle.write(np.ascontiguousarray(block).data)
            rows += len(block)
    if rows != shape[0]:
        raise StudyError(f"{rows} images were found for {shape[0]} labels: there must be one label per image.")


def _open_store(folder: Path, description: dict, threads: int = 2) -> np.ndarray | ImageFiles:
    path = folder / description["images"]
    if description["images"] == "images.npy":
        return files.open_array(path)
    options = description["options"]
    try:
        paths = read_manifest(path)
    except (OSError, ValueError, KeyError) as error:
        raise files.unreadable(path, error) from error
    return ImageFiles(Path(description["root"]), paths, options["resize"], options["image_size"], threads)


def _fingerprint(store: np.ndarray | ImageFiles, labels: np.ndarray) -> str:
    """Digest of the labels and of enough of the images to notice those of another run."""
    if isinstance(store, ImageFiles):
        return files.digest(labels, "\n".join(store.paths).encode())
    some = np.linspace(0, len(store) - 1, 64).astype(np.int64)
    return files.digest(labels, list(store.shape), np.asarray(store[some]))
