"""Names, seeds and keys of a study; the pins of its two environments."""

import re
import shutil
from itertools import combinations, product
from pathlib import Path

import pytest
import stand_in
import yaml

import fingerprint
from configuration import completed
from plan import Names, Plan

ROOT = Path(__file__).parents[1]


def test_the_guide_names_what_is_there(tmp_path):
    plan = Plan(completed({"study": "mine"}))
    assert plan.guide(str(tmp_path)) == ""
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise/claims.html").touch()
    assert "noise/claims.html" in plan.guide(str(tmp_path)) and "scores.csv" not in plan.guide(str(tmp_path))


def test_the_end_names_what_went_wrong(tmp_path):
    plan, logs = Plan(completed({"study": "mine"})), tmp_path / "logs"
    logs.mkdir()
    (logs / "well.log").write_text("Error: of a file that was there before\ndone in 3.0 s\n")
    (logs / "wrong.log").write_text("so far\nError: the file is not there.\n")
    assert plan.mistakes(str(tmp_path), since=0).count("Error: ") == 1
    # One that a scheduler kills writes nothing any more.
    (logs / "killed.log").write_text("1 of 2 epochs\n")
    assert f"Error: the job of {logs / 'killed.log'} was ended from outside" in plan.mistakes(str(tmp_path), since=0)


def planned(**changes):
    return Plan(completed({"study": "mine", **changes}))


@pytest.mark.parametrize(("networks", "size"), [(4, None), (7, 2), (6, 3), (5, 5), (3, 100)])
def test_tiles_cover_every_pair_once(networks, size):
    plan = planned(networks=networks, networks_per_tile=size)
    found = []
    for tile in plan.tiles:
        rows, columns = plan.sides(Names(tile=tile))
        found += combinations(rows, 2) if columns is None else [(a, b) for a in rows for b in columns]
    assert sorted(found) == sorted(combinations(plan.networks, 2))


def blocks(**changes):
    """How many networks each job trains."""
    plan = planned(**changes)
    assert [network for block in plan.blocks for network in block] == plan.trained_here
    return [len(block) for block in plan.blocks]


SMALL = {"name": "caffenet", "options": planned().config["architecture"]["options"] | {"dense": [32, 32]}}
NO_POOL = {"architecture": {"name": "mlp"}, "activations": {"layers": ["fc1"]}}


def test_small_networks_train_together_where_there_are_many():
    assert blocks() == [1] * 4
    assert blocks(networks=15) == [1] * 15
    assert blocks(networks=16) == [2] * 8
    assert blocks(networks=17) == [2] * 8 + [1]
    assert blocks(networks=64) == blocks(networks=64, device="cpu") == [8] * 8
    assert blocks(networks=520) == [32] * 16 + [8]
    assert blocks(networks=64, **NO_POOL) == [8] * 8
    # Only of one architecture, and where it is faster.
    both = [{"trained": 17}, {"trained": 16, "name": "other", "architecture": SMALL}]
    assert blocks(networks=both) == [2] * 8 + [1] + [2] * 8
    assert blocks(networks=64, training={"batch_size": 128}) == [1] * 64
    large = {"name": "dead_leaves", "train": 20, "validation": 10, "options": {"size": 32}}
    assert blocks(networks=64, dataset=large) == [1] * 64
    vit = {"architecture": {"name": "vit_b_16", "options": stand_in.TINY_VIT}, "activations": {"layers": ["encoder"]}}
    assert blocks(networks=64, **vit) == blocks(networks=64, device="cuda") == [1] * 64


def test_the_number_of_networks_that_train_together_can_be_set():
    assert blocks(networks=64, training={"networks_per_job": 1}) == [1] * 64
    assert blocks(networks=5, training={"networks_per_job": 2}, device="cuda") == [2, 2, 1]
    assert blocks(networks=5, training={"networks_per_job": 2, "batch_size": 1024}) == [2, 2, 1]
    assert blocks(training={"networks_per_job": 100}) == [4]


def test_company_is_part_of_a_key():
    def keys(size, **changes):
        plan = planned(networks=5, training={"networks_per_job": size}, **changes)
        return {network: plan.network_key(Names(network=network)) for network in plan.networks}

    alone, paired = keys(1), keys(2)
    assert keys(None) == alone
    assert [network for network in alone if paired[network] == alone[network]] == ["net5"]
    assert not {*paired.values()} & {*keys(3).values()}
    assert len({*paired.values()}) == 5


def test_seeds_differ_in_what_the_config_varies():
    def seeds(**changes):
        plan = planned(**changes)
        return [plan.seeds(Names(network=name)) for name in plan.networks]

    def different(draw, vary):
        return len({seed[draw] for seed in seeds(vary=vary)})

    assert (different("initialisation", "both"), different("data_order", "both")) == (4, 4)
    assert (different("initialisation", "initialisation"), different("data_order", "initialisation")) == (4, 1)
    assert (different("initialisation", "data_order"), different("data_order", "data_order")) == (1, 4)
    assert seeds(seed=2) != seeds()
    assert seeds(networks=6)[:4] == seeds()


