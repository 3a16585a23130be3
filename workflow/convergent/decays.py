"""Decays of the sparse maps: how they are named, and the widths with which they were published.

Li et al. 2016, section 4: what transfers between layers of different width is decay * units, the penalty.
"""

# This module imports nothing: the workflow reads it before any job starts.

# Width of the published network's layers.
PUBLISHED_UNITS = {"conv1": 96, "conv2": 256, "conv3": 384, "conv4": 384, "conv5": 256, "fc6": 4096, "fc7": 4096}


def decay_name(exponent: float | None) -> str:
    """A decay as measures name it, from its base-10 logarithm: 0 (None), 1e-3, or 10^-2.6."""
    if exponent is None:
        return "0"
    return f"1e{exponent:.0f}" if float(exponent).is_integer() else f"10^{exponent:g}"


def exponent_of(name: str) -> float | str:
    """The base-10 logarithm of a decay from its `decay_name`; empty for 0."""
    return "" if name == "0" else float(name.removeprefix("1e").removeprefix("10^"))
