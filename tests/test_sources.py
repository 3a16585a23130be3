"""Networks from anywhere: what the list says, what each source can give, and what is refused before any job."""

import os
import re

import numpy as np
import pytest
import torch

from configuration import completed
from convergent.errors import StudyError
from plan import Names, Plan

LAYERS = {"first": "fc1", "last": "fc2"}
SMALL = {"name": "mlp", "options": {"widths": [6, 5]}}


@pytest.fixture
def files(tmp_path, generator):
    """Two sets of activations of the digits study's 800 probe images, and a checkpoint."""
    for name in ("mine", "before"):
        (tmp_path / name).mkdir()
        for layer, units in (("fc1", 7), ("fc2", 4)):
            np.save(tmp_path / name / f"{layer}.npy", generator.normal(size=(800, units)).astype("f4"))
    (tmp_path / "odd").mkdir()
    np.save(tmp_path / "odd" / "scalar.npy", np.float32(1))
    np.save(tmp_path / "odd" / "objects.npy", np.array([[{}]], dtype=object))
    np.save(tmp_path / "odd" / "stacked.npy", np.ones((1600, 3), dtype="f4"))
    np.savez(tmp_path / "few.npz", fc1=np.ones((30, 3)), fc2=np.ones((30, 3)))
    torch.save({}, tmp_path / "weights.pt")
    return tmp_path


def mixed(files, **changes):
    """A study with every kind of network."""
    networks = [
        {"trained": 2, "architecture": SMALL},
        {"name": "theirs", "checkpoint": str(files / "weights.pt"), "architecture": SMALL},
        {"name": "bare", "activations": str(files / "mine")},
        {"name": "both", "activations": str(files / "mine"), "untrained": str(files / "before")},
    ]
    return {
        "study": "mine",
        "networks": networks,
        "activations": {"layers": ["fc1", "fc2"]},
        "training": {"checkpoints": [1]},
        "probes": [{"name": "noise", "corruption": "noise", "strength": 0.2}],
    } | changes


def test_each_population_has_the_networks_that_can_give_it(files):
    plan = Plan(completed(mixed(files)))
    assert plan.networks == ["net1", "net2", "theirs", "bare", "both"]
    assert plan.members == {
        "trained": plan.networks,
        "epoch_0001": ["net1", "net2"],
        "noise": ["net1", "net2", "theirs"],
        "untrained": ["net1", "net2", "theirs", "both"],
    }
    assert (plan.trained_here, plan.adopted) == (["net1", "net2"], ["theirs"])
    assert plan.drawn_networks == ["net1", "net2", "theirs"]


def test_tiles_hold_what_a_population_has_of_them(files):
    plan = Plan(completed(mixed(files, networks_per_tile=2)))
    assert plan.groups == [["net1", "net2"], ["theirs", "bare"], ["both"]]
    found = {(place.population, place.tile): plan.sides(place) for place in plan.places(plan.populations)}
    assert [tile for population, tile in found if population == "epoch_0001"] == ["1-1"]
    assert [tile for population, tile in found if population == "noise"] == ["1-1", "1-2", "2-2"]
    assert found["noise", "1-2"] == [["net1", "net2"], ["theirs"]]
    assert found["untrained", "2-3"] == [["theirs"], ["both"]]
    assert plan.untrained_records(Names(layer="first", tile="2-3")) == [
        f"<study>/activations/{network}/untrained/dump.json" for network in ("theirs", "both")
    ]


def test_a_rule_records_networks_that_give_the_same_files(files):
    plan = Plan(completed(mixed(files)))
    here, elsewhere = plan.recordings(run_here=True), plan.recordings(run_here=False)
    assert [recording.networks for recording in here] == [["net1", "net2"], ["theirs"]]
    assert here[1].populations == ["trained", "noise", "untrained"] and here[1].stages == ["trained", "untrained"]
    assert [recording.networks for recording in elsewhere] == [["bare"], ["both"]]
    assert [recording.suffix for recording in (*here, *elsewhere)] == ["", "_2", "", "_2"]
    assert re.fullmatch(here[0].pattern, "net2") and not re.fullmatch(here[0].pattern, "theirs")
    assert plan.brought_files(Names(network="both")) == [
        str(files / folder / f"{layer}.npy") for folder in ("mine", "before") for layer in ("fc1", "fc2")
    ]
    alone = Plan(completed({"study": "mine"}))
    assert [recording.suffix for recording in alone.recordings(run_here=True)] == [""]
    assert alone.recordings(run_here=False) == []


