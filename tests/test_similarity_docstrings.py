"""Examples in the docstrings of the library's public functions: each has one, and it does what it says."""

import doctest
from importlib import import_module

import numpy as np
import pytest

EXAMPLES = {
    "clustering": ["spectral_clusters"],
    "matching": ["bipartite_match", "semi_match"],
    "mutual_information": ["mutual_information"],
    "similarity.calibration": ["calibrate", "calibrate_maximum"],
    "similarity.factors": ["Representation"],
    "similarity.moments": ["of_statistics", "relate"],
    "similarity.registry": ["Measure.__call__", "measure_named"],
    "similarity.regression": ["dimension_universality"],
    "sparse_mapping": ["lasso_path"],
    "statistics": ["correlation"],
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_do_what_they_say(name):
    module = import_module(f"convergent.{name}")
    tests = doctest.DocTestFinder().find(module, name, extraglobs={"np": np})
    found = {test.name: test for test in tests if test.examples}
    shown = sorted(key.removeprefix(f"{name}.") for key in found)
    assert shown == sorted(EXAMPLES[name])
    runner = doctest.DocTestRunner(verbose=False)
    for test in found.values():
        assert runner.run(test).failed == 0, test.name
