"""Criteria of the study of learning dynamics with their intervals, and the verdicts on its claims."""

import pandas as pd
from job import logged
from products import frames

from convergent.claims import CLAIM_COLUMNS
from convergent.dynamics.criteria import COLUMNS, PLACE_COLUMNS, REPLICATES, all_criteria
from convergent.files import written_whole
from convergent.tables import write_table
from convergent.verdicts import judge_criteria, load_criterion_claims

with logged(snakemake):
    files, params = snakemake.input, snakemake.params
    found = all_criteria(frames(files, params.tables), seed=params.seed)
    criteria = pd.DataFrame(found, columns=COLUMNS)
    with written_whole(snakemake.output.criteria) as partial:
        criteria.to_csv(partial, index=False)
    rows = judge_criteria(load_criterion_claims(files.claims, PLACE_COLUMNS), criteria, REPLICATES, params.scale)
    write_table(snakemake.output.claims, CLAIM_COLUMNS, rows)
