"""Recording what the units of a network do: forward hooks, and activations streamed to disk batch by batch.

Source: Li et al. 2016, section 2: units are channels or neurons, samples are positions of images; the values
are those that leave a layer. `activations` says which sample each row is and reads the files.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from convergent.activations import DTYPES, LAYER_NAME, POSITIONS, RECORD, SAMPLES, choose_positions, samples_digest
from convergent.architectures import require_choice
from convergent.errors import StudyError, abbreviated, did_you_mean
from convergent.files import save_arrays, save_json, written_whole
from convergent.models import standardised


def dump(
    network: nn.Module,
    data,
    indices: np.ndarray,
    layers: Sequence[str] | Mapping[str, str],
    folder: str | Path,
    *,
    positions: str = "all",
    positions_per_image: int | None = None,
    position_seed: int = 0,
    dtype: str = "float32",
    batch_size: int = 256,
    device: str | torch.device = "cpu",
    standardisation: tuple[Sequence[float], Sequence[float]] | None = None,
    key: str = "",
    weights_digest: str = "",
) -> None:
    """Show the images `indices` of `data` to the network and write what `layers` give to `folder`.

    One `<layer>.npy` (samples, units) per layer; `samples.npz` (`images`: the indices; `positions/<layer>`)
    and `dump.json` beside them. Rows are ordered by image, then by position, row by row over the map. Units
    are the channels of maps (n, channels, height, width), the last axis of tokens (n, tokens, units), and
    neurons (n, units). No more than one batch is held in memory. The network's mode is restored.

    Args:
        layers: module paths, as `network.named_modules()` has them, or a mapping from the names that the
            layers are recorded under to module paths.
        positions: of maps and tokens; dense layers always have one row per image.
            `all`; `sample`, `positions_per_image` of them per image, drawn without replacement from
            `position_seed`, the same for every network; `centre`, of height // 2 and width // 2; `mean` over
            all, one row per image; `flatten`, every pair of channel and position a unit, one row per image.
        dtype: of the files, `float32` or `float16`.
        standardisation: mean and standard deviation of each channel, 0..1, that the network was trained with;
            None: those of `data`.
        key: of the run, and `weights_digest` of the network, for the record.

    Raises:
        StudyError: a layer that is unknown, not called, called more than once in a pass, or gives no such
            output; a name that no file can have; positions that do not exist; a standardisation that does not
            fit the images; NaN or infinite values (the message names layer and unit); a full disk.
    """
    modules, named = {layer: layer for layer in layers}, {}
    if isinstance(layers, Mapping):
        require_names(layers)
        modules, named = dict(layers), {layer: {"module": module} for layer, module in layers.items()}
    mean, deviation = require_standardisation(data, standardisation)
    rows = Rows((data.name, data.key), indices, positions, positions_per_image, position_seed, dtype)
    with (
        recording(folder, rows, key, weights=weights_digest, preprocessing={"mean": mean, "std": deviation}) as files,
        Watched(network, modules, standardisation).answering(data, device) as answer,
    ):
        for layer, output in answer(data.images(rows.indices[:1])).items():  # one image tells the sizes
            files.add(layer, output, **named.get(layer, {}))
        for start in range(0, len(rows.indices), batch_size):
            for layer, output in answer(data.images(rows.indices[start : start + batch_size])).items():
                files.write(layer, output, start)


class Watched(NamedTuple):
    """A network, and which of its layers are looked at."""

    network: nn.Module
    layers: Mapping[str, str]  # what a layer is called here -> module path
    standardisation: tuple[Sequence[float], Sequence[float]] | None = None  # of its images; None: that of the data

    @contextmanager
    def answering(self, data, device: str | torch.device) -> Iterator[Callable[[np.ndarray], dict[str, Tensor]]]:
        """Within the block, a function: images of `data` (n, channels, height, width) -> layer -> its output for them.

        Outputs are (n, channels, height, width), (n, tokens, units) or (n, units). The network stays on the device;
        its mode is restored.

        Raises:
            StudyError: a layer that is unknown, not called, called more than once in a pass, or gives no such output.
        """
        network = self.network.to(device)
        with evaluation(network), recorded(network, list(dict.fromkeys(self.layers.values()))) as outputs:

            def answer(images: np.ndarray) -> dict[str, Tensor]:
                network(standardised(images, data, device, self.standardisation))
                found = {
                    layer: require_output(network, module, outputs.get(module), len(images))
                    for layer, module in self.layers.items()
                }
                outputs.clear()
                return found

            yield answer


class Rows:
    """Which rows (samples, units) are taken of the outputs of layers, and in which precision.

    Layers are added by their output for one image; then rows are taken of their outputs for any consecutive images.
    """

    def __init__(
        self,
        data: tuple[str, str],
        indices: np.ndarray,
        positions: str = "all",
        positions_per_image: int | None = None,
        position_seed: int = 0,
        dtype: str = "float32",
        remedy: str = "train this network again, with a lower learning_rate",
    ) -> None:
        """No layer yet.

        Args:
            data: name and key of the data set that `indices` are images of.
            remedy: what is to be done about values that are not finite. The rest is as for `dump`.

        Raises:
            StudyError: no images, or an unknown choice.
        """
        require_choice("positions", positions, POSITIONS)
        require_choice("dtype", dtype, DTYPES)
        if len(indices) == 0:
            raise StudyError("there are no images to record: the chosen split is empty.")
        self.data, self.indices, self.remedy = data, np.asarray(indices), remedy
        self.positions, self.positions_per_image, self.position_seed = positions, positions_per_image, position_seed
        self.dtype = dtype
        self.chosen: dict[str, tuple[str, np.ndarray]] = {}  # what is taken of each layer, and at which positions
        self.described: dict[str, dict] = {}

    def add(self, layer: str, output: Tensor) -> None:
        """Settle the positions of a layer, whose output for the first image tells the sizes.

        Raises:
            StudyError: positions that do not exist.
        """
        map_shape = spatial_shape(output)
        choice = self.positions if map_shape else "dense"
        at = choose_positions(choice, map_shape, self.indices, self.positions_per_image, self.position_seed)
        rows_per_image, units = as_rows(output, choice, at[:1]).shape
        self.chosen[layer] = choice, at
        self.described[layer] = {
            "units": units,
            "samples": len(self.indices) * rows_per_image,
            "map": list(map_shape),
            "samples_digest": samples_digest(self.data, self.indices, map_shape, at),
        }

    def take(self, layer: str, output: Tensor, start: int) -> np.ndarray:
        """Rows (samples, units) of the output of a layer for consecutive images, of which `start` is the first.

        Raises:
            StudyError: NaN or infinite values, or beyond the range of float16.
        """
        choice, at = self.chosen[layer]
        values = as_rows(output, choice, at if len(at) == 1 else at[start : start + len(output)])
        return checked(values, layer, self.dtype, self.remedy)

    def sample_digest(self, layer: str) -> str:
        """Digest of the layer's samples and their order: equal exactly if rows correspond."""
        return self.described[layer]["samples_digest"]


