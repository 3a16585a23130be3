"""The experiments on learning dynamics: which networks are trained on what, how long, how often, and what is kept.

van Rossem & Saxe 2024, settings of the authors' public code. `smoke` shows that everything runs, `reduced` has seeds
enough for a verdict, `full` has every setting, smaller steps and more seeds.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from convergent.datasets import Dataset
from convergent.draws import generator
from convergent.dynamics.settings import SETTINGS, Setting, setting
from convergent.errors import StudyError

SIZES = ("smoke", "reduced", "full")
# Names of the experiments.
TWO_POINT, DEPTH, DISTANCES, XOR, CONTEXT = "two_point", "depth", "distances", "xor", "context"
TRAJECTORIES, STRUCTURE = "trajectories", "structure"
ALTERNATIVES = "alternatives"  # changed equations, fitted to the default networks
FITTED = (TWO_POINT, DEPTH, TRAJECTORIES)  # their jobs' curves are fitted by the theory
ON_IMAGES = (TRAJECTORIES, STRUCTURE)

TABLES = (
    *("fits", "curves", "rises", "distances", "xor", "context", "context_axes"),
    *("structure", "image_structure", "bridge"),
)  # that the study ends with

Arrays = dict[str, np.ndarray]

# Two points: squared distances of inputs and of targets; half of the listed learning rate, so twice the epochs.
INPUT_DISTANCE, TARGET_DISTANCE = 1.0, 0.5
EPOCHS, SHARE_OF_RATE = 6000, 0.5
SMALL = ("narrow", "shallow", "two_layer")  # settings that cost seconds
PROBES = np.linspace(-1.25, 0.25, 61)[:, None]  # inputs around and between the two points
PROBE_EPOCHS = 80
DEPTH_EPOCHS = 3000  # at the listed rate

# Distances of inputs and of targets of the grid of final distances, before squaring.
GRID_INPUTS, GRID_TARGETS = (0.5, 0.75, 1.0, 1.25, 1.5), (0.0, 0.25, 0.5, 0.75, 1.0)
GRID_EPOCHS, GRID_LOSS = 40_000, 1e-4


class Images(NamedTuple):
    """Labelled images, their pixels as they are."""

    train: np.ndarray  # (samples, pixels)
    labels: np.ndarray  # (samples,)
    tests: np.ndarray
    test_labels: np.ndarray


@dataclass(frozen=True)
class Scale:
    """What one size of the study trains."""

    settings: tuple[str, ...]  # of the two-point experiment
    seeds: int
    small_seeds: int  # of settings in SMALL
    depth_seeds: int  # 0: no such experiment
    grids: tuple[str, ...]  # settings of the final distances
    grid_rate: float  # share of the listed rate
    xor_seeds: int
    context_seeds: int
    context: tuple[str, ...]  # cases and activations
    image_networks: int
    pairs: int  # of images that are followed
    architectures: tuple[str, ...]  # of networks on images
    shown: int  # images whose distances are compared


@dataclass(frozen=True)
class Small:
    """A network on one of the small data sets."""

    gain: float
    rate: float
    epochs: int
    hidden: int = 20
    layer: int = 10
    activation: str = "leaky_relu"
    skip: bool = False


XOR_CASES: Mapping[str, Small] = MappingProxyType(
    {
        "rich": Small(0.85, 0.015, 3000, activation="relu"),
        "intermediate": Small(1.25, 0.002, 1000, activation="relu"),
        "lazy": Small(2.0, 3e-9, 1000, activation="relu"),
        "shallow": Small(0.0015, 0.03, 2000, hidden=1, layer=0, activation="relu"),
    }
)
CONTEXT_CASES: Mapping[str, Small] = MappingProxyType(
    {
        "high": Small(2.0, 0.0015, 750, hidden=4, layer=2),
        "low": Small(0.5, 0.015, 1500, hidden=4, layer=2),
        "vlow": Small(0.275, 0.05, 2000, hidden=4, layer=2),
    }
)
# The settings file of the authors says tanh, their program trains leaky rectified units.
CONTEXT_ACTIVATIONS = ("leaky_relu", "tanh")
EVERY_CONTEXT = tuple(f"{case}-{activation}" for case in CONTEXT_CASES for activation in CONTEXT_ACTIVATIONS)
CONTEXT_WIDTH, BATCH = 100, 64
# Networks on labelled images, after the authors' on MNIST: for them rate and steps are .003 and 200 epochs of 938. Here
# the rate is what both multiply to, so that data sets of other sizes are learned as far in fewer steps.
IMAGE_CASES: Mapping[str, Small] = MappingProxyType(
    {
        "leaky_relu": Small(0.5, 563, 60, 4, 2),
        "relu": Small(0.5, 563, 60, 4, 2, "relu"),
        "tanh": Small(0.35, 563, 60, 4, 2, "tanh"),
        "elu": Small(0.35, 563, 60, 4, 2, "elu"),
        "swish": Small(0.6, 1126, 60, 4, 2, "silu"),
        "linear": Small(0.35, 422, 60, 4, 2, "none"),
        "skip": Small(0.1, 563, 60, 4, 2, skip=True),
    }
)
IMAGE_WIDTH = 200
KEPT_EPOCHS = 40  # at which representations of test images are kept
# Many images are passed over as often as the authors did, few as often as the cases say.
MANY_IMAGES, MANY_IMAGES_EPOCHS = 10_000, 200
STRUCTURE_RATES: Mapping[str, float] = MappingProxyType({"published": 0.005, "slow": 0.001})  # of Adam
STRUCTURE_IMAGES = 10_000  # from which the theory's structure is computed
# Classes of the images that are followed while networks learn to tell them apart.
FOLLOWED_CLASSES = (0, 1)

SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "smoke": Scale(
            settings=SMALL,
            seeds=2,
            small_seeds=2,
            depth_seeds=0,
            grids=("two_layer",),
            grid_rate=0.5,
            xor_seeds=0,
            context_seeds=1,
            context=("high-leaky_relu",),
            image_networks=2,
            pairs=4,
            architectures=("leaky_relu", "tanh"),
            shown=60,
        ),
        "reduced": Scale(
            settings=tuple(SETTINGS),
            seeds=5,
            small_seeds=10,
            depth_seeds=5,
            grids=("shallow", "narrow", "two_layer", "default"),
            grid_rate=0.5,
            xor_seeds=5,
            context_seeds=3,
            context=EVERY_CONTEXT,
            image_networks=5,
            pairs=10,
            architectures=tuple(IMAGE_CASES),
            shown=100,
        ),
        "full": Scale(
            settings=tuple(SETTINGS),
            seeds=10,
            small_seeds=50,
            depth_seeds=10,
            grids=tuple(SETTINGS),
            grid_rate=0.2,
            xor_seeds=10,
            context_seeds=10,
            context=EVERY_CONTEXT,
            image_networks=10,
            pairs=20,
            architectures=tuple(IMAGE_CASES),
            shown=100,
        ),
    }
)


def scale_of(size: str) -> Scale:
    """What one size of the study trains; StudyError if there is none of that name."""
    if size not in SCALES:
        raise StudyError(f"size must be one of {', '.join(SIZES)}, not {size!r}.")
    return SCALES[size]


def cells(size: str) -> list[tuple[str, str]]:
    """Every experiment with each of its cases, one job each.

    Examples:
        >>> cells("smoke")[:2]
        [('two_point', 'narrow'), ('two_point', 'shallow')]
    """
    scale = scale_of(size)
    cases = {
        TWO_POINT: scale.settings,
        DEPTH: ("default",) if scale.depth_seeds else (),
        DISTANCES: scale.grids,
        XOR: XOR_CASES if scale.xor_seeds else (),
        CONTEXT: scale.context,
        TRAJECTORIES: scale.architectures,
        STRUCTURE: STRUCTURE_RATES,
    }
    return [(experiment, case) for experiment, names in cases.items() for case in names]


def run(
    experiment: str,
    case: str,
    size: str,
    seed: int = 0,
    images: "Images | None" = None,
) -> Arrays:
    """Train the networks of one case of an experiment, and keep what the theory and the figures need.

    Args:
        experiment, case: of `cells(size)`.
        size: of the study: `smoke`, `reduced` or `full`.
        seed: another one repeats the study.
        images: for the experiments on images.

    Returns:
        arrays that the functions in `analysis` read; their first axis is over networks.
    """
    return RUNS[experiment](case, scale_of(size), seed, images)


def seeds(count: int, *names: str | int) -> list[int]:
    """Seeds of networks, named by what they belong to."""
    return [int(generator("dynamics", *names, number).integers(2**31)) for number in range(count)]


# --- Runs ------------------------------------------------------------------------------------------------------------


def run_two_point(case: str, scale: Scale, seed: int, images: object) -> Arrays:
    """Curves of one layer at half of the listed rate, and representations of inputs around the points."""
    own = setting(case)
    count = scale.small_seeds if case in SMALL else scale.seeds
    return two_points_learned(own, seeds(count, seed, TWO_POINT), EPOCHS, SHARE_OF_RATE * own.rate, probed=True)


def run_depth(case: str, scale: Scale, seed: int, images: object) -> Arrays:
    """Curves of every hidden layer at the listed rate."""
    own = setting(case)
    layers = tuple(range(own.hidden))
    return two_points_learned(own, seeds(scale.depth_seeds, seed, TWO_POINT), DEPTH_EPOCHS, own.rate, layers)


def two_points_learned(
    own: Setting,
    network_seeds: Sequence[int],
    epochs: int,
    rate: float,
    layers: tuple[int, ...] | None = None,
    probed: bool = False,
) -> Arrays:
    """Networks that learn the two points of most experiments: arrays of `networks.pair_quantities` and more."""
    from convergent.dynamics.networks import pair_quantities, train_together, two_points

    inputs, targets = two_points(INPUT_DISTANCE, TARGET_DISTANCE)
    layers = layers or (own.layer,)
    probe_epochs = np.unique(np.linspace(0, epochs - 1, PROBE_EPOCHS).astype(int)) if probed else np.array([], int)
    record = train_together(
        own,
        inputs,
        targets,
        seeds=network_seeds,
        epochs=epochs,
        rate=rate,
        layers=layers,
        probes=PROBES if probed else None,
        probe_epochs=tuple(map(int, probe_epochs)),
    )
    _, output, overlap, mean_error = pair_quantities(record, targets)
    arrays = {
        "hidden": record.distances[..., 0],  # (networks, layers, epochs)
        "output": output,  # (networks, epochs), and so the next three
        "overlap": overlap,
        "mean_error": mean_error,
        "loss": record.loss,
        "layers": np.array(layers),
        "input_distance": np.full(len(network_seeds), INPUT_DISTANCE),
        "target_distance": np.full(len(network_seeds), TARGET_DISTANCE),
    }
    return arrays | ({"probes": record.probes, "probe_epochs": probe_epochs} if probed else {})


def run_distances(case: str, scale: Scale, seed: int, images: object) -> Arrays:
    """First and last distances of networks on a grid of distances of inputs and of targets."""
    from convergent.dynamics.networks import pair_quantities, train_together, two_points

    own = setting(case)
    grid = [(dx**2, dy**2) for dx in GRID_INPUTS for dy in GRID_TARGETS]
    inputs, targets = (np.stack(parts) for parts in zip(*(two_points(*point) for point in grid), strict=True))
    record = train_together(
        own,
        inputs,
        targets,
        seeds=seeds(len(grid), seed, DISTANCES),
        epochs=GRID_EPOCHS,
        rate=scale.grid_rate * own.rate,
        stop_below=GRID_LOSS,
    )
    pair = pair_quantities(record, targets)
    last = np.arange(len(grid)), record.epochs - 1
    return {
        "hidden_start": pair.hidden[:, 0],
        "output_start": pair.output[:, 0],
        "hidden_end": pair.hidden[last],
        "loss_end": record.loss[last],
        "epochs": record.epochs,
        "input_distance": np.array([x for x, _ in grid]),
        "target_distance": np.array([y for _, y in grid]),
    }


def run_xor(case: str, scale: Scale, seed: int, images: object) -> Arrays:
    """First and last distances of all pairs of the four points of XOR; the loss there has no factor of a half."""
    from convergent.dynamics.networks import train_together, xor

    own = XOR_CASES[case]
    network = Setting(f"xor {case}", own.gain, own.rate, own.activation, hidden=own.hidden, layer=own.layer)
    inputs, targets = xor()
    record = train_together(
        network,
        inputs,
        targets,
        seeds=seeds(scale.xor_seeds, seed, XOR),
        epochs=own.epochs,
        rate=own.rate,
        loss_factor=1.0,
    )
    last = np.arange(len(record.epochs)), record.epochs - 1
    first, second = np.triu_indices(len(inputs), 1)
    start = record.outputs[:, 0]
    return {
        "hidden_start": record.distances[:, 0, 0],  # (networks, pairs)
        "output_start": ((start[:, first] - start[:, second]) ** 2).sum(axis=-1),
        "hidden_end": record.distances[last[0], 0, last[1]],
        "loss_end": record.loss[last],
        "pairs": np.stack([first, second], axis=1),
        "targets": targets,
        "input_distance": ((inputs[first] - inputs[second]) ** 2).sum(axis=1),
        "target_distance": ((targets[first] - targets[second]) ** 2).sum(axis=1),
    }


def run_context(case: str, scale: Scale, seed: int, images: object) -> Arrays:
    """Representations of every sample of the context-dependent task, before and after training."""
    from convergent.dynamics.context import context_task
    from convergent.dynamics.perceptrons import train_together

    name, activation = case.split("-")
    own, task = CONTEXT_CASES[name], context_task()
    trained = train_together(
        task.inputs,
        task.targets,
        seeds=seeds(scale.context_seeds, seed, CONTEXT),
        widths=(CONTEXT_WIDTH,) * own.hidden,
        activation=activation,
        gain=own.gain,
        rate=own.rate,
        batch=BATCH,
        epochs=own.epochs,
        layer=own.layer,
        tracked=task.inputs,
        record_epochs=(0, own.epochs),
    )
    before, after = np.moveaxis(trained.representations, 1, 0)
    return {"before": before, "representations": after, "loss": trained.loss}


def run_trajectories(case: str, scale: Scale, seed: int, images: Images) -> Arrays:
    """Curves of pairs of images of two classes, and representations of test images, while all classes are learned."""
    from convergent.dynamics.images import pair_quantities, tracked_pairs
    from convergent.dynamics.perceptrons import train_together

    own = IMAGE_CASES[case]
    inputs, targets, tests = learned(images)
    epochs = passes(own, images)
    pairs = tracked_pairs(images.train, images.labels, FOLLOWED_CLASSES, scale.pairs, seed)
    followed, shown = inputs[pairs.ravel()], tests[: scale.shown]
    trained = train_together(
        inputs,
        targets,
        seeds=seeds(scale.image_networks, seed, TRAJECTORIES),
        widths=(IMAGE_WIDTH,) * own.hidden,
        activation=own.activation,
        gain=own.gain,
        rate=own.rate / (epochs * math.ceil(len(inputs) / BATCH)),
        batch=BATCH,
        epochs=epochs,
        skip=own.skip,
        layer=own.layer,
        tracked=np.concatenate([followed, shown]),
        record_epochs=tuple(range(epochs + 1)),
        tests=tests,
    )
    count = len(followed)
    found = pair_quantities(
        trained.representations[:, :, :count], trained.outputs[:, :, :count], targets[pairs.ravel()]
    )
    decrease = trained.loss[:, :1] - trained.loss
    kept = np.unique(np.linspace(0, epochs, KEPT_EPOCHS).astype(int))
    first, second = inputs[pairs[:, 0]], inputs[pairs[:, 1]]
    return found._asdict() | {
        "loss": trained.loss,
        "layer": np.array(own.layer),
        "input_distance": ((first - second) ** 2).sum(axis=1),
        "target_distance": ((targets[pairs[:, 0]] - targets[pairs[:, 1]]) ** 2).sum(axis=1),
        "representations": trained.representations[:, kept][:, :, count:],
        "progress": (decrease / decrease[:, -1:])[:, kept],
        "accuracy": (trained.test_outputs.argmax(axis=2) == images.test_labels).mean(axis=1),
    }


def run_structure(case: str, scale: Scale, seed: int, images: Images) -> Arrays:
    """Squared distances between images in networks that learned all classes, and the theory's two predictions."""
    from convergent.dynamics.images import measured_structure, predicted_structure
    from convergent.dynamics.perceptrons import train_together

    own = IMAGE_CASES["leaky_relu"]
    inputs, targets, tests = learned(images)
    shown = np.arange(min(scale.shown, len(inputs)))
    shown = shown[np.argsort(images.labels[shown], kind="stable")]
    trained = train_together(
        inputs,
        targets,
        seeds=seeds(scale.image_networks, seed, STRUCTURE),
        widths=(IMAGE_WIDTH,) * own.hidden,
        activation=own.activation,
        gain=own.gain,
        rate=STRUCTURE_RATES[case],
        batch=BATCH,
        epochs=passes(own, images),
        optimiser="adam",
        layer=own.layer,
        tracked=inputs[shown],
        record_epochs=(0, passes(own, images)),
        tests=tests,
    )
    known = images.train[:STRUCTURE_IMAGES], images.labels[:STRUCTURE_IMAGES]
    return {
        "before": np.stack([measured_structure(one[:1]) for one in trained.representations]),
        "measured": np.stack([measured_structure(one[1:]) for one in trained.representations]),
        "sums": predicted_structure(*known, shown, squared=False),
        "means": predicted_structure(*known, shown, average=True, squared=False),
        "labels": images.labels[shown],
        "loss": trained.loss,
        "accuracy": (trained.test_outputs.argmax(axis=2) == images.test_labels).mean(axis=1),
    }


