"""Thousands of configs, the accepted ones in real dry runs too, and files that are no config."""

import subprocess

import pytest
import yaml
from config_fuzzer import configs, outcome
from hypothesis import HealthCheck, given, settings
from small_study import COMMAND, ROOT

pytestmark = pytest.mark.reliability

DRY_RUNS = 10
# What is no config, and what the user reads of it.
MALFORMED = {
    "tabs": ("study: x\n\ttraining: {}\n", "not valid JSON or YAML"),
    "unclosed": ("study: [x\n", "not valid JSON or YAML"),
    "binary": (b"\x00\x01\xff\xfe\x80", None),
    "empty": ("", "must be given as JSON or YAML with keys at top level"),
    "a list": ("- study\n- x\n", "must be given as JSON or YAML with keys at top level"),
    "text": ("study\n", "must be given as JSON or YAML with keys at top level"),
    "python": ("study: !!python/object/apply:os.system ['touch executed']\n", "not valid JSON or YAML"),
    "shell": ("study: $(touch executed)\n", "`study` is"),
    "path": ("study: ../../executed\n", "`study` is"),
    "twice": ("study: x\nnetworks: 2\nnetworks: none\n", "`networks` is `none`, but must be"),
    "anchors": (
        "study: x\na: &a [x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
        ),
        "`a` is unknown",
    ),
    "date": ("study: 2026-01-01\n", "`study` is"),
    "cycle": ("study: x\ndataset: &d {name: digits, options: *d}\n", None),
}


@settings(max_examples=1500, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(configs())
def test_any_config_is_refused_in_one_sentence_or_can_be_planned(config):
    outcome(config)


def dry_run(folder, path):
    """What a user reads of a dry run, and whether it succeeded."""
    words = [
        *COMMAND[:3],
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--configfile",
        str(path),
        "--cores",
        "1",
        "-n",
        "-q",
    ]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace", timeout=600)
    return done.stdout + done.stderr, done.returncode == 0


def test_what_is_accepted_can_be_run(tmp_path):
    accepted = []

    @settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(configs())
    def collect(config):
        if len(accepted) < DRY_RUNS and len(config) > 3 and outcome(config) == "planned":
            accepted.append(config)

    collect()
    assert accepted
    for config in accepted:
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        printed, succeeded = dry_run(tmp_path, tmp_path / "config.yaml")
        assert succeeded, (config, printed)


@pytest.mark.parametrize("kind", MALFORMED)
def test_what_is_no_config_is_refused(tmp_path, kind):
    content, sentence = MALFORMED[kind]
    path = tmp_path / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    printed, succeeded = dry_run(tmp_path, path)
    assert not succeeded
    assert not list(tmp_path.parent.rglob("executed")) and not (tmp_path / "results").exists()
    if sentence:
        assert sentence in printed and "Traceback" not in printed, printed
