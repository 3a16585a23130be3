"""What 10, 100 and 1,000 networks cost in hours, memory and disk, at the size of CIFAR-10 and of ImageNet.

    python benchmarks/costs.py --measure [--studies ...] [--only ...]   # times stages on one thread (minutes)
    python benchmarks/costs.py                                            # what follows from what was measured

Architecture, batch size, positions and numbers of epochs are those of workflow/studies; images are random, in the
folders and format of the real ones. Seconds are of one core's work (user and system time), whatever else the machine
does. Measurements go to docs/costs.csv; tables are written between the marks in docs/costs.md.
"""

import argparse
import csv
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import yaml
from all import machine
from common import rectified_networks
from PIL import Image
from threadpoolctl import threadpool_limits

from convergent.alignment import align
from convergent.architectures import settings
from convergent.datasets.image_folder import ImageFiles
from convergent.dumping import Watched, dump
from convergent.models import build, save_weights
from convergent.resuming import Resumption
from convergent.statistics import pair_moments, tile_pairs
from convergent.streaming import stream_statistics
from convergent.training import train

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MEASURED, PAGE = DOCS / "costs.csv", DOCS / "costs.md"
# Study -> shape of an image, classes, images to train on, probe images.
SIZES = {
    "cifar10": ((3, 32, 32), 10, 50_000, 10_000),
    "imagenet": ((3, 227, 227), 1000, 1_281_167, 50_000),
}
LAYERS = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]
COUNTS = (10, 100, 1000)
POPULATIONS = 2  # trained and untrained
GPU_RATES = (10e12, 100e12)  # floating-point operations per second that a step sustains: assumed, not measured
CORES_PER_GPU = 8
TILE = 5  # networks on a side of a job that compares, where not all pairs fit one
LARGEST_BATCH = 64  # of the steps that are measured


def config_of(study: str) -> dict:
    return yaml.safe_load((ROOT / "workflow" / "studies" / f"{study}.yaml").read_text())


def shapes_of(study: str) -> dict[str, tuple[int, ...]]:
    """Shape of every layer's output for one image."""
    shape, classes, *_ = SIZES[study]
    return settings("caffenet", config_of(study)["architecture"].get("options", {})).shapes(shape, classes)


def network_of(study: str, seed: int = 0) -> torch.nn.Module:
    shape, classes, *_ = SIZES[study]
    return build("caffenet", config_of(study)["architecture"].get("options", {}), shape, classes, seed)


def generated(study: str, count: int) -> SimpleNamespace:
    """Random images with random labels, all of them to train on; the first four validate."""
    shape, classes, *_ = SIZES[study]
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (count, *shape), dtype=np.uint8)
    return SimpleNamespace(
        name=study,
        key="",
        images=images.__getitem__,
        labels=draws.integers(0, classes, count),
        class_names=list(range(classes)),
        splits={"train": np.arange(count), "validation": np.arange(4)},
        shape=shape,
        mean=np.full(shape[0], 0.5),
        std=np.full(shape[0], 0.3),
        decodes=False,
    )


def operations(study: str) -> float:
    """Floating-point operations of one image's forward pass, in convolutions and linear layers."""
    network, total = network_of(study).to("meta"), 0

    def count(layer: torch.nn.Module, _inputs: tuple, output: torch.Tensor) -> None:
        nonlocal total
        total += 2 * layer.weight.numel() * (output[0, 0].numel() if output.ndim == 4 else 1)

    for layer in network.modules():
        if hasattr(layer, "weight"):
            layer.register_forward_hook(count)
    network(torch.zeros(1, *SIZES[study][0], device="meta"))
    return float(total)


# What is measured: each in a process of its own, whose memory is counted. Returns name -> value.


def training(study: str, precision: str) -> dict[str, float]:
    """What a step costs per image, from trainings of four steps and of one; and the memory."""
    batch = min(config_of(study)["training"]["batch_size"], LARGEST_BATCH)
    few = generated(study, batch)

    def spent(epochs: int) -> float:
        started = time.process_time()
        train(network_of(study), few, epochs=epochs, batch_size=batch, precision=precision, learning_rate=1e-4)
        return time.process_time() - started

    spent(1)  # warms up
    once, fourfold = spent(1), spent(4)
    # An epoch is one step, and the four images that validate.
    return {f"step_seconds_{precision}": (fourfold - once) / 3 / batch, f"train_mib_{precision}": peak()}


