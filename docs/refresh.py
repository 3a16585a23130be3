"""Carry figures and ledgers over to the README and the pages in docs, and the registry of measures to docs/measures.md.

Run it after `make study` (and `snakemake noise dynamics`), then read the diff: .venv/bin/python docs/refresh.py
"""

import re
import shutil
from pathlib import Path

from convergent.claims_page import claims_markdown, questions_markdown
from convergent.similarity import INVARIANCES, MEASURES, Measure
from convergent.tables import read_tables

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "results" / "digits"
# Ledger -> where its rows are; the README has the first in full, of the others the questions, the rest is in docs.
LEDGERS = {"claims": STUDY, "noise": STUDY / "noise", "dynamics": STUDY / "dynamics"}
PAGES = ("README.md", "docs/noise.md", "docs/dynamics.md")

MEASURES_PAGE = """# Measures of similarity

Every entry of `convergent.similarity.MEASURES`, as the registry declares it. This page is generated; the tests hold
every declaration to account. All are similarities: higher means more alike, and 1 is the highest value. x and y are
activations (samples, units), S and C their covariances within and between networks, K and L their kernels.

*Unchanged by* says what may be done to the units of either side alone: **p**ermuting, **r**otating or reflecting,
scaling all (**s**) or each (**S**), shifting each (**t**), any invertible linear map (**l**). Measures marked → are
directed: (x, y) and (y, x) differ.

| id | equation | source | unchanged by | range | cost |
|---|---|---|---|---|---|
{rows}
"""
LETTERS = dict(zip(INVARIANCES, "prsStl", strict=True))


def measures_page() -> str:
    """The registry as a page."""
    return MEASURES_PAGE.format(rows="\n".join(row(MEASURES[name]) for name in sorted(MEASURES)))


def row(measure: Measure) -> str:
    """A measure as a line of the table."""
    equation, source, cost = (text.replace("|", "\\|") for text in (measure.equation, measure.source, measure.cost))
    letters = " ".join(letter for name, letter in LETTERS.items() if name in measure.invariances)
    directed = "" if measure.symmetric else " →"
    limits = f"[{measure.lowest:g}, {measure.highest:g}]"
    return f"| `{measure.name}`{directed} | {equation} | {source} | {letters} | {limits} | {cost} |"


def with_ledgers(text: str, brief: bool) -> str:
    """A page with what stands between the marks of a ledger replaced by what the study says now."""
    for name, folder in LEDGERS.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        if begin in text and (folder / "claims.csv").exists():
            rows = read_tables([folder / "claims.csv"])
            table = questions_markdown(rows) if brief and name != "claims" else claims_markdown(rows)
            text = f"{text[: text.index(begin) + len(begin)]}\n\n{table}\n{text[text.index(end) :]}"
    return text


def main() -> None:
    (ROOT / "docs" / "measures.md").write_text(measures_page())
    for page in PAGES:
        text = with_ledgers((ROOT / page).read_text(), brief=page == "README.md")
        (ROOT / page).write_text(text)
        for name in re.findall(r"figures/([\w.-]+)\.png\)", text):
            # A figure is named after its folders; in that of noise, a name has a hyphen of its own.
            folders = name.split("-", 2 if name.startswith("noise-") else 1)
            source = STUDY / "figures" / f"{'/'.join(folders)}.png"
            if source.exists():  # benchmarks draw the others
                shutil.copy2(source, ROOT / "docs" / "figures" / f"{name}.png")


if __name__ == "__main__":
    main()
