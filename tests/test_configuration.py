"""The configuration: complete, and each mistake told in one sentence that names key, finding and remedy."""

import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from config_fuzzer import configs, outcome
from hypothesis import HealthCheck, given, settings

from configuration import ORIGIN, completed, require_own_place, require_writable, schema
from convergent.errors import StudyError

ROOT = Path(__file__).parents[1]
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())


def changed(path, value, base=DEFAULT):
    """A copy of a configuration with one key set."""
    config = yaml.safe_load(yaml.safe_dump(base))
    *parents, last = path.split(".")
    section = config
    for name in parents:
        section = section.setdefault(name, {})
    section[last] = value
    return config


def keys(rules, path=""):
    """Every key that the schema knows."""
    for name, rule in rules.get("properties", {}).items():
        yield f"{path}{name}", rule
        yield from keys(rule, f"{path}{name}.")


def test_the_default_study_is_complete_as_it_stands():
    assert completed(DEFAULT) == DEFAULT


def test_a_name_is_enough_for_a_study():
    config = completed({"study": "mine"})
    assert config["dataset"]["name"] == "digits"
    assert config["activations"]["layers"][0] == "conv1"


def test_the_users_own_dictionary_stays_as_it_is():
    config = {"study": "mine", "training": {"epochs": 2}}
    completed(config)
    assert config == {"study": "mine", "training": {"epochs": 2}}


def test_choosing_another_architecture_leaves_nothing_of_the_default_one():
    config = completed({"study": "mine", "architecture": {"name": "mlp"}, "activations": {"layers": ["fc1"]}})
    assert config["architecture"]["options"] == {"activation": "relu", "dropout": 0.0, "widths": [128, 128]}


def test_every_key_is_described_and_has_a_default():
    for path, rule in keys(schema()):
        if rule.get("type") != "object" or "properties" not in rule:
            assert rule["description"], path
            assert "default" in rule or path in ("study", "dataset.name", "architecture.name"), path


def test_every_key_stands_in_the_default_study_with_a_comment():
    text = (ROOT / "config.yaml").read_text()
    for line in text.splitlines():
        if ":" in line and not line.startswith("#") and not re.fullmatch(r"\w+:", line):
            assert "#" in line, f"no comment: {line}"
    for path, _ in keys(schema()):
        section = DEFAULT
        for name in path.split("."):
            assert name in section, path
            section = section[name]


@pytest.mark.parametrize("file", sorted((ROOT / "workflow" / "studies").glob("*.yaml")), ids=lambda file: file.stem)
def test_ready_made_studies_pass_the_schema(file):
    config = yaml.safe_load(file.read_text())
    assert config["study"] == file.stem
    completed(config, thorough="path" not in config["dataset"].get("options", {}))


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("trainig", {}, r"`trainig` is unknown \(did you mean 'training'\?\): allowed here are .*seed"),
        ("training.epoch", 3, r"`training.epoch` is unknown \(did you mean 'epochs'\?\)"),
        ("networks", "four", r"`networks` is `four`, but must be a whole number"),
        ("networks", 2.5, r"`networks` is `2.5`, but must be a whole number"),
        ("networks", True, r"`networks` is `true`, but must be a whole number"),
        ("networks", 1, r"`networks` is `1`, but must be at least 2"),
        ("training", None, r"`training` is `null`, but must be a mapping"),
        ("training.learning_rate", "1e-3", r"`training.learning_rate` is `1e-3`, but must be a number .*1\.0e-3"),
        ("training.learning_rate", 0, r"`training.learning_rate` is `0`, but must be above 0"),
        ("training.learning_rate", float("nan"), r"`training.learning_rate` is nan, but must be a finite number"),
        (
            "training.optimizer",
            "sdg",
            r"`training.optimizer` is `sdg` \(did you mean 'sgd'\?\): allowed are sgd, adamw",
        ),
        ("dataset.name", "digit", r"`dataset.name` is `digit` \(did you mean 'digits'\?\)"),
        ("dataset.train", 5000, r"`dataset`: .*1797"),
        ("dataset.options", {"sise": 3}, r"`dataset`: .*sise"),
        ("architecture.name", "cafenet", r"`architecture`: .*did you mean 'caffenet'"),
        ("architecture.options.chanels", [1], r"`architecture`: .*'chanels' \(did you mean 'channels'\?\)"),
        ("architecture.options.dropout", 1.5, r"`architecture`: .*dropout"),
        ("architecture.options.kernels", [11, 3, 3, 3, 3], r"`architecture`: nothing is left after conv1"),
        ("activations.layers", ["conv1", "conv9"], r"`activations.layers`: .*'conv9' \(did you mean 'conv\d'\?\)"),
        ("activations.layers", ["conv1", "conv1"], r"`activations.layers` names `conv1` twice"),
        ("activations.layers", ["../conv1"], r"`activations.layers.0` is `../conv1`, but may hold only letters"),
        ("activations.layers", [], r"`activations.layers` has 0 entries"),
        ("activations.positions_per_image", 4, r"positions_per_image` is `4` while activations.positions is all"),
        ("activations.positions", "sample", r"positions_per_image` is `null` while .* sample: give a number"),
        ("training.networks_per_job", 0, r"`training.networks_per_job` is `0`, but must be at least 1"),
        ("training.checkpoints", [999], r"`training.checkpoints` names epoch 999"),
        ("training.random_crop", True, r"`training.random_crop` is `true`, but the images of digits have no margin"),
        (
            "information.bias_correction",
            "miller",
            r"is `miller` \(did you mean 'miller_madow'\?\): allowed are null, miller_madow",
        ),
        ("dataset.probe", 8, r"`information.bins` is 10, but layer fc6 has only 8 samples"),
        ("training.shift", 8, r"`training.shift` is `8`, but the images have 8 x 8 pixels"),
        ("training.warmup_epochs", 31, r"`training.warmup_epochs` is `31`, but training ends after epoch 30"),
        ("training.checkpoints", [1.5], r"`training.checkpoints.0` is `1.5`, but must be a whole number"),
        ("architecture.options.dense", [10**12, 5], r"`architecture`: option 'dense'"),
        ("downloads", "", r"`downloads` is empty"),
        (
            "dataset",
            {"name": "image_folder", "options": {"path": 3}},
            r"`dataset`: the option 'path' .* must be a path",
        ),
        ("dataset", {"name": "dead_leaves", "options": {"size": "a"}}, r"'size' .* must be a whole number"),
        ("dataset", {"name": "dead_leaves", "options": {"seed": -1}}, r"'seed' .* must not be negative"),
        ("study", "a\n", r"`study` is"),
        ("study", "a/b", r"`study` is `a/b`, but may hold only letters"),
        ("study", "../up", r"`study` is"),
        ("study", "", r"`study` is"),
        ("networks_per_tile", 1, r"`networks_per_tile` is `1`, but must be at least 2"),
    ],
)
def test_a_mistake_is_one_sentence(path, value, sentence):
    with pytest.raises(StudyError, match=sentence) as caught:
        completed(changed(path, value))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("config key `")


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(configs())
def test_any_config_is_refused_in_one_sentence_or_can_be_planned(config):
    """Many more are tried among the slow tests of reliability."""
    outcome(config)


