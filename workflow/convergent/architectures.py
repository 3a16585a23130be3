"""Architectures by name: their options and layers, known before any network is built.

Sources: Krizhevsky et al. 2012 and Jia et al. 2014 (CaffeNet), as Li et al. 2016 trained it, without channel
groups. A convolution or pooling of kernel k, stride s and padding p maps length n to (n + 2 p - k) / s + 1.
"""

import importlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from math import prod
from typing import ClassVar

from convergent.errors import StudyError, did_you_mean

# This module imports no torch: the workflow reads it before any job starts.

Shape = tuple[int, ...]

MOST = 1_000_000  # larger sizes are mistakes
ACTIVATIONS = ("relu", "leaky_relu", "gelu", "tanh", "linear")
INITIALISATIONS = ("he", "caffe")
TORCHVISION = "torchvision:"  # in front of the name of a classifier there
MOST_VALUES = 2**17  # of a batch in the largest layer of networks that are trained together
MOST_NETWORKS = 32  # that are; of the default study, 64 gained less


class Options:
    """Base of the options of one architecture: unknown or impossible values are refused on construction."""

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):  # as configuration files give them
                object.__setattr__(self, field.name, tuple(value))
        self.check()

    def check(self) -> None:
        """Raise StudyError for a value that no network can have."""

    def require(self, option: str, holds: bool, wanted: str) -> None:
        """Raise StudyError unless the option's value holds what is wanted of it."""
        if not holds:
            value = getattr(self, option)
            value = list(value) if isinstance(value, tuple) else value
            raise StudyError(f"option {option!r} of architecture {self.name} must be {wanted}, not {value!r}.")

    def require_dropout(self, option: str = "dropout") -> None:
        """Raise StudyError unless the option is a probability below 1."""
        value = getattr(self, option)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        self.require(option, number and 0 <= value < 1, "a number from 0 to below 1")


@dataclass(frozen=True)
class CaffeNet(Options):
    """CaffeNet without channel groups; the defaults are the network of Li et al. for 3 x 227 x 227 images.

    conv1..conv5 end in a ReLU; `pools` lists the convolutions that max pooling follows (pool1, ...). As in
    Caffe, pooling rounds sizes up, so that no border is lost (with the defaults on 227 x 227 it is never in
    question). `normalise` puts local response normalisation (n = 5, alpha = 1e-4, beta = 0.75) after pool1
    and pool2, in Caffe's order; conv5's pool has none. Its alpha was meant for pixels of 0..255: on
    standardised images it changes little. fc6 and fc7 (widths in `dense`) end in a ReLU, each followed by
    dropout; fc8 is linear. `initialisation` is `he` (normal with variance 2 / fan-in, biases 0) or `caffe`
    (normal with standard deviation 0.01, in fc6 and fc7 0.005; biases 1 in conv2, conv4, conv5, fc6 and fc7,
    else 0), which is made for the full size.
    """

    name: ClassVar[str] = "caffenet"

    channels: tuple[int, ...] = (96, 256, 384, 384, 256)
    kernels: tuple[int, ...] = (11, 5, 3, 3, 3)
    strides: tuple[int, ...] = (4, 1, 1, 1, 1)
    paddings: tuple[int, ...] = (0, 2, 1, 1, 1)
    pools: tuple[int, ...] = (1, 2, 5)
    pool_kernel: int = 3
    pool_stride: int = 2
    normalise: bool = True
    dense: tuple[int, ...] = (4096, 4096)
    dropout: float = 0.5
    initialisation: str = "he"

    def check(self) -> None:
        for option in ("channels", "kernels", "strides"):
            self.require(option, are_counts(getattr(self, option), 5), "five whole numbers from 1 to a million")
        self.require("paddings", are_counts(self.paddings, 5, least=0), "five whole numbers from 0 to a million")
        self.require("dense", are_counts(self.dense, 2), "two whole numbers from 1 to a million")
        pools_exist = are_counts(self.pools) and set(self.pools) <= {1, 2, 3, 4, 5}
        self.require("pools", pools_exist, "a list of convolutions, numbered 1 to 5")
        for option in ("pool_kernel", "pool_stride"):
            self.require(option, are_counts((getattr(self, option),)), "a whole number from 1 to a million")
        self.require("normalise", isinstance(self.normalise, bool), "true or false")
        self.require_dropout()
        known = self.initialisation in INITIALISATIONS
        self.require("initialisation", known, "one of " + ", ".join(INITIALISATIONS))

    def normalised(self, number: int) -> bool:
        """Whether local response normalisation follows the pooling of convolution `number`."""
        return self.normalise and number in (1, 2) and number in self.pools

    def shapes(self, input_shape: Shape, classes: int) -> dict[str, Shape]:
        """Shape of every layer's output for one image, in the order of the computation.

        Raises:
            StudyError: images that are not (channels, height, width), or so small that a layer has nothing
                left.
        """
        if len(input_shape) != 3:
            raise StudyError(
                f"architecture caffenet needs images of shape (channels, height, width), not "
                f"{tuple(input_shape)}: choose mlp."
            )
        shapes: dict[str, Shape] = {}
        size = tuple(input_shape[1:])
        convolutions = zip(self.channels, self.kernels, self.strides, self.paddings, strict=True)
        for number, (channels, kernel, stride, padding) in enumerate(convolutions, start=1):
            remedy = f"lower kernels[{number - 1}], strides or pools, or raise paddings[{number - 1}]"
            size = reduced(f"conv{number}", size, kernel, stride, padding, remedy)
            shapes[f"conv{number}"] = (channels, *size)
            if number in self.pools:
                remedy = f"leave {number} out of pools, or lower pool_kernel or strides"
                size = reduced(f"pool{number}", size, self.pool_kernel, self.pool_stride, None, remedy)
                shapes[f"pool{number}"] = (channels, *size)
            if self.normalised(number):
                shapes[f"norm{number}"] = (channels, *size)
        return shapes | {"fc6": (self.dense[0],), "fc7": (self.dense[1],), "fc8": (classes,)}


