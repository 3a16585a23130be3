"""Two runs of one study at once, and a job that outlives its workflow."""

import os
import signal
import subprocess
import time

import psutil
import pytest
import yaml
from small_study import COMMAND, CONFIG, RESULTS, copied, products, run, without_seconds

pytestmark = pytest.mark.reliability

# A user's own network, whose building waits in a job, while the file `hold` is there, for the file `release`.
WAITING = """
import os, sys, time
from torch import nn

def network(input_shape, classes):
    if "/.snakemake/scripts/" in sys.argv[0] and os.path.exists("hold"):
        open("waiting", "w").write(str(os.getpid()))
        while not os.path.exists("release"):
            time.sleep(0.05)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.ReLU(), nn.Linear(6, classes))
"""
HISTORY, WEIGHTS = RESULTS / "networks/net1/history.csv", RESULTS / "networks/net1/trained.safetensors"


def until(condition, seconds=600):
    """Wait for something; return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_the_second_of_two_runs_is_refused_and_the_first_ends_well(finished, spoiled):
    for made in ("groups/trained/fc1/1-1.csv", "tables/similarity.csv", "scores.csv", "claims.csv"):
        (spoiled / RESULTS / made).unlink()
    with open(spoiled / "first.txt", "w") as printed:
        first = subprocess.Popen(COMMAND, cwd=spoiled, stdout=printed, stderr=printed)
        until(lambda: list((spoiled / ".snakemake/locks").glob("*.lock")))
        second = run(spoiled, check=False)
        assert first.poll() is None, "too quick to be met"
        assert first.wait(600) == 0, (spoiled / "first.txt").read_text()
    assert "Directory cannot be locked" in second and "Traceback" not in second
    assert products(spoiled) == products(finished)


def set_up(folder, learning_rate):
    """The study of the waiting network in a folder."""
    if not folder.exists():
        copied(folder)
        (folder / "slow.py").write_text(WAITING)
    settings = yaml.safe_load(CONFIG.read_text()) | {"architecture": {"name": "slow:network"}}
    settings["activations"] = {"layers": ["1", "2"]}
    settings["training"]["learning_rate"] = learning_rate
    (folder / CONFIG.name).write_text(yaml.safe_dump(settings))
    return folder


@pytest.mark.parametrize("late", [True, False])
def test_a_job_that_outlives_its_workflow_is_not_taken_for_the_new_one(tmp_path, late):
    """It belongs to other settings, and ends after the new job, or before that begins."""
    fresh, folder = set_up(tmp_path / "fresh", 0.05), set_up(tmp_path / "study", 0.02)
    run(fresh, str(HISTORY))
    (folder / "hold").touch()
    main = subprocess.Popen([*COMMAND, str(HISTORY)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    orphan = psutil.Process(int(until(lambda: (folder / "waiting").exists() and (folder / "waiting").read_text())))
    os.kill(main.pid, signal.SIGKILL)
    main.wait()
    assert orphan.is_running()
    (folder / "hold").unlink()

    def let_it_end():
        (folder / "release").touch()
        until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE)

    if not late:
        let_it_end()
        assert (folder / WEIGHTS).read_bytes() != (fresh / WEIGHTS).read_bytes()
    set_up(folder, 0.05)
    run(folder, "--unlock")
    run(folder, str(HISTORY))
    if late:
        let_it_end()
    for path in (HISTORY, WEIGHTS):
        assert without_seconds(folder / path) == without_seconds(fresh / path)
    assert [path for path in (folder / RESULTS).rglob(".*") if path.suffix != ".seal"] == []
    # Whoever reads it accepts it.
    run(folder, f"{RESULTS}/activations/net1/trained/dump.json")
