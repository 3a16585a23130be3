"""The one exception that speaks to the user, and the words that its sentences share."""

import difflib
from collections.abc import Iterable


class StudyError(Exception):
    """A condition that the user can mend.

    Its message is one sentence that says what is wrong, where (the key or the file), and what to do.
    The workflow prints it without a traceback and stops with a non-zero exit status.
    """


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """The piece of a sentence that offers the nearest allowed name, or nothing if none is near."""
    near = difflib.get_close_matches(str(name), list(allowed), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def abbreviated(names: Iterable[str], most: int = 16) -> str:
    """The names separated by commas; of a long list the beginning and the number."""
    names = [name for name in names if name]
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names)} in all)"
