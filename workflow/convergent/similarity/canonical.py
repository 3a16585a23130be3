"""Canonical correlations of two networks and their means: CCA, SVCCA, PWCCA.

Hotelling 1936; Raghu et al. 2017; Morcos et al. 2018. All from moments: r_i are the singular values of
S_x^(-1/2) C S_y^(-1/2).
"""

from typing import NamedTuple

import numpy as np

from convergent.errors import StudyError
from convergent.similarity.factors import Representation
from convergent.similarity.moments import axes, between_axes, nuclear_norm, remember, require_fewer_directions
from convergent.similarity.registry import LINEAR, ROTATIONS, measure


class Canonical(NamedTuple):
    """Canonical correlations of two networks, the largest first, and where they lie in x."""

    correlations: np.ndarray  # (directions,) min(rank_x, rank_y) of them
    directions: np.ndarray  # (rank_x, directions) orthonormal columns, in whitened principal axes of x


def whitened(x: Representation, y: Representation) -> np.ndarray:
    """Correlations (rank_x, rank_y) of the principal components of x with those of y.

    Raises:
        Undefined: the units of either can take any values on these samples.
    """
    between = between_axes(x, y)
    require_fewer_directions(x, len(axes(x).variances))
    require_fewer_directions(y, len(axes(y).variances))
    return between / np.sqrt(np.outer(axes(x).variances, axes(y).variances))


def canonical(x: Representation, y: Representation) -> Canonical:
    """Canonical correlations; those below about 1e-8 are not told from 0.

    Raises:
        Undefined: see `whitened`.
    """

    def compute() -> Canonical:
        matrix = whitened(x, y)
        squares, vectors = np.linalg.eigh(matrix @ matrix.T)
        chosen = np.arange(len(squares))[::-1][: min(matrix.shape)]
        # Rounding alone makes the square of a correlation negative.
        return Canonical(np.sqrt(np.maximum(squares[chosen], 0.0)), vectors[:, chosen])

    return remember((x, y), "canonical", compute, unordered=True)


@measure(
    "cca_mean",
    equation="sum of r_i / min(rank_x, rank_y), r_i the singular values of S_x^(-1/2) C S_y^(-1/2)",
    source="Hotelling 1936; Raghu et al. 2017",
    invariances=LINEAR,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def cca_mean(x: Representation, y: Representation) -> float:
    """Mean canonical correlation, over as many as the network of lower rank has.

    Raises:
        Undefined: no unit varies, or x or y has as many independent directions as centred samples have: every
            correlation would be 1 whatever the activations. From rank_x + rank_y >= samples on some are 1 by
            construction; use several times more samples than units.

    Directions with less than 1e-12 of the largest variance are taken for rounding and left out.

    Source: Raghu et al. 2017. Not the mean over correlations up to 98 % of their sum that google/svcca returns.
    """
    return float(canonical(x, y).correlations.mean())


@measure(
    "cca_mean_squared",
    equation="|S_x^(-1/2) C S_y^(-1/2)|_F^2 / min(rank_x, rank_y)",
    source="Kornblith et al. 2019, table 1, R^2_CCA",
    invariances=LINEAR,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def cca_mean_squared(x: Representation, y: Representation) -> float:
    """Mean squared canonical correlation (Yanai's measure); raises as `cca_mean` does."""
    matrix = whitened(x, y)
    return float(np.vdot(matrix, matrix) / min(matrix.shape))


@measure(
    "svcca",
    equation="cca_mean of the principal components that hold 99 % of the variance of each network",
    source="Raghu et al. 2017",
    invariances=ROTATIONS,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def svcca(x: Representation, y: Representation, variance: float = 0.99) -> float:
    """Mean canonical correlation between the widest principal components of either network.

    Args:
        variance: smallest share of the variance that is kept, in (0, 1].

    Raises:
        StudyError: the share is out of range.
        Undefined: as in `cca_mean`, of the components kept.

    Source: Raghu et al. 2017. ReSi's implementation (2025) keeps a single component.
    """
    if not 0 < variance <= 1:
        raise StudyError(f"a share of the variance lies in (0, 1], but {variance} was asked for.")
    kept, between = [], between_axes(x, y)
    for each in (x, y):
        share = np.cumsum(axes(each).variances) / axes(each).variances.sum()
        kept.append(min(int(np.searchsorted(share, variance)) + 1, len(share)))
        require_fewer_directions(each, kept[-1])
    scale = np.sqrt(np.outer(axes(x).variances[: kept[0]], axes(y).variances[: kept[1]]))
    matrix = between[: kept[0], : kept[1]] / scale
    return nuclear_norm(matrix) / min(matrix.shape)


@measure(
    "pwcca",
    equation="sum a_i r_i / sum a_i, a_i = sum_j |<h_i, x_j>|, h_i the canonical variates and x_j the units of x",
    source="Morcos et al. 2018, section 2.2",
    invariances=("permutation", "isotropic_scaling", "translation"),
    symmetric=False,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def pwcca(x: Representation, y: Representation) -> float:
    """Canonical correlations weighted by how much of x each accounts for; directed.

    The weights add absolute values over the units of x, so that a rotation of x changes them; any invertible map of y
    leaves the value as it is. Raises as `cca_mean` does.

    Source: Morcos et al. 2018, the definition in the paper. google/svcca and its copies (ReSi, RTD, contrasim) apply
    the coefficients without whitening them and add the means back, so that their values change when x is shifted or
    its units are permuted; anatome makes the coefficients orthonormal, not the variates, and does not centre x.
    """
    found, own = canonical(x, y), axes(x)
    weights = np.abs((own.directions * np.sqrt(own.variances)) @ found.directions).sum(axis=0)
    return float(weights @ found.correlations / weights.sum())