def test_only_activations_need_no_images(files):
    networks = [{"activations": str(files / "few.npz")}, {"activations": str(files / "few.npz"), "name": "other"}]
    plan = Plan(completed(mixed(files, networks=networks, training={}, probes=[])))
    assert plan.data_files == [] and plan.populations == ["trained"]
    assert plan.drawn_networks == [] and not any("unit_pairs" in name for name in plan.figure_names)
    assert "training_curves" not in plan.figure_names and "alignment_by_depth" in plan.figure_names
    assert Plan(completed(mixed(files))).data_files != []


def test_layers_may_have_names_of_the_study_and_patterns(files):
    wide = {"name": "mlp", "options": {"widths": [9, 8, 7]}}
    networks = [
        {"trained": 2, "architecture": SMALL, "layers": LAYERS},
        {"trained": 1, "architecture": wide, "layers": {"first": "fc1", "middle": "fc2", "last": "fc3"}},
    ]
    plan = Plan(completed(mixed(files, networks=networks)))
    assert plan.layers == ["first", "last"]
    assert plan.layers_of(Names(network="net3")) == networks[1]["layers"]
    assert plan.tile_layers(Names(tile="1-1"))[-3:] == [
        f"<study>/activations/net3/trained/{layer}.npy" for layer in ("first", "middle", "last")
    ]
    assert plan.drawn_networks == []  # pictures need the layers' own names
    patterns = Plan(
        completed(mixed(files, networks=[{"trained": 2, "architecture": wide, "layers": ["fc[12]", "*4"]}]))
    )
    assert patterns.layers == ["fc1", "fc2", "fc4"]
    apart = Plan(
        completed(
            mixed(
                files,
                networks=[
                    {"trained": 1, "architecture": SMALL, "layers": LAYERS},
                    {"trained": 1, "architecture": SMALL},
                ],
            )
        )
    )
    assert apart.layers == []
    assert {name.partition("/")[0] for name in apart.figure_names} == {
        "training_curves",
        "layer_similarity",
        "measure_agreement",
    }
    assert not any("claims" in path for path in apart.results)


