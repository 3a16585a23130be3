"""All values of the study of noise in one table, its criteria with intervals in another, the verdicts in a third."""

import pandas as pd
from job import logged
from products import pieces

from convergent.claims import CLAIM_COLUMNS
from convergent.files import written_whole
from convergent.noise.criteria import COLUMNS, PLACE_COLUMNS, REPLICATES
from convergent.noise.summary import all_criteria
from convergent.tables import write_table
from convergent.verdicts import judge_criteria, load_criterion_claims

with logged(snakemake):
    files, params = snakemake.input, snakemake.params
    table = pd.DataFrame(pieces(files.measured, params.contents)).drop(columns=["key", "rows"])
    for column, kind in (("n", int), ("repetition", int), ("snr", float), ("value", float)):
        table[column] = table[column].astype(kind)
    criteria = pd.DataFrame(all_criteria(table, seed=params.seed), columns=COLUMNS)
    for path, content in ((snakemake.output.table, table), (snakemake.output.criteria, criteria)):
        with written_whole(path) as partial:
            content.to_csv(partial, index=False)
    rows = judge_criteria(load_criterion_claims(files.claims, PLACE_COLUMNS), criteria, REPLICATES, params.scale)
    write_table(snakemake.output.claims, CLAIM_COLUMNS, rows)
