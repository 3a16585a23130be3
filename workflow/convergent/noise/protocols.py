"""The protocols of the study of noisy training sets: what is varied, how often, and at which of three sizes.

Umar & Laio 2026; only the abstract's claims are known, and these protocols are a reconstruction. `smoke` shows that
everything runs, `reduced` has repetitions enough for a verdict, `full` has narrower intervals and finer grids.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from convergent.errors import StudyError, did_you_mean

SIZES = ("smoke", "reduced", "full")
LINEAR, DESCENT, REGRESSION, CLASSIFICATION = "linear", "descent", "regression", "classification"


@dataclass(frozen=True)
class Grid:
    """What one size of a study runs."""

    sizes: tuple[int, ...]  # numbers of training samples
    snrs: tuple[float, ...]
    repetitions: int
    members: int
    settings: Mapping[str, object] = field(default_factory=dict)  # of this size alone


@dataclass(frozen=True)
class Protocol:
    """One variant of a protocol."""

    name: str
    variant: str
    parameters: int  # nominal threshold: inputs d of a linear map, weights and biases P of another network
    settings: Mapping[str, object]
    grids: Mapping[str, Grid]


def of(parameters: int, *shares: float) -> tuple[int, ...]:
    """Numbers of samples that are these shares of the parameters."""
    return tuple(round(parameters * share) for share in shares)


COARSE = (0.1, 0.4, 0.8, 1, 1.25, 2, 5)
USUAL = (0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10)
FINE = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.25, 1.5, 2, 3, 5, 10)
RATIOS = (1.0, 3.0, 10.0, 30.0, 100.0)
DECADES = (1.0, 10.0, 100.0)
REPLACED = (0.6, 0.4, 0.2, 0.1, 0.05)  # shares of labels
LABEL_RATIOS = tuple((1 - share) / share for share in REPLACED)


def linear_grids(d: int) -> dict[str, Grid]:
    """Grids of linear networks in closed form, around their threshold d."""
    return {
        "smoke": Grid(of(d, *COARSE), DECADES, 2, 4, {"tests": 300}),
        "reduced": Grid(of(d, *USUAL), RATIOS, 4, 5),
        "full": Grid(of(d, *FINE), RATIOS, 10, 5),
    }


def single_grids(d: int) -> dict[str, Grid]:
    """Grids of linear networks with one output, of which only weights are compared."""
    return {
        "smoke": Grid(of(d, *COARSE), DECADES, 2, 4),
        "reduced": Grid(of(d, *USUAL), RATIOS, 6, 5),
        "full": Grid(of(d, *FINE), RATIOS, 20, 5),
    }


def descent_grids(d: int) -> dict[str, Grid]:
    """Grids of linear networks that are trained step by step."""
    return {
        "smoke": Grid(of(d, *COARSE), DECADES, 2, 4, {"tests": 300, "steps": 5000}),
        "reduced": Grid(of(d, *USUAL), RATIOS, 3, 5),
        "full": Grid(of(d, *USUAL), RATIOS, 8, 5, {"steps": 50_000}),
    }


def closed_form_grids(d: int) -> dict[str, Grid]:
    """Grids of the same networks in closed form, on the same training sets."""
    return {
        size: replace(grid, settings={name: value for name, value in grid.settings.items() if name != "steps"})
        for size, grid in descent_grids(d).items()
    }


REGRESSION_GRIDS = {
    "smoke": Grid((10, 40, 100, 200, 500), DECADES, 2, 4, {"tests": 300, "steps": 1500}),
    "reduced": Grid((10, 20, 40, 70, 100, 130, 200, 400, 1000), DECADES, 6, 4),
    "full": Grid((10, 20, 40, 60, 80, 100, 120, 150, 200, 300, 500, 1000), RATIOS, 10, 4),
}
WIDTH_GRIDS = {
    "smoke": Grid((10, 60, 120, 250, 600), (3.0, 30.0), 2, 4, {"tests": 300, "steps": 1500}),
    "reduced": Grid((10, 20, 40, 60, 100, 150, 200, 300, 600, 1200), (3.0, 30.0), 6, 4),
    "full": Grid((10, 20, 30, 45, 60, 80, 100, 130, 160, 200, 300, 500, 1200), (3.0, 30.0), 10, 4),
}
CLASSIFICATION_GRIDS = {
    "smoke": Grid((20, 150, 300, 700), LABEL_RATIOS[1::2], 2, 4, {"tests": 300, "steps": 1000}),
    "reduced": Grid((20, 40, 70, 100, 150, 200, 300, 450, 700, 1300), LABEL_RATIOS, 4, 4),
    "full": Grid((20, 40, 70, 100, 150, 200, 250, 300, 375, 450, 575, 700, 1000, 1300), LABEL_RATIOS, 8, 4),
}
D, SINGLE_D, SMALL_D = 100, 200, 30
LINEAR_SETTINGS = {"d": D, "outputs": 5, "hidden": 20}
# Theory is derived for one output: only what it predicts is measured.
SINGLE_SETTINGS = {"d": SINGLE_D, "outputs": 1, "hidden": 20, "measures": ("cka_linear",)}
DESCENT_SETTINGS = {"d": SMALL_D, "outputs": 3, "hidden": 20, "mode": "input"}
CLOSED_FORM_SETTINGS = DESCENT_SETTINGS | {"measures": ("cka_linear",)}

PROTOCOLS: Mapping[tuple[str, str], Protocol] = MappingProxyType(
    {
        (one.name, one.variant): one
        for one in (
            Protocol(LINEAR, "input", D, LINEAR_SETTINGS | {"mode": "input"}, linear_grids(D)),
            Protocol(LINEAR, "label", D, LINEAR_SETTINGS | {"mode": "label"}, linear_grids(D)),
            Protocol(LINEAR, "both", D, LINEAR_SETTINGS | {"mode": "both"}, linear_grids(D)),
            Protocol(LINEAR, "ridge", D, LINEAR_SETTINGS | {"mode": "input", "ridge": True}, linear_grids(D)),
            Protocol(LINEAR, "fresh", D, LINEAR_SETTINGS | {"mode": "input", "fresh": True}, linear_grids(D)),
            Protocol(LINEAR, "single", SINGLE_D, SINGLE_SETTINGS | {"mode": "input"}, single_grids(SINGLE_D)),
            Protocol(LINEAR, "single_label", SINGLE_D, SINGLE_SETTINGS | {"mode": "label"}, single_grids(SINGLE_D)),
            Protocol(LINEAR, "small", SMALL_D, CLOSED_FORM_SETTINGS, closed_form_grids(SMALL_D)),
            Protocol(DESCENT, "small", SMALL_D, DESCENT_SETTINGS | {"deviation": 0.05}, descent_grids(SMALL_D)),
            Protocol(DESCENT, "lazy", SMALL_D, DESCENT_SETTINGS | {"deviation": 1.0}, descent_grids(SMALL_D)),
            Protocol(REGRESSION, "label", 121, {"hidden": 10, "mode": "label"}, REGRESSION_GRIDS),
            Protocol(REGRESSION, "input", 121, {"hidden": 10, "mode": "input"}, REGRESSION_GRIDS),
            Protocol(REGRESSION, "width_5", 61, {"hidden": 5, "mode": "label"}, WIDTH_GRIDS),
            Protocol(REGRESSION, "width_10", 121, {"hidden": 10, "mode": "label"}, WIDTH_GRIDS),
            Protocol(REGRESSION, "width_20", 241, {"hidden": 20, "mode": "label"}, WIDTH_GRIDS),
            Protocol(CLASSIFICATION, "shared", 258, {"shared_start": True, "scale": 0.5}, CLASSIFICATION_GRIDS),
            Protocol(CLASSIFICATION, "independent", 258, {"shared_start": False, "scale": 0.2}, CLASSIFICATION_GRIDS),
        )
    }
)


def protocol(name: str, variant: str) -> Protocol:
    """The variant of a protocol.

    Raises:
        StudyError: there is none.

    Examples:
        >>> protocol("linear", "input").grids["reduced"].sizes[:3]
        (10, 20, 40)
    """
    if (name, variant) not in PROTOCOLS:
        known = [" ".join(place) for place in PROTOCOLS]
        near = did_you_mean(f"{name} {variant}", known)
        raise StudyError(f"there is no protocol {name!r} with variant {variant!r}{near}: choose of {', '.join(known)}.")
    return PROTOCOLS[name, variant]


def grid(name: str, variant: str, size: str) -> Grid:
    """The grid of a variant at `smoke`, `reduced` or `full`; StudyError if there is none."""
    if size not in SIZES:
        raise StudyError(f"size must be one of {', '.join(SIZES)}, not {size!r}.")
    return protocol(name, variant).grids[size]


def variants_at(name: str, n: int, size: str) -> list[str]:
    """The variants of a protocol that have this number of training samples in their grid.

    Examples:
        >>> variants_at("regression", 130, "reduced")
        ['label', 'input']
    """
    return [variant for (one, variant), own in PROTOCOLS.items() if one == name and n in own.grids[size].sizes]


def cells(size: str) -> list[tuple[str, int]]:
    """Every protocol with every number of training samples that any of its variants has.

    Examples:
        >>> cells("smoke")[:2]
        [('linear', 10), ('linear', 20)]
    """
    found = {(name, n) for (name, _), own in PROTOCOLS.items() for n in own.grids[size].sizes}
    order = list(dict.fromkeys(name for name, _ in PROTOCOLS))
    return sorted(found, key=lambda cell: (order.index(cell[0]), cell[1]))


def parameters(name: str, variant: str) -> int:
    """Nominal interpolation threshold: inputs d of linear networks, weights and biases P of the others.

    Examples:
        >>> parameters("linear", "input"), parameters("regression", "width_5"), parameters("classification", "shared")
        (100, 61, 258)
    """
    return protocol(name, variant).parameters


def run(name: str, variant: str, n: int, size: str, seed: int = 0) -> list[dict]:
    """All that is measured at one number of training samples.

    Args:
        name, variant: of the protocol.
        n: number of training samples, mostly one of the grid's.
        size: of the study: `smoke`, `reduced` or `full`.
        seed: another one repeats the study.

    Returns:
        rows of protocol, variant, n, repetition, snr, measure, value, reason.
    """
    chosen, own = grid(name, variant, size), protocol(name, variant)
    options = dict(own.settings) | {"snrs": chosen.snrs, "repetitions": chosen.repetitions, "members": chosen.members}
    options |= dict(chosen.settings) | {"seed": seed}
    if name == LINEAR:
        from convergent.noise.linear import measure_linear as function
    elif name == DESCENT:
        from convergent.noise.descent import measure_descent as function
    elif name == REGRESSION:
        from convergent.noise.nonlinear import measure_regression as function
    else:
        from convergent.noise.nonlinear import measure_classification as function
    return [{"protocol": name, "variant": variant} | row for row in function(n, **options)]
