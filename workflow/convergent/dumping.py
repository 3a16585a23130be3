"""Recording what the units of a network do: forward hooks, and activations streamed to disk batch by batch.

Source: Li et al. 2016, section 2: units are channels or neurons, samples are positions of images; the values
are those that leave a layer. `activations` says which sample each row is and reads the files.
"""

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from convergent.activations import DTYPES, POSITIONS, RECORD, SAMPLES, choose_positions, samples_digest
from convergent.architectures import require_choice
from convergent.errors import StudyError, abbreviated, did_you_mean
from convergent.files import save_arrays, save_json, written_whole
from convergent.models import standardised


def dump(
    network: nn.Module,
    data,
    indices: np.ndarray,
    layers: list[str],
    folder: str | Path,
    *,
    positions: str = "all",
    positions_per_image: int | None = None,
    position_seed: int = 0,
    dtype: str = "float32",
    batch_size: int = 256,
    device: str | torch.device = "cpu",
    key: str = "",
    weights_digest: str = "",
) -> None:
    """Show the images `indices` of `data` to the network and write what `layers` give to `folder`.

    One `<layer>.npy` (samples, units) per layer; `samples.npz` (`images`: the indices; `positions/<layer>`)
    and `dump.json` beside them. Rows are ordered by image, then by position, row by row over the map. Units
    are the channels of maps (n, channels, height, width), the last axis of tokens (n, tokens, units), and
    neurons (n, units). No more than one batch is held in memory. The network's mode is restored.

    Args:
        layers: module paths, as `network.named_modules()` has them.
        positions: of maps and tokens; dense layers always have one row per image.
            `all`; `sample`, `positions_per_image` of them per image, drawn without replacement from
            `position_seed`, the same for every network; `centre`, of height // 2 and width // 2; `mean` over
            all, one row per image; `flatten`, every pair of channel and position a unit, one row per image.
        dtype: of the files, `float32` or `float16`.
        key: of the run, and `weights_digest` of the network, for the record.

    Raises:
        StudyError: a layer that is unknown, not called, called more than once in a pass, or gives no such
            output; positions that do not exist; NaN or infinite values (the message names layer and unit); a
            full disk.
    """
    require_choice("positions", positions, POSITIONS)
    require_choice("dtype", dtype, DTYPES)
    folder, device, indices = Path(folder), torch.device(device), np.asarray(indices)
    layers = list(dict.fromkeys(layers))
    if len(indices) == 0:
        raise StudyError("there are no images to record: the chosen split is empty.")
    (folder / RECORD).unlink(missing_ok=True)  # from here on the folder is unfinished

    described: dict[str, dict] = {}
    chosen: dict[str, tuple[str, np.ndarray]] = {}  # what is recorded of each layer, and at which positions
    try:
        with (
            ExitStack() as files,  # closes all files, then gives them their names
            evaluation(network.to(device)),
            recorded(network, layers) as outputs,
        ):
            network(standardised(data.images(indices[:1]), data, device))  # one image tells the sizes
            handles = {}
            for layer in layers:
                output = require_output(network, layer, outputs.get(layer))
                map_shape = spatial_shape(output)
                choice = positions if map_shape else "dense"
                at = choose_positions(choice, map_shape, indices, positions_per_image, position_seed)
                rows_per_image, units = as_rows(output, choice, at[:1]).shape
                samples = len(indices) * rows_per_image
                described[layer] = {
                    "units": units,
                    "samples": samples,
                    "map": list(map_shape),
                    "samples_digest": samples_digest((data.name, data.key), indices, map_shape, at),
                }
                chosen[layer] = choice, at
                partial = files.enter_context(written_whole(folder / f"{layer}.npy"))
                handles[layer] = files.enter_context(open(partial, "wb"))
                header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (samples, units)}
                np.lib.format.write_array_header_1_0(handles[layer], header)

            for start in range(0, len(indices), batch_size):
                batch = slice(start, start + batch_size)
                outputs.clear()
                network(standardised(data.images(indices[batch]), data, device))
                for layer, (choice, at) in chosen.items():
                    values = as_rows(outputs.pop(layer), choice, at if len(at) == 1 else at[batch])
                    handles[layer].write(checked(values, layer, dtype))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise StudyError(
            f"{folder} cannot be written ({error.strerror or error}): free space on the disk, or record "
            "fewer positions or float16."
        ) from error

    positions_of = {f"positions/{layer}": at.astype(np.int32) for layer, (_, at) in chosen.items()}
    save_arrays(folder / SAMPLES, key, images=indices.astype(np.int64), **positions_of)
    record = {
        "key": key,
        "weights": weights_digest,
        "data": data.name,
        "preprocessing": {"mean": np.asarray(data.mean).tolist(), "std": np.asarray(data.std).tolist()},
        "images": len(indices),
        "positions": positions,
        "positions_per_image": positions_per_image,
        "position_seed": position_seed,
        "dtype": dtype,
        "layers": described,
    }
    save_json(folder / RECORD, record)


