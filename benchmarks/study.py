"""Where the wall time of the default study goes: work, starting jobs, waiting; and the memory of the largest job.

    python benchmarks/study.py [--cores 2] [--configfile FILE] [--directory FOLDER]

Runs the study in a temporary folder, or in one that stays. Work is what the scripts log as done; the rest of the cores'
time is starting interpreters, importing, scheduling, and cores without a job.
"""

import argparse
import csv
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--configfile", type=Path, default=ROOT / "config.yaml")
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args()
    with nullcontext(options.directory) if options.directory else tempfile.TemporaryDirectory() as folder:
        words = ["--snakefile", ROOT / "Snakefile", "--directory", folder, "--cores", options.cores, "--quiet", "all"]
        words += ["--workflow-profile", ROOT / "profiles/default", "--configfile", options.configfile.resolve()]
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "snakemake", *map(str, words)], check=True)
        wall = time.perf_counter() - started
        (study,) = Path(folder, "results").iterdir()
        jobs, memory = defaultdict(list), {}
        for path in sorted(study.glob("benchmarks/**/*.tsv")):
            name = path.relative_to(study / "benchmarks").with_suffix("")
            log = (study / "logs" / name).with_suffix(".log").read_text()
            with open(path) as handle:
                measured = next(csv.DictReader(handle, delimiter="\t"))
            rule = name.parts[0]
            jobs[rule].append((float(measured["s"]), float(re.search(r"done in ([\d.]+) s", log)[1])))
            # A job that ends between two samples has no reading.
            if measured["max_rss"] not in ("-", "NA"):
                memory[rule] = max(memory.get(rule, 0.0), float(measured["max_rss"]))
        disk = sum(path.stat().st_size for path in study.rglob("*") if path.is_file())

    print(f"{'rule':26} jobs   in all (s)   work (s)   largest memory (MiB)")
    for rule, times in sorted(jobs.items(), key=lambda item: -sum(total for total, _ in item[1])):
        total, work = (sum(column) for column in zip(*times, strict=True))
        print(f"{rule:26} {len(times):4} {total:12.1f} {work:10.1f} {memory.get(rule, float('nan')):22.0f}")
    available = wall * options.cores
    work = sum(work for times in jobs.values() for _, work in times)
    running = sum(total for times in jobs.values() for total, _ in times)
    print(f"wall time {wall:.1f} s on {options.cores} cores; results take {disk / 2**20:.0f} MiB")
    print(
        f"share of the cores' time: work {work / available:.0%}, starting jobs {(running - work) / available:.0%}, ",
        end="",
    )
    print(f"scheduling and cores without a job {1 - running / available:.0%}")
    print(f"  everything but work {1 - work / available:.0%} (goal: at most 40%)")


if __name__ == "__main__":
    main()
