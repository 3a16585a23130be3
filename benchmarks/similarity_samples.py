"""Measures that compare samples with samples, against the same on whole matrices with NumPy, SciPy and scikit-learn.

    python benchmarks/similarity_samples.py [--units 512] [--samples 10000] [--rsa-samples 4000] [--draws 200]

Both are run one after the other in one process; ratios matter, seconds depend on the machine. Memory is the peak of the
arrays that a call holds, beside the activations.
"""

import tracemalloc
from collections.abc import Callable

import numpy as np
from common import Comparison, keep, parser_of, rectified_networks, seconds
from scipy.spatial.distance import pdist
from scipy.stats import rankdata, spearmanr
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from convergent.similarity import MEASURES
from convergent.similarity.calibration import calibrate

MIB = 2**20


def mutual_knn(x: np.ndarray, y: np.ndarray, k: int = 10) -> float:
    lists = [
        NearestNeighbors(n_neighbors=k, metric="cosine").fit(network).kneighbors(return_distance=False)
        for network in (x, y)
    ]
    return np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(*lists, strict=True)])


def information_imbalance(x: np.ndarray, y: np.ndarray) -> float:
    nearest = NearestNeighbors(n_neighbors=1).fit(x).kneighbors(return_distance=False)[:, 0]
    distances = euclidean_distances(y.astype(np.float64))
    np.fill_diagonal(distances, np.inf)
    rank = np.array([rankdata(row)[j] for row, j in zip(distances, nearest, strict=True)]).mean()
    return 1 - 2 * (rank - 1) / (len(x) - 2)


def centred(matrix: np.ndarray) -> np.ndarray:
    return matrix - matrix.mean(axis=0) - matrix.mean(axis=1, keepdims=True) + matrix.mean()


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return np.vdot(a, b) / np.sqrt(np.vdot(a, a) * np.vdot(b, b))


def distance_correlation(x: np.ndarray, y: np.ndarray) -> float:
    return np.sqrt(cosine(*(centred(euclidean_distances(network.astype(np.float64))) for network in (x, y))))


def cka_rbf(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(network: np.ndarray) -> np.ndarray:
        squared = euclidean_distances(network.astype(np.float64), squared=True)
        return np.exp(-squared / (2 * np.median(squared[np.triu_indices(len(squared), 1)])))

    return cosine(*(centred(kernel(network)) for network in (x, y)))


def rsa_correlation_spearman(x: np.ndarray, y: np.ndarray) -> float:
    return spearmanr(pdist(x, "correlation"), pdist(y, "correlation")).statistic


DIRECT = {
    "mutual_knn": mutual_knn,
    "information_imbalance": information_imbalance,
    "distance_correlation": distance_correlation,
    "cka_rbf": cka_rbf,
    "rsa_correlation_spearman": rsa_correlation_spearman,
}


def measured(function: Callable, *arguments) -> tuple[float, float, float]:
    """Seconds, peak MiB, and the value."""
    tracemalloc.start()
    taken, value = seconds(function, *arguments)
    peak = tracemalloc.get_traced_memory()[1] / MIB
    tracemalloc.stop()
    return taken, peak, value


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--rsa-samples", type=int, default=4_000, help="of SciPy's RSA, which holds all distances")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    threadpool_limits(options.threads)
    rows = []

    x, y = rectified_networks(options.units, options.samples)
    few = options.rsa_samples
    for name in DIRECT:  # imports and thread pools
        MEASURES[name](x[:1200], y[:1200]), DIRECT[name](x[:50], y[:50])
    print(f"{options.units} units, {options.samples} samples (RSA: {few})")
    print(f"  {'':26}  {'ours':>16}  {'whole matrices':>16}  ratio")
    for name, direct in DIRECT.items():
        data = (x[:few], y[:few]) if name.startswith("rsa") else (x, y)
        (taken, peak, value), (their_time, their_peak, expected) = (
            measured(MEASURES[name], *data),
            measured(direct, *data),
        )
        assert abs(value - expected) < 1e-6, f"{name}: {value} is not {expected}"
        size = f"{options.units} units, {len(data[0])} samples"
        peer = (options.threads, "float64", taken, their_time, abs(value - expected))
        rows.append(Comparison(name, size, "NumPy and SciPy: whole matrices", *peer))
        ours, theirs = f"{taken:.2f} s {peak:5.0f} MiB", f"{their_time:.2f} s {their_peak:5.0f} MiB"
        print(f"  {name:26}  {ours:>16}  {theirs:>16}  {taken / their_time:.2f}")
    for name in sorted(name for name, one in MEASURES.items() if one.needs == "samples" and "kendall" not in name):
        if name not in DIRECT or name.startswith("rsa"):
            taken, peak, _ = measured(MEASURES[name], x, y)
            print(f"  {name:26}  {f'{taken:.2f} s {peak:5.0f} MiB':>16}")
    for name, samples in (
        ("mutual_knn", options.samples),
        ("distance_correlation", few),
        ("cka_linear", options.samples),
    ):
        taken, peak, _ = measured(lambda name, n: calibrate(name, x[:n], y[:n], draws=options.draws), name, samples)
        print(f"  {f'{name}, {options.draws} draws, {samples} samples':50}  {taken:.2f} s {peak:5.0f} MiB")
    keep(rows, options.table)


if __name__ == "__main__":
    main()
