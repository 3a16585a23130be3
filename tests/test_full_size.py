"""The paper's study at its own size, as far as it can be run anywhere: its plan, and one step of one network."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from configuration import completed
from convergent.datasets import open_dataset, prepare
from convergent.dumping import dump
from convergent.models import build
from convergent.training import train
from plan import Plan

STUDY = Path(__file__).parents[1] / "workflow" / "studies" / "imagenet.yaml"
PUBLISHED = {"conv1": 96, "conv2": 256, "conv3": 384, "conv4": 384, "conv5": 256, "fc6": 4096, "fc7": 4096}
MAPS = {"conv1": 55, "conv2": 27, "conv3": 13, "conv4": 13, "conv5": 13}
PARAMETERS = 62_378_344  # Krizhevsky et al.'s 60,965,224, and what their channel groups leave out
TRAIN_IMAGES = 1_281_167


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty photographs in ImageNet's layout, of ImageNet's usual sizes."""
    root, draws = tmp_path_factory.mktemp("imagenet"), np.random.default_rng(0)
    for part, name in (("train", "n01440764_1"), ("val", "ILSVRC2012_val_1")):
        for kind, size in (("n01440764", (500, 375)), ("n01443537", (333, 500))):
            for number in range(5):
                coarse = draws.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                path = root / part / kind / f"{name}{number}.JPEG"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
    return root


@pytest.fixture(scope="module")
def config(folder):
    settings = yaml.safe_load(STUDY.read_text())
    settings["dataset"]["options"]["path"] = str(folder)
    return completed(settings)


def test_it_is_the_papers(config):
    training, plan = config["training"], Plan(config)
    assert plan.regime == "exact"
    assert plan.networks == ["net1", "net2", "net3", "net4"]
    assert plan.layers == list(PUBLISHED)
    steps = TRAIN_IMAGES // training["batch_size"]
    assert training["epochs"] * steps == pytest.approx(450_000, rel=0.001)
    assert training["step_epochs"] * steps == pytest.approx(100_000, rel=0.001)
    chosen = [training[name] for name in ("optimizer", "learning_rate", "momentum", "weight_decay", "step_factor")]
    assert chosen == ["sgd", 0.01, 0.9, 0.0005, 0.1]
    assert training["random_crop"]
    assert "figures/filters.png" in " ".join(plan.results)


def test_a_step_and_a_recording_at_full_size(config, folder, tmp_path):
    dataset, training = config["dataset"], config["training"]
    sizes = {"train": 2, "validation": 2, "probe": 2}
    where = {"options": dataset["options"], "downloads": "unused", **sizes}
    prepare("imagenet", tmp_path / "data", **where, seed=0, key="")
    data = open_dataset(tmp_path / "data")
    network = build("caffenet", config["architecture"]["options"], data.shape, 1000, 0)
    assert sum(weight.numel() for weight in network.parameters()) == PARAMETERS
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    recipe = {
        name: training[name] for name in ("learning_rate", "weight_decay", "schedule", "random_crop", "precision")
    }
    rows = train(network, data, epochs=1, batch_size=2, **recipe)
    assert np.isfinite([row["train_loss"] for row in rows]).all()
    assert all(not torch.equal(weight, before[name]) for name, weight in network.named_parameters())

    dump(network, data, data.splits["probe"], list(PUBLISHED), tmp_path / "all", batch_size=2)
    recording = config["activations"]
    asked = {name: recording[name] for name in ("positions", "positions_per_image", "dtype", "batch_size")}
    dump(network, data, data.splits["probe"], list(PUBLISHED), tmp_path / "some", **asked)
    for layer, units in PUBLISHED.items():
        every, some = (np.load(tmp_path / name / f"{layer}.npy") for name in ("all", "some"))
        assert every.shape == (2 * MAPS.get(layer, 1) ** 2, units)
        assert some.shape == (2 * (25 if layer in MAPS else 1), units)
        # What is sampled is among all, to the precision of the file.
        rounded = {row.tobytes() for row in every.astype(np.float16)}
        assert layer not in MAPS or all(row.tobytes() in rounded for row in some)
