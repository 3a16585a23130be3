"""Where the networks of a study come from, and what they are called.

`networks` in the configuration is a number, all trained here from the study's architecture, or a list of entries of
four kinds: `trained` here by seed, a `checkpoint` file, a `torchvision` model with published weights, or `activations`
that were recorded elsewhere. Each entry becomes a `Source`; the plan asks a source what it can give.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from convergent.activations import LAYER_NAME
from convergent.architectures import complete_options
from convergent.datasets import class_count, image_shape
from convergent.errors import StudyError
from convergent.layers import check_layers, expand, layer_shapes

KINDS = ("trained", "checkpoint", "torchvision", "activations")
WILDCARDS = re.compile(r"[*?\[]")
# What an entry may say besides its kind, its name and its layers.
ALLOWED = {
    "trained": ("architecture",),
    "checkpoint": ("architecture", "classes", "mean", "std"),
    "torchvision": ("weights", "mean", "std"),
    "activations": ("untrained", "images"),
}


@dataclass(frozen=True)
class Source:
    """One entry of the list of networks."""

    kind: str
    networks: tuple[str, ...]
    key: str  # of the configuration, for messages: `networks.0`
    entry: dict
    architecture: dict  # name and options; empty for activations
    images: tuple[int, ...]  # shape of one image of the study
    classes: int | None  # of the network; None for activations
    wanted: list[str] | dict[str, str] = field(repr=False)  # layers as configured

    @property
    def runs_here(self) -> bool:
        """Whether the networks themselves are here, and not only what they answered."""
        return self.kind != "activations"

    @property
    def untrained(self) -> bool:
        """Whether the networks can be had before their training."""
        return self.runs_here or "untrained" in self.entry

    @property
    def standardisation(self) -> tuple[list[float], list[float]] | None:
        """Mean and standard deviation per channel that the networks expect, if not those of the study's images."""
        if "mean" in self.entry:
            return self.entry["mean"], self.entry["std"]
        if self.kind == "torchvision":
            from convergent.checkpoints import preprocessing_of  # torch is imported only where it is needed

            return preprocessing_of(self.entry["torchvision"], self.entry["weights"])
        return None

    @cached_property
    def offered(self) -> dict[str, tuple | None]:
        """Everything that can be recorded or was recorded, with its shape for one image (None: no tensor)."""
        if self.runs_here:
            return layer_shapes(self.architecture["name"], self.architecture["options"], self.images, self.classes)
        from convergent.adoption import source_layers  # torch is imported only where it is needed

        return {layer: shape[1:] for layer, shape in source_layers(self.entry["activations"]).items()}

    @property
    def places(self) -> dict[str, str]:
        """Where activations were recorded elsewhere, also those before training if they are given."""
        return {name: self.entry[name] for name in ("activations", "untrained") if name in self.entry}

    @cached_property
    def arrays(self) -> dict[str, tuple[dict[str, tuple], int]]:
        """For each of these places the shapes of the layers that are compared, checked, and the number of images.

        Raises:
            StudyError: they cannot be read, or are no activations.
        """
        from convergent.adoption import require_arrays  # torch is imported only where it is needed

        images = self.entry.get("images")
        return {name: require_arrays(place, self.layers, images) for name, place in self.places.items()}

    @cached_property
    def layers(self) -> dict[str, str]:
        """Name in the study -> module path (or name in the activations), in order of depth.

        Raises:
            StudyError: a pattern matches nothing, or a name cannot be that of a file.
        """
        if isinstance(self.wanted, dict):
            return self.wanted
        literal = not any(WILDCARDS.search(layer) for layer in self.wanted)
        # A network is built only to be asked for its layers where that is needed.
        layers = self.wanted if literal else expand(self.wanted, self.offered)
        for layer in layers:
            if not LAYER_NAME.fullmatch(layer):
                raise StudyError(f"layer {layer!r} of {self.key} cannot name a file: give it a name, {{name: layer}}.")
        return {layer: layer for layer in layers}

    @property
    def shapes(self) -> dict[str, tuple | None]:
        """Name in the study -> shape for one image.

        Raises:
            StudyError: a layer is not there; the nearest names are told.
        """
        if self.runs_here:
            check_layers(self.architecture["name"], self.offered, self.layers.values())
            return {layer: self.offered[module] for layer, module in self.layers.items()}
        shapes, images = self.arrays["activations"]
        # Several rows of an image count as its positions.
        several = {layer: shape[0] // images for layer, shape in shapes.items() if len(shape) == 2}
        return {
            layer: (several[layer], *shape[1:]) if several.get(layer, 1) > 1 else shape[1:]
            for layer, shape in shapes.items()
        }

    @property
    def own_names(self) -> bool:
        """Whether every layer is called as in the network."""
        return all(layer == module for layer, module in self.layers.items())


def sources_of(config: dict) -> list[Source]:
    """The sources of a complete configuration.

    Raises:
        StudyError: an entry is of no kind or of two, says what its kind does not understand, or two networks have the
            same name.
    """
    dataset, study = config["dataset"], config["architecture"]
    entries = config["networks"] if isinstance(config["networks"], list) else [{"trained": config["networks"]}]
    images, classes = image_shape(dataset["name"], dataset["options"]), class_count(dataset["name"], dataset["options"])
    sources: list[Source] = []
    for place, entry in enumerate(entries):
        key = f"networks.{place}"
        kind = kind_of(entry, key)
        architecture = entry.get("architecture", study)
        if kind == "torchvision":
            model = entry[kind].removeprefix("torchvision:")
            entry = {"weights": "DEFAULT", **entry, kind: model}
            architecture = {"name": f"torchvision:{model}", "options": {}}
            of_network = categories(entry, key)
        else:
            of_network = entry.get("classes", classes)
        if kind != "activations":
            architecture = {
                "name": architecture["name"],
                "options": complete_options(architecture["name"], architecture.get("options", {})),
            }
        sources.append(
            Source(
                kind=kind,
                networks=names_of(entry, kind, sum(len(source.networks) for source in sources)),
                key=key,
                entry=entry,
                architecture={} if kind == "activations" else architecture,
                images=images,
                classes=None if kind == "activations" else of_network,
                wanted=entry.get("layers", config["activations"]["layers"]),
            )
        )
    names = Counter(name for source in sources for name in source.networks)
    if twice := next((name for name, count in names.items() if count > 1), None):
        raise StudyError(f"config key `networks` gives two networks the name {twice}: give one another `name`.")
    if len(names) < 2:
        raise StudyError("config key `networks` gives one network, but the study compares pairs: add another.")
    return sources


def kind_of(entry: dict, key: str) -> str:
    """The kind of an entry.

    Raises:
        StudyError: it has none or several, or a setting that its kind does not understand.
    """
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none of them"
        raise StudyError(f"config key `{key}` must have exactly one of {', '.join(KINDS)}, but has {found}.")
    for setting in entry:
        if setting not in (kinds[0], "name", "layers", *ALLOWED[kinds[0]]):
            raise StudyError(
                f"config key `{key}.{setting}` means nothing for networks of the kind {kinds[0]}: leave it out "
                f"(besides name and layers there are {', '.join(ALLOWED[kinds[0]])})."
            )
    if isinstance(entry.get("layers"), dict) and not all(isinstance(name, str) for name in entry["layers"]):
        raise StudyError(f"config key `{key}.layers` has a name that is no text: put it in quotes.")
    if ("mean" in entry) != ("std" in entry):
        raise StudyError(f"config key `{key}` has one of mean and std: give both, one number per channel, or neither.")
    return kinds[0]


def names_of(entry: dict, kind: str, before: int) -> tuple[str, ...]:
    """Names of the networks of an entry, `before` others standing before it: net1, net2, ... or the given name."""
    count = entry["trained"] if kind == "trained" else 1
    if "name" not in entry:
        return tuple(f"net{number}" for number in range(before + 1, before + count + 1))
    return (entry["name"],) if count == 1 else tuple(f"{entry['name']}{number}" for number in range(1, count + 1))


def categories(entry: dict, key: str) -> int:
    """How many classes a published torchvision network tells apart.

    Raises:
        StudyError: the model or its weights are unknown.
    """
    from convergent.checkpoints import weights_named  # torch is imported only where it is needed

    try:
        return len(weights_named(entry["torchvision"], entry["weights"]).meta["categories"])
    except StudyError as error:
        raise StudyError(f"config key `{key}`: {error}") from error


def in_common(sources: Iterable[Source]) -> list[str]:
    """The layers that every network has, in the order of the first."""
    first, *others = [source.layers for source in sources]
    return [layer for layer in first if all(layer in layers for layers in others)]


def rows_and_units(shape: tuple[int, ...], activations: dict) -> tuple[int, int]:
    """How many samples (rows) one image gives of a layer, and how many units.

    Args:
        shape: of the layer's output for one image: (channels, height, width), (tokens, units) or (units,).
        activations: the section of the configuration.
    """
    channels, places = (shape[0], shape[1:]) if len(shape) == 3 else (shape[-1], shape[:-1])
    if not places:
        return 1, channels
    if activations["positions"] == "flatten":
        return 1, channels * prod(places)
    return {"all": prod(places), "sample": activations["positions_per_image"]}.get(
        activations["positions"], 1
    ), channels
