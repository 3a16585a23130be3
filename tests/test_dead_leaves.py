"""Generated images: reproducible, like natural scenes in their statistics, and learnable."""

import itertools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from convergent.datasets import available, class_count, image_shape
from convergent.datasets.dead_leaves import CLASSES, dead_leaves
from convergent.errors import StudyError

COUNT, SIZE, N_CLASSES = 1536, 32, 8


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.concatenate(list(dead_leaves(COUNT, SIZE, N_CLASSES, seed=3)))


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.arange(COUNT) % N_CLASSES


def test_images_fill_the_range_evenly(images):
    assert images.shape == (COUNT, 3, SIZE, SIZE) and images.dtype == np.uint8
    assert np.abs(images.mean(axis=(0, 2, 3)) - 127.5).max() < 5
    assert 40 < images.std() < 90
    assert np.isin(images, (0, 255)).mean() < 0.1, "few values are clipped"
    # No part of the picture differs from the others, its border included.
    assert np.abs(images.mean(axis=(0, 1)) - images.mean()).max() < 12
    deviation = images.std(axis=(0, 1))
    assert deviation.min() > 0.85 * deviation.max()


def test_power_falls_with_frequency_as_in_natural_scenes(images):
    """The radially averaged power of natural images falls like 1 / f^a with a near 2 (Field 1987)."""
    grey = images.mean(axis=1) / 255
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    window = np.hanning(SIZE)
    power = (np.abs(np.fft.fft2(grey * window[:, None] * window)) ** 2).mean(axis=0)
    frequency = np.fft.fftfreq(SIZE, 1 / SIZE)
    radius = np.hypot(frequency[:, None], frequency).round()
    shown = np.arange(2, 14)
    radial = np.log([power[radius == r].mean() for r in shown])
    slope, offset = np.polyfit(np.log(shown), radial, 1)
    assert -3 < slope < -1.5
    assert np.abs(radial - slope * np.log(shown) - offset).max() < 0.35, "a power law, over the whole range"


def test_neighbouring_pixels_agree_more_than_distant_ones(images):
    grey = images.mean(axis=1)
    grey -= grey.mean()
    correlation = [(grey[..., :-shift] * grey[..., shift:]).mean() / grey.var() for shift in (1, 4, 12)]
    assert correlation[0] > 0.5 and correlation[0] > correlation[1] > correlation[2] > -0.05


def test_same_seed_same_images_and_more_only_adds(images):
    few = np.concatenate(list(dead_leaves(100, SIZE, N_CLASSES, seed=3)))
    np.testing.assert_array_equal(few, images[:100])
    other = np.concatenate(list(dead_leaves(100, SIZE, N_CLASSES, seed=4)))
    assert (few != other).mean() > 0.9
    assert len(np.unique(images.reshape(COUNT, -1), axis=0)) == COUNT, "no image occurs twice"


def test_memory_is_bounded_by_blocks():
    blocks = dead_leaves(10**9, 8, 2, seed=0)
    assert all(len(block) <= 64 for block in itertools.islice(blocks, 3))


def features(images: np.ndarray) -> np.ndarray:
    """Mean gradient orientation (as doubled angle) and covariance of colours: what a first layer sees."""
    images = images / 255
    dy, dx = np.gradient(images.mean(axis=1), axis=(1, 2))
    length, doubled = np.hypot(dx, dy), 2 * np.arctan2(dy, dx)
    orientation = [(length * wave(doubled)).mean(axis=(1, 2)) / length.mean(axis=(1, 2)) for wave in (np.cos, np.sin)]
    pixels = images.reshape(len(images), 3, -1)
    pixels = pixels - pixels.mean(axis=2, keepdims=True)
    covariance = np.einsum("nip,njp->nij", pixels, pixels).reshape(len(images), 9)
    return np.column_stack([*orientation, covariance / covariance.sum(axis=1, keepdims=True)])


def accuracy(x: np.ndarray, labels: np.ndarray) -> float:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(x[:1024], labels[:1024]).score(x[1024:], labels[1024:])


def test_classes_are_learnable_from_orientation_and_colour_but_not_from_the_mean(images, labels):
    chance = 1 / N_CLASSES
    assert accuracy(features(images), labels) > 0.8
    assert accuracy(images.mean(axis=(2, 3)), labels) < 2.5 * chance, "the mean colour must not give it away"


def test_each_class_has_the_orientation_of_its_name(images, labels):
    doubled = features(images)[:, :2]
    for label in range(N_CLASSES):
        cosine, sine = doubled[labels == label].mean(axis=0)
        # A gradient is across the leaves, and rows count downwards: turn and mirror it.
        edge = (90 - np.degrees(np.arctan2(sine, cosine)) / 2) % 180
        named = float(CLASSES[label].split()[0])
        assert abs((edge - named + 90) % 180 - 90) < 10


def test_what_is_told_beforehand_is_what_is_drawn():
    options = {"count": 70, "size": 16, "classes": 5}
    drawn = np.concatenate(list(dead_leaves(70, 16, 5, 0)))
    assert drawn.shape[1:] == image_shape("dead_leaves", options)
    assert class_count("dead_leaves", options) == 5
    assert available("dead_leaves", options) == {"train": 70, "other": 0}


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (class_count, {"classes": 17}),
        (class_count, {"classes": 1}),
        (image_shape, {"size": 4}),
        (available, {"count": 0}),
    ],
)
def test_unfit_options_are_refused(function, options):
    with pytest.raises(StudyError, match=next(iter(options))):
        function("dead_leaves", options)