@dataclass(frozen=True)
class MLP(Options):
    """Fully connected layers fc1, fc2, ... of the given `widths`, with activation and dropout.

    The linear output layer carries the next number. Weights are normal (variance gain^2 / fan-in), biases 0.
    """

    name: ClassVar[str] = "mlp"

    widths: tuple[int, ...] = (128, 128)
    activation: str = "relu"
    dropout: float = 0.0

    def check(self) -> None:
        self.require("widths", are_counts(self.widths), "a list of whole numbers from 1 to a million")
        known = self.activation in ACTIVATIONS
        self.require("activation", known, "one of " + ", ".join(ACTIVATIONS))
        self.require_dropout()

    def shapes(self, input_shape: Shape, classes: int) -> dict[str, Shape]:
        """Shape of every layer's output for one image, in the order of the computation."""
        return {f"fc{number}": (width,) for number, width in enumerate((*self.widths, classes), start=1)}


@dataclass(frozen=True)
class ResNet18(Options):
    """torchvision's resnet18 (He et al. 2016)."""

    name: ClassVar[str] = "resnet18"

    zero_init_residual: bool = False

    def check(self) -> None:
        self.require("zero_init_residual", isinstance(self.zero_init_residual, bool), "true or false")


@dataclass(frozen=True)
class VGG11(Options):
    """torchvision's vgg11 (Simonyan and Zisserman 2015)."""

    name: ClassVar[str] = "vgg11"

    dropout: float = 0.5

    def check(self) -> None:
        self.require_dropout()


@dataclass(frozen=True)
class ViTB16(Options):
    """torchvision's vit_b_16 (Dosovitskiy et al. 2021) for images of any size; its options scale it down."""

    name: ClassVar[str] = "vit_b_16"

    patch_size: int = 16
    num_layers: int = 12
    num_heads: int = 12
    hidden_dim: int = 768
    mlp_dim: int = 3072
    dropout: float = 0.0
    attention_dropout: float = 0.0

    def check(self) -> None:
        for option in ("patch_size", "num_layers", "num_heads", "hidden_dim", "mlp_dim"):
            self.require(option, are_counts((getattr(self, option),)), "a whole number from 1 to a million")
        divides = self.hidden_dim % self.num_heads == 0
        self.require("hidden_dim", divides, f"a multiple of num_heads ({self.num_heads})")
        self.require_dropout()
        self.require_dropout("attention_dropout")


ARCHITECTURES: dict[str, type[Options]] = {
    options.name: options for options in (CaffeNet, MLP, ResNet18, VGG11, ViTB16)
}


def is_users(name: str) -> bool:
    """Whether the name, `package.module:function`, points to a function of the user's."""
    module, colon, function = name.partition(":")
    return bool(module and colon and function) and not is_torchvision(name)


def is_torchvision(name: str) -> bool:
    """Whether the name, `torchvision:NAME`, asks for a classifier of torchvision under its name there."""
    return name.startswith(TORCHVISION)


def settings(name: str, options: dict) -> Options:
    """The checked options of a built-in architecture, defaults filled in.

    Raises:
        StudyError: an unknown architecture or option (the nearest name is told), or an impossible value.
    """
    if name not in ARCHITECTURES:
        raise StudyError(
            f"there is no architecture {name!r}{did_you_mean(name, ARCHITECTURES)}: choose one of "
            f"{', '.join(ARCHITECTURES)}, name a classifier of torchvision as torchvision:NAME (torchvision:resnet50), "
            "or your own function as package.module:function."
        )
    known = [field.name for field in fields(ARCHITECTURES[name])]
    for option in options:
        if option not in known:
            raise StudyError(
                f"architecture {name} has no option {option!r}{did_you_mean(option, known)}: "
                f"its options are {', '.join(known)}."
            )
    return ARCHITECTURES[name](**options)