def state(study: str) -> dict[str, float]:
    """Writing the state from which a training goes on."""
    with tempfile.TemporaryDirectory() as folder:
        path, taken = Path(folder, "resume.safetensors"), []

        class Timed(Resumption):
            def rest(self, state) -> None:
                started = time.perf_counter()
                super().rest(state)
                taken.append(time.perf_counter() - started)

        train(network_of(study), generated(study, 8), epochs=1, batch_size=8, resumption=Timed(path, "", 0, [0]))
        save_weights(Path(folder, "weights.safetensors"), network_of(study), {})
        sizes = [file.stat().st_size for file in (path, Path(folder, "weights.safetensors"))]
    return {"state_bytes": sizes[0], "weights_bytes": sizes[1], "state_seconds": max(taken), "state_mib": peak()}


def recording(study: str, positions: str) -> dict[str, float]:
    """Recording activations as the study does, or at all positions: seconds and bytes per image, and the memory."""
    asked = config_of(study)["activations"]
    how = {name: asked[name] for name in ("dtype", "batch_size") if name in asked}
    if positions == "study":
        how |= {name: asked[name] for name in ("positions", "positions_per_image")}
    images = 64 if study == "imagenet" else 512
    network, data = network_of(study), generated(study, images)
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        dump(network, data, np.arange(images), LAYERS, folder, **how)
        taken = time.process_time() - started
        written = sum(path.stat().st_size for path in Path(folder).glob("*.npy"))
    return {
        f"record_seconds_{positions}": taken / images,
        f"record_bytes_{positions}": written / images,
        f"record_mib_{positions}": peak(),
    }


def streaming(study: str) -> dict[str, float]:
    """Correlations of two networks at all positions while they run: seconds per image, and the memory."""
    images = 32 if study == "imagenet" else 256
    networks = {f"net{seed}": Watched(network_of(study, seed), {layer: layer for layer in LAYERS}) for seed in (1, 2)}
    started = time.process_time()
    for _ in stream_statistics(networks, None, generated(study, images), np.arange(images), batch_size=8):
        pass
    return {"stream_seconds": (time.process_time() - started) / images, "stream_mib": peak()}


def decoding(study: str) -> dict[str, float]:
    """Reading photographs of ImageNet's usual size as training does."""
    if study != "imagenet":
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(32):
            Image.fromarray(photograph(number)).save(Path(folder, f"{number}.jpg"), quality=92)
        files = ImageFiles(Path(folder), [f"{number}.jpg" for number in range(32)], 256, 227, threads=1)
        files.decode(np.arange(32))
        started = time.process_time()
        for seed in range(4):
            files.decode(np.arange(32), np.random.default_rng(seed))
        return {"decode_seconds": (time.process_time() - started) / 128}


def photograph(seed: int, height: int = 375, width: int = 500) -> np.ndarray:
    """A random image (height, width, 3) with the spectrum of natural ones; as a JPEG of quality 92 about 100 kB."""
    draws = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = 1

    def field(slope: float) -> np.ndarray:
        spectrum = draws.normal(size=frequency.shape) + 1j * draws.normal(size=frequency.shape)
        values = np.fft.irfft2(spectrum / frequency**slope, s=(height, width))
        return values / values.std()

    grey = field(1.2)
    return np.clip(np.stack([128 + 50 * grey + 25 * field(1.5) for _ in range(3)], axis=-1), 0, 255).astype(np.uint8)


def comparing(study: str) -> dict[str, float]:
    """Products of a pair per unit, unit and sample; matching both ways of a pair, layer by layer."""
    found, by_units = {}, {}
    align(np.eye(8), np.ones(8, dtype=bool), np.ones(8, dtype=bool))  # imports
    shapes = shapes_of(study)
    for layer in LAYERS:
        units = shapes[layer][0]
        if units not in by_units:
            x, y = rectified_networks(units, 2 * max(units, 2048))
            networks = {"x": x, "y": y}
            started = time.process_time()
            moments = pair_moments(networks, tile_pairs(networks))
            summed = time.process_time()
            between = moments["x", "y"].correlation()
            live, before = np.ones(units, dtype=bool), time.process_time()
            align(between, live, live)
            # Three products: of each network with itself, and of both.
            by_units[units] = (summed - started) / (3 * len(x) * units**2), time.process_time() - before
        found[f"product_seconds_{layer}"], found[f"match_seconds_{layer}"] = by_units[units]
    return found | {"compare_mib": peak()}


