"""Corruptions do what their names say, by as much as their strength says, and to each image on its own."""

import numpy as np
import pytest
import stand_in
from scipy.ndimage import gaussian_filter

from convergent.datasets.corruptions import CORRUPTIONS, Corrupted, corrupt
from convergent.errors import StudyError

IMAGES = stand_in.noise((3, 12, 10), count=6).array
INDICES = np.array([4, 17, 2, 100, 5, 9])
STRONG = {"noise": 0.2, "blur": 1.5, "contrast": 0.6, "inversion": 0.7, "occlusion": 0.5, "shift": 3}


def spoiled(name, images=IMAGES, strength=None, seed=0, indices=INDICES, **more):
    return corrupt(name, images, STRONG[name] if strength is None else strength, seed, indices, **more)


def floats(images=IMAGES):
    return images.astype(np.float64) / 255


def test_every_corruption_is_tested():
    assert list(CORRUPTIONS) == list(STRONG)


@pytest.mark.parametrize("name", STRONG)
@pytest.mark.parametrize("images", [IMAGES, (IMAGES / 255).astype(np.float32)])
def test_type_and_shape_stay_and_strength_0_changes_nothing(name, images):
    before = images.copy()
    found = spoiled(name, images)
    assert found.dtype == images.dtype and found.shape == images.shape
    assert not np.array_equal(found, images)
    np.testing.assert_array_equal(spoiled(name, images, 0), images)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("name", STRONG)
def test_an_image_does_not_depend_on_those_beside_it(name):
    together = spoiled(name)
    for place in range(len(IMAGES)):
        alone = spoiled(name, IMAGES[place : place + 1], indices=INDICES[place : place + 1])
        np.testing.assert_array_equal(alone[0], together[place])
    np.testing.assert_array_equal(spoiled(name, IMAGES[::-1], indices=INDICES[::-1]), together[::-1])


@pytest.mark.parametrize("name", ["noise", "occlusion", "shift"])
def test_chance_depends_on_the_seed_and_the_index(name):
    same = np.repeat(IMAGES[:1], 40, axis=0)
    found = spoiled(name, same, indices=np.arange(40))
    assert len({image.tobytes() for image in found}) >= 4
    np.testing.assert_array_equal(found, spoiled(name, same, indices=np.arange(40)))
    assert not np.array_equal(found, spoiled(name, same, seed=1, indices=np.arange(40)))


@pytest.mark.parametrize("name", STRONG)
def test_bytes_and_fractions_agree(name):
    np.testing.assert_allclose(spoiled(name) / 255, spoiled(name, floats()).clip(0, 1), atol=0.5 / 255 + 1e-9)
    scaled = spoiled(name, 20 * floats(), scale=1 / 20)
    np.testing.assert_allclose(scaled, 20 * spoiled(name, floats()), atol=1e-9)


def test_noise_has_the_deviation_asked_for():
    grey = np.full((20, 3, 30, 30), 0.5)
    added = spoiled("noise", grey, 0.1, indices=np.arange(20)) - grey
    assert added.std() == pytest.approx(0.1, rel=0.02)
    assert abs(added.mean()) < 0.002
    assert abs(np.corrcoef(added[0].ravel(), added[1].ravel())[0, 1]) < 0.1


def test_blur_stays_in_its_channel():
    found = spoiled("blur", floats(), 1.5)
    for image, before in zip(found, floats(), strict=True):
        for channel, original in zip(image, before, strict=True):
            np.testing.assert_allclose(channel, gaussian_filter(original, 1.5, mode="nearest"))


def test_contrast_is_scaled_around_the_mean():
    before, found = floats(), spoiled("contrast", floats(), 0.6)
    np.testing.assert_allclose(found.mean(axis=(2, 3)), before.mean(axis=(2, 3)))
    np.testing.assert_allclose(found.std(axis=(2, 3)), 0.4 * before.std(axis=(2, 3)))
    assert np.ptp(spoiled("contrast", before, 1), axis=(2, 3)).max() < 1e-12


