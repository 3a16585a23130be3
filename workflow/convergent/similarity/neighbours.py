"""Similarity measures from the nearest neighbours of samples: mutual neighbours and their relatives, imbalance.

Neighbours are found in tiles of the upper triangle of the similarities, each pair of samples once; the lists are kept,
so that a network is searched once whatever the number of its partners. A sample is never its own neighbour. Those that
differ by no more than rounding are equally similar, and equals are in the order of the samples as they are stored.
"""

from typing import NamedTuple, Unpack

import numpy as np

from convergent.errors import StudyError
from convergent.samples import ROWS_PER_BLOCK, blocks
from convergent.similarity.factors import Representation
from convergent.similarity.registry import ROTATIONS, Undefined, measure
from convergent.similarity.sample_pairs import (
    MEMORY_BYTES,
    TIE,
    Limits,
    Samples,
    limited,
    order_of,
    require_four,
    scale_of,
    squared_lengths,
    stored_rows,
    upper_tiles,
)

FEWEST_KEPT = 10  # a longer list costs no more and serves every shorter one
MOST_CANDIDATES = 2**19
ENOUGH_FOR_FLOOR = 512
MOST_DOUBTFUL = 4  # times as many pairs as neighbours: more of them are not worth comparing again
SMALL_RANKS = 2**15  # twice the ranks of fewer samples fit into two bytes
ANGLES = ("permutation", "orthogonal", "isotropic_scaling")  # what leaves cosines of samples alone


class Neighbours(NamedTuple):
    """The nearest neighbours of every sample, nearest first."""

    samples: np.ndarray  # (samples, k) which ones
    similarity: np.ndarray  # (samples, k) their cosines, or minus their squared distances


class Found(NamedTuple):
    """Pairs of samples that may be neighbours."""

    sample: np.ndarray  # (found,)
    other: np.ndarray  # (found,)
    similarity: np.ndarray  # (found,)


def neighbours(x: Representation, comparison: str, k: int, memory_bytes: int = MEMORY_BYTES) -> Neighbours:
    """The k nearest neighbours of every sample; searched for once per network.

    Args:
        x: the network.
        comparison: "cosine" or "euclidean", see `sample_pairs.stored_rows`.
        k: how many.
        memory_bytes: see `sample_pairs.Limits`.

    Raises:
        StudyError: k is not a positive whole number.
        Undefined: there are not more than k samples, or they cannot be compared.
    """
    if k != int(k) or k < 1:
        raise StudyError(f"the number of neighbours is a positive whole number, but it is {k}.")
    if x.samples <= k:
        raise Undefined(f"{k} neighbours of each sample need at least {k + 1} samples, but there are {x.samples}.")
    known = x.factor(f"neighbours/{comparison}", dict, unordered=True)
    longer = [length for length in known if length >= k]
    length = min(longer) if longer else min(max(k, FEWEST_KEPT), x.samples - 1)
    if not longer:
        known[length] = search(x, comparison, length, memory_bytes)
    stored, order = Neighbours(*(part[:, :k] for part in known[length])), order_of(x)
    if order is None:
        return stored

    def reordered() -> Neighbours:
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return Neighbours(place[stored.samples[order]], stored.similarity[order])

    # A network in another order is one of many draws, and compared with many layers in each.
    return x.factor(f"reordered neighbours/{comparison}/{k}", reordered)


def search(x: Representation, comparison: str, k: int, memory_bytes: int) -> Neighbours:
    """The k nearest neighbours of every stored sample; k is less than the number of samples.

    All pairs are compared in float32; those that its rounding leaves in doubt are compared again in float64. Where
    these are many, for samples that are nearly all alike, all pairs are compared in float64.
    """
    tie = TIE * scale_of(x, comparison)
    # A product of two vectors of length 1 is off by at most a rounding per unit, a squared distance by four times that.
    slack = 4 * (x.units + 4) * 2.0**-24
    found = screened(Samples(x, comparison, memory_bytes, single=True), k, slack, MOST_DOUBTFUL * x.samples * k)
    if found is None:
        found = screened(Samples(x, comparison, memory_bytes), k, tie, None)
    else:
        found = found._replace(similarity=compared(Samples(x, comparison, memory_bytes), found, memory_bytes))
    lists = best(found, k, tie)
    return Neighbours(lists.other.reshape(-1, k), lists.similarity.reshape(-1, k))