def test_a_key_follows_what_a_network_is_made_from(files):
    def keys(**changes):
        plan = Plan(completed(mixed(files, **changes)))
        return {network: plan.dump_key(Names(network=network)) for network in plan.networks}

    def moved(**changes):
        before, after = keys(), keys(**changes)
        return [network for network in before if before[network] != after[network]]

    assert moved() == []
    assert moved(training={"checkpoints": [1], "epochs": 31}) == ["net1", "net2"]
    assert moved(activations={"layers": ["fc1"]}) == list(keys())
    assert moved(activations={"layers": ["fc1", "fc2"], "batch_size": 8}) == ["net1", "net2", "theirs"]
    assert moved(probes=[{"name": "noise", "corruption": "noise", "strength": 0.3}]) == ["net1", "net2", "theirs"]
    networks = mixed(files)["networks"]
    networks[2] = networks[2] | {"images": 400}
    networks[4 - 1] = networks[3] | {"images": 400}
    assert keys()["bare"] != Plan(completed(mixed(files, networks=networks), thorough=False)).dump_key(
        Names(network="bare")
    )


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({}, "`networks.1` must have exactly one of trained, checkpoint, torchvision, activations, but has none"),
        ({"trained": 1, "torchvision": "resnet18"}, "has trained and torchvision"),
        ({"trained": 1, "weights": "DEFAULT"}, "`networks.1.weights` means nothing for networks of the kind trained"),
        ({"trained": 1, "name": "net1"}, "gives two networks the name net1"),
        ({"trained": 1, "name": "a/b"}, "`networks.1.name` is `a/b`, but may hold only letters"),
        ({"trained": 1, "layers": {"a/b": "fc1"}}, "networks.1.layers"),
        ({"trained": 0}, "`networks.1.trained` is `0`, but must be at least 1"),
        ({"trained": 1, "architecture": {"name": "mlpp"}}, "no architecture 'mlpp' (did you mean 'mlp'?)"),
        ({"trained": 1, "layers": ["fc9"]}, "`networks.1.layers`: architecture mlp has no layer 'fc9'"),
        ({"trained": 1, "layers": ["conv*"]}, "`networks.1.layers`: .*conv\\*"),
        ({"trained": 1, "lairs": ["fc1"]}, "`networks.1.lairs` is unknown (did you mean 'layers'?)"),
        ({"checkpoint": "nowhere.pt"}, "`networks.1.checkpoint`: there is no file nowhere.pt"),
        ({"checkpoint": "FILES/weights.pt", "mean": [0.5]}, "`networks.1` has one of mean and std"),
        (
            {"checkpoint": "FILES/weights.pt", "mean": [0.5, 0.5], "std": [1, 1]},
            "has 2 numbers, but images have 1 channel",
        ),
        ({"torchvision": "resnet19"}, "`networks.1`: .*resnet19.*did you mean"),
        ({"torchvision": "resnet18", "weights": "IMAGENET1K_V7"}, "`networks.1`: .*IMAGENET1K_V7"),
        ({"activations": "FILES/nowhere"}, "`networks.1`: .*nowhere"),
        ({"activations": "FILES/mine", "layers": ["fc1", "fc3"]}, "mine has no array 'fc3' (did you mean"),
        ({"activations": "FILES/mine", "untrained": "FILES/few.npz"}, None),
        ({"activations": "FILES/odd", "layers": {"fc1": "scalar"}}, "has shape ()"),
        ({"activations": "FILES/odd", "layers": {"fc1": "objects"}}, "holds Python objects"),
        (
            {"activations": "FILES/odd", "layers": {"fc1": "stacked"}, "images": 800},
            "fc1 has one row per image in networks.0",
        ),
        (
            {"activations": "FILES/odd", "layers": {"fc1": "stacked"}, "images": 700},
            "has 1600 rows where there are 700",
        ),
        ({"trained": 1, "layers": {1: "fc1"}}, "has a name that is no text"),
        ({"trained": 1, "layers": {}}, "`networks.1.layers` is empty"),
        ({"torchvision": "torchvision:resnet19"}, "`networks.1`: .*resnet19.*did you mean"),
        ({"activations": "FILES/few.npz"}, "networks.0 is of 800 images and networks.1.activations of 30"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(files, entry, sentence):
    entry = {
        name: value.replace("FILES", str(files)) if isinstance(value, str) else value for name, value in entry.items()
    }
    config = mixed(files, networks=[{"trained": 2, "architecture": SMALL}, entry], architecture=SMALL)
    if sentence is None:
        with pytest.raises(StudyError):
            completed(config)
        return
    literal = sentence if "*" in sentence else re.escape(sentence)
    with pytest.raises(StudyError, match=literal) as raised:
        completed(config)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("probe", "sentence"),
    [
        ({"name": "trained", "corruption": "noise", "strength": 1}, "names another population"),
        ({"name": "controls", "corruption": "noise", "strength": 1}, "names another population"),
        ({"name": "epoch_x", "corruption": "noise", "strength": 1}, "names another population"),
        ({"name": "x"}, "must have one of corruption and dataset"),
        ({"name": "x", "corruption": "noise"}, "must have a strength"),
        ({"name": "x", "corruption": "nois", "strength": 1}, "did you mean 'noise'"),
        (
            {"name": "x", "corruption": "contrast", "strength": 2},
            "`probes.0`: the strength of the corruption contrast is 2",
        ),
        ({"name": "x", "dataset": {"name": "mnist"}}, "have the shape (1, 28, 28), those of the study (1, 8, 8)"),
        ({"name": "x", "dataset": {"name": "digits", "validation": 3}}, "has 3 probe images"),
    ],
)
def test_a_probe_that_cannot_work_is_refused(probe, sentence):
    with pytest.raises(StudyError, match=re.escape(sentence)):
        completed({"study": "mine", "probes": [probe]})


def test_a_probe_may_be_another_data_set():
    probe = {"name": "others", "dataset": {"name": "digits", "train": 10, "validation": 40}}
    plan = Plan(completed({"study": "mine", "probes": [probe]}))
    assert plan.other_data == {"others": "images.npy"}
    assert plan.members["others"] == plan.networks
    changed = Plan(completed({"study": "mine", "probes": [probe | {"dataset": probe["dataset"] | {"validation": 41}}]}))
    assert plan.dump_key(Names(network="net1")) != changed.dump_key(Names(network="net1"))


def test_unknown_measures_are_refused():
    for key in ("measures", "calibrated", "over_layers"):
        with pytest.raises(StudyError, match=f"`similarity.{key}`: there is no measure 'cka_liner' \\(did you mean"):
            completed({"study": "mine", "similarity": {key: ["cka_liner"]}})


