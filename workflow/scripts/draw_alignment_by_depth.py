"""Mean correlation of partners against depth, with the baselines and the published values."""

import pandas as pd
from job import logged

from convergent.figures.matching import alignment_by_depth
from convergent.figures.style import POPULATION_LOOKS, save
from convergent.files import written_whole

MEASURES = {
    "semi_match_mean": "semi-matching",
    "match_mean": "matching, one to one",
    "mutual_best_share": "mutual best partners (share)",
}

with logged(snakemake):
    # A layer may be called by a number, as in torch.nn.Sequential.
    summary = pd.read_csv(snakemake.input.summary, dtype={"layer": str})
    # Checkpoints and further probes have figures of their own.
    summary = summary[summary["measure"].isin(MEASURES) & summary["population"].isin(POPULATION_LOOKS)]
    with written_whole(snakemake.output.table) as partial:
        summary.to_csv(partial, index=False)
    published = pd.read_csv(snakemake.input.published, keep_default_na=False)
    published = published.query("network_a == 'net1' and network_b == 'net2' and not source.str.startswith('derived')")
    figure = alignment_by_depth(summary, published, MEASURES)
    save(figure, [snakemake.output.figure, snakemake.output.print])
