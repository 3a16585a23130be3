"""Every benchmark with the sizes that the documentation shows, one after another; its table, figure and page.

    python benchmarks/all.py [--quick | --large]

Each runs in a process of its own on one thread (or says how many). Writes docs/benchmarks.csv, docs/benchmarks.md and
docs/figures/benchmarks.png; --quick only prints.
"""

import argparse
import csv
import os
import platform
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from convergent.figures import style

ROOT = Path(__file__).parents[1]
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "numba")
# Script -> options of a quick run.
SCRIPTS = {
    "alignment": ["--units", "64", "--samples", "1000"],
    "mutual_information": ["--units", "64", "--samples", "1000", "--pairs", "20"],
    "sparse_mapping": ["--units", "64", "--samples", "1000"],
    "similarity": ["--units", "64", "--samples", "1000", "--repeats", "1"],
    "similarity_samples": ["--units", "64", "--samples", "1000", "--rsa-samples", "500", "--draws", "20"],
    "training": ["--networks", "1", "4", "--repeats", "1", "--only", "default study"],
    "noise": ["--samples", "10", "--steps", "50", "--repeats", "1"],
    "dynamics": ["--settings", "narrow", "--steps", "3", "--repeats", "1"],
}


def machine() -> str:
    """Processor, cores and versions, as they are called here."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line.split(":", 1)[1].strip() for line in information.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES if installed(name))
    return f"{os.cpu_count()} cores of {model}; Python {platform.python_version()}, {packages}"


def installed(package: str) -> bool:
    try:
        return bool(version(package))
    except ImportError:
        return False


def drawn(rows: list[dict]) -> Figure:
    """How many times faster, or slower, each computation is than its peer."""
    rows = sorted(rows, key=lambda row: float(row["theirs"]) / float(row["ours"]))
    figure, (axis,) = style.panels(1, width=11, height=0.9 + 0.21 * len(rows))
    ratios = [float(row["theirs"]) / float(row["ours"]) for row in rows]
    places = np.arange(len(rows))
    colours = [style.BLUE if ratio >= 1 else style.VERMILION for ratio in ratios]
    axis.barh(places, np.log10(ratios), color=colours, height=0.7)
    for place, ratio in zip(places, ratios, strict=True):
        side = "left" if ratio >= 1 else "right"
        axis.annotate(
            f" {ratio:,.0f} " if ratio >= 100 else f" {ratio:.3g} ",
            (np.log10(ratio), place),
            ha=side,
            va="center",
            fontsize=7,
        )
    # Versions are in the table.
    peers = [re.sub(r" \d+\.[\w.+]*", "", row["peer"]) for row in rows]
    names = [f"{row['what']}, {row['size']} | {peer}" for row, peer in zip(rows, peers, strict=True)]
    axis.set_yticks(places, names, fontsize=6)
    axis.axvline(0, color=style.BLACK, linewidth=0.8)
    low, high = min(np.log10(min(ratios)), 0), np.log10(max(ratios))
    axis.set_xlim(low - 0.5, high + 0.6)
    axis.xaxis.set_major_formatter(lambda value, _: f"{10**value:g}")
    axis.set(xlabel="times faster than the peer", title="Against what people would use instead", ylim=(-0.7, len(rows)))
    axis.grid(axis="y", visible=False)
    return figure


def page(rows: list[dict], rates: list[dict]) -> str:
    """The tables in Markdown."""
    lines = [
        "# Benchmarks",
        "",
        f"Made by `python benchmarks/all.py` on {machine()}. Both sides of a row were timed in one run, in turn; "
        "machines differ, so read ratios. *Difference* is the largest between the two answers.",
        "",
        "![Against what people would use instead](figures/benchmarks.png)",
        "",
        "| computation | size | peer | threads | precision | ours (s) | theirs (s) | times faster | difference |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ours, theirs, apart = (float(row[name]) for name in ("ours", "theirs", "difference"))
        numbers = (f"{ours:.3g}", f"{theirs:.3g}", f"{theirs / ours:.3g}", "" if np.isnan(apart) else f"{apart:.1e}")
        cells = [row[name] for name in ("what", "size", "peer", "threads", "precision")]
        lines.append(f"| {' | '.join((*cells, *numbers))} |")
    lines += [
        "",
        "Every stage for one pair of networks on one thread. *Share* is of the rate of a float32 matrix product, which "
        "a stage's own products reach; the rest is reading, converting, binning, sorting. Products of bytes can pass "
        "it. Where fewer samples were run than a size has, seconds are computed from those.",
        "",
        "| stage | units | samples | run | seconds | share |",
        "|---|---|---|---|---|---|",
    ]
    for row in rates:
        share, taken = float(row["share_of_rate"]), float(row["seconds"])
        cells = [row[name] for name in ("stage", "units", "samples", "samples_run")]
        lines.append(f"| {' | '.join(cells)} | {taken:.3g} | {'' if np.isnan(share) else f'{share:.0%}'} |")
    lines += ["", "![Growth of every stage](figures/stage_growth.png)", ""]
    return "\n".join(lines)


def read(path: Path) -> list[dict]:
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes; writes nothing")
    parser.add_argument("--large", action="store_true", help="stages of 4,096 units and 100,000 samples, too (longer)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table, rates = Path(folder, "benchmarks.csv"), Path(folder, "rates.csv")
        chosen = [f"--{size}" for size in ("quick", "large") if getattr(options, size)]
        further = ["--table", str(rates), *chosen]
        commands = [[name, *(small if options.quick else []), "--table", str(table)] for name, small in SCRIPTS.items()]
        for name, *words in [*commands, ["rates", *further]]:
            print(f"--- {name}", flush=True)
            subprocess.run([sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *words], check=True)
        rows = read(table)
        if not options.quick:
            docs = ROOT / "docs"
            (docs / "benchmarks.csv").write_text(table.read_text())
            (docs / "benchmarks.md").write_text(page(rows, read(rates)))
            style.save(drawn(rows), [docs / "figures" / "benchmarks.png"])


if __name__ == "__main__":
    main()
