"""How near each stage comes to the machine's rate of matrix products, and how its time grows with units and samples.

    python benchmarks/rates.py [--large] [--quick] [--table FILE] [--output FIGURE]

The rate is that of NumPy's product of two square float32 matrices on one thread, measured before and after. A stage's
arithmetic is that of its matrix products alone; what is below the rate went into reading, binning, logarithms, sorting.
"""

import csv
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from common import matrix_rate, parser_of, rectified_networks, seconds
from threadpoolctl import threadpool_limits

from convergent.clustering import group_units
from convergent.figures import style
from convergent.matching import bipartite_match, semi_match
from convergent.mutual_information import mutual_information
from convergent.similarity import MEASURES
from convergent.sparse_mapping import lasso_path
from convergent.statistics import correlation, tile_statistics

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "stage_growth.png"
SIZES = {"small": (64, 2_000), "medium": (512, 10_000), "large": (4096, 100_000)}  # units, samples
MOST_SAMPLES = 10_000  # but for moments; what takes longer is computed from the time for these
BINS = 10
GOAL = 0.6
UNITS, SAMPLES = (64, 128, 256, 512), (1_250, 2_500, 5_000, 10_000)


def of_pair(x: np.ndarray, y: np.ndarray) -> None:
    tile_statistics({"x": x, "y": y})


class Stage(NamedTuple):
    """A stage that reads samples: what is run, and how its work grows."""

    run: Callable[[np.ndarray, np.ndarray], object]
    operations: Callable[[int, int], float]  # of its matrix products, for so many units and samples of both networks
    power: int  # of the number of samples, with which its time grows


STAGES = {
    # Both networks side by side; one triangle of what is symmetric.
    "moments of a pair": Stage(of_pair, lambda units, samples: samples * (2 * units) ** 2, 1),
    # One-hot codes without the first bin, two counts in one float32.
    "mutual information": Stage(
        partial(mutual_information, bins=BINS), lambda units, samples: samples * ((BINS - 1) * units) ** 2, 1
    ),
    "CKA, radial kernels": Stage(MEASURES["cka_rbf"], lambda units, samples: 2 * 2 * samples**2 * units / 2, 2),
    "mutual nearest neighbours": Stage(
        MEASURES["mutual_knn_euclidean"], lambda units, samples: 2 * 2 * samples**2 * units / 2, 2
    ),
}


