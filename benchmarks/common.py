"""What the benchmarks share: a clock, activations that are correlated as those of networks are, and a table."""

import argparse
import csv
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Comparison(NamedTuple):
    """One computation, done here and as others would do it, side by side in one run."""

    what: str
    size: str
    peer: str
    threads: int
    precision: str  # of both, if they differ ours first
    ours: float  # seconds
    theirs: float
    difference: float  # largest between the answers; NaN where they are not comparable


def of(package: str) -> str:
    """A package with its version."""
    return f"{package} {version(package)}"


def parser_of(text: str) -> argparse.ArgumentParser:
    """Options of a benchmark, which can put its comparisons into a table."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--table", type=Path, help="a CSV file to which comparisons are added")
    return parser


def keep(comparisons: Iterable[Comparison], table: Path | None) -> None:
    """Add comparisons to a table, if there is one."""
    if table is not None:
        new = not table.exists()
        with open(table, "a", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerows([Comparison._fields] if new else [])
            writer.writerows(comparisons)


def seconds(function: Callable, *arguments) -> tuple[float, object]:
    """How long a call takes, and its result."""
    started = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - started, result


def rectified_networks(units: int, samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two networks' activations (samples, units), float32: rectified units over latent variables that they share."""
    generator = np.random.default_rng(seed)
    latent = generator.normal(size=(samples, units // 2))
    x, y = (np.maximum(latent @ generator.normal(size=(units // 2, units)), 0).astype(np.float32) for _ in range(2))
    return x, y
