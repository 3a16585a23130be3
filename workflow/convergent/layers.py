"""Layers of any architecture: which there are, and the shape of what they give for one image.

Caffenets and perceptrons are known by arithmetic, without torch; other networks are built to be asked.
"""

from collections.abc import Iterable

from convergent.architectures import MLP, CaffeNet, Shape, is_users, settings
from convergent.errors import StudyError, abbreviated, did_you_mean


def layer_shapes(name: str, options: dict, input_shape: Shape, classes: int) -> dict[str, Shape | None]:
    """Layers that can be recorded, in the order of computation, with the shape of their output for one image.

    For caffenet and mlp this is arithmetic. Other networks are built without memory for their weights where
    that works; every module path is a layer, and None stands for a module that is not called or returns no
    tensor.

    Raises:
        StudyError: an unknown name or option, or images that the architecture cannot take.
    """
    if not is_users(name):
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