def test_a_key_follows_what_its_product_is_made_from():
    place = Names(network="net2", population="trained", layer="conv3", tile="1-1")
    base = planned()
    whole = ("similarity_key", "similarity_controls_key", "calibration_key")
    late = ("information_key", "maps_key", "groups_key", "resampling_key", "controls_key", "pictures_key", *whole)
    stages = ("data_key", "network_key", "dump_key", "statistics_key", *late)

    def moved(**changes):
        plan = planned(**changes)
        return [stage for stage in stages if getattr(plan, stage)(place) != getattr(base, stage)(place)]

    assert moved() == []
    assert moved(study="other") == []
    assert moved(training={"accuracy_floor": 0.7, "resume_minutes": None}) == []
    assert moved(controls={"shuffles": 5}) == ["controls_key"]
    assert moved(activations={"positions": "mean"}) == ["dump_key", "statistics_key", *late]
    assert moved(training={"epochs": 31}) == ["network_key", "dump_key", "statistics_key", *late]
    assert moved(seed=9) == list(stages)
    assert moved(networks=5) == ["statistics_key", *late]
    assert moved(information={"bins": 5}) == ["information_key", "resampling_key", "pictures_key"]
    assert moved(maps={"predictors": [1, 5]}) == ["maps_key", "resampling_key", "pictures_key"]
    assert moved(groups={"depth": 2}) == ["groups_key", "pictures_key"]
    assert moved(groups={"threshold": 0.3}) == ["groups_key", "resampling_key", "controls_key", "pictures_key"]
    assert moved(resampling={"images": 5}) == ["resampling_key"]
    assert moved(pictures={"images": 4}) == ["pictures_key"]
    assert moved(similarity={"measures": ["gulp"]}) == list(whole[:2])
    assert moved(similarity={"noise": [0.1, 0.2]}) == ["similarity_controls_key"]
    assert moved(similarity={"permutations": 50}) == moved(similarity={"calibrated": []}) == ["calibration_key"]
    assert moved(similarity={"positions": "flatten"}) == list(whole)


def test_keys_tell_places_and_seeds_apart():
    base = planned()
    place = {"network": "net1", "population": "trained", "layer": "conv1", "tile": "1-1"}
    for stage in ("similarity_key", "calibration_key"):
        key = getattr(base, stage)
        assert key(Names(**place)) != key(Names(**place | {"population": "untrained"}))
    for stage in ("statistics_key", "information_key", "maps_key", "groups_key"):
        key = getattr(base, stage)
        elsewhere = [Names(**place | {"layer": "conv2"}), Names(**place | {"population": "untrained"})]
        assert len({key(Names(**place)), *map(key, elsewhere)}) == 3, stage
    for stage in ("controls_key", "resampling_key"):
        key = getattr(base, stage)
        assert key(Names(**place)) != key(Names(**place | {"layer": "conv2"}))
    assert base.controls_seed(Names(**place)) != base.controls_seed(Names(**place | {"layer": "conv2"}))
    # The penalty of a layer called conv1 is the paper's in a CaffeNet only.
    assert base.maps_key(Names(**place)) != ownership(base).maps_key(Names(**place))
    assert base.resampling_key(Names(**place)) != ownership(base).resampling_key(Names(**place))
    # An early layer is scored by more measures on drawn images.
    late = planned(activations={"layers": ["conv2", "conv3", "conv1"]})
    early = planned(activations={"layers": ["conv1", "conv2", "conv3"]})
    assert early.costly_redraws(Names(**place)) != late.costly_redraws(Names(**place))
    tiled = planned(networks=5, networks_per_tile=2)
    between = Names(**place | {"tile": "1-2"})
    assert tiled.within_statistics(between) == [
        f"<study>/statistics/trained/conv1/{tile}.npz" for tile in ("1-1", "2-2")
    ]
    assert tiled.within_statistics(Names(**place)) == []


def ownership(plan):
    """The same plan as if no layer were one of the paper's."""
    other = Plan(plan.config)
    other.published_units = lambda wildcards: None
    return other


def test_published_numbers_compare_only_with_the_papers_own_study(tmp_path):
    for part, kind, name in product(("train", "val"), ("cat", "dog"), ("1.png", "2.png")):
        (tmp_path / part / kind).mkdir(parents=True, exist_ok=True)
        (tmp_path / part / kind / name).touch()
    images = {"path": str(tmp_path), "image_size": 227, "resize": 256}
    full = {"dataset": {"name": "imagenet", "options": images}, "architecture": {"name": "caffenet"}}
    full["activations"] = {"layers": ["conv1", "fc6"]}

    def of(changes):
        return Plan(completed({"study": "mine", **changes}, thorough=False))

    assert of(full).regime == "exact"
    assert of(full | {"architecture": {"name": "caffenet", "options": {"initialisation": "caffe"}}}).regime == "exact"
    assert of(full | {"architecture": {"name": "caffenet", "options": {"dense": [64, 64]}}}).regime == "scaled"
    assert planned().regime == "scaled"
    assert of(full).convolutional_layers == ["conv1"]
    assert planned().published_units(Names(layer="conv2")) == 256
    mlp = {"architecture": {"name": "mlp"}, "activations": {"layers": ["fc1", "fc2"]}}
    assert planned(**mlp).published_units(Names(layer="fc1")) is None
    assert planned(**mlp).convolutional_layers == []