def test_inversion_is_a_mixture_with_the_negative():
    np.testing.assert_array_equal(spoiled("inversion", strength=1), 255 - IMAGES)
    np.testing.assert_allclose(spoiled("inversion", floats(), 0.25), 0.75 * floats() + 0.25 * (1 - floats()))


def test_occlusion_is_a_square_of_the_mean_colour():
    before, found = floats(), spoiled("occlusion", floats(), 0.5)
    for image, original in zip(found, before, strict=True):
        changed = (image != original).any(axis=0)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        assert len(rows) == len(columns) == changed.sum() ** 0.5 == 5
        inside = image[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        np.testing.assert_allclose(inside, np.broadcast_to(original.mean(axis=(1, 2))[:, None, None], inside.shape))
    whole = spoiled("occlusion", np.ones((1, 1, 4, 4)) * np.arange(4), 1, indices=[0])
    np.testing.assert_allclose(whole, 1.5)


def test_shift_moves_by_whole_pixels_and_repeats_the_border():
    for image, original in zip(spoiled("shift", strength=2.6), IMAGES, strict=True):
        wide = np.pad(original, ((0, 0), (3, 3), (3, 3)), mode="edge")
        steps = ((0, 3), (6, 3), (3, 0), (3, 6))
        assert any(np.array_equal(image, wide[:, top : top + 12, left : left + 10]) for top, left in steps)


@pytest.mark.parametrize(
    ("name", "strength", "words"),
    [
        ("nois", 0.1, ["'nois'", "did you mean 'noise'", "blur"]),
        ("noise", -0.1, ["noise", "-0.1", "from 0 upwards"]),
        ("blur", np.nan, ["blur", "nan"]),
        ("contrast", 1.1, ["contrast", "1.1", "0 to 1"]),
        ("inversion", 2, ["inversion", "2"]),
        ("occlusion", 1.5, ["occlusion", "1.5"]),
        ("shift", 10, ["shift", "10", "0 to 9", "12 x 10"]),
    ],
)
def test_strengths_that_cannot_be_are_told(name, strength, words):
    for attempt in (
        lambda: corrupt(name, IMAGES, strength, 0, INDICES),
        lambda: Corrupted(stand_in.noise((3, 12, 10)), name, strength),
    ):
        with pytest.raises(StudyError) as error:
            attempt()
        message = str(error.value)
        assert all(word in message for word in words) and "\n" not in message and message.endswith("."), message


def test_a_corrupted_data_set_is_the_same_but_for_its_images():
    data = stand_in.digits()
    seen = Corrupted(data, "noise", 0.3, seed=2)
    indices = data.splits["probe"][:7]
    np.testing.assert_array_equal(seen.images(indices), corrupt("noise", data.images(indices), 0.3, 2, indices))
    np.testing.assert_array_equal(seen.labels, data.labels)
    assert (seen.name, seen.shape, seen.mean) == (data.name, data.shape, data.mean)
    others = [Corrupted(data, *how) for how in (("noise", 0.3, 3), ("noise", 0.2, 2), ("blur", 0.3, 2))]
    assert len({data.key, seen.key, *(other.key for other in others)}) == 5
    assert Corrupted(data, "noise", 0.3, 2).key == seen.key


def test_of_a_stored_data_set(tmp_path):
    from convergent import datasets

    how = {"train": 40, "validation": 9, "probe": 5, "seed": 0, "key": "k", "downloads": tmp_path}
    datasets.prepare("dead_leaves", tmp_path / "data", options={"count": 50, "size": 16}, **how)
    data = datasets.open_dataset(tmp_path / "data")
    seen = Corrupted(data, "inversion", 1)
    assert len(seen) == 50 and seen.scale == data.scale
    assert seen.sample_digest() != data.sample_digest()
    np.testing.assert_array_equal(seen.images(np.arange(3)), 255 - data.images(np.arange(3)))
