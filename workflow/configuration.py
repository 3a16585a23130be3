"""The configuration of a study: filled with defaults, and refused in one sentence where it cannot work.

Types, ranges and defaults are in schemas/config.schema.yaml; what one key means for another is checked here, with
the library's own knowledge of datasets and architectures. Nothing is trained before all of it has passed.
"""

import copy
import math
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from convergent import datasets
from convergent.activations import choose_positions
from convergent.architectures import complete_options, trains_together
from convergent.datasets.corruptions import check_strength
from convergent.decays import decay_name
from convergent.errors import StudyError, did_you_mean
from sources import Source, in_common, rows_and_units, sources_of

FEWEST_IMAGES = 4
MOST_TILES = 10_000
LEAST_ROOM = 5_000_000  # bytes: with less, not even Snakemake's own notes may fit
# What can be asked for only where activations are stored; where they are not, nothing of it is asked for by default.
NEED_SAMPLES = {"similarity": ("measures", "calibrated", "over_layers"), "maps": ("layers",)}
SCHEMA = Path(__file__).parent / "schemas" / "config.schema.yaml"
ORIGIN = "# Made from "  # how a recorded configuration names the file that it was made from
TYPES = {
    "object": "a mapping of keys to values",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
BOUNDS = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}


def schema() -> dict:
    """The JSON schema as a dictionary of the caller's own."""
    return copy.deepcopy(_schema())


@cache
def _schema() -> dict:
    return yaml.safe_load(SCHEMA.read_text())


def completed(config: dict, thorough: bool = True) -> dict:
    """The configuration with every default filled in, checked key by key and, if `thorough`, as a whole.

    Raises:
        StudyError: the first thing that is wrong: which key, what was found, what is allowed.
    """
    config = copy.deepcopy(config)
    rules = schema()
    for path, number in numbers(config):
        if not math.isfinite(number):
            raise StudyError(f"config key `{path}` is {number}, but must be a finite number.")
    if not stored(config):
        for section, names in NEED_SAMPLES.items():
            for name in names:
                rules["properties"][section]["properties"][name]["default"] = []
    fill(config, rules)
    # The fault nearest to the top: it explains those below it.
    faults = Draft202012Validator(rules).iter_errors(config)
    if fault := min(faults, key=lambda fault: (len(fault.path), str(fault.path)), default=None):
        raise StudyError(sentence(fault))
    config = in_order(config, rules)
    dataset, architecture = config["dataset"], config["architecture"]
    with naming("dataset"):
        dataset["options"] = datasets.complete_options(dataset["name"], dataset["options"])
    with naming("architecture"):
        architecture["options"] = complete_options(architecture["name"], architecture["options"])
    for place, other in (
        (place, probe["dataset"]) for place, probe in enumerate(config["probes"]) if "dataset" in probe
    ):
        with naming(f"probes.{place}.dataset"):
            other["options"] = datasets.complete_options(other["name"], other["options"])
    if thorough:
        check_meaning(config)
    return config


def stored(config: dict) -> bool:
    """Whether a configuration, perhaps not complete, keeps activations."""
    activations = config.get("activations")
    return not isinstance(activations, dict) or activations.get("stored") is not False


def fill(values: object, rules: dict) -> None:
    """Put the schema's defaults where `values` has none; whole numbers written as 4.0 become 4."""
    if not isinstance(values, dict):
        return
    for name, rule in rules.get("properties", {}).items():
        if name not in values and "default" in rule:
            values[name] = copy.deepcopy(rule["default"])
        if name in values:
            value = values[name]
            items = rule.get("items", {})
            values[name] = [whole(item, items) for item in value] if isinstance(value, list) else whole(value, rule)
            fill(value, rule)
            for item in values[name] if isinstance(value, list) else ():
                fill(item, items)


def whole(value: object, rule: dict) -> object:
    """A whole number written as 4.0 as an integer, where the schema asks for one; anything else as it is."""
    asked = "integer" in one_or_many(rule.get("type", []))
    return int(value) if asked and isinstance(value, float) and value.is_integer() else value