def screened(samples: Samples, k: int, slack: float, most: int | None) -> Found | None:
    """All pairs of stored samples that may be among the k nearest neighbours of the first.

    Args:
        samples: ready to be compared.
        k: number of neighbours.
        slack: similarities are off by at most this.
        most: None is returned if there are more pairs than this; None: however many there are.
    """
    floor = np.full(samples.x.samples, -np.inf)  # what a neighbour's similarity reaches, as far as is known
    found: list[Found] = []
    for rows, columns in upper_tiles(samples.x.samples, samples.side):
        tile = samples.similarity(rows, columns)
        if rows == columns:
            np.fill_diagonal(tile, -np.inf)
        else:
            raise_floor(floor, columns, tile.T, k)
            other, sample = candidates(tile, (floor[columns] - 2 * slack).astype(tile.dtype))
            found.append(Found(columns.start + sample, rows.start + other, tile[other, sample].astype(np.float64)))
        raise_floor(floor, rows, tile, k)
        sample, other = candidates(tile, (floor[rows, None] - 2 * slack).astype(tile.dtype))
        found.append(Found(rows.start + sample, columns.start + other, tile[sample, other].astype(np.float64)))
        if sum(len(part.sample) for part in found) > MOST_CANDIDATES:
            found = [pruned(found, floor, k, slack)]
            if most is not None and len(found[0].sample) > most:
                return None
    return pruned(found, floor, k, slack)


