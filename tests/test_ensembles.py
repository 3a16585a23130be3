"""Networks trained together: each becomes what it would have become alone, and what cannot be together is told."""

from collections import OrderedDict
from copy import deepcopy

import numpy as np
import pytest
import stand_in
import torch
from torch import nn

from convergent import training
from convergent.architectures import ARCHITECTURES, networks_together, trains_together
from convergent.ensembles import can_train_together, train_together
from convergent.errors import StudyError
from convergent.models import build
from convergent.threads import one_thread
from convergent.training import train

CAFFENET = stand_in.CAFFENET | {"dropout": 0.3, "pools": [1, 2], "normalise": True}
SEEDS = (3, 1, 2)
RECIPES = [
    ("caffenet", CAFFENET, {"shift": 1, "mirror": True, "label_noise": 0.2, "label_smoothing": 0.1}),
    ("caffenet", CAFFENET, {"optimizer": "adamw", "learning_rate": 0.003, "schedule": "cosine"}),
    ("mlp", {"widths": [20, 16], "activation": "gelu", "dropout": 0.4}, {"shift": 1, "label_noise": 0.3}),
    ("mlp", {"widths": [20], "activation": "tanh"}, {"warmup_epochs": 1}),
]


@pytest.fixture(autouse=True)
def single():
    """Threads would only wait for each other, as a workflow's jobs know."""
    with one_thread():
        yield


@pytest.fixture
def data():
    data = stand_in.digits()
    data.splits = {"train": data.splits["train"][:200], "validation": data.splits["validation"][:100]}
    return data


@pytest.fixture
def double(monkeypatch):
    """Images in double precision, for networks in double precision."""
    single = training.standardised
    monkeypatch.setattr(training, "standardised", lambda *arguments: single(*arguments).double())


def networks(name, options, seeds=SEEDS):
    return [build(name, options, (1, 8, 8), 10, seed).double() for seed in seeds]


def alone(name, options, data, seeds=SEEDS, **recipe):
    """Networks after each was trained by itself, and their histories."""
    trained = networks(name, options, seeds)
    rows = [train(network, data, order_seed=seed, **recipe) for network, seed in zip(trained, seeds, strict=True)]
    return trained, rows


def together(name, options, data, seeds=SEEDS, **recipe):
    """The same networks after they were trained together."""
    trained = networks(name, options, seeds)
    return trained, train_together(trained, data, order_seeds=seeds, **recipe)


