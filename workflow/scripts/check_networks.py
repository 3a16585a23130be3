"""The end of each network's training in one table; a network that has not learned its task stops the study."""

from job import logged

from convergent.history import require_accuracy, require_epochs
from convergent.tables import read_tables, write_table

COLUMNS = ("network", "epoch", "train_loss", "validation_loss", "validation_accuracy")

with logged(snakemake):
    rows = []
    for network, path in zip(snakemake.params.networks, snakemake.input.histories, strict=True):
        history = read_tables([path])
        require_epochs(path, [row["epoch"] for row in history], snakemake.params.epochs)
        last = {"network": network, **history[-1]}
        require_accuracy(network, float(last["validation_accuracy"]), snakemake.params.accuracy_floor)
        rows.append({name: last[name] for name in COLUMNS})
    write_table(snakemake.output[0], COLUMNS, rows)
