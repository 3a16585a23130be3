"""Networks trained on a few points: the steps of automatic differentiation, and records of what there was before."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from torch.nn import functional

from convergent.dynamics import networks
from convergent.dynamics.networks import build, pair_quantities, rotated, shapes, train_together, two_points, xor
from convergent.dynamics.settings import SETTINGS, setting
from convergent.errors import StudyError
from convergent.threads import one_thread

SMALL = replace(setting("narrow"), width=12, hidden=4, layer=2)
ACTIVATIONS = {
    "none": lambda z: z,
    "relu": torch.relu,
    "leaky_relu": lambda z: functional.leaky_relu(z, 0.01),
    "elu": functional.elu,
    "tanh": torch.tanh,
    "silu": functional.silu,
}


@pytest.fixture(autouse=True)
def single_thread():
    """More of them only wait for each other here."""
    with one_thread():
        yield


def small(name):
    """A setting with its model and activation, but few and narrow layers."""
    one = setting(name)
    if one.model == "convolutional":
        return replace(one, width=50, hidden=5, layer=2)
    return replace(one, width=12, hidden=min(one.hidden, 6), layer=min(one.layer, 2))


def alone(one, parameters, inputs, masks=None):
    """Hidden activations (points, units) and outputs of one network by the definition of its model."""
    activation = ACTIVATIONS[one.activation]
    weights, biases = parameters[::2], parameters[1::2]
    hidden, now = [], inputs
    for place, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        if weight.ndim == 3:
            now = functional.conv1d(now.reshape(len(inputs), weight.shape[1], -1), weight, bias)
        else:
            now = now.flatten(1)
            now = (now if masks is None else now * masks[place]) @ weight + bias
        if place < len(weights) - 1:
            now = activation(now)
            if one.model == "skip" and place >= 2:
                now = now + hidden[place - 2]
            hidden.append(now)
    return [part.flatten(1) for part in hidden], now


def autograd(one, start, inputs, targets, steps, rate, masks=None, factor=0.5):
    """Parameters of one network after steps by automatic differentiation and PyTorch's optimiser."""
    parameters = [part.clone().requires_grad_() for part in start]
    optimiser = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[one.optimiser](parameters, lr=rate)
    for step in range(steps):
        optimiser.zero_grad()
        outputs = alone(one, parameters, inputs, None if masks is None else masks[step])[1]
        (factor * functional.mse_loss(outputs, targets)).backward()
        optimiser.step()
    return [part.detach() for part in parameters]


def stacked(points, networks_):
    """Inputs and targets (networks, points, 1) in double precision."""
    return [torch.from_numpy(part).expand(networks_, -1, -1).contiguous() for part in points]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_steps_are_those_of_automatic_differentiation(name, large, monkeypatch):
    if large:
        # Weights that are left as they are for some steps, seven being no multiple of three.
        monkeypatch.setattr(networks, "LARGE", 100)
    one = small(name)
    rate = 0.01 if one.optimiser == "adam" else 0.1
    stack = build(one, [3, 4], dtype=torch.float64, held=3)
    starts = [[part[place].detach().clone() for part in stack.parameters()] for place in range(2)]
    inputs, targets = stacked(two_points(), 2)
    masks = []
    with torch.no_grad():
        for _ in range(7):
            stack.forward(inputs)
            masks.append(stack.masks if one.model == "dropout" else None)
            stack.step(targets, 0.5, rate)
    for place, start in enumerate(starts):
        own = [[part[place] for part in step] for step in masks] if one.model == "dropout" else None
        wanted = autograd(one, start, inputs[place], targets[place], 7, rate, own)
        for found, part, before in zip(stack.parameters(), wanted, start, strict=True):
            assert found[place].detach().numpy() == pytest.approx(part.numpy(), abs=1e-9)
            assert not torch.equal(part, before)


