"""Initialise one network, or several, keep them as they are, train them, and keep them again."""

from math import inf
from pathlib import Path

from job import logged

from convergent.datasets import open_dataset
from convergent.devices import device_named
from convergent.ensembles import train_together
from convergent.models import build, save_weights
from convergent.resuming import Resumption
from convergent.tables import write_table

with logged(snakemake):
    params = snakemake.params
    data = open_dataset(Path(snakemake.input.dataset).parent, params.data_key, snakemake.threads)
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
    kept = {"untrained": 0, **params.checkpoints}
    # From the configuration and not from the parameters: how often the state is written changes no network.
    minutes = snakemake.config["training"]["resume_minutes"]
    path = Path(snakemake.output.histories[0]).with_name("resume.safetensors")
    resumption = Resumption(path, " ".join(run["key"] for run in runs), minutes or inf, kept.values())
    weights = {(Path(path).parent.name, Path(path).stem): path for path in snakemake.output.weights}

    def keep(population: str, number: int, row: dict) -> None:
        """Save a network as it is now."""
        accuracy = f"{row['validation_accuracy']:.6f}"
        metadata = {"key": runs[number]["key"], "network": names[number], "validation_accuracy": accuracy}
        save_weights(weights[names[number], population], networks[number], metadata)

    def on_epoch(number: int, row: dict, _network) -> None:
        print(f"{names[number]}:", ", ".join(f"{name} {value:.5g}" for name, value in row.items()))
        for population, epoch in kept.items():
            if row["epoch"] == epoch:
                keep(population, number, row)

    with resumption.listening():
        histories = train_together(
            networks,
            data,
            order_seeds=[run["seeds"]["data_order"] for run in runs],
            label_noise_seeds=[params.label_noise_seed] * len(runs),
            names=names,
            device=device_named(params.device),
            on_epoch=on_epoch,
            resumption=resumption,
            **params.training,
        )
    for number, (history, path) in enumerate(zip(histories, snakemake.output.histories, strict=True)):
        keep("trained", number, history[-1])
        write_table(path, list(history[0]), history)
    resumption.remove()