def test_maps_are_made_for_the_layers_asked_for():
    layers = ["conv1", "conv2", "conv3"]
    for asked, mapped in ((None, layers), ([], []), (["conv3", "conv1"], ["conv1", "conv3"])):
        plan = planned(activations={"layers": layers}, maps={"layers": asked})
        assert plan.mapped_layers == mapped
        assert [name for name in plan.figure_names if name.startswith("sparse_maps/")] == [
            f"sparse_maps/{layer}" for layer in mapped
        ]
        assert ("sparse_prediction" in plan.figure_names) == bool(mapped)
    assert planned(activations={"layers": layers}).costly_redraws(Names(layer="conv3")) == []
    assert planned(maps={"layers": []}).costly_redraws(Names(layer="conv1")) == ["information"]


def test_without_stored_activations_only_statistics_are_planned():
    place = Names(network="net1", population="trained", layer="conv3", tile="1-1")
    kept, streamed = planned(), planned(activations={"stored": False})
    for stage in ("data_key", "network_key", "dump_key"):
        assert getattr(kept, stage)(place) == getattr(streamed, stage)(place), stage  # the networks answer the same
    for stage in ("statistics_key", "controls_key"):
        assert getattr(kept, stage)(place) != getattr(streamed, stage)(place), stage
    assert {path.split("/")[1] for path in streamed.score_fragments(None)} == {"alignment", "groups", "controls"}
    assert streamed.resampled(None) == streamed.similarity_fragments(None) == streamed.drawn_networks == []
    assert set(streamed.figure_names) < set(kept.figure_names)
    # No image is shuffled, so that the number of shuffles is nothing to the controls.
    other = planned(activations={"stored": False}, controls={"shuffles": 3})
    assert other.controls_key(place) == streamed.controls_key(place)


def test_the_code_of_a_stage_is_its_script_and_what_that_imports(tmp_path, monkeypatch):
    package = tmp_path / "convergent" / "figures"
    package.mkdir(parents=True)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "convergent" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "style.py").write_text("from convergent import colours\n")
    (tmp_path / "convergent" / "colours.py").write_text("RED = 1\n")
    (tmp_path / "convergent" / "unused.py").write_text("X = 1\n")
    (tmp_path / "scripts" / "draw.py").write_text("def late():\n    from convergent.figures.style import save\n")
    monkeypatch.setattr(fingerprint, "WORKFLOW", tmp_path)

    def code():
        fingerprint.code.cache_clear()
        return fingerprint.code("draw")

    try:
        before = code()
        (tmp_path / "convergent" / "unused.py").write_text("X = 2\n")
        (tmp_path / "convergent" / "colours.py").write_text('"""Words."""\n\nRED = 1  # more words\n')
        assert code() == before
        (tmp_path / "convergent" / "colours.py").write_text("RED = 2\n")
        assert code() != before
    finally:
        fingerprint.code.cache_clear()


def test_both_environments_have_the_same_pins():
    pins = [line for line in (ROOT / "envs/requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", pin) for pin in pins), "only names and versions"
    environment = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())
    conda = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert set(conda) <= set(pins)
    for package in ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas", "matplotlib"):
        assert any(pin.startswith(f"{package}==") for pin in conda)
    assert {"snakemake==9.27.1", "torch==2.13.0", "torchvision==0.28.0"} <= set(pins)


@pytest.mark.parametrize(
    ("module", "again", "kept"),
    [
        ("matching.py", {"align_units", "run_controls"}, {"train_network", "compute_statistics"}),
        ("clustering.py", {"group_units", "resample_images", "run_controls"}, {"train_network", "align_units"}),
        ("claims.py", {"judge_claims", "write_claims_page"}, {"collect_scores", "align_units", "picture_units"}),
        ("groundings.py", {"draw_similarity"}, {"compare_representations", "collect_scores", "draw_groups"}),
        ("similarity/neighbours.py", {"compare_representations"}, {"align_units", "map_units", "dump_activations"}),
        ("receptive_fields.py", {"picture_units"}, {"choose_examples", "collect_scores"}),
        ("dumping.py", {"dump_activations"}, {"train_network", "fetch_data"}),
        ("figures/training.py", {"draw_training_curves"}, {"draw_matching_curves", "align_units", "train_network"}),
    ],
)
def test_the_code_behind_a_script_is_all_that_it_imports(monkeypatch, tmp_path, module, again, kept):
    shutil.copytree(fingerprint.WORKFLOW, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "WORKFLOW", tmp_path)

    def digests():
        fingerprint.code.cache_clear()
        return {script: fingerprint.code(script) for script in again | kept}

    before, path = digests(), tmp_path / "convergent" / module
    text = path.read_text()
    path.write_text(text + "\n# A remark changes nothing.\n")
    assert digests() == before
    path.write_text(text + "\nCHANGED = 1\n")
    after = digests()
    fingerprint.code.cache_clear()
    assert {script for script in before if after[script] != before[script]} == again