@pytest.mark.parametrize("name", ["default", "skip", "cnn", "dropout"])
def test_records_are_direct_computations(name):
    one = small(name)
    points = xor()[0][:3, :1] - 0.3, np.array([[0.1, 0.2], [0.5, 0.9], [0.3, 0.3]])
    layers = (2, 0, one.hidden - 1)
    options = {"seeds": [5], "rate": 0.05, "layers": layers, "loss_factor": 0.7, "dtype": torch.float64}
    probes = np.linspace(-1, 1, 4)[:, None]
    record = train_together(one, *points, epochs=6, probes=probes, probe_epochs=(0, 3), **options)
    inputs, targets = (torch.from_numpy(part) for part in points)
    stack = build(one, [5], outputs=2, dtype=torch.float64)
    with torch.no_grad():
        for epoch in range(4):
            # The loss is that before the step.
            hidden, outputs = alone(one, [part[0] for part in stack.parameters()], inputs)
            assert record.outputs[0, epoch] == pytest.approx(outputs.numpy(), abs=1e-9)
            assert record.loss[0, epoch] == pytest.approx(0.7 * (outputs - targets).square().mean().item(), abs=1e-9)
            for place, layer in enumerate(layers):
                apart = [(hidden[layer][i] - hidden[layer][j]).square().sum() for i, j in combinations(range(3), 2)]
                assert record.distances[0, place, epoch] == pytest.approx(np.array(apart), abs=1e-9)
            if epoch in (0, 3):
                seen = alone(one, [part[0] for part in stack.parameters()], torch.from_numpy(probes))[0][2].numpy()
                found = record.probes[0, (0, 3).index(epoch)]
                assert found.shape == (4, 4) and found.dtype == np.float32
                assert found @ found.T == pytest.approx(seen @ seen.T, abs=1e-5)
            stack.forward(inputs[None])
            stack.step(targets[None], 0.7, 0.05)
    assert record.epochs.tolist() == [6] and np.isfinite(record.loss).all()
    shape = (1, 3, 6, 3), (1, 6, 3, 2)
    assert (record.distances.shape, record.outputs.shape) == shape and record.distances.dtype == np.float64


def test_pair_quantities():
    points = two_points()
    record = train_together(SMALL, *points, seeds=[0, 1], epochs=5, rate=0.1, layers=(0, 2))
    pair = pair_quantities(record, points[1], 1)
    apart, wanted = record.outputs[:, :, 1] - record.outputs[:, :, 0], points[1][1] - points[1][0]
    assert pair.output == pytest.approx(apart[..., 0] ** 2)
    assert pair.overlap == pytest.approx(apart[..., 0] ** 2 - apart[..., 0] * wanted)
    assert pair.mean_error == pytest.approx((record.outputs.mean(axis=2)[..., 0] - points[1].mean()) ** 2)
    assert (pair.hidden == record.distances[:, 1, :, 0]).all()
    # The loss is that of the mean and of the difference.
    assert record.loss == pytest.approx((2 * pair.mean_error + pair.overlap + (0.5 - pair.output) / 2) / 4)
    with pytest.raises(StudyError, match="two points, not of 4"):
        pair_quantities(train_together(SMALL, *xor(), seeds=[0], epochs=1, rate=0.1), xor()[1])


@pytest.mark.parametrize("name", ["narrow", "skip", "cnn", "dropout", "adam"])
def test_a_network_trains_as_if_it_were_alone(name):
    one = small(name)
    options = {"epochs": 20, "rate": 0.005 if name == "adam" else 0.05}
    whole = train_together(one, *two_points(), seeds=[7, 8, 9], **options)
    turned = train_together(one, *two_points(), seeds=[9, 7, 8], together=2, **options)
    for place, seed in enumerate((7, 8, 9)):
        single = train_together(one, *two_points(), seeds=[seed], **options)
        for found, all_, other in zip(single[:3], whole[:3], turned[:3], strict=True):
            assert found[0] == pytest.approx(all_[place], abs=1e-5)
            assert found[0] == pytest.approx(other[(place + 1) % 3], abs=1e-5)
    assert np.abs(whole.outputs[0] - whole.outputs[1]).max() > 1e-3


