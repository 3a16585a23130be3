"""What every script does first and last: find the library beside the workflow, write the log, speak to the user."""

import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

# The library that stands beside this workflow, whichever version may be installed: the keys were made from it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
# The user's own modules in the working directory, for architectures given as package.module:function.
sys.path.append(os.getcwd())

from convergent.errors import StudyError
from convergent.files import load_arrays


@contextmanager
def logged(snakemake) -> Iterator[None]:
    """Run a script's work with everything it prints in the rule's log; end with one sentence for a user's mistake."""
    Path(snakemake.log[0]).parent.mkdir(parents=True, exist_ok=True)
    failed = False
    with open(snakemake.log[0], "w", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
        logging.basicConfig(stream=log, level=logging.INFO)
        started = time.perf_counter()
        try:
            yield
            print(f"done in {time.perf_counter() - started:.1f} s")
        except StudyError as error:
            print(f"Error: {error}")
            failed = True
        except Exception:
            traceback.print_exc()
            failed = True
    if failed:
        sys.exit(1)


def sides(networks: dict, names: list) -> tuple[dict, dict | None]:
    """The two sides of a tile, chosen by name; None on the diagonal, where the other side is the same."""
    x, y = ({name: networks[name] for name in side} if side else None for side in names)
    return x, y


def aligned_layers(snakemake) -> Iterator[tuple[str, dict, dict]]:
    """Each layer with its statistics and its assignments, from the first tile of the trained networks."""
    files, keys = snakemake.input, snakemake.params.product_keys
    statistics = map(load_arrays, files.statistics, keys["statistics"])
    assignments = map(load_arrays, files.assignments, keys["alignment"])
    yield from zip(snakemake.params.layers, statistics, assignments, strict=True)
