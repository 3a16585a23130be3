"""The workflow in other places, on other networks and data, and where the config is wrong."""

import itertools
import re
import shutil

import numpy as np
import pytest
import torch
import yaml
from command_line import CONFIG, RESULTS, ROOT, copy_workflow, planned, rows, snakemake
from safetensors.torch import load_file


def test_a_bare_call_plans_the_default_study(tmp_path):
    assert planned(copy_workflow(tmp_path), config=None)["train_network"] == 4


def test_a_mistake_in_the_config_stops_before_any_job(tmp_path):
    printed = snakemake(copy_workflow(tmp_path), check=False, activations={"layers": ["conv1", "conv6"]})
    assert "no layer 'conv6' (did you mean" in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "results").exists()


def test_another_working_directory(tmp_path):
    """The workflow stays where it is; the default study's config comes from there, results go here."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    copy_workflow(there)
    snakefile = ("--snakefile", str(there / "Snakefile"))
    assert planned(here, *snakefile, config=None)["train_network"] == 4
    words = (*snakefile, "--directory", str(here), f"{RESULTS}/data/dataset.json")
    snakemake(tmp_path, *words)
    assert (here / RESULTS / "data" / "labels.npy").exists()
    assert not (there / "results").exists()


def test_a_module_of_another_workflow(tmp_path):
    (tmp_path / "Snakefile").write_text(
        f"""
module convergent:
    snakefile: "{ROOT}/Snakefile"
    config: {yaml.safe_load(CONFIG.read_text())}
    pathvars:
        results="elsewhere"

use rule * from convergent as convergent_*

rule everything:
    default_target: True
    input: rules.convergent_all.input
