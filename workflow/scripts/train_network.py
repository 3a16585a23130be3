"""Initialise one network, or several, keep them as they are, train them, and keep them again."""

from pathlib import Path

from job import logged

from convergent.datasets import open_dataset
from convergent.ensembles import train_together
from convergent.models import build, save_weights
from convergent.tables import write_table
from convergent.training import device_named

with logged(snakemake):
    params = snakemake.params
    data = open_dataset(Path(snakemake.input.dataset).parent, params.data_key)
    names, runs = list(params.runs), list(params.runs.values())
    networks = [
        build(
            run["architecture"]["name"],
            run["architecture"]["options"],
            data.shape,
            run["architecture"]["classes"],
            run["seeds"]["initialisation"],
        )
        for run in runs
    ]
    weights = {(Path(path).parent.name, Path(path).stem): path for path in snakemake.output.weights}

    def keep(population: str, number: int, row: dict) -> None:
        """Save a network as it is now."""
        accuracy = f"{row['validation_accuracy']:.6f}"
        metadata = {"key": runs[number]["key"], "network": names[number], "validation_accuracy": accuracy}
        save_weights(weights[names[number], population], networks[number], metadata)

    def on_epoch(number: int, row: dict, _network) -> None:
        print(f"{names[number]}:", ", ".join(f"{name} {value:.5g}" for name, value in row.items()))
        for population, epoch in {"untrained": 0, **params.checkpoints}.items():
            if row["epoch"] == epoch:
                keep(population, number, row)

    histories = train_together(
        networks,
        data,
        order_seeds=[run["seeds"]["data_order"] for run in runs],
        label_noise_seeds=[params.label_noise_seed] * len(runs),
        names=names,
        device=device_named(params.device),
        on_epoch=on_epoch,
        **params.training,
    )
    for number, (history, path) in enumerate(zip(histories, snakemake.output.histories, strict=True)):
        keep("trained", number, history[-1])
        write_table(path, list(history[0]), history)
