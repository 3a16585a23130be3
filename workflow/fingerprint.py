"""Digest of the code behind a rule: its script and every library module that the script imports, directly or not."""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from convergent.architectures import is_users
from convergent.files import digest, file_digest

WORKFLOW = Path(__file__).parent


@cache
def code(script: str) -> str:
    """Digest of `scripts/<script>.py` and of all library code that it uses.

    Taken over the parsed programs without docstrings, so that a change of wording reruns nothing.
    """
    seen: dict[str, str] = {}
    waiting = [WORKFLOW / "scripts" / f"{script}.py"]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(WORKFLOW).as_posix()
        if name not in seen:
            seen[name], further = parsed(path, path.stat().st_mtime_ns)
            waiting += further
    return digest(seen)


@cache
def parsed(path: Path, modified: int) -> tuple[str, list[Path]]:
    """Digest of one program, and what it imports of the workflow; parsed once, however many scripts use it."""
    tree = ast.parse(path.read_text())
    return digest(ast.dump(without_docstrings(tree))), imported(tree)


@cache
def users_code(architecture: str) -> str | None:
    """Digest of the module that holds a user's own architecture, `package.module:function`; None for all others."""
    module, _, _ = architecture.partition(":")
    found = find_spec(module) if is_users(architecture) else None
    return file_digest(found.origin) if found and found.has_location else None


def imported(tree: ast.AST) -> list[Path]:
    """Files of the `convergent` modules, with their packages, and of the scripts that a program imports anywhere."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    # `job` writes logs and touches no number; a change there must not train networks again.
    files = {WORKFLOW / "scripts" / f"{name}.py" for name in names - {"job"}}
    for parts in (name.split(".") for name in names):
        if parts[0] == "convergent":
            places = [WORKFLOW.joinpath(*parts[:length]) for length in range(1, len(parts) + 1)]
            files |= {file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")}
    return sorted(file for file in files if file.is_file())


def without_docstrings(tree: ast.AST) -> ast.AST:
    """The same program without the docstrings of its modules, classes and functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return tree
