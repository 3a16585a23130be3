"""Image files sorted into one folder per class, such as ImageNet; decoded when asked for, never copied.

Scaling and cropping follow Krizhevsky et al. (2012), section 4.1: the shorter side is scaled to `resize`
pixels and the central square cut out; of this, evaluation takes the centre and training a random place,
mirrored half of the time.
"""

import csv
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convergent.datasets.source import Content, Shape, Source
from convergent.errors import StudyError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")


class ImageFolder(Source):
    """Options: `path` of the class folders, or of `train` and `val` with them; `image_size`, `resize`."""

    options = {"path": None, "image_size": 227, "resize": 256}  # noqa: RUF012
    images_file = "images.csv"
    always_split = False

    def image_shape(self, options: dict) -> Shape:
        size, resize = options["image_size"], options["resize"]
        if not 1 <= size <= resize:
            raise StudyError(
                f"`image_size` is {size} and `resize` is {resize}: `image_size` must be between 1 and `resize`."
            )
        return 3, size, size

    def class_count(self, options: dict) -> int:
        return len(self._parts(options)[1])

    def available(self, options: dict) -> dict[str, int]:
        parts, classes = self._parts(options)
        sizes = [sum(len(_class_images(part / name)) for name in classes) for part in parts]
        return {"train": sizes[0], "other": sizes[1] if len(sizes) > 1 else 0}

    def read(self, options: dict, downloads: Path) -> Content:
        parts, classes = self._parts(options)
        root = Path(options["path"]).resolve()
        paths, labels, sizes = [], [], []
        for part in parts:
            for label, name in enumerate(classes):
                files = _class_images(part / name)
                prefix = (part / name).relative_to(options["path"])
                paths += [(prefix / file).as_posix() for file in files]
                labels += [label] * len(files)
            sizes.append(len(paths))
        return Content(
            labels=np.array(labels, dtype=np.int64),
            class_names=classes,
            origin=str(root),
            official_train=sizes[0] if len(parts) > 1 else None,
            paths=paths,
            root=root,
        )

    def _parts(self, options: dict) -> tuple[list[Path], list[str]]:
        """The folders that hold the class folders (train and val, or one alone), and the class names."""
        path = Path(options["path"])
        if not path.is_dir():
            raise StudyError(f"{path} is not a folder: correct the option 'path' of the data set.")
        parts = [path / "train", path / "val"]
        if not (self.always_split or all(part.is_dir() for part in parts)):
            parts = [path]
        classes = [_class_folders(part) for part in parts]
        if classes[0] != classes[-1]:
            differing = sorted(set(classes[0]) ^ set(classes[-1]))
            raise StudyError(
                f"{parts[0]} and {parts[-1]} have different class folders ({len(differing)} in one only, the "
                f"first is {differing[0]!r}): give both the same."
            )
        return parts, classes[0]


class ImageNet(ImageFolder):
    """The images of ILSVRC 2012 (Russakovsky et al. 2015), in `path/train/CLASS` and `path/val/CLASS`."""

    always_split = True


@dataclass(frozen=True)
class ImageFiles:
    """A manifest of image files that can be indexed like an array of images.

    paths: one file per image, relative to `root`; resize, image_size: sides in pixels; threads: how many
    files are decoded at a time (the images do not depend on it).
    """

    root: Path
    paths: list[str]
    resize: int
    image_size: int
    threads: int = 2

    def __len__(self) -> int:
        return len(self.paths)

    def decode(self, indices: np.ndarray, random_state: np.random.Generator | None = None) -> np.ndarray:
        """Decode some images to uint8 (len(indices), 3, image_size, image_size).

        With a `random_state`, crops are placed at random and mirrored half of the time; all draws are made
        before the threads start. Raises StudyError for a file that is no readable image.
        """
        indices = np.asarray(indices, dtype=np.int64)
        slack = self.resize - self.image_size
        offsets = np.full((len(indices), 2), slack // 2)
        mirrored = np.zeros(len(indices), dtype=bool)
        if random_state is not None:
            offsets = random_state.integers(0, slack, size=offsets.shape, endpoint=True)
            mirrored = random_state.random(len(indices)) < 0.5
        images = np.empty((len(indices), 3, self.image_size, self.image_size), dtype=np.uint8)

        def decode_into(i: int) -> None:
            image = self._square(self.root / self.paths[indices[i]])
            top, left = offsets[i]
            image = image[top : top + self.image_size, left : left + self.image_size]
            images[i] = (image[:, ::-1] if mirrored[i] else image).transpose(2, 0, 1)

        with ThreadPoolExecutor(self.threads) as pool:
            for _ in pool.map(decode_into, range(len(indices))):
                pass
        return images

    def _square(self, path: Path) -> np.ndarray:
        """The central square of an image, (resize, resize, 3)."""
        from PIL import Image

        try:
            with Image.open(path) as file:
                image = file.convert("RGB")
        except Exception as error:  # a damaged file makes Pillow raise almost anything
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise StudyError(
                f"{path} cannot be read as an image ({reason}): replace or remove it, and run the study again."
            ) from error
        width, height = image.size
        scale = self.resize / min(width, height)
        width, height = max(self.resize, round(width * scale)), max(self.resize, round(height * scale))
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        top, left = (height - self.resize) // 2, (width - self.resize) // 2
        return np.asarray(image)[top : top + self.resize, left : left + self.resize]


def write_manifest(path: Path, paths: Iterable[str], labels: np.ndarray) -> None:
    """Write `images.csv`: one image file and its label per line."""
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["path", "label"])
        writer.writerows(zip(paths, labels.tolist(), strict=True))


def read_manifest(path: Path) -> list[str]:
    """The image files that `write_manifest` wrote."""
    with open(path, newline="", encoding="utf-8") as handle:
        return [path for path, _ in csv.reader(handle)][1:]  # without the header


def _class_folders(part: Path) -> list[str]:
    """Names of the class folders, sorted."""
    if not part.is_dir():
        raise StudyError(
            f"{part} does not exist: the data set needs the folders train and val, each with classes in it."
        )
    with os.scandir(part) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    if len(names) >= 2:
        return names
    if not names and (loose := _image_files(part)):
        raise StudyError(
            f"{part} holds {len(loose)} images but no class folders: move each image into a folder named "
            f"after its class ({part}/CLASS/{loose[0]}; for ImageNet, the script valprep.sh of the PyTorch "
            "examples does it)."
        )
    raise StudyError(f"{part} holds {len(names)} class folders: it needs at least two, with images in them.")


def _image_files(folder: Path) -> list[str]:
    """Image files anywhere below `folder`, relative to it, sorted."""
    found = []
    for place, _, names in os.walk(folder, followlinks=True):
        inside = os.path.relpath(place, folder)
        found += [
            os.path.normpath(os.path.join(inside, name))
            for name in names
            if name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        ]
    return sorted(found)


def _class_images(folder: Path) -> list[str]:
    """The images of one class, of which there must be some."""
    files = _image_files(folder)
    if not files:
        raise StudyError(f"{folder} holds no images ({', '.join(EXTENSIONS)}): fill or remove it.")
    return files
