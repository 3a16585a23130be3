"""MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100 and SVHN, through torchvision's own loaders and checksums.

Each published file lies in one flat folder, where it may also be put by hand. It is taken only if its MD5
checksum is the one that torchvision records, and read in a scratch folder, so that nothing unpacked half is
ever met again.
"""

import socket
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import numpy as np

from convergent.datasets.source import Content, Shape, Source
from convergent.errors import StudyError

TIMEOUT = 20.0  # seconds without an answer or without data; torchvision itself would wait for ever


@dataclass(frozen=True)
class PublishedFile:
    """A file of a data set; `loader_folder` is the folder below its root where torchvision looks for it."""

    name: str
    md5: str
    urls: tuple[str, ...]
    loader_folder: str = ""


@dataclass(frozen=True)
class Download(Source):
    """A data set of torchvision: the class that loads it, and the facts known without downloading it."""

    loader: str
    shape: Shape
    classes: int
    train: int
    test: int

    def image_shape(self, options: dict) -> Shape:
        return self.shape

    def class_count(self, options: dict) -> int:
        return self.classes

    def available(self, options: dict) -> dict[str, int]:
        return {"train": self.train, "other": self.test}

    def read(self, options: dict, downloads: Path) -> Content:
        from convergent.torchvision_import import torchvision

        loader = getattr(torchvision.datasets, self.loader)
        files = published_files(loader)
        fetch(self.loader, files, downloads)
        try:
            (train, train_labels), (test, test_labels), names = _load(loader, files, downloads)
        except (RuntimeError, OSError, ValueError, KeyError, EOFError, tarfile.TarError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise StudyError(
                f"the files of {self.loader} in {downloads} have the right checksums but cannot be loaded "
                f"({reason}): delete them and run the study again."
            ) from error
        return Content(
            labels=np.concatenate([train_labels, test_labels]),
            class_names=names,
            origin=", ".join(file.urls[0] for file in files),
            official_train=len(train),
            blocks=[train, test],
        )


def published_files(loader: type) -> list[PublishedFile]:
    """The files that a torchvision data set class downloads, as the class itself records them."""
    if hasattr(loader, "mirrors"):  # MNIST and its relatives
        folder = f"{loader.__name__}/raw"
        return [
            PublishedFile(name, md5, tuple(mirror + name for mirror in loader.mirrors), folder)
            for name, md5 in loader.resources
        ]
    if hasattr(loader, "split_list"):  # SVHN
        return [
            PublishedFile(name, md5, (url,))
            for url, name, md5 in (loader.split_list[part] for part in ("train", "test"))
        ]
    return [PublishedFile(loader.filename, loader.tgz_md5, (loader.url,))]  # CIFAR


def fetch(title: str, files: list[PublishedFile], folder: Path) -> None:
    """Make sure that every file lies in `folder` with the right checksum; download those that are missing.

    Raises:
        StudyError: a file in `folder` is not the published one (it is left there), or a missing one cannot be
            had: there is no network, or what came is truncated or altered (nothing of it is kept).
    """
    from convergent.torchvision_import import torchvision

    calculate_md5 = torchvision.datasets.utils.calculate_md5
    download_url = torchvision.datasets.utils.download_url
    folder.mkdir(parents=True, exist_ok=True)
    missing = []
    for file in files:
        path = folder / file.name
        if not path.exists():
            missing.append(file)
        elif (found := calculate_md5(path)) != file.md5:
            raise StudyError(
                f"{path} is not the published file of {title} (its MD5 checksum is {found}, expected "
                f"{file.md5}): delete it and run the study again, or replace it by {file.urls[0]}."
            )
    for file in missing:
        reasons = []
        for url in file.urls:
            # Downloaded beside and renamed: a download that is cut short or altered leaves nothing behind.
            with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as scratch, impatient():
                try:
                    download_url(url, scratch, file.name, file.md5)
                    (Path(scratch) / file.name).replace(folder / file.name)
                    break
                except RuntimeError:
                    reasons.append(f"{url}: the file that came is truncated or altered, and was deleted")
                except (OSError, HTTPException, ValueError) as error:
                    reasons.append(f"{url}: {error or type(error).__name__}")
        else:
            raise StudyError(
                f"{title} could not be downloaded ({'; '.join(reasons)}): run the study again when the "
                f"network works, or put {_listed(missing)} into {folder}."
            )


def _load(loader: type, files: list[PublishedFile], folder: Path) -> tuple:
    """Images and labels of the train and the test part, and the class names."""
    # torchvision checks archives, but of MNIST's unpacked files only that they exist: never let it meet old
    # ones. CIFAR's archive holds Python pickles, which could run any code; they are opened only because the
    # MD5 checksum of the archive, just checked and checked again by torchvision, says that they are the
    # published ones.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacked-") as scratch, _members_stay_inside():
        for file in files:
            link = Path(scratch) / file.loader_folder / file.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((folder / file.name).resolve())
        if hasattr(loader, "split_list"):
            parts = [loader(scratch, split=split, download=True) for split in ("train", "test")]
        else:
            parts = [loader(scratch, train=train, download=True) for train in (True, False)]
    names = getattr(parts[0], "classes", [str(digit) for digit in range(10)])
    return *(_arrays(part) for part in parts), list(names)


def _arrays(part) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images (n, channels, height, width) and int64 labels (n,) of a loaded torchvision data set."""
    images = np.asarray(part.data)
    if images.ndim == 3:
        images = images[:, None]  # MNIST: (n, height, width)
    elif images.shape[-1] == 3 and images.shape[1] != 3:
        images = images.transpose(0, 3, 1, 2)  # CIFAR: channels last
    labels = part.labels if hasattr(part, "labels") else part.targets
    return images, np.asarray(labels, dtype=np.int64)


def _listed(files: list[PublishedFile]) -> str:
    return ", ".join(f"{file.name} (MD5 {file.md5})" for file in files)


@contextmanager
def impatient() -> Iterator[None]:
    """Let connections that are opened inside the block give up after `TIMEOUT` seconds of silence."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _members_stay_inside() -> Iterator[None]:
    """Refuse archive members that lead out of the folder; torchvision extracts without any filter."""
    before = tarfile.TarFile.extraction_filter
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    finally:
        tarfile.TarFile.extraction_filter = before
