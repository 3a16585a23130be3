"""Recorded activations: which sample each row is, and reading them from disk.

Source: Li et al. 2016, section 2. A unit is a channel of a map, or a neuron; a sample of a channel is its
value at one position of one image. Rows of networks may be compared only if they are the same samples in the
same order.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np

from convergent.errors import StudyError, abbreviated, did_you_mean
from convergent.files import digest, load_arrays, load_json, open_array

POSITIONS = ("all", "sample", "centre", "mean", "flatten")
DTYPES = ("float32", "float16")
RECORD = "dump.json"  # written last: a folder without it is not finished
SAMPLES = "samples.npz"
LAYER_NAME = re.compile("[A-Za-z0-9_][A-Za-z0-9_.]{0,199}")  # a file is named after a layer


@dataclass(frozen=True)
class Dump:
    """Activations of one network, in the folder that `dumping.dump` wrote; read when they are asked for."""

    folder: Path
    record: dict

    @property
    def layers(self) -> list[str]:
        """The recorded layers."""
        return list(self.record["layers"])

    def activations(self, layer: str) -> np.ndarray:
        """Memory-mapped activations (samples, units), float32 or float16.

        Raises:
            StudyError: the layer was not recorded, or its file is absent, damaged or not what the record
                says.
        """
        path = self.folder / f"{layer}.npy"
        described = self._layer(layer)
        values = open_array(path)
        shape = (described["samples"], described["units"])
        if values.shape != shape or values.dtype.name != self.record["dtype"]:
            raise StudyError(
                f"{path} holds {values.dtype} of shape {values.shape} where {RECORD} beside it says "
                f"{self.record['dtype']} of shape {shape}: delete the folder and run the study again."
            )
        return values

    @property
    def images_digest(self) -> str:
        """Digest of the images and their order, whatever is recorded of them."""
        return self.record["images_digest"]

    def units(self, layer: str) -> int:
        """Number of units of the layer."""
        return self._layer(layer)["units"]

    def sample_digest(self, layer: str) -> str:
        """Digest of the layer's samples and their order: equal exactly if rows correspond."""
        return self._layer(layer)["samples_digest"]

    def image_of_row(self, layer: str) -> np.ndarray:
        """For each row (samples,) the image it came from, 0..images-1 in the order of `images`."""
        images = self.record["images"]
        return np.repeat(np.arange(images), self._layer(layer)["samples"] // images)

    def images(self) -> np.ndarray:
        """Indices (images,) into the data set of the images that the network saw."""
        return load_arrays(self.folder / SAMPLES, self.record["key"])["images"]

    def positions(self, layer: str) -> np.ndarray:
        """Recorded positions, counted row by row over the map: (images, k), or (1, k) for all images."""
        self._layer(layer)
        return load_arrays(self.folder / SAMPLES, self.record["key"])[f"positions/{layer}"]

    def _layer(self, layer: str) -> dict:
        layers = self.record["layers"]
        if layer not in layers:
            raise StudyError(
                f"{self.folder} holds no activations of layer {layer!r}{did_you_mean(layer, layers)}: "
                f"it has {abbreviated(layers)}."
            )
        return layers[layer]


def open_dump(folder: str | Path, key: str | None = None) -> Dump:
    """The activations in `folder`.

    Raises:
        StudyError: they are absent or unfinished, or carry another key.
    """
    folder = Path(folder)
    return Dump(folder, load_json(folder / RECORD, key))


def require_same_samples(dumps: Mapping[str, Dump], layer: str) -> None:
    """Raise StudyError, naming two networks, unless the rows of `layer` are the same samples in all."""
    for (name, dump), (other, other_dump) in pairwise(dumps.items()):
        if dump.sample_digest(layer) != other_dump.sample_digest(layer):
            raise StudyError(
                f"networks {name!r} and {other!r} were recorded at {layer} on different samples or in "
                "another order: record both on the same images, with the same positions, on maps of one size."
            )


def choose_positions(
    choice: str, map_shape: tuple[int, ...], images: np.ndarray, per_image: int | None, seed: int
) -> np.ndarray:
    """Positions to record of a map (height, width), or of tokens (number,), counted row by row.

    A sample is drawn for each image without replacement, in ascending order. It depends on the seed, the
    shape of the map and the image's index in the data set only, hence is the same for every network.

    Returns:
        (images, per_image) for `sample`, (1, k) for `all` and `centre`, (1, 0) where rows are images.

    Raises:
        StudyError: more positions are asked for than there are, or the centre of something that is not a map.
    """
    count = prod(map_shape)
    if choice == "all":
        return np.arange(count)[None]
    if choice == "centre":
        if len(map_shape) != 2:
            raise StudyError("tokens have no centre: set positions to all, sample, mean or flatten.")
        height, width = map_shape
        return np.array([[(height // 2) * width + width // 2]])
    if choice != "sample":
        return np.empty((1, 0), dtype=np.int64)
    if per_image is None or not 1 <= per_image <= count:
        raise StudyError(
            f"positions_per_image is {per_image} where a map of {' x '.join(map(str, map_shape))} has "
            f"{count} positions: set it to between 1 and that, or set positions to all."
        )
    draws = (np.random.default_rng([seed, *map_shape, int(image)]) for image in images)
    return np.stack([np.sort(draw.choice(count, per_image, replace=False, shuffle=False)) for draw in draws])


def samples_digest(data: Sequence[str], images: np.ndarray, map_shape: tuple[int, ...], positions: np.ndarray) -> str:
    """Digest of samples and their order; `data` identifies the data set.

    Where rows are images, map and positions do not matter.
    """
    rows = ["images"] if positions.shape[1] == 0 else ["positions", list(map_shape)]
    return digest(list(data), np.asarray(images, dtype=np.int64), rows, np.asarray(positions, dtype=np.int64))


def open_layer(records: Iterable[str | Path], keys: Mapping[str, str], layer: str) -> tuple[dict[str, np.ndarray], int]:
    """Activations of one layer of several networks, checked to be the same samples in the same order.

    Args:
        records: the `dump.json` of each network.
        keys: network name -> the key that its dump must carry, in the order of `records`.

    Returns:
        network name -> memory-mapped activations (samples, units), image by image; number of images.

    Raises:
        StudyError: a dump is absent, unfinished, from another run, or of other samples than the rest.
    """
    dumps = {
        name: open_dump(Path(record).parent, key) for (name, key), record in zip(keys.items(), records, strict=True)
    }
    require_same_samples(dumps, layer)
    activations = {name: dump.activations(layer) for name, dump in dumps.items()}
    return activations, max((dump.record["images"] for dump in dumps.values()), default=0)
