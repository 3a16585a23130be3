"""Activations of one network together with everything that is computed from them once, whatever the number of partners.

A measure asks its two `Representation`s for what it needs: a covariance, a whitening, lists of neighbours. The first
to ask computes it, and it stays for the next measure and the next pair.
"""

import mmap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary, ref

import numpy as np

from convergent.errors import StudyError
from convergent.samples import ROWS_PER_BLOCK, blocks

if TYPE_CHECKING:
    import torch

    Activations = np.ndarray | torch.Tensor | "Representation"
else:
    Activations = object

T = TypeVar("T")
FEWEST_SAMPLES = 3


class Representation:
    """Activations of one network at one layer, and everything that is computed from them once.

    Args:
        activations: (samples, units), NumPy or torch, any float precision or integers; memory-mapped arrays stay so.
        name: what to call them in an error.
        lasting: False: made for a single measure of a single pair, so that nothing is worth computing for later.

    Raises:
        StudyError: they are not a two-dimensional array of real numbers.

    Examples:
        One for each network, whatever the number of measures and of partners:

        >>> from convergent.similarity import MEASURES
        >>> generator = np.random.default_rng(0)
        >>> networks = [Representation(generator.normal(size=(50, 4)), name) for name in ("first", "second")]
        >>> networks[0]
        Representation('first', 50 samples, 4 units)
        >>> all(0 < MEASURES[name](*networks) < 1 for name in ("cka_linear", "cca_mean", "procrustes"))
        True
    """

    def __init__(self, activations: "np.ndarray | torch.Tensor", name: str = "x", lasting: bool = True) -> None:
        self.name = name
        self.lasting = lasting
        self.activations = array(activations, name)
        self.samples, self.units = self.activations.shape
        self.order: np.ndarray | None = None  # in which the stored samples are read
        self._factors: dict[str, object] = {}
        self.unordered_factors: dict[str, object] = {}  # those that the order of the samples does not change
        self._partner: ref[Representation] | None = None
        self._pair: dict[str, object] = {}  # what belongs to this network and its last partner
        self._kept: WeakKeyDictionary[Representation, dict[str, object]] = WeakKeyDictionary()  # and to others

    def __repr__(self) -> str:
        return f"Representation({self.name!r}, {self.samples} samples, {self.units} units)"

    def blocks(self, rows: int = ROWS_PER_BLOCK) -> Iterator[np.ndarray]:
        """The activations as float64, at most `rows` samples (rows, units) at a time.

        Raises:
            StudyError: a value is NaN or infinite; the message names the unit.
        """
        for block in blocks(self.samples, rows):
            yield self.read(block)

    def read(self, rows: slice | np.ndarray, precision: type = np.float64) -> np.ndarray:
        """Some samples (rows, units) as a copy in double or another precision; raises as `blocks` does."""
        values = np.array(self.activations[rows if self.order is None else self.order[rows]], dtype=precision)
        forget_pages(self.activations)
        # The sum is finite unless a value is not; a mask of every value would cost as much as the products.
        with np.errstate(over="ignore"):
            total = values.sum()
        if not np.isfinite(total):
            bad = np.flatnonzero(~np.isfinite(values).all(axis=0))
            if len(bad):
                raise StudyError(
                    f"unit {bad[0]} of {self.name} has NaN or infinite activations: check where they come from."
                )
        return values

    def hold(self) -> None:
        """Read activations that are in a file into memory, where they stay."""
        if isinstance(self.activations, np.memmap):
            mapped, self.activations = self.activations, np.array(self.activations[:])
            forget_pages(mapped)

    def factor(self, name: str, compute: Callable[[], T], *, unordered: bool = False) -> T:
        """What `compute` returns, computed once and then remembered under its name.

        Args:
            name: of the factor, with every option that changes it.
            compute: called without arguments.
            unordered: the order of the samples does not change it, so that `permuted` copies may share it.
        """
        known = self.unordered_factors if unordered else self._factors
        if name not in known:
            known[name] = compute()
        return known[name]

    def with_partner(self, other: "Representation", name: str, compute: Callable[[], T]) -> T:
        """The same for what belongs to a pair; forgotten when another partner comes, so that memory is bounded."""
        if name in self._kept.get(other, ()):
            return self._kept[other][name]
        if self._partner is None or self._partner() is not other:
            self._partner, self._pair = ref(other), {}
        if name not in self._pair:
            self._pair[name] = compute()
        return self._pair[name]

    def keep_with_partner(self, other: "Representation", name: str, value: object) -> None:
        """Remember what belongs to a pair as long as both live, whatever partners come: the caller bounds memory."""
        self._kept.setdefault(other, {})[name] = value

    def knows(self, name: str, other: "Representation | None" = None) -> bool:
        """Whether that factor, or what belongs to this pair, has been computed."""
        if other is None:
            return name in self._factors or name in self.unordered_factors
        if name in self._kept.get(other, ()):
            return True
        return self._partner is not None and self._partner() is other and name in self._pair

    def permuted(self, order: np.ndarray) -> "Representation":
        """The same samples in another order; the factors that the order does not change are shared.

        Args:
            order: (samples,) a permutation: which sample comes first, second, ...

        Raises:
            StudyError: it is not a permutation of the samples.
        """
        order = np.asarray(order)
        if not np.array_equal(np.sort(order), np.arange(self.samples)):
            raise StudyError(f"the order of {self.name} is not a permutation of its {self.samples} samples.")
        other = Representation(self.activations, self.name, self.lasting)
        other.order = order if self.order is None else self.order[order]
        other.unordered_factors = self.unordered_factors
        return other


