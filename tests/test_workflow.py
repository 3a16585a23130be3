"""The workflow on one study: what it gives, what a change makes again, what it does with what others left there."""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter

import numpy as np
import pytest
import yaml
from command_line import CONFIG, RESULTS, ROOT, SNAKEMAKE, copy_workflow, planned, rows, snakemake
from safetensors.torch import load_file
from scipy.optimize import linear_sum_assignment

from configuration import completed
from convergent.dynamics.analysis import fit_case
from convergent.dynamics.experiments import run as run_case
from convergent.files import save_json, sealed
from convergent.noise.protocols import run as run_protocol
from convergent.prediction import halves
from convergent.redraws import draw_images
from plan import Plan

LAYERED = (
    *("correlation_matrices", "groups", "group_hierarchy", "sparse_maps"),
    *("unit_pairs", "unit_groups", "unit_predictors", "activity_extremes"),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the workflow in which the reduced study has run."""
    folder = copy_workflow(tmp_path_factory.mktemp("finished"))
    printed = snakemake(folder)
    (folder / "printed.txt").write_text(printed)
    return folder


def test_the_end_says_where_to_look(finished):
    named = re.findall(r"^  (results/\S+)", (finished / "printed.txt").read_text(), re.MULTILINE)
    assert f"{RESULTS}/figures/alignment_by_depth.png" in named
    for path in named:
        assert (finished / path).exists(), path


def test_scores_are_complete_and_the_controls_say_what_they_must(finished):
    scores = rows(finished / RESULTS / "scores.csv")
    assert list(scores[0]) == ["study", "population", "layer", "measure", "network_a", "network_b", "value"]
    assert len({tuple(row[name] for name in list(row)[:-1]) for row in scores}) == len(scores)
    matched = Counter((row["population"], row["layer"]) for row in scores if row["measure"] == "match_mean")
    for layer in ("conv1", "conv5", "fc6"):
        assert matched["trained", layer] == matched["untrained", layer] == matched["shuffled", layer] == 6
        assert matched["permuted", layer] == matched["siblings", layer] == 3
        informed = [r for r in scores if r["layer"] == layer and r["measure"] == "information_match_mean"]
        assert Counter(r["population"] for r in informed) == {"trained": 6, "untrained": 6}

    def mean(population, layer):
        which = (population, layer, "match_mean")
        return np.mean([float(r["value"]) for r in scores if (r["population"], r["layer"], r["measure"]) == which])

    for layer in ("conv1", "conv5", "fc6"):
        assert mean("permuted", layer) == pytest.approx(1)
        assert mean("shuffled", layer) < mean("trained", layer)


def test_scores_are_those_of_numpy_and_scipy(finished):
    """One pair of networks, from the recorded activations to the score, by another way."""
    a, b = (np.load(finished / RESULTS / "activations" / net / "trained" / "fc6.npy") for net in ("net3", "net1"))
    dead = (a.std(axis=0) == 0).sum()
    a, b = a[:, a.std(axis=0) > 0], b[:, b.std(axis=0) > 0]
    between = np.corrcoef(a, b, rowvar=False)[: a.shape[1], a.shape[1] :]
    expected = {
        "semi_match_mean": between.max(axis=1).mean(),
        "match_mean": between[linear_sum_assignment(between, maximize=True)].mean(),
        "share_below_half": (between.max(axis=1) < 0.5).mean(),
        "dead_units": dead,
    }
    found = {
        row["measure"]: float(row["value"])
        for row in rows(finished / RESULTS / "scores.csv")
        if (row["population"], row["layer"], row["network_a"], row["network_b"]) == ("trained", "fc6", "net3", "net1")
    }
    for measure, value in expected.items():
        assert found[measure] == pytest.approx(value, abs=1e-6), measure


def test_every_figure_is_there_in_both_formats_with_its_table(finished):
    figures = finished / RESULTS / "figures"
    names = {path.relative_to(figures).with_suffix("").as_posix() for path in figures.rglob("[!.]*.*")}
    assert names >= {
        "alignment_by_depth",
        "matching_curves",
        *("information", "joint_activations", "activation_spectra", "matched_activity", "filters", "training_curves"),
        *("sparse_prediction", "few_predictors", "mapping_layers"),
        *("similarity_by_depth", "calibrated_similarity", "measure_agreement", "groundings"),
        *(f"layer_similarity/{measure}" for measure in ("cka_linear", "pwcca", "ridge_r2", "mutual_knn")),
        *(f"{name}/{layer}" for name in LAYERED for layer in ("conv1", "conv5", "fc6")),
        *("unit_pairs_information/conv1", "unit_pairs_information/conv5"),
    }
    for name in names:
        assert (figures / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (figures / f"{name}.svg").read_text()[:2000]
    curves = rows(finished / RESULTS / "tables" / "matching_curves.csv")
    assert [float(row["semi"]) for row in curves if row["layer"] == "conv1"] == sorted(
        (float(row["semi"]) for row in curves if row["layer"] == "conv1"), reverse=True
    )


def test_every_claim_has_a_verdict_with_its_number_or_its_reason(finished):
    claims = rows(finished / RESULTS / "claims.csv")
    assert list(claims[0])[:9] == [
        *("claim", "source", "statement", "criterion", "measured", "ci_low", "ci_high", "baseline", "verdict")
    ]
    ledger = yaml.safe_load((ROOT / "workflow/claims.yaml").read_text())["questions"]
    expected = [name for q in ledger for name in (q["question"], *(claim["claim"] for claim in q["claims"]))]
    assert [row["claim"] for row in claims] == expected
    for row in claims:
        assert row["verdict"] in {"supported", "partly supported", "not supported", "not tested"}
        if "." in row["claim"]:
            assert row["reason"] or np.isfinite(float(row["measured"])), row
        if row["verdict"] != "not tested" and "." in row["claim"]:
            assert (finished / RESULTS / "figures" / f"{row['figure']}.png").exists(), row
            assert float(row["ci_low"]) <= float(row["measured"]) <= float(row["ci_high"])
            assert row["replicates"] in {"networks", "networks and images"}
    page = (finished / RESULTS / "claims.html").read_text()
    assert not re.findall(r"(?:src|href)=[\"']https?://", page)
    for row in claims:
        assert row["claim"] in page
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors and anchors <= set(re.findall(r'id="([^"]+)"', page))


def test_intervals_say_what_they_cover(finished):
    summary = rows(finished / RESULTS / "tables" / "summary.csv")
    covers = {(row["population"], row["layer"], row["measure"]): row["replicates"] for row in summary}
    assert covers["trained", "conv5", "match_mean"] == covers["trained", "conv1", "refit_r2_2"] == "networks and images"
    assert covers["untrained", "conv1", "match_mean"] == covers["trained", "fc6", "refit_r2_2"] == "networks"
    draws = rows(finished / RESULTS / "tables" / "draws.csv")
    found = Counter((row["population"], row["measure"]) for row in draws if row["layer"] == "fc6")
    assert found["resampled", "match_mean"] == found["shuffled", "match_mean"] == 2


def test_shuffled_images_predict_less_than_true_ones(finished):
    scores = rows(finished / RESULTS / "scores.csv")

    def mean(population):
        wanted = (population, "conv1", "refit_r2_2")
        return np.mean([float(r["value"]) for r in scores if (r["population"], r["layer"], r["measure"]) == wanted])

    assert mean("shuffled") < 0.6 * mean("trained")


def test_draws_of_images_are_those_that_the_seed_gives(finished):
    """One score of each draw, from the recorded activations by another way."""
    plan = Plan(completed(yaml.safe_load(CONFIG.read_text())))
    parts = halves(200, np.random.default_rng(plan.draw("halves")))
    networks = [np.load(finished / RESULTS / f"activations/net{n}/trained/fc6.npy") for n in (1, 2, 3)]
    draws = rows(finished / RESULTS / "tables" / "draws.csv")
    for draw in (1, 2):
        chosen = np.concatenate(draw_images(parts, plan.draw("images"), draw))
        best = []
        for a, b in itertools.permutations(networks, 2):
            a, b = a[chosen], b[chosen]
            a, b = a[:, a.std(axis=0) > 0], b[:, b.std(axis=0) > 0]
            best.append(np.corrcoef(a, b, rowvar=False)[: a.shape[1], a.shape[1] :].max(axis=1).mean())
        wanted = ("resampled", "fc6", "semi_match_mean", str(draw))
        (mean,) = [
            float(row["mean"])
            for row in draws
            if (row["population"], row["layer"], row["measure"], row["draw"]) == wanted
        ]
        assert mean == pytest.approx(np.mean(best), abs=1e-6)


def test_claims_look_at_convolutional_layers_only(finished):
    claims = {row["claim"]: row for row in rows(finished / RESULTS / "claims.csv")}
    assert claims["Q1.first_layer_highest"]["where"] == "conv1 to conv5"
    assert claims["Q1.falls_with_depth"]["reason"] == "the study has 2 such layers, 3 are needed"
    assert claims["Q1.competition"]["where"] in {"conv1", "conv5"}


def test_similarities_are_those_of_another_way(finished):
    """Linear CKA of layers of two networks from their recorded activations, by way of the samples' Gram matrices."""
    table = rows(finished / RESULTS / "tables/similarity.csv")
    found = {
        tuple(row[name] for name in ("population", "layer_a", "layer_b", "network_a", "network_b")): float(row["value"])
        for row in table
        if row["measure"] == "cka_linear"
    }

    def gram(network, population, layer):
        values = np.load(finished / RESULTS / "activations" / network / population / f"{layer}.npy")
        values = values.reshape(200, -1, values.shape[1]).mean(axis=1, dtype=np.float64)
        values -= values.mean(axis=0)
        return values @ values.T

    for population, second, layers in (
        ("trained", "trained", ("conv5", "fc6")),
        ("untrained", "untrained", ("fc6", "conv1")),
        ("noise", "noise", ("conv5", "conv5")),
        ("against_untrained", "untrained", ("conv1", "conv1")),
    ):
        first = "noise" if population == "noise" else "untrained" if population == "untrained" else "trained"
        x, y = gram("net1", first, layers[0]), gram("net3", second, layers[1])
        expected = np.vdot(x, y) / np.sqrt(np.vdot(x, x) * np.vdot(y, y))
        assert found[(population, *layers, "net1", "net3")] == pytest.approx(expected, abs=1e-6), population
    scores = {
        (row["population"], row["layer"], row["network_a"], row["network_b"]): float(row["value"])
        for row in rows(finished / RESULTS / "scores.csv")
        if row["measure"] == "cka_linear"
    }
    assert scores["trained", "conv5", "net1", "net3"] == found["trained", "conv5", "conv5", "net1", "net3"]
    for layer in ("conv1", "conv5", "fc6"):
        assert scores["permuted", layer, "net2", "net2"] == pytest.approx(1)
        assert scores["rotated", layer, "net2", "net2"] == pytest.approx(1)
        assert scores["shuffled", layer, "net1", "net2"] < scores["trained", layer, "net1", "net2"]


def test_untrained_partners_are_other_networks(finished):
    scores = rows(finished / RESULTS / "scores.csv")
    found = [row for row in scores if (row["population"], row["measure"]) == ("against_untrained", "semi_match_mean")]
    assert len(found) == 18 and all(row["network_a"] != row["network_b"] for row in found)
    (value,) = [
        float(row["value"])
        for row in found
        if (row["layer"], row["network_a"], row["network_b"]) == ("fc6", "net3", "net1")
    ]
    a = np.load(finished / RESULTS / "activations/net3/trained/fc6.npy")
    b = np.load(finished / RESULTS / "activations/net1/untrained/fc6.npy")
    a, b = a[:, a.std(axis=0) > 0], b[:, b.std(axis=0) > 0]
    between = np.corrcoef(a, b, rowvar=False)[: a.shape[1], a.shape[1] :]
    assert value == pytest.approx(between.max(axis=1).mean(), abs=1e-6)


def test_a_second_run_does_nothing(finished):
    assert "Nothing to be done" in snakemake(finished)


def test_another_number_of_networks_trains_only_the_new_one(finished):
    plan = planned(finished, networks=4)
    assert plan["train_network"] == plan["dump_activations"] == 1
    assert plan["fetch_data"] == 0
    assert plan["compute_statistics"] == 9


def test_another_seed_does_everything_again(finished):
    plan = planned(finished, seed=2)
    assert (plan["fetch_data"], plan["train_network"]) == (1, 3)


@pytest.mark.parametrize(
    ("changes", "again", "kept"),
    [
        ({"training": {"epochs": 9}}, {"train_network", "dump_activations"}, {"fetch_data"}),
        ({"activations": {"positions": "mean"}}, {"dump_activations", "compute_statistics"}, {"train_network"}),
        ({"information": {"bins": 6}}, {"measure_information"}, {"align_units", "run_controls"}),
        ({"controls": {"shuffles": 3}}, {"run_controls", "collect_scores"}, {"dump_activations", "align_units"}),
        ({"maps": {"predictors": [1, 3]}}, {"map_units", "resample_images", "judge_claims"}, {"group_units"}),
        ({"groups": {"depth": 2}}, {"group_units", "draw_groups"}, {"map_units", "resample_images", "run_controls"}),
        (
            {"similarity": {"permutations": 30}},
            {"calibrate_similarity", "collect_similarity", "collect_scores"},
            {"compare_representations", "control_similarity", "align_units"},
        ),
        (
            {"probes": [{"name": "noise", "corruption": "noise", "strength": 0.2}]},
            {"dump_activations", "compare_representations"},
            {"train_network", "fetch_data"},
        ),
        ({"pictures": {"images": 4}}, {"picture_units", "draw_unit_pairs"}, {"map_units", "collect_scores"}),
        ({"resampling": {"images": 3}}, {"resample_images", "collect_scores"}, {"map_units", "group_units"}),
        (
            {"resampling": {"networks": 200}},
            {"judge_claims", "write_claims_page"},
            {"resample_images", "collect_scores"},
        ),
    ],
)
def test_a_parameter_reruns_what_depends_on_it(finished, changes, again, kept):
    plan = planned(finished, **changes)
    assert all(plan[rule] for rule in again), plan
    assert not any(plan[rule] for rule in kept), plan


@pytest.mark.parametrize(
    ("module", "again", "kept"),
    [
        ("matching.py", {"align_units", "run_controls"}, {"train_network", "compute_statistics"}),
        ("figures/training.py", {"draw_training_curves"}, {"draw_matching_curves", "align_units", "train_network"}),
    ],
)
def test_a_changed_library_module_reruns_what_uses_it_and_what_follows(finished, module, again, kept):
    path = finished / "workflow" / "convergent" / module
    before = path.read_text()
    try:
        path.write_text(before + "\nCHANGED = 1\n")
        plan = planned(finished)
    finally:
        path.write_text(before)
    assert all(plan[rule] for rule in again), plan
    assert not any(plan[rule] for rule in kept), plan


def test_a_killed_run_resumes_to_the_same_numbers(finished, tmp_path):
    """Once, up to the first scores; many kills of a whole study are among the slow tests of reliability."""
    copy_workflow(tmp_path)
    shutil.copy2(CONFIG, tmp_path)
    words = [*SNAKEMAKE, "--cores", "2", "--configfile", CONFIG.name]
    with open(tmp_path / "killed.txt", "w") as printed:
        run = subprocess.Popen(words, cwd=tmp_path, stdout=printed, stderr=printed, start_new_session=True)
        deadline = time.monotonic() + 120
        # In the middle: one network is trained, the others are not.
        while not list(tmp_path.glob(f"{RESULTS}/networks/*/trained.safetensors")):
            assert run.poll() is None, (tmp_path / "killed.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert not (tmp_path / RESULTS / "alignment").exists()
    snakemake(tmp_path, "--unlock")
    scores = RESULTS / "alignment/trained/1-1.csv"
    snakemake(tmp_path, str(scores))
    assert (tmp_path / scores).read_text() == (finished / scores).read_text()
    assert [path for path in tmp_path.glob("results/**/.*") if path.suffix != ".seal"] == []


@pytest.fixture
def damaged(finished, tmp_path):
    """A copy of the finished study, for tests that spoil its files."""
    return shutil.copytree(finished, tmp_path / "copy", ignore=shutil.ignore_patterns("printed.txt"))


def test_a_stale_product_is_refused(damaged):
    """Activations that another run left, put in place of this run's, are recognised by their key."""
    record = damaged / RESULTS / "activations" / "net2" / "trained" / "dump.json"
    with sealed([], [record]):
        save_json(record, json.loads(record.read_text()) | {"key": "0" * 64})
    printed = snakemake(damaged, "--forcerun", "compute_statistics", check=False)
    assert re.search(r"Error: \S*net2/trained/dump\.json was made by another run .* delete it", printed)
    assert "Traceback" not in printed


def test_a_product_of_which_one_bit_has_changed_is_refused(damaged):
    """Deleted, as the sentence asks, it is made again, and the study is what it was."""
    weights, wanted = damaged / RESULTS / "networks/net2/trained.safetensors", f"{RESULTS}/alignment/trained/1-1.csv"
    content, expected = bytearray(weights.read_bytes()), (damaged / wanted).read_text()
    content[-50] ^= 1
    weights.write_bytes(content)
    for made in (wanted, f"{RESULTS}/statistics/trained/fc6/1-1.npz", f"{RESULTS}/activations/net2/trained/dump.json"):
        (damaged / made).unlink()
    printed = snakemake(damaged, wanted, check=False)
    assert re.search(r"Error: \S*net2/trained\.safetensors is not as it was written .*: delete it", printed)
    assert "Traceback" not in printed
    weights.unlink()
    snakemake(damaged, wanted)
    assert (damaged / wanted).read_text() == expected
    assert weights.read_bytes() != bytes(content)


def test_a_network_that_learned_nothing_stops_the_study(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    printed = snakemake(tmp_path / "copy", check=False, training={"accuracy_floor": 0.999})
    assert re.search(r"Error: net\d ended with a validation accuracy of .* below the floor of 99\.9%", printed)
    assert "Traceback" not in printed


def test_a_second_config_with_the_same_name_is_refused(finished):
    other = finished / "other.yaml"
    other.write_text("study: reduced\n")
    assert "config key `study` is reduced in" in snakemake(finished, config=other, check=False)


def test_networks_that_train_together_become_what_they_are_alone(finished, tmp_path):
    copy_workflow(tmp_path)
    snakemake(tmp_path, f"{RESULTS}/tables/networks.csv", training={"networks_per_job": 2})
    assert {log.stem for log in (tmp_path / RESULTS / "logs/train_network").iterdir()} == {"net1..net2", "net3"}
    for network in ("net1", "net2", "net3"):
        here, there = (folder / RESULTS / "networks" / network for folder in (tmp_path, finished))
        assert {path.name for path in here.iterdir()} == {path.name for path in there.iterdir()}
        for stage, most in {"untrained": 0, "trained": 0 if network == "net3" else 0.02}.items():
            found, expected = (load_file(folder / f"{stage}.safetensors") for folder in (here, there))
            assert max(float((found[name] - expected[name]).abs().max()) for name in expected) <= most
        for row, other in zip(rows(here / "history.csv"), rows(there / "history.csv"), strict=True):
            # Training enlarges differences of rounding.
            apart = 1e-5 if int(row["epoch"]) < 3 else 0.01
            assert float(row["validation_loss"]) == pytest.approx(float(other["validation_loss"]), abs=apart)


def test_tiles_give_the_scores_of_the_whole(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    folder = tmp_path / "copy"
    whole = rows(folder / RESULTS / "scores.csv")
    snakemake(folder, f"{RESULTS}/scores.csv", networks_per_tile=2)
    tiled = rows(folder / RESULTS / "scores.csv")

    def table(scores):
        return {
            tuple(row[name] for name in list(row)[:-1]): float(row["value"])
            for row in scores
            if row["population"] != "shuffled"
        }

    assert table(tiled) == pytest.approx(table(whole), abs=1e-9, nan_ok=True)


def test_without_stored_activations_the_scores_are_the_same(finished, tmp_path):
    """Tile by tile, too; what needs the activations themselves is left out, and the ledger says so."""
    folder = shutil.copytree(finished, tmp_path / "copy", ignore=shutil.ignore_patterns("activations"))
    shutil.rmtree(folder / RESULTS / "figures")

    def table():
        scores = rows(folder / RESULTS / "scores.csv")
        return {tuple(row[name] for name in list(row)[:-1]): float(row["value"]) for row in scores}

    stored = table()
    without = {"activations": {"stored": False}, "similarity": {"measures": [], "calibrated": []}}
    printed = snakemake(folder, networks_per_tile=2, **without)
    assert not re.search("rule (train_network|dump_activations|measure_information|resample_images):", printed)
    assert not (folder / RESULTS / "activations").exists()
    streamed = table()
    assert streamed == pytest.approx({place: stored[place] for place in streamed}, abs=1e-6, nan_ok=True)
    left_out = {place for place in stored.keys() - streamed.keys() if place[1] != "shuffled"}
    kinds = ("information_", "map_", "trained_map_", "refit_", "few_predictors_")
    measures = ("cka_linear", "pwcca", "ridge_r2", "mutual_knn")
    assert {place[3] for place in left_out} and all(place[3].startswith((*kinds, *measures)) for place in left_out)
    assert {place[1] for place in streamed} == {
        *("trained", "untrained", "noise", "against_untrained", "siblings", "permuted")
    }
    verdicts = {row["claim"]: row["verdict"] for row in rows(folder / RESULTS / "claims.csv")}
    assert verdicts["Q2"] == verdicts["Q3"] == verdicts["Q6"] == verdicts["Q1.core"] == "not tested"
    assert "not tested" not in (verdicts["Q4.core"], verdicts["Q5.core"], verdicts["Q1.first_layer_highest"])
    figures = {path.stem for path in (folder / RESULTS / "figures").rglob("*.png")}
    assert figures == {
        *("alignment_by_depth", "matching_curves", "activation_spectra", "matched_activity", "training_curves"),
        *("conv1", "conv5", "fc6"),
    }
    assert "Nothing to be done" in snakemake(folder, networks_per_tile=2, **without)


def test_the_report_is_one_page_that_a_browser_shows(finished, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        assert not os.environ.get("BROWSER_REQUIRED"), "no browser, but one is required"
        pytest.skip("needs chromium")
    page = tmp_path / "report.html"
    snakemake(finished, "--report", str(page))
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    words = [browser, "--headless", "--no-sandbox", "--disable-gpu", *quiet, f"--user-data-dir={tmp_path / 'browser'}"]
    shown = subprocess.run(
        [*words, "--virtual-time-budget=8000", "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120
    ).stdout
    # What scripts have put on the page, not what the file merely carries for them.
    visible = re.sub(r"<script.*?</script>", "", shown, flags=re.DOTALL)
    assert "Do different neural networks learn the same representations?" in visible
    assert "(study <em>reduced</em>)" in visible
    for category in (
        "Claims",
        "Alignment",
        "Sparse maps",
        "Similarity",
        "Groups",
        "Activity",
        "Pictures of units",
        "Networks",
        "Tables",
    ):
        assert category in visible
    # Captions are rendered into the page, and nothing is fetched from elsewhere.
    text = page.read_text()
    assert "Correlation of each unit of the first network with its partner" in text
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']https?://", text)


def test_a_cell_of_the_study_of_noise(finished):
    """What one job measures is what the library does; a smaller scale plans fewer jobs."""
    snakemake(finished, f"{RESULTS}/noise/linear/10.csv", noise={"scale": "smoke"})
    measured = rows(finished / RESULTS / "noise/linear/10.csv")
    assert {row["variant"] for row in measured} == {"input", "label", "both", "ridge", "fresh"}
    plan = Plan(completed(yaml.safe_load(CONFIG.read_text()) | {"noise": {"scale": "smoke"}}))
    expected = run_protocol("linear", "ridge", 10, "smoke", plan.draw("noise"))
    found = [row for row in measured if row["variant"] == "ridge"]
    assert [(row["snr"], row["measure"]) for row in found] == [(str(row["snr"]), row["measure"]) for row in expected]
    assert [float(row["value"]) for row in found] == pytest.approx([row["value"] for row in expected], nan_ok=True)
    assert len(plan.noise.cells) < len(Plan(completed({"study": "mine"})).noise.cells)
    planned_noise = planned(finished, "noise", noise={"scale": "smoke"})
    assert planned_noise["measure_noise"] == len(plan.noise.cells) - 1 and planned_noise["judge_noise"] == 1


def test_a_case_of_the_study_of_dynamics(finished):
    """Networks are trained and fitted as the library does it, and a damaged run is named, not used."""
    scale = {"scale": "smoke"}
    fits = f"{RESULTS}/dynamics/fits/two_point/two_layer.csv"
    printed = snakemake(finished, fits, dynamics=scale)
    assert "Traceback" not in printed
    measured = rows(finished / fits)
    plan = Plan(completed(yaml.safe_load(CONFIG.read_text()) | {"dynamics": scale}))
    expected, _ = fit_case("two_point", "two_layer", run_case("two_point", "two_layer", "smoke", plan.dynamics.seed))
    assert [float(row["residual"]) for row in measured] == pytest.approx(
        [row["residual"] for row in expected], rel=0.02
    )
    assert all(float(row["r2"]) > 0.99 and row["converged"] == "True" for row in measured)
    jobs = planned(finished, "dynamics", dynamics=scale)
    assert jobs["train_dynamics"] == len(plan.dynamics.cells) - 1 and jobs["judge_dynamics"] == 1
    # All three studies end on one page.
    jobs = planned(finished, "everything", dynamics=scale, noise=scale)
    assert jobs["write_ledger"] == jobs["write_noise_page"] == jobs["write_dynamics_page"] == 1
    run = finished / RESULTS / "dynamics/runs/two_point/two_layer.npz"
    run.write_bytes(run.read_bytes()[:-100])
    (finished / fits).unlink()
    printed = snakemake(finished, fits, dynamics=scale, check=False)
    assert re.search(
        r"Error: \S*two_layer\.npz is not as it was written .*: delete it and run the study again", printed
    )
