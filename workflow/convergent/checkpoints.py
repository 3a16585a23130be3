"""Networks trained elsewhere: checkpoint files, and the weights that torchvision publishes.

Of every file only the numbers are read: a pickle that needs code to be loaded is refused.
"""

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from http.client import HTTPException
from pathlib import Path

import safetensors
import torch
from torch import Tensor, nn

from convergent.architectures import TORCHVISION, first_line
from convergent.datasets.downloads import impatient
from convergent.errors import StudyError, did_you_mean
from convergent.files import file_digest, written_whole
from convergent.models import classifier_named, is_pickle, read_safetensors, require_values, zoo

NESTED = ("state_dict", "model_state_dict", "model", "network")  # where training programs put the weights
PREFIXES = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before every name
REMEDY = "write the numbers of the network alone, with torch.save(network.state_dict(), path)"
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # parts of googlenet and inception_v3 that answer only in training
OLD_DENSENET = re.compile(r"(\bdenselayer\d+\.(?:norm|conv))\.([12]\.)")  # torchvision publishes norm.1 for norm1
SHOWN = 3  # names told of many


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The weights in a `.safetensors` file, or in whatever torch.save wrote of a state dict.

    The state dict may lie under one of the keys `NESTED`; entries beside the tensors are left out, and so is one of
    `PREFIXES` that all names share. The format is told by the content, not by the name.

    Raises:
        StudyError: the file is absent, empty, damaged, holds more than numbers, or no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise StudyError(f"the checkpoint {path} does not exist: give the path of a .safetensors or .pt file.")
    if path.stat().st_size == 0:
        raise StudyError(f"the checkpoint {path} is empty: {REMEDY}.")
    if is_pickle(path):
        content = tensors_of(_unpickled(path))
    else:
        try:
            _, content = read_safetensors(path)
        except (OSError, safetensors.SafetensorError) as error:
            raise damaged(path, error) from error
    if not content:
        raise StudyError(f"the checkpoint {path} holds no tensors under names: {REMEDY}.")
    for name, value in content.items():
        if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.device.type != "cpu":
            raise StudyError(
                f"the checkpoint {path} holds {name!r} in a form that has no plain numbers ({value.dtype}, "
                f"{value.layout}, {value.device}): write dense tensors of real numbers."
            )
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in content):
            content = {name.removeprefix(prefix): value for name, value in content.items()}
    return content


def load_checkpoint(path: str | Path, network: nn.Module) -> None:
    """Put the weights of a checkpoint into `network`.

    Whole numbers that count something, such as `num_batches_tracked`, may be absent. The auxiliary classifiers that
    googlenet and inception_v3 are published with are left out if the network was built without them.

    Raises:
        StudyError: as `read_checkpoint`, or the weights do not fit the network or are not finite. The network is then
            left as it was.
    """
    weights, expected = read_checkpoint(path), network.state_dict()
    weights = {name if name in expected else OLD_DENSENET.sub(r"\1\2", name): value for name, value in weights.items()}
    weights = {
        name: value
        for name, value in weights.items()
        if name in expected or not (name.startswith(AUXILIARY) and getattr(network, name.partition(".")[0], 0) is None)
    }
    missing = [name for name, value in expected.items() if name not in weights and value.is_floating_point()]
    unexpected = [name for name in weights if name not in expected]
    if missing or unexpected:
        faults = []
        if missing:
            faults.append(f"lacks {len(missing)} of the network's {len(expected)} tensors ({some(missing, weights)})")
        if unexpected:
            tensors = "tensor" if len(unexpected) == 1 else "tensors"
            faults.append(f"has {len(unexpected)} {tensors} unknown to the network ({some(unexpected, expected)})")
        raise StudyError(
            f"the checkpoint {path} {' and '.join(faults)}: choose the architecture, its options and the number of "
            "classes that it was written from."
        )
    require_values(
        f"the checkpoint {path}",
        weights,
        expected,
        "choose the architecture, its options and the number of classes that it was written from",
        "use another checkpoint of this network",
    )
    # What is absent keeps its value; the versions of modules, which some of torchvision's networks insist on, stay too.
    expected.update(weights)
    network.load_state_dict(expected)


def some(names: list[str], others: Iterable[str]) -> str:
    """The first names, each with the nearest of the others."""
    others = [name for name in others if name not in names]
    shown = ", ".join(f"{name!r}{did_you_mean(name, others)}" for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown}, ..."


