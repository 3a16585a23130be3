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
from convergent.files import sealed, unwritable


@contextmanager
def logged(snakemake) -> Iterator[None]:
    """Run a script's work with everything it prints in the rule's log; end with one sentence for a user's mistake.

    What it reads is checked to be as it was written, and what it writes is sealed.
    """
    path, failure = snakemake.log[0], None
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
            logging.basicConfig(stream=log, level=logging.INFO)
            started = time.perf_counter()
            try:
                with sealed(snakemake.input, snakemake.output):
                    print(f"{len(snakemake.input)} files checked in {time.perf_counter() - started:.3f} s")
                    yield
                print(f"done in {time.perf_counter() - started:.1f} s")
            except StudyError as error:
                failure = str(error)
            except Exception as error:
                traceback.print_exc()
                reason = (str(error).splitlines() or [""])[0]
                failure = f"{snakemake.rule} failed, {type(error).__name__}: {reason} (details: {path})"
            if failure:
                print(f"Error: {failure}")
    except OSError as error:  # there is no log: what went wrong is told in the terminal
        failure = failure or str(unwritable(path, error))
        print(f"Error: {failure}", file=sys.stderr)
    if failure:
        sys.exit(1)
