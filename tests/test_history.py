"""Histories are complete, and a floor is a floor."""

import numpy as np
import pytest

from convergent.errors import StudyError
from convergent.history import require_accuracy, require_epochs


def test_a_history_without_some_of_its_epochs_is_noticed():
    with pytest.raises(StudyError, match="does not tell of every epoch"):
        require_epochs("history.csv", ["0", "1", "2"], 3)
    require_epochs("history.csv", ["0", "1", "2", "3"], 3)


def test_the_floor_is_a_floor():
    require_accuracy("net1", 0.9, 0.9)
    for accuracy in (0.899, np.nan):
        with pytest.raises(StudyError, match="net1 ended with a validation accuracy"):
            require_accuracy("net1", accuracy, 0.9)