def test_each_network_may_have_its_own_points():
    points = [two_points(), two_points(0.25, 1.0)]
    inputs, targets = (np.stack(part) for part in zip(*points, strict=True))
    whole = train_together(SMALL, inputs, targets, seeds=[1, 1], epochs=9, rate=0.1)
    for place, own in enumerate(points):
        single = train_together(SMALL, *own, seeds=[1], epochs=9, rate=0.1)
        assert whole.outputs[place] == pytest.approx(single.outputs[0], abs=1e-5)
    assert np.abs(whole.loss[0] - whole.loss[1]).max() > 1e-3


@pytest.mark.parametrize("name", ["narrow", "cnn", "dropout"])
def test_a_network_that_diverges_leaves_the_others_alone(name):
    one = small(name)
    targets = np.stack([two_points()[1], two_points()[1] + 3000, two_points()[1]])
    inputs = np.stack([two_points()[0]] * 3)
    record = train_together(
        one, inputs, targets, seeds=[0, 1, 2], epochs=12, rate=0.02, probes=inputs[0], probe_epochs=(0, 11)
    )
    alone_ = train_together(one, inputs[0], targets[0], seeds=[0, 2], epochs=12, rate=0.02)
    assert record.epochs[1] < 12 and (record.epochs[[0, 2]] == 12).all()
    for part in record[:3]:
        assert np.isfinite(part[[0, 2]]).all()
    assert np.isnan(record.loss[1, record.epochs[1] :]).all() and np.isnan(record.outputs[1, record.epochs[1] :]).all()
    assert np.isnan(record.distances[1, :, record.epochs[1] :]).all()
    assert np.isnan(record.probes[1, 1]).all() and np.isfinite(record.probes[[0, 2]]).all()
    assert record.loss[[0, 2]] == pytest.approx(alone_.loss, abs=1e-5)


def test_a_loss_that_grows_beyond_all_bounds():
    record = train_together(SMALL, *two_points(), seeds=[0, 1], epochs=400, rate=500.0)
    assert (record.epochs < 400).all()
    for place, recorded in enumerate(record.epochs):
        assert (record.loss[place, :recorded] <= 1e6).all() and np.isnan(record.loss[place, recorded:]).all()


def test_networks_stop_below_a_loss():
    options = {"epochs": 400, "rate": 0.1}
    free = train_together(SMALL, *two_points(), seeds=[0, 1, 2, 3], **options)
    below = float(np.median(free.loss[:, 60]))
    record = train_together(SMALL, *two_points(), seeds=[0, 1, 2, 3], stop_below=below, **options)
    assert len(set(record.epochs.tolist())) > 1
    for place, recorded in enumerate(record.epochs):
        assert record.loss[place, :recorded] == pytest.approx(free.loss[place, :recorded], abs=1e-5)
        assert (record.loss[place, : recorded - 1] >= below).all()
        assert recorded == 400 or record.loss[place, recorded - 1] < below
        assert np.isnan(record.loss[place, recorded:]).all()


@pytest.mark.parametrize("name", ["default", "gain_1.4", "cnn", "skip"])
def test_initial_weights_have_the_declared_deviation(name):
    one = replace(setting(name), hidden=4) if name != "cnn" else setting(name)
    parameters = build(one, [0, 1], d=2, outputs=3).parameters()
    assert all(not part.any() for part in parameters[1::2])
    for shape, part in zip(shapes(one, 2, 3), parameters[::2], strict=True):
        assert part.shape == (2, *shape)
        # As PyTorch counts fans: those of (out, in, kernel), and dense weights either way around.
        mould = torch.empty(shape)
        fans = torch.nn.init._calculate_fan_in_and_fan_out(mould)
        wanted = one.gain * np.sqrt(2 / sum(fans))
        count = part.numel()
        assert part.std().item() == pytest.approx(wanted, rel=4 / np.sqrt(2 * count))
        assert abs(part.mean().item()) < 4 * wanted / np.sqrt(count)
    again = build(one, [1], d=2, outputs=3).parameters()
    assert all(torch.equal(a[0], b[1]) for a, b in zip(again, parameters, strict=True))


