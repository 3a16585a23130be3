"""Mosaics: what excites a unit as one small image, its strongest patches above what in them excites it.

One unit is one image, which keeps files small and drawing fast. Source: Li et al. 2016, Figs. 2, S3, S4 and S11.
"""

import numpy as np

SIDE = 42  # pixels, about, of a patch in a mosaic
GAP, WIDE_GAP = 3, 8  # pixels between patches, and between patches and gradients
GROUND = np.array([0.68, 0.80, 0.92], dtype=np.float32)  # between patches and beyond images: no shade of grey
CONTRAST = 0.99  # share of the gradients that the scale of grey covers


def mosaic(patches: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """A unit's patches in a square, above its gradients in another.

    Grey is a gradient of zero, on a symmetric scale that is the same for all of the unit's.

    Args:
        patches: (count, channels, height, width) of 0..1; NaN where there is nothing to draw.
        gradients: the same shape.

    Returns:
        (height, width, 3) uint8.
    """
    upper, lower = tiled(patches), tiled(centred(gradients, CONTRAST))
    between = np.ones((WIDE_GAP, upper.shape[1], 3), dtype=np.float32)
    return in_bytes(np.concatenate([upper, between, lower]))


def centred(values: np.ndarray, share: float = 1.0) -> np.ndarray:
    """Values on a scale where zero is a half and `share` of them are within 0..1; NaN stays."""
    sizes = np.abs(values[~np.isnan(values)])
    # Where nearly all are zero, the scale is that of the largest.
    largest = (np.quantile(sizes, share) or sizes.max()) if len(sizes) else 0
    return 0.5 + values / (2 * largest or 1)


def tiled(images: np.ndarray) -> np.ndarray:
    """Images (count, channels, height, width) of 0..1 in a square (height, width, 3), with gaps."""
    across = int(np.ceil(np.sqrt(len(images))))
    images = [coloured(resized(image)) for image in images]
    height, width, _ = images[0].shape
    square = np.empty((across * (height + GAP) + GAP, across * (width + GAP) + GAP, 3), dtype=np.float32)
    square[:] = GROUND
    for number, image in enumerate(images):
        top, left = GAP + number // across * (height + GAP), GAP + number % across * (width + GAP)
        square[top : top + height, left : left + width] = image
    return square


def coloured(image: np.ndarray) -> np.ndarray:
    """An image (channels, height, width) as (height, width, 3) of 0..1, grey unless it has three channels."""
    colours = image if len(image) == 3 else np.repeat(image.mean(axis=0, keepdims=True), 3, axis=0)
    colours = colours.transpose(1, 2, 0)
    return np.where(np.isnan(colours), GROUND, np.clip(colours, 0, 1))


def in_bytes(colours: np.ndarray) -> np.ndarray:
    """Colours of 0..1 as uint8."""
    return (colours * 255).round().astype(np.uint8)


def resized(image: np.ndarray) -> np.ndarray:
    """An image (channels, height, width) with its longer side near `SIDE`, every pixel repeated or blocks averaged."""
    longest = max(image.shape[1:])
    repeats = max(1, round(SIDE / longest))
    image = image.repeat(repeats, axis=1).repeat(repeats, axis=2)
    block = max(1, round(longest / SIDE))
    channels, height, width = image.shape
    height, width = max(1, height // block), max(1, width // block)
    image = image[:, : height * block, : width * block]
    return image.reshape(channels, height, image.shape[1] // height, width, -1).mean(axis=(2, 4))
