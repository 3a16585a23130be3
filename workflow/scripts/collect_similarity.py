"""All similarities of representations in one table, all calibrated ones in another."""

from job import logged
from products import pieces

from convergent.scores import CALIBRATION_COLUMNS, SIMILARITY_COLUMNS
from convergent.tables import write_table

with logged(snakemake):
    files, params = snakemake.input, snakemake.params
    for name, columns in (("similarity", SIMILARITY_COLUMNS), ("calibration", CALIBRATION_COLUMNS)):
        rows = pieces(files[name], params.contents[name])
        write_table(snakemake.output[name], columns, ({column: row[column] for column in columns} for row in rows))
