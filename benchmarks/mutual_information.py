"""Mutual information of all pairs of units, against scikit-learn's estimator and a loop of NumPy's 2-D histograms.

    python benchmarks/mutual_information.py [--units 512] [--samples 10000] [--repeats 3] [--alternatives] [--wide]

All are timed in one process; the references on a few targets or pairs, extrapolated. Ratios matter, seconds depend on
the machine. scikit-learn's is another estimator (nearest neighbours), so it is compared in time only.

`--alternatives` times other ways to the same joint counts, each checked against the one used:
plain one-hot products in float32; in int8 by a private function of PyTorch, exact on integers; in bfloat16, exact in
short blocks; bit-packed codes and population counts; a bincount for each pair. `--wide` runs two layers of 4,096 units
and prints the peak of memory.
"""

import os
import tracemalloc
from statistics import median

import numpy as np
from common import Comparison, keep, of, parser_of, rectified_networks, seconds
from sklearn.feature_selection import mutual_info_regression

from convergent.mutual_information import Codes, codes, float_counts, mutual_information, mutual_information_of_codes

BINS = 10


def histogram_estimate(a: np.ndarray, b: np.ndarray) -> float:
    """One pair of units, straight from the formula; activations are binned beforehand."""
    counts = np.histogram2d(a, b, bins=BINS, range=((-0.5, BINS - 0.5),) * 2)[0]
    joint = counts / len(a)
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    filled = joint > 0
    return float((joint[filled] * np.log(joint[filled] / independent[filled])).sum())


def one_hot(values: np.ndarray, dtype: type) -> np.ndarray:
    """(samples, (bins - 1) units); the first bin follows from the margins."""
    return np.concatenate([(values == code).astype(dtype) for code in range(1, BINS)], axis=1)


def plain_products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return one_hot(x, np.float32).T @ one_hot(y, np.float32)