def in_order(values: object, rules: dict) -> object:
    """The same values with their keys in the schema's order (others sorted), so that equal configs look equal."""
    if not isinstance(values, dict):
        return values
    known = rules.get("properties", {})
    names = [*(name for name in known if name in values), *sorted(set(values) - set(known), key=str)]
    return {name: in_order(values[name], known.get(name, {})) for name in names}


def numbers(values: object, path: str = "") -> Iterator[tuple[str, float]]:
    """Every fractional number in a configuration, with its path."""
    if isinstance(values, float):
        yield path, values
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for name, value in items:
        yield from numbers(value, f"{path}.{printable(name)}" if path else printable(name))


def sentence(fault: ValidationError) -> str:
    """One sentence for a fault that the schema found."""
    path = ".".join(map(printable, fault.absolute_path))
    found, limit = fault.instance, fault.validator_value
    key = f"config key `{path}`"
    match fault.validator:
        case "additionalProperties" | "unevaluatedProperties":
            allowed = list(fault.schema.get("properties", {}))
            unknown = next(printable(name) for name in found if name not in allowed)
            where = f"{path}.{unknown}" if path else unknown
            near = did_you_mean(unknown, allowed)
            return f"config key `{where}` is unknown{near}: allowed here are {', '.join(allowed)}."
        case "required":
            missing = next(name for name in limit if name not in found)
            meaning = fault.schema["properties"][missing]["description"]
            return f"config key `{f'{path}.' if path else ''}{missing}` is missing ({meaning}): add it."
        case "type":
            kinds = " or ".join(TYPES[kind] for kind in one_or_many(limit))
            hint = ""
            if isinstance(found, str) and "number" in one_or_many(limit):
                hint = " (write it without quotes, and with a decimal point before an exponent: 1.0e-3)"
            elif isinstance(found, str) and "integer" in one_or_many(limit):
                hint = " (write it without quotes)"
            return f"{key} is {shown(found)}, but must be {kinds}{hint}."
        case "enum":
            allowed = ["null" if value is None else str(value) for value in limit]
            return f"{key} is {shown(found)}{did_you_mean(found, allowed)}: allowed are {', '.join(allowed)}."
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            return f"{key} is {shown(found)}, but must be {BOUNDS[fault.validator]} {limit}."
        case "pattern":
            return f"{key} is {shown(found)}, but may hold only {fault.schema['allowed']}."
        case "minLength":
            return f"{key} is empty: give it a value."
        case "minProperties":
            return f"{key} is empty: name at least {limit}."
        case "minItems" | "maxItems":
            amount = "at least" if fault.validator == "minItems" else "at most"
            return f"{key} has {len(found)} entries, but must have {amount} {limit}."
        case "uniqueItems":
            twice = next(item for item in found if found.count(item) > 1)
            return f"{key} names {shown(twice)} twice: keep one."
        case _:
            return f"{key} is {shown(found)}: {fault.message}."


