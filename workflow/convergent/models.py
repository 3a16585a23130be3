"""Networks in PyTorch: building them from a seed, what they are shown, and their weights on disk.

The architectures themselves (layers, sizes, sources) are described in `architectures`; weights are
`.safetensors` files, which hold numbers only: no pickle is ever loaded.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn

from convergent import architectures
from convergent.architectures import MLP, VGG11, CaffeNet, ResNet18, Shape, ViTB16, first_line
from convergent.errors import StudyError, abbreviated, did_you_mean
from convergent.files import require_key, unreadable, written_whole


def build(name: str, options: dict, input_shape: Shape, classes: int, seed: int) -> nn.Module:
    """The network with the weights that `seed` gives; the random state of the caller is left as it was.

    It maps images (n, *input_shape) to scores (n, classes).

    Raises:
        StudyError: an unknown name or option, images that the architecture cannot take, or a user's function
            that fails or returns no torch.nn.Module.
    """
    # A user's function may draw from NumPy too; only torch's generator is seeded on its behalf.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if architectures.is_users(name):
            return users_network(name, options, input_shape, classes)
        if architectures.is_torchvision(name):
            return torchvision_network(name, options, input_shape, classes)
        chosen = architectures.settings(name, options)
        return BUILDERS[type(chosen)](chosen, tuple(input_shape), classes)


def caffenet(options: CaffeNet, input_shape: Shape, classes: int) -> nn.Module:
    """CaffeNet; a hook on conv1..conv5, fc6 and fc7 sees the values after the ReLU and before dropout."""
    shapes = options.shapes(input_shape, classes)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    before = input_shape[0]
    convolutions = zip(options.channels, options.kernels, options.strides, options.paddings, strict=True)
    for number, (channels, kernel, stride, padding) in enumerate(convolutions, start=1):
        layers[f"conv{number}"] = nn.Sequential(nn.Conv2d(before, channels, kernel, stride, padding), nn.ReLU())
        if number in options.pools:
            layers[f"pool{number}"] = nn.MaxPool2d(options.pool_kernel, options.pool_stride, ceil_mode=True)
        if options.normalised(number):
            # Like Caffe, PyTorch divides alpha by the number of channels in the window.
            layers[f"norm{number}"] = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        before = channels
    layers["flatten"] = nn.Flatten()
    flat = architectures.input_size(shapes[list(shapes)[-4]])  # the layer before fc6
    layers["fc6"] = nn.Sequential(nn.Linear(flat, options.dense[0]), nn.ReLU())
    layers["drop6"] = nn.Dropout(options.dropout)
    layers["fc7"] = nn.Sequential(nn.Linear(*options.dense), nn.ReLU())
    layers["drop7"] = nn.Dropout(options.dropout)
    layers["fc8"] = nn.Linear(options.dense[1], classes)

    network = nn.Sequential(layers)
    if options.initialisation == "he":
        initialise(network, gain=sqrt(2), output=network.fc8)
    else:
        for layer, deviation, bias in CAFFE_INITIALISATION:
            block = network.get_submodule(layer)
            linear = block[0] if isinstance(block, nn.Sequential) else block
            nn.init.normal_(linear.weight, std=deviation)
            nn.init.constant_(linear.bias, bias)
    return network


# Standard deviation of the weights and value of the biases, as published with CaffeNet.
CAFFE_INITIALISATION = (
    ("conv1", 0.01, 0.0),
    ("conv2", 0.01, 1.0),
    ("conv3", 0.01, 0.0),
    ("conv4", 0.01, 1.0),
    ("conv5", 0.01, 1.0),
    ("fc6", 0.005, 1.0),
    ("fc7", 0.005, 1.0),
    ("fc8", 0.01, 0.0),
)


def mlp(options: MLP, input_shape: Shape, classes: int) -> nn.Module:
    """Fully connected layers; a hook on fc1, fc2, ... sees values after the activation."""
    activation, gain = {
        "relu": (nn.ReLU, sqrt(2)),
        "leaky_relu": (nn.LeakyReLU, sqrt(2)),
        "gelu": (nn.GELU, sqrt(2)),
        "tanh": (nn.Tanh, 5 / 3),
        "linear": (nn.Identity, 1.0),
    }[options.activation]
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    before = architectures.input_size(input_shape)
    for number, width in enumerate(options.widths, start=1):
        layers[f"fc{number}"] = nn.Sequential(nn.Linear(before, width), activation())
        layers[f"drop{number}"] = nn.Dropout(options.dropout)
        before = width
    output = layers[f"fc{len(options.widths) + 1}"] = nn.Linear(before, classes)
    network = nn.Sequential(layers)
    initialise(network, gain, output)
    return network


def initialise(network: nn.Module, gain: float, output: nn.Module) -> None:
    """Draw normal weights of deviation gain / sqrt(fan-in) (He et al. 2015); gain 1 for the output layer."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, std=(1.0 if module is output else gain) / sqrt(fan_in))
            nn.init.zeros_(module.bias)


