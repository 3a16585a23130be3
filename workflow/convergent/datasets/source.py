"""What a data set must tell: its options, its shape, its sizes, and its images.

A new data set is one subclass of `Source` with four short methods and one line in the registry `DATASETS`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from convergent.errors import StudyError

Shape = tuple[int, int, int]
KINDS = {str: "a path", int: "a whole number", bool: "true or false"}


@dataclass
class Content:
    """The images and labels of a data set, as its source hands them over.

    Either `blocks` yields the images in order, as arrays (k, channels, height, width) of `dtype`, so that a
    large set is never held whole; or `paths` names one image file per label, relative to `root`.
    Where the set has an official train part, its `official_train` images come first.
    """

    labels: np.ndarray
    class_names: list[str]
    origin: str
    official_train: int | None = None
    blocks: Iterable[np.ndarray] = ()
    dtype: type = np.uint8
    paths: list[str] = field(default_factory=list)
    root: Path | None = None


class Source:
    """A kind of data set. `options` maps each option to its default; None: it must be given."""

    options: ClassVar[dict[str, object]] = {}
    optional: ClassVar[frozenset[str]] = frozenset()  # options that may stay None
    images_file: ClassVar[str] = "images.npy"

    def image_shape(self, options: dict) -> Shape:
        """(channels, height, width) of one image, without reading any."""
        raise NotImplementedError

    def class_count(self, options: dict) -> int:
        """Number of classes."""
        raise NotImplementedError

    def available(self, options: dict) -> dict[str, int]:
        """Number of images in the part to train on, and in the official other part (0: there is none)."""
        raise NotImplementedError

    def input_files(self, options: dict) -> list[Path]:
        """The user's own files that are read whole, if any."""
        return []

    def read(self, options: dict, downloads: Path) -> Content:
        """The images themselves; files fetched on the way are kept in `downloads`."""
        raise NotImplementedError

    def complete(self, name: str, options: dict) -> dict:
        """`options` with the defaults filled in (an option that is None counts as not given).

        Raises:
            StudyError: an option is unknown or of the wrong kind, or a needed one is missing.
        """
        given = {
            option: str(value) if isinstance(value, Path) else value
            for option, value in options.items()
            if value is not None
        }
        unknown = sorted(set(given) - set(self.options))
        if unknown:
            known = ", ".join(self.options) or "none"
            raise StudyError(f"the data set {name} has no option {unknown[0]!r} (its options: {known}): remove it.")
        completed = {**self.options, **given}
        for option, value in completed.items():
            if value is None and option not in self.optional:
                raise StudyError(f"the data set {name} needs the option {option!r}: set it.")
            # Options without a default are paths; the others are of the kind of their default.
            kind = str if self.options[option] is None else type(self.options[option])
            if value is not None and type(value) is not kind:
                raise StudyError(
                    f"the option {option!r} of the data set {name} is {str(value)[:60]!r}, but must be {KINDS[kind]}."
                )
            if kind is int and value < 0:
                raise StudyError(f"the option {option!r} of the data set {name} is {value}, but must not be negative.")
        return completed
