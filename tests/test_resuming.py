"""Training that was stopped goes on to the same weights and rows, bit for bit, wherever it was stopped."""

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import stand_in
import torch
from torch import nn

from convergent import training
from convergent.datasets import prepare
from convergent.ensembles import train_together
from convergent.errors import StudyError
from convergent.models import build
from convergent.resuming import Resumption
from convergent.threads import one_thread
from convergent.training import train

KEY = "k" * 64
SCRIPTS = Path(__file__).parents[1] / "workflow" / "scripts"
CAFFENET = stand_in.CAFFENET | {"dropout": 0.3}
STEPS = 4  # of an epoch
RECIPE = {"epochs": 3, "batch_size": 32, "learning_rate": 0.02}
# Calls of `rest` before the first step: the batches of the train and the validation split.
BEFORE, AFTER = STEPS + 1 + 2, 2


class Killed(Exception):
    """A process that is gone from one moment to the next."""


class Interrupted(Resumption):
    """Writes the state at every `every`th rest, and is killed after some number of them."""

    def __init__(self, *arguments, rests, every=1):
        super().__init__(*arguments)
        self.rests, self.every, self.done = rests, every, 0

    def rest(self, state):
        self.seconds = 0 if self.done % self.every == 0 else float("inf")
        super().rest(state)
        self.done += 1
        if self.done == self.rests:
            raise Killed


@pytest.fixture(autouse=True)
def alone():
    with one_thread():
        yield


@pytest.fixture
def data():
    data = stand_in.digits()
    data.splits = {"train": data.splits["train"][: 32 * STEPS + 5], "validation": data.splits["validation"][:50]}
    return data


def with_batch_normalisation(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))


def networks(count, name):
    if name == "batchnorm":
        return [with_batch_normalisation(seed) for seed in range(count)]
    return [build("caffenet", CAFFENET, (1, 8, 8), 10, seed) for seed in range(count)]