@contextmanager
def recorded(network: nn.Module, layers: list[str]) -> Iterator[dict[str, object]]:
    """Within the block, a dictionary that every forward pass fills with a copy of each layer's output.

    Clear it between passes. Of a tuple the first member is taken.

    Raises:
        StudyError: an unknown layer, or one that is called more than once in a pass.
    """
    modules = dict(network.named_modules())
    for layer in layers:
        if not layer or layer not in modules:
            raise StudyError(
                f"the network has no layer {layer!r}{did_you_mean(layer, modules)}: "
                f"its layers are {abbreviated(modules)}."
            )
    outputs: dict[str, object] = {}

    def keep(layer: str):
        def hook(module: nn.Module, inputs: tuple, output: object) -> None:
            if layer in outputs:
                block = layer.rpartition(".")[0]
                remedy = f"record the block around it, {block!r}" if block else "record another module"
                raise StudyError(f"layer {layer!r} is called more than once in one forward pass: {remedy}.")
            if isinstance(output, tuple | list) and output:
                output = output[0]
            # Copied now: an operation that follows may work in place.
            outputs[layer] = output.detach().clone() if isinstance(output, Tensor) else output

        return hook

    hooks = [modules[layer].register_forward_hook(keep(layer)) for layer in layers]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def evaluation(network: nn.Module) -> Iterator[None]:
    """Within the block, the network is in evaluation mode and without gradients; afterwards as it was."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def require_output(network: nn.Module, layer: str, output: object) -> Tensor:
    """The output of a layer for one image.

    Raises:
        StudyError: the layer was not called, or its output is of none of the three kinds.
    """
    if output is None:
        kind = type(network.get_submodule(layer)).__name__
        raise StudyError(f"layer {layer!r} ({kind}) is not called in a forward pass: record the block around it.")
    if not isinstance(output, Tensor):
        raise StudyError(f"layer {layer!r} gives {type(output).__name__}, not a tensor: record one inside it.")
    if output.ndim not in (2, 3, 4) or len(output) != 1:
        raise StudyError(
            f"layer {layer!r} gives a tensor of shape {tuple(output.shape)} for one image: it must be "
            "(1, units), (1, tokens, units) or (1, channels, height, width)."
        )
    return output


def spatial_shape(output: Tensor) -> tuple[int, ...]:
    """(height, width) of maps, (number,) of tokens, () of a dense layer."""
    return tuple(output.shape[2:]) if output.ndim == 4 else tuple(output.shape[1:-1])


def as_rows(output: Tensor, choice: str, positions: np.ndarray) -> Tensor:
    """The output of a layer as (samples, units), float32.

    Args:
        output: (n, channels, height, width), (n, tokens, units) or (n, units).
        choice: `dense`, or as `positions` in `dump`.
        positions: (n, k), or (1, k) if the same for all images; used for `sample` and `centre`.
    """
    output = output.float()
    if choice in ("dense", "flatten"):
        return output.flatten(1)
    # (n, units, positions), whatever the kind
    output = output.flatten(2) if output.ndim == 4 else output.transpose(1, 2)
    if choice == "mean":
        return output.mean(dim=2)
    n, units = output.shape[:2]
    if choice != "all":
        index = torch.as_tensor(positions, device=output.device).expand(n, -1)
        output = output.gather(2, index[:, None].expand(-1, units, -1))
    return output.transpose(1, 2).reshape(-1, units)


def checked(values: Tensor, layer: str, dtype: str) -> np.ndarray:
    """Values (samples, units) in the precision of the file.

    Raises:
        StudyError: one is NaN or infinite, or beyond the range of float16.
    """
    wrong = ~torch.isfinite(values).all(dim=0)
    if wrong.any():
        unit = int(wrong.nonzero()[0])
        raise StudyError(
            f"unit {unit} of layer {layer!r} gives NaN or infinite values: train this network again, "
            "with a lower learning_rate."
        )
    if dtype == "float16":
        values = values.half()
        if not torch.isfinite(values).all():
            raise StudyError(
                f"layer {layer!r} gives values beyond the range of float16 (65504): set the dtype of the "
                "activations to float32."
            )
    return np.ascontiguousarray(values.cpu().numpy())
