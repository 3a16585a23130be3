"""Fetch or generate the dataset and draw its splits."""

from pathlib import Path

from job import logged

from convergent import datasets

with logged(snakemake):
    dataset = snakemake.params.dataset
    datasets.prepare(
        dataset["name"],
        Path(snakemake.output.dataset).parent,
        options=dataset["options"],
        # Not a parameter: where archives are kept changes no image, so moving them must rerun nothing.
        downloads=Path(snakemake.config["downloads"]),
        train=dataset["train"],
        validation=dataset["validation"],
        probe=dataset["probe"],
        seed=snakemake.params.seed,
        key=snakemake.params.key,
    )
