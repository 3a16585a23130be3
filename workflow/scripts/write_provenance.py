"""What made these results: configuration, seeds, keys, software, commit, hardware; and checksums of the files."""

from pathlib import Path

from job import logged

from convergent.files import save_json
from convergent.provenance import commit, hardware, software
from convergent.verification import checksums

with logged(snakemake):
    params = snakemake.params
    save_json(
        snakemake.output[0],
        {
            "study": params.config["study"],
            "config": params.config,
            "seeds": params.seeds,
            "keys": params.product_keys,
            "commit": commit(params.repository),
            "software": software(),
            "hardware": hardware(),
            "checksums": checksums(Path(snakemake.output[0]).parent),
        },
    )
