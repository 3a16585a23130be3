"""Second-order similarity measures of one pair of networks, each beside the fastest way that other packages take.

    python benchmarks/similarity.py [--units 512] [--samples 10000] [--repeats 5]

All are timed in turn in one process; ratios matter, seconds depend on the machine. Those of others are transcribed to
NumPy in the precision of the activations, float32, also where that is too little for what they invert. A measure alone
includes reading and all products; together, products and factors are shared.
"""

from collections.abc import Callable
from statistics import median

import numpy as np
from common import Comparison, keep, parser_of, rectified_networks, seconds
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from convergent.similarity import MEASURES, Representation, canonical, cka, matchings, regression, shapes

MODULES = [module.__name__ for module in (cka, canonical, shapes, matchings, regression)]


def centred(x: np.ndarray) -> np.ndarray:
    return x - x.mean(axis=0)


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    x, y = centred(x), centred(y)
    return np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def debiased_cka(x: np.ndarray, y: np.ndarray) -> float:
    x, y = centred(x), centred(y)
    count = len(x)

    def hsic(a: np.ndarray, b: np.ndarray) -> float:
        rows_a, rows_b = np.einsum("ij,ij->i", a, a), np.einsum("ij,ij->i", b, b)
        value = np.linalg.norm(a.T @ b) ** 2 - count / (count - 2) * rows_a @ rows_b
        return value + rows_a.sum() * rows_b.sum() / ((count - 1) * (count - 2))

    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


def minibatch_cka(x: np.ndarray, y: np.ndarray, batch: int = 256) -> float:
    totals = np.zeros(3)
    for start in range(0, len(x) - batch + 1, batch):
        k, other = (values[start : start + batch] @ values[start : start + batch].T for values in (x, y))
        np.fill_diagonal(k, 0)
        np.fill_diagonal(other, 0)
        for place, (a, b) in enumerate(((k, other), (k, k), (other, other))):
            rows_a, rows_b = a.sum(axis=0), b.sum(axis=0)
            totals[place] += np.vdot(a, b) + rows_a.sum() * rows_b.sum() / ((batch - 1) * (batch - 2))
            totals[place] -= 2 * rows_a @ rows_b / (batch - 2)
    return totals[0] / np.sqrt(totals[1] * totals[2])


def cca_by_svd(x: np.ndarray, y: np.ndarray) -> float:
    bases = [np.linalg.svd(centred(values), full_matrices=False)[0] for values in (x, y)]
    return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False).mean()


def cca_by_qr(x: np.ndarray, y: np.ndarray) -> float:
    bases = [np.linalg.qr(centred(values))[0] for values in (x, y)]
    return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False).mean()


def svcca_by_svd(x: np.ndarray, y: np.ndarray) -> float:
    bases = []
    for values in (x, y):
        u, s, _ = np.linalg.svd(centred(values), full_matrices=False)
        bases.append(u[:, : np.searchsorted(np.cumsum(s**2) / (s @ s), 0.99) + 1])
    return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False).mean()


def pwcca_by_eigenvectors(x: np.ndarray, y: np.ndarray) -> float:
    x, y = centred(x).T, centred(y).T
    whitening = []
    for values in (x, y):
        variance, axes = np.linalg.eigh(values @ values.T)
        whitening.append(axes / np.sqrt(variance) @ axes.T)
    u, r, _ = np.linalg.svd(whitening[0] @ (x @ y.T) @ whitening[1])
    weights = np.abs(u.T @ whitening[0] @ (x @ x.T)).sum(axis=1)
    return weights @ r / weights.sum()


def procrustes(x: np.ndarray, y: np.ndarray) -> float:
    x, y = centred(x), centred(y)
    return np.linalg.norm((x / np.linalg.norm(x)).T @ (y / np.linalg.norm(y)), "nuc")


def shape(x: np.ndarray, y: np.ndarray, alpha: float = 0.5) -> float:
    partly = []
    for values in (x, y):
        values = centred(values)
        values *= np.sqrt(values.size) / np.linalg.norm(values)
        u, _, vt = np.linalg.svd(values, full_matrices=False)
        values = alpha * values + (1 - alpha) * np.sqrt(len(values)) * u @ vt
        partly.append(values / np.linalg.norm(values))
    return np.linalg.norm(partly[0].T @ partly[1], "nuc")


def gulp(x: np.ndarray, y: np.ndarray, penalty: float = 1e-3) -> float:
    x, y = (values / np.linalg.norm(values) for values in (centred(x), centred(y)))
    within_x, within_y, between = x.T @ x, y.T @ y, x.T @ y
    a, b = (np.linalg.inv(within + penalty * np.eye(len(within))) for within in (within_x, within_y))
    own = np.trace(a @ within_x @ a @ within_x) + np.trace(b @ within_y @ b @ within_y)
    return 2 * np.trace(a @ between @ b @ between.T) / own


def correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = ((centred(values)) / (values.std(axis=0) * np.sqrt(len(values))) for values in (x, y))
    return x.T @ y


