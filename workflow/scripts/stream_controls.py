"""The controls of all layers that need no samples: permuted units, a network's own siblings, and untrained partners."""

import numpy as np
from job import logged
from running import study_images, tile_networks

from convergent.alignment import align
from convergent.controls import own_controls
from convergent.devices import device_named
from convergent.files import load_arrays
from convergent.scores import FRAGMENT_COLUMNS, fragment, score_rows
from convergent.statistics import pairs, units_of
from convergent.streaming import stream_moments
from convergent.tables import write_table

with logged(snakemake):
    files, params = snakemake.input, snakemake.params
    data = study_images(snakemake)
    networks = {}
    for stage, weights in (("trained", files.weights), ("untrained", files.untrained_weights)):
        own = tile_networks(snakemake, weights, data)
        networks |= {f"{name}, {stage}": network for name, network in own.items()}
    ordered = [both for a, b in pairs(*params.sides) for both in ((a, b), (b, a))]
    crossed = stream_moments(
        networks,
        [(f"{a}, trained", f"{b}, untrained") for a, b in ordered],
        data,
        data.splits["probe"],
        position_seed=params.position_seed,
        device=device_named(params.device),
        **params.recording,
    )
    for (layer, moments), source, source_key, target, key, seed in zip(
        crossed.items(),
        files.statistics,
        params.statistics_keys,
        snakemake.output,
        params.controls_keys,
        params.seeds,
        strict=True,
    ):
        rows, generator = [], np.random.default_rng(seed)
        for (a, b), pair in zip(ordered, moments.values(), strict=True):
            found = align(pair.correlation(), *(units.live for units in pair.units()))[0]
            rows += score_rows(params.study, "against_untrained", layer, a, b, found.scores, draw=1, key=key)
        statistics = load_arrays(source, source_key)
        # What a network has to do with itself belongs to the tile on the diagonal, so that it is scored once.
        for network, units in units_of(statistics).items() if params.sides[1] is None else ():
            within, order = statistics[f"within/{network}"], generator.permutation(len(units.live))
            for population, found in own_controls(within, within[:, order], np.argsort(order), units.live).items():
                rows += score_rows(params.study, population, layer, network, network, found.scores, draw=1, key=key)
        write_table(target, FRAGMENT_COLUMNS, fragment(rows))
