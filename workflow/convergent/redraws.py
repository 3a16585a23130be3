"""Scores on images drawn with replacement, from which the error that the choice of images brings is read off.

Positions of one image depend on each other, so whole images are drawn, the same for all networks. The halves that fit
and judge the sparse maps are drawn from separately: an image that fits must not judge.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from convergent.activity import activity_scores, spectrum_scores
from convergent.alignment import align, align_by_information
from convergent.clustering import main_group_scores
from convergent.mutual_information import codes, mutual_information_of_codes
from convergent.prediction import map_scores, predictions
from convergent.statistics import pair_moments, reordered

Scored = tuple[str, str, dict[str, float]]


def draw_images(parts: Sequence[np.ndarray], seed: int, draw: int) -> list[np.ndarray]:
    """Each part of the images drawn with replacement, as many as it has; the same for a seed and a draw's number."""
    generator = np.random.default_rng([seed, draw])
    return [generator.choice(part, len(part)) for part in parts]


def alignment_scores(
    activations: Mapping[str, np.ndarray],
    pairs: Sequence[tuple[str, str]],
    images: int,
    chosen: np.ndarray,
    threshold: float,
) -> Iterator[Scored]:
    """Scores that need the correlations only: matching, groups, activity.

    Args:
        activations: network name -> (samples, units), image by image.
        pairs: unordered pairs of networks.
        images: how many images the samples come from.
        chosen: the images to take, each as often as it is named.
        threshold: of the graph that is cut into groups.
    """
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    wanted = [(name, name) for name in names] + list(pairs)
    moments = pair_moments(activations, wanted, images, dict.fromkeys(names, chosen))
    units = {name: moments[name, name].units()[0] for name in names}
    within = {name: moments[name, name].correlation() for name in names}
    for name in names:
        yield name, name, spectrum_scores(units[name])
    for a, b in pairs:
        between = moments[a, b].correlation()
        forward, backward = align(between, units[a].live, units[b].live)
        yield a, b, forward.scores
        yield b, a, backward.scores
        yield a, b, activity_scores(units[a], units[b], between, forward.match)
        yield a, b, main_group_scores(within[a], within[b], between, units[a].live, units[b].live, threshold=threshold)


def information_scores(
    activations: Mapping[str, np.ndarray],
    pairs: Sequence[tuple[str, str]],
    images: int,
    chosen: np.ndarray,
    bins: int,
    bias_correction: str | None,
) -> Iterator[Scored]:
    """Scores by mutual information; arguments as in `alignment_scores` and `mutual_information`."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    moments = pair_moments(activations, list(pairs), images, dict.fromkeys(names, chosen))
    binned = {}
    for name in names:
        per_image = len(activations[name]) // images
        binned[name] = codes(activations[name][reordered(slice(0, len(chosen) * per_image), per_image, chosen)], bins)
    for a, b in pairs:
        live = (units.live for units in moments[a, b].units())
        information = mutual_information_of_codes(binned[a], binned[b], bias_correction)
        forward, backward = align_by_information(information, moments[a, b].correlation(), *live)
        yield a, b, forward.scores
        yield b, a, backward.scores


def prediction_scores(
    activations: Mapping[str, np.ndarray],
    pairs: Sequence[tuple[str, str]],
    images: int,
    fit: np.ndarray,
    test: np.ndarray,
    **settings: object,
) -> Iterator[Scored]:
    """Scores of the sparse maps; arguments as in `prediction.predictions` and `prediction.map_scores`."""
    for (a, b), problem in predictions(activations, pairs, images, fit, test):
        # The paper trained maps in one direction.
        yield a, b, map_scores(problem, protocol=(a, b) in pairs, **settings)