def apart(one, other):
    """Largest difference of any weight of two networks."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


@pytest.mark.parametrize(("name", "options", "choices"), RECIPES)
def test_together_as_alone(name, options, choices, data, double):
    recipe = {"epochs": 2, "batch_size": 32, "learning_rate": 0.01} | choices
    (ones, expected), (others, found) = (way(name, options, data, **recipe) for way in (alone, together))
    assert max(map(apart, ones, others)) < 1e-9
    assert apart(ones[0], networks(name, options)[0]) > 1e-3  # they have been trained
    assert apart(others[0], others[1]) > 1e-3  # and differ
    for rows, rows_alone in zip(found, expected, strict=True):
        assert [list(row) for row in rows] == [list(row) for row in rows_alone]
        for row, row_alone in zip(rows, rows_alone, strict=True):
            # Losses are summed in single precision.
            assert {**row, "seconds": 0} == pytest.approx({**row_alone, "seconds": 0}, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "precision", "tolerance"),
    [("caffenet", CAFFENET, "float32", 1e-4), ("mlp", {"dropout": 0.2}, "bfloat16", 0.01)],
)
def test_in_single_precision_and_with_narrow_products(name, options, precision, tolerance, data):
    ones, others = ([build(name, options, data.shape, 10, seed) for seed in SEEDS] for _ in range(2))
    recipe = {"epochs": 1, "batch_size": 32, "learning_rate": 0.01, "precision": precision}
    for network, seed in zip(ones, SEEDS, strict=True):
        train(network, data, order_seed=seed, **recipe)
    train_together(others, data, order_seeds=SEEDS, **recipe)
    assert max(map(apart, ones, others)) < tolerance


def test_company_and_its_order_do_not_matter(data, double):
    recipe = {"epochs": 1, "batch_size": 32, "learning_rate": 0.01}
    one, _ = together("caffenet", CAFFENET, data, (3, 1, 2), **recipe)
    other, _ = together("caffenet", CAFFENET, data, (2, 5, 3, 1), **recipe)
    assert max(map(apart, one, (other[2], other[3], other[0]))) < 1e-9


def test_seeds_of_order_label_noise_and_start_are_independent(data, double):
    start = [build("mlp", {}, data.shape, 10, 0).double() for _ in range(3)]
    recipe = {"epochs": 1, "label_noise": 0.5, "order_seeds": (0, 1, 0), "label_noise_seeds": (7, 7, 8)}
    untrained = [rows[0] for rows in train_together(start, data, **recipe)]
    assert untrained[0]["train_loss"] == pytest.approx(untrained[1]["train_loss"], abs=1e-9)
    assert untrained[0]["train_loss"] != pytest.approx(untrained[2]["train_loss"], abs=1e-3)
    assert apart(start[0], start[1]) > 1e-3  # the order of the images


def test_each_callback_sees_its_network(data):
    trained, seen = [build("mlp", {}, data.shape, 10, seed) for seed in SEEDS], []

    def on_epoch(number, row, network):
        accuracy = training.accuracy(network, data, data.splits["validation"])
        assert not network.training
        assert network is trained[number]
        assert accuracy == pytest.approx(row["validation_accuracy"], abs=1e-6)
        seen.append((number, row["epoch"]))

    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    histories = train_together(trained, data, order_seeds=SEEDS, epochs=2, on_epoch=on_epoch)
    assert torch.equal(torch.rand(1), expected)  # the caller's randomness is left alone
    assert seen == [(number, epoch) for epoch in range(3) for number in range(3)]
    assert [len(rows) for rows in histories] == [3, 3, 3]


def test_random_crops(data, double, monkeypatch):
    read, data.decodes = data.images, True

    def images(indices, random_state=None):
        found = read(indices)
        return found if random_state is None else np.roll(found, random_state.integers(3), axis=3)

    monkeypatch.setattr(data, "images", images)
    recipe = {"epochs": 1, "batch_size": 32, "random_crop": True}
    (ones, _), (others, _) = (way("mlp", {}, data, **recipe) for way in (alone, together))
    assert max(map(apart, ones, others)) < 1e-9


def frozen():
    layer = nn.Linear(64, 10)
    layer.weight.requires_grad = False
    return nn.Sequential(nn.Flatten(), layer)


def tied():
    layer = nn.Linear(64, 64)
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), one=layer, two=nn.ReLU(), three=layer))


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (lambda: build("resnet18", {}, (1, 32, 32), 10, 0), r"layer of type ResNet cannot be trained together: train"),
        (lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10)), "type BatchNorm1d"),
        (frozen, "shared or fixed weights"),
        (tied, "shared or fixed weights"),
        (lambda: nn.Sequential(nn.Linear(8, 10)), "linear layers on maps"),
        (lambda: nn.Sequential(nn.Conv2d(1, 10, 8, padding=1, padding_mode="circular")), "padding other than zeros"),
    ],
)
def test_what_cannot_be_together_is_refused_in_one_sentence(refused, sentence, data):
    pair = [refused(), refused()]
    assert not can_train_together(pair[0])
    with pytest.raises(StudyError, match=sentence) as error:
        train_together(pair, data, order_seeds=(0, 1), epochs=1)
    assert str(error.value).count(".") == 1


def test_networks_of_different_sizes_are_refused(data):
    pair = [build("mlp", {"widths": [width]}, data.shape, 10, 0) for width in (4, 5)]
    assert all(map(can_train_together, pair))
    with pytest.raises(StudyError, match="not built alike"):
        train_together(pair, data, order_seeds=(0, 1), epochs=1)


def test_a_single_network_is_trained_as_alone_whatever_its_layers(data):
    layers = nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10)
    one, other = nn.Sequential(*layers), deepcopy(nn.Sequential(*layers))
    recipe = {"epochs": 1, "label_noise": 0.3}
    expected = train(one, data, order_seed=3, label_noise_seed=5, **recipe)
    (found,) = train_together([other], data, order_seeds=[3], label_noise_seeds=[5], **recipe)
    assert apart(one, other) == 0
    assert [{**row, "seconds": 0} for row in found] == [{**row, "seconds": 0} for row in expected]


def test_the_network_that_diverges_is_named(data):
    trained = [build("mlp", {}, data.shape, 10, seed) for seed in SEEDS]
    with torch.no_grad():
        trained[1][1][0].weight.mul_(1e30)
    with pytest.raises(StudyError, match="training of net2 diverged in epoch 1"):
        train_together(trained, data, order_seeds=SEEDS, names=["net1", "net2", "net3"], epochs=1)


def test_small_networks_go_together_and_large_ones_do_not():
    def chosen(side=8, batch_size=32, wanted=4, name="caffenet", options=CAFFENET):
        return networks_together(name, options, (3, side, side), 10, batch_size, wanted)

    assert chosen() == chosen(name="mlp", options={}) == 4
    assert chosen(wanted=1) == 1
    assert chosen(wanted=10_000) == 32
    assert chosen(batch_size=100_000) == chosen(side=64, batch_size=1024) == 1
    # A perceptron's largest layer may be the image.
    assert chosen(name="mlp", options={}, side=36) == 4
    assert chosen(name="mlp", options={}, side=37) == 1
    assert chosen(name="resnet18", options={}) == chosen(name="mine:network", options={}) == 1


@pytest.mark.parametrize("options", [CAFFENET, CAFFENET | {"pools": [], "strides": [2] * 5, "initialisation": "caffe"}])
def test_architectures_that_go_together_can(options):
    every = {"caffenet": options, "mlp": {"activation": "linear", "dropout": 0.1}, "vit_b_16": stand_in.TINY_VIT}
    for name in ARCHITECTURES:
        with torch.device("meta"):  # without memory for the weights
            network = build(name, every.get(name, {}), (3, 32, 32), 10, 0)
        assert can_train_together(network) == trains_together(name)