def test_networks_have_the_declared_layers():
    assert len(shapes(setting("default"))) == 21 and len(shapes(setting("dropout"))) == 11
    hidden, outputs = build(setting("cnn"), [0]).forward(torch.zeros(1, 2, 1))
    assert [part.shape[2] for part in hidden] == [500, *(20 * (490 - 10 * k) for k in range(10)), 390]
    assert outputs.shape == (1, 2, 1)
    with pytest.raises(StudyError, match="a width of 100"):
        build(replace(setting("cnn"), width=100), [0])


def test_dropout_keeps_nine_tenths_and_the_mean():
    one = setting("dropout")
    stack = build(one, [0, 1])
    stack.forward(torch.ones(2, 2, 1))
    first = [part.clone() for part in stack.masks]
    assert [part.shape for part in first] == [(2, 2, 1), *[(2, 2, 500)] * 10]
    values = torch.cat(first[1:], 2)
    assert values.unique().tolist() == pytest.approx([0, 1 / 0.9]) and values.mean().item() == pytest.approx(
        1, abs=0.02
    )
    stack.forward(torch.ones(2, 2, 1))
    assert not torch.equal(first[3], stack.masks[3]) and not torch.equal(first[3][0], first[3][1])


def test_rotations_keep_inner_products(generator):
    activations = generator.normal(size=(2, 6, 40))
    found = rotated(activations)
    assert found.shape == (2, 6, 6)
    assert found @ found.swapaxes(1, 2) == pytest.approx(activations @ activations.swapaxes(1, 2), abs=1e-4)
    assert rotated(activations.swapaxes(1, 2)).shape == (2, 40, 6)


def test_points_have_their_distances():
    inputs, targets = two_points()
    assert inputs.tolist() == [[-1.0], [0.0]] and targets[:, 0] == pytest.approx([0.6, 1.3071], abs=1e-4)
    inputs, targets = two_points(2.25, 0.0)
    assert np.square(np.diff(inputs[:, 0])) == pytest.approx([2.25]) and targets.tolist() == [[0.6], [0.6]]
    assert (xor()[1][:, 0] == np.logical_xor(*xor()[0].T)).all()


def test_xor_is_learned():
    one = replace(setting("narrow"), gain=1.2, hidden=3, layer=1)
    record = train_together(one, *xor(), seeds=[0, 1], epochs=1500, rate=0.1, loss_factor=1.0)
    assert (record.loss[:, -1] < 1e-2).all() and record.distances.shape == (2, 1, 1500, 6)


def test_threads_and_what_cannot_be():
    torch.set_num_threads(2)
    train_together(SMALL, *two_points(), seeds=[0], epochs=2, rate=0.1)
    assert torch.get_num_threads() == 2
    run = {"seeds": [0], "epochs": 2, "rate": 0.1}
    with pytest.raises(StudyError, match="some of 0 to 3"):
        train_together(SMALL, *two_points(), layers=(4,), **run)
    with pytest.raises(StudyError, match="epochs 0 to 1"):
        train_together(SMALL, *two_points(), probes=two_points()[0], probe_epochs=(2,), **run)
    with pytest.raises(StudyError, match="2 points have 4 targets"):
        train_together(SMALL, two_points()[0], xor()[1], **run)
    with pytest.raises(StudyError, match="data of 1 networks"):
        train_together(SMALL, np.zeros((2, 2, 1)), two_points()[1], **run)
