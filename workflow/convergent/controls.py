"""Controls of the alignment: what matching gives when there is nothing, or everything, to find.

`shuffled`: the images of each network are shuffled independently, so that no unit has a counterpart while every
unit keeps its distribution (the negative control). `permuted`: a network against a copy of itself with its units in
random order, which must give a correlation of 1 and the order back (the positive control). `siblings`: a network
against itself, no unit being its own partner: how much units resemble each other without any second network.
`against_untrained`: a trained network against another one before its training.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from convergent.alignment import Alignment, align
from convergent.errors import StudyError
from convergent.matching import bipartite_match
from convergent.samples import ROWS_PER_BLOCK, blocks
from convergent.statistics import Moments, pair_moments, pairs


def shuffled_moments(
    x: Mapping[str, np.ndarray],
    y: Mapping[str, np.ndarray] | None,
    images: int,
    draws: int,
    generator: np.random.Generator,
) -> Iterator[dict[tuple[str, str], Moments]]:
    """Moments of each pair of networks, those of x each with its images in an order of its own; one per draw.

    Args:
        x: network name -> (samples, units), all over the same samples, image by image.
        y: the networks of the other side, in their true order; None: the shuffled networks of x.
        images: how many images the samples come from, the same number from each. Whole images are shuffled, because
            positions of one image depend on each other.
        draws: how many times to shuffle.
        generator: source of the shuffles.
    """
    for _ in range(draws):
        order = {name: generator.permutation(images) for name in x}
        yield pair_moments({**x, **(y or {})}, pairs(x, y), images, order)


def across(
    first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray], ordered: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Moments]:
    """Moments of networks of one population with those of another, for pairs of different networks.

    Args:
        first, second: network name -> (samples, units), all over the same samples; the two populations.
        ordered: names of a network of the first and one of the second population.

    Returns:
        (a, b) -> moments of a from the first population with b from the second.
    """
    both = {("first", name): values for name, values in first.items()}
    both |= {("second", name): values for name, values in second.items()}
    ordered = list(ordered)
    moments = pair_moments(both, [(("first", a), ("second", b)) for a, b in ordered])
    return dict(zip(ordered, moments.values(), strict=True))


def permuted_correlation(
    activations: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A network's units against a copy of them in random order.

    Args:
        activations: (samples, units).
        generator: source of the order.

    Returns:
        correlation (units, units) of the original with the copy; planted (units,), where in the copy each unit
        went; live (units,), whether the unit varies.
    """
    order = generator.permutation(activations.shape[1])
    live = np.zeros(activations.shape[1], dtype=bool)
    moments = None
    for rows in blocks(len(activations), ROWS_PER_BLOCK):
        values = activations[rows]
        # Read off the samples themselves, so that the control does not rest on what it controls.
        live |= (values != activations[0]).any(axis=0)
        copy = values[:, order]
        moments = Moments.start(values, copy) if moments is None else moments.update(values, copy)
    return moments.correlation(), np.argsort(order), live


def require_recovered(between: np.ndarray, planted: np.ndarray, live: np.ndarray) -> np.ndarray:
    """One-to-one matching of the positive control; StudyError unless it finds the planted order.

    A unit that has an exact twin in its own network may be exchanged with the twin: what must be recovered is a
    partner with a correlation of 1.
    """
    match = bipartite_match(between)
    own = between[np.arange(len(match)), planted]
    found = between[np.arange(len(match)), match]
    wrong = np.flatnonzero(live & ~((found > 1 - 1e-9) & (own > 1 - 1e-9)))
    if len(wrong):
        raise StudyError(
            f"the positive control failed: unit {wrong[0]} was not matched to its own copy "
            f"(correlation {found[wrong[0]]:.6f}); no score of this layer can be trusted."
        )
    return match


def own_controls(within: np.ndarray, copied: np.ndarray, planted: np.ndarray, live: np.ndarray) -> dict[str, Alignment]:
    """What a network has to do with itself: `permuted`, and `siblings` if more than one unit is live.

    Args:
        within: correlations (units, units) among the network's units.
        copied, planted, live: those with a copy in random order, and the rest of `permuted_correlation`.

    Raises:
        StudyError: the positive control failed.
    """
    require_recovered(copied, planted, live)
    found = {"permuted": align(copied, live, live[np.argsort(planted)])[0]}
    if live.sum() > 1:
        found["siblings"] = align(sibling_correlation(within), live, live)[0]
    return found


def sibling_correlation(within: np.ndarray) -> np.ndarray:
    """Correlation (units, units) of a network's units among themselves, in which no unit can be its own partner.

    Args:
        within: correlations (units, units) among them.

    Returns:
        The correlations, with a diagonal so low that no assignment gains by using it.
    """
    siblings = within.copy()
    np.fill_diagonal(siblings, -2.0 * len(within) - 1)
    return siblings
