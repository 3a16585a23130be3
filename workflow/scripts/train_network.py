"""Initialise one network, keep it as it is, train it, and keep it again."""

from math import inf
from pathlib import Path

from job import logged

from convergent.datasets import open_dataset
from convergent.devices import device_named
from convergent.models import build, save_weights
from convergent.resuming import Resumption
from convergent.tables import write_table
from convergent.training import train

with logged(snakemake):
    params = snakemake.params
    data = open_dataset(Path(snakemake.input.dataset).parent, params.data_key, snakemake.threads)
    device = device_named(params.device)
    weights = {Path(path).stem: path for path in snakemake.output.weights}
    network = build(
        params.architecture["name"],
        params.architecture["options"],
        data.shape,
        params.architecture["classes"],
        params.seeds["initialisation"],
    )

    kept = {"untrained": 0, **params.checkpoints}
    # From the configuration and not from the parameters: how often the state is written changes no network.
    minutes = snakemake.config["training"]["resume_minutes"]
    path = Path(snakemake.output.history).with_name("resume.safetensors")
    resumption = Resumption(path, params.key, minutes or inf, kept.values())

    def keep(population: str, row: dict) -> None:
        """Save the network as it is now."""
        accuracy = f"{row['validation_accuracy']:.6f}"
        metadata = {"key": params.key, "network": snakemake.wildcards.network, "validation_accuracy": accuracy}
        save_weights(weights[population], network, metadata)

    def on_epoch(row: dict, _network) -> None:
        print(", ".join(f"{name} {value:.5g}" for name, value in row.items()))
        for population, epoch in kept.items():
            if row["epoch"] == epoch:
                keep(population, row)

    with resumption.listening():
        history = train(
            network,
            data,
            order_seed=params.seeds["data_order"],
            label_noise_seed=params.label_noise_seed,
            device=device,
            on_epoch=on_epoch,
            resumption=resumption,
            **params.training,
        )
    keep("trained", history[-1])
    write_table(snakemake.output.history, list(history[0]), history)
    resumption.remove()
