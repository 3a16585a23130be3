"""Assignments between the units of two networks, from any matrix of similarities.

Li et al. 2016, section 3.1: semi-matching gives each unit its best partner; matching is the one-to-one assignment
with the largest sum of similarities (maximum-weight bipartite matching).
"""

import numpy as np

from convergent.errors import StudyError


def bipartite_match(similarity: np.ndarray) -> np.ndarray:
    """One-to-one partners with the largest possible sum of similarities.

    Args:
        similarity: (units_x, units_y), finite.

    Returns:
        (units_x,) partner in y of each unit of x; -1 = unmatched, which happens only when x is wider than y.

    Raises:
        StudyError: the matrix is not two-dimensional or not finite.

    Source: Li et al. 2016, section 3.1; the solver is SciPy's.

    Examples:
        >>> bipartite_match(np.array([[0.9, 0.8], [0.7, 0.1]]))  # 0.8 + 0.7 is more than 0.9 + 0.1
        array([1, 0])
        >>> bipartite_match(np.array([[0.9], [0.7]]))
        array([ 0, -1])
    """
    # Importing it takes as long as a small job, and those that only read matchings never need it.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(checked(similarity), maximize=True)
    partners = np.full(similarity.shape[0], -1)
    partners[rows] = columns
    return partners


def semi_match(similarity: np.ndarray) -> np.ndarray:
    """Best partner in y of each unit of x (units_x,), several units may share one; the first of equals.

    Raises:
        StudyError: the matrix is not two-dimensional or not finite.

    Source: Li et al. 2016, section 3.1.

    Examples:
        >>> semi_match(np.array([[0.9, 0.8], [0.7, 0.1]]))
        array([0, 0])
    """
    return checked(similarity).argmax(axis=1)


def reversed_match(partners: np.ndarray, units_y: int) -> np.ndarray:
    """The same one-to-one matching seen from y: partner in x of each unit of y (units_y,), -1 = unmatched."""
    reverse = np.full(units_y, -1)
    matched = np.flatnonzero(partners >= 0)
    reverse[partners[matched]] = matched
    return reverse


def mutual_best(similarity: np.ndarray) -> np.ndarray:
    """Whether each unit of x (units_x,) is also the best partner of its own best partner in y."""
    best = semi_match(similarity)
    return semi_match(similarity.T)[best] == np.arange(len(best))


def values_of(similarity: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """Similarity of each unit of x to its partner (units_x,); NaN where unmatched (-1)."""
    values = similarity[np.arange(len(partners)), partners].astype(float)
    values[partners < 0] = np.nan
    return values


def checked(similarity: np.ndarray) -> np.ndarray:
    """The matrix itself; StudyError unless it is two-dimensional, not empty and finite."""
    similarity = np.asarray(similarity)
    if similarity.ndim != 2 or 0 in similarity.shape:
        raise StudyError(f"a similarity matrix has shape (units_x, units_y), but this one has {similarity.shape}.")
    if not np.isfinite(similarity).all():
        row, column = np.argwhere(~np.isfinite(similarity))[0]
        raise StudyError(f"the similarity of units {row} and {column} is {similarity[row, column]}, not a number.")
    return similarity
