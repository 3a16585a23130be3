"""A disk that is full or read-only: told in one sentence, and with room the study goes on to the same files."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from small_study import RESULTS, ROOT, copied, products, run

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a file system"),
]

# What is asked for anew -> the rule that makes it.
STAGES = {
    "networks/net1/history.csv": "train_network",
    "activations/net1/trained/dump.json": "dump_activations",
    "statistics/trained/fc1/1-1.npz": "compute_statistics",
    "alignment/trained/1-1.csv": "align_units",
    "information/trained/fc1/1-1.csv": "measure_information",
    "maps/trained/fc1/1-1.csv": "map_units",
    "groups/trained/fc1/1-1.csv": "group_units",
    "controls/fc1/1-1.csv": "run_controls",
    "resampled/fc1/1-1.csv": "resample_images",
    "similarity/trained/1-1.csv": "compare_representations",
    "calibration/trained/1-1.csv": "calibrate_similarity",
    "pictures/net1.npz": "picture_units",
    "figures/groups/fc1.svg": "draw_groups",
}


@pytest.fixture
def mounted():
    """A function that mounts a file system, until the test ends."""
    places = []

    def mount(place, *words):
        place.mkdir(exist_ok=True)
        subprocess.run(["mount", *words, str(place)], check=True)
        places.append(place)

    yield mount
    for place in reversed(places):
        subprocess.run(["umount", str(place)], check=True)


def require_told(printed, place):
    """One sentence that names the place and says what to do, and no traceback."""
    assert re.search(rf"^Error: \S*{place}\S* cannot be written \(No space left.*\): free space .* run", printed, re.M)
    assert "Traceback" not in printed


def test_with_room_a_study_that_filled_the_disk_goes_on(finished, tmp_path, mounted):
    mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=8m", "tmpfs")
    folder = tmp_path / "disk"
    for part in ("Snakefile", "config.yaml", "profiles", "envs", "workflow"):
        (folder / part).symlink_to(ROOT / part)
    shutil.copy2(ROOT / "tests/reliability/small.yaml", folder)
    require_told(run(folder, check=False), "results")
    (folder / "more").write_bytes(b"0" * (shutil.disk_usage(folder).free - 100_000))
    printed = run(folder, check=False)
    assert re.search(r"its disk has only 0\.1 MB left: free space", printed) and "Traceback" not in printed
    (folder / "more").unlink()
    subprocess.run(["mount", "-o", "remount,size=60m", str(folder)], check=True)
    run(folder)
    assert products(folder) == products(finished)


@pytest.mark.parametrize("made", STAGES)
def test_a_full_disk_is_told_by_every_stage(spoiled, mounted, made):
    stage = made.partition("/")[0]
    mounted(spoiled / RESULTS / stage, "-t", "tmpfs", "-o", "size=4k,nr_inodes=200", "tmpfs")
    # What it is made from is there, whatever else lay in the same folder.
    printed = run(spoiled, "--allowed-rules", STAGES[made], "--", f"{RESULTS}/{made}", check=False)
    require_told(printed, stage)


def test_what_went_wrong_is_told_where_not_even_the_log_can_be_written(spoiled, mounted):
    mounted(spoiled / RESULTS / "logs", "-t", "tmpfs", "-o", "size=4k", "tmpfs")
    (spoiled / RESULTS / "logs" / "full").write_bytes(b"0" * 4096)
    (spoiled / RESULTS / "tables/draws.csv").unlink()
    printed = run(spoiled, f"{RESULTS}/tables/draws.csv", check=False)
    assert re.search(r"^Error: \S*logs/collect_scores\.log cannot be written \(No space left", printed, re.M), printed


def test_a_folder_that_is_read_only_is_told_before_any_job(spoiled, mounted):
    results = spoiled / "results"
    (results / "small/claims.csv").unlink()
    mounted(results, "--bind", str(results))
    subprocess.run(["mount", "-o", "remount,bind,ro", str(results)], check=True)
    printed = run(spoiled, check=False)
    assert re.search(r"results/small cannot be written to: make it writable", printed), printed
    assert "Traceback" not in printed and "rule" not in printed.lower().replace("/rules/", "")


def test_a_folder_of_somebody_else_is_told_before_any_job(tmp_path):
    """The same without being root, to whom permissions mean nothing."""
    folder = copied(tmp_path / "study")
    (folder / "results").mkdir(mode=0o555)
    os.chmod(folder, 0o777)
    for place in (tmp_path, *tmp_path.parents):
        if place.stat().st_mode & 0o005 != 0o005:
            pytest.skip(f"{place} is closed to others")
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "env", "HOME=/tmp/nobody"]
    done = subprocess.run(
        [*user, sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", "small.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "results cannot be written to: make it writable" in done.stdout + done.stderr, done.stderr
    assert "Traceback" not in done.stderr
