"""Training: it learns, every seed does its own work only, and mistakes are told."""

import threading

import numpy as np
import pytest
import stand_in
import torch
from torch import nn

from convergent import training
from convergent.errors import StudyError
from convergent.models import build
from convergent.threads import one_thread
from convergent.training import (
    accuracy,
    augmented,
    generator,
    noisy_labels,
    train,
)

CAFFENET = {
    "channels": [8, 12, 12, 12, 8],
    "kernels": [3] * 5,
    "strides": [1] * 5,
    "paddings": [1] * 5,
    "pools": [1, 2],
    "pool_kernel": 2,
    "dense": [32, 32],
    "dropout": 0.1,
}
SECONDS = "seconds"


@pytest.fixture(autouse=True)
def single():
    """Threads would only wait for each other, as a workflow's jobs know."""
    with one_thread():
        yield


def trained(data, *, seed=0, options=CAFFENET, name="caffenet", **choices):
    """A freshly built network after training, and its history without the times."""
    network = build(name, options, data.shape, 10, seed)
    rows = train(network, data, **{"epochs": 1, "learning_rate": 0.02} | choices)
    return network, [{key: value for key, value in row.items() if key != SECONDS} for row in rows]


def same(one: nn.Module, other: nn.Module) -> bool:
    """Whether all weights are equal bit for bit."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_digits_are_learnt():
    data = stand_in.digits()
    seen = []
    options = CAFFENET | {"channels": [16, 24, 24, 24, 16], "pools": [1], "dense": [64, 64]}
    network = build("caffenet", options, data.shape, 10, 0)
    rows = train(
        network,
        data,
        epochs=6,
        batch_size=32,
        learning_rate=0.03,
        on_epoch=lambda row, net: seen.append((row["epoch"], net.training, accuracy_of(net, data))),
    )
    assert [row["epoch"] for row in rows] == list(range(7))
    assert rows[0]["validation_accuracy"] < 0.4  # untrained
    assert rows[-1]["validation_accuracy"] > 0.9
    assert rows[-1]["train_loss"] < 0.5 * rows[1]["train_loss"]
    # The callback saw the network that each row describes.
    assert seen == [(row["epoch"], False, row["validation_accuracy"]) for row in rows]
    # Accuracy counted in another way.
    validation = data.splits["validation"]
    images = (data.array[validation] / 255 - data.mean[:, None, None]) / data.std[:, None, None]
    with torch.no_grad():
        answers = network(torch.tensor(images, dtype=torch.float32)).argmax(dim=1).numpy()
    assert np.mean(answers == data.labels[validation]) == pytest.approx(rows[-1]["validation_accuracy"], abs=1e-6)


def accuracy_of(network, data):
    return accuracy(network, data, data.splits["validation"])


def test_same_seeds_same_numbers_bit_for_bit_and_the_callers_randomness_is_left_alone():
    data = stand_in.digits()
    torch.manual_seed(1)
    one, history = trained(data, shift=1, mirror=True, label_noise=0.1)
    after = torch.rand(1)
    torch.manual_seed(99)  # must not matter
    two, history_again = trained(data, shift=1, mirror=True, label_noise=0.1)
    assert same(one, two)
    assert history == history_again
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))


def test_initial_weights_and_order_vary_independently():
    data = stand_in.digits()
    one, history = trained(data, seed=0, order_seed=0)
    other_order, history_of_order = trained(data, seed=0, order_seed=1)
    other_start, history_of_start = trained(data, seed=1, order_seed=0)
    assert history[0] == history_of_order[0]  # the same untrained network
    assert history[0] != history_of_start[0]
    assert not same(one, other_order)
    assert not same(one, other_start)


def test_each_kind_of_draw_leaves_the_others_alone():
    """The order of the images is the same with and without augmentation, label noise and dropout."""
    orders = []

    class Watched(training.Split):
        def batches(self, rows, batch_size, crops=None):
            orders[-1].append(rows.tolist())
            return super().batches(rows, batch_size, crops)

    data = stand_in.digits()
    for choices in ({}, {"shift": 1}, {"label_noise": 0.3}, {"options": CAFFENET | {"dropout": 0.0}}):
        orders.append([])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "Split", Watched)
            trained(data, **choices)
    assert all(order == orders[0] for order in orders)
    epoch = orders[0][2]  # after the untrained network has seen both splits
    assert len(set(epoch)) == len(epoch) == 997 // 64 * 64


def test_images_read_ahead_give_the_same_network(monkeypatch):
    data = stand_in.digits()
    at_once, history = trained(data)
    monkeypatch.setattr(training, "RESIDENT_BYTES", 0)
    threads, read = set(), data.images

    def images(indices):
        if len(indices) > 1:  # one image is read to learn its size
            threads.add(threading.current_thread())
        return read(indices)

    monkeypatch.setattr(data, "images", images)
    ahead, history_ahead = trained(data)
    assert same(at_once, ahead)
    assert history == history_ahead
    assert threading.main_thread() not in threads


def test_random_crops_are_reproducible_and_asked_for_in_training_only(monkeypatch):
    data = stand_in.digits()
    with pytest.raises(StudyError, match="random_crop"):
        data.decodes = False
        trained(data, random_crop=True)
    data.decodes = True
    read = data.images
    drawn = []

    def images(indices, random_state=None):
        found = read(indices)
        if random_state is not None:
            drawn.append(set(indices) <= set(data.splits["train"]))
            found = np.roll(found, random_state.integers(3), axis=3)
        return found

    monkeypatch.setattr(data, "images", images)
    one, history = trained(data, random_crop=True, epochs=2)
    two, history_again = trained(data, random_crop=True, epochs=2)
    assert same(one, two)
    assert history == history_again
    assert len(drawn) == 2 * 2 * (997 // 64)
    assert all(drawn)
    assert not same(one, trained(data, epochs=2)[0])


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_label_noise_replaces_the_stated_share_by_other_classes(share):
    labels = np.random.default_rng(0).integers(0, 10, 5000)
    noisy = noisy_labels(labels, 10, share, seed=3)
    assert np.mean(noisy != labels) == share
    assert np.array_equal(noisy, noisy_labels(labels, 10, share, seed=3))
    if share == 1:
        assert not np.array_equal(noisy, noisy_labels(labels, 10, share, seed=4))
        # The nine other classes are equally likely.
        moves = np.bincount((noisy - labels) % 10, minlength=10)
        assert moves[0] == 0
        assert moves[1:].min() > 5000 / 9 - 5 * (5000 / 9) ** 0.5


def test_label_noise_can_be_the_same_for_all_networks():
    data = stand_in.digits()
    network = build("mlp", {}, data.shape, 10, 0)
    rows = [
        train(network, data, epochs=0, label_noise=0.5, order_seed=order, label_noise_seed=noise)[0]
        for order, noise in ((0, 7), (1, 7), (0, None), (1, None))
    ]
    losses = [row["train_loss"] for row in rows]
    assert losses[0] == losses[1]
    assert losses[2] != losses[3]


def test_augmentation_moves_and_mirrors():
    images = torch.arange(2000 * 2 * 3 * 4).reshape(2000, 2, 3, 4)
    moved = augmented(images, 1, True, generator(0, "augmentation"))
    padded = nn.functional.pad(images.double(), (1, 1, 1, 1), mode="replicate").long()
    expected = torch.stack(
        [
            flip(padded[:, :, y : y + 3, x : x + 4])
            for y in range(3)
            for x in range(3)
            for flip in (lambda part: part, lambda part: part.flip(3))
        ]
    )
    counts = (moved == expected).flatten(2).all(dim=2).sum(dim=1)
    assert counts.sum() == 2000  # each image is exactly one of the 18 possibilities
    assert counts.min() > 2000 / 18 - 5 * (2000 / 18) ** 0.5  # and all of them occur
    assert augmented(images, 0, False, generator(0, "augmentation")) is images


@pytest.mark.parametrize(
    ("choices", "rates"),
    [
        ({"schedule": "constant"}, [1, 1, 1, 1]),
        ({"schedule": "step", "step_epochs": 2, "step_factor": 0.1}, [1, 1, 0.1, 0.1]),
        ({"schedule": "cosine"}, [0.854, 0.5, 0.146, 0]),
        ({"schedule": "one_cycle"}, [1, 2 / 3, 1 / 3, 0]),
        ({"schedule": "constant", "warmup_epochs": 2}, [0.5, 1, 1, 1]),
    ],
)
def test_schedules(choices, rates):
    data = stand_in.noise((1, 4, 4), count=160)
    _, history = trained(data, name="mlp", options={"widths": [4]}, epochs=4, batch_size=2, **choices)
    found = [row["learning_rate"] / 0.02 for row in history[1:]]
    assert found == pytest.approx(rates, abs=0.02)


@pytest.mark.parametrize("choices", [{"optimizer": "adamw", "learning_rate": 0.003}, {"precision": "bfloat16"}])
def test_other_optimiser_and_precision_learn(choices):
    _, history = trained(stand_in.digits(), name="mlp", options={}, epochs=5, **choices)
    assert history[-1]["validation_accuracy"] > 0.85


def test_decay_shrinks_weights_not_biases():
    data = stand_in.noise((1, 4, 4), count=40)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 10))
    nn.init.constant_(network[1].bias, 1.0)
    free, decayed = (trained_copy(network, data, weight_decay=decay, label_smoothing=0.1) for decay in (0.0, 5.0))
    assert decayed[1].weight.abs().sum() < 0.5 * free[1].weight.abs().sum()
    assert float(decayed[1].bias.detach().mean()) == pytest.approx(1.0, abs=1e-5)


def trained_copy(network, data, **choices):
    copy = nn.Sequential(nn.Flatten(), nn.Linear(16, 10))
    copy.load_state_dict(network.state_dict())
    train(copy, data, epochs=20, learning_rate=0.01, schedule="constant", **choices)
    return copy


def test_divergence_names_the_remedy():
    with pytest.raises(StudyError, match=r"diverged in epoch \d.*learning_rate \(now 1e\+06\)"):
        trained(stand_in.digits(), learning_rate=1e6, epochs=3)


@pytest.mark.parametrize("choices", [{"optimizer": "adam"}, {"schedule": "linear"}, {"precision": "float64"}], ids=str)
def test_unknown_choices_are_told(choices):
    with pytest.raises(StudyError, match=f"{next(iter(choices))} must be one of"):
        trained(stand_in.digits(), **choices)
