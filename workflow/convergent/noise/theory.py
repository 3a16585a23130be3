"""What alignment of linear networks to expect: averages over the noise of minimum-norm least squares.

Umar & Laio 2026; only the abstract's claims are known, the protocol is a reconstruction and this derivation is ours.
Inputs x ~ N(0, I_d), targets y = W* x with orthonormal rows of W*, n samples, noise of variance 1 / snr. All functions
broadcast n against snr. The threshold is n = d: within one sample of it the averages do not exist, and their limit
stands in for them.
"""

from typing import NamedTuple

import numpy as np

UNRELIABLE = 3  # samples from the threshold within which second moments of the noise do not exist


class Limits(NamedTuple):
    """Alignment with input noise at the ends and at the threshold."""

    few: np.ndarray  # n -> 0: networks share their inputs, and no noise is amplified yet
    threshold: np.ndarray  # n -> d
    many: np.ndarray  # n -> infinity


def amplification(n: np.ndarray | float, d: int) -> np.ndarray:
    """How much noise fills the weights: g = d / (d - n - 1) below, d / (n - d - 1) above the threshold, else infinite.

    The squared norm of the noise in the weights over that of the signal is g / snr. From the mean of an inverse
    Wishart matrix.

    Examples:
        >>> amplification(np.array([49, 100, 201]), 100).tolist()
        [2.0, inf, 1.0]
    """
    distance = np.abs(np.asarray(n, dtype=float) - d) - 1
    return np.where(distance > 0, d / np.where(distance > 0, distance, 1), np.inf)


def cosine(n: np.ndarray | float, snr: np.ndarray | float, d: int) -> np.ndarray:
    """F = 1 / (1 + g / snr): expected cosine of the end-to-end maps of two networks, input or label noise."""
    return 1 / (1 + amplification(n, d) / np.asarray(snr, dtype=float))


def alignment(n: np.ndarray | float, snr: np.ndarray | float, d: int) -> np.ndarray:
    """A = (1 + g / snr)^(-2): expected linear CKA of hidden layers with input noise, for few outputs.

    The directions of the noise differ between the networks, so that nothing of it is shared.

    Examples:
        >>> alignment(49, np.array([1.0, 2.0, 1e9]), 100).round(2).tolist()
        [0.11, 0.25, 1.0]
    """
    return cosine(n, snr, d) ** 2


def label_alignment(n: np.ndarray | float, snr: np.ndarray | float, d: int) -> np.ndarray:
    """Expected linear CKA of hidden layers with label noise on inputs that all networks share, for one output.

    A = (a^2 + 2 b c + b^2 t2) / (a + b t1)^2 with a = min(n / d, 1), b = 1 / snr, t1 = tr G, t2 = tr G^2 and
    c = E[w*' G w*] of the pseudo-inverse G of X'X. The noise of all networks is amplified in the same directions: even
    where it is all there is, networks stay alike. A ratio of averages, so an estimate: good within about 0.02 at more
    than a tenth of d from the threshold, too high nearer to it, and NaN within three samples.
    """
    n, b = np.broadcast_arrays(np.asarray(n, dtype=float), 1 / np.asarray(snr, dtype=float))
    distance = np.abs(n - d)
    valid = distance > UNRELIABLE
    distance = np.where(valid, distance, UNRELIABLE + 1)
    below = n < d
    rank, other = np.where(below, n, d), np.where(below, d, n)
    first = rank / (distance - 1)
    second = rank * (other - 1) / (distance * (distance - 1) * (distance - UNRELIABLE))
    along = first / d
    signal = np.minimum(n / d, 1)
    value = (signal**2 + 2 * b * along + b**2 * second) / (signal + b * first) ** 2
    return np.where(valid, value, np.nan)


def label_error(n: np.ndarray | float, snr: np.ndarray | float, d: int) -> np.ndarray:
    """Expected test error per output of unit variance, with label noise: what is not seen, plus amplified noise.

    1 - n / d + n / ((d - n - 1) snr) below, d / ((n - d - 1) snr) above the threshold, infinite at it. Above it the
    alignment with input noise at the same ratio is (1 + error)^(-2); below it error and alignment part.

    Examples:
        >>> label_error(201, 4.0, 100).item()
        0.25
    """
    n = np.asarray(n, dtype=float)
    return np.maximum(1 - n / d, 0) + np.minimum(n / d, 1) * amplification(n, d) / np.asarray(snr, dtype=float)


def limits(snr: np.ndarray | float) -> Limits:
    """Alignment with input noise for very few samples (snr / (1 + snr))^2, at the threshold 0, and for very many 1."""
    snr = np.asarray(snr, dtype=float)
    return Limits((snr / (1 + snr)) ** 2, np.zeros_like(snr), np.ones_like(snr))


def population_cka(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Linear CKA of two linear hidden layers over all isotropic inputs: tr(Q_x Q_y) / (|Q_x| |Q_y|), Q = A'A.

    Args:
        x, y: first-layer weights A (..., units, inputs); leading axes broadcast.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(3, 5))
        >>> bool(np.isclose(population_cka(x, 2 * x[::-1]), 1))
        True
    """

    def squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """tr(A'A B'B) = |A B'|^2."""
        return np.square(a @ b.swapaxes(-1, -2)).sum(axis=(-1, -2))

    return squared(x, y) / np.sqrt(squared(x, x) * squared(y, y))
