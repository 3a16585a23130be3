"""How the cost of similarity grows: with the number of networks, all pairs compared, and with the number of samples.

    python benchmarks/similarity_growth.py [--quick] [--output docs/figures/similarity_growth.png]

Networks are compared from files, one `Representation` each: pair after pair, and after `relate`. Beside the seconds
stands how often the rows of a file are read. Measures that compare samples with samples draw 10,000 of more. Seconds
are those that one core works (one thread of BLAS), so that what else runs on the machine hardly matters.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
from common import rectified_networks
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from threadpoolctl import threadpool_limits

from convergent.figures import style
from convergent.similarity import MEASURES, Representation, relate

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "similarity_growth.png"
REPRESENTATIVE = ("cka_linear", "cka_linear_debiased", "cca_mean", "procrustes", "ridge_r2", "mutual_knn")
NETWORKS, UNITS, SAMPLES = (2, 4, 8, 16, 32), 512, 2_000
MOST_PAIR_BY_PAIR = 16
OF_MOMENTS = ("cka_linear", "cka_linear_debiased", "cca_mean", "procrustes", "soft_matching", "ridge_r2")
OF_SAMPLE_PAIRS = ("mutual_knn", "cka_rbf", "distance_correlation", "rsa_correlation_spearman")
GROWING_SAMPLES, GROWING_UNITS = (1_000, 3_162, 10_000, 31_623, 100_000), 64
LARGEST = 10_000
TIMES = "\u00d7"
PAIRWISE, RELATED = "pair after pair", "after `relate`"


class Counted(np.memmap):
    """Activations in a file, and how many bytes have been read of it."""

    read: ClassVar[Counter] = Counter()

    def __getitem__(self, rows):
        values = super().__getitem__(rows)
        Counted.read[self.filename] += values.nbytes
        return values


def seconds(function: Callable, *arguments) -> float:
    """How long all threads together work on a call."""
    started = time.process_time()
    function(*arguments)
    return time.process_time() - started


def all_pairs(paths: list[Path], related: bool) -> None:
    """Every representative measure of every pair of the networks in these files."""
    networks = [Representation(np.load(path, mmap_mode="r").view(Counted), path.stem) for path in paths]
    if related:
        relate(networks)
    for x, y in combinations(networks, 2):
        for name in REPRESENTATIVE:
            MEASURES[name](x, y)


def growth_with_networks(counts: tuple[int, ...], units: int, samples: int) -> dict[str, list[tuple]]:
    """Way of reading -> number of networks, seconds, and how often each row of a file is read, for each number."""
    found = {PAIRWISE: [], RELATED: []}
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.npy" for number in range(max(counts))]
        for number, path in enumerate(paths):
            np.save(path, rectified_networks(units, samples, number)[0])
        all_pairs(paths[:2], related=True)  # imports
        for count in counts:
            for way, results in found.items():
                if way == PAIRWISE and count > MOST_PAIR_BY_PAIR:
                    continue
                Counted.read.clear()
                taken = seconds(all_pairs, paths[:count], way == RELATED)
                times = sum(Counted.read.values()) / sum(path.stat().st_size for path in paths[:count])
                results.append((count, taken, times))
                print(f"  {count:3} networks, {way:16}{taken:8.2f} s, each row read {times:5.1f} times", flush=True)
    for way, results in found.items():
        print(f"  {way}: grows as N^{exponent_of_networks(results):.2f}")
    return found


def growth_with_samples(counts: tuple[int, ...], units: int, repeats: int) -> dict[str, list[tuple]]:
    """Measure -> number of samples and seconds of one pair, for each number."""
    found = {name: [] for name in OF_MOMENTS + OF_SAMPLE_PAIRS}
    x, y = rectified_networks(units, max(counts))
    for name, results in found.items():
        few = name in OF_SAMPLE_PAIRS
        own = partial(MEASURES[name], largest_samples=LARGEST) if few else MEASURES[name]
        own(x[:500], y[:500])  # imports
        for count in counts:
            taken = median(seconds(own, x[:count], y[:count]) for _ in range(1 if few else repeats))
            results.append((count, taken))
        row = "".join(f"{taken:9.3f}" for _, taken in results)
        print(f"  {name:26}{row}  grows as n^{exponent_of_samples(name, results):.2f}", flush=True)
    return found


def exponent(points: list[tuple[float, float]]) -> float:
    """The power of the size with which the seconds grow, by least squares of the logarithms of (size, seconds)."""
    sizes, taken = np.log(points).T
    return float(np.polyfit(sizes, taken, 1)[0])


def exponent_of_networks(results: list[tuple]) -> float:
    """The same for the larger numbers of networks, where pairs and not single networks decide."""
    return exponent([(count, taken) for count, taken, _ in results if count >= results[-1][0] / 4])


def exponent_of_samples(name: str, results: list[tuple]) -> float:
    """The same where the number of samples decides: up to `LARGEST` where more are not used, and else from there."""
    few = name in OF_SAMPLE_PAIRS
    chosen = [(count, taken) for count, taken in results if (count <= LARGEST if few else count >= LARGEST)]
    return exponent(chosen if len(chosen) > 1 else results)


def drawn(networks: dict[str, list], samples: dict[str, list]) -> style.Figure:
    """Seconds against the number of networks, and against that of samples."""
    figure, (left, right) = style.panels(2, columns=2, width=4.6, height=4.6)
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", ylabel="seconds of one core")
    for way, results in networks.items():
        colour, line, marker, above = (
            (style.BLUE, "-", "o", -13) if way == RELATED else (style.VERMILION, "--", "s", 7)
        )  # fmt: skip
        counts, taken, _ = zip(*results, strict=True)
        text = f"{way}  ~ N$^{{{exponent_of_networks(results):.1f}}}$"
        left.plot(counts, taken, color=colour, linestyle=line, marker=marker, markersize=4, label=text)
        for count, second, times in results:
            place = {"xytext": (0, above), "textcoords": "offset points", "ha": "center"}
            left.annotate(f"{times:.0f}{TIMES}", (count, second), color=colour, fontsize=8, **place)
    left.plot([], [], " ", label=f"k{TIMES}: every row of a file is read k times")
    left.set(
        title=f"All pairs of N networks\n{UNITS} units, {SAMPLES:,} samples, {len(REPRESENTATIVE)} measures",
        xlabel="networks N",
        xticks=sorted({count for results in networks.values() for count, *_ in results}),
    )
    left.xaxis.set_minor_locator(NullLocator())
    left.margins(0.12)
    for place, (name, results) in enumerate(samples.items()):
        few = name in OF_SAMPLE_PAIRS
        colour = style.NETWORK_COLOURS[place - len(OF_MOMENTS) if few else place]
        text = f"{name}  ~ n$^{{{exponent_of_samples(name, results):.1f}}}$"
        right.plot(*zip(*results, strict=True), "--s" if few else "-o", color=colour, markersize=4, label=text)
    right.axvline(LARGEST, color=style.GREY, linewidth=0.8, linestyle=":")
    right.set(xlabel="samples n", title=f"One pair, {GROWING_UNITS} units\ndashed: largest_samples={LARGEST:,}")
    for axes in (left, right):
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(LogLocator(numticks=9))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=1 if axes is left else 2, fontsize=8,
            columnspacing=1.2, handlelength=2.6,
        )  # fmt: skip
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few and small networks; draws nothing without --output")
    parser.add_argument("--output", help="the figure; docs/figures/similarity_growth.png unless --quick")
    options = parser.parse_args()

    threadpool_limits(1)
    counts, size = ((2, 4, 8), (64, 500)) if options.quick else (NETWORKS, (UNITS, SAMPLES))
    print(f"All pairs of networks, {size[0]} units, {size[1]:,} samples, {', '.join(REPRESENTATIVE)}")
    networks = growth_with_networks(counts, *size)
    growing, repeats = (GROWING_SAMPLES[:3], 1) if options.quick else (GROWING_SAMPLES, 3)
    print(f"One pair, {GROWING_UNITS} units, seconds for {', '.join(map(str, growing))} samples")
    samples = growth_with_samples(growing, GROWING_UNITS, repeats)
    if options.output or not options.quick:
        style.save(drawn(networks, samples), [options.output or FIGURE])


if __name__ == "__main__":
    main()
