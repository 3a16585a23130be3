"""Similarity of whole representations: every layer of one network with every layer of another, and what to hold it to.

A layer's representation has one row per image, so that layers of any shape can be compared. The controls say what a
measure gives where the answer is known: a permuted or a rotated copy, shuffled images, noise, untrained networks.
Kornblith et al. 2019 (all layers with all layers); Ding et al. 2021 (what a measure must notice).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from inspect import Parameter, signature
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convergent.activations import open_dump
from convergent.errors import StudyError
from convergent.files import digest
from convergent.samples import ROWS_PER_BLOCK, blocks
from convergent.similarity import Measure, Representation, Undefined, measure_named
from convergent.similarity.calibration import Calibrated, CalibratedMaximum, calibrate, calibrate_maximum

WIDEST_ROTATION = 2048  # units; a random rotation of more takes longer than everything else

Layers = Mapping[str, Representation]


class Similarity(NamedTuple):
    """How alike layer_a of one network and layer_b of another are, by one measure; NaN for a reason."""

    layer_a: str
    layer_b: str
    measure: str
    value: float
    reason: str


def per_image(activations: np.ndarray, images: int, positions: str) -> np.ndarray:
    """One row per image (images, units), float32, of activations (samples, units) that stand image by image.

    Args:
        activations: the samples of an image are its positions; may be memory-mapped, is read once.
        images: number of images, the same number of samples from each.
        positions: `mean` over them, or `flatten`: every pair of position and unit is a unit.
    """
    samples, units = activations.shape
    each = samples // images
    if positions == "flatten" or each == 1:
        return np.array(activations, dtype=np.float32).reshape(images, each * units)
    rows = np.empty((images, units), dtype=np.float32)
    for block in blocks(images, max(ROWS_PER_BLOCK // each, 1)):
        some = np.asarray(activations[block.start * each : block.stop * each], dtype=np.float64)
        rows[block] = some.reshape(-1, each, units).mean(axis=1)
    return rows


def open_networks(
    records: Iterable[str | Path], keys: Mapping[str, str], positions: str
) -> dict[str, dict[str, Representation]]:
    """All layers of several networks, one row per image; each file is read once.

    Args:
        records: the `dump.json` of each network.
        keys: network -> the key that its dump must carry, in the order of `records`.
        positions: see `per_image`.

    Returns:
        network -> layer -> representation.

    Raises:
        StudyError: a dump is absent, unfinished, from another run, or of other images than the rest.
    """
    networks, images = {}, {}
    for (network, key), record in zip(keys.items(), records, strict=True):
        dump = open_dump(Path(record).parent, key)
        images[network] = dump.images_digest
        networks[network] = {
            layer: Representation(
                per_image(dump.activations(layer), dump.record["images"], positions), f"{network} {layer}"
            )
            for layer in dump.layers
        }
    first = next(iter(images), "")
    for network, found in images.items():
        if found != images[first]:
            raise StudyError(
                f"networks {first!r} and {network!r} were recorded on different images: record both on the same ones."
            )
    return networks


def named(names: Iterable[str]) -> list[Measure]:
    """The measures of these names; StudyError if one is unknown."""
    return [measure_named(name) for name in names]


def options_of(measure: Measure, largest_samples: int) -> dict[str, int]:
    """The largest number of samples, for measures that look at pairs of samples; nothing for others."""
    kinds = {parameter.kind for parameter in signature(measure.function).parameters.values()}
    return {"largest_samples": largest_samples} if Parameter.VAR_KEYWORD in kinds else {}


def compare(
    x: Layers, y: Layers, places: Iterable[tuple[str, str]], measures: Iterable[Measure], largest_samples: int
) -> Iterator[Similarity]:
    """Similarity of layers of two networks by several measures.

    Args:
        x, y: layer -> representation.
        places: layer of x, layer of y.
        measures: all of one pair of layers follow each other, so that they share its products.
        largest_samples: see `options_of`.

    Raises:
        StudyError: what a measure raises, but for a value that is undefined.
    """
    measures = list(measures)
    for a, b in places:
        for measure in measures:
            value, reason = np.nan, ""
            try:
                value = measure(x[a], y[b], **options_of(measure, largest_samples))
            except Undefined as undefined:
                reason = str(undefined)
            yield Similarity(a, b, measure.name, value, reason)


def compare_networks(
    networks: Mapping[str, Layers],
    pairs: Iterable[tuple[str, str]],
    names: Iterable[str],
    largest_samples: int,
    all_layers: bool,
) -> Iterator[tuple[str, str, Similarity]]:
    """Similarity of pairs of networks; a measure that is not symmetric is taken in both directions.

    Args:
        networks: network -> layer -> representation.
        pairs: each once.
        names: of the measures.
        all_layers: compare every layer with every layer, or only those of the same name.

    Yields:
        network a, network b, similarity.
    """
    measures = named(names)
    directed = [measure for measure in measures if not measure.symmetric]
    for a, b in pairs:
        x, y = networks[a], networks[b]
        places = list(product(x, y)) if all_layers else same(x, y)
        yield from ((a, b, found) for found in compare(x, y, places, measures, largest_samples))
        back = [(second, first) for first, second in places]
        yield from ((b, a, found) for found in compare(y, x, back, directed, largest_samples))


def same(x: Layers, y: Layers) -> list[tuple[str, str]]:
    """The layers that both networks have, each with itself."""
    return [(layer, layer) for layer in x if layer in y]


def changed(x: Layers, change: Callable[[np.ndarray], np.ndarray]) -> dict[str, Representation]:
    """A copy of a network whose activations (images, units) have been changed."""
    return {layer: Representation(change(one.activations), one.name) for layer, one in x.items()}


def permuted(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The same units (samples, units) in random order."""
    return values[:, generator.permutation(values.shape[1])]


