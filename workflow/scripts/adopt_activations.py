"""Take in the activations of a network that were recorded elsewhere."""

from pathlib import Path

from job import logged

from convergent.adoption import adopt_activations
from convergent.datasets import open_dataset

with logged(snakemake):
    params, entry = snakemake.params, snakemake.params.entry
    # Beside networks that are shown the study's images, rows must be the answers to those images, in their order.
    shown = {}
    if params.data_key is not None:
        data = open_dataset(Path(snakemake.input.data[0]).parent, params.data_key)
        shown = {"data": (data.name, data.key), "indices": data.splits["probe"]}
    for record in snakemake.output.dumps:
        folder = Path(record).parent
        source = entry["untrained" if folder.name == "untrained" else "activations"]
        adopt_activations(
            source,
            folder,
            params.layers,
            images=entry.get("images"),
            position_seed=params.position_seed,
            key=params.key,
            **params.taking,
            **shown,
        )
        print(f"took in {len(params.layers)} layers from {source}")
