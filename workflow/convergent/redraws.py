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
from convergent.prediction import map_scores, names_of, predictions_by_source
from convergent.statistics import Moments, reordered

Scored = tuple[str, str, dict[str, float]]


def draw_images(parts: Sequence[np.ndarray], seed: int, draw: int) -> list[np.ndarray]:
    """Each part of the images drawn with replacement, as many as it has; the same for a seed and a draw's number."""
    generator = np.random.default_rng([seed, draw])
    return [generator.choice(part, len(part)) for part in parts]


def alignment_scores(
    moments: Mapping[tuple[str, str], Moments], pairs: Sequence[tuple[str, str]], threshold: float
) -> Iterator[Scored]:
    """Scores that need the correlations only: matching, groups, activity.

    Args:
        moments: of each network with itself and of each pair, over the images drawn, from `prediction.part_moments`.
        pairs: unordered pairs of networks.
        threshold: of the graph that is cut into groups.
    """
    names = names_of(pairs)
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
    moments: Mapping[tuple[str, str], Moments],
    pairs: Sequence[tuple[str, str]],
    activations: Mapping[str, np.ndarray],
    images: int,
    chosen: np.ndarray,
    bins: int,
    bias_correction: str | None,
) -> Iterator[Scored]:
    """Scores by mutual information.

    Args:
        moments, pairs: as in `alignment_scores`.
        activations: network name -> (samples, units), image by image.
        images: how many images the samples come from.
        chosen: the images drawn, each as often as it is named.
        bins, bias_correction: as in `mutual_information`.
    """
    _, first, times = np.unique(chosen, return_index=True, return_counts=True)
    binned = {}
    for name in names_of(pairs):
        per_image = len(activations[name]) // images
        drawn = codes(activations[name][reordered(slice(0, len(chosen) * per_image), per_image, chosen)], bins)
        # An image that is drawn again and again is counted so, not read again.
        rows = reordered(slice(0, len(first) * per_image), per_image, first)
        binned[name] = drawn.distinct(rows, np.repeat(times, per_image))
    for a, b in pairs:
        live = (units.live for units in moments[a, b].units())
        information = mutual_information_of_codes(binned[a], binned[b], bias_correction)
        forward, backward = align_by_information(information, moments[a, b].correlation(), *live)
        yield a, b, forward.scores
        yield b, a, backward.scores


def prediction_scores(
    fitted: Mapping[tuple[str, str], Moments],
    judged: Mapping[tuple[str, str], Moments],
    pairs: Sequence[tuple[str, str]],
    **settings: object,
) -> Iterator[Scored]:
    """Scores of the sparse maps; arguments as in `prediction.predictions_by_source` and `prediction.map_scores`."""
    for a, problems in predictions_by_source(fitted, judged, pairs):
        # The paper trained maps in one direction.
        scored = map_scores(problems, protocol=[b for b in problems if (a, b) in pairs], **settings)
        yield from ((a, b, scores) for b, scores in scored.items())