def trains_together(name: str) -> bool:
    """Whether `ensembles.train_together` takes the networks of an architecture, as far as its name tells."""
    return name in (CaffeNet.name, MLP.name)


def networks_together(name: str, options: dict, input_shape: Shape, classes: int, batch_size: int, wanted: int) -> int:
    """How many of `wanted` networks to train at once where that is faster; 1 means each alone.

    Training together saves what a step costs beside its arithmetic, so that it pays for small networks and batches
    only; nor does it help if the maps of several networks no longer fit the processor's cache. The rule looks at the
    numbers that the largest layer of one network gives for a batch, and stays below those that gained little or lost.
    Measured on one thread, user time by `training.train` over user time together (`benchmarks/training.py` compares
    with a plain loop, which does less):

        network, images, batch             largest layer  networks  times as fast
        mlp, 1 x 8 x 8, 32                         4,096     4..64       2.2..4.8
        caffenet, 1 x 8 x 8, 8                    16,384         8            1.9
        caffenet (default study), 1 x 8 x 8, 32   65,536     4..64       1.1..1.6
        mlp, 3 x 32 x 32, 32                      98,304         8            1.4
        caffenet, 1 x 8 x 8, 128                 262,144         8            1.2
        caffenet, 1 x 16 x 16, 32                262,144         8            1.1
        caffenet, 3 x 32 x 32, 32              1,048,576     2..64       0.9..1.0

    Only processors have been measured.

    Args:
        input_shape: (channels, height, width).
        batch_size: images per step.
    """
    if not trains_together(name):
        return 1
    shapes = settings(name, options).shapes(input_shape, classes)
    largest = max(map(prod, (input_shape, *shapes.values())))
    return min(wanted, MOST_NETWORKS) if batch_size * largest <= MOST_VALUES else 1


def complete_options(name: str, options: dict) -> dict:
    """The options with defaults filled in, as a configuration file would show them; others' are left as they are.

    Others are the user's own functions and the classifiers of torchvision.

    Raises:
        StudyError: as `settings`.
    """
    if is_users(name) or is_torchvision(name):
        return options
    chosen = asdict(settings(name, options))
    return {option: list(value) if isinstance(value, tuple) else value for option, value in chosen.items()}


def users_function(name: str) -> Callable:
    """The user's function that `package.module:function` names; the module is imported.

    Raises:
        StudyError: the module cannot be imported or has no such function.
    """
    module_name, _, function_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module does wrong
        raise StudyError(
            f"architecture {name}: the module {module_name} cannot be imported ({first_line(error)}): "
            "install it or put its folder on PYTHONPATH."
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        near = did_you_mean(function_name, vars(module))
        raise StudyError(f"architecture {name}: module {module_name} has no function {function_name!r}{near}.")
    return function


def reduced(
    layer: str, size: tuple[int, int], kernel: int, stride: int, padding: int | None, remedy: str
) -> tuple[int, int]:
    """Height and width after a convolution or, if `padding` is None, after a pooling that rounds up.

    Raises:
        StudyError: nothing is left; the message names the layer, the size and the remedy.
    """
    lengths = []
    for length in size:
        if padding is None:
            after = -((kernel - length) // stride) + 1
            # A last window that would begin outside the map is dropped.
            lengths.append(after - 1 if (after - 1) * stride >= length else after)
        else:
            lengths.append((length + 2 * padding - kernel) // stride + 1)
    if min(lengths) < 1:
        raise StudyError(
            f"nothing is left after {layer} of architecture caffenet: its kernel {kernel} is too large for a "
            f"map of {size[0]} x {size[1]}; {remedy}, or use larger images."
        )
    return lengths[0], lengths[1]


def are_counts(values: object, length: int | None = None, least: int = 1) -> bool:
    """Whether `values` are whole numbers from `least` to a million, as many as `length` says if it is given."""
    return (
        isinstance(values, tuple)
        and (length is None or len(values) == length)
        and all(isinstance(value, int) and not isinstance(value, bool) and least <= value <= MOST for value in values)
    )


def input_size(input_shape: Shape) -> int:
    """Number of values in one image."""
    return prod(input_shape)


def require_choice(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise StudyError unless `value` is one of the allowed ones."""
    if value not in allowed:
        raise StudyError(f"{option} must be one of {', '.join(allowed)}, not {value!r}.")


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its kind if it has none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
