"""What several test modules share."""

import numpy as np
import pytest


@pytest.fixture
def generator():
    return np.random.default_rng(20160228)


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items):
    """Where tests run side by side, those that look at one finished study share a process, and so the study.

    They come first, since they take longest, and after them what else runs the workflow.
    """

    def place(item) -> int:
        finished = "finished" in getattr(item, "fixturenames", ())
        if finished:
            item.add_marker(pytest.mark.xdist_group("finished"))
        return 0 if finished else 1 if item.path.name == "test_workflow.py" else 2

    items.sort(key=place)
