"""Carry the default study's figures and ledger over to the README: run it after `make study`, then read the diff.

.venv/bin/python docs/refresh.py
"""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "results" / "digits"
BEGIN, END = "<!-- claims: begin -->", "<!-- claims: end -->"


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text()
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    readme.write_text(f"{before}\n\n{(STUDY / 'tables' / 'claims.md').read_text()}\n{after}")
    for name in re.findall(r"\(docs/figures/([\w-]+)\.png\)", text):
        # A figure of one layer is named after its folder and the layer.
        figure, _, layer = name.rpartition("-")
        source = f"{figure}/{layer}" if figure else name
        shutil.copy2(STUDY / "figures" / f"{source}.png", ROOT / "docs" / "figures" / f"{name}.png")


if __name__ == "__main__":
    main()