def printable(name: object) -> str:
    """A key as it can stand in a sentence."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(name))


def shown(value: object) -> str:
    """A value as a config file would show it, shortened."""
    text = " ".join(yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").split())
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def one_or_many(value: object) -> list:
    return value if isinstance(value, list) else [value]


def check_meaning(config: dict) -> None:
    """What the keys mean for one another, with the library's knowledge of datasets and architectures.

    Raises:
        StudyError: the first combination that cannot work.
    """
    dataset, training = config["dataset"], config["training"]
    name, options = dataset["name"], dataset["options"]
    with naming("dataset"):
        shape = datasets.image_shape(name, options)
        *_, probe = datasets.check_sizes(name, options, dataset["train"], dataset["validation"], dataset["probe"])
        check_files(datasets.input_files(name, options))
    if probe < FEWEST_IMAGES:
        raise StudyError(
            f"config key `dataset.probe` leaves {probe} images to compare networks on: use at least {FEWEST_IMAGES}, "
            "two for fitting maps and two for judging them."
        )
    sources = sources_of(config)
    check_tiles(sum(len(source.networks) for source in sources), config["networks_per_tile"])
    for source in sources:
        check_source(source, config, probe)
    check_stored(sources, config)
    check_images(sources, probe)
    check_maps(sources, config["activations"]["positions"])
    with naming("maps.layers"):
        require_recorded(config["maps"]["layers"] or (), in_common(sources))
    check_decays(config["maps"])
    check_probes(config)
    check_measures(config["similarity"])
    if training["shift"] >= min(shape[1:]):
        raise StudyError(
            f"config key `training.shift` is `{training['shift']}`, but the images have {shape[1]} x {shape[2]} "
            "pixels: choose a smaller shift."
        )
    if training["warmup_epochs"] > training["epochs"]:
        raise StudyError(
            f"config key `training.warmup_epochs` is `{training['warmup_epochs']}`, but training ends after epoch "
            f"{training['epochs']}: choose fewer."
        )
    if training["random_crop"] and datasets.images_file(name) != "images.csv":
        raise StudyError(
            f"config key `training.random_crop` is `true`, but the images of {name} have no margin to crop from: "
            "set it to false, and use training.shift."
        )
    together = training["networks_per_job"] or 1
    here = [source.architecture["name"] for source in sources if source.kind == "trained"]
    if together > 1 and not any(map(trains_together, here)):
        raise StudyError(
            f"config key `training.networks_per_job` is `{together}`, but only networks of caffenet and mlp train "
            "together, and none is trained here: leave it null."
        )
    if max(training["checkpoints"], default=0) > training["epochs"]:
        raise StudyError(
            f"config key `training.checkpoints` names epoch {max(training['checkpoints'])}, but training ends after "
            f"epoch {training['epochs']}: name earlier ones or raise training.epochs."
        )


def check_tiles(networks: int, size: int | None) -> None:
    """Raise StudyError if there are more pairs of groups of networks than a workflow can plan."""
    groups = math.ceil(networks / (size or networks))
    if (tiles := groups * (groups + 1) // 2) > MOST_TILES:
        raise StudyError(
            f"config key `networks_per_tile` is {size}, which divides {networks} networks into {tiles} tiles, but only "
            f"{MOST_TILES} can be planned: let a tile hold more networks."
        )


def check_source(source: Source, config: dict, probe: int) -> None:
    """Raise StudyError unless the networks of a source can be had, and their layers recorded as asked.

    Args:
        source: an entry of `networks`.
        config: the complete configuration.
        probe: number of images that networks are compared on.
    """
    one_kind = isinstance(config["networks"], int)
    activations = config["activations"]
    with naming("architecture" if one_kind else f"{source.key}.architecture" if source.runs_here else source.key):
        _ = source.offered  # the network can be built, or the activations read
    with naming("activations.layers" if one_kind or "layers" not in source.entry else f"{source.key}.layers"):
        layers = source.shapes
    if source.kind == "checkpoint" and not Path(source.entry["checkpoint"]).is_file():
        raise StudyError(f"config key `{source.key}.checkpoint`: there is no file {source.entry['checkpoint']}.")
    with naming(source.key):
        check_files(source.entry[name] for name in ("checkpoint", "activations", "untrained") if name in source.entry)
    channels = source.images[0]
    for name in ("mean", "std"):
        if name in source.entry and len(source.entry[name]) != channels:
            raise StudyError(
                f"config key `{source.key}.{name}` has {len(source.entry[name])} numbers, but images have {channels} "
                "channels: give one for each."
            )
    check_positions(activations, layers)
    images = probe if source.runs_here else source.arrays["activations"][1]
    if stored(config):
        check_bins(config["information"]["bins"], images, activations, layers)


def check_files(files: Iterable[str | Path]) -> None:
    """Raise StudyError if the name of a user's file has braces, between which the workflow looks for wildcards."""
    for file in files:
        if {"{", "}"} & set(str(file)):
            raise StudyError(f"the name {str(file)!r} has braces, which no input file may have: rename it.")


def check_maps(sources: list[Source], positions: str) -> None:
    """Raise StudyError unless a layer has the same positions in all networks, where rows are positions."""
    if positions in ("mean", "flatten"):
        return
    for layer in in_common(sources):
        places = {source.key: source.shapes[layer] for source in sources}
        places = {key: shape[1:] if len(shape) == 3 else shape[:-1] for key, shape in places.items()}
        first = next(iter(places))
        for key, place in places.items():
            if place != places[first]:
                raise StudyError(
                    f"config key `networks`: layer {layer} has {shown_size(places[first])} per image in {first} and "
                    f"{shown_size(place)} in {key}: set activations.positions to mean or flatten, or give one of them "
                    "another name (layers)."
                )


