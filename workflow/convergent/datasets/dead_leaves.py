"""Dead leaves: coloured shapes that fall on each other, with statistics of natural scenes.

Leaves of size r occur with density ~ r^-3, so an image looks alike at every scale and its power falls as a
power of the spatial frequency (Lee, Mumford & Huang 2001). Networks learn natural-image filters from such
images (Baradad et al. 2021). The class of an image is the orientation of its leaves together with the palette
of their colours.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convergent.datasets.source import Content, Shape, Source
from convergent.errors import StudyError

ORIENTATIONS = (0, 45, 90, 135)  # degrees, counter-clockwise from horizontal
# Each palette is an axis through grey in RGB: colours of both ends occur in every image, so that the class
# shows in the contrast between leaves, not in the mean colour.
PALETTES = {
    "orange-blue": (0.8, 0.0, -0.8),
    "green-magenta": (-0.6, 0.8, -0.6),
    "red-cyan": (0.9, -0.5, -0.5),
    "yellow-violet": (0.5, 0.5, -0.9),
}
CLASSES = [f"{angle} degrees, {palette}" for palette in PALETTES for angle in ORIENTATIONS]

LEAVES = 140  # in and around each image; what stays uncovered is background
SMALLEST, LARGEST = 1 / 16, 1 / 2  # leaf radius as a fraction of the image's side
ELONGATION = 3.0  # length over width
ORIENTATION_SPREAD = 8.0  # degrees, standard deviation
STRAY = 0.3  # share of leaves with any orientation, and, independently, of leaves with a colour of any palette
CONTRAST, CHROMA, NOISE = 0.2, 0.25, 0.04  # standard deviations, in units of the full range 0..1
BLOCK = 64  # images drawn together


class DeadLeaves(Source):
    """Options: `count` images of `size` x `size` pixels in `classes` classes, drawn from `seed`."""

    options = {"count": 6000, "size": 32, "classes": 8, "seed": 0}  # noqa: RUF012

    def image_shape(self, options: dict) -> Shape:
        if options["size"] < 8:
            raise StudyError(f"`size` of dead_leaves is {options['size']}: it must be at least 8 pixels.")
        return 3, options["size"], options["size"]

    def class_count(self, options: dict) -> int:
        if not 2 <= options["classes"] <= len(CLASSES):
            raise StudyError(
                f"`classes` of dead_leaves is {options['classes']}: it must be between 2 and {len(CLASSES)}."
            )
        return options["classes"]

    def available(self, options: dict) -> dict[str, int]:
        if options["count"] < 1:
            raise StudyError(f"`count` of dead_leaves is {options['count']}: it must be at least 1.")
        return {"train": options["count"], "other": 0}

    def read(self, options: dict, downloads: Path) -> Content:
        _, size, _ = self.image_shape(options)
        classes, count = self.class_count(options), options["count"]
        return Content(
            labels=np.arange(count) % classes,
            class_names=CLASSES[:classes],
            origin="generated (Lee, Mumford & Huang 2001)",
            blocks=dead_leaves(count, size, classes, options["seed"]),
        )


def dead_leaves(count: int, size: int, classes: int, seed: int) -> Iterator[np.ndarray]:
    """Draw `count` images in blocks (k, 3, size, size) of uint8; image i is of class i modulo `classes`.

    Image i depends on `size`, `classes`, `seed` and i alone: a larger `count` only adds images.
    """
    for start in range(0, count, BLOCK):
        generator = np.random.default_rng([seed, start])
        labels = np.arange(start, start + BLOCK) % classes
        yield _draw(generator, labels, size)[: count - start]


def _draw(generator: np.random.Generator, labels: np.ndarray, size: int) -> np.ndarray:
    """One image (3, size, size) per label; those of a block are painted together, leaf upon leaf."""
    n = len(labels)
    angle = np.take(ORIENTATIONS, labels % len(ORIENTATIONS))[:, None] + generator.normal(
        0, ORIENTATION_SPREAD, (n, LEAVES)
    )
    stray = generator.random((n, LEAVES)) < STRAY
    angle = np.radians(np.where(stray, generator.uniform(0, 180, (n, LEAVES)), angle))
    # Inverse of the cumulative distribution of a density ~ r^-3 between the smallest and the largest radius.
    far, near = LARGEST**-2, SMALLEST**-2
    radius = size * (near - generator.random((n, LEAVES)) * (near - far)) ** -0.5
    # Leaves may lie partly outside, or the border of the images would have fewer of them.
    centre = generator.uniform(-0.25 * size, 1.25 * size, (2, n, LEAVES))

    # Coordinates along and across the leaf, in units of its half axes: u = ux(column) + uy(row), v likewise.
    along, across = radius * ELONGATION**0.5, radius / ELONGATION**0.5
    cosine, sine = np.cos(angle), np.sin(angle)
    columns, rows = (np.arange(size) + 0.5 - centre[..., None]).astype(np.float32)
    ux, uy = columns * _wide(cosine / along), rows * _wide(-sine / along)
    vx, vy = columns * _wide(sine / across), rows * _wide(cosine / across)

    top = np.zeros((n, size, size), dtype=np.uint8)  # the leaf that is seen at each pixel; 0: background
    for leaf in range(LEAVES):
        u = ux[:, leaf, None, :] + uy[:, leaf, :, None]
        v = vx[:, leaf, None, :] + vy[:, leaf, :, None]
        if leaf % 2:  # an ellipse
            np.square(u, out=u)
            np.square(v, out=v)
            covered = np.add(u, v, out=u) < 1
        else:  # a rectangle
            np.abs(u, out=u)
            np.abs(v, out=v)
            covered = np.maximum(u, v, out=u) < 1
        np.copyto(top, leaf + 1, where=covered)

    stray = generator.random((n, LEAVES + 1)) < STRAY
    palette = np.where(stray, generator.integers(len(PALETTES), size=stray.shape), labels[:, None] // len(ORIENTATIONS))
    axis = np.array(list(PALETTES.values()))[palette]
    lightness = generator.normal(0.5, CONTRAST, (n, LEAVES + 1, 1))
    chroma = generator.normal(0, CHROMA, (n, LEAVES + 1, 1)) * axis
    colour = (lightness + chroma).astype(np.float32)
    images = colour[np.arange(n)[:, None, None], top]
    images += generator.normal(0, NOISE, images.shape).astype(np.float32)
    return (images.clip(0, 1) * 255).round().astype(np.uint8).transpose(0, 3, 1, 2)


def _wide(factors: np.ndarray) -> np.ndarray:
    return factors[..., None].astype(np.float32)
