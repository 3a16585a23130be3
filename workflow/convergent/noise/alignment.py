"""Alignment of the members of an ensemble: measures of their hidden layers, and the correlation of their outputs.

Umar & Laio 2026; only the abstract's claims are known, and it does not say which measure: these are the registry's.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from convergent.similarity import Representation, Undefined, measure_named, relate

LINEAR_MEASURES = (
    "cka_linear",
    "procrustes",
    "affine_r2",
    "mutual_knn",
    "information_imbalance",
    "permutation_correlation",
    "semi_matching",
)
# Rectified units may all be silent, and a sample that is zero in every unit has no cosine.
RECTIFIED_MEASURES = tuple("mutual_knn_euclidean" if name == "mutual_knn" else name for name in LINEAR_MEASURES)
OUTPUT = "output_correlation"


class Value(NamedTuple):
    """A number, and where it lacks something the reason."""

    value: float
    reason: str = ""


def alignments(
    hidden: Sequence[np.ndarray], outputs: Sequence[np.ndarray], measures: Iterable[str]
) -> dict[str, Value]:
    """Every measure of the hidden layers and the correlation of the outputs, means over all pairs of members.

    A measure that is not symmetric is taken in both directions. A pair without a value is left out of the mean and
    named in the reason; without any pair the value is NaN.

    Args:
        hidden: of each member (samples, units), of the same samples.
        outputs: of each member (samples, outputs).
        measures: names in the registry.

    Raises:
        StudyError: a measure is unknown, or a value is not finite.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(50, 4))
        >>> alignments([x, x[:, ::-1]], [x, -x], ["cka_linear"])["cka_linear"].value > 1 - 1e-9
        True
    """
    found: dict[str, list[Value]] = {name: [] for name in (*measures, OUTPUT)}
    known = {name: measure_named(name) for name in found if name != OUTPUT}
    networks = [Representation(values, f"member {number}") for number, values in enumerate(hidden)]
    relate(networks)
    for a, b in combinations(range(len(networks)), 2):
        for name, measure in known.items():
            directions = [(a, b)] if measure.symmetric else [(a, b), (b, a)]
            try:
                value = Value(float(np.mean([measure(networks[i], networks[j]) for i, j in directions])))
            except Undefined as undefined:
                value = Value(np.nan, str(undefined))
            found[name].append(value)
        found[OUTPUT].append(output_correlation(outputs[a], outputs[b]))
    return {name: mean(values) for name, values in found.items()}


def output_correlation(x: np.ndarray, y: np.ndarray) -> Value:
    """Mean over outputs of the correlation over samples of two networks' outputs (samples, outputs).

    Outputs that do not vary in either network are left out; NaN if there is no other.

    Examples:
        >>> x = np.arange(6.0).reshape(3, 2)
        >>> output_correlation(x, 3 * x + 1).value
        1.0
    """
    x, y = (values - values.mean(axis=0) for values in (np.asarray(x, dtype=float), np.asarray(y, dtype=float)))
    scales = np.sqrt(np.square(x).sum(axis=0) * np.square(y).sum(axis=0))
    live = scales > 0
    if not live.any():
        return Value(np.nan, "no output varies over the samples in both networks.")
    return Value(float(((x * y).sum(axis=0)[live] / scales[live]).mean()))


def mean(values: Sequence[Value]) -> Value:
    """Mean of those that are defined; the reason says how many are not, and why the first is not."""
    numbers = np.array([one.value for one in values], dtype=float)
    missing = np.isnan(numbers)
    if not missing.any():
        return Value(float(numbers.mean()))
    reason = f"{missing.sum()} of {len(values)} pairs have no value: {values[int(np.argmax(missing))].reason}"
    return Value(float(numbers[~missing].mean()) if not missing.all() else np.nan, reason)


def rows(n: int, repetition: int, snr: float, values: Mapping[str, Value | float]) -> list[dict]:
    """Rows of n, repetition, snr, measure, value and reason, one for each of the values."""
    entries = {name: value if isinstance(value, Value) else Value(float(value)) for name, value in values.items()}
    place = {"n": int(n), "repetition": int(repetition), "snr": float(snr)}
    return [place | {"measure": name} | entry._asdict() for name, entry in entries.items()]