def compared(samples: Samples, found: Found, memory_bytes: int) -> np.ndarray:
    """Similarities (found,) of pairs of stored samples, one by one."""
    result = np.empty(len(found.sample))
    for part in blocks(len(result), max(1, min(4096, memory_bytes // (64 * samples.x.units)))):
        first, second = samples.rows(found.sample[part]), samples.rows(found.other[part])
        if samples.comparison == "euclidean":
            result[part] = -squared_lengths(first - second)
        else:
            result[part] = np.einsum("ij,ij->i", first, second)
    return result


def raise_floor(floor: np.ndarray, rows: slice, tile: np.ndarray, k: int) -> None:
    """Sets a floor for samples of a first tile (rows, columns): the k-th largest of some similarities in it."""
    if tile.shape[1] > k and np.isneginf(floor[rows]).all():
        some = tile[:, : max(4 * k, ENOUGH_FOR_FLOOR)]
        floor[rows] = np.partition(some, some.shape[1] - k, axis=1)[:, some.shape[1] - k]


def candidates(tile: np.ndarray, floor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the similarities that reach the floor."""
    return np.divmod(np.flatnonzero((tile >= floor) & (tile > -np.inf)), tile.shape[1])


def best(found: Found, k: int, tie: float) -> Found:
    """The k most similar others of each sample; sorted by sample, the most similar first."""
    sample, other, similarity = found
    order = sorted_order(sample, np.rint(similarity / tie).astype(np.int64), other)
    sample = sample[order]
    place = np.arange(len(sample)) - np.searchsorted(sample, sample)
    order = order[place < k]
    return Found(sample[place < k], other[order], similarity[order])


def sorted_order(sample: np.ndarray, similarity: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Order (found,) by sample, then from the most similar (whole numbers), then by the other sample."""
    spread = int(np.ptp(similarity)) + 1
    if int(sample.max()) < 2**62 // spread:
        # One key of whole numbers sorts several times faster than three do; mostly nothing is tied.
        key = sample * spread + (similarity.max() - similarity)
        order = np.argsort(key)
        ordered = key[order]
        if (ordered[1:] != ordered[:-1]).all():
            return order
    return np.lexsort((other, -similarity, sample))


def pruned(found: list[Found], floor: np.ndarray, k: int, slack: float) -> Found:
    """Those pairs that may still be among the nearest; raises the floor of the samples of which k others are known."""
    sample, other, similarity = map(np.concatenate, zip(*found, strict=True))
    # One key sorts much faster than two; where it cannot tell two similarities apart, the least of k is a floor still.
    spread = 1.001 * max(float(np.ptp(similarity)), slack)
    order = np.argsort(sample + (similarity.max() - similarity) / spread)
    counts = np.bincount(sample, minlength=len(floor))
    first = np.cumsum(counts) - counts
    known = np.flatnonzero(counts >= k)
    nearest = similarity[order[first[known, None] + np.arange(k)]]
    floor[known] = np.maximum(floor[known], nearest.min(axis=1))
    kept = similarity >= floor[sample] - 2 * slack
    kept = order[kept[order]]  # by sample: pairs that are compared again are read from nearby memory
    return Found(sample[kept], other[kept], similarity[kept])


# --- overlaps of neighbourhoods --------------------------------------------------------------------------------------


class Shared(NamedTuple):
    """Neighbours that samples have in both networks."""

    sample: np.ndarray  # (shared,)
    other: np.ndarray  # (shared,) the neighbour
    place_x: np.ndarray  # (shared,) where it is in the list of x, from 0
    place_y: np.ndarray  # (shared,)


def shared_neighbours(x: np.ndarray, y: np.ndarray) -> Shared:
    """What the lists of neighbours x (samples, k) and y (samples, k) have in common, sample by sample."""
    parts = []
    for rows in blocks(len(x), max(1, 2**22 // x.shape[1] ** 2)):
        sample, place_x, place_y = np.nonzero(x[rows, :, None] == y[rows, None, :])
        sample += rows.start
        parts.append((sample, x[sample, place_x], place_x, place_y))
    return Shared(*map(np.concatenate, zip(*parts, strict=True)))


def shared_share(
    x: Representation, y: Representation, k: int, comparison: str = "cosine", **limits: Unpack[Limits]
) -> float:
    """Share of the k neighbours of a sample that it has in both networks, over all samples."""
    x, y, memory_bytes = limited(x, y, **limits)
    lists_x, lists_y = both(x, y, k, comparison, memory_bytes=memory_bytes)
    if x.samples**2 <= memory_bytes // 8:
        # Looked up, which is quicker wherever a network has more than one partner.
        members = x.factor(f"members/{comparison}/{k}", lambda: membership(lists_x))
        return np.count_nonzero(np.take_along_axis(members, lists_y, axis=1)) / lists_y.size
    slices = blocks(len(lists_x), max(1, 2**22 // k**2))
    shared = sum(np.count_nonzero(lists_x[rows, :, None] == lists_y[rows, None, :]) for rows in slices)
    return shared / lists_x.size


def membership(lists: np.ndarray) -> np.ndarray:
    """Whether each sample is a neighbour of each (samples, samples), from the lists of neighbours (samples, k)."""
    members = np.zeros((len(lists), len(lists)), dtype=bool)
    np.put_along_axis(members, lists, True, axis=1)
    return members


def both(
    x: Representation, y: Representation, k: int, comparison: str = "cosine", **limits: Unpack[Limits]
) -> tuple[np.ndarray, np.ndarray]:
    """Lists of neighbours (samples, k) of both networks."""
    x, y, memory_bytes = limited(x, y, **limits)
    return tuple(neighbours(network, comparison, k, memory_bytes).samples for network in (x, y))


NEIGHBOURS = {"lowest": 0.0, "highest": 1.0, "needs": "samples", "cost": "samples^2 units"}


@measure(
    "mutual_knn",
    equation="mean over samples i of |N_x(i) & N_y(i)| / k, N: the k samples with the largest cosine",
    source="Huh et al. 2024",
    invariances=ANGLES,
    symmetric=True,
    **NEIGHBOURS,
)
def mutual_knn(x: Representation, y: Representation, k: int = 10, **limits: Unpack[Limits]) -> float:
    """Share of nearest neighbours, by cosine, that a sample has in both networks; k / (samples - 1) by chance.

    It falls as samples are added: compare at one number of samples and one k. The authors' released code also clips
    large activations first; that is left to the caller.

    Args:
        x, y: the networks.
        k: number of neighbours.
        limits: see `sample_pairs.Limits`.

    Raises:
        Undefined: a sample is zero in every unit, or there are not more than k samples.
    """
    return shared_share(x, y, k, **limits)


@measure(
    "mutual_knn_euclidean",
    equation="mean over samples i of |N_x(i) & N_y(i)| / k, N: the k samples at the smallest Euclidean distance",
    source="Huh et al. 2024, with distances in place of cosines",
    invariances=ROTATIONS,
    symmetric=True,
    **NEIGHBOURS,
)
def mutual_knn_euclidean(x: Representation, y: Representation, k: int = 10, **limits: Unpack[Limits]) -> float:
    """The same with Euclidean distance, which a shift of the units leaves alone.

    Args: see `mutual_knn`.

    Raises:
        Undefined: all samples are the same, or there are not more than k.
    """
    return shared_share(x, y, k, "euclidean", **limits)


@measure(
    "jaccard_knn",
    equation="mean over samples i of |N_x(i) & N_y(i)| / |N_x(i) | N_y(i)|, N: the k samples with the largest cosine",
    source="Schumacher et al. 2021",
    invariances=ANGLES,
    symmetric=True,
    **NEIGHBOURS,
)
def jaccard_knn(x: Representation, y: Representation, k: int = 10, **limits: Unpack[Limits]) -> float:
    """Jaccard similarity of neighbourhoods.

    Args, Raises: see `mutual_knn`.
    """
    lists_x, lists_y = both(x, y, k, **limits)
    shared = np.bincount(shared_neighbours(lists_x, lists_y).sample, minlength=len(lists_x))
    return (shared / (2 * k - shared)).mean()


@measure(
    "rank_knn",
    equation="mean over i of [sum over shared j of 2 / ((1 + |r - s|)(r + s))] / [sum over m = 1 ... shared of 1 / m], "
    "r and s: places of j in the lists of i",
    source="Wang et al. 2022",
    invariances=ANGLES,
    symmetric=True,
    **NEIGHBOURS,
)
def rank_knn(x: Representation, y: Representation, k: int = 10, **limits: Unpack[Limits]) -> float:
    """How far shared neighbours have the same places in both lists, near ones counting more; 0 without any.

    Args, Raises: see `mutual_knn`.
    """
    lists_x, lists_y = both(x, y, k, **limits)
    shared = shared_neighbours(lists_x, lists_y)
    apart, together = np.abs(shared.place_x - shared.place_y), shared.place_x + shared.place_y + 2
    total = np.bincount(shared.sample, 2 / ((1 + apart) * together), minlength=len(lists_x))
    largest = np.concatenate([[1.0], np.cumsum(1 / np.arange(1, k + 1))])
    return (total / largest[np.bincount(shared.sample, minlength=len(lists_x))]).mean()


@measure(
    "lcs_knn",
    equation="mean over samples i of the length of the longest common subsequence of the two lists of neighbours / k",
    source="Huh et al. 2024",
    invariances=ANGLES,
    symmetric=True,
    **NEIGHBOURS,
)
def lcs_knn(x: Representation, y: Representation, k: int = 10, **limits: Unpack[Limits]) -> float:
    """Longest common subsequence of the lists of neighbours, nearest first, as a share of k (released code: a length).

    Args, Raises: see `mutual_knn`.
    """
    lists_x, lists_y = both(x, y, k, **limits)
    longest = [np.zeros(len(lists_x)) for _ in range(k + 1)]
    for neighbour in lists_x.T:
        before = longest
        longest = [before[0]]
        for place, other in enumerate(lists_y.T):
            unequal = np.maximum(before[place + 1], longest[place])
            longest.append(np.where(neighbour == other, before[place] + 1, unequal))
    return longest[k].mean() / k


@measure(
    "edit_knn",
    equation="1 - mean over samples i of the Levenshtein distance of the two lists of neighbours / k",
    source="Huh et al. 2024",
    invariances=ANGLES,
    symmetric=True,
    **NEIGHBOURS,
)
def edit_knn(x: Representation, y: Representation, k: int = 10, **limits: Unpack[Limits]) -> float:
    """How few insertions, deletions and replacements turn one list of neighbours into the other.

    Args, Raises: see `mutual_knn`.
    """
    lists_x, lists_y = both(x, y, k, **limits)
    edits = [np.full(len(lists_x), float(place)) for place in range(k + 1)]
    for removed, neighbour in enumerate(lists_x.T, start=1):
        before = edits
        edits = [np.full(len(lists_x), float(removed))]
        for place, other in enumerate(lists_y.T):
            replaced = before[place] + (neighbour != other)
            edits.append(np.minimum(replaced, 1 + np.minimum(before[place + 1], edits[place])))
    return 1 - edits[k].mean() / k


@measure(
    "cycle_knn",
    equation="share of samples i with a j in N_y(i) such that i is in N_x(j), N: the k samples with the largest cosine",
    source="Huh et al. 2024",
    invariances=ANGLES,
    symmetric=False,
    **NEIGHBOURS,
)
def cycle_knn(x: Representation, y: Representation, k: int = 10, **limits: Unpack[Limits]) -> float:
    """Share of samples that are found again: to a neighbour in y, and from there to a neighbour in x.

    Of a network with itself it is 1 only if every sample is a neighbour of one of its neighbours: a sample that is far
    from all others is not.

    Args, Raises: see `mutual_knn`.
    """
    lists_x, lists_y = both(x, y, k, **limits)
    found = 0
    for rows in blocks(len(lists_x), max(1, 2**22 // k**2)):
        here = np.arange(rows.start, rows.stop)[:, None, None]
        found += (lists_x[lists_y[rows]] == here).any(axis=(1, 2)).sum()
    return found / len(lists_x)


# --- kernels on shared neighbours ------------------------------------------------------------------------------------


def cosine_lists(x: Representation, k: int, memory_bytes: int) -> Neighbours:
    """Neighbours by cosine, with the cosines.

    Raises:
        StudyError: k is less than 2, as a kernel of one neighbour per sample has no alignment.
    """
    if k < 2:
        raise StudyError(f"alignment of kernels on neighbours needs at least 2 neighbours, but k is {k}.")
    return neighbours(x, "cosine", k, memory_bytes)


def mean_cosines(x: Representation) -> np.ndarray:
    """Mean cosine (samples,) of each sample with all, itself included."""

    def compute() -> np.ndarray:
        every = list(blocks(x.samples, ROWS_PER_BLOCK))
        mean = sum(stored_rows(x, "cosine", rows).sum(axis=0) for rows in every) / x.samples
        return np.concatenate([stored_rows(x, "cosine", rows) @ mean for rows in every])

    stored, order = x.factor("mean cosines", compute, unordered=True), order_of(x)
    return stored if order is None else stored[order]


@measure(
    "cknna",
    equation="A(K, L) / sqrt(A(K, K) A(L, L)), A(K, L) = sum over i, and j in N_x(i) & N_y(i), of "
    "(K_ij - mean_l K_il)(L_ij - mean_l L_il), K and L: cosines",
    source="Huh et al. 2024, equations 16 to 18",
    invariances=ANGLES,
    symmetric=True,
    lowest=-1.0,
    highest=1.0,
    needs="samples",
    cost="samples^2 units",
)
def cknna(x: Representation, y: Representation, k: int = 10, **limits: Unpack[Limits]) -> float:
    """Centred kernel alignment over mutual neighbours only, as the paper's equations have it.

    The paper's released code computes something else, see `cknna_debiased`.

    Args:
        x, y: the networks.
        k: number of neighbours, at least 2.
        limits: see `sample_pairs.Limits`.

    Raises:
        StudyError: k is less than 2.
        Undefined: a sample is zero in every unit, there are not more than k samples, or all cosines are equal.
    """
    x, y, memory_bytes = limited(x, y, **limits)
    lists = [cosine_lists(network, k, memory_bytes) for network in (x, y)]
    values = [found.similarity - mean_cosines(network)[:, None] for found, network in zip(lists, (x, y), strict=True)]
    own = [np.vdot(value, value) for value in values]
    for network, value in zip((x, y), own, strict=True):
        if value <= network.samples * k * TIE**2:
            raise Undefined(f"the samples of {network.name} all have the same cosines, so no kernel is left.")
    shared = shared_neighbours(lists[0].samples, lists[1].samples)
    aligned = np.dot(values[0][shared.sample, shared.place_x], values[1][shared.sample, shared.place_y])
    return aligned / np.sqrt(own[0] * own[1])


@measure(
    "cknna_debiased",
    equation="h(M K, M L) / sqrt(h(M_x K, M_x K) h(M_y L, M_y L)), h: unbiased HSIC, K and L: cosines, "
    "M_x: j in N_x(i), M = M_x M_y",
    source="Huh et al. 2024, released code; Song et al. 2012, equation 5, for h",
    invariances=ANGLES,
    symmetric=False,
    lowest=-np.inf,
    highest=1.0,
    needs="samples",
    cost="samples^2 units",
)
def cknna_debiased(x: Representation, y: Representation, k: int = 10, **limits: Unpack[Limits]) -> float:
    """Unbiased alignment of kernels that are zero but for mutual neighbours: the estimator behind published numbers.

    Neighbours need not be mutual between two samples, so the masked kernels are not symmetric: h counts the pairs that
    are, and x and y cannot quite be exchanged; neither is it bounded. (The released code adds 1e-6 to the denominator,
    which is not followed.)

    Args: see `cknna`.

    Raises:
        StudyError: k is less than 2.
        Undefined: as `cknna`; or there are fewer than four samples, or no two samples are each other's neighbours.
    """
    x, y, memory_bytes = limited(x, y, **limits)
    require_four(x)
    lists = [cosine_lists(network, k, memory_bytes) for network in (x, y)]
    own = [masked_hsic(found, found) for found in lists]
    for network, value in zip((x, y), own, strict=True):
        if value <= 0:
            raise Undefined(f"the unbiased HSIC of the masked kernel of {network.name} with itself is not positive.")
    return masked_hsic(*lists) / np.sqrt(own[0] * own[1])


def masked_hsic(x: Neighbours, y: Neighbours) -> float:
    """Unbiased HSIC, times n (n - 3), of two kernels that are zero but for shared neighbours."""
    samples = len(x.samples)
    shared = shared_neighbours(x.samples, y.samples)
    values = x.similarity[shared.sample, shared.place_x], y.similarity[shared.sample, shared.place_y]
    # sum over i, j of K_ij L_ji: the entries whose mirror image is shared too.
    key, mirror = shared.sample * samples + shared.other, shared.other * samples + shared.sample
    order = np.argsort(key)
    place = np.searchsorted(key, mirror, sorter=order).clip(max=len(key) - 1)
    both_ways = key[order[place]] == mirror
    product = np.dot(values[0][both_ways], values[1][order[place]][both_ways])
    columns = np.bincount(shared.other, values[0], minlength=samples)
    rows = np.bincount(shared.sample, values[1], minlength=samples)
    total = values[0].sum() * values[1].sum() / ((samples - 1) * (samples - 2))
    return product + total - 2 / (samples - 2) * np.dot(columns, rows)


# --- information imbalance -------------------------------------------------------------------------------------------


@measure(
    "information_imbalance",
    equation="1 - 2 (r - 1) / (n - 2), r: mean over samples of the rank, by distance in y, of the nearest in x",
    source="Glielmo et al. 2022",
    invariances=ROTATIONS,
    symmetric=False,
    lowest=-1.0,
    highest=1.0,
    needs="samples",
    cost="samples^2 units",
)
def information_imbalance(x: Representation, y: Representation, **limits: Unpack[Limits]) -> float:
    """How well distances in x predict those in y: 1 if the nearest in x is the nearest in y, 0 by chance.

    The published imbalance is D(x -> y) = 2 r / n, 0 for informative; this is 1 - (n D - 2) / (n - 2), which differs
    from 1 - D by at most 2 / n, is exactly 1 for a network with itself and 0 on average for independent ones. Equal
    distances share their mean rank; of equally near samples in x the first is taken.

    Args:
        x, y: from x to y; the other direction is another number.
        limits: see `sample_pairs.Limits`.

    Raises:
        Undefined: all samples of a network are the same.
    """
    x, y, memory_bytes = limited(x, y, **limits)
    nearest = neighbours(x, "euclidean", 1, memory_bytes).samples[:, 0]
    ranks = distance_ranks(y, nearest, memory_bytes)
    return 1 - 2 * (ranks.mean() - 1) / (x.samples - 2)


def distance_ranks(y: Representation, partners: np.ndarray, memory_bytes: int) -> np.ndarray:
    """Rank from 1, by distance from each sample, of one other sample (samples,); equals share their mean rank.

    Args:
        y: the network.
        partners: (samples,) the other sample of each.
        memory_bytes: see `sample_pairs.Limits`.
    """
    order = order_of(y)
    if order is None:
        return stored_ranks(y, np.arange(y.samples), partners, memory_bytes)
    kept = np.uint16 if y.samples < SMALL_RANKS else np.uint32
    if y.samples**2 * np.dtype(kept).itemsize > memory_bytes:
        return stored_ranks(y, order, order[partners], memory_bytes)
    # A network in another order is one of many draws: all ranks, computed once, serve all.
    every = y.factor("distance ranks", lambda: all_doubled_ranks(y, kept, memory_bytes), unordered=True)
    return every[order, order[partners]] / 2


def stored_ranks(y: Representation, sample: np.ndarray, other: np.ndarray, memory_bytes: int) -> np.ndarray:
    """Ranks of stored samples `other` (samples,) by distance from stored `sample` (samples,), each named once."""
    tie = TIE * scale_of(y, "euclidean")
    samples = Samples(y, "euclidean", memory_bytes)
    own = np.empty(y.samples)
    for rows in blocks(y.samples, samples.side):
        own[sample[rows]] = -squared_lengths(samples.rows(sample[rows]) - samples.rows(other[rows]))
    nearer, as_near = np.zeros(y.samples), np.zeros(y.samples)
    for rows, columns in upper_tiles(y.samples, samples.side):
        tile = samples.similarity(rows, columns)
        if rows == columns:
            np.fill_diagonal(tile, -np.inf)
        else:
            nearer[columns] += np.count_nonzero(tile > own[columns] + tie, axis=0)
            as_near[columns] += np.count_nonzero(tile >= own[columns] - tie, axis=0)
        nearer[rows] += np.count_nonzero(tile > own[rows, None] + tie, axis=1)
        as_near[rows] += np.count_nonzero(tile >= own[rows, None] - tie, axis=1)
    return ((nearer + as_near + 1) / 2)[sample]


def all_doubled_ranks(y: Representation, kept: type, memory_bytes: int) -> np.ndarray:
    """Twice the rank (samples, samples) of every stored sample by distance from every stored sample."""
    tie = TIE * scale_of(y, "euclidean")
    samples = Samples(y, "euclidean", memory_bytes)
    ranks = np.empty((y.samples, y.samples), dtype=kept)
    whole = slice(0, y.samples)
    place = np.arange(1, y.samples + 1)
    for rows in blocks(y.samples, max(1, min(samples.side, memory_bytes // (64 * y.samples)))):
        distance = -samples.similarity(rows, whole)
        distance[np.arange(len(distance)), np.arange(rows.start, rows.stop)] = np.inf  # itself comes last
        order = np.argsort(distance, axis=1, kind="stable")
        steps = np.diff(np.take_along_axis(distance, order, axis=1), axis=1) > tie
        first, last = np.tile(place, (len(order), 1)), np.tile(place, (len(order), 1))
        first[:, 1:][~steps] = 0
        last[:, :-1][~steps] = y.samples
        first = np.maximum.accumulate(first, axis=1)
        last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
        np.put_along_axis(ranks[rows], order, (first + last).astype(kept), axis=1)
    return ranks
