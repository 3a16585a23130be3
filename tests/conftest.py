"""What several test modules share."""

import numpy as np
import pytest


@pytest.fixture
def generator():
    return np.random.default_rng(20160228)


def pytest_collection_modifyitems(items):
    """Where tests run side by side, those that look at one finished study share a process, and so the study."""
    for item in items:
        if "finished" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("finished"))
