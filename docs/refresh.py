"""Carry the default study's figures and ledger over to the README, and the registry of measures to docs/measures.md.

Run it after `make study` (and `snakemake noise`), then read the diff: .venv/bin/python docs/refresh.py
"""

import re
import shutil
from pathlib import Path

from convergent.similarity import INVARIANCES, MEASURES, Measure

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "results" / "digits"
LEDGERS = {"claims": STUDY / "tables" / "claims.md", "noise": STUDY / "noise" / "claims.md"}


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


def main() -> None:
    (ROOT / "docs" / "measures.md").write_text(measures_page())
    readme = ROOT / "README.md"
    text = readme.read_text()
    for name, ledger in LEDGERS.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        if ledger.exists():
            before, after = text[: text.index(begin) + len(begin)], text[text.index(end) :]
            text = f"{before}\n\n{ledger.read_text()}\n{after}"
    readme.write_text(text)
    for name in re.findall(r"\(docs/figures/([\w-]+)\.png\)", text):
        # A figure is named after its folders; in that of noise, a name has a hyphen of its own.
        folders = name.split("-", 2 if name.startswith("noise-") else 1)
        source = STUDY / "figures" / f"{'/'.join(folders)}.png"
        if source.exists():  # benchmarks draw the others
            shutil.copy2(source, ROOT / "docs" / "figures" / f"{name}.png")


if __name__ == "__main__":
    main()
