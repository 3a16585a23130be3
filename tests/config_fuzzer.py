"""Configurations made from the schema: right, nearly right and hostile ones, and what must hold for each of them."""

import copy
import datetime
import re
import string
from pathlib import PurePosixPath

from hypothesis import strategies as st

from configuration import completed, schema
from convergent.errors import StudyError
from plan import EXAMPLE_STAGES, Names, Plan

HOSTILE = (
    *(
        "../up",
        "/etc/passwd",
        "a/b",
        "a b",
        "a\nb",
        "$(touch x)",
        "`touch x`",
        "; touch x",
        "|x",
        "-rf",
        "*",
        "..",
        ".",
    ),
    *(
        "{wildcard}",
        "{",
        "%s",
        "a\0b",
        "é",
        "\u202e",
        "\ud800",
        "x" * 300,
        "net1",
        "trained",
        "<study>",
        "~",
        "null",
        "",
    ),
)
TEXT = st.sampled_from(HOSTILE) | st.text(max_size=20)
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, -1, 1, 10**30, 2**63, 1e308, float("nan"), float("inf")])
OTHERS = st.sampled_from([None, True, False, datetime.date(2026, 1, 1), b"bytes", {1, 2}, (1, 2), [], {}])
ANYTHING = st.recursive(
    TEXT | NUMBERS | OTHERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | NUMBERS | st.none(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=8)
# What the schema leaves open, so that more than chance finds something that can be run.
KNOWN = {
    "architecture.name": st.sampled_from(["caffenet", "mlp", "mlp", "resnet18", "nowhere:network", "os:system"]),
    "architecture.options": st.sampled_from([{}, {"widths": [4, 3]}, {"dropout": 0.5}, {"widths": []}, {"pools": 3}]),
    "activations.layers": st.lists(st.sampled_from(["fc1", "fc2", "conv1", "fc*", "*", "[", "layer1"]), max_size=4),
    "maps.layers": st.none() | st.lists(st.sampled_from(["fc1", "conv1", "x"]), max_size=2),
    "similarity.measures": st.lists(st.sampled_from(["cka_linear", "gulp", "cka"]), max_size=3),
    "similarity.calibrated": st.lists(st.sampled_from(["cka_linear", "gulp", "cka"]), max_size=3),
    "similarity.over_layers": st.lists(st.sampled_from(["cka_linear", "gulp", "cka"]), max_size=3),
    "dataset.options": st.sampled_from([{}, {}, {"path": "nowhere"}, {"size": 8}, {"images": "../x.npy"}]),
    "dataset.train": st.none() | st.integers(1, 3000),
    "dataset.validation": st.none() | st.integers(1, 3000),
    "downloads": TEXT,
}


def by(rule: dict, path: str = "") -> st.SearchStrategy:
    """Values that a rule of the schema allows, as far as it says so."""
    if path in KNOWN:
        return KNOWN[path]
    if "enum" in rule:
        return st.sampled_from(rule["enum"])
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    return st.one_of(*(of_kind(kind, rule, path) for kind in kinds))


def of_kind(kind: str, rule: dict, path: str) -> st.SearchStrategy:
    """Values of one type that a rule allows."""
    lowest, highest = (
        rule.get("minimum", rule.get("exclusiveMinimum")),
        rule.get("maximum", rule.get("exclusiveMaximum")),
    )
    match kind:
        case "integer":
            return st.integers(lowest or 0, min(highest or 40, (lowest or 0) + 20))
        case "number":
            return st.floats(lowest, highest, allow_nan=False) | st.floats(lowest or 0, highest or 1)
        case "string":
            return NAMES
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "array":
            return st.lists(by(rule["items"], f"{path}.*"), min_size=rule.get("minItems", 0), max_size=4)
    return of_object(rule, path)


def of_object(rule: dict, path: str = "") -> st.SearchStrategy:
    """Mappings with some of the keys that a rule knows."""
    known = {name: by(inner, f"{path}.{name}" if path else name) for name, inner in rule.get("properties", {}).items()}
    needed = {name: known.pop(name) for name in rule.get("required", ())}
    return st.fixed_dictionaries(needed, optional=known) if known or needed else st.just({})


ALLOWED = of_object(schema())


@st.composite
def configs(draw) -> object:
    """A configuration that the schema allows, often with a few places changed to anything at all."""
    config = copy.deepcopy(draw(ALLOWED))
    # Mostly small parts of it: the more is said, the more likely is something wrong that hides the rest.
    for name in draw(st.lists(st.sampled_from(sorted(config)), unique=True)):
        if name != "study":
            del config[name]
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        place, parents = config, draw(st.integers(0, 3))
        while isinstance(place, dict) and place:
            name = draw(st.sampled_from(sorted(place, key=repr)))
            if not parents or not isinstance(place[name], dict):
                place[draw(st.just(name) | TEXT)] = draw(ANYTHING)
                break
            place, parents = place[name], parents - 1
    return config


def outcome(config: object) -> str:
    """`refused` in one sentence, or `planned`; anything else is an assertion that fails."""
    try:
        plan = Plan(completed(config))
    except StudyError as error:
        sentence = str(error)
        assert sentence.startswith("config key `") and sentence.endswith("."), sentence
        assert "\n" not in sentence and "Traceback" not in sentence and len(sentence) < 1500, sentence
        return "refused"
    require_inside(plan)
    return "planned"


def require_inside(plan: Plan) -> None:
    """Ask a plan for everything that the rules ask; every path must stay in the folder of the study."""
    paths, nothing = list(plan.results), Names()
    paths += [path for page in plan.pages for path in (page.path, *page.claims, *page.prints)]
    paths += plan.data_files + plan.other_data_files
    for recording in (recording for here in (True, False) for recording in plan.recordings(here)):
        re.compile(recording.pattern)
        paths += recording.activations + recording.samples + recording.dumps
    for network in plan.networks:
        place = Names(network=network)
        plan.seeds(place), plan.layers_of(place), plan.standardisation(place), plan.dump_key(place)
        plan.brought_files(place), plan.pictures_key(place)
    for place in plan.places(plan.populations):
        paths += plan.tile_layers(place) + plan.tile_records(place) + plan.tile_weights(place) + plan.probe_files(place)
        plan.sides(place), plan.similarity_key(place), plan.alignment_keys(place)
    for place in plan.places(plan.ends, plan.layers):
        paths += plan.within_statistics(place)
        plan.groups_key(place), plan.information_key(place), plan.maps_key(place), plan.costly_redraws(place)
    for place in plan.places(["trained"], plan.layers):
        plan.controls_key(place), plan.resampling_key(place)
    paths += plan.score_fragments(nothing) + plan.resampled(nothing)
    paths += plan.similarity_fragments(nothing) + plan.calibration_fragments(nothing)
    plan.score_contents(nothing), plan.resampled_contents(nothing), plan.similarity_contents(nothing)
    plan.all_keys(), plan.all_seeds(), plan.meaningless_baselines, plan.regime
    plan.first_tile_keys(*EXAMPLE_STAGES)
    for path in paths:
        parts = PurePosixPath(path).parts
        assert parts[0] == "<study>" and ".." not in parts and re.fullmatch(r"[\w./<>{}*-]+", path), path
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", plan.study)
