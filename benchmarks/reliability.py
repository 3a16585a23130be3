"""Draw when a study was killed, what was hit, and how much work that cost.

    python benchmarks/reliability.py [docs/reliability.csv] [--output docs/figures/reliability.png]

The table is what `make test-reliability` records if RELIABILITY_RECORD names a file.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from convergent.figures import style

DOCS = Path(__file__).parents[1] / "docs"


def drawn(rows: pd.DataFrame) -> Figure:
    """One line for each kill: how far the study was, what was running, and for how many seconds."""
    kills = rows.groupby("kill").agg(
        run=("run", "first"),
        jobs=("jobs", "max"),
        done=("done", "first"),
        lost=("lost", "sum"),
        hit=("script", lambda names: ", ".join(names.dropna())),
    )
    total, height = kills["jobs"].max(), 0.9 + 0.19 * len(kills)
    figure, (far, lost) = plt.subplots(1, 2, figsize=(8.4, height), sharey=True, width_ratios=(3, 2))
    for run, some in kills.groupby("run"):
        look = style.network_look(run - 1)
        far.plot(some["done"], some.index, marker="o", markersize=4, label=f"study {run}", **look)
    for kill, row in kills.iterrows():
        right = row["done"] > total / 2
        place = {"xytext": (-7 if right else 7, 0), "ha": "right" if right else "left"}
        words = row["hit"] or "between jobs"
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        far.annotate(
            words, (row["done"], kill), textcoords="offset points", va="center", fontsize=6.5, bbox=paper, **place
        )
    lost.barh(kills.index, kills["lost"], color=style.VERMILION, height=0.6)
    far.set(title="where it was", xlabel=f"jobs done, of {total}", ylabel="kill", xlim=(-2, total + 2))
    lost.set(title="what it cost", xlabel="seconds of work done again")
    far.set_ylim(len(kills) + 1, 0)
    style.legend_below(figure, *far.get_legend_handles_labels())
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", nargs="?", type=Path, default=DOCS / "reliability.csv")
    parser.add_argument("--output", type=Path, default=DOCS / "figures" / "reliability.png")
    options = parser.parse_args()
    rows = pd.read_csv(options.table)
    style.save(drawn(rows), [options.output])
    kills = rows.groupby("kill")
    print(
        f"{len(kills)} kills in {rows['run'].nunique()} studies, {int(rows['script'].notna().sum())} jobs hit of "
        f"{rows['script'].nunique()} kinds; {kills['lost'].sum().mean():.1f} s of work lost per kill, at most "
        f"{kills['lost'].sum().max():.1f} s."
    )


if __name__ == "__main__":
    main()
