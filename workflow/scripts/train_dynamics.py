"""Train the networks of one experiment on learning dynamics, and keep what the theory speaks of, epoch by epoch."""

from pathlib import Path

from job import logged

from convergent.datasets import open_dataset
from convergent.dynamics.experiments import images_of, run
from convergent.files import save_arrays

with logged(snakemake):
    params, wildcards = snakemake.params, snakemake.wildcards
    images = None
    if params.data_key is not None:
        images = images_of(open_dataset(Path(snakemake.input[0]).parent, params.data_key))
    arrays = run(wildcards.experiment, wildcards.case, params.scale, params.seed, images)
    save_arrays(snakemake.output[0], params.key, **arrays)
