"""Small data sets of the dynamics: networks trained together, the context task, and predicted distances of images."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from convergent.draws import generator as named
from convergent.dynamics.context import (
    axes_cosine,
    context_task,
    feature_correlations,
    input_correlation,
    participation_ratio,
    pearson,
    scaled,
    target_correlation,
)
from convergent.dynamics.images import (
    class_sums,
    literal_structure,
    measured_structure,
    one_hot,
    pair_quantities,
    predicted_structure,
    standardised,
    structure_correlation,
    tracked_pairs,
)
from convergent.dynamics.perceptrons import ACTIVATIONS, PROTOCOL, WEIGHTS, train_together
from convergent.errors import StudyError
from convergent.threads import one_thread

MODULES = {
    "none": nn.Identity(),
    "relu": nn.ReLU(),
    "leaky_relu": nn.LeakyReLU(0.01),
    "elu": nn.ELU(),
    "tanh": nn.Tanh(),
    "silu": nn.SiLU(),
}
SMALL = {"widths": (6,) * 5, "gain": 1.2, "rate": 0.02, "batch": 4, "epochs": 3, "layer": 3, "precision": torch.float64}


@pytest.fixture(autouse=True)
def single_thread():
    """More of them only wait for each other here."""
    with one_thread():
        yield


@pytest.fixture
def data(generator):
    return generator.normal(size=(10, 3)), generator.normal(size=(10, 2))  # the last minibatch is smaller


def train(data, **changes):
    inputs, targets = data
    options = {"seeds": (0, 1), "tracked": inputs[:4], "record_epochs": (0, 1, 3), "tests": inputs} | SMALL | changes
    return train_together(inputs, targets, **options)


class Alone(nn.Module):
    """One network as torch has it."""

    def __init__(self, sizes, seed, gain, activation, skip):
        super().__init__()
        self.activation, self.skip, self.linear = MODULES[activation], skip, nn.ModuleList()
        draws = named(PROTOCOL, "weights", seed)
        for before, after in pairwise(sizes):
            layer = nn.Linear(before, after).double()
            with torch.no_grad():
                weight = draws.normal(size=(before, after)) * gain * np.sqrt(2 / (before + after))
                layer.weight.copy_(torch.from_numpy(weight.T))
                layer.bias.zero_()
            self.linear.append(layer)

    def forward(self, inputs):
        hidden = []
        for place, layer in enumerate(self.linear[:-1]):
            after = self.activation(layer(hidden[-1] if hidden else inputs))
            hidden.append(after + hidden[place - 2] if self.skip and place >= 2 else after)
        return hidden, self.linear[-1](hidden[-1])


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_training_is_that_of_automatic_derivatives(data, activation, skip, optimiser):
    rate = 0.02 if optimiser == "sgd" else 0.01
    found = train(data, activation=activation, skip=skip, optimiser=optimiser, rate=rate, gain=0.8, loss_factor=0.7)
    assert found.representations.shape == (2, 3, 4, 6) and found.outputs.shape == (2, 3, 4, 2)
    inputs, targets = (torch.from_numpy(part) for part in data)
    for network in (0, 1):
        model = Alone((3, *SMALL["widths"], 2), network, 0.8, activation, skip)
        step = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimiser](model.parameters(), lr=rate)
        for epoch in range(4):
            hidden, outputs = (part.detach() if torch.is_tensor(part) else part for part in model(inputs))
            loss = 0.7 * (outputs - targets).square().mean().item()
            assert found.loss[network, epoch] == pytest.approx(loss, rel=1e-9)
            if epoch in (0, 1, 3):
                place = (0, 1, 3).index(epoch)
                assert found.representations[network, place] == pytest.approx(hidden[3][:4].detach().numpy(), abs=1e-8)
                assert found.outputs[network, place] == pytest.approx(outputs[:4].numpy(), abs=1e-8)
            if epoch == 3:
                assert found.test_outputs[network] == pytest.approx(outputs.numpy(), abs=1e-8)
                break
            for rows in torch.from_numpy(named(PROTOCOL, "order", network, epoch).permutation(10)).split(4):
                step.zero_grad()
                (0.7 * nn.functional.mse_loss(model(inputs[rows])[1], targets[rows])).backward()
                step.step()


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_networks_together_are_those_alone(data, optimiser):
    together = train(data, seeds=(4, 9, 2), optimiser=optimiser)
    for place, seed in enumerate((4, 9, 2)):
        alone = train(data, seeds=(seed,), optimiser=optimiser)
        for mine, whole in zip(alone, together, strict=True):
            assert mine[0] == pytest.approx(whole[place], abs=1e-10)
    assert np.abs(together.outputs[0] - together.outputs[1]).max() > 0.01


def test_networks_that_are_too_large_for_one_group_are_trained_in_several(data, monkeypatch):
    whole = train(data, seeds=(0, 1, 2))
    each = 3 * 6 + 4 * 36 + 12
    assert 3 * each < WEIGHTS
    monkeypatch.setattr("convergent.dynamics.perceptrons.WEIGHTS", 2 * each)
    for mine, other in zip(train(data, seeds=(0, 1, 2)), whole, strict=True):
        assert mine == pytest.approx(other, abs=1e-10)


def test_single_precision_is_near_double_precision(data):
    for part in data:
        part.setflags(write=False)  # as a file that is mapped; PyTorch would warn
    single, double = train(data, precision=torch.float32), train(data)
    assert single.representations.dtype == np.float32 and single.loss.dtype == np.float64
    assert single.outputs == pytest.approx(double.outputs, abs=1e-4)


def test_initial_weights_do_not_depend_on_settings(data):
    one, other = train(data, activation="none"), train(data, activation="none", gain=2.4, batch=3, optimiser="adam")
    assert other.representations[:, 0] == pytest.approx(16 * one.representations[:, 0])  # the fourth layer
    wide = train(data, widths=(300, 300), layer=0, activation="none", epochs=0, record_epochs=(0,), tracked=np.eye(3))
    assert wide.representations.std() == pytest.approx(1.2 * np.sqrt(2 / 303), rel=0.05)
    assert train(data, tests=None).test_outputs is None


def test_a_network_that_diverges_disturbs_no_other(data):
    inputs, targets = data
    options = {"seeds": range(12), "activation": "none", "epochs": 30, "record_epochs": range(31), "rate": 0.1}
    found = train((inputs, targets), **options, precision=torch.float32)
    bad = np.isnan(found.loss[:, -1])
    assert 0 < bad.sum() < 12, "choose a rate at which some networks diverge"
    for place in range(12):
        nan = np.isnan(found.loss[place])
        assert (np.diff(nan.astype(int)) >= 0).all() and not np.isinf(found.loss[place]).any()
        for part in (found.representations, found.outputs):
            assert (np.isnan(part[place]).all(axis=(1, 2)) == nan).all()
            assert np.isfinite(part[place][~nan]).all()
        assert np.isnan(found.test_outputs[place]).all() == bad[place]
    well = int(np.flatnonzero(~bad)[0])
    alone = train((inputs, targets), **options | {"seeds": (well,)}, precision=torch.float32)
    assert alone.outputs[0] == pytest.approx(found.outputs[well], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "gelu"}, "activation must be one of none"),
        ({"optimiser": "lion"}, "optimiser must be one of sgd, adam"),
        ({"layer": 5}, "no hidden layer 5 of 5"),
        ({"widths": (6, 6, 5, 6), "layer": 0, "skip": True}, "make them equally wide"),
        ({"record_epochs": (0, 4)}, "0 to 4 cannot be recorded"),
    ],
)
def test_trainings_that_cannot_be(data, changes, message):
    with pytest.raises(StudyError, match=message):
        train(data, **changes)


def test_every_input_needs_a_target(data):
    with pytest.raises(StudyError, match="one target to each input"):
        train((data[0], data[1][:-1]))


def test_the_context_task_is_as_described():
    task = context_task()
    assert task.inputs.shape == (1800, 27) and task.targets.shape == (1800, 1) and task.factors.shape == (1800, 3)
    assert task.inputs[:, :25].sum(axis=1) == pytest.approx(np.ones(1800))
    context, x, y = task.factors.T
    assert (task.inputs[:, 25] == (context == 0)).all() and (task.inputs[:, 26] == (context == 1)).all()
    assert (task.targets[:, 0] == np.where(context == 0, x, y)).all()
    assert len(np.unique(x)) == 30 and abs(np.corrcoef(x, y)[0, 1]) < 1e-12
    pixel = np.linspace(-1, 1, 5)
    for row in (0, 17, 1234):
        bump = np.exp(-((pixel[None, :] - x[row]) ** 2 + (pixel[:, None] - y[row]) ** 2) / 2)
        assert task.inputs[row, :25] == pytest.approx((bump / bump.sum()).ravel())


def planted(task, angle):
    """Each context keeps its relevant feature alone, the second at an angle to the first, and is set apart."""
    context, x, y = task.factors.T
    first = np.where(context == 0, x, y * np.cos(angle))
    return np.stack([first, np.where(context == 1, y * np.sin(angle), 0), 5 * context], axis=1)


def test_statistics_of_planted_representations(generator):
    task = context_task(side=8)
    rotation = np.linalg.qr(generator.normal(size=(12, 3)))[0].T
    for angle in (0, np.pi / 3, np.pi / 2):
        rich = planted(task, angle) @ rotation + 2
        assert axes_cosine(rich, task.factors) == pytest.approx(np.cos(angle), abs=1e-9)
        assert feature_correlations(rich, task.factors) == pytest.approx((1, 0), abs=1e-9)
    # Features that count twice as much where they do not count.
    context, x, y = task.factors.T
    wrong = np.stack([x * (1 + context), y * (2 - context)], axis=1)
    assert feature_correlations(wrong, task.factors) == pytest.approx((0, 1), abs=1e-9)
    assert input_correlation(task.inputs * 3 + 1, task.inputs) == pytest.approx(1)
    assert target_correlation(task.targets @ rotation[:1] - 4, task.targets) == pytest.approx(1)
    # That the contexts are apart is nearly all of the inputs' distances, but none of those within a context.
    apart = np.hstack([task.targets, 9 * task.factors[:, :1]])
    assert input_correlation(apart, task.inputs) > 0.99
    found = input_correlation(apart, task.inputs, context)
    halves = [input_correlation(task.targets[own], task.inputs[own]) for own in (context == 0, context == 1)]
    assert found == pytest.approx(np.mean(halves)) and found < 0.8
    assert target_correlation(apart, task.targets, context) == pytest.approx(1)
    assert abs(target_correlation(generator.normal(size=(128, 5)), task.targets)) < 0.1
    assert np.isnan(axes_cosine(np.ones((128, 2)), task.factors))
    assert np.isnan(input_correlation(np.full((128, 2), 0.1), task.inputs))


def test_participation_ratio_counts_directions(generator):
    values = np.linalg.qr(generator.normal(size=(50, 6)))[0]
    values = np.linalg.qr(values - values.mean(axis=0))[0] @ generator.normal(size=(6, 9))
    eigenvalues = np.linalg.eigvalsh(np.cov(values.T))
    expected = eigenvalues.sum() ** 2 / np.square(eigenvalues).sum()
    assert participation_ratio(values.astype(np.float32)) == pytest.approx(expected, rel=1e-4)
    assert participation_ratio(np.outer(np.arange(5), [1, 2]) + 3) == pytest.approx(1)
    assert np.isnan(participation_ratio(np.ones((5, 2))))


def test_scaling_recovers_points_of_three_dimensions(generator):
    points = generator.normal(size=(80, 3)) * [3, 2, 1]
    hidden = points @ np.linalg.qr(generator.normal(size=(10, 3)))[0].T + 7
    found = scaled(hidden, samples=60)
    again = scaled(hidden, samples=60)
    assert (found.coordinates == again.coordinates).all() and (found.shown == again.shown).all()
    assert found.coordinates.shape == (60, 3) and len(set(found.shown.tolist())) == 60
    assert (found.shown != scaled(hidden, samples=60, seed=1).shown).any()

    def distances(values):
        return np.linalg.norm(values[:, None] - values, axis=2)

    assert distances(found.coordinates) == pytest.approx(distances(points[found.shown]), abs=1e-6)
    assert found.stress == pytest.approx(0, abs=1e-6)
    flat = scaled(hidden, components=2, samples=1000)
    # Iterations keep distances better than the principal components they begin with.
    start = hidden - hidden.mean(axis=0)
    start = start @ np.linalg.svd(start, full_matrices=False)[2][:2].T
    true = distances(points)
    worst, better = (np.square(distances(one) - true).sum() for one in (start, flat.coordinates))
    assert len(flat.shown) == 80 and better < worst
    stress = np.sqrt(better / np.square(distances(flat.coordinates)).sum())
    assert flat.stress == pytest.approx(stress)
    with pytest.raises(StudyError, match="no 11 components"):
        scaled(hidden, components=11)


@pytest.fixture
def pictures(generator):
    """As far apart as raw pixels: classes of different sizes."""
    labels = np.repeat([0, 1, 2, 4], [7, 5, 9, 4])
    return generator.integers(0, 256, (25, 40)).astype(float), generator.permutation(labels)


@pytest.mark.parametrize("squared", [False, True])
def test_the_block_form_is_the_product(pictures, squared, monkeypatch):
    images, labels = pictures
    shown = np.array([3, 0, 24, 7, 11])
    literal = literal_structure(images, labels, shown, squared)
    assert predicted_structure(images, labels, shown, squared=squared) == pytest.approx(literal, rel=1e-12)
    monkeypatch.setattr("convergent.dynamics.images.ROWS", 2)
    assert predicted_structure(images, labels, shown, squared=squared) == pytest.approx(literal, rel=1e-12)
    # By the definition, entry by entry.
    distances = np.linalg.norm(images[:, None] - images, axis=2) * np.linalg.norm(
        one_hot(labels)[:, None] - one_hot(labels), axis=2
    )
    product = (np.exp(-distances) @ distances @ np.exp(-distances))[np.ix_(shown, shown)]
    assert literal == pytest.approx(product**2 if squared else product, rel=1e-12)


def test_small_pixels_need_the_product(pictures):
    images, labels = pictures
    shown = np.arange(25)
    literal = literal_structure(images / 1e5, labels, shown)
    # All images are near each other: E is 1 everywhere, and all entries are one sum.
    assert literal == pytest.approx(np.full((25, 25), literal.mean()), rel=0.05)
    assert (predicted_structure(images / 1e5, labels, shown) < 0.1 * literal).all()


def test_means_of_classes_do_not_grow_with_their_sizes(pictures):
    images, labels = pictures
    shown = np.arange(25)
    mean = predicted_structure(images, labels, shown, average=True, squared=False)
    twice = predicted_structure(np.vstack([images] * 2), np.tile(labels, 2), shown, average=True, squared=False)
    assert mean == pytest.approx(twice)
    classes, sizes, sums = class_sums(images, labels)
    assert classes.tolist() == [0, 1, 2, 4] and sizes.tolist() == [7, 5, 9, 4] and (sums == sums.T).all()
    own = np.linalg.norm(images[labels == 0][:, None] - images[labels == 4], axis=2)
    block = mean[np.ix_(labels == 0, labels == 4)]
    assert block == pytest.approx(np.full((7, 4), np.sqrt(2) * own.mean()))
    assert not mean[np.ix_(labels == 1, labels == 1)].any()


def test_planted_structures_are_predicted(pictures, generator):
    images, labels = pictures
    # Classes at the corners of a simplex, at distances that follow the prediction.
    predicted = predicted_structure(images, labels, np.arange(25), squared=False)
    assert structure_correlation(predicted, 3 * predicted, labels) == pytest.approx((1, 1))
    between = labels[:, None] != labels
    broken = predicted + between * generator.normal(size=(25, 25)) * predicted.std()
    everything, without = structure_correlation(predicted, broken, labels)
    assert without == pytest.approx(np.corrcoef(predicted[between], broken[between])[0, 1])
    assert everything == pytest.approx(np.corrcoef(predicted.ravel(), broken.ravel())[0, 1])
    assert everything > without
    # Without classes' own blocks nothing differs.
    assert np.isnan(structure_correlation(predicted, between * 0.1, labels).between)


def test_measured_structure_is_the_mean_of_squared_distances(generator):
    values = generator.normal(size=(3, 6, 4)) + 5
    distances = np.linalg.norm(values[:, :, None] - values[:, None], axis=3)
    assert measured_structure(values.astype(np.float32)) == pytest.approx((distances**2).mean(axis=0), abs=1e-5)
    assert measured_structure(values, squared=False) == pytest.approx(distances.mean(axis=0))
    assert not np.diag(measured_structure(values)).any()


def test_tracked_pairs_are_of_their_classes(pictures):
    images, labels = pictures
    pairs = tracked_pairs(images, labels, (1, 4), 4, seed=0)
    assert pairs.shape == (4, 2) and len(np.unique(pairs)) == 8
    assert (labels[pairs] == [1, 4]).all()
    assert (pairs == tracked_pairs(images, labels, (1, 4), 4, seed=0)).all()
    assert (pairs != tracked_pairs(images, labels, (1, 4), 4, seed=1)).any()
    with pytest.raises(StudyError, match="class 4 has 4 images, too few for 5 pairs"):
        tracked_pairs(images, labels, (1, 4), 5)
    with pytest.raises(StudyError, match="one label to each image"):
        tracked_pairs(images, labels[1:])


def test_quantities_of_pairs_are_as_defined(generator):
    hidden, outputs = generator.normal(size=(2, 3, 8, 5)), generator.normal(size=(2, 3, 8, 4))
    targets = one_hot(np.array([0, 1] * 4), 4)
    found = pair_quantities(hidden, outputs, targets)
    assert all(part.shape == (2, 4, 3) for part in found)
    for network, pair, epoch in np.ndindex(2, 4, 3):
        at = network, pair, epoch
        apart = hidden[network, epoch, 2 * pair + 1] - hidden[network, epoch, 2 * pair]
        given = outputs[network, epoch, 2 * pair + 1] - outputs[network, epoch, 2 * pair]
        wanted = targets[2 * pair + 1] - targets[2 * pair]
        assert found.hidden[at] == pytest.approx(apart @ apart)
        assert found.output[at] == pytest.approx(given @ given)
        assert found.overlap[at] == pytest.approx(given @ given - wanted @ given)
    learned = pair_quantities(hidden, np.broadcast_to(targets, outputs.shape), targets)
    assert learned.output == pytest.approx(np.full((2, 4, 3), 2)) and not learned.overlap.any()
    with pytest.raises(StudyError, match="no pairs"):
        pair_quantities(hidden[:, :, :7], outputs[:, :, :7], targets[:7])


def test_images_are_standardised_over_all_pixels(pictures):
    images, _ = pictures
    values = standardised(images)
    assert values.mean() == pytest.approx(0) and values.std() == pytest.approx(1)
    assert values == pytest.approx((images - images.mean()) / images.std())
    with pytest.raises(StudyError, match="cannot be standardised"):
        standardised(np.ones((3, 4)))


def test_correlation_of_lists(generator):
    one, other = generator.normal(size=(2, 50))
    assert pearson(one, other) == pytest.approx(np.corrcoef(one, other)[0, 1])
    assert np.isnan(pearson(one, np.full(50, 0.1)))


def test_digits_are_learned_from_small_distances():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images, targets = standardised(images), one_hot(labels)
    pairs = tracked_pairs(images[:600], labels[:600], pairs=5).ravel()
    found = train_together(
        images[:600],
        targets[:600],
        seeds=(0, 1),
        widths=(60,) * 3,
        gain=0.5,
        rate=0.002,
        batch=32,
        epochs=25,
        optimiser="adam",
        layer=1,
        tracked=images[pairs],
        record_epochs=(0, 25),
        tests=images[600:1200],
    )
    assert ((found.test_outputs.argmax(axis=2) == labels[600:1200]).mean(axis=1) > 0.85).all()
    hidden, output, overlap = pair_quantities(found.representations, found.outputs, targets[pairs])
    assert (hidden[..., 0] < 0.3 * hidden[..., 1]).all()
    assert output[..., 1] == pytest.approx(np.full((2, 5), 2), abs=0.6)
    assert np.abs(overlap[..., 1]).mean() < 0.3
