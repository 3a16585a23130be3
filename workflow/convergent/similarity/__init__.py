"""Measures of similarity between the representations of two networks, from activations of the same samples.

Every measure is a function of two arrays (samples, units), an entry of `MEASURES`, and higher means more alike.
"""

from convergent.similarity import (
    calibration,
    canonical,
    cka,
    kernels,
    matchings,
    moments,
    neighbours,
    regression,
    rsa,
    shapes,
)
from convergent.similarity.factors import Representation
from convergent.similarity.folds import split_samples
from convergent.similarity.moments import of_statistics, relate
from convergent.similarity.registry import INVARIANCES, MEASURES, Measure, Undefined, measure, measure_named
from convergent.similarity.regression import dimension_universality

__all__ = [
    "INVARIANCES",
    "MEASURES",
    "Measure",
    "Representation",
    "Undefined",
    "calibration",
    "canonical",
    "cka",
    "dimension_universality",
    "kernels",
    "matchings",
    "measure",
    "measure_named",
    "moments",
    "neighbours",
    "of_statistics",
    "regression",
    "relate",
    "rsa",
    "shapes",
    "split_samples",
]