def tensors_of(content: object) -> dict[str, Tensor]:
    """The tensors by name of what torch.save wrote: under one of the keys `NESTED`, or at the top."""
    if not isinstance(content, Mapping):
        return {}
    for key in NESTED:
        if found := tensors_of(content.get(key)):
            return found
    return {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}


def _unpickled(path: Path) -> object:
    """What torch.save wrote; torch's own reader builds nothing but tensors, containers, numbers and text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
        # torch does not compare the checksums that it wrote.
        spoiled = zipfile.ZipFile(path).testzip() if zipfile.is_zipfile(path) else None
    except Exception as error:  # whatever a damaged file leads to
        if isinstance(error, pickle.UnpicklingError) or "TorchScript" in str(error):
            raise StudyError(
                f"the checkpoint {path} holds more than numbers, and would run code when it is loaded: {REMEDY}."
            ) from error
        raise damaged(path, error) from error
    if spoiled:
        raise damaged(path, ValueError(f"the checksum of {spoiled} is wrong"))
    return content


def damaged(path: Path, error: Exception) -> StudyError:
    """The sentence for a checkpoint that cannot be read."""
    reason = first_line(error).rstrip(".")
    return StudyError(
        f"the checkpoint {path} is damaged, or neither a .safetensors file nor one that torch.save wrote ({reason}): "
        "copy it again from where it came."
    )


def weights_named(model: str, weights: str):
    """torchvision's entry for published weights, such as `IMAGENET1K_V1` or `DEFAULT`, of one of its classifiers.

    `model` is the name there, with or without `torchvision:` before it.

    Raises:
        StudyError: torchvision has no such classifier or no such weights of it.
    """
    model = classifier_named(model)
    entries = zoo().get_model_weights(model).__members__
    if weights not in entries:
        raise StudyError(
            f"torchvision publishes no weights {weights!r} of {model}{did_you_mean(weights, entries)}: "
            f"name one of {', '.join(entries)}."
        )
    return entries[weights]


def preprocessing_of(model: str, weights: str) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel, 0..1, of the images that published weights expect.

    For googlenet and inception_v3 torchvision names those of ImageNet and, with published weights, undoes them inside
    the network (`transform_input`); networks built here have no such step, so that they get what comes out of it.

    Raises:
        StudyError: as `weights_named`.
    """
    transforms = weights_named(model, weights).transforms()
    if model.removeprefix(TORCHVISION) in ("googlenet", "inception_v3"):
        return [0.5] * 3, [0.5] * 3
    return [float(value) for value in transforms.mean], [float(value) for value in transforms.std]


def download_weights(model: str, weights: str, folder: str | Path) -> Path:
    """The file of published weights in `folder`, downloaded unless it is there.

    Its name ends in the beginning of its SHA-256 digest, by which it is checked in either case.

    Raises:
        StudyError: as `weights_named`; the file in `folder` is not the published one (it is left there), or it cannot
            be had: there is no network, or what came is truncated or altered (nothing of it is kept).
    """
    url = weights_named(model, weights).url
    name = url.rpartition("/")[2]
    path, beginning = Path(folder) / name, re.fullmatch(r".*-([0-9a-f]{8,})\.\w+", name)[1]
    title = f"the weights {weights} of {model.removeprefix(TORCHVISION)}"
    if path.exists():
        if not (found := file_digest(path)).startswith(beginning):
            raise StudyError(
                f"{path} is not the published file of {title} (its SHA-256 digest begins with "
                f"{found[: len(beginning)]}, expected {beginning}): delete it and run the study again, or replace it "
                f"by {url}."
            )
        return path
    try:
        with written_whole(path) as partial, impatient():
            torch.hub.download_url_to_file(url, str(partial), hash_prefix=beginning, progress=False)
    except RuntimeError as error:
        raise _unavailable(title, url, "the file that came is truncated or altered, and was deleted", path) from error
    except (OSError, HTTPException, ValueError) as error:
        raise _unavailable(title, url, str(error) or type(error).__name__, path) from error
    return path


def _unavailable(title: str, url: str, reason: str, path: Path) -> StudyError:
    return StudyError(
        f"{title} could not be downloaded ({url}: {reason}): run the study again when the network works, or put "
        f"{path.name} into {path.parent}."
    )
