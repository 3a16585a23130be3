"""Controls of one layer: shuffled images, permuted units, a network's own siblings, and untrained partners."""

import numpy as np
from job import logged

from convergent.activations import open_layer
from convergent.alignment import Alignment, align
from convergent.clustering import main_group_scores
from convergent.controls import across, own_controls, permuted_correlation, shuffled_moments
from convergent.scores import FRAGMENT_COLUMNS, fragment, score_rows
from convergent.statistics import pair_moments, pairs, sides
from convergent.tables import write_table

with logged(snakemake):
    layer, params = snakemake.wildcards.layer, snakemake.params
    activations, images = open_layer(snakemake.input.records, params.dump_keys, layer)
    untrained, _ = open_layer(snakemake.input.untrained_records, params.untrained_dump_keys, layer)
    x, y = sides(activations, params.sides)
    generator = np.random.default_rng(params.seed)
    rows = []

    within = pair_moments(activations, [(network, network) for network in activations])
    within = {network: moments.correlation() for (network, _), moments in within.items()}

    def score(population: str, a: str, b: str, found: Alignment | dict[str, float], draw: int = 1) -> None:
        scores = found.scores if isinstance(found, Alignment) else found
        rows.extend(score_rows(params.study, population, layer, a, b, scores, draw=draw, key=params.key))

    for draw, shuffled in enumerate(shuffled_moments(x, y, images, params.shuffles, generator), start=1):
        for (a, b), moments in shuffled.items():
            between, live = moments.correlation(), [units.live for units in moments.units()]
            forward, backward = align(between, *live)
            score("shuffled", a, b, forward, draw)
            score("shuffled", b, a, backward, draw)
            if draw == 1:
                # Any clustering finds something alike: this is what it finds by chance.
                found = main_group_scores(within[a], within[b], between, *live, threshold=params.threshold)
                score("shuffled", a, b, found, draw)
    ordered = [both for a, b in pairs(*params.sides) for both in ((a, b), (b, a)) if both[1] in untrained]
    for (a, b), moments in across(activations, untrained, ordered).items():
        score("against_untrained", a, b, align(moments.correlation(), *(units.live for units in moments.units()))[0])
    # What a network has to do with itself belongs to the tile on the diagonal, so that it is scored once.
    for network, values in x.items() if y is None else ():
        for population, found in own_controls(within[network], *permuted_correlation(values, generator)).items():
            score(population, network, network, found)
    write_table(snakemake.output[0], FRAGMENT_COLUMNS, fragment(rows))
