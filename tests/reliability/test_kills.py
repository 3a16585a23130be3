"""Killed at random moments, again and again, a study ends with the same files."""

import csv
import os
import random
import shutil
import time
from pathlib import Path

import pytest
from small_study import RESULTS, copied, products, run, run_until

KILLS, SEED = 25, 20160228
EARLIEST = 2.0  # seconds: before that nothing has begun
COLUMNS = ("kill", "run", "seconds", "jobs", "done", "script", "lost")
# Where to write down every kill; docs/reliability.csv is such a file.
RECORD = os.environ.get("RELIABILITY_RECORD")

pytestmark = pytest.mark.reliability


def test_killed_at_random_moments_it_resumes_to_the_same_files(tmp_path):
    undisturbed, killed = (copied(tmp_path / name) for name in ("undisturbed", "killed"))
    began = time.time()
    run(undisturbed)
    longest = (time.time() - began) / 3
    expected = products(undisturbed)
    draws, rows, runs = random.Random(SEED), [], 0
    while len({row["kill"] for row in rows}) < KILLS:
        runs += 1
        shutil.rmtree(killed / "results", ignore_errors=True)
        total, left, ended = 0, 0, False
        while not ended:
            attempt = run_until(killed, draws.uniform(EARLIEST, longest))
            if attempt.planned:
                # Nothing that had ended is done again, but what ended while the workflow was killed.
                assert not total or attempt.planned <= left + 2, (attempt, left)
                total = total or attempt.planned
                left = attempt.planned - attempt.finished
            ended = attempt.ended
            if not ended:
                number = rows[-1]["kill"] + 1 if rows else 1
                done = total - left if total else 0
                place = {"kill": number, "run": runs, "seconds": f"{attempt.seconds:.1f}", "jobs": total, "done": done}
                hit = attempt.killed or {"": 0.0}  # nothing ran: between two jobs, or before the first
                rows += [{**place, "script": name, "lost": f"{lost:.1f}"} for name, lost in hit.items()]
                write(Path(RECORD or tmp_path / "kills.csv"), rows)
                run(killed, "--unlock")
        found = products(killed)
        assert found.keys() == expected.keys()
        assert [name for name in found if found[name] != expected[name]] == []
        assert [path for path in (killed / RESULTS).rglob(".*") if path.suffix != ".seal"] == []


def write(path, rows):
    """Write down the kills so far, a line for each job that was hit."""
    with open(path, "w", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
