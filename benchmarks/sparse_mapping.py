"""Exact sparse maps of all units at once, against scikit-learn's Lasso with the Gram matrix computed once.

    python benchmarks/sparse_mapping.py [--units 512] [--samples 10000] [--repeats 3] [--threads 1]

Both are timed alternately in one process; ratios matter, seconds depend on the machine, and where other work competes
for the cores, more BLAS threads are slower than one. The reference solves `--reference-targets` and is scaled up to
all: it treats them one by one.
"""

from statistics import median

import numpy as np
from common import Comparison, keep, of, parser_of, rectified_networks, seconds
from sklearn.linear_model import Lasso
from threadpoolctl import threadpool_limits

from convergent.sparse_mapping import PUBLISHED_DECAYS, lasso_path, least_squares_maps, optimality_gap, train_maps
from convergent.statistics import correlation

PUBLISHED_UNITS = 96  # first layer of the paper: penalty = decay * units
TOLERANCE = 1e-6


def theirs(x: np.ndarray, y: np.ndarray, gram: np.ndarray, penalties: list[float]) -> np.ndarray:
    """Maps (penalties, targets, units) with scikit-learn's own stopping rule at the same tolerance."""
    maps = np.empty((len(penalties), y.shape[1], x.shape[1]))
    for weights, penalty in zip(maps, penalties, strict=True):
        model = Lasso(alpha=penalty, precompute=gram, fit_intercept=False, tol=TOLERANCE)
        for target, values in zip(weights, y.T, strict=True):
            target[:] = model.fit(x, values).coef_
    return maps


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--reference-targets", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    threadpool_limits(options.threads)

    x, y = rectified_networks(options.units, options.samples)
    x, y = (values.astype(np.float64) for values in (x, y))
    x, y = (np.asfortranarray((values - values.mean(axis=0)) / values.std(axis=0)) for values in (x, y))
    within, between = correlation(x, x), correlation(x, y)
    gram, some = np.ascontiguousarray(x.T @ x), y[:, : options.reference_targets]
    scale = options.units / some.shape[1]
    # Penalty 0 is least squares, which scikit-learn's Lasso does not solve: ours is timed with it, theirs without.
    penalties = [decay * PUBLISHED_UNITS for decay in PUBLISHED_DECAYS]
    positive = penalties[1:]

    runs = [
        (seconds(lasso_path, within, between, penalties, TOLERANCE), seconds(theirs, x, some, gram, positive))
        for _ in range(options.repeats)
    ]
    maps, reference = (result for _, result in runs[-1])
    assert np.allclose(maps[1:, : len(some.T)], reference, atol=0.01), "the maps differ"
    gap = optimality_gap(maps, within, between, penalties).max()
    reference_gap = optimality_gap(reference, within, between[:, : len(some.T)], positive).max()
    assert gap <= max(TOLERANCE, reference_gap), "our maps are less optimal"
    mine, other = (median(times) for times in zip(*((a[0], b[0] * scale) for a, b in runs), strict=True))
    print(f"{options.units} targets from {options.units} units, median of {options.repeats}")
    print(f"  exact path, {len(penalties)} penalties           {mine:.2f} s, gap {gap:.1e}")
    print(f"  scikit-learn, {len(positive)} penalties (scaled) {other:.2f} s, gap {reference_gap:.1e}")
    print(f"  ratio                            {other / mine:.1f} (goal: at least 4)")
    print(f"  least squares                    {seconds(least_squares_maps, within, between)[0]:.2f} s")
    apart = float(np.abs(maps[1:, : len(some.T)] - reference).max())
    row = Comparison(
        "exact LASSO, published penalties", f"{options.units} targets from {options.units} units",
        f"{of('scikit-learn')} Lasso with Gram matrix", options.threads, "float64", mine, other, apart,
    )  # fmt: skip
    keep([row], options.table)
    hundred, _ = seconds(train_maps, within, between, [0.1], 0, 100)
    print(f"  training, 4501 iterations        {hundred * 45.01:.1f} s per penalty (from 100)")


if __name__ == "__main__":
    main()
