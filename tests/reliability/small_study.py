"""The study in `small.yaml`, which has every stage and takes a minute: copied, run, killed, compared."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "config.yaml", "envs", "profiles", "workflow")
CONFIG = Path(__file__).with_name("small.yaml")
RESULTS = Path("results/small")
COMMAND = (sys.executable, "-m", "snakemake", "--configfile", CONFIG.name, "--cores", "2")
# What differs between two runs of the same study: when and on what it was run.
OF_THE_RUN = ("logs", "benchmarks", "provenance.json")


def copied(folder: Path) -> Path:
    """The workflow and the config in a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / part, folder / part)
    shutil.copy2(CONFIG, folder)
    return folder


def run(folder: Path, *words: str, check: bool = True, **options) -> str:
    """Run the study to its end; returns what the user sees."""
    done = subprocess.run(
        [*COMMAND, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    assert (done.returncode == 0) == check, done.stdout
    return done.stdout


@dataclass
class Attempt:
    """A run of the study that was killed after some seconds, or had ended before."""

    seconds: float
    ended: bool
    planned: int  # jobs
    finished: int
    killed: dict[str, float] = field(default_factory=dict)  # script -> seconds that its job had run


def run_until(folder: Path, seconds: float) -> Attempt:
    """Start the study and kill it with all its jobs after some seconds."""
    printed = folder / "printed.txt"
    with open(printed, "w") as output:
        began = time.time()
        main = subprocess.Popen(COMMAND, cwd=folder, stdout=output, stderr=output, start_new_session=True)
        try:
            main.wait(seconds)
        except subprocess.TimeoutExpired:
            family = psutil.Process(main.pid).children(recursive=True)
            killed = jobs_among(family)
            os.killpg(main.pid, signal.SIGKILL)
            for process in family:  # one that left the group
                if process.is_running():
                    process.kill()
            main.wait()
        else:
            killed = {}
            assert main.returncode == 0, printed.read_text()
    text = printed.read_text()
    planned = re.search(r"^total +(\d+)$", text, re.MULTILINE)
    return Attempt(
        seconds=time.time() - began,
        ended=main.returncode == 0,
        planned=int(planned[1]) if planned else 0,
        finished=len(re.findall(r"^Finished jobid", text, re.MULTILINE)),
        killed=killed,
    )


def jobs_among(processes: list[psutil.Process]) -> dict[str, float]:
    """Scripts that are running, and for how many seconds."""
    found = {}
    for process in processes:
        try:
            words = process.cmdline()
            name = re.fullmatch(r".*/scripts/tmp[^.]*\.(\w+)\.py", words[1]) if len(words) > 1 else None
            if name and "python" in words[0]:
                found[name[1]] = time.time() - process.create_time()
        except psutil.Error:  # it has just ended
            continue
    return found


def products(folder: Path) -> dict[str, bytes]:
    """Every file of the results that another run must give again: path -> content.

    Seals are not among them, nor is how long epochs took.
    """
    results = folder / RESULTS
    paths = (path.relative_to(results) for path in sorted(results.rglob("*")) if path.is_file())
    kept = (path for path in paths if path.parts[0] not in OF_THE_RUN and path.suffix != ".seal")
    return {path.as_posix(): without_seconds(results / path) for path in kept}


def without_seconds(path: Path) -> bytes:
    """The content of a file, without the column of seconds if it is a table that has one."""
    content = path.read_bytes()
    if path.suffix == ".csv" and b"seconds" in content.partition(b"\n")[0]:
        with open(path, newline="") as handle:
            table = [
                {name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(handle)
            ]
        return repr(table).encode()
    return content