def passes(own: Small, images: Images) -> int:
    """How often the training images are passed over."""
    return MANY_IMAGES_EPOCHS if len(images.train) >= MANY_IMAGES else own.epochs


def images_of(data: Dataset) -> Images:
    """The training and validation images of a data set, each as one row of pixels.

    Raises:
        StudyError: the images are files, which differ in size and may be too many to hold.
    """
    if data.decodes:
        raise StudyError(
            f"the dynamics on images need a dataset that is stored as an array, which {data.name} is not: choose "
            "another one, such as digits or mnist."
        )
    parts = []
    for split in ("train", "validation"):
        chosen = data.splits[split]
        parts += [data.images(chosen).reshape(len(chosen), -1).astype(float), data.labels[chosen]]
    return Images(*parts)


def learned(images: Images) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, targets and test inputs, standardised together."""
    from convergent.dynamics.images import one_hot, standardised

    every = standardised(np.concatenate([images.train, images.tests]))
    return every[: len(images.train)], one_hot(images.labels), every[len(images.train) :]


RUNS: Mapping[str, Callable[..., Arrays]] = MappingProxyType(
    {
        TWO_POINT: run_two_point,
        DEPTH: run_depth,
        DISTANCES: run_distances,
        XOR: run_xor,
        CONTEXT: run_context,
        TRAJECTORIES: run_trajectories,
        STRUCTURE: run_structure,
    }
)