def run(data, resumption, *, count=1, name="caffenet", **recipe):
    """Weights after training, the rows without seconds, and what was kept on the way."""
    recipe = RECIPE | recipe
    trained, kept = networks(count, name), {}

    def keep(number, row, network):
        if row["epoch"] in (0, 2):
            kept[number, row["epoch"]] = (weights(network), row["train_loss"], network.training)

    if count == 1:
        rows = [train(trained[0], data, on_epoch=lambda *found: keep(0, *found), resumption=resumption, **recipe)]
    else:
        rows = train_together(trained, data, order_seeds=range(count), on_epoch=keep, resumption=resumption, **recipe)
    rows = [[{name: value for name, value in row.items() if name != "seconds"} for row in each] for each in rows]
    return [weights(network) for network in trained], rows, kept


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def equal(one, other):
    """Whether nested results are equal bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


AUGMENTED = {"shift": 1, "mirror": True, "label_noise": 0.2}


@pytest.mark.parametrize(
    ("recipe", "rests", "every"),
    [
        (AUGMENTED, BEFORE + 2, 1),  # in the first epoch
        (AUGMENTED, BEFORE + 3, 2),  # one step after the state was written
        (AUGMENTED, BEFORE + STEPS + 1, 1),  # while the first epoch is judged
        (AUGMENTED, BEFORE + 2 * (STEPS + AFTER) + 3, 1),  # in the third, when rows and weights have been kept
        (AUGMENTED, BEFORE - 3, 1),  # before the first step
        ({"optimizer": "adamw", "learning_rate": 0.003, "schedule": "cosine"}, BEFORE + STEPS + AFTER + 1, 1),
        ({"momentum": 0.0, "precision": "bfloat16"}, BEFORE + STEPS + AFTER + 1, 1),
        ({"name": "batchnorm"}, BEFORE + STEPS + AFTER + 2, 1),
        ({"count": 2, **AUGMENTED}, BEFORE + 2 * (STEPS + AFTER) + 3, 1),
    ],
)
def test_a_killed_training_goes_on_as_if_it_had_never_stopped(recipe, rests, every, data, tmp_path):
    undisturbed = run(data, None, **recipe)
    path = tmp_path / "resume.safetensors"
    with pytest.raises(Killed):
        run(data, Interrupted(path, KEY, 0, (0, 2), rests=rests, every=every), **recipe)
    assert path.exists() == (rests > BEFORE)
    assert equal(run(data, Resumption(path, KEY, 30, (0, 2)), **recipe), undisturbed)


def test_a_training_can_be_killed_many_times(data, tmp_path):
    undisturbed = run(data, None, **AUGMENTED)
    for rests in (BEFORE + 1, 2, 3, 5, 4, 3):
        with pytest.raises(Killed):
            run(data, Interrupted(tmp_path / "resume.safetensors", KEY, 0, (0, 2), rests=rests), **AUGMENTED)
    assert equal(run(data, Resumption(tmp_path / "resume.safetensors", KEY, 30, (0, 2)), **AUGMENTED), undisturbed)


@pytest.mark.parametrize("cropped", [False, True])
def test_images_that_are_read_ahead_go_on_too(cropped, data, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "RESIDENT_BYTES", 0)
    data.decodes, read, shown = True, data.images, []

    def images(indices, random_state=None):
        shown.append(len(indices))
        return read(indices) if random_state is None else np.roll(read(indices), random_state.integers(8), axis=3)

    monkeypatch.setattr(data, "images", images)
    undisturbed = run(data, None, random_crop=cropped, **AUGMENTED)
    path = tmp_path / "resume.safetensors"
    with pytest.raises(Killed):
        run(data, Interrupted(path, KEY, 0, (0, 2), rests=BEFORE + STEPS + AFTER + 3), random_crop=cropped, **AUGMENTED)
    shown.clear()
    assert equal(run(data, Resumption(path, KEY, 30, (0, 2)), random_crop=cropped, **AUGMENTED), undisturbed)
    # One step of the second epoch was left, and the third: nothing is read again that has been used.
    assert shown.count(32) == (1 + STEPS) + 2 * 1


def test_a_short_training_writes_nothing(data, tmp_path):
    run(data, Resumption(tmp_path / "resume.safetensors", KEY, 30))
    assert not list(tmp_path.iterdir())


def test_the_state_of_another_training_or_a_damaged_one_is_left_alone(data, tmp_path, caplog):
    path = tmp_path / "resume.safetensors"
    undisturbed = run(data, None)
    with pytest.raises(Killed):
        run(data, Interrupted(path, "another", 0, rests=BEFORE + 2), learning_rate=0.01)
    caplog.set_level("INFO")
    assert equal(run(data, Resumption(path, KEY, 30)), undisturbed)
    assert f"{path} is of another training" in caplog.text
    path.write_bytes(path.read_bytes()[:-1])
    assert equal(run(data, Resumption(path, "another", 30)), undisturbed)
    assert f"{path} cannot be read" in caplog.text


def test_seconds_count_what_was_spent_before(data, tmp_path, monkeypatch):
    path, clock = tmp_path / "resume.safetensors", iter(range(0, 10_000, 10))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    with pytest.raises(Killed):
        run(data, Interrupted(path, KEY, 0, rests=BEFORE + STEPS))
    [network] = networks(1, "caffenet")
    rows = train(network, data, resumption=Resumption(path, KEY, 30), **RECIPE)
    # The clock moves whenever it is read: at every writing, and at the end.
    assert rows[1]["seconds"] > STEPS * 10


# What a job does, as a process of its own.
PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import torch
from test_resuming import long_training
from convergent.errors import StudyError
from convergent.resuming import Resumption

torch.set_num_threads(1)
resumption = Resumption({path!r}, "key", {minutes}, [0])
try:
    with resumption.listening():
        long_training(resumption, lambda row, network: print("epoch", row["epoch"], flush=True))
except StudyError as error:
    sys.exit(str(error))
"""


def long_training(resumption, on_epoch):
    data = stand_in.digits()
    network = build("caffenet", CAFFENET, data.shape, 10, 0)
    train(network, data, epochs=8, shift=1, resumption=resumption, on_epoch=on_epoch)
    return weights(network)