def two_counts(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What is used for smaller layers, and on processors without products of bytes."""
    held = [Codes(values, np.zeros((values.shape[1], BINS)), np.ones(len(values), dtype=int)) for values in (x, y)]
    return float_counts(*held, slice(None), slice(None), np, {}).reshape((BINS - 1) * x.shape[1], -1)


def int8_products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    import torch

    a, b = (torch.from_numpy(one_hot(values, np.int8)) for values in (x, y))
    return torch._int_mm(a.T.contiguous(), b).numpy()


def bfloat16_products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Exact in blocks of 256 samples: bfloat16 holds whole numbers up to that."""
    import torch

    a, b = (torch.from_numpy(one_hot(values, np.float32)).bfloat16() for values in (x, y))
    total = torch.zeros(a.shape[1], b.shape[1])
    for start in range(0, len(a), 256):
        total += a[start : start + 256].T @ b[start : start + 256]
    return total.numpy()


def population_counts(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    padding = ((0, -len(x) % 64), (0, 0))
    a, b = (np.packbits(np.pad(one_hot(values, bool), padding), axis=0).T.copy().view(np.uint64) for values in (x, y))
    return np.stack([np.bitwise_count(row & b).sum(axis=1, dtype=np.int64) for row in a])


def pairwise_bincount(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x = x.astype(np.int64) * BINS
    counts = np.array([[np.bincount(a + b, minlength=BINS**2) for b in y.T] for a in x.T])
    return (
        counts.reshape(x.shape[1], y.shape[1], BINS, BINS)[:, :, 1:, 1:]
        .transpose(2, 0, 3, 1)
        .reshape((BINS - 1) * x.shape[1], -1)
    )


def alternatives(codes_x: Codes, codes_y: Codes, repeats: int) -> None:
    units = codes_x.values.shape[1]
    few = codes_x.values[:, :32].copy()
    expected = plain_products(few, codes_y.values)
    spent = median(seconds(mutual_information_of_codes, codes_x, codes_y)[0] for _ in range(repeats))
    rows = [("the way used here, with logarithms", spent)]
    for name, function, part in (
        ("two counts in a float32", two_counts, codes_x.values),
        ("one count in a float32", plain_products, codes_x.values),
        ("int8 (torch._int_mm)", int8_products, codes_x.values),
        ("bfloat16, 256 samples at a time", bfloat16_products, codes_x.values),
        ("population counts, one thread", population_counts, few),
        ("bincount of each pair, one thread", pairwise_bincount, few),
    ):
        assert np.array_equal(function(few, codes_y.values), expected), f"{name}: the counts differ"
        spent = median(seconds(function, part, codes_y.values)[0] for _ in range(repeats))
        rows.append((name, spent * units / part.shape[1]))
    print("ways to the joint counts of all pairs")
    for name, spent in rows:
        print(f"  {name:50} {spent:6.2f} s")


def wide(generator: np.random.Generator, units: int = 4096, samples: int = 1000) -> None:
    binned = codes(generator.normal(size=(samples, units)).astype(np.float32), BINS)
    tracemalloc.start()
    spent, result = seconds(mutual_information_of_codes, binned, binned)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(
        f"{units} by {units} units, {samples} samples: {spent:.0f} s, peak of memory {peak / 2**20:.0f} MiB, of which"
    )
    print(f"  the result {result.nbytes / 2**20:.0f} MiB; all joint counts take {(BINS * units) ** 2 / 2**27:.0f} GiB")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--targets", type=int, default=2, help="targets given to scikit-learn")
    parser.add_argument("--pairs", type=int, default=500, help="pairs given to histogram2d")
    parser.add_argument("--alternatives", action="store_true")
    parser.add_argument("--wide", action="store_true")
    options = parser.parse_args()

    generator = np.random.default_rng(0)
    x, y = rectified_networks(options.units, options.samples)
    runs = [seconds(mutual_information, x, y, BINS) for _ in range(options.repeats)]
    ours, information = median(spent for spent, _ in runs), runs[0][1]

    codes_x, codes_y = codes(x, BINS), codes(y, BINS)
    chosen = generator.integers(0, options.units, size=(options.pairs, 2))
    spent, estimates = seconds(
        lambda: [histogram_estimate(codes_x.values[:, i], codes_y.values[:, j]) for i, j in chosen]
    )
    histograms = spent / options.pairs * options.units**2
    difference = np.abs(information[tuple(chosen.T)] - estimates).max()
    assert difference < 1e-6, f"the estimates differ by {difference}"
    spent, _ = seconds(lambda: [mutual_info_regression(x, y[:, target]) for target in range(options.targets)])
    neighbours = spent / options.targets * options.units

    print(
        f"{options.units} by {options.units} units, {options.samples} samples, {BINS} bins, median of {options.repeats}"
    )
    print(f"  mutual information, with binning           {ours:.2f} s")
    print(f"  loop of histogram2d, extrapolated          {histograms:.0f} s")
    print(f"  mutual_info_regression, extrapolated       {neighbours:.0f} s")
    print(f"  times faster than histogram2d              {histograms / ours:.0f} (goal: at least 20)")
    print(f"  times faster than mutual_info_regression   {neighbours / ours:.0f} (goal: at least 1000)")
    print(f"  largest difference from a direct histogram {difference:.1e} nats (goal: at most 1e-6)")
    size = f"{options.units} units, {options.samples} samples, {BINS} bins"
    threads, what = os.cpu_count() or 1, "mutual information of all pairs"
    rows = [
        Comparison(what, size, f"loop of {of('numpy')} histogram2d", threads, "counts", ours, histograms, difference),
        Comparison(
            what, size, f"{of('scikit-learn')} mutual_info_regression", threads, "counts", ours, neighbours, np.nan
        ),
    ]
    keep(rows, options.table)
    if options.alternatives:
        alternatives(codes_x, codes_y, options.repeats)
    if options.wide:
        wide(generator)


if __name__ == "__main__":
    main()
