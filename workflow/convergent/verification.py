"""Whether a results folder is whole, and whether it says what a published run of the same study said.

    python -m convergent.verification results/digits workflow/reference/digits.csv
    python -m convergent.verification results/digits --store workflow/reference/digits.csv

Networks that are trained on another processor differ in rounding, and so a little in every number: each number has a
tolerance, three standard deviations over pairs of networks, at least `LEAST_SHARE` of its size and `LEAST` of its unit.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from convergent.errors import StudyError
from convergent.files import file_digest, load_json, unreadable, written_whole

PLACE = ["population", "layer", "measure"]
SUMMARY = Path("tables", "summary.csv")
VERDICT = "verdict"  # measure under which verdicts are stored
DEVIATIONS, LEAST_SHARE, LEAST = 3, 0.02, 0.01
RECORDED = ("*.csv", "tables/*.csv", "data/*", "networks/*/*", "statistics/**/*.npz", "runs/**/*.npz")
FURTHER = ("noise", "dynamics")  # folders of the studies beside the main one, with a provenance of their own


def checksums(folder: str | Path) -> dict[str, str]:
    """SHA-256 of the files below a results folder that others rest on: path from there -> digest.

    Activations, which are large, carry a key instead; figures, logs and pages follow from the tables.
    """
    folder = Path(folder)
    paths = {path for pattern in RECORDED for path in folder.glob(pattern) if path.is_file()}
    shown = sorted(path for path in paths if not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in shown}


def altered(folder: str | Path) -> list[str]:
    """Sentences about files that are not as the provenance of the results records them.

    Raises:
        StudyError: there is no provenance, or it cannot be read.
    """
    recorded = load_json(Path(folder, "provenance.json")).get("checksums", {})
    found = checksums(folder)
    sentences = [f"{name} is gone" for name in recorded if name not in found]
    return sentences + [f"{name} has changed" for name in recorded if name in found and found[name] != recorded[name]]


def stored_summary(folder: str | Path) -> pd.DataFrame:
    """What a run says, with tolerances: columns of `PLACE`, mean, tolerance and verdict.

    Rows of the summary have a number, rows of the ledger a verdict, under the name of the claim.
    """
    folder = Path(folder)
    summary, claims = (read(folder / name) for name in (SUMMARY, "claims.csv"))
    least = np.maximum(LEAST, LEAST_SHARE * summary["mean"].abs())
    tolerance = np.fmax(DEVIATIONS * summary["standard_deviation"].fillna(0), least)
    numbers = summary[PLACE].assign(mean=summary["mean"], tolerance=tolerance, verdict="")
    verdicts = pd.DataFrame({"population": "ledger", "layer": claims["claim"], "measure": VERDICT})
    return pd.concat([numbers, verdicts.assign(mean=np.nan, tolerance=np.nan, verdict=claims["verdict"])])


def differences(found: pd.DataFrame, stored: pd.DataFrame) -> list[str]:
    """Sentences about how tables of `stored_summary` differ, numbers by more than the stored tolerance."""
    both = stored.merge(found, on=PLACE, how="left", suffixes=("", "_found"), indicator="where")
    sentences = []
    for row in both.itertuples():
        place = " ".join(map(str, (row.population, row.layer, row.measure)))
        if row.where == "left_only":
            sentences.append(f"{place} is missing")
        elif row.measure == VERDICT:
            if row.verdict != row.verdict_found:
                sentences.append(f"the verdict on {row.layer} is `{row.verdict_found}`, published is `{row.verdict}`")
        elif np.isnan(row.mean) != np.isnan(row.mean_found) or abs(row.mean - row.mean_found) > row.tolerance:
            published = f"published is {row.mean:.4g} with a tolerance of {row.tolerance:.2g}"
            sentences.append(f"{place} is {row.mean_found:.4g}, {published}")
    return sentences


def read(path: Path) -> pd.DataFrame:
    """A table; layers may be called by numbers."""
    try:
        return pd.read_csv(path, dtype={"layer": str, "verdict": str}, keep_default_na=True).fillna({"verdict": ""})
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="results of a study")
    parser.add_argument("summary", type=Path, help="what a published run said")
    parser.add_argument("--store", action="store_true", help="write the summary instead of comparing with it")
    options = parser.parse_args(words)
    try:
        if options.store:
            with written_whole(options.summary) as partial:
                stored_summary(options.folder).to_csv(partial, index=False, float_format="%.6g")
            return 0
        further = [options.folder / name for name in FURTHER]
        folders = [options.folder, *(one for one in further if (one / "provenance.json").exists())]
        broken = [f"{folder}: {sentence}" for folder in folders for sentence in altered(folder)]
        stored = read(options.summary)
        apart = differences(stored_summary(options.folder), stored)
    except StudyError as error:
        print(f"Error: {error}")
        return 2
    for sentence in broken:
        print(f"{sentence} since the study ended.")
    for sentence in apart:
        print(f"{options.folder}: {sentence}.")
    verdicts = int((stored["measure"] == VERDICT).sum())
    outcome = f"{len(apart)} differ" if apart else "all within their tolerances"
    print(f"{len(stored) - verdicts} numbers and {verdicts} verdicts compared with {options.summary}: {outcome}.")
    return 1 if broken or apart else 0


if __name__ == "__main__":
    sys.exit(main())