def test_a_process_that_is_asked_to_end_or_killed_goes_on(tmp_path):
    """SIGTERM, as at a time limit: the state is written and a sentence said; and kill -9, between two writings."""
    path = tmp_path / "resume.safetensors"

    def stopped(number, minutes, epoch):
        program = PROGRAM.format(tests=str(Path(__file__).parent), path=str(path), minutes=minutes)
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "workflow")}
        with subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=-1, stderr=-1, text=True
        ) as process:
            for line in process.stdout:
                if line == f"epoch {epoch}\n":
                    process.send_signal(number)
                    break
            return *process.communicate(timeout=60), process.returncode

    _, said, status = stopped(signal.SIGTERM, 30, 1)
    assert status == 1
    assert "training was ended by SIGTERM after step" in said
    assert said.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert stopped(signal.SIGKILL, 0, 4)[2] == -signal.SIGKILL
    (tmp_path / f".resume.{'0' * 12}.safetensors").write_bytes(b"killed while it was written")
    seen = []
    resumption = Resumption(path, "key", 30)
    found = long_training(resumption, lambda row, _: seen.append(row["epoch"]))
    assert seen == [0, *range(seen[1], 9)]  # what the caller keeps is given again
    assert seen[1] >= 4
    assert equal(found, long_training(None, None))
    resumption.remove()
    assert not list(tmp_path.iterdir())


def test_a_signal_before_the_first_step_writes_nothing(data, tmp_path):
    resumption = Resumption(tmp_path / "resume.safetensors", KEY, 30)
    with resumption.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StudyError, match="SIGTERM before its first step: the same command goes on"):
            run(data, resumption)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert not list(tmp_path.iterdir())


class Files(list):
    """Files of a job, together and by their names, as Snakemake gives them."""

    def __init__(self, **named):
        super().__init__(path for paths in named.values() for path in paths)
        for name, paths in named.items():
            setattr(self, name, paths if len(paths) > 1 or name == "histories" else paths[0])


def test_the_job_of_the_workflow_goes_on_and_gives_all_its_products(tmp_path, monkeypatch):
    """The script itself, run as Snakemake runs it; the files of a failed job are deleted, the state stays."""
    prepare(
        "digits", tmp_path / "data", options={}, downloads="", train=100, validation=50, probe=None, seed=0, key="d"
    )
    populations = ("trained", "epoch_0002", "untrained")
    snakemake = SimpleNamespace(
        rule="train_network",
        threads=1,
        log=[str(tmp_path / "log.txt")],
        wildcards=SimpleNamespace(network="net1"),
        config={"training": {"resume_minutes": None}},  # only when it is asked to end
        input=Files(dataset=[str(tmp_path / "data" / "dataset.json")]),
        output=Files(
            weights=[str(tmp_path / "net1" / f"{population}.safetensors") for population in populations],
            histories=[str(tmp_path / "net1" / "history.csv")],
        ),
        params=SimpleNamespace(
            runs={
                "net1": {
                    "key": KEY,
                    "seeds": {"initialisation": 1, "data_order": 2},
                    "architecture": {"name": "caffenet", "options": CAFFENET, "classes": 10},
                }
            },
            data_key="d",
            training=RECIPE,
            checkpoints={"epoch_0002": 2},
            label_noise_seed=0,
            device="cpu",
        ),
    )

    def job():
        runpy.run_path(str(SCRIPTS / "train_network.py"), init_globals={"snakemake": snakemake})
        return [Path(path).read_bytes() for path in snakemake.output.weights]

    monkeypatch.syspath_prepend(SCRIPTS)
    rest = Resumption.rest

    def ended(self, state):
        if (state.epoch, state.step) == (3, 1):
            os.kill(os.getpid(), signal.SIGTERM)
        rest(self, state)

    undisturbed = job()
    with monkeypatch.context() as patch:
        patch.setattr(Resumption, "rest", ended)
        with pytest.raises(SystemExit):
            job()
    assert "Error: training was ended by SIGTERM after step 1 of epoch 3" in (tmp_path / "log.txt").read_text()
    for path in snakemake.output.weights[1:]:
        os.remove(path)
    assert job() == undisturbed
    said = (tmp_path / "log.txt").read_text()
    assert [f"epoch {epoch}, " in said for epoch in range(4)] == [True, False, True, True]  # kept ones are given again
    assert not (tmp_path / "net1" / "resume.safetensors").exists()
    with open(snakemake.output.histories[0]) as handle:
        assert [line.split(",")[0] for line in handle][1:] == ["0", "1", "2", "3"]