def resnet18(options: ResNet18, input_shape: Shape, classes: int) -> nn.Module:
    """torchvision's resnet18, its layers named as there."""
    network = zoo().resnet18(weights=None, num_classes=classes, zero_init_residual=options.zero_init_residual)
    network.conv1 = for_channels(network.conv1, input_shape, options.name)
    return network


def vgg11(options: VGG11, input_shape: Shape, classes: int) -> nn.Module:
    """torchvision's vgg11, its layers named as there."""
    network = zoo().vgg11(weights=None, num_classes=classes, dropout=options.dropout)
    network.features[0] = for_channels(network.features[0], input_shape, options.name)
    return network


def vit_b_16(options: ViTB16, input_shape: Shape, classes: int) -> nn.Module:
    """torchvision's vit_b_16, its layers named as there; position 0 of token outputs is the class token."""
    if len(input_shape) != 3 or input_shape[1] != input_shape[2] or input_shape[1] % options.patch_size:
        raise StudyError(
            f"architecture vit_b_16 cannot take images of shape {tuple(input_shape)}: they must be square, "
            f"with a side that is a multiple of its option patch_size ({options.patch_size})."
        )
    network = zoo().VisionTransformer(
        image_size=input_shape[1],
        patch_size=options.patch_size,
        num_layers=options.num_layers,
        num_heads=options.num_heads,
        hidden_dim=options.hidden_dim,
        mlp_dim=options.mlp_dim,
        dropout=options.dropout,
        attention_dropout=options.attention_dropout,
        num_classes=classes,
    )
    network.conv_proj = for_channels(network.conv_proj, input_shape, options.name)
    return network


def zoo():
    """torchvision's classifiers; importing torchvision takes a second, so it waits until one is wanted."""
    from convergent.torchvision_import import torchvision

    return torchvision.models


def for_channels(convolution: nn.Conv2d, input_shape: Shape, name: str) -> nn.Conv2d:
    """The first convolution of a colour network; a grey image has the effect of three equal channels."""
    if len(input_shape) == 3 and input_shape[0] == 3:
        return convolution
    if len(input_shape) != 3 or input_shape[0] != 1:
        raise StudyError(
            f"architecture {name} takes images of 1 or 3 channels, not of shape {tuple(input_shape)}: "
            "choose caffenet, mlp or a function of your own."
        )
    adapted = nn.Conv2d(
        1,
        convolution.out_channels,
        convolution.kernel_size,
        convolution.stride,
        convolution.padding,
        bias=convolution.bias is not None,
    )
    with torch.no_grad():
        adapted.weight.copy_(convolution.weight.sum(dim=1, keepdim=True))
        if convolution.bias is not None:
            adapted.bias.copy_(convolution.bias)
    return adapted


BUILDERS = {CaffeNet: caffenet, MLP: mlp, ResNet18: resnet18, VGG11: vgg11, ViTB16: vit_b_16}


def users_network(name: str, options: dict, input_shape: Shape, classes: int) -> nn.Module:
    """What the user's function gives for `function(input_shape, classes, **options)`, if it is a network."""
    function = architectures.users_function(name)
    try:
        network = function(tuple(input_shape), classes, **options)
    except StudyError:
        raise
    except Exception as error:  # whatever the user's function does wrong
        raise StudyError(
            f"architecture {name}: the function failed with {type(error).__name__} ({first_line(error)}): "
            "it is called as function(input_shape, classes, **options)."
        ) from error
    if not isinstance(network, nn.Module):
        raise StudyError(f"architecture {name} returned {type(network).__name__}: it must return a torch.nn.Module.")
    return network


