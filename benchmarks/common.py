"""What the benchmarks share: a clock, and activations that are correlated as those of networks are."""

import time
from collections.abc import Callable

import numpy as np


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
