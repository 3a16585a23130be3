"""Mutual information of all pairs of units of two networks, in nats, from activations binned unit by unit.

Li et al. 2016, section 3.2: I(X; Y) = sum over bins of p(a, b) ln[p(a, b) / (p(a) p(b))]. The bins adapt to each unit:
one for the exact zeros of a rectified unit, equal-count bins for the rest. The joint counts of all pairs at once are
one matrix product of one-hot codes, (bins units_x, samples) times (samples, bins units_y), cut into tiles of units.
"""

import math
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

import numpy as np

from convergent.errors import StudyError
from convergent.samples import ROWS_PER_BLOCK, blocks, first_not_finite

BIAS_CORRECTIONS = (None, "miller_madow")
MOST_BINS = 256  # a code is one byte
MEMORY_BYTES = 2**28

# float32 holds every integer below 2^24. A product of one-hot codes therefore counts exactly, and two counts fit into
# one number, a + 4096 b, as long as both stay below 4096: half the multiplications for samples taken 4095 at a time.
FIELD = 4096
SAMPLES_PER_PRODUCT = FIELD - 1

INTEGER_OPERATIONS = 10**11  # multiplications from which products of bytes are worth importing PyTorch for
LARGEST_BYTE = 127


class Codes(NamedTuple):
    """The bin of every activation, and how many samples each bin of each unit holds."""

    values: np.ndarray  # (samples, units) uint8, bins numbered upwards from 0 without gaps
    counts: np.ndarray  # (units, bins) int64, 0 for the bins that a unit doesn't use
    times: np.ndarray  # (samples,) int64, how often each sample counts

    @property
    def total(self) -> int:
        """Number of samples, each as often as it counts."""
        return int(self.times.sum())

    def distinct(self, rows: np.ndarray, times: np.ndarray) -> "Codes":
        """The same samples, of which equal ones stand together: `rows` (distinct,), each counted so many `times`."""
        return Codes(self.values[rows], self.counts, times)

    @property
    def occupied(self) -> np.ndarray:
        """Number of bins in use (units,); 1 for a dead unit."""
        return (self.counts > 0).sum(axis=1)


