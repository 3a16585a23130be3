"""What made these results: configuration, seeds, keys, software, commit, hardware."""

from job import logged

from convergent.files import save_json
from convergent.provenance import commit, hardware, software

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
        },
    )
