"""What jobs ask of a scheduler: it grows with the work, covers what was measured, and changes no result."""

from pathlib import Path

import pytest
import yaml

import resources
from configuration import completed
from plan import Names, Plan
from resources import ESTIMATES, LAUNCHING, PLAIN, WITH_TORCH, Needs

ROOT = Path(__file__).parents[1]
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
NETWORK, LAYERED = ("train_network", "dump_activations", "picture_units"), ("run_controls", "resample_images")
TILED = ("align_units", "compare_representations", "control_similarity", "calibrate_similarity")
UNITS = ("compute_statistics", "measure_information", "map_units", "group_units", *LAYERED)

# Seconds and MB of the longest and of the largest job of a rule in the default study, on two cores of an AMD EPYC that
# did other work besides; of `draw`, `collect` and `small` the most among the rules that take this estimate.
MEASURED = {
    "train_network": (36, 328),
    "dump_activations": (7, 268),
    "compute_statistics": (1, 70),
    "align_units": (2, 88),
    "measure_information": (4, 166),
    "run_controls": (7, 229),
    "map_units": (22, 126),
    "group_units": (6, 175),
    "resample_images": (72, 219),
    "compare_representations": (77, 232),
    "control_similarity": (185, 350),
    "calibrate_similarity": (100, 124),
    "picture_units": (7, 351),
    "collect": (4, 173),
    "draw": (17, 372),
    "draw_tables": (45, 229),
    "small": (7, 154),
    "measure_noise": (29, 362),
    "train_dynamics": (870, 482),
    "further_tables": (80, 675),
}


def place(name, tile="1-1", layer="conv2"):
    """Wildcards of a job."""
    if name in NETWORK:
        return Names(network="net1")
    if name in UNITS:
        return Names(population="trained", tile=tile, layer=layer)
    return Names(population="trained", tile=tile) if name in TILED else Names()


def needs(**changes):
    return Needs(Plan(completed({**DEFAULT, **changes}, thorough=False)))


def asked(name, attempt=1, where=None, **changes):
    """Memory in MB and minutes that a job asks for."""
    found, where = needs(**changes), where or place(name)
    return found.memory(name)(where, attempt), found.minutes(name)(where, attempt)


@pytest.mark.parametrize("name", MEASURED)
def test_what_is_asked_covers_what_was_measured_and_not_much_more(name):
    layers = ("conv1", "conv2", "conv3", "fc7") if name in UNITS else ("",)
    every = [asked(name, where=place(name, layer=layer)) for layer in layers]
    seconds, largest = MEASURED[name]
    memory, minutes = max(memory for memory, _ in every), max(minutes for _, minutes in every)
    floor = LAUNCHING + max(PLAIN, WITH_TORCH)
    assert LAUNCHING + 1.05 * largest <= memory <= floor + 3 * largest
    assert 1.5 * seconds <= 60 * minutes <= 20 * 60 + 10 * seconds


def test_every_estimate_is_measured_or_of_what_the_default_study_does_not_do():
    rest = {"adopt_network", "adopt_activations", "stream_statistics", "stream_controls"}
    assert set(ESTIMATES) == set(MEASURED) | rest


@pytest.mark.parametrize("name", ESTIMATES)
def test_a_further_attempt_asks_for_twice_as_much(name):
    first, second, third = (asked(name, attempt) for attempt in (1, 2, 3))
    assert (second, third) == tuple(tuple(value * times for value in first) for times in (2, 4))


@pytest.mark.parametrize("name", [*UNITS, *TILED])
def test_more_images_wider_layers_and_more_networks_ask_for_more(name):
    options = {**DEFAULT["architecture"]["options"], "channels": [320, 640, 960, 960, 640]}
    base = estimated(name)
    larger = {
        "images": {"dataset": {"name": "mnist", "probe": 8000}},
        "units": {"architecture": {"name": "caffenet", "options": options}},
        "networks": {"networks": 24},
    }
    if name in ("align_units", "group_units"):  # these look at matrices only
        del larger["images"]
    for what, changes in larger.items():
        assert all(more > less for more, less in zip(estimated(name, **changes), base, strict=True)), what


def estimated(name, **changes):
    """Bytes and seconds before they are rounded."""
    return ESTIMATES[name](needs(**changes).work(place(name)))


def test_training_asks_for_the_time_of_its_passes():
    base = estimated("train_network")
    longer = estimated("train_network", training={**DEFAULT["training"], "epochs": 300})
    assert longer[1] == pytest.approx(10 * base[1]) and longer[0] == base[0]


def test_tiles_bound_what_a_job_asks_for():
    own, other = (place("map_units", tile=tile, layer="fc7") for tile in ("1-1", "1-2"))
    whole = asked("map_units", networks=40, where=own)
    tiled = asked("map_units", networks=40, networks_per_tile=10, where=own)
    assert tiled[1] < whole[1] / 4
    crossed = asked("map_units", networks=40, networks_per_tile=10, where=other)
    assert tiled[1] < crossed[1] < whole[1]


@pytest.mark.parametrize(("device", "gpus"), [("auto", 0), ("cpu", 0), ("cuda", 1), ("mps", 0)])
def test_a_gpu_is_asked_for_where_the_configuration_names_it(device, gpus):
    found = needs(device=device)
    assert found.gpus == gpus
    # Talking to one takes memory of its own.
    assert found.memory("train_network")(place("train_network"), 1) >= 800 + 3000 * gpus
    assert found.memory("map_units")(place("map_units"), 1) < 1000


def test_layers_of_the_size_of_the_paper(tmp_path, monkeypatch):
    for part in ("train/a", "train/b", "val/a", "val/b"):
        (tmp_path / part).mkdir(parents=True)
    monkeypatch.setattr(resources, "check_sizes", lambda *_: (1_281_167, 50_000, 50_000))
    config = yaml.safe_load((ROOT / "workflow/studies/imagenet.yaml").read_text())
    config["dataset"]["options"]["path"] = str(tmp_path)
    found = Needs(Plan(completed(config, thorough=False)))
    work = found.work(place("compute_statistics", layer="conv3"))
    assert work.sizes == [(50_000 * 25, 384)]
    wide = place("compute_statistics", layer="fc6")
    four_files, ten_matrices = 4 * 50_000 * 4096 * 2, 10 * 4096**2 * 8
    assert found.memory("compute_statistics")(wide, 1) > (four_files + ten_matrices) / 1e6
    # One row per image of all layers of four networks, in float32.
    rows = 4 * 50_000 * sum(units for _, units in found.layers.values()) * 4
    assert rows / 1e6 < found.memory("compare_representations")(Names(population="trained", tile="1-1"), 1) < 64_000
    days = {}
    for device in ("cpu", "cuda"):
        needs = Needs(Plan(completed(config | {"device": device}, thorough=False)))
        days[device] = needs.minutes("train_network")(Names(network="net1"), 1) / 60 / 24
    assert days["cpu"] > 30  # on one core
    assert 3 <= days["cuda"] <= 9  # about three, by those who trained it


def test_a_process_that_runs_one_job_looks_nothing_up(monkeypatch):
    monkeypatch.setattr(resources, "check_sizes", None)
    found = Needs(Plan(completed(DEFAULT, thorough=False)), submitting=False)
    assert found.memory("map_units")(place("map_units"), 1) == found.memory("run_controls")(place("run_controls"), 1)
    assert found.minutes("map_units")(place("map_units"), 2) > 0
