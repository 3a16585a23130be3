"""What the benchmarks share: a clock, activations that are correlated as those of networks are, and a table."""

import argparse
import csv
import resource
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

SQUARE = 3072  # side of the matrices that give the machine's rate


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


def user_seconds(function: Callable, *arguments) -> tuple[float, object]:
    """How long a call keeps the processor busy, whatever else the machine does, and its result."""
    started = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    result = function(*arguments)
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime - started, result


def matrix_rate(clock: Callable = seconds) -> float:
    """Floating-point operations per second of a float32 product of two square matrices, as fast as any of three."""
    generator = np.random.default_rng(0)
    x, y = (generator.normal(size=(SQUARE, SQUARE)).astype(np.float32) for _ in range(2))
    return 2 * SQUARE**3 / min(clock(np.matmul, x, y)[0] for _ in range(3))


def rectified_networks(units: int, samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two networks' activations (samples, units), float32: rectified units over latent variables that they share."""
    generator = np.random.default_rng(seed)
    latent = generator.normal(size=(samples, units // 2))
    x, y = (np.maximum(latent @ generator.normal(size=(units // 2, units)), 0).astype(np.float32) for _ in range(2))
    return x, y
