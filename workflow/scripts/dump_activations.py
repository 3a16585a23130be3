"""Show the probe images to one network, trained and untrained, and record what its layers answer."""

from pathlib import Path

from job import logged

from convergent.datasets import open_dataset
from convergent.dumping import dump
from convergent.errors import StudyError
from convergent.files import file_digest
from convergent.models import build, load_weights
from convergent.training import device_named

with logged(snakemake):
    params, wildcards = snakemake.params, snakemake.wildcards
    data = open_dataset(Path(snakemake.input.dataset).parent, params.data_key)
    device = device_named(params.device)
    architecture = params.architecture
    network = build(architecture["name"], architecture["options"], data.shape, len(data.class_names), seed=0)
    for path, record in zip(snakemake.input.weights, snakemake.output.dumps, strict=True):
        population = Path(path).stem
        load_weights(path, network, params.network_key)
        try:
            dump(
                network,
                data,
                data.splits["probe"],
                params.layers,
                Path(record).parent,
                position_seed=params.position_seed,
                device=device,
                key=params.key,
                weights_digest=file_digest(path),
                **params.recording,
            )
        except StudyError as error:
            raise StudyError(f"{wildcards.network}, {population}: {error}") from error
        print(f"recorded {len(params.layers)} layers of the {population} network")
