"""The configuration as it was run, every default written out."""

import yaml
from job import logged

from convergent.files import written_whole

with logged(snakemake), written_whole(snakemake.output[0]) as partial:
    partial.write_text(f"{snakemake.params.origin}\n" + yaml.safe_dump(snakemake.params.config, sort_keys=False))
