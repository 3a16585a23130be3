"""What every script does first and last: the log, the seals, and one sentence where something went wrong."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from convergent.errors import StudyError
from convergent.files import seal_of, written_whole
from scripts.job import logged


def job(folder, inputs=(), outputs=(), log="logs/mine.log"):
    """What Snakemake hands to a script."""
    return SimpleNamespace(rule="mine", log=[str(folder / log)], input=list(inputs), output=list(outputs))


def test_what_a_job_prints_is_in_its_log_and_what_it_writes_is_sealed(tmp_path):
    path = tmp_path / "out" / "a.csv"
    with logged(job(tmp_path, outputs=[path])), written_whole(path) as partial:
        partial.write_text("x\n")
        print("halfway")
    assert "halfway" in (tmp_path / "logs/mine.log").read_text()
    assert len(seal_of(path).read_text()) == 64
    path.write_text("y\n")
    with pytest.raises(SystemExit) as end, logged(job(tmp_path, inputs=[path])):
        raise AssertionError("a damaged file is not to be read")
    assert end.value.code == 1
    assert f"Error: {path} is not as it was written" in (tmp_path / "logs/mine.log").read_text()


@pytest.mark.parametrize(
    ("error", "sentence", "traced"),
    [
        (StudyError("the sky is green: look again."), "Error: the sky is green: look again.", False),
        (ValueError("x\ny"), "Error: mine failed, ValueError: x (details: ", True),
    ],
)
def test_a_failed_job_ends_with_one_sentence(tmp_path, error, sentence, traced):
    with pytest.raises(SystemExit) as end, logged(job(tmp_path)):
        raise error
    text = (tmp_path / "logs/mine.log").read_text()
    assert end.value.code == 1 and text.splitlines()[-1].startswith(sentence)
    assert ("Traceback" in text) == traced


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_where_not_even_the_log_can_be_written_the_terminal_is_told(capsys):
    with pytest.raises(SystemExit) as end, logged(job(Path("/dev"), log="full")):
        raise AssertionError("never reached")
    assert end.value.code == 1
    sentence = "/dev/full cannot be written (No space left on device): free space on the disk and run the study again."
    assert capsys.readouterr().err == f"Error: {sentence}\n"


def test_the_streams_are_given_back(tmp_path):
    before = sys.stdout, sys.stderr
    with logged(job(tmp_path)):
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr) == before