def torchvision_network(name: str, options: dict, input_shape: Shape, classes: int) -> nn.Module:
    """The classifier of torchvision called `torchvision:NAME`, its layers named as there.

    `options` are the keyword arguments of torchvision's own function. The auxiliary classifiers of googlenet and
    inception_v3, which answer only in training, are left out unless `aux_logits` is given. For grey images the first
    convolution is adapted. Blocks of swin transformers give (height, width, channels), hence are recorded with rows of
    the map as units; only from their module permute onwards are channels what they seem.

    Raises:
        StudyError: an unknown name or option, or images that are neither grey nor of three channels.
    """
    models, model = zoo(), classifier_named(name)
    if model in ("googlenet", "inception_v3"):
        # Their initial weights are drawn as always; not to say so is deprecated.
        options = {"aux_logits": False, "init_weights": True} | options
    try:
        network = models.get_model(model, weights=None, num_classes=classes, **options)
    except Exception as error:  # whatever torchvision makes of such options
        raise StudyError(
            f"architecture {name} cannot be built with the options {options} ({type(error).__name__}: "
            f"{first_line(error)}): they must be arguments of torchvision.models.{model}, other than weights and "
            "num_classes."
        ) from error
    path = next((path for path, module in network.named_modules() if isinstance(module, nn.Conv2d)), None)
    if path is None:
        raise StudyError(
            f"architecture {name} has no convolution that could be made to fit the images: choose another."
        )
    network.set_submodule(path, for_channels(network.get_submodule(path), input_shape, name))
    return network


def classifier_named(name: str) -> str:
    """The name in torchvision of a classifier that is given with or without `torchvision:` before it.

    Raises:
        StudyError: torchvision has none of this name.
    """
    models = zoo()
    model, known = name.removeprefix(architectures.TORCHVISION), models.list_models(module=models)
    if model not in known:
        raise StudyError(
            f"torchvision has no classifier {model!r}{did_you_mean(model, known)}: name one of {abbreviated(known)}, "
            "as torchvision.models.list_models(module=torchvision.models) lists them."
        )
    return model


def module_shapes(name: str, options: dict, input_shape: Shape, classes: int) -> dict[str, Shape | None]:
    """Every module path of a network, with the shape of its output for one image.

    The paths stand in the order in which a forward pass first calls the modules: a block before what is inside it,
    or, if it is not called itself, before the first thing inside it that is. What is never called follows the module
    that the network lists before it. None stands for a module that is not called, is called several times in a pass,
    or gives no tensor whose first axis is the one image.

    Raises:
        StudyError: the network cannot take such images, or does not give one score per class.
    """
    if architectures.is_users(name):
        architectures.users_function(name)  # its module may hold tensors of its own, which must be real ones
    try:
        # Without memory for the weights it takes milliseconds; a user's function may not bear that.
        with torch.device("meta"):
            return _module_shapes(name, options, input_shape, classes)
    except Exception:
        return _module_shapes(name, options, input_shape, classes)


def _module_shapes(name: str, options: dict, input_shape: Shape, classes: int) -> dict[str, Shape | None]:
    network = build(name, options, input_shape, classes, seed=0).eval()
    shapes: dict[str, Shape | None] = {path: None for path, _ in network.named_modules() if path}
    called: set[str] = set()
    begun: dict[str, int] = {}  # in which order modules are first called

    def begin(path: str):
        def hook(module: nn.Module, inputs: tuple) -> None:
            begun.setdefault(path, len(begun))

        return hook

    def note(path: str):
        def hook(module: nn.Module, inputs: tuple, output: object) -> None:
            output = output[0] if isinstance(output, tuple | list) and output else output
            once = path not in called and isinstance(output, Tensor) and output.ndim > 0 and len(output) == 1
            shapes[path] = tuple(output.shape[1:]) if once else None
            called.add(path)

        return hook

    for path, module in network.named_modules():
        if path:
            module.register_forward_pre_hook(begin(path))
            module.register_forward_hook(note(path))
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            scores = network(torch.zeros(1, *input_shape))
    except Exception as error:  # whatever a network does with images that it is not made for
        raise StudyError(
            f"architecture {name} cannot take images of shape {tuple(input_shape)} ({first_line(error)}): "
            "use larger images or another architecture."
        ) from error
    if not isinstance(scores, Tensor) or scores.shape != (1, classes):
        found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise StudyError(f"architecture {name} gives {found} for one image: it must give scores (1, {classes}).")
    return {path: shapes[path] for path in in_order_of_calls(list(shapes), begun)}


def in_order_of_calls(paths: list[str], begun: dict[str, int]) -> list[str]:
    """The module paths of a network in the order described in `module_shapes`; `begun` numbers those called."""
    first: dict[str, int] = {}
    for path, number in begun.items():
        parts = path.split(".")
        for length in range(1, len(parts) + 1):
            first.setdefault(".".join(parts[:length]), number)  # the numbers ascend
    before = -1
    for path in paths:
        before = first.setdefault(path, before)
    return sorted(paths, key=first.__getitem__)  # equal ones stay as they are: a block before its inside


