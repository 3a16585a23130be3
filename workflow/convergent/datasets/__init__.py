"""The images that networks are trained on and compared with.

A data set is prepared once, from whatever source, into one form on disk (`prepare`) and read back without
loading it whole (`open_dataset`). What can be told beforehand (shape, classes, sizes) is told without
downloading anything.
"""

from pathlib import Path

from convergent.datasets.arrays import Arrays
from convergent.datasets.dead_leaves import DeadLeaves
from convergent.datasets.digits import Digits
from convergent.datasets.downloads import Download
from convergent.datasets.image_folder import ImageFolder, ImageNet
from convergent.datasets.source import Shape, Source
from convergent.datasets.splits import split_sizes
from convergent.datasets.stored import Dataset, open_dataset, write_dataset
from convergent.errors import StudyError

__all__ = [
    "DATASETS",
    "Dataset",
    "available",
    "check_sizes",
    "class_count",
    "complete_options",
    "image_shape",
    "images_file",
    "input_files",
    "open_dataset",
    "prepare",
]

DATASETS: dict[str, Source] = {
    "digits": Digits(),
    "mnist": Download("MNIST", (1, 28, 28), classes=10, train=60_000, test=10_000),
    "fashion_mnist": Download("FashionMNIST", (1, 28, 28), classes=10, train=60_000, test=10_000),
    "cifar10": Download("CIFAR10", (3, 32, 32), classes=10, train=50_000, test=10_000),
    "cifar100": Download("CIFAR100", (3, 32, 32), classes=100, train=50_000, test=10_000),
    "svhn": Download("SVHN", (3, 32, 32), classes=10, train=73_257, test=26_032),
    "imagenet": ImageNet(),
    "image_folder": ImageFolder(),
    "arrays": Arrays(),
    "dead_leaves": DeadLeaves(),
}


def image_shape(name: str, options: dict) -> Shape:
    """(channels, height, width) of one image, found without downloading; of arrays, from the file's header.

    Raises (like all functions here):
        StudyError: the data set or an option is unknown, or a path is missing or unfit.
    """
    source, options = _source(name, options)
    return source.image_shape(options)


def class_count(name: str, options: dict) -> int:
    """Number of classes, found without downloading."""
    source, options = _source(name, options)
    return source.class_count(options)


def available(name: str, options: dict) -> dict[str, int]:
    """Number of images to train on (`train`) and in the official test or validation part (`other`; 0: none).

    Of image folders every file name is listed, which takes seconds for a million.
    """
    source, options = _source(name, options)
    return source.available(options)


def check_sizes(
    name: str, options: dict, train: int | None, validation: int | None, probe: int | None
) -> tuple[int, int, int]:
    """The numbers of train, validation and probe images that `prepare` will choose (None: all there are).

    Raises:
        StudyError: more is asked for than is there.
    """
    train, validation, probe = split_sizes(name, available(name, options), train, validation, probe)
    return train, validation, validation if probe is None else probe


def complete_options(name: str, options: dict) -> dict:
    """The options with defaults filled in."""
    return _source(name, options)[1]


def images_file(name: str) -> str:
    """Name of the file that holds the images, or that lists them: `images.npy` or `images.csv`."""
    return _source(name, None)[0].images_file


def input_files(name: str, options: dict) -> list[Path]:
    """The user's own files that the data set is made from, if they are few (arrays; not image folders)."""
    source, options = _source(name, options)
    return source.input_files(options)


def prepare(
    name: str,
    folder: str | Path,
    *,
    options: dict,
    downloads: str | Path,
    train: int | None,
    validation: int | None,
    probe: int | None,
    seed: int,
    key: str,
) -> None:
    """Write a data set to `folder`, in the form that `open_dataset` reads.

    Args:
        name: a key of `DATASETS`.
        options: what this data set can be told; see its class.
        downloads: published files are kept in, and looked for in, the folder `downloads/name`.
        train: number of images to train on; None: all (without an official validation part: all that remain).
        validation: number of images to judge networks by, from the official validation or test part where
            there is one; None: all (without such a part: all that `train` leaves).
        probe: number of validation images that units are compared on, drawn at random; None: the validation
            images.
        seed: of all draws.
        key: digest of everything that goes into the data set.

    Raises:
        StudyError: as above; also if a download fails, a file cannot be read, or the sizes do not fit.
    """
    source, options = _source(name, options)
    content = source.read(options, Path(downloads) / name)
    write_dataset(
        Path(folder),
        content,
        name=name,
        options=options,
        shape=source.image_shape(options),
        sizes={"train": train, "validation": validation, "probe": probe},
        seed=seed,
        key=key,
    )


def _source(name: str, options: dict | None) -> tuple[Source, dict]:
    """The source called `name` and its options with defaults filled in (None: options do not matter)."""
    if name not in DATASETS:
        raise StudyError(f"there is no data set {name!r}: choose one of {', '.join(DATASETS)}.")
    source = DATASETS[name]
    return source, {} if options is None else source.complete(name, options)