@pytest.mark.parametrize("key", ["a\nb", "\x1b[31m", 3, None, (1, 2)])
def test_an_unknown_key_of_any_kind_is_one_sentence(key):
    assert outcome({"study": "mine", key: 1}) == outcome({"study": "mine", "training": {key: 1}}) == "refused"
    assert outcome({"study": "mine", "maps": {key: {key: float("nan")}}}) == "refused"


HOSTILE_NAMES = (
    "../up",
    "a/b",
    "a b",
    "$(touch executed)",
    "; touch executed",
    "a\nb",
    ".",
    "..",
    "-rf",
    "é",
    "",
    "x" * 300,
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("place", ["study", "network", "layer", "layer of a network", "probe", "mapped layer"])
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path, monkeypatch, place, name):
    """None of them reaches a path or a shell."""
    monkeypatch.chdir(tmp_path)
    changes = {
        "study": {"study": name},
        "network": {"networks": [{"trained": 2, "name": name}]},
        "layer": {"activations": {"layers": [name]}},
        "layer of a network": {"networks": [{"trained": 2, "layers": {name: "fc6"}}]},
        "probe": {"probes": [{"name": name, "corruption": "noise", "strength": 0.1}]},
        "mapped layer": {"maps": {"layers": [name]}},
    }
    assert outcome({"study": "mine", **changes[place]}) == "refused"
    assert list(tmp_path.iterdir()) == []


def test_files_with_braces_are_refused(tmp_path, monkeypatch):
    """Snakemake takes what stands in braces for a wildcard."""
    monkeypatch.chdir(tmp_path)
    np.savez("my{1}.npz", images=np.zeros((20, 5, 4), dtype=np.float32), labels=np.arange(20) % 2)
    with pytest.raises(StudyError, match=r"`dataset`: the name 'my\{1\}\.npz' has braces"):
        completed({"study": "mine", "dataset": {"name": "arrays", "validation": 8, "options": {"images": "my{1}.npz"}}})
    Path("a{b}.pt").write_bytes(b"")
    networks = [{"trained": 1}, {"checkpoint": "a{b}.pt", "name": "other"}]
    with pytest.raises(StudyError, match=r"`networks\.1`: the name 'a\{b\}\.pt' has braces"):
        completed({"study": "mine", "networks": networks})


def test_more_tiles_than_can_be_planned_are_refused():
    with pytest.raises(StudyError, match=r"`networks_per_tile` is 2, which divides 10000 networks into 12502500 tiles"):
        completed({"study": "mine", "networks": 10_000, "networks_per_tile": 2})