def standardised(
    images: np.ndarray | Tensor,
    data,
    device: torch.device | str = "cpu",
    standardisation: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Tensor:
    """Images as a network sees them: float32, the train part's mean subtracted and divided by its deviation.

    `images` (n, channels, height, width) are uint8, 0..255, or floating point on the scale of `data.mean` and
    `data.std` (per channel, 0..1). A channel that is constant in the train part is only centred.
    `standardisation`, a mean and a deviation for each channel on the same scale, takes the place of the data's own: a
    network trained elsewhere expects those of its training.
    """
    images = torch.as_tensor(images).to(device, non_blocking=True)
    if images.dtype == torch.uint8:
        images = images.to(torch.float32).div_(255)
    mean, deviation = (
        torch.as_tensor(np.asarray(values), dtype=torch.float32, device=device).reshape(-1, 1, 1)
        for values in (standardisation or (data.mean, data.std))
    )
    return (images.to(torch.float32) - mean) / torch.where(deviation > 0, deviation, 1.0)


def save_weights(path: str | Path, network: nn.Module, metadata: dict[str, str]) -> None:
    """Write parameters and buffers, with `metadata` (its `key` tells what made them), as `.safetensors`."""
    # Cloned, because the format refuses tensors that share memory.
    weights = {name: value.detach().cpu().clone().contiguous() for name, value in network.state_dict().items()}
    content = save(weights, metadata=metadata)
    # The file: length of the header (8 bytes), header (JSON), values. The order of the metadata is left to
    # chance; sorted, equal networks give equal files.
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # values begin at a multiple of 8
    with written_whole(path) as partial, open(partial, "wb") as handle:
        handle.write(len(text).to_bytes(8, "little") + text)
        handle.write(memoryview(content)[end:])


def load_weights(path: str | Path, network: nn.Module, key: str | None = None) -> dict[str, str]:
    """Put the weights of a `.safetensors` file into `network`; returns the file's metadata.

    Raises:
        StudyError: the file is absent, damaged, a pickle or from another run, or its weights do not fit the
            network or are not finite. The network is then left as it was.
    """
    path = Path(path)
    if not path.is_file():
        raise unreadable(path, FileNotFoundError())
    if is_pickle(path):
        raise StudyError(
            f"{path} is a pickle, which can run code when it is loaded: convert it to safetensors, with "
            "torch.load(..., weights_only=True) and safetensors.torch.save_file."
        )
    try:
        metadata, weights = read_safetensors(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise unreadable(path, error) from error
    require_key(path, metadata.get("key"), key)

    expected = network.state_dict()
    for name in expected.keys() ^ weights.keys():
        lacking = "has no" if name in expected else "has an unexpected"
        raise StudyError(f"{path} {lacking} tensor {name!r}: it belongs to another architecture or other options.")
    if_other = "it belongs to another architecture or other options"
    require_values(path, weights, expected, if_other, "train this network again")
    expected.update(weights)  # it carries versions, which some of torchvision's networks insist on
    network.load_state_dict(expected)
    return metadata


def is_pickle(path: str | Path) -> bool:
    """Whether a file is a pickle or an archive of torch.save's; a `.safetensors` file has a { at its ninth byte."""
    with open(path, "rb") as handle:
        start = handle.read(9)
    return start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[8:] != b"{")


def read_safetensors(path: str | Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a `.safetensors` file.

    Raises:
        OSError, safetensors.SafetensorError: the file is absent or damaged.
    """
    with safetensors.safe_open(path, framework="pt") as archive:
        metadata = dict(archive.metadata() or {})
        names = list(archive.keys())
        return metadata, {name: archive.get_tensor(name) for name in names}


def require_values(
    path: str | Path, weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], if_other: str, if_not_finite: str
) -> None:
    """Raise StudyError unless every tensor has the shape of the network's and is finite in its precision.

    `if_other` and `if_not_finite` end the sentence: what to do.
    """
    for name, value in weights.items():
        if value.shape != expected[name].shape:
            raise StudyError(
                f"{path} has {name!r} of shape {tuple(value.shape)} where the network has "
                f"{tuple(expected[name].shape)}: {if_other}."
            )
        if not torch.isfinite(value.to(expected[name].dtype)).all():
            raise StudyError(f"{path} has NaN or infinite values in {name!r}: {if_not_finite}.")
