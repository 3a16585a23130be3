"""The registry of similarity measures: what each one is, what leaves it unchanged, and one way to call them all.

Every measure is a similarity: higher means more alike. It takes two arrays of activations of the same samples in the
same order, and has a stable name that says kernel, estimator and scale.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps

from convergent.errors import StudyError, did_you_mean
from convergent.similarity.factors import Activations, Representation, require_same_samples

# What may be done to the units of one side alone: put in another order; rotated or reflected; all multiplied by one
# positive number; each multiplied by its own positive number; shifted, each by its own constant; mixed by any
# invertible matrix.
INVARIANCES = (
    "permutation",
    "orthogonal",
    "isotropic_scaling",
    "unit_scaling",
    "translation",
    "invertible_linear",
)
# Those that come together.
ROTATIONS = ("permutation", "orthogonal", "isotropic_scaling", "translation")  # leave ratios of distances alone
LINEAR = ("permutation", "orthogonal", "isotropic_scaling", "unit_scaling", "translation", "invertible_linear")
UNITS = ("permutation", "isotropic_scaling", "unit_scaling", "translation")
NEEDS = ("moments", "samples")


class Undefined(StudyError):
    """A measure has no value for these activations; the message is the reason."""


@dataclass(frozen=True)
class Measure:
    """A similarity measure and what is known of it."""

    name: str
    function: Callable[..., float]  # of two `Representation`s and options
    equation: str
    source: str
    invariances: frozenset[str]  # some of `INVARIANCES`, of either side alone
    symmetric: bool  # whether x and y may be exchanged
    lowest: float
    highest: float  # of any activations with themselves
    needs: str  # "moments": means and second moments of the units suffice; "samples": they do not
    cost: str  # arithmetic, in words: "units^3", "samples^2 units"

    def __call__(self, x: Activations, y: Activations, **options) -> float:
        """Similarity of x and y.

        Args:
            x: activations (samples, units_x), NumPy or torch, any float precision; or a `Representation`, which keeps
                what it has computed for the next measure or partner.
            y: activations (samples, units_y) of the same samples in the same order.
            options: of the measure.

        Raises:
            StudyError: the numbers of samples differ, there are fewer than three, or a value is not finite.
            Undefined: the measure has no value here; the message is the reason.

        Examples:
            >>> x = np.random.default_rng(0).normal(size=(200, 3))
            >>> rotated = x @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) + 5
            >>> round(MEASURES["procrustes"](x, rotated), 6), round(MEASURES["permutation_correlation"](x, rotated), 1)
            (1.0, 0.3)
            >>> MEASURES["svcca"](x, np.ones((200, 3)), variance=0.9)
            Traceback (most recent call last):
                ...
            convergent.similarity.registry.Undefined: no unit of y varies over the samples.
        """
        first = once(x, "x")
        second = first if y is x else once(y, "y")
        require_same_samples(first, second)
        return float(self.function(first, second, **options))


MEASURES: dict[str, Measure] = {}


def once(x: Activations, name: str) -> Representation:
    """Activations as a `Representation` for one measure of one pair; one that is passes through."""
    return x if isinstance(x, Representation) else Representation(x, name, lasting=False)


def measure(
    name: str,
    *,
    equation: str,
    source: str,
    invariances: Iterable[str],
    symmetric: bool,
    lowest: float,
    highest: float,
    needs: str,
    cost: str,
) -> Callable[[Callable[..., float]], Callable[..., float]]:
    """Decorator that registers a function of two `Representation`s and returns one that takes arrays as well.

    Args: see `Measure`.

    Raises:
        StudyError: the name is taken, or an invariance or need is unknown.
    """
    unknown = sorted(set(invariances) - set(INVARIANCES))
    if unknown or needs not in NEEDS:
        raise StudyError(f"the measure {name!r} declares {unknown or needs!r}, which is none of {INVARIANCES + NEEDS}.")
    if name in MEASURES:
        raise StudyError(f"there are two measures with the name {name!r}: rename one.")

    def register(function: Callable[..., float]) -> Callable[..., float]:
        registered = Measure(
            name, function, equation, source, frozenset(invariances), symmetric, lowest, highest, needs, cost
        )
        MEASURES[name] = registered

        @wraps(function)
        def call(x: Activations, y: Activations, **options) -> float:
            return registered(x, y, **options)

        return call

    return register


def measure_named(name: str) -> Measure:
    """The measure of that name.

    Raises:
        StudyError: there is none; the message lists all.

    Examples:
        >>> cka = measure_named("cka_linear")
        >>> cka.equation
        '|C|_F^2 / (|S_x|_F |S_y|_F)'
        >>> sorted(cka.invariances)
        ['isotropic_scaling', 'orthogonal', 'permutation', 'translation']
        >>> x = np.array([[0.0, 1], [1, 3], [4, 0], [2, 2]])
        >>> round(cka(x, 7 * x[:, ::-1]), 6)
        1.0
    """
    if name not in MEASURES:
        raise StudyError(
            f"there is no measure {name!r}{did_you_mean(name, MEASURES)}: choose one of {', '.join(sorted(MEASURES))}."
        )
    return MEASURES[name]


__all__ = ["INVARIANCES", "MEASURES", "Measure", "Representation", "Undefined", "measure", "measure_named"]
