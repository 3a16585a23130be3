"""Show the probe images to one network, at every stage of its training, and record what its layers answer."""

from pathlib import Path

from job import logged

from convergent.datasets import open_dataset
from convergent.datasets.corruptions import Corrupted
from convergent.dumping import dump
from convergent.errors import StudyError
from convergent.files import file_digest
from convergent.models import build, load_weights
from convergent.training import device_named

with logged(snakemake):
    params, wildcards = snakemake.params, snakemake.wildcards
    data = open_dataset(Path(snakemake.input.data[0]).parent, params.data_key)
    others = {Path(path).parent.name: Path(path).parent for path in snakemake.input.other_data}
    device = device_named(params.device)
    architecture = params.architecture
    network = build(architecture["name"], architecture["options"], data.shape, architecture["classes"], seed=0)
    weights = {Path(path).stem: path for path in snakemake.input.weights}
    for record in snakemake.output.dumps:
        population = Path(record).parent.name
        path, shown = weights.get(population, weights["trained"]), data
        if population in others:
            shown = open_dataset(others[population], params.probe_keys[population])
        elif population in params.probes:
            probe = params.probes[population]
            shown = Corrupted(data, probe["corruption"], probe["strength"], params.corruption_seed)
        load_weights(path, network, params.network_key)
        try:
            dump(
                network,
                shown,
                shown.splits["probe"],
                params.layers,
                Path(record).parent,
                position_seed=params.position_seed,
                device=device,
                key=params.key,
                weights_digest=file_digest(path),
                standardisation=params.standardisation or (data.mean.tolist(), data.std.tolist()),
                **params.recording,
            )
        except StudyError as error:
            raise StudyError(f"{wildcards.network}, {population}: {error}") from error
        print(f"recorded {len(params.layers)} layers of the {population} network")