def shown_size(place: tuple[int, ...]) -> str:
    """The positions of a map or of tokens in words."""
    return f"{' x '.join(map(str, place))} positions" if place else "one row"


def check_images(sources: list[Source], probe: int) -> None:
    """Raise StudyError unless all networks were, or will be, shown equally many images."""
    shown = {source.key: probe for source in sources if source.runs_here}
    for source in sources:
        for name, (_, images) in source.arrays.items() if source.places else ():
            shown[f"{source.key}.{name}"] = images
    first, expected = next(iter(shown.items()))
    for key, found in shown.items():
        if found != expected:
            raise StudyError(
                f"config key `networks`: {first} is of {expected} images and {key} of {found}: compare networks on the "
                "same images (dataset.probe), or say how many the rows of activations come from (images)."
            )
    if expected < FEWEST_IMAGES:
        raise StudyError(f"config key `networks`: the activations are of {expected} images: at least 4 are needed.")


def check_stored(sources: list[Source], config: dict) -> None:
    """Raise StudyError if activations are not stored, but something is asked for that cannot be had without them."""
    if stored(config):
        return
    key = "config key `activations.stored` is `false`"
    asked = [
        f"{section}.{name}" for section, names in NEED_SAMPLES.items() for name in names if config[section][name] != []
    ]
    if asked:
        raise StudyError(
            f"{key}, but {', '.join(asked)} need{'s' if len(asked) == 1 else ''} the activations themselves: leave out "
            "or set to [] what needs them, or set activations.stored to true."
        )
    if brought := next((source for source in sources if not source.runs_here), None):
        raise StudyError(
            f"{key}, but {brought.key} is a network of which there are only activations: leave it out, or set "
            "activations.stored to true."
        )
    if not in_common(sources):
        raise StudyError(f"{key}, but no layer is in all networks, so nothing is left to compare: name one in all.")


def check_probes(config: dict) -> None:
    """Raise StudyError unless every further probe says what is shown, under a name of its own.

    Another data set must have images of the study's shape.
    """
    dataset = config["dataset"]
    shape = datasets.image_shape(dataset["name"], dataset["options"])
    taken = ["trained", "untrained", "controls", "shuffled", "permuted", "rotated", "siblings", "resampled"]
    for place, probe in enumerate(config["probes"]):
        key, name = f"probes.{place}", probe["name"]
        if name in taken or name.startswith(("epoch_", "noisy_", "against_")):
            raise StudyError(f"config key `{key}.name` is {name}, which names another population: choose another name.")
        taken.append(name)
        if ("corruption" in probe) == ("dataset" in probe):
            raise StudyError(f"config key `{key}` must have one of corruption and dataset: say what is shown.")
        if ("corruption" in probe) != ("strength" in probe):
            raise StudyError(f"config key `{key}` must have a strength if it has a corruption, and only then.")
        if "corruption" in probe:
            with naming(key):
                check_strength(probe["corruption"], probe["strength"], shape)
            continue
        other = probe["dataset"]
        with naming(f"{key}.dataset"):
            place = other["name"], other["options"]
            found = datasets.image_shape(*place)
            *_, images = datasets.check_sizes(*place, other["train"], other["validation"], other["probe"])
        if tuple(found) != tuple(shape):
            raise StudyError(
                f"config key `{key}.dataset`: its images have the shape {tuple(found)}, those of the study "
                f"{tuple(shape)}: choose images of the same shape."
            )
        if images < FEWEST_IMAGES:
            raise StudyError(f"config key `{key}.dataset` has {images} probe images: use at least {FEWEST_IMAGES}.")


def check_measures(similarity: dict) -> None:
    """Raise StudyError unless every measure of similarity is known, and those to calibrate have a largest value."""
    from convergent.similarity import measure_named  # it brings SciPy, which takes a while

    for key in ("measures", "calibrated", "over_layers"):
        with naming(f"similarity.{key}"):
            for name in similarity[key]:
                measure_named(name)