def matched(x: np.ndarray, y: np.ndarray) -> float:
    between = correlations(x, y)
    return between[linear_sum_assignment(between, maximize=True)].mean()


def semi_matched(x: np.ndarray, y: np.ndarray) -> float:
    return correlations(x, y).max(axis=1).mean()


def ridge_by_folds(x: np.ndarray, y: np.ndarray) -> float:
    error = deviation = 0.0
    for fit, test in KFold(5, shuffle=True, random_state=0).split(x):
        model = Ridge(alpha=1.0).fit(x[fit], y[fit])
        error += np.sum((y[test] - model.predict(x[test])) ** 2)
        deviation += np.sum((y[test] - y[fit].mean(axis=0)) ** 2)
    return 1 - error / deviation


# Ours, theirs, and how far the values may be apart: theirs are of float32, and some of other folds or batches.
PEERS: dict[str, tuple[str, Callable, float]] = {
    "cka_linear": ("products of units", linear_cka, 1e-5),
    "cka_linear_debiased": ("products of units", debiased_cka, 1e-5),
    "cka_linear_minibatch": ("kernels of batches", minibatch_cka, 1e-2),
    "cca_mean": ("SVD of the samples", cca_by_svd, 1e-3),
    "cca_mean_squared": ("SVD of the samples", cca_by_svd, np.inf),
    "svcca": ("SVD of the samples", svcca_by_svd, 1e-3),
    "pwcca": ("eigenvectors, SVD", pwcca_by_eigenvectors, 1e-2),
    "procrustes": ("nuclear norm", procrustes, 1e-5),
    "procrustes_angle": ("nuclear norm", procrustes, np.inf),
    "shape": ("SVD of the samples", shape, 1e-4),
    "gulp": ("inverses", gulp, 1e-4),
    "permutation_correlation": ("assignment", matched, 1e-5),
    "soft_matching": ("assignment", matched, 1e-5),
    "semi_matching": ("largest correlation", semi_matched, 1e-5),
    "ridge_r2": ("Ridge fitted per fold", ridge_by_folds, 1e-1),
    "affine_r2": ("Ridge fitted per fold", ridge_by_folds, 1e-1),
    "universal_dimensions_r": ("Ridge fitted per fold", ridge_by_folds, np.inf),
}


def second_order_measures() -> dict:
    """Name -> measure, of those that this benchmark is about."""
    return {name: own for name, own in MEASURES.items() if own.function.__module__ in MODULES}


def together(x: np.ndarray, y: np.ndarray) -> list[float]:
    """All second-order measures of one pair."""
    first, second = Representation(x), Representation(y)
    return [own(first, second) for own in second_order_measures().values()]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    threadpool_limits(options.threads)
    size, rows = f"{options.units} units, {options.samples} samples", []
    precision = "float32 summed in float64, float32"

    x, y = rectified_networks(options.units, options.samples)
    print(f"{options.units} units, {options.samples} samples, median of {options.repeats}; goal of each ratio: 1")
    print(f"  {'':25}{'ours':>8}{'theirs':>8}{'ratio':>7}")
    for name, own in second_order_measures().items():
        label, peer, tolerance = PEERS.get(name, ("", None, np.inf))
        runs = [(seconds(own, x, y), seconds(peer, x, y) if peer else None) for _ in range(options.repeats)]
        mine = median(run[0][0] for run in runs)
        if peer is None:
            print(f"  {name:25}{mine:7.3f}s")
            continue
        theirs = median(run[1][0] for run in runs)
        assert abs(runs[0][0][1] - runs[0][1][1]) <= tolerance, f"{name} differs: {runs[0][0][1]}, {runs[0][1][1]}"
        print(f"  {name:25}{mine:7.3f}s{theirs:7.3f}s{mine / theirs:7.2f}  {label}")
        apart = abs(runs[0][0][1] - runs[0][1][1]) if np.isfinite(tolerance) else np.nan
        rows.append(Comparison(name, size, f"NumPy: {label}", options.threads, precision, mine, theirs, apart))
    narrow = y[:, : options.units * 300 // 512]
    mine = median(seconds(MEASURES["soft_matching"], x, narrow)[0] for _ in range(options.repeats))
    print(f"  soft_matching, unequal   {mine:7.3f}s  {options.units} and {narrow.shape[1]} units")
    mine = median(seconds(together, x, y)[0] for _ in range(options.repeats))
    title = f"all {len(second_order_measures())} together"
    for label, peer in (("one CCA by SVD", cca_by_svd), ("one CCA by QR", cca_by_qr)):
        theirs = median(seconds(peer, x, y)[0] for _ in range(options.repeats))
        print(f"  {title:25}{mine:7.3f}s{theirs:7.3f}s{mine / theirs:7.2f}  {label}")
        rows.append(Comparison(title, size, f"NumPy: {label}", options.threads, precision, mine, theirs, np.nan))
    keep(rows, options.table)


if __name__ == "__main__":
    main()
