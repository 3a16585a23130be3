"""Measures of similarity between the representations of two networks, from activations of the same samples.

Every measure is a function of two arrays (samples, units), an entry of `MEASURES`, and higher means more alike.
"""

from convergent.similarity import calibration, kernels, neighbours, second_order
from convergent.similarity.factors import Representation
from convergent.similarity.registry import INVARIANCES, MEASURES, Measure, Undefined, measure, measure_named

__all__ = [
    "INVARIANCES",
    "MEASURES",
    "Measure",
    "Representation",
    "Undefined",
    "calibration",
    "kernels",
    "measure",
    "measure_named",
    "neighbours",
    "second_order",
]
