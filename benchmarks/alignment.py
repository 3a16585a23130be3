"""Statistics and both matchings of one pair of networks, against NumPy's corrcoef and SciPy's assignment.

    python benchmarks/alignment.py [--units 512] [--samples 10000] [--repeats 7]

Both are timed alternately in one process; ratios matter, seconds depend on the machine.
"""

from statistics import median

import numpy as np
from common import Comparison, keep, of, parser_of, rectified_networks, seconds
from scipy.optimize import linear_sum_assignment
from threadpoolctl import threadpool_limits

from convergent.matching import bipartite_match, semi_match
from convergent.statistics import tile_statistics


def ours(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    between = tile_statistics({"x": x, "y": y})["between/x/y"]
    semi_match(between)
    return bipartite_match(between)


def theirs(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    units = x.shape[1]
    between = np.corrcoef(np.hstack([x, y]), rowvar=False)[:units, units:]
    return linear_sum_assignment(between, maximize=True)[1]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    threadpool_limits(options.threads)

    x, y = rectified_networks(options.units, options.samples)
    ours(x, y), theirs(x, y)
    pairs = [(seconds(ours, x, y), seconds(theirs, x, y)) for _ in range(options.repeats)]
    assert all(np.array_equal(mine, reference) for (_, mine), (_, reference) in pairs), "the matchings differ"
    mine, reference = (median(times) for times in zip(*((a[0], b[0]) for a, b in pairs), strict=True))
    print(f"{options.units} units, {options.samples} samples, median of {options.repeats}")
    print(f"  statistics and matchings   {mine:.3f} s")
    print(f"  corrcoef and assignment    {reference:.3f} s")
    print(f"  ratio                      {mine / reference:.2f} (goal: at most 1.5)")
    size, peers = (
        f"{options.units} units, {options.samples} samples",
        f"{of('numpy')} corrcoef, {of('scipy')} assignment",
    )
    precision = "float32 summed in float64, float64"
    row = Comparison("correlations and matchings", size, peers, options.threads, precision, mine, reference, 0)
    keep([row], options.table)


if __name__ == "__main__":
    main()
