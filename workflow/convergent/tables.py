"""Tables as CSV files that any program opens: one header, one row per line, numbers with all their digits."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from convergent.files import unreadable, written_whole


def write_table(path: str | Path, columns: Sequence[str], rows: Iterable[dict]) -> None:
    """Write rows, each a mapping with exactly the keys of `columns`; without rows the header stands alone."""
    with written_whole(path) as partial, open(partial, "w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_tables(paths: Iterable[str | Path]) -> list[dict[str, str]]:
    """Rows of several CSV files, one after the other; every value is text.

    Raises:
        StudyError: a file is absent or not CSV, or a row of it is incomplete.
    """
    rows = []
    for path in paths:
        try:
            with open(path, newline="") as handle:
                reader = csv.DictReader(handle, strict=True)
                columns, found = reader.fieldnames, list(reader)
        except (OSError, csv.Error, UnicodeDecodeError) as error:
            raise unreadable(path, error) from error
        if not columns:
            raise unreadable(path, ValueError("it is empty"))
        for number, row in enumerate(found, start=2):
            if None in row or None in row.values():
                raise unreadable(path, ValueError(f"line {number} does not have the columns of the header"))
        rows += found
    return rows