class Recording:
    """Files of activations in the making: layers are added, then their outputs are written batch by batch."""

    def __init__(self, folder: Path, rows: Rows, files: ExitStack) -> None:
        self.folder, self.rows, self.files = folder, rows, files
        self.further: dict[str, dict] = {}  # what else the record says of each layer
        self.handles: dict[str, BinaryIO] = {}

    def add(self, layer: str, output: Tensor, **described: object) -> None:
        """Open the file of a layer, whose output for the first image tells the sizes; `described` is for the record.

        Raises:
            StudyError: positions that do not exist.
        """
        self.rows.add(layer, output)
        self.further[layer] = described
        shape = tuple(self.rows.described[layer][name] for name in ("samples", "units"))
        partial = self.files.enter_context(written_whole(self.folder / f"{layer}.npy"))
        self.handles[layer] = self.files.enter_context(open(partial, "wb"))  # noqa: SIM115 - the stack closes it
        header = {"descr": np.dtype(self.rows.dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.handles[layer], header)

    def write(self, layer: str, output: Tensor, start: int) -> None:
        """Append the output of a layer for consecutive images, of which `start` is the first.

        Raises:
            StudyError: NaN or infinite values, or beyond the range of float16.
        """
        self.handles[layer].write(self.rows.take(layer, output, start))


@contextmanager
def recording(folder: str | Path, rows: Rows, key: str, **described: object) -> Iterator[Recording]:
    """Within the block, layers are added and written; at its end they are described and the folder is finished.

    Args:
        rows: what is taken of each layer.
        key: of the run, for the record.
        described: further entries of the record.

    Raises:
        StudyError: a full disk. Whatever fails, nothing of this recording stays.
    """
    folder = Path(folder)
    (folder / RECORD).unlink(missing_ok=True)  # from here on the folder is unfinished
    with ExitStack() as files:  # closes all files, then gives them their names
        made = Recording(folder, rows, files)
        yield made
    positions_of = {f"positions/{layer}": at.astype(np.int32) for layer, (_, at) in rows.chosen.items()}
    save_arrays(folder / SAMPLES, key, images=rows.indices.astype(np.int64), **positions_of)
    record = {
        "key": key,
        "data": rows.data[0],
        **described,
        "images": len(rows.indices),
        "images_digest": samples_digest(rows.data, rows.indices, (), np.empty((1, 0), dtype=np.int64)),
        "positions": rows.positions,
        "positions_per_image": rows.positions_per_image,
        "position_seed": rows.position_seed,
        "dtype": rows.dtype,
        "layers": {layer: described | made.further[layer] for layer, described in rows.described.items()},
    }
    save_json(folder / RECORD, record)


def require_names(layers: Iterable[str]) -> None:
    """Raise StudyError unless a file can be called like every layer."""
    for layer in layers:
        if not LAYER_NAME.fullmatch(layer):
            raise StudyError(
                f"no layer can be called {layer!r}, because a file is named after it: use at most 200 letters, digits, "
                "underscores and dots, and begin with none of the dots."
            )


def require_standardisation(
    data, standardisation: tuple[Sequence[float], Sequence[float]] | None
) -> tuple[list[float], list[float]]:
    """Mean and deviation per channel that images are standardised by: those given, or those of `data`.

    Raises:
        StudyError: there is not one of each for every channel, or one is not finite, or a deviation not above 0.
    """
    if standardisation is None:
        return np.asarray(data.mean).tolist(), np.asarray(data.std).tolist()
    mean, deviation = (np.asarray(part, dtype=np.float64) for part in standardisation)
    channels, values = data.shape[0], np.concatenate([mean.ravel(), deviation.ravel()])
    if not mean.shape == deviation.shape == (channels,) or not np.isfinite(values).all() or not (deviation > 0).all():
        raise StudyError(
            f"images of {data.name} cannot be standardised by the mean {mean.tolist()} and the deviation "
            f"{deviation.tolist()}: give {channels} finite numbers each, one per channel, the deviations above 0."
        )
    return mean.tolist(), deviation.tolist()


@contextmanager
def recorded(network: nn.Module, layers: list[str]) -> Iterator[dict[str, object]]:
    """Within the block, a dictionary that every forward pass fills with a copy of each layer's output.

    Clear it after each pass. Of a tuple the first member is taken.

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


def require_output(network: nn.Module, layer: str, output: object, images: int) -> Tensor:
    """The output of a layer for some images.

    Raises:
        StudyError: the layer was not called, or its output is of none of the three kinds.
    """
    if output is None:
        kind = type(network.get_submodule(layer)).__name__
        raise StudyError(f"layer {layer!r} ({kind}) is not called in a forward pass: record the block around it.")
    if not isinstance(output, Tensor):
        raise StudyError(f"layer {layer!r} gives {type(output).__name__}, not a tensor: record one inside it.")
    if output.ndim not in (2, 3, 4) or len(output) != images:
        raise StudyError(
            f"layer {layer!r} gives a tensor of shape {tuple(output.shape)} where images are {images}: it must be "
            "(images, units), (images, tokens, units) or (images, channels, height, width)."
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


def checked(values: Tensor, layer: str, dtype: str, remedy: str) -> np.ndarray:
    """Values (samples, units) in the precision of the file; `remedy` says what to do if they are not finite.

    Raises:
        StudyError: one is NaN or infinite, or beyond the range of float16.
    """
    wrong = ~torch.isfinite(values).all(dim=0)
    if wrong.any():
        unit = int(wrong.nonzero()[0])
        raise StudyError(f"unit {unit} of layer {layer!r} gives NaN or infinite values: {remedy}.")
    if dtype == "float16":
        values = values.half()
        if not torch.isfinite(values).all():
            raise StudyError(
                f"layer {layer!r} gives values beyond the range of float16 (65504): set the dtype of the "
                "activations to float32."
            )
    return np.ascontiguousarray(values.cpu().numpy())
