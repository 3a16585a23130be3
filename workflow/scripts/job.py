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
        except Exception as error:
            traceback.print_exc()
            reason = (str(error).splitlines() or [""])[0]
            print(f"Error: {snakemake.rule} failed, {type(error).__name__}: {reason} (details: {snakemake.log[0]})")
            failed = True
    if failed:
        sys.exit(1)
