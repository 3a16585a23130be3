"""Random draws that are named by what they belong to, and by nothing else.

Whatever is compared shares its draws (common random numbers): in the study of noise one set of training inputs,
directions of noise and initial weights serves all ratios, so that a difference is one of the noise's strength alone.
"""

import numpy as np

from convergent.files import digest


def generator(*names: str | int) -> np.random.Generator:
    """Generator of the draws called by these names: a protocol, a seed, a repetition, a size, a member.

    Examples:
        >>> float(generator("linear", 0, 1).normal()) == float(generator("linear", 0, 1).normal())
        True
        >>> float(generator("linear", 0, 1).normal()) == float(generator("linear", 0, 2).normal())
        False
    """
    return np.random.default_rng(int(digest(*names), 16))


def orthonormal(rows: int, columns: int, draws: np.random.Generator) -> np.ndarray:
    """Matrix (rows, columns) with orthonormal columns, or rows if they are fewer; every one is equally likely."""
    if rows < columns:
        return orthonormal(columns, rows, draws).T
    orthogonal, triangular = np.linalg.qr(draws.normal(size=(rows, columns)))
    return orthogonal * np.sign(np.diag(triangular))