def test_networks_that_share_layers_two_by_two_are_compared_there(files):
    """No layer is common to all, but two of three have fc1: what compares like with like has rows for these."""
    networks = [{"trained": 2, "architecture": SMALL}, {"activations": str(files / "mine"), "layers": {"x": "fc1"}}]
    plan = Plan(completed(mixed(files, networks=networks, probes=[], networks_per_tile=2)))
    assert plan.layers == []
    contents = plan.similarity_contents(None)
    pieces = dict(zip(plan.similarity_fragments(None), contents["similarity"], strict=True))
    empty = {path.removeprefix("<study>/similarity/"): content[1] for path, content in pieces.items()}
    assert empty["epoch_0001/1-1.csv"] is False and empty["trained/1-2.csv"] is False
    assert (empty["controls/1-1.csv"], empty["controls/1-2.csv"], empty["controls/2-2.csv"]) == (False, True, False)
    calibrated = dict(zip(plan.calibration_fragments(None), contents["calibration"], strict=True))
    assert calibrated["<study>/calibration/trained/1-1.csv"][1] is False


def test_maps_of_one_name_have_one_size_where_rows_are_positions(files):
    caffenet = {"kernels": [3] * 5, "strides": [1] * 5, "paddings": [1] * 5, "pool_kernel": 2, "dense": [8, 8]}
    caffenet["channels"] = [4] * 5
    networks = [
        {"trained": 1, "architecture": {"name": "caffenet", "options": caffenet | {"pools": pools}}}
        for pools in ([1], [])
    ]
    config = mixed(files, networks=networks, activations={"layers": ["conv1", "conv2"]})
    with pytest.raises(
        StudyError, match=r"layer conv2 has 4 x 4 positions per image in networks\.0 and 8 x 8 positions"
    ):
        completed(config)
    completed(config | {"activations": {"layers": ["conv1", "conv2"], "positions": "mean"}})
    few = [{"name": name, "activations": str(files / "few.npz")} for name in ("one", "two")]
    with pytest.raises(StudyError, match=r"information\.bins"):
        completed(mixed(files, networks=few, training={}, probes=[], information={"bins": 100}))


def test_a_file_that_was_replaced_by_an_older_one_is_noticed(files):
    config = mixed(files)
    before = Plan(completed(config)).dump_key(Names(network="bare"))
    path = files / "mine" / "fc1.npy"
    np.save(path, np.load(path) + 1)
    os.utime(path, (1e9, 1e9))
    assert Plan(completed(config)).dump_key(Names(network="bare")) != before


def test_a_name_keeps_its_seeds_wherever_it_stands(files):
    def seeds(networks):
        plan = Plan(completed(mixed(files, networks=networks)))
        return {network: plan.seeds(Names(network=network)) for network in plan.trained_here}

    mine, wide = (
        {"trained": 2, "name": "mine", "architecture": SMALL},
        {"trained": 1, "name": "wide", "architecture": SMALL},
    )
    assert seeds([mine, wide]) == seeds([wide, mine])
    assert len({str(seed) for seed in seeds([mine, wide]).values()}) == 3
    numbered = seeds([{"trained": 2, "architecture": SMALL}])
    assert numbered == {
        name: seed for name, seed in seeds([{"trained": 3, "architecture": SMALL}]).items() if name != "net3"
    }


def test_untrained_networks_mean_something_where_only_some_share_their_beginning(files):
    assert Plan(completed(mixed(files, vary="data_order"))).meaningless_baselines == []
    alike = mixed(files, networks=[{"trained": 3, "architecture": SMALL}], vary="data_order")
    assert Plan(completed(alike)).meaningless_baselines == ["untrained", "against_untrained"]


def test_another_data_set_as_probe_needs_only_what_differs():
    config = completed({"study": "mine", "probes": [{"name": "data", "dataset": {"name": "digits", "train": 300.0}}]})
    assert config["probes"][0]["dataset"] == {
        "name": "digits",
        "train": 300,
        "validation": None,
        "probe": None,
        "options": {},
    }
    whole = completed({"study": "mine", "networks": [{"trained": 2.0}]})
    assert Plan(whole).networks == ["net1", "net2"]


def test_jobs_on_a_cluster_plan_what_the_main_process_planned(tmp_path):
    """There the configuration is completed without being checked again: the keys must be the same."""
    probe = {"name": "leaves", "dataset": {"name": "dead_leaves", "train": 10, "validation": 20}}
    config = {"study": "mine", "dataset": {"name": "dead_leaves", "train": 20, "validation": 20}, "probes": [probe]}
    config["activations"] = {"positions": "mean"}
    config["architecture"] = SMALL
    config["activations"]["layers"] = ["fc1"]
    main, job = (Plan(completed(config, thorough=thorough)) for thorough in (True, False))
    assert main.config == job.config and main.config["probes"][0]["dataset"]["options"] != {}
    assert main.probe_keys == job.probe_keys
    assert main.dump_key(Names(network="net1")) == job.dump_key(Names(network="net1"))
