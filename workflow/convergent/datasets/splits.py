"""Which images train a network, which judge it, and which show what its units answer to.

Train and validation never share an image. As in Li et al. (2016), units are compared on the validation images
unless a smaller probe set is asked for.
"""

import numpy as np

from convergent.errors import StudyError


def split_sizes(
    name: str, found: dict[str, int], train: int | None, validation: int | None, probe: int | None
) -> tuple[int, int, int | None]:
    """The numbers of train, validation and probe images, None (all of it) resolved where it can be.

    Args:
        name: name of the data set, for the messages.
        found: number of images to train on (`train`) and in the official other part (`other`; 0: there is
            none, and the validation images are taken from the same images).
        train, validation: how many are asked for; None: all that are there.
        probe: how many of the validation images are the probe images; None: the validation images themselves.

    Raises:
        StudyError: more is asked for than is there, or nothing would be left.
    """
    pool, other = found["train"], found["other"]
    for split, size in (("train", train), ("validation", validation), ("probe", probe)):
        if size is not None and size < 1:
            raise StudyError(f"the data set {name} was asked for {size} {split} images: ask for at least 1.")
    if other:
        train, validation = (pool if train is None else train), (other if validation is None else validation)
        for split, size, most in (("train", train, pool), ("validation", validation, other)):
            if size > most:
                raise StudyError(
                    f"the data set {name} was asked for {size} {split} images, but its {split} part holds "
                    f"{most}: ask for at most {most}."
                )
    else:
        if train is None and validation is None:
            raise StudyError(
                f"the data set {name} has {pool} images and no official validation part: "
                "say how many of them are for validation."
            )
        validation = pool - train if validation is None else validation
        train = pool - validation if train is None else train
        if train < 1 or validation < 1 or train + validation > pool:
            raise StudyError(
                f"the data set {name} has {pool} images and no official validation part, so {train} train "
                f"and {validation} validation images do not fit: together they may be at most {pool}, and "
                "each at least 1."
            )
    if probe is not None and probe > validation:
        raise StudyError(
            f"the data set {name} was asked for {probe} probe images, which are drawn from its {validation} "
            f"validation images: ask for at most {validation}, or for more validation images."
        )
    return train, validation, probe


def draw_splits(
    name: str,
    found: dict[str, int],
    *,
    train: int | None,
    validation: int | None,
    probe: int | None,
    seed: int,
) -> dict[str, np.ndarray]:
    """Draw the images of each split; see `split_sizes` for the arguments and errors.

    A larger train or validation set of the same seed contains the smaller one (without an official validation
    part, as long as the validation size stays the same).

    Returns:
        train, validation, probe: sorted int64 indices; the official train part of a data set comes first.
    """
    n_train, n_validation, n_probe = split_sizes(name, found, train, validation, probe)
    pool, other = found["train"], found["other"]
    if other:
        train_order = _generator(seed, "train").permutation(pool)
        validation_order = pool + _generator(seed, "validation").permutation(other)
    else:
        order = _generator(seed, "all").permutation(pool)
        train_order, validation_order = order[n_validation:], order
    splits = {
        "train": np.sort(train_order[:n_train]).astype(np.int64),
        "validation": np.sort(validation_order[:n_validation]).astype(np.int64),
    }
    splits["probe"] = splits["validation"]
    if n_probe is not None:
        drawn = _generator(seed, "probe").permutation(n_validation)[:n_probe]
        splits["probe"] = splits["validation"][np.sort(drawn)]
    return splits


def _generator(seed: int, name: str) -> np.random.Generator:
    """The generator of one named draw; draws of different names are independent."""
    return np.random.default_rng([seed, *name.encode()])