def rotated(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Units (samples, units) rotated or reflected at random, in double precision, as any rotation is equally likely."""
    orthogonal, triangular = np.linalg.qr(generator.normal(size=(values.shape[1],) * 2))
    return values.astype(np.float64) @ (orthogonal * np.sign(np.diag(triangular)))


def noisy(values: np.ndarray, level: float, generator: np.random.Generator) -> np.ndarray:
    """Units (samples, units) plus Gaussian noise of `level` times each unit's standard deviation."""
    return values + level * values.std(axis=0) * generator.normal(size=values.shape)


def control(
    networks: Mapping[str, Layers],
    untrained: Mapping[str, Layers],
    pairs: Iterable[tuple[str, str]],
    alone: Iterable[str],
    names: Iterable[str],
    levels: Iterable[float],
    largest_samples: int,
    seed: int,
) -> Iterator[tuple[str, str, str, Similarity]]:
    """What measures give, layer by layer, where the answer is known.

    `against_untrained`: a network with another before its training. `shuffled`: the images of b in random order.
    `against_rotated`: b's units rotated, which tells whether single units matter, by measures that notice a rotation.
    Of each network in `alone` with a copy of itself: `permuted`, `rotated`, and `noisy_<level>`.

    Args:
        networks, untrained: network -> layer -> representation.
        pairs: of networks, each once.
        alone: networks that are compared with copies of themselves.
        names: of the measures.
        levels: of noise, in standard deviations of each unit.
        largest_samples: see `options_of`.
        seed: of all that is random; each draw also depends on the names of the networks, and on nothing else.

    Yields:
        population, network a, network b, similarity.
    """
    measures = named(names)
    of_units = [measure for measure in measures if "orthogonal" not in measure.invariances]

    def score(
        population: str, a: str, b: str, y: Layers, by: Iterable[Measure] = measures
    ) -> Iterator[tuple[str, str, str, Similarity]]:
        found = compare(networks[a], y, same(networks[a], y), by, largest_samples)
        return ((population, a, b, one) for one in found)

    for a, b in pairs:
        for first, second in ((a, b), (b, a)):
            if second in untrained:
                yield from score("against_untrained", first, second, untrained[second])
        generator = drawing(seed, a, b)
        order = generator.permutation(next(iter(networks[b].values())).samples)
        yield from score("shuffled", a, b, changed(networks[b], lambda values, order=order: values[order]))
        if of_units:
            yield from score("against_rotated", a, b, rotations(networks[b], generator), of_units)
    for network in alone:
        x, generator = networks[network], drawing(seed, network)
        copy = changed(x, lambda values, generator=generator: permuted(values, generator))
        yield from score("permuted", network, network, copy)
        yield from score("rotated", network, network, rotations(x, generator))
        for level in levels:
            copy = changed(x, lambda values, level=level, generator=generator: noisy(values, level, generator))
            yield from score(f"noisy_{level:g}", network, network, copy)


def drawing(seed: int, *names: str) -> np.random.Generator:
    """A source of chance for these networks, whichever others there are."""
    return np.random.default_rng([seed, *(int(digest(name)[:8], 16) for name in names)])


def rotations(x: Layers, generator: np.random.Generator) -> dict[str, Representation]:
    """The layers that are not too wide, each rotated at random."""
    narrow = {layer: one for layer, one in x.items() if one.units <= WIDEST_ROTATION}
    return changed(narrow, lambda values: rotated(values, generator))


def calibrate_networks(
    networks: Mapping[str, Layers],
    pairs: Iterable[tuple[str, str]],
    calibrated: Iterable[str],
    over_layers: Iterable[str],
    permutations: int,
    largest_samples: int,
    seed: int,
) -> Iterator[dict]:
    """Similarity of pairs of networks against permuted images; measures that are not symmetric in both directions.

    Args:
        networks: network -> layer -> representation.
        pairs: each once.
        calibrated: names of measures, calibrated for each layer that both networks have (`over` is "layer").
        over_layers: names of measures whose maximum over all pairs of layers is calibrated (`over` is "layers").
        permutations: how many.
        largest_samples: see `options_of`.
        seed: of the permutations.

    Yields:
        mappings with the keys of `CALIBRATION_COLUMNS` without study and population. Where there is no value, scores
        are NaN and `reason` says why.
    """
    by_layer, over_all = named(calibrated), named(over_layers)

    def row(
        over: str, places: tuple[str, str], measure: Measure, a: str, b: str, run: Callable[..., NamedTuple]
    ) -> dict:
        entry = dict(zip(("layer_a", "layer_b"), places, strict=True)) | {"over": over, "measure": measure.name}
        entry |= {"network_a": a, "network_b": b, "permutations": permutations, "reason": ""}
        numbers = ("score", "calibrated", "p_value", "null_mean")
        try:
            found: Calibrated | CalibratedMaximum = run(permutations, seed, **options_of(measure, largest_samples))
        except Undefined as undefined:
            return entry | dict.fromkeys(numbers, np.nan) | {"reason": str(undefined)}
        if isinstance(found, CalibratedMaximum):
            entry |= dict(zip(("layer_a", "layer_b"), found.layers, strict=True))
        return entry | {number: getattr(found, number) for number in numbers}

    for first, second in pairs:
        for a, b in ((first, second), (second, first)):
            x, y = networks[a], networks[b]
            forward = (a, b) == (first, second)
            for layer, _ in same(x, y):
                for measure in (one for one in by_layer if forward or not one.symmetric):
                    run = partial(calibrate, measure, x[layer], y[layer])
                    yield row("layer", (layer, layer), measure, a, b, run)
            for measure in (one for one in over_all if forward or not one.symmetric):
                yield row("layers", ("", ""), measure, a, b, partial(calibrate_maximum, measure, x, y))


def similarity_rows(study: str, key: str, found: Iterable[tuple[str, str, str, Similarity]]) -> list[dict]:
    """Rows of `SIMILARITY_COLUMNS` with their key, from population, network a, network b and similarity."""
    return [
        {
            "study": study,
            "population": population,
            "layer_a": one.layer_a,
            "layer_b": one.layer_b,
            "measure": one.measure,
            "network_a": a,
            "network_b": b,
            "value": one.value,
            "reason": one.reason,
            "key": key,
        }
        for population, a, b, one in found
    ]
