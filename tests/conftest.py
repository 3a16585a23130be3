"""What several test modules share."""

import numpy as np
import pytest


@pytest.fixture
def generator():
    return np.random.default_rng(20160228)


def pytest_collection_modifyitems(items):
    """Files that run the workflow come first, since they take longest where files are tested side by side."""
    items.sort(key=lambda item: not item.path.name.startswith("test_workflow"))