def test_the_readmes_study_is_one():
    text = (ROOT / "README.md").read_text()
    completed(yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]))


def test_a_missing_study_name_is_told():
    with pytest.raises(StudyError, match=r"`study` is missing"):
        completed({"networks": 3})


def test_more_positions_than_a_layer_has_are_refused():
    config = changed("activations.positions", "sample")
    with pytest.raises(StudyError, match=r"layer conv\d: positions_per_image is 17"):
        completed(changed("activations.positions_per_image", 17, config))


def test_a_module_that_is_called_twice_is_refused_before_any_job():
    config = changed("architecture", {"name": "resnet18"})
    with pytest.raises(StudyError, match=r"`activations.layers` names layer1.0.relu, which does not give exactly one"):
        completed(changed("activations.layers", ["layer1.0.relu"], config))


def test_networks_that_cannot_train_together_are_not_asked_to():
    other = changed("activations.layers", ["layer1"], changed("architecture", {"name": "resnet18"}))
    with pytest.raises(StudyError, match=r"`training.networks_per_job` is `2`, but only networks of caffenet and mlp"):
        completed(changed("training.networks_per_job", 2, other))
    completed(changed("training.networks_per_job", 1, other))


def test_without_stored_activations_nothing_is_asked_for_that_needs_them():
    config = completed({"study": "mine", "activations": {"stored": False}})
    assert config["similarity"]["measures"] == config["similarity"]["calibrated"] == config["maps"]["layers"] == []
    assert completed(config) == config
    assert completed({"study": "mine"})["similarity"]["measures"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"similarity": {"measures": ["cka_linear"]}}, r"similarity\.measures needs the activations .*set to \[\]"),
        (
            {"maps": {"layers": None}, "similarity": {"over_layers": ["gulp"]}},
            r"similarity\.over_layers, maps\.layers need",
        ),
        (
            {"networks": [{"trained": 2}, {"activations": "brought"}]},
            r"networks\.1 is a network of which there are only",
        ),
        (
            {"networks": [{"trained": 1, "layers": {"one": "fc6"}}, {"trained": 1, "layers": {"other": "fc6"}}]},
            "no layer is in all networks",
        ),
    ],
)
def test_what_needs_stored_activations_is_refused_without_them(tmp_path, monkeypatch, changes, sentence):
    (tmp_path / "brought").mkdir()
    for layer in completed({"study": "mine"})["activations"]["layers"]:
        np.save(tmp_path / "brought" / f"{layer}.npy", np.ones((800, 3), dtype=np.float32))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match=rf"^config key `activations\.stored` is `false`, but .*{sentence}") as caught:
        completed({"study": "mine", "activations": {"stored": False}, **changes})
    assert "\n" not in str(caught.value)


def test_the_order_of_keys_means_nothing():
    backwards = {name: DEFAULT[name] for name in reversed(DEFAULT)}
    backwards["training"] = {name: DEFAULT["training"][name] for name in reversed(DEFAULT["training"])}
    assert repr(completed(backwards)) == repr(completed(DEFAULT))


def test_results_need_a_folder(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(StudyError, match="results is a file"):
        require_own_place(str(tmp_path / "results" / "mine"), "mine", None)


def test_results_need_room_and_a_folder_that_takes_files(tmp_path, monkeypatch):
    folder = str(tmp_path / "results" / "mine")
    require_writable(folder)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1_200_000))
        with pytest.raises(StudyError, match=r"results.mine, but its disk has only 1\.2 MB left: free space"):
            require_writable(folder)
    monkeypatch.setattr(os, "access", lambda place, mode: False)  # to the superuser permissions do not matter
    with pytest.raises(StudyError, match=r"results.mine, but \S+ cannot be written to: make it writable"):
        require_writable(folder)
    assert list(tmp_path.iterdir()) == []


def test_whole_numbers_may_be_written_with_a_point():
    networks = completed(changed("networks", 4.0))["networks"]
    assert networks == 4
    assert isinstance(networks, int)


def test_an_unreadable_array_is_told_before_any_job(tmp_path):
    config = changed("dataset", {"name": "arrays", "options": {"images": str(tmp_path / "absent.npy")}})
    with pytest.raises(StudyError, match=r"`dataset`: .*absent\.npy"):
        completed(config)


def test_two_studies_may_not_share_a_place(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("study: same\n")
    second.write_text("study: same\n")
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "config.yaml").write_text(f"{ORIGIN}{first}\nstudy: same\n")
    require_own_place(str(folder), "same", str(first))
    with pytest.raises(StudyError, match=r"`study` is same in .*second\.yaml, but .*first\.yaml has the same name"):
        require_own_place(str(folder), "same", str(second))
    # A config that has been renamed, or whose file now names another study, claims nothing.
    first.write_text("study: other\n")
    require_own_place(str(folder), "same", str(second))
    first.unlink()
    require_own_place(str(folder), "same", str(second))
