"""Images spoiled on purpose: noise, blur, less contrast, inversion, occlusion and shifts, each of a chosen strength.

Source: kinds of corruptions after Hendrycks and Dietterich 2019, with strengths in plain units instead of levels.
"""

from collections.abc import Callable

import numpy as np

from convergent import files
from convergent.errors import StudyError, did_you_mean

# One image (channels, height, width), float64 on the 0..1 scale, the strength, and the image's own source of chance.
Corruption = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def noise(image: np.ndarray, strength: float, draws: np.random.Generator) -> np.ndarray:
    """Independent normal noise on every value; the strength is its standard deviation."""
    return image + strength * draws.standard_normal(image.shape)


def blur(image: np.ndarray, strength: float, draws: np.random.Generator) -> np.ndarray:
    """Every channel smoothed by a Gaussian; the strength is its standard deviation in pixels."""
    from scipy.ndimage import gaussian_filter  # takes a while to import

    return gaussian_filter(image, (0, strength, strength), mode="nearest")


def contrast(image: np.ndarray, strength: float, draws: np.random.Generator) -> np.ndarray:
    """Every channel drawn towards its mean over the image; at strength 1 nothing but the mean is left."""
    mean = image.mean(axis=(1, 2), keepdims=True)
    return mean + (1 - strength) * (image - mean)


def inversion(image: np.ndarray, strength: float, draws: np.random.Generator) -> np.ndarray:
    """Mixed with the negative; the strength is its share, so that 1/2 leaves a uniform grey."""
    return (1 - strength) * image + strength * (1 - image)


def occlusion(image: np.ndarray, strength: float, draws: np.random.Generator) -> np.ndarray:
    """A square of the image's mean colour at a random place; the strength is its side, the image's shorter one is 1."""
    _, height, width = image.shape
    side = round(strength * min(height, width))
    top, left = draws.integers(height - side + 1), draws.integers(width - side + 1)
    image = image.copy()
    image[:, top : top + side, left : left + side] = image.mean(axis=(1, 2))[:, None, None]
    return image


def shift(image: np.ndarray, strength: float, draws: np.random.Generator) -> np.ndarray:
    """Moved up, down, left or right by the strength in whole pixels, the border repeated into the gap."""
    _, height, width = image.shape
    down, right = ((-1, 0), (1, 0), (0, -1), (0, 1))[draws.integers(4)]
    rows = np.clip(np.arange(height) - down * round(strength), 0, height - 1)
    columns = np.clip(np.arange(width) - right * round(strength), 0, width - 1)
    return image[:, rows[:, None], columns]


CORRUPTIONS: dict[str, Corruption] = {
    "noise": noise,
    "blur": blur,
    "contrast": contrast,
    "inversion": inversion,
    "occlusion": occlusion,
    "shift": shift,
}
SHARES = ("contrast", "inversion", "occlusion")  # of strengths up to 1


def corrupt(
    name: str, images: np.ndarray, strength: float, seed: int, indices: np.ndarray, scale: float | None = None
) -> np.ndarray:
    """Images spoiled in one way; strength 0 leaves them as they are.

    What happens to an image by chance depends on the seed and its index only, not on the images beside it.

    Args:
        name: a key of `CORRUPTIONS`.
        images: (n, channels, height, width), uint8 or floating point.
        strength: how much; see the function of that name.
        indices: (n,) of the images in their data set.
        scale: what values are multiplied by for images in 0..1 units; None: 1/255 for uint8, else 1.

    Returns:
        The same shape and type; of uint8 rounded and clipped to 0..255, floating point is not clipped.

    Raises:
        StudyError: an unknown corruption, or a strength that it cannot have.
    """
    check_strength(name, strength, images.shape[1:])
    if strength == 0:
        return images
    scale = (1 / 255 if images.dtype == np.uint8 else 1.0) if scale is None else scale
    spoiled = np.empty_like(images)
    for place, index in enumerate(indices):
        draws = np.random.default_rng([seed, int(index)])
        values = CORRUPTIONS[name](images[place].astype(np.float64) * scale, strength, draws) / scale
        spoiled[place] = np.rint(values).clip(0, 255) if images.dtype == np.uint8 else values
    return spoiled


def check_strength(name: str, strength: float, shape: tuple[int, ...]) -> None:
    """Raise StudyError unless images of this shape can be spoiled in this way and so much."""
    if name not in CORRUPTIONS:
        raise StudyError(
            f"there is no corruption {name!r}{did_you_mean(name, CORRUPTIONS)}: choose one of {', '.join(CORRUPTIONS)}."
        )
    most, wanted = np.inf, "a number from 0 upwards"
    if name in SHARES:
        most, wanted = 1, "a number from 0 to 1"
    elif name == "shift":
        most = min(shape[1:]) - 1
        wanted = f"a number of pixels from 0 to {most}, for images of {shape[1]} x {shape[2]}"
    if not (np.isfinite(strength) and 0 <= strength <= most):
        raise StudyError(f"the strength of the corruption {name} is {strength}: it must be {wanted}.")


class Corrupted:
    """A data set whose images come spoiled; all else is as in the data set, except for its key."""

    def __init__(self, data, corruption: str, strength: float, seed: int = 0) -> None:
        check_strength(corruption, strength, data.shape)
        self.data, self.corruption, self.strength, self.seed = data, corruption, strength, seed
        self.key = files.digest(data.key, corruption, strength, seed)

    def __getattr__(self, name: str):
        if name == "data":  # not there yet: nothing to ask
            raise AttributeError(name)
        return getattr(self.data, name)

    def __len__(self) -> int:
        return len(self.data)

    def images(self, indices: np.ndarray, random_state: np.random.Generator | None = None) -> np.ndarray:
        """Some images as the data set gives them, then spoiled."""
        images = self.data.images(indices) if random_state is None else self.data.images(indices, random_state)
        scale = getattr(self.data, "scale", None)
        return corrupt(self.corruption, images, self.strength, self.seed, np.asarray(indices), scale)

    def sample_digest(self, split: str = "probe") -> str:
        """Digest shared only by samples that are the same images, spoiled alike, in the same order."""
        return files.digest(self.name, self.key, self.splits[split])