def peak() -> float:
    """Largest memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


MEASUREMENTS: list[tuple[Callable, tuple]] = [
    (training, ("float32",)),
    (training, ("bfloat16",)),
    (state, ()),
    (recording, ("study",)),
    (recording, ("all",)),
    (streaming, ()),
    (decoding, ()),
    (comparing, ()),
]


def measured(study: str, only: list[str]) -> dict[str, float]:
    """What is measured of a study, as far as asked for, and what is counted."""
    found = {
        "parameters": float(sum(weight.numel() for weight in network_of(study).parameters())),
        "forward_operations": operations(study),
    }
    for measure, arguments in MEASUREMENTS:
        if measure.__name__ in only:
            with multiprocessing.get_context("spawn").Pool(1, initializer=single) as pool:
                part = pool.apply(measure, (study, *arguments))
            print(
                study, measure.__name__, *arguments, {name: f"{value:.4g}" for name, value in part.items()}, flush=True
            )
            found |= part
    return found


def single() -> None:
    """One thread for everything."""
    torch.set_num_threads(1)
    threadpool_limits(1)


# What follows from it: each for N networks.


def pairs_of(networks: int) -> int:
    return networks * (networks - 1) // 2


def squares(study: str, layers: list[str]) -> int:
    """Sum over layers of the squared numbers of units."""
    shapes = shapes_of(study)
    return sum(shapes[layer][0] ** 2 for layer in layers)


def samples(study: str, layer: str) -> int:
    """Samples of a layer at the positions of the study."""
    *_, probe = SIZES[study]
    positions = config_of(study)["activations"]["positions_per_image"]
    return probe * (positions if len(shapes_of(study)[layer]) > 1 else 1)


def comparing_seconds(study: str, costs: dict[str, float], networks: int, layers: list[str]) -> float:
    """Statistics and matching of all pairs in some layers, from recorded activations, for all populations."""
    shapes, pairs = shapes_of(study), pairs_of(networks)
    products = sum(
        samples(study, layer) * shapes[layer][0] ** 2 * costs[f"product_seconds_{layer}"] for layer in layers
    )
    matching = sum(costs[f"match_seconds_{layer}"] for layer in layers)
    return POPULATIONS * ((pairs + networks) * products + pairs * matching)


def rows_of(study: str, costs: dict[str, float]) -> list[tuple[str, list[str]]]:
    """What is needed, and how much of it for each number of networks."""
    _, _, images, probe = SIZES[study]
    epochs = config_of(study)["training"]["epochs"]
    seen = epochs * images
    maps = LAYERS[:5]
    rows: list[tuple[str, Callable[[int], float], Callable[[float], str]]] = [
        ("training, hours of one core", lambda n: n * seen * costs["step_seconds_float32"] / 3600, hours),
    ]
    for rate in GPU_RATES:
        rows.append(
            (
                f"training, GPU hours at {rate / 1e12:g} sustained TFLOP/s (*assumed*)",
                lambda n, rate=rate: n * seen * 3 * costs["forward_operations"] / rate / 3600,
                hours,
            )
        )
    if "decode_seconds" in costs:
        decoded = epochs * (images + probe)
        rows += [
            ("decoding for training, core hours", lambda n: n * decoded * costs["decode_seconds"] / 3600, hours),
            (
                f"… as GPU hours, if {CORES_PER_GPU} cores decode for each GPU",
                lambda n: n * decoded * costs["decode_seconds"] / 3600 / CORES_PER_GPU,
                hours,
            ),
        ]
    per_image = costs["record_seconds_study"] + costs.get("decode_seconds", 0)
    rows += [
        ("recording, core hours", lambda n: n * POPULATIONS * probe * per_image / 3600, hours),
        (
            "statistics and matching of conv1 to conv5, core hours",
            lambda n: comparing_seconds(study, costs, n, maps) / 3600,
            hours,
        ),
        ("… of all seven layers", lambda n: comparing_seconds(study, costs, n, LAYERS) / 3600, hours),
        ("memory of a training job (batches of 64)", lambda n: costs["train_mib_float32"] * 2**20, size),
        ("… of a recording job", lambda n: costs["record_mib_study"] * 2**20, size),
        (
            "… of a statistics job in the widest layer, all pairs at once",
            lambda n: (pairs_of(n) + n) * 8 * squares(study, ["fc6"]),
            size,
        ),
        (
            f"… with `networks_per_tile: {TILE}`",
            lambda n: TILE**2 * 8 * squares(study, ["fc6"]),
            size,
        ),
        ("weights on disk", lambda n: n * POPULATIONS * costs["weights_bytes"], size),
        ("activations on disk", lambda n: n * POPULATIONS * probe * costs["record_bytes_study"], size),
        (
            "… at all positions, in the same precision",
            lambda n: n * POPULATIONS * probe * costs["record_bytes_all"],
            size,
        ),
        (
            "correlations of conv1 to conv5 on disk",
            lambda n: POPULATIONS * (pairs_of(n) + n) * 8 * squares(study, maps),
            size,
        ),
        ("… of all seven layers", lambda n: POPULATIONS * (pairs_of(n) + n) * 8 * squares(study, LAYERS), size),
    ]
    return [(what, [shown(amount(count)) for count in COUNTS]) for what, amount, shown in rows]


def significant(value: float) -> str:
    """Two digits that mean something, thousands separated."""
    return f"{float(f'{value:.2g}'):,.10g}"


def hours(value: float) -> str:
    return f"{significant(value)} h"


def size(value: float) -> str:
    unit = 0
    while value >= 1000 and unit < 5:
        value, unit = value / 1000, unit + 1
    return f"{significant(value)} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[unit]}"


def tables(costs: dict[str, dict[str, float]]) -> str:
    """The tables of the page: what each number of networks costs, and what was measured."""
    lines = []
    for study in costs:
        lines += [
            f"| `{study}` | {' | '.join(f'{count:,} networks' for count in COUNTS)} |",
            "|---|" + "---|" * len(COUNTS),
        ]
        lines += [f"| {what} | {' | '.join(amounts)} |" for what, amounts in rows_of(study, costs[study])]
        lines.append("")
    return "\n".join(lines)


def coefficients(costs: dict[str, dict[str, float]]) -> str:
    """What was measured and counted, study by study."""
    names = {
        "parameters": ("parameters of a network", 1, ",.0f"),
        "forward_operations": ("operations of an image's forward pass, millions", 1e-6, ",.0f"),
        "step_seconds_float32": ("training step, ms of one core per image", 1e3, ""),
        "step_seconds_bfloat16": ("… with `precision: bfloat16`", 1e3, ""),
        "train_mib_float32": ("… memory with batches of 64, MiB", 1, ",.0f"),
        "state_bytes": ("state from which a training goes on, MB", 1e-6, ",.0f"),
        "state_seconds": ("… seconds to write it", 1, ""),
        "decode_seconds": ("decoding a photograph of 375 x 500, ms of one core", 1e3, ""),
        "record_seconds_study": ("recording at the study's positions, ms per image", 1e3, ""),
        "record_bytes_study": ("… kB per image", 1e-3, ",.0f"),
        "record_mib_study": ("… memory, MiB", 1, ",.0f"),
        "record_seconds_all": ("recording at all positions, ms per image", 1e3, ""),
        "record_bytes_all": ("… kB per image", 1e-3, ",.0f"),
        "stream_seconds": ("correlations of two networks while they run, all positions, ms per image", 1e3, ""),
        "stream_mib": ("… memory, MiB", 1, ",.0f"),
        "product_seconds_conv4": ("products of a pair in conv4, ns per 1,000 units x units x samples", 1e12, ""),
        "match_seconds_conv4": ("matching a pair in conv4, both ways, seconds", 1, ""),
        "match_seconds_fc6": ("… in fc6", 1, ""),
        "compare_mib": ("… memory of both, MiB", 1, ",.0f"),
    }
    lines = [f"| measured | {' | '.join(f'`{study}`' for study in costs)} |", "|---|" + "---|" * len(costs)]
    for name, (what, factor, form) in names.items():
        values = [one[name] * factor if name in one else None for one in costs.values()]
        cells = ["" if value is None else format(value, form) if form else significant(value) for value in values]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def read() -> tuple[str, dict[str, dict[str, float]]]:
    """The machine, and study -> name -> value."""
    with open(MEASURED, newline="") as handle:
        rows = list(csv.DictReader(handle))
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        found.setdefault(row["study"], {})[row["name"]] = float(row["value"])
    return rows[0]["machine"], {study: found[study] for study in SIZES if study in found}


def written(costs: dict[str, dict[str, float]], where: str) -> None:
    with open(MEASURED, "w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["study", "name", "value", "machine"])
        writer.writerows(
            [study, name, f"{value:.10g}", where] for study, one in costs.items() for name, value in one.items()
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--studies", nargs="+", choices=SIZES, default=list(SIZES))
    every = list(dict.fromkeys(measure.__name__ for measure, _ in MEASUREMENTS))
    parser.add_argument("--only", nargs="+", choices=every, default=every)
    options = parser.parse_args()
    if options.measure:
        for study in options.studies:
            known = read()[1] if MEASURED.exists() else {}
            written(known | {study: known.get(study, {}) | measured(study, options.only)}, machine())
    where, costs = read()
    text = PAGE.read_text()
    for name, content in (("tables", tables(costs)), ("measured", f"On one of {where}:\n\n{coefficients(costs)}")):
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n\n{content}\n{end}{rest.partition(end)[2]}"
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
