"""Which samples belong together when a regression is fitted on some of them and judged on the others."""

import hashlib
from typing import NamedTuple

import numpy as np

from convergent.errors import StudyError
from convergent.similarity.registry import Undefined

FOLDS = 5


class Split(NamedTuple):
    """Which fold each sample belongs to."""

    name: str
    labels: np.ndarray  # (samples,) 0 ... folds - 1
    folds: int


def split_samples(samples: int, folds: int | np.ndarray) -> Split:
    """Which fold each sample belongs to.

    Args:
        folds: their number: folds of equal size (to within one), drawn with a fixed seed; or the fold of each sample
            (samples,), any integers: with it, samples that belong together can stay together.

    Raises:
        StudyError: there are fewer than two folds, or not one label per sample.
        Undefined: there are more folds than samples.
    """
    if np.ndim(folds) == 0:
        if folds > samples:
            raise Undefined(f"{samples} samples can be divided into 2 to {samples} folds, but {folds} were asked for.")
        if folds < 2:
            raise StudyError(f"samples are divided into at least 2 folds, but {folds} were asked for.")
        return Split(f"{folds} folds", np.random.default_rng(0).permutation(samples) % folds, int(folds))
    names, labels = np.unique(np.asarray(folds), return_inverse=True)
    if labels.shape != (samples,) or len(names) < 2:
        raise StudyError(f"folds have one label for each of {samples} samples, and at least two different ones.")
    return Split(f"folds {hashlib.sha256(labels.astype(np.int64).tobytes()).hexdigest()}", labels, len(names))
