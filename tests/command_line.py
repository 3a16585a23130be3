"""Running the workflow as its users do: from the command line, in a folder of its own."""

import csv
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "config.yaml", "envs", "profiles", "workflow")
SNAKEMAKE = (sys.executable, "-m", "snakemake")
CONFIG = Path(__file__).with_name("reduced.yaml")
RESULTS = Path("results/reduced")


def snakemake(folder, *words, config=CONFIG, check=True, **changes):
    """Run snakemake in a folder, some keys of the config changed; returns everything it printed."""
    configured = []
    if config:
        # The changed study is the same study edited, so it keeps the path of its config.
        settings = yaml.safe_load(Path(config).read_text())
        for name, value in changes.items():
            settings[name] = {**settings.get(name, {}), **value} if isinstance(value, dict) else value
        path = Path(folder) / Path(config).name
        path.write_text(yaml.safe_dump(settings))
        configured = ["--configfile", str(path)]
    done = subprocess.run(
        [*SNAKEMAKE, "--cores", "2", *words, *configured],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert not check or done.returncode == 0, done.stdout
    assert check or done.returncode != 0, done.stdout
    return done.stdout


def planned(folder, *words, **options):
    """Rule -> number of jobs that a dry run plans."""
    printed = snakemake(folder, "--dry-run", *words, **options)
    return Counter({rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE)})


def copy_workflow(folder):
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / part)
    return folder


def rows(path):
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))
