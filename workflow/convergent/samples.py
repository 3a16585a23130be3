"""Reading activations block by block, so that memory is bounded by a block and not by the number of samples."""

from collections.abc import Iterator, Mapping

import numpy as np

ROWS_PER_BLOCK = 4096


def blocks(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover range(count) in order."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def first_not_finite(networks: Mapping[str, np.ndarray]) -> str:
    """Sentence that names the first network and unit with a value that is NaN or infinite."""
    for name, values in networks.items():
        for rows in blocks(len(values), ROWS_PER_BLOCK):
            bad = np.flatnonzero(~np.isfinite(values[rows]).all(axis=0))
            if len(bad):
                return f"unit {bad[0]} of {name} has NaN or infinite activations: check that network's training."
    return "activations contain NaN or infinite values."
