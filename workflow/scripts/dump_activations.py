"""Show the probe images to one network, at every stage of its training, and record what its layers answer."""

from pathlib import Path

from job import logged
from running import built, images_shown, standardisation, study_images

from convergent.devices import device_named
from convergent.dumping import dump
from convergent.errors import StudyError
from convergent.files import file_digest
from convergent.models import load_weights

with logged(snakemake):
    params, wildcards = snakemake.params, snakemake.wildcards
    data = study_images(snakemake)
    device = device_named(params.device)
    network = built(params.architecture, data)
    weights = {Path(path).stem: path for path in snakemake.input.weights}
    for record in snakemake.output.dumps:
        population = Path(record).parent.name
        path, shown = weights.get(population, weights["trained"]), images_shown(snakemake, population, data)
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
                standardisation=standardisation(params.standardisation, data),
                **params.recording,
            )
        except StudyError as error:
            raise StudyError(f"{wildcards.network}, {population}: {error}") from error
        print(f"recorded {len(params.layers)} layers of the {population} network")
