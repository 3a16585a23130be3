"""What several scripts read in the same way."""

import io
from collections.abc import Iterator

import pandas as pd

from convergent.files import load_arrays
from convergent.scores import require_fragment
from convergent.tables import read_tables


def aligned_layers(snakemake) -> Iterator[tuple[str, dict, dict]]:
    """Each layer with its statistics and its assignments, from the first tile of the trained networks."""
    yield from zip(
        snakemake.params.layers, products(snakemake, "statistics"), products(snakemake, "alignment"), strict=True
    )


def products(snakemake, stage: str) -> Iterator[dict]:
    """Arrays of one stage, layer by layer, from the first tile of the trained networks."""
    paths, keys = snakemake.input[stage], snakemake.params.product_keys[stage]
    return map(load_arrays, [paths] if isinstance(paths, str) else paths, keys)


def pieces(paths: list[str], contents: list[tuple[list[str], bool]]) -> list[dict]:
    """Rows of all fragments of a table, each checked to be whole and of this study.

    Args:
        paths: of the fragments.
        contents: for each, the keys that its rows may carry, and whether it has none.
    """
    every = []
    for path, (keys, empty) in zip(paths, contents, strict=True):
        rows = read_tables([path])
        require_fragment(path, rows, keys, empty)
        every += rows
    return every


def table(path: str, **options) -> pd.DataFrame:
    """A table of this study. A layer may be called by a number, as in torch.nn.Sequential."""
    return pd.read_csv(path, dtype={"layer": str}, **options)


def frames(files, names: list[str]) -> dict[str, pd.DataFrame]:
    """Tables among a rule's files by their names; one without rows may have no columns either."""
    found = {}
    for name in names:
        try:
            found[name] = pd.read_csv(files[name])
        except pd.errors.EmptyDataError:
            found[name] = pd.DataFrame()
    return found


def typed(rows: list[dict]) -> pd.DataFrame:
    """Rows of fragments, which are text, with every column as what it holds, as if read from a whole table."""
    text = io.StringIO()
    pd.DataFrame(rows).drop(columns=["key", "rows"]).to_csv(text, index=False)
    text.seek(0)
    return pd.read_csv(text)


def saved(snakemake) -> Iterator[list[str]]:
    """The two files of each figure that a script draws."""
    return zip(snakemake.output.figures, snakemake.output.prints, strict=True)
