"""What several test modules share."""

import numpy as np
import pytest


@pytest.fixture
def generator():
    return np.random.default_rng(20160228)


def pytest_itemcollected(item):
    """Where tests run side by side, those that look at one finished study share a process, and so the study."""
    if "finished" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.xdist_group("finished"))


def pytest_collection_modifyitems(items):
    """Tests that run the workflow come first, since they take longest; first of them those of one finished study."""
    items.sort(key=lambda item: (item.path.name != "test_workflow.py", not list(item.iter_markers("xdist_group"))))
