"""What the slow tests share: one finished study, and copies of it to spoil."""

import shutil

import pytest
from small_study import copied, run


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A folder in which the small study has run; not to be changed."""
    folder = copied(tmp_path_factory.mktemp("finished") / "study")
    run(folder)
    return folder


@pytest.fixture
def spoiled(finished, tmp_path):
    """A copy of it."""
    return shutil.copytree(finished, tmp_path / "study", symlinks=True)