"""
    )
    snakemake(tmp_path, "elsewhere/reduced/data/dataset.json", config=None)
    assert (tmp_path / "elsewhere/reduced/data/labels.npy").exists()
    assert planned(tmp_path, config=None)["convergent_train_network"] == 3


def test_a_users_own_network_and_arrays(tmp_path):
    """A module and two files in the working directory are enough; a change in either is seen."""
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\n"
        "def network(input_shape, classes, width):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(5 * 4, width), nn.ReLU(), nn.Linear(width, classes))\n"
    )
    generator = np.random.default_rng(0)
    labels = np.arange(200) % 2
    images = generator.normal(size=(200, 5, 4)).astype(np.float32) + 2 * labels[:, None, None]
    np.savez(tmp_path / "mine.npz", images=images, labels=labels)
    config = tmp_path / "mine.yaml"
    config.write_text(
        "study: mine\nnetworks: 2\n"
        "dataset: {name: arrays, validation: 50, options: {images: mine.npz}}\n"
        "architecture: {name: 'mine:network', options: {width: 6}}\n"
        "training: {epochs: 3}\nactivations: {layers: ['2']}\ncontrols: {shuffles: 2}\nresampling: {images: 2}\n"
    )
    words = ("--snakefile", str(ROOT / "Snakefile"))
    snakemake(tmp_path, *words, config=config)
    scores = rows(tmp_path / "results/mine/scores.csv")
    assert {row["layer"] for row in scores} == {"2"}
    with open(tmp_path / "mine.py", "a") as module:
        module.write("\nCHANGED = True\n")
    plan = planned(tmp_path, *words, config=config)
    assert (plan["train_network"], plan["fetch_data"]) == (2, 0)
    np.savez(tmp_path / "mine.npz", images=images + 1, labels=labels)
    assert planned(tmp_path, *words, config=config)["fetch_data"] == 1


def test_networks_from_everywhere(tmp_path):
    """Networks trained here, a checkpoint and recorded activations that are copies of them, and a wider network."""
    small = {"name": "mlp", "options": {"widths": [6, 5]}}
    shared = {
        "architecture": small,
        "dataset": {"name": "digits", "train": 200, "validation": 60},
        "training": {"epochs": 4, "accuracy_floor": 0.1},
        "activations": {"layers": ["fc1", "fc2"]},
        "maps": {"layers": []},
        "groups": {"counts": []},
        "controls": {"shuffles": 2},
        "resampling": {"networks": 100, "images": 2},
        "similarity": {
            "measures": ["cka_linear", "soft_matching", "mutual_knn_euclidean"],
            "calibrated": [],
            "over_layers": ["mutual_knn_euclidean"],
            "permutations": 20,
            "noise": [0.5, 1.0],
        },
    }
    words = ("--snakefile", str(ROOT / "Snakefile"))

    def run(study, networks, *targets, **options):
        path = tmp_path / f"{study}.yaml"
        path.write_text(yaml.safe_dump({"study": study, "networks": networks, **shared}))
        return snakemake(tmp_path, *words, *targets, config=path, **options)

    recorded = [f"results/first/activations/{network}/trained/dump.json" for network in ("net1", "net2")]
    run("first", 2, *recorded)
    weights = load_file(tmp_path / "results/first/networks/net1/trained.safetensors")
    torch.save({"state_dict": {f"module.{name}": value for name, value in weights.items()}}, tmp_path / "weights.pth")
    shutil.copytree((tmp_path / recorded[1]).parent, tmp_path / "brought")
    networks = [
        {"trained": 2},
        {"trained": 1, "architecture": {"name": "mlp", "options": {"widths": [9, 8, 7]}}, "name": "wide"},
        {"name": "checkpoint", "checkpoint": "weights.pth"},
        {"name": "brought", "activations": "brought"},
    ]
    heat_map = "results/mixed/figures/layer_similarity/soft_matching.png"
    printed = run("mixed", networks, "results/mixed/claims.csv", heat_map)
    assert "Taking in checkpoint" in printed and "Taking in the activations of brought" in printed
    found = {
        (row["population"], row["layer"], row["measure"], row["network_a"], row["network_b"]): float(row["value"])
        for row in rows(tmp_path / "results/mixed/scores.csv")
    }
    for layer in ("fc1", "fc2"):
        for copy, original in (("checkpoint", "net1"), ("brought", "net2")):
            for measure in ("cka_linear", "soft_matching", "mutual_knn_euclidean"):
                assert found["trained", layer, measure, original, copy] == pytest.approx(1, abs=1e-6), (layer, measure)
            assert found["trained", layer, "match_mean", original, copy] == pytest.approx(1, abs=1e-6)
            assert found["trained", layer, "match_mean", "wide", copy] < 1
        assert ("untrained", layer, "match_mean", "net1", "wide") in found
        assert not any(
            "brought" in place and place[0] in ("untrained", "against_untrained")
            for place in found
            if place[4] == "brought"
        )
    table = rows(tmp_path / "results/mixed/tables/similarity.csv")
    wide = {(r["layer_a"], r["layer_b"]) for r in table if (r["population"], r["network_b"]) == ("trained", "wide")}
    assert wide == set(itertools.product(("fc1", "fc2"), repeat=2))
    assert (tmp_path / heat_map).exists()
    # Activations alone need neither images nor training, and layers without a common name are compared all the same.
    alone = [
        {"activations": "brought", "layers": {"low": "fc1", "high": "fc2"}},
        {"activations": "results/mixed/activations/wide/trained", "layers": {"one": "fc1", "two": "fc2"}},
    ]
    printed = run("alone", alone)
    assert not (tmp_path / "results/alone/data").exists() and not (tmp_path / "results/alone/networks").exists()
    alone = rows(tmp_path / "results/alone/tables/similarity.csv")
    compared = {(row["layer_a"], row["layer_b"]) for row in alone if row["population"] == "trained"}
    assert compared == set(itertools.product(("low", "high"), ("one", "two")))
    assert {row["population"] for row in alone} > {"trained", "permuted", "rotated"}
    for path in re.findall(r"^  (results/\S+)", printed, re.MULTILINE):
        assert (tmp_path / path).exists(), path
    weights["fc3.more"] = torch.zeros(3, 3)
    torch.save(weights, tmp_path / "weights.pth")
    printed = run("mixed", networks, check=False)
    assert (
        re.search(r"Error: the checkpoint weights\.pth has 1 tensor unknown .*fc3\.more", printed)
        and "Traceback" not in printed
    )
