"""The networks whose dynamics are compared: architecture, initial gain and learning rate of each.

van Rossem & Saxe 2024, settings of the authors' public code. Learning rates are those listed there; experiments take a
fraction of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from convergent.errors import StudyError, did_you_mean


@dataclass(frozen=True)
class Setting:
    """One kind of network.

    Weights are drawn from a normal distribution with deviation gain * sqrt(2 / (fan in + fan out)), biases begin at 0.
    """

    name: str
    gain: float
    rate: float  # learning rate
    activation: str = "leaky_relu"  # after every layer but the last; its slope below zero is 0.01
    model: str = "perceptron"  # | skip | convolutional | dropout
    width: int = 500
    hidden: int = 20  # hidden layers
    layer: int = 10  # the one whose representation is followed; index among the hidden activations, 0 first
    optimiser: str = "sgd"  # | adam


SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        setting.name: setting
        for setting in (
            Setting("default", 1.0, 0.01),
            Setting("shallow", 0.35, 0.02, hidden=2, layer=1),
            Setting("narrow", 1.05, 0.01, width=50),
            Setting("linear", 0.85, 0.0025, "none"),
            Setting("elu", 0.95, 0.0009, "elu"),
            Setting("tanh", 0.85, 0.0025, "tanh"),
            Setting("relu", 1.0, 0.01, "relu"),
            Setting("swish", 1.7, 0.005, "silu"),
            # From the third hidden layer on, the activation two layers before is added.
            Setting("skip", 0.1, 0.02, model="skip"),
            # A dense layer, then eleven convolutions, each an activation; the followed one is the fifth convolution's.
            Setting("cnn", 0.95, 0.004, model="convolutional", hidden=12, layer=5),
            # The authors' index 5 counts the outputs of dropout too: it is the third dense layer's activation.
            Setting("dropout", 1.0, 0.01, model="dropout", hidden=10, layer=2),
            Setting("two_layer", 0.1, 0.01, "none", hidden=1, layer=0),
            Setting("gain_0.9", 0.9, 0.03),
            Setting("gain_1.1", 1.1, 0.005),
            Setting("gain_1.2", 1.2, 0.0025),
            Setting("gain_1.3", 1.3, 0.0015),
            Setting("gain_1.4", 1.4, 0.0005),
            Setting("gain_1.6", 1.6, 3e-6),
            Setting("adam", 1.0, 1e-6, optimiser="adam"),
        )
    }
)
ARCHITECTURES = (
    "default",
    "shallow",
    "narrow",
    "linear",
    "elu",
    "tanh",
    "relu",
    "swish",
    "skip",
    "cnn",
    "dropout",
)  # the eleven that the paper's first figure compares
GAINS = ("gain_0.9", "default", "gain_1.1", "gain_1.2", "gain_1.3", "gain_1.4", "gain_1.6")  # from rich to lazy


def setting(name: str) -> Setting:
    """The setting of this name.

    Raises:
        StudyError: there is none.

    Examples:
        >>> setting("narrow").width
        50
    """
    if name not in SETTINGS:
        near = did_you_mean(name, SETTINGS)
        raise StudyError(f"there is no setting {name!r} of the dynamics{near}: choose of {', '.join(SETTINGS)}.")
    return SETTINGS[name]
