"""Learning curves of all networks, and the table behind them."""

from pathlib import Path

import pandas as pd
from job import logged

from convergent.figures.style import save
from convergent.figures.training import training_curves
from convergent.files import written_whole

with logged(snakemake):
    history = pd.concat(
        [pd.read_csv(path).assign(network=Path(path).parent.name) for path in snakemake.input.histories]
    )
    with written_whole(snakemake.output.table) as partial:
        history.to_csv(partial, index=False)
    save(training_curves(history), [snakemake.output.figure, snakemake.output.print])