def check_decays(maps: dict) -> None:
    """Raise StudyError if two decays have the same name."""
    for key in ("log10_decays", "trained_log10_decays"):
        names = [decay_name(exponent) for exponent in maps[key]]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise StudyError(f"config key `maps.{key}` names decay {twice} twice: keep one.")


def require_recorded(layers: Iterable[str], recorded: list[str]) -> None:
    """Raise StudyError unless all the layers are among those whose activations are compared."""
    for layer in layers:
        if layer not in recorded:
            raise StudyError(
                f"layer {layer!r} is not recorded{did_you_mean(layer, recorded)}: activations.layers are "
                f"{', '.join(recorded)}."
            )


def check_positions(activations: dict, layers: dict[str, tuple | None]) -> None:
    """Raise StudyError unless the positions asked for exist in every layer."""
    choice, wanted = activations["positions"], activations["positions_per_image"]
    if (choice == "sample") != (wanted is not None):
        remedy = "give a number" if wanted is None else "leave it null, or set positions to sample"
        raise StudyError(
            f"config key `activations.positions_per_image` is {shown(wanted)} while activations.positions is "
            f"{choice}: {remedy}."
        )
    for layer, shape in layers.items():
        if shape is None:
            raise StudyError(
                f"config key `activations.layers` names {layer}, which does not give exactly one tensor in each pass "
                "(it is not called, called several times, or gives something else): name the module around it."
            )
        # Maps are (channels, height, width), tokens (number, units), neurons (units,).
        places = {3: shape[1:], 2: shape[:1]}.get(len(shape), ())
        if places:
            with naming("activations", f"layer {layer}: "):
                choose_positions(choice, places, np.arange(1), wanted, seed=0)


def check_bins(bins: int, probe: int, activations: dict, layers: dict[str, tuple]) -> None:
    """Raise StudyError unless every layer has at least as many samples as there are bins."""
    for layer, shape in layers.items():
        samples = probe * rows_and_units(shape, activations)[0]
        if samples < bins:
            raise StudyError(
                f"config key `information.bins` is {bins}, but layer {layer} has only {samples} samples: use fewer "
                "bins or more images (dataset.probe, dataset.validation)."
            )


@contextmanager
def naming(key: str, where: str = "") -> Iterator[None]:
    """Say which part of the configuration a library's sentence is about."""
    try:
        yield
    except StudyError as error:
        raise StudyError(f"config key `{key}`: {where}{error}") from error


def require_writable(folder: str) -> None:
    """Raise StudyError unless results can be written to a folder, which may not be there yet."""
    place = next(place for place in (Path(folder).absolute(), *Path(folder).absolute().parents) if place.exists())
    if not os.access(place, os.W_OK):
        raise StudyError(
            f"results go to the folder {folder}, but {place} cannot be written to: make it writable, or choose another "
            "working directory (--directory)."
        )
    if (free := shutil.disk_usage(place).free) < LEAST_ROOM:
        raise StudyError(
            f"results go to the folder {folder}, but its disk has only {free / 1e6:.1f} MB left: free space, or choose "
            "another working directory (--directory)."
        )


def require_own_place(folder: str, study: str, source: str | None) -> None:
    """Raise StudyError if another config file, which is still there, already writes its study to `folder`.

    Args:
        folder: where the results of this study go.
        study: its name.
        source: path of the config file that is in use; None where there is none (a module of another workflow).
    """
    for place in (Path(folder), *Path(folder).parents):
        if place.exists() and not place.is_dir():
            raise StudyError(f"results go to the folder {folder}, but {place} is a file: rename or remove it.")
    recorded = Path(folder) / "config.yaml"
    try:
        first = recorded.read_text().splitlines()[0]
        other = Path(first.removeprefix(ORIGIN))
        if source is None or not first.startswith(ORIGIN) or other.samefile(source):
            return
        claimed = yaml.safe_load(other.read_text()).get("study")
    except (OSError, IndexError, AttributeError, yaml.YAMLError):
        return
    if claimed == study:
        raise StudyError(
            f"config key `study` is {study} in {source}, but {other} has the same name and its results are in "
            f"{folder}: give one of the two another name."
        )
