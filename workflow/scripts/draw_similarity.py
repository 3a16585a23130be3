"""Draw how alike whole representations are, and what the measures of that are worth."""

import pandas as pd
from job import logged
from products import saved

from convergent.figures import similarity as figures
from convergent.figures.style import save
from convergent.files import written_whole
from convergent.groundings import agreement, groundings

UNITS = ["semi_match_mean", "mutual_best_share"]  # alignment of single units, beside that of representations
LAYERS = {"layer_a": str, "layer_b": str, "layer": str}  # a layer may be called by a number

with logged(snakemake):
    params, files = snakemake.params, snakemake.input
    measures = list(params.measures)
    similarity, calibration, summary, scores = (
        pd.read_csv(path, dtype=LAYERS) for path in (files.similarity, files.calibration, files.summary, files.scores)
    )
    judged = groundings(similarity, dict.fromkeys(measures))
    names, agreeing = agreement(similarity)
    for path, table in (
        (snakemake.output.groundings, pd.DataFrame(judged)),
        (snakemake.output.agreement, pd.DataFrame(agreeing, index=pd.Index(names, name="measure"), columns=names)),
    ):
        with written_whole(path) as partial:
            table.to_csv(partial, index=path == snakemake.output.agreement)
    stages = set(params.epochs) - {"trained", "untrained"}
    units = scores[scores["measure"].isin(UNITS)]
    over_training = pd.concat([units.assign(layer_a=units["layer"], layer_b=units["layer"]), similarity])
    by_depth = summary[summary["measure"].isin(UNITS + measures) & ~summary["population"].isin(stages)]
    by_layer = calibration[calibration["over"] == "layer"].rename(columns={"layer_a": "layer"})
    draw = {
        "similarity_by_depth": lambda: figures.similarity_by_depth(by_depth, UNITS + measures),
        "groundings": lambda: figures.groundings_figure(judged),
        "similarity_over_training": lambda: figures.similarity_over_training(
            over_training, params.epochs, UNITS + measures
        ),
        "measure_agreement": lambda: figures.measure_agreement(names, agreeing),
        "calibrated_similarity": lambda: figures.calibrated_by_depth(by_layer),
    }
    for name, paths in zip(params.names, saved(snakemake), strict=True):
        folder, _, measure = name.partition("/")
        figure = draw[name]() if name in draw else figures.layer_heat_maps(similarity, measure, params.networks)
        save(figure, paths)
