"""Layers of any architecture: which there are, and the shape of what they give for one image.

Caffenets and perceptrons are known by arithmetic, without torch; other networks are built to be asked. As a program,
`python -m convergent.layers ARCHITECTURE --images 3 32 32 --classes 10` prints them.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

import yaml

from convergent.architectures import MLP, CaffeNet, Shape, is_torchvision, is_users, settings
from convergent.errors import StudyError, abbreviated, did_you_mean


def layer_shapes(name: str, options: dict, input_shape: Shape, classes: int) -> dict[str, Shape | None]:
    """Layers that can be recorded, in the order of computation, with the shape of their output for one image.

    For caffenet and mlp this is arithmetic. Other networks are built without memory for their weights where
    that works; every module path is a layer, in the order in which a forward pass first calls them, and None
    stands for a module that is not called, is called several times, or returns no tensor.

    Raises:
        StudyError: an unknown name or option, or images that the architecture cannot take.
    """
    if not is_users(name) and not is_torchvision(name):
        chosen = settings(name, options)
        if isinstance(chosen, CaffeNet | MLP):
            return chosen.shapes(tuple(input_shape), classes)
    from convergent.models import module_shapes  # torch is imported only where it is needed

    return module_shapes(name, options, tuple(input_shape), classes)


def check_layers(name: str, shapes: dict[str, Shape | None], layers: Iterable[str]) -> dict[str, Shape | None]:
    """The shapes of `layers` among those of the architecture called `name`, from `layer_shapes`.

    Raises:
        StudyError: a layer that the architecture does not have, with the nearest name and the allowed ones.
    """
    for layer in layers:
        if layer not in shapes:
            raise StudyError(
                f"architecture {name} has no layer {layer!r}{did_you_mean(layer, shapes)}: "
                f"its layers are {abbreviated(shapes)}."
            )
    return {layer: shapes[layer] for layer in layers}


def expand(patterns: Iterable[str], shapes: Mapping[str, Shape | None]) -> list[str]:
    """The layers that shell-like patterns over module paths stand for, each once.

    The parts of a path, between the dots, are matched one by one: `layer?` is layer1 but not layer1.0, and
    `layer*.*.conv1` the first convolution of every block; `**` stands for any number of parts, also none. A pattern
    gives the layers that can be recorded, in the order of `shapes`, that of the computation. A name without wildcards
    stays as it is, whatever it names.

    Raises:
        StudyError: a pattern that matches no layer that can be recorded.
    """
    found: list[str] = []
    for pattern in patterns:
        if not any(sign in pattern for sign in "*?["):
            found.append(pattern)
            continue
        wanted = pattern.split(".")
        layers = [layer for layer in shapes if kind(shapes[layer]) and matches(layer.split("."), wanted)]
        if not layers:
            tops = dict.fromkeys(layer.partition(".")[0] for layer in shapes)
            raise StudyError(
                f"no layer that can be recorded matches {pattern!r}: the names begin with {abbreviated(tops)}, * "
                "stands for part of a name between dots, and ** for any number of names."
            )
        found += layers
    return list(dict.fromkeys(found))


def matches(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the parts of a path fit those of a pattern."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(matches(parts[skipped:], wanted[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], wanted[0]) and matches(parts[1:], wanted[1:])


def kind(shape: Shape | None) -> str:
    """What the axes of a layer's output for one image are; nothing if the layer cannot be recorded."""
    return {1: "units", 2: "tokens x units", 3: "channels x height x width"}.get(len(shape or ()), "")


def table(shapes: Mapping[str, Shape | None]) -> str:
    """One line per layer: its name, what its axes are and how long, or a dash if it cannot be recorded."""
    rows = [("layer", "kind", "shape")]
    for layer, shape in shapes.items():
        rows.append((layer, kind(shape) or "-", " x ".join(map(str, shape)) if kind(shape) else "-"))
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of words as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in padded)


def source_table(path: str) -> str:
    """One line per array of recorded activations: its name, what its axes are and how long."""
    from convergent.adoption import source_layers

    axes = {2: "samples x units", 3: "images x tokens x units", 4: "images x channels x height x width"}
    rows = [("layer", "kind", "shape")]
    for layer, shape in source_layers(path).items():
        fits = len(shape) in axes
        rows.append((layer, axes[len(shape)] if fits else "-", " x ".join(map(str, shape)) if fits else "-"))
    return aligned(rows)


def parsed_options(words: Iterable[str]) -> dict:
    """Options of an architecture from words `key=value`, the values as YAML.

    Raises:
        StudyError: a word without =, or a value that is no YAML.
    """
    options = {}
    for word in words:
        name, equals, value = word.partition("=")
        try:
            options[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise StudyError(f"the value of option {word!r} is not YAML: put quotes around it.") from error
        if not (name and equals):
            raise StudyError(f"option {word!r} has no value: write it as key=value.")
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Print the layers of an architecture, or of recorded activations; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m convergent.layers", description="Print the layers of a network that can be recorded."
    )
    parser.add_argument(
        "architecture", nargs="?", help="a name of the study's, torchvision:NAME, or package.module:function"
    )
    parser.add_argument("--images", nargs=3, type=int, metavar=("CHANNELS", "HEIGHT", "WIDTH"), help="of one image")
    parser.add_argument("--classes", type=int, default=10, help="number of classes (10)")
    parser.add_argument("--option", nargs="+", action="extend", default=[], metavar="key=value", help="as in a study")
    parser.add_argument("--matching", nargs="+", metavar="PATTERN", help="only layers like this: 'layer*.*.conv1'")
    parser.add_argument("--activations", metavar="PATH", help="instead: what a folder or .npz file of them holds")
    asked = parser.parse_args(words)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        if asked.activations:
            print(source_table(asked.activations))
            return 0
        if not asked.architecture or not asked.images:
            raise StudyError("name an architecture and the shape of its images: resnet18 --images 3 32 32.")
        shapes = layer_shapes(asked.architecture, parsed_options(asked.option), tuple(asked.images), asked.classes)
        if asked.matching:
            shapes = check_layers(asked.architecture, shapes, expand(asked.matching, shapes))
        print(table(shapes))
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
