"""Rectified networks on noisy training sets: trained together as if alone, with draws that no ratio changes."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from convergent.errors import StudyError
from convergent.noise import protocols
from convergent.noise.alignment import OUTPUT, RECTIFIED_MEASURES
from convergent.noise.nonlinear import (
    digits,
    flipped,
    measure_classification,
    measure_regression,
    parameters,
    regression_set,
    teacher,
)
from convergent.noise.perceptron import Perceptrons, fit, initial, learning_rate, train_together, with_ones
from convergent.threads import one_thread

FEW = {"snrs": (1.0, 10.0), "repetitions": 2, "members": 2, "steps": 60, "tests": 40}


@pytest.fixture(autouse=True)
def single_thread():
    """More of them only wait for each other here."""
    with one_thread():
        yield


def starts(count):
    return [np.random.default_rng(number) for number in range(count)]


def alone(network, inputs, targets, steps, loss):
    """One network (of `initial`), trained by the equations of Adam; returns hidden and output layer."""
    hidden, outputs = network.first.shape[1], network.second.shape[1]
    first, second = nn.Linear(inputs.shape[1], hidden).double(), nn.Linear(hidden, outputs).double()
    with torch.no_grad():
        first.weight.copy_(network.first[0, :, :-1])
        first.bias.copy_(network.first[0, :, -1])
        second.weight.copy_(network.second[0])
        second.bias.copy_(network.shift[0, :, 0])
    model = nn.Sequential(first, nn.ReLU(), second)
    moments = [[torch.zeros_like(part)] * 2 for part in model.parameters()]
    for step in range(steps):
        gradients = torch.autograd.grad(loss(model(inputs), targets), list(model.parameters()))
        for place, (part, gradient) in enumerate(zip(model.parameters(), gradients, strict=True)):
            mean, squares = moments[place]
            moments[place] = mean, squares = 0.9 * mean + 0.1 * gradient, 0.999 * squares + 0.001 * gradient**2
            unbiased = mean / (1 - 0.9 ** (step + 1)), squares / (1 - 0.999 ** (step + 1))
            part.data -= learning_rate(step, steps) * unbiased[0] / (unbiased[1].sqrt() + 1e-8)
    return first, second


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_networks_trained_together_are_those_trained_alone(generator, task):
    inputs = generator.normal(size=(2, 30, 5))  # two groups of three networks

    def inputs_of(*groups):
        return with_ones(inputs[list(groups)]).double()

    # In double precision, as training makes much of a rounding.
    networks = initial(starts(6), 5, 4, 1 if task == "regression" else 3, 0.5)
    networks = Perceptrons(*(part.double() for part in networks.parts()))
    if task == "regression":
        targets = torch.from_numpy(generator.normal(size=(6, 1, 30)))
        loss = nn.MSELoss()
    else:
        targets = torch.from_numpy(generator.integers(0, 3, (6, 30)))
        loss = nn.CrossEntropyLoss()
    together = train_together(networks, inputs_of(0, 1), targets, 200)
    reached = fit(together, inputs_of(0, 1), targets)
    for number in range(6):
        one = Perceptrons(*(part[number : number + 1] for part in networks.parts()))
        own = inputs_of(number // 3)[0, :-1].T.contiguous()
        target = targets[number].T if task == "regression" else targets[number]
        first, second = alone(one, own, target, 200, loss)
        assert together.first[number, :, :-1].numpy() == pytest.approx(first.weight.detach().numpy(), abs=1e-4)
        assert together.first[number, :, -1].numpy() == pytest.approx(first.bias.detach().numpy(), abs=1e-4)
        assert together.second[number].numpy() == pytest.approx(second.weight.detach().numpy(), abs=1e-4)
        single = train_together(one, inputs_of(number // 3), targets[number : number + 1], 200)
        for mine, whole in zip(single.parts(), together.parts(), strict=True):
            assert mine[0].numpy() == pytest.approx(whole[number].numpy(), abs=1e-4)
        found = second(torch.relu(first(own)))
        assert reached.loss[number] == pytest.approx(loss(found, target).item(), abs=1e-4)
        if task == "classification":
            right = (found.argmax(dim=1) == target).float().mean().item()
            assert reached.accuracy[number] == pytest.approx(right, abs=1e-6)
    assert np.isnan(reached.accuracy).all() == (task == "regression")


def test_training_leaves_the_start_and_the_threads_alone(generator):
    networks = initial(starts(2), 5, 4, 1, 0.5)
    before = [part.clone() for part in networks.parts()]
    torch.set_num_threads(2)
    train_together(networks, with_ones(generator.normal(size=(1, 9, 5))), torch.zeros(2, 1, 9), 5)
    assert all(torch.equal(a, b) for a, b in zip(before, networks.parts(), strict=True))
    assert torch.get_num_threads() == 2


def test_learning_rate_rises_and_falls():
    rates = [learning_rate(step, 1000, 0.02) for step in range(1000)]
    assert np.argmax(rates) == 49 or np.argmax(rates) == 50
    assert max(rates) == pytest.approx(0.02, rel=1e-3) and rates[0] < 0.001 and rates[-1] < 1e-6


def test_parameters_are_counted_as_they_are():
    for d, hidden, outputs in ((10, 10, 1), (20, 8, 10)):
        sizes = initial(starts(1), d, hidden, outputs, 1).parts()
        assert parameters(d, hidden, outputs) == sum(part.numel() for part in sizes)
    for one in protocols.PROTOCOLS.values():
        if one.name == "regression":
            assert one.parameters == parameters(10, one.settings["hidden"], 1)
        if one.name == "classification":
            assert one.parameters == parameters(20, 8, 10)


def test_initial_weights_have_their_scale_and_no_bias():
    networks = initial(starts(200), 16, 4, 2, 0.5)
    assert networks.first[:, :, :-1].std().item() == pytest.approx(0.5 / 4, rel=0.05)
    assert networks.second.std().item() == pytest.approx(0.5 / 2, rel=0.1)
    assert not networks.first[:, :, -1].any() and not networks.shift.any()


def test_teachers_are_standardised_and_differ(generator):
    one, other = teacher(generator, 10, 4), teacher(generator, 10, 4)
    inputs = np.random.default_rng(3).normal(size=(50_000, 10))
    assert one(inputs).mean() == pytest.approx(0, abs=0.05) and one(inputs).std() == pytest.approx(1, abs=0.05)
    assert abs(np.corrcoef(one(inputs), other(inputs))[0, 1]) < 0.99


@pytest.mark.parametrize("mode", ["input", "label"])
def test_directions_of_noise_are_the_same_at_every_ratio(mode):
    draws = partial(regression_set, 12, d=10, members=3, mode=mode, seed=0)
    inputs, noise = draws(0, (2.0, 50.0))
    assert noise.shape == (2, 3, 12, 10 if mode == "input" else 1)
    assert noise[0] * np.sqrt(2) == pytest.approx(noise[1] * np.sqrt(50))
    again, more = draws(0, (50.0,))
    assert (inputs == again).all() and (more[0] == noise[1]).all()
    assert not (draws(1, (50.0,))[1] == more).any() and not draws(0, (np.inf,))[1].any()
    with pytest.raises(StudyError, match="mode must be one of"):
        regression_set(12, 0, (1.0,), d=10, members=3, mode="both", seed=0)


def test_replaced_labels_are_a_share_and_nested():
    labels = np.arange(4000) % 10
    snrs = ((1 - 0.4) / 0.4, (1 - 0.1) / 0.1, np.inf)
    noisy, replaced = flipped(labels, 0, snrs, members=2, seed=0)
    assert noisy.shape == (3, 2, 4000)
    assert (noisy != labels).mean(axis=2) == pytest.approx(np.array([[0.4] * 2, [0.1] * 2, [0] * 2]), abs=0.03)
    assert ((noisy != labels) == replaced).all() and (replaced[0] >= replaced[1]).all()
    assert (noisy[0][replaced[1]] == noisy[1][replaced[1]]).all()
    assert not (replaced[0, 0] == replaced[0, 1]).all()
    moved = (noisy[0] - labels)[replaced[0]] % 10
    assert np.bincount(moved, minlength=10)[1:] / len(moved) == pytest.approx(np.full(9, 1 / 9), abs=0.02)


def test_digits_are_centred_and_scaled():
    data = digits(20)
    assert data.inputs.shape == (1797, 20) and data.inputs.std() == pytest.approx(1)
    assert data.inputs.mean(axis=0) == pytest.approx(np.zeros(20), abs=1e-9)
    assert (np.diff(data.inputs.var(axis=0)) <= 0).all()
    between = data.inputs.T @ data.inputs
    assert np.abs(between - np.diag(np.diag(between))).max() < 1e-6 * between.max()


@pytest.mark.parametrize("run", [measure_regression, partial(measure_regression, mode="input"), measure_classification])
def test_rows_do_not_depend_on_which_other_ratios_there_are(run):
    rows = run(12, **FEW)
    assert {tuple(row) for row in rows} == {("n", "repetition", "snr", "measure", "value", "reason")}
    extra = {"train_accuracy"} if run is measure_classification else set()
    names = {*RECTIFIED_MEASURES, OUTPUT, "train_error", "test_error"} | extra
    assert len(rows) == 4 * len(names) and {row["measure"] for row in rows} == names
    few = {(r["repetition"], r["measure"]): r["value"] for r in run(12, **FEW | {"snrs": (10.0,)})}
    many = {(r["repetition"], r["measure"]): r["value"] for r in rows if r["snr"] == 10}
    assert few == pytest.approx(many, abs=2e-3, nan_ok=True)


def test_without_noise_networks_that_start_alike_stay_alike():
    rows = measure_classification(30, **FEW | {"snrs": (np.inf, 1.0)})
    found = {(row["snr"], row["repetition"], row["measure"]): row["value"] for row in rows}
    for name in (*RECTIFIED_MEASURES, OUTPUT):
        assert found[np.inf, 0, name] == pytest.approx(1, abs=1e-4), name
        assert found[1.0, 0, name] < 0.99, name
    own = measure_classification(30, shared_start=False, **FEW | {"snrs": (np.inf,)})
    assert all(row["value"] < 0.99 for row in own if row["measure"] in RECTIFIED_MEASURES)


def test_few_samples_are_learned_by_heart_and_many_are_not():
    options = {"snrs": (1.0,), "repetitions": 2, "members": 2, "tests": 40, "measures": ()}
    few, many = (
        {row["measure"]: row["value"] for row in measure_regression(n, steps=1500, **options)} for n in (40, 600)
    )
    assert few["train_error"] < 0.02 < 0.3 < many["train_error"]
    assert few["test_error"] > many["test_error"]


def test_more_images_than_there_are():
    with pytest.raises(StudyError, match="more than the 1797"):
        measure_classification(1500)


def test_every_protocol_runs_and_names_its_rows():
    assert {place[0] for place in protocols.PROTOCOLS} == {"linear", "descent", "regression", "classification"}
    for (name, variant), one in protocols.PROTOCOLS.items():
        assert protocols.parameters(name, variant) == one.parameters
        assert list(one.grids) == list(protocols.SIZES)
        for grid in one.grids.values():
            assert list(grid.sizes) == sorted(set(grid.sizes)) and grid.repetitions > 1
            # A dip needs sizes on both sides of the threshold.
            assert grid.sizes[0] < 0.5 * one.parameters and grid.sizes[-1] > 2 * one.parameters
    rows = protocols.run("linear", "single", 20, "smoke")
    grid = protocols.grid("linear", "single", "smoke")
    assert {(row["protocol"], row["variant"], row["n"]) for row in rows} == {("linear", "single", 20)}
    assert {row["repetition"] for row in rows} == set(range(grid.repetitions))
    assert {row["snr"] for row in rows} == set(grid.snrs)
    assert rows != protocols.run("linear", "single", 20, "smoke", seed=1)


def test_unknown_protocols_and_sizes():
    with pytest.raises(StudyError, match="did you mean 'linear input'"):
        protocols.parameters("linear", "inputs")
    with pytest.raises(StudyError, match="size must be one of smoke, reduced, full"):
        protocols.grid("linear", "input", "small")