class MomentsOnly(Representation):
    """A network of which second moments are known, but no activations; measures that need samples refuse it.

    Args:
        samples: number of samples that the moments come from.
        covariance: (units, units) population covariances of its units.
        name: what to call it in an error.
    """

    def __init__(self, samples: int, covariance: np.ndarray, name: str = "x") -> None:
        super().__init__(covariance, name)
        self.activations = None
        self.samples = int(samples)
        self.unordered_factors |= {"covariance": covariance, "variance": np.diag(covariance).copy()}

    def relate(self, other: "MomentsOnly", covariance: np.ndarray) -> None:
        """Tell both networks their covariances (units, units of the other)."""
        self.keep_with_partner(other, "covariance", covariance)
        other.keep_with_partner(self, "covariance", covariance.T)

    def read(self, rows: slice | np.ndarray, precision: type = np.float64) -> np.ndarray:
        raise StudyError(f"only moments of {self.name} are known: what was asked for needs its activations.")

    def permuted(self, order: np.ndarray) -> Representation:
        return self.read(order)


def array(activations: "np.ndarray | torch.Tensor", name: str) -> np.ndarray:
    """Activations as a NumPy array (samples, units), without a copy where they are one.

    Raises:
        StudyError: they are not a two-dimensional array of real numbers.
    """
    if hasattr(activations, "detach"):  # a tensor: no need to import torch to know
        activations = activations.detach().cpu()
        if "bfloat16" in str(activations.dtype):  # NumPy has no such type
            activations = activations.float()
        activations = activations.numpy()
    values = activations if isinstance(activations, np.memmap) else np.asarray(activations)
    if values.ndim != 2 or 0 in values.shape:
        raise StudyError(
            f"activations have shape (samples, units), but those of {name} have {values.shape}: "
            "decide first what becomes of the positions of a map."
        )
    if values.dtype.kind not in "fiub":
        raise StudyError(f"activations are real numbers, but those of {name} are of type {values.dtype}.")
    return values


def forget_pages(activations: np.ndarray) -> None:
    """Give back the memory of what has been read of a memory-mapped file; the system's cache still has it.

    Otherwise the whole file would count as memory of this process by the end of one pass.
    """
    pages = getattr(activations, "_mmap", None)
    # Elsewhere the advice has another meaning or is missing; of a copy-on-write file it would undo changes.
    if pages is not None and activations.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def representation(x: Activations, name: str) -> Representation:
    """Activations as a `Representation`; one that is passes through."""
    return x if isinstance(x, Representation) else Representation(x, name)


def require_same_samples(x: Representation, y: Representation) -> None:
    """StudyError unless both have the same number of samples, and at least three."""
    if x.samples != y.samples:
        raise StudyError(
            f"the numbers of samples differ ({x.samples} in {x.name}, {y.samples} in {y.name}): "
            "compare activations of one probe set."
        )
    if x.samples < FEWEST_SAMPLES:
        raise StudyError(f"similarity needs at least {FEWEST_SAMPLES} samples, but {x.name} has {x.samples}.")
