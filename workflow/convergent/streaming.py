"""Second-order statistics of networks while they run: no activation is kept, only sums over all of them.

What `statistics` reads from files that `dumping.dump` wrote is here accumulated batch by batch, from the same rows in
the same precision, for layers whose activations at all positions of all images would fill a disk. Whatever needs the
samples themselves (mutual information, maps, shuffled images) cannot be had this way.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

from convergent.activations import require_same_samples
from convergent.dumping import Rows, Watched
from convergent.errors import StudyError
from convergent.samples import ROWS_PER_BLOCK, blocks
from convergent.statistics import Moments, PairSums, tile_arrays, tile_pairs


def stream_statistics(
    x: Mapping[str, Watched], y: Mapping[str, Watched] | None, data, indices: np.ndarray, **how: object
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Each layer with the arrays of `statistics.tile_statistics`, from networks instead of their activations.

    Args:
        x: network name -> the network and its layers.
        y: the networks of the other side; None: the same as x.
        data, indices, how: as for `stream_moments`.
    """
    every = stream_moments({**x, **(y or {})}, tile_pairs(x, y), data, indices, **how)
    for layer in list(every):
        yield layer, tile_arrays(every.pop(layer))


def stream_moments(
    networks: Mapping[str, Watched],
    wanted: Iterable[tuple[str, str]],
    data,
    indices: np.ndarray,
    *,
    batch_size: int = 256,
    device: str | torch.device = "cpu",
    **chosen: object,
) -> dict[str, dict[tuple[str, str], Moments]]:
    """Moments of pairs of networks in every layer, in one pass over the images `indices` of `data`.

    Each batch of images is read once and shown to all networks. Held in memory are their outputs for one batch, and
    units_a x units_b sums for each pair and layer, however many the images.

    Args:
        networks: name -> the network and its layers, called the same in all.
        wanted: the pairs; a network may be paired with itself.
        chosen: positions, positions_per_image, position_seed and dtype, as for `dumping.dump`.

    Returns:
        layer -> (a, b) -> moments, for each wanted pair; those that `statistics.pair_moments` has from recordings.

    Raises:
        StudyError: what `dumping.dump` raises, with the name of the network; networks whose rows are not of the same
            samples; fewer than two samples.
    """
    wanted, device = list(wanted), torch.device(device)
    rows = {name: Rows((data.name, data.key), indices, **chosen) for name in networks}
    layers = list(next(iter(networks.values())).layers)
    with ExitStack() as running:
        answering = {}
        for name, network in networks.items():
            with naming(name):
                answering[name] = running.enter_context(network.answering(data, device))

        def answers(batch: np.ndarray) -> dict[str, dict[str, torch.Tensor]]:
            images, outputs = data.images(batch), {}
            for name, answer in answering.items():
                with naming(name):
                    outputs[name] = answer(images)
            return outputs

        for name, outputs in answers(indices[:1]).items():  # one image tells the sizes
            for layer in layers:
                rows[name].add(layer, outputs[layer])
        for layer in layers:
            require_same_samples(rows, layer)
        sums = {layer: PairSums(wanted) for layer in layers}
        for start in range(0, len(indices), batch_size):
            outputs = answers(indices[start : start + batch_size])
            for layer in layers:
                taken = {}
                for name in networks:
                    with naming(name):
                        taken[name] = rows[name].take(layer, outputs[name].pop(layer), start)
                for block in blocks(len(next(iter(taken.values()))), ROWS_PER_BLOCK):
                    sums[layer].update({name: values[block] for name, values in taken.items()})
    return {layer: sums.pop(layer).moments() for layer in layers}


@contextmanager
def naming(network: str) -> Iterator[None]:
    """Say which network a sentence is about."""
    try:
        yield
    except StudyError as error:
        raise StudyError(f"{network}: {error}") from error