def mutual_information(
    x: np.ndarray,
    y: np.ndarray,
    bins: int = 10,
    bias_correction: str | None = None,
    device: str | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> np.ndarray:
    """Mutual information of every unit of x with every unit of y, in nats.

    Args:
        x: activations (samples, units_x), any float precision; may be memory-mapped.
        y: activations (samples, units_y) for the same samples in the same order.
        bins: number of bins per unit, see `codes`.
        bias_correction, device, memory_bytes: see `mutual_information_of_codes`.

    Returns:
        (units_x, units_y) float64.

    Raises:
        StudyError: the numbers of samples differ, there are fewer samples than bins, the number of bins is not
            within 2..256, a value is not finite, or the bias correction is unknown.

    Source: Li et al. 2016, section 3.2.

    Examples:
        A unit and its square have no correlation, but what one says about the other is much:

        >>> x = np.linspace(-1, 1, 1001)[:, None]
        >>> independent = np.random.default_rng(0).normal(size=(1001, 1))
        >>> mutual_information(x, np.hstack([x, x**2, independent])).round(1)
        array([[2.3, 1.3, 0. ]])
    """
    require_equal_samples(x, y)
    codes_x = codes(x, bins, "x")
    codes_y = codes_x if y is x else codes(y, bins, "y")
    return mutual_information_of_codes(codes_x, codes_y, bias_correction, device, memory_bytes)


def codes(x: np.ndarray, bins: int = 10, network: str = "x", memory_bytes: int = MEMORY_BYTES) -> Codes:
    """Bins of all activations of a network, adapted to each unit.

    A unit whose smallest value is exactly 0 is rectified: its zeros are one bin, its positive values share the
    others. Any other unit has equal-count bins throughout; where negative values occur (GELU, no rectification, after a
    normalisation) an exact zero is a value like any other. Equal values always share a bin, so a unit with frequent or
    few distinct values uses fewer bins, see `lower_edges`; only a dead unit uses a single one.

    Args:
        x: activations (samples, units); may be memory-mapped, it is read in blocks of rows.
        bins: at most this many bins per unit.
        network: what to call x in an error.
        memory_bytes: the edges come from all samples if these fit here, else from as many random samples (drawn with a
            fixed seed) as fit; a regular stride could fall on the same position of every image. Which unit is
            rectified, and where its positive values begin, is read from all samples in any case; any other unit that
            varies in none of the samples drawn counts as dead.

    Returns:
        one byte per activation, held in memory: keep it, if a network is compared with several.

    Raises:
        StudyError: there are fewer samples than bins, the number of bins is not within 2..256, or a value is NaN or
            infinite; the message names the unit.

    Source: Li et al. 2016, section 3.2 (ten bins, zeros apart); the treatment of ties is this project's.
    """
    if not 2 <= bins <= MOST_BINS:
        raise StudyError(f"mutual information needs 2 to {MOST_BINS} bins, but {bins} were asked for.")
    samples, units = x.shape
    if samples < bins:
        raise StudyError(
            f"{bins} bins need at least as many samples, but {network} has {samples}: "
            "use a larger probe set or fewer bins."
        )
    precision = np.result_type(x.dtype, np.float32)
    edges = bin_edges(x, bins, network, memory_bytes).astype(precision)
    values = np.zeros((samples, units), dtype=np.uint8)
    for rows in blocks(samples, ROWS_PER_BLOCK):
        block = x[rows].astype(precision, copy=False)
        for edge in edges:
            values[rows] += block >= edge
    counts = np.stack([np.bincount(column, minlength=bins) for column in values.T])
    return Codes(values, counts, np.ones(samples, int))


def bin_edges(x: np.ndarray, bins: int, network: str, memory_bytes: int) -> np.ndarray:
    """Lowest value of each bin but the first (bins - 1, units), infinite for bins that a unit doesn't use.

    Args: see `codes`.

    Raises:
        StudyError: a value is NaN or infinite.
    """
    samples, units = x.shape
    precision = np.result_type(x.dtype, np.float32)
    smallest, smallest_positive = np.full(units, np.inf), np.full(units, np.inf)
    for rows in blocks(samples, ROWS_PER_BLOCK):
        block = x[rows].astype(precision, copy=False)
        positive = np.where(block > 0, block, precision.type(np.inf))
        if not np.isfinite(block).all():
            raise StudyError(first_not_finite({network: x}))
        smallest = np.minimum(smallest, block.min(axis=0))
        smallest_positive = np.minimum(smallest_positive, positive.min(axis=0))
    affordable = max(bins, memory_bytes // (units * precision.itemsize))
    if samples > affordable:
        x = x[np.sort(np.random.default_rng(0).choice(samples, affordable, replace=False))]
    # One unit per row, so that each is sorted and searched in one piece of memory.
    ordered = x.T.astype(precision, order="C")
    ordered.sort(axis=1)
    edges = np.full((bins - 1, units), np.inf)
    for unit, values in enumerate(ordered):
        if smallest[unit] == 0:
            positive = lower_edges(values[np.searchsorted(values, 0, side="right") :], bins - 1)
            own = [smallest_positive[unit], *positive[1:]]
        else:
            own = lower_edges(values, bins)[1:]
        edges[: len(own), unit] = own
    return edges


def lower_edges(values: np.ndarray, bins: int) -> list[float]:
    """Lowest value of each of at most `bins` bins with counts as equal as ties allow.

    Each bin in turn takes an equal share of the samples that remain; where its end would part equal values, it moves to
    the nearer side of them. Fixed quantiles would coincide at a frequent lowest value, as rectified units have after
    a normalisation, and the unit would seem dead; here the bins that remain share the values that remain.

    Args:
        values: (samples,) in ascending order; may be empty.
        bins: at least 1.
    """
    edges, start = [], 0
    for bins_left in range(bins, 0, -1):
        if start == len(values):
            break
        edges.append(values[start])
        share = (len(values) - start) / bins_left
        end = start + max(1, round(share))
        if end < len(values) and values[end - 1] == values[end]:
            before, after = (int(np.searchsorted(values, values[end], side)) for side in ("left", "right"))
            end = before if start < before and end - before <= after - end else after
        start = end
    return edges


def entropy(codes: Codes) -> np.ndarray:
    """Plug-in entropy of each unit's bins (units,) in nats; what a unit can share with another at most."""
    counts = codes.counts.astype(np.float64)
    return np.log(codes.total) - (counts * np.log(counts.clip(1))).sum(axis=1) / codes.total


def mutual_information_of_codes(
    codes_x: Codes,
    codes_y: Codes,
    bias_correction: str | None = None,
    device: str | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> np.ndarray:
    """Mutual information of every unit of x with every unit of y, in nats, from their binned activations.

    Args:
        codes_x, codes_y: of the same samples in the same order, counted equally often; the numbers of bins may differ.
        bias_correction: None: the plug-in estimate, never negative. "miller_madow": less its bias to first order,
            (occupied_x - 1)(occupied_y - 1) / (2 samples) nats, Miller's term with every joint bin counted as possible.
            Exact for independent units as the number of samples grows, too much for strongly dependent ones, where
            many joint bins are impossible; may be negative. (Released code of the paper subtracts
            bins_x bins_y / (2 samples ln 2): a term in bits, from a value in nats. That is not followed here.)
        device: None: NumPy. Else PyTorch on that device, "cuda" for one; the device must know float64.
        memory_bytes: bound on the working memory of a tile of pairs, beside the codes and the result.

    Returns:
        (units_x, units_y) float64; exactly 0 wherever a unit is dead.

    Raises:
        StudyError: the numbers of samples differ, or the bias correction is unknown.

    Source: Li et al. 2016, section 3.2; Miller 1955 for the bias.
    """
    if bias_correction not in BIAS_CORRECTIONS:
        raise StudyError(
            f"there is no bias correction {bias_correction!r}: choose one of {', '.join(map(str, BIAS_CORRECTIONS))}."
        )
    require_equal_samples(codes_x.values, codes_y.values)
    library, on_device = array_library(device)
    information = np.add.outer(entropy(codes_x), entropy(codes_y))
    side = tile_side(len(codes_x.values), codes_x.counts.shape[1], codes_y.counts.shape[1], memory_bytes)
    above_first = (codes.counts[:, 1:].size for codes in (codes_x, codes_y))
    in_bytes = library is np and integers_pay(len(codes_x.values) * math.prod(above_first))
    for units_x in blocks(information.shape[0], side):
        for units_y in blocks(information.shape[1], side):
            tile = codes_x, codes_y, units_x, units_y
            information[units_x, units_y] -= joint_entropy(*tile, library, on_device, in_bytes)
    # Rounding alone makes a value negative, or that of a dead unit other than 0.
    information.clip(0, out=information)
    information[codes_x.occupied == 1] = 0
    information[:, codes_y.occupied == 1] = 0
    if bias_correction == "miller_madow":
        information -= np.outer(codes_x.occupied - 1, codes_y.occupied - 1) / (2 * codes_x.total)
    return information


def joint_entropy(
    codes_x: Codes,
    codes_y: Codes,
    units_x: slice,
    units_y: slice,
    library: ModuleType,
    on_device: dict,
    in_bytes: bool,
) -> np.ndarray:
    """Plug-in entropy in nats of each pair of a tile (units_x, units_y).

    Bin 0 of either unit is left out of the product: its counts are what is missing from the margins.

    Args:
        codes_x, codes_y: see `mutual_information_of_codes`.
        units_x, units_y: the columns of the tile.
        library, on_device: from `array_library`.
        in_bytes: see `integers_pay`.
    """
    samples = codes_x.total
    if in_bytes:
        joint = integer_counts(codes_x, codes_y, units_x, units_y)
        table = np.arange(samples + 1.0)
        table *= np.log(table.clip(1))
    else:
        joint = float_counts(codes_x, codes_y, units_x, units_y, library, on_device)
    margin_x, margin_y = (
        library.asarray(codes.counts[units].T[1:].astype(np.int64 if in_bytes else np.float64), **on_device)
        for codes, units in ((codes_x, units_x), (codes_y, units_y))
    )
    only_x = margin_x[:, :, None] - joint.sum(axis=2)
    only_y = margin_y[:, None, :] - joint.sum(axis=0).swapaxes(0, 1)
    neither = (samples - margin_x.sum(axis=0)[:, None] - only_y.sum(axis=0))[None]
    total = 0.0
    for counts in (neither, only_x, only_y, *joint.swapaxes(1, 2)):
        # Looked up, integers take a third of the time.
        terms = table.take(counts) if in_bytes else counts * library.log(counts.clip(1))
        total = total + terms.sum(axis=0)
    entropies = np.log(samples) - total / samples
    return entropies if library is np else entropies.cpu().numpy()


def float_counts(
    codes_x: Codes, codes_y: Codes, units_x: slice, units_y: slice, library: ModuleType, on_device: dict
) -> np.ndarray:
    """How often bins above the first meet (bins_x, units_x, bins_y, units_y), from products of float32.

    Arguments as in `joint_entropy`.
    """
    bins_x, bins_y = codes_x.counts.shape[1] - 1, codes_y.counts.shape[1] - 1
    shape = (bins_x + bins_x % 2, len(codes_x.counts[units_x]), bins_y, len(codes_y.counts[units_y]))
    joint = library.zeros(shape, dtype=library.float64, **on_device)
    for rows in countable(codes_x.times):
        values_x, values_y = (
            library.asarray(codes.values[rows, units].copy(), **on_device)
            for codes, units in ((codes_x, units_x), (codes_y, units_y))
        )
        once = library.asarray(codes_x.times[rows, None].astype(np.float32), **on_device)
        factors = once, FIELD * once
        paired = library.zeros((len(values_x), shape[0] // 2, shape[1]), dtype=library.float32, **on_device)
        for code in range(1, bins_x + 1):
            paired[:, (code - 1) // 2] += (values_x == code) * factors[(code - 1) % 2]
        single = library.zeros((len(values_y), *shape[2:]), dtype=library.float32, **on_device)
        for code in range(1, bins_y + 1):
            single[:, code - 1] = values_y == code
        product = paired.reshape(len(values_x), -1).T @ single.reshape(len(values_y), -1)
        product = product.reshape(shape[0] // 2, *shape[1:])
        second = library.floor(product / FIELD)
        joint[1::2] += second
        joint[0::2] += product - FIELD * second
    return joint[:bins_x]


def integers_pay(operations: int) -> bool:
    """Whether so many multiplications are done sooner in bytes by PyTorch, its import included, on this processor.

    One with instructions for sums of products of bytes takes half the time that two counts in a float32 take; others
    are slower that way.
    """
    if operations < INTEGER_OPERATIONS:
        return False
    import torch

    supported = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    return hasattr(torch, "_int_mm") and supported()


def integer_counts(codes_x: Codes, codes_y: Codes, units_x: slice, units_y: slice) -> np.ndarray:
    """The same as `float_counts`, as integers, from products of bytes."""
    import torch

    shape = (
        codes_x.counts.shape[1] - 1,
        len(codes_x.counts[units_x]),
        codes_y.counts.shape[1] - 1,
        len(codes_y.counts[units_y]),
    )
    joint = np.zeros((shape[0] * shape[1], shape[2] * shape[3]), dtype=np.int64)
    for rows in blocks(len(codes_x.values), SAMPLES_PER_PRODUCT):
        left, right = (
            np.concatenate([codes.values[rows, units] == code for code in range(1, codes.counts.shape[1])], axis=1)
            for codes, units in ((codes_x, units_x), (codes_y, units_y))
        )
        # Samples that count more often than a byte holds come again and again.
        times = codes_x.times[rows]
        while times.any():
            now = np.minimum(times, LARGEST_BYTE)
            first = torch.from_numpy((left * now[:, None].astype(np.int8)).T.copy())
            joint += torch._int_mm(first, torch.from_numpy(right.view(np.int8))).numpy()
            times = times - now
    return joint.reshape(shape)


def countable(times: np.ndarray) -> Iterator[slice]:
    """Slices that cover the samples in order, of as many as a product can count when each counts `times` (samples,).

    Raises:
        StudyError: one sample alone counts too often.
    """
    reached = np.cumsum(times)
    start, before = 0, 0
    while start < len(times):
        end = int(np.searchsorted(reached, before + SAMPLES_PER_PRODUCT, side="right"))
        if end == start:
            raise StudyError(f"a sample counts {times[start]} times, but at most {SAMPLES_PER_PRODUCT} are possible.")
        yield slice(start, end)
        start, before = end, int(reached[end - 1])


def array_library(device: str | None) -> tuple[ModuleType, dict]:
    """NumPy, or PyTorch and the keyword that puts arrays on the device; `joint_entropy` uses what both have."""
    if device is None:
        return np, {}
    import torch  # takes longer to import than most studies take here, and only a GPU needs it

    return torch, {"device": device}


def tile_side(samples: int, bins_x: int, bins_y: int, memory_bytes: int) -> int:
    """Units per side of a tile whose working memory in `joint_entropy` stays below the bound; at least 1."""
    # Of a pair of units: joint counts in float64 and at most five float32 arrays that hold two of them in a number;
    # both sets of marginal remainders, and the logarithms of one set of counts.
    per_pair = (8 + 5 * 2) * bins_x * bins_y + 8 * (bins_x + bins_y) + 24 * bins_y
    # Of a unit on either side: codes and their comparison, and float32 columns of a block of samples.
    per_unit = min(samples, SAMPLES_PER_PRODUCT) * (4 * (bins_x / 2 + bins_y) + 16)
    side = (np.sqrt(per_unit**2 + 4 * per_pair * memory_bytes) - per_unit) / (2 * per_pair)
    return max(1, int(side))


def require_equal_samples(x: np.ndarray, y: np.ndarray) -> None:
    """StudyError unless both have the same number of samples."""
    if len(x) != len(y):
        raise StudyError(
            f"the numbers of samples differ between networks ({len(x)} and {len(y)}): dump them from one probe set."
        )
