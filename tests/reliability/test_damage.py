"""A file of every kind is truncated, emptied, changed in one bit: the job that reads it refuses it by name."""

import os
import re

import pytest
from small_study import RESULTS, products, run

pytestmark = pytest.mark.reliability

# Each wave: what is asked for anew, none made from another -> the files that the job making it finds damaged.
WAVES = (
    {
        "activations/net1/trained/dump.json": (
            *("data/dataset.json", "data/images.npy", "data/labels.npy", "data/splits.npz"),
            *("networks/net1/trained.safetensors", "networks/net1/untrained.safetensors"),
        )
    },
    {
        "statistics/trained/fc1/1-1.npz": ("activations/net1/trained/fc1.npy", "activations/net2/trained/dump.json"),
        "alignment/noise/1-1.csv": ("statistics/noise/fc2/1-1.npz",),
    },
    {
        "scores.csv": (
            *("alignment/noise/1-1.csv", "information/trained/fc1/1-1.csv", "maps/untrained/fc2/1-1.csv"),
            *("groups/trained/fc2/1-1.csv", "controls/fc1/1-1.csv", "resampled/fc2/1-1.csv"),
            *("tables/similarity.csv", "tables/calibration.csv", "tables/networks.csv"),
        ),
        "pictures/net1.npz": ("tables/examples.csv",),
    },
    {
        "tables/similarity.csv": ("similarity/trained/1-1.csv", "calibration/untrained/1-1.csv"),
        "tables/matching_curves.csv": ("alignment/trained/fc1/1-1.npz",),
        "tables/information.csv": ("information/trained/fc2/1-1.npz",),
        "figures/groups/fc1.svg": ("groups/trained/fc1/1-1.npz",),
        "figures/filters.svg": ("pictures/net1.npz",),
        "figures/training_curves.svg": ("networks/net2/history.csv",),
    },
    {"claims.csv": ("scores.csv", "tables/draws.csv"), "figures/sparse_maps/fc1.svg": ("maps/trained/fc1/1-1.npz",)},
    {"claims.html": ("claims.csv", "figures/filters.png")},
)
HARMS = {
    "truncated": lambda content: content[: len(content) // 2],
    "emptied": lambda content: b"",
    "a bit": lambda content: flipped(content, len(content) // 2),
    "the last bit": lambda content: flipped(content, len(content) - 2),  # of a table: a digit
    "a line less": lambda content: content[: content.rstrip(b"\n").rfind(b"\n") + 1],
    "a line more": lambda content: content + content[content.rstrip(b"\n").rfind(b"\n") + 1 :],
}


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def spoil(folder, files, harm):
    """Harm files of the results; those that were not spared."""
    done = []
    for file in files:
        path = folder / RESULTS / file
        content, times = path.read_bytes(), path.stat()
        path.write_bytes(HARMS[harm](content))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # a disk that fails leaves no date
        if path.read_bytes() != content:
            done.append(file)
    return done


def named(printed):
    """The damaged files that the sentences at the end name."""
    sentences = re.findall(r"^Error: (.*) (?:is|are) not as .* written .*: delete \w+ and run", printed, re.MULTILINE)
    return {file.removeprefix(f"{RESULTS}/") for sentence in sentences for file in sentence.split(", ")}


@pytest.mark.parametrize("wave", range(len(WAVES)))
@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_file_of_every_kind_is_named_and_not_used(spoiled, wave, harm):
    damaged = []
    for made, files in WAVES[wave].items():
        (spoiled / RESULTS / made).unlink()
        damaged += spoil(spoiled, files, harm)
    wanted = [f"{RESULTS}/{made}" for made in WAVES[wave]]
    # A copy has its workflow in another place, for which Snakemake would run some jobs again.
    printed = run(spoiled, "--keep-going", "--rerun-triggers", "mtime", "--", *wanted, check=False)
    assert "Traceback" not in printed
    assert named(printed) == set(damaged), printed
    assert not any((spoiled / path).exists() for path in wanted)


def test_deleted_as_the_sentence_asks_they_are_made_again(finished, spoiled):
    files = (
        "statistics/trained/fc1/1-1.npz",
        "maps/trained/fc2/1-1.csv",
        "tables/draws.csv",
        "networks/net1/history.csv",
    )
    assert spoil(spoiled, files, "a bit") == list(files)
    for made in ("alignment/trained/1-1.csv", "claims.csv", "figures/training_curves.svg"):
        (spoiled / RESULTS / made).unlink()
    printed = run(spoiled, "--keep-going", check=False)
    for file in named(printed):
        (spoiled / RESULTS / file).unlink()
    (spoiled / RESULTS / "maps/trained/fc2/1-1.csv").unlink(missing_ok=True)
    run(spoiled)
    assert products(spoiled) == products(finished)