def moments(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return correlation(x, x), correlation(y, y), correlation(x, y)


# Stages that begin with correlations and do not depend on the number of samples.
OF_CORRELATIONS: dict[str, Callable] = {
    "matchings": lambda xx, yy, xy: (semi_match(xy), bipartite_match(xy)),
    "sparse maps, 3 penalties": lambda xx, yy, xy: lasso_path(xx, xy, [0.3, 0.1, 0.05]),
    "groups": lambda xx, yy, xy: group_units(
        xx, yy, xy, *(np.ones(len(one), dtype=bool) for one in (xx, yy)), depth=2, threshold=0.5, seed=0
    ),
}


def exponent(sizes: tuple[int, ...], taken: list[float]) -> float:
    """The power with which the time grows, from the upper half of the sizes."""
    chosen = slice(len(sizes) // 2 - 1, None)
    return float(np.polyfit(np.log(sizes[chosen]), np.log(taken[chosen]), 1)[0])


def profile(units: int, samples: int, repeats: int) -> Iterator[tuple[str, tuple[int, float, float]]]:
    """Every stage with the samples that were run, seconds for all of them, and operations per second (NaN: unknown)."""
    x, y = rectified_networks(units, samples)
    for name, (stage, operations, power) in STAGES.items():
        run = samples if stage is of_pair else min(samples, MOST_SAMPLES)
        stage(x[:500], y[:500])  # imports
        taken = median(seconds(stage, x[:run], y[:run])[0] for _ in range(repeats))
        yield name, (run, taken * (samples / run) ** power, operations(units, run) / taken)
    correlations = moments(x[: 4 * units], y[: 4 * units])
    for name, stage in OF_CORRELATIONS.items():
        yield name, (samples, median(seconds(stage, *correlations)[0] for _ in range(repeats)), np.nan)


def growth(repeats: int, units: tuple[int, ...], samples: tuple[int, ...]) -> dict[str, dict[str, list]]:
    """Stage -> what grows -> sizes and seconds."""
    found: dict[str, dict[str, list]] = {}
    x, y = rectified_networks(max(units), max(samples))
    for name, (stage, _, _) in STAGES.items():
        stage(x[:500, :32], y[:500, :32])  # imports
        taken = [median(seconds(stage, x[:, :n].copy(), y[:, :n].copy())[0] for _ in range(repeats)) for n in units]
        found[name] = {"units": (units, taken)}
        middle = units[-2]
        parts = [(x[:n, :middle].copy(), y[:n, :middle].copy()) for n in samples]
        found[name]["samples"] = (samples, [median(seconds(stage, *p)[0] for _ in range(repeats)) for p in parts])
    for name, stage in OF_CORRELATIONS.items():
        each = [moments(x[:, :n], y[:, :n]) for n in units]
        found[name] = {"units": (units, [median(seconds(stage, *one)[0] for _ in range(repeats)) for one in each])}
    counts = (2, 4, 8)
    networks = {f"{side}{number}": part for number in range(4) for side, part in (("x", x), ("y", y))}
    narrow = {name: part[:, : units[-2]].copy() for name, part in networks.items()}
    taken = [seconds(tile_statistics, dict(list(narrow.items())[:count]))[0] for count in counts]
    found["moments of a pair"]["networks"] = (counts, taken)
    return found


def drawn(found: dict[str, dict[str, list]]) -> style.Figure:
    """Seconds against units, samples and networks."""
    figure, axes = style.panels(3, columns=3, width=3.4, height=3.2)
    for axis, what in zip(axes, ("units", "samples", "networks"), strict=True):
        for number, (name, results) in enumerate(found.items()):
            if what in results:
                sizes, taken = results[what]
                look = style.network_look(number)
                axis.plot(sizes, taken, marker="o", markersize=3, label=name, **look)
                axis.annotate(f" {exponent(sizes, taken):.1f}", (sizes[-1], taken[-1]), color=look["color"], fontsize=8)
        every = sorted({size for results in found.values() for size in results.get(what, ((), ()))[0]})
        axis.set(xscale="log", yscale="log", xlabel=what, ylabel="seconds of one core", title=f"Growth with {what}")
        axis.set_xticks(every, [f"{size:,}" for size in every])
        axis.minorticks_off()
        axis.margins(x=0.15)
    style.legend_below(figure, *axes[0].get_legend_handles_labels())
    return figure


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--large", action="store_true", help="also 4,096 units (about ten minutes)")
    parser.add_argument("--quick", action="store_true", help="small sizes, and no figure without --output")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", help="the figure; docs/figures/stage_growth.png unless --quick")
    options = parser.parse_args()
    threadpool_limits(1)

    chosen = ["small"] if options.quick else ["small", "medium", *(["large"] if options.large else [])]
    before, rows = matrix_rate(), []
    for size in chosen:
        repeats = 1 if size == "large" else options.repeats
        rows += [[name, size, *SIZES[size], *found] for name, found in profile(*SIZES[size], repeats)]
    rate = (before + matrix_rate()) / 2
    print(f"one thread: {rate / 1e9:.0f} billion float32 operations per second in a matrix product; goal {GOAL:.0%}")
    for name, size, units, samples, run, taken, speed in rows:
        share = "" if np.isnan(speed) else f"{speed / rate:7.0%}"
        print(f"  {name:26}{size:8}{units:6} units{samples:8} samples ({run} run){taken:9.3g} s{share}", flush=True)
    if options.table is not None:
        with open(options.table, "w", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(["stage", "size", "units", "samples", "samples_run", "seconds", "share_of_rate"])
            writer.writerows([*row[:6], row[6] / rate] for row in rows)
    if not options.quick or options.output:
        quick = options.quick
        found = growth(1 if quick else options.repeats, UNITS[: 3 if quick else 4], SAMPLES[: 3 if quick else 4])
        for name, results in found.items():
            powers = ", ".join(f"{what}^{exponent(*points):.1f}" for what, points in results.items())
            print(f"  {name:26} grows as {powers}")
        style.save(drawn(found), [options.output or FIGURE])


if __name__ == "__main__":
    main()
