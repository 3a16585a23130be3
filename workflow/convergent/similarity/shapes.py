"""Networks compared after the best rotation of either, or through what can be predicted from them.

Procrustes (Ding et al. 2021), shape metrics (Williams et al. 2021), GULP (Boix-Adsera et al. 2022), from moments.
"""

import numpy as np

from convergent.errors import StudyError
from convergent.similarity.factors import Representation
from convergent.similarity.moments import (
    axes,
    between_axes,
    nuclear_norm,
    quick_covariance,
    require_fewer_directions,
    total_variance,
)
from convergent.similarity.registry import ROTATIONS, measure


@measure(
    "procrustes",
    equation="|C|_* / sqrt(tr S_x tr S_y)",
    source="Schoenemann 1966; Ding et al. 2021",
    invariances=ROTATIONS,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def procrustes(x: Representation, y: Representation) -> float:
    """Cosine between x and y after the best rotation of either, both centred and of unit Frobenius norm.

    The squared Procrustes distance of the two is 2 - 2 times this.

    Raises:
        Undefined: no unit of x or of y varies.
    """
    scale = np.sqrt(total_variance(x) * total_variance(y))

    def compute() -> float:
        return nuclear_norm(quick_covariance(x, y))

    return (total_variance(x) if y is x else x.with_partner(y, "nuclear norm", compute)) / scale


@measure(
    "procrustes_angle",
    equation="1 - arccos(procrustes) / (pi / 2)",
    source="Williams et al. 2021, the angular shape metric",
    invariances=ROTATIONS,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def procrustes_angle(x: Representation, y: Representation) -> float:
    """The angle between x and y after the best rotation, which is a metric, as a similarity: 1 less its share of 90°.

    (1 - value) pi / 2 is the angle in radians. Raises as `procrustes` does.
    """
    # Rounding alone takes the cosine above 1.
    return float(1 - np.arccos(min(procrustes(x, y), 1.0)) / (np.pi / 2))


@measure(
    "shape",
    equation="|P_x C P_y|_* / sqrt(tr P_x S_x P_x tr P_y S_y P_y), P = alpha I + (1 - alpha) S^(-1/2)",
    source="Williams et al. 2021, section 2.3",
    invariances=ROTATIONS,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def shape(x: Representation, y: Representation, alpha: float = 0.5) -> float:
    """Cosine between x and y after partial whitening and the best rotation; its arccos is the generalised shape metric.

    Before whitening, each network is scaled to a mean variance of 1 along its principal axes, so that alpha means the
    same whatever the scale (Williams et al. leave the scale as it is). S^(-1/2) is zero where S is.

    Args:
        alpha: 1: no whitening, which is `procrustes`; 0: full whitening, with canonical correlations r_i
            sum r_i / sqrt(rank_x rank_y).

    Raises:
        StudyError: alpha is not within [0, 1].
        Undefined: no unit varies; or alpha is 0, and x or y spans all samples (see `cca_mean`).
    """
    if not 0 <= alpha <= 1:
        raise StudyError(f"alpha lies in [0, 1], but {alpha} was asked for.")
    scaled, lengths = between_axes(x, y), 1.0
    for axis, each in ((1, x), (0, y)):
        values = axes(each).variances
        if alpha == 0:
            require_fewer_directions(each, len(values))
        whitening = alpha + (1 - alpha) * np.sqrt(values.mean() / values)
        scaled = scaled * np.expand_dims(whitening, axis)
        lengths *= np.sum(values * whitening**2)
    return nuclear_norm(scaled) / np.sqrt(lengths)


@measure(
    "gulp",
    equation="2 tr(A_x C A_y C') / (tr (A_x S_x)^2 + tr (A_y S_y)^2), A = (S + penalty I)^(-1), tr S = 1",
    source="Boix-Adsera et al. 2022, section 3",
    invariances=ROTATIONS,
    symmetric=True,
    lowest=0.0,
    highest=1.0,
    needs="moments",
    cost="samples units^2",
)
def gulp(x: Representation, y: Representation, penalty: float = 1e-3) -> float:
    """How alike the ridge predictions from x and from y are, over all targets of unit length.

    With d the GULP distance, d^2 = tr (A_x S_x)^2 + tr (A_y S_y)^2 - 2 tr(A_x C A_y C'), the similarity is
    1 - d^2 / (tr (A_x S_x)^2 + tr (A_y S_y)^2). Both networks are centred and scaled to a total variance of 1 first.

    Args:
        penalty: of the ridge regression, above 0.

    Raises:
        StudyError: the penalty is not positive.
        Undefined: no unit of x or of y varies.
    """
    if not penalty > 0:
        raise StudyError(f"the penalty of GULP is above 0, but {penalty} was asked for.")
    between = between_axes(x, y)
    totals = axes(x).variances.sum(), axes(y).variances.sum()
    values_x, values_y = (axes(each).variances / total for each, total in zip((x, y), totals, strict=True))
    weights_x, weights_y = (1 / (values + penalty) for values in (values_x, values_y))
    shared = weights_x @ between**2 @ weights_y / (totals[0] * totals[1])
    own = sum(np.sum((values * weights) ** 2) for values, weights in ((values_x, weights_x), (values_y, weights_y)))
    return float(2 * shared / own)
