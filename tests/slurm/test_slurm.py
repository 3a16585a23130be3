"""The cluster profile on a real Slurm: the same results, in company, on the right nodes, and whatever happens to a job.

`make test-slurm` runs these; they take minutes and need root.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import Cluster, missing

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("small.yaml")
RESULTS = Path("results/small")
TABLE = RESULTS / "tables/networks.csv"  # what the networks have learned: the end of the two jobs that train
PATIENCE = 1500  # seconds that a run may take

REASON = "asked for by make test-slurm" if os.environ.get("SLURM_TESTS") != "1" else missing()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)


@pytest.fixture(scope="module")
def cluster():
    found = Cluster()
    found.start()
    yield found
    found.stop()


def command(folder, *words):
    """Snakemake on the small study in a folder."""
    own = ["--snakefile", ROOT / "Snakefile", "--directory", folder, "--configfile", CONFIG]
    return [str(word) for word in (sys.executable, "-m", "snakemake", *own, *words)]


def on_cluster(folder, *words):
    """The same with the profile for clusters, but patience made for tests."""
    # There is no accounting database here, so that the state of jobs is asked of the controller.
    faster = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2")
    return command(folder, "--profile", ROOT / "profiles/slurm", "--latency-wait", "10", *faster, *words)


def run(words, cluster=None, check=True):
    """What a command printed, and the jobs of Slurm that it made."""
    known = {job["JobId"] for job in cluster.jobs()} if cluster else set()
    environment = cluster.environment if cluster else os.environ
    done = subprocess.run(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE
    )
    assert (done.returncode == 0) == check, done.stdout
    return done.stdout, [job for job in cluster.jobs() if job["JobId"] not in known] if cluster else []


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The study on this machine alone."""
    folder = tmp_path_factory.mktemp("alone")
    run(command(folder, "--cores", "2"))
    return folder


def same(folder, other, names):
    """Assert that tables are the same to the last byte."""
    for name in names:
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name


def ended(jobs, state):
    """Jobs that ended in this state."""
    return [job for job in jobs if job["JobState"] == state]


def test_a_study_on_a_cluster_gives_the_same_tables(cluster, alone, tmp_path):
    gpus = ("--set-resources", "train_network:gpu=1")
    printed, jobs = run(on_cluster(tmp_path, *gpus), cluster)
    tables = [RESULTS / name for name in ("scores.csv", "claims.csv")]
    tables += [path.relative_to(alone) for path in (alone / RESULTS / "tables").glob("*.csv")]
    tables.remove(RESULTS / "tables/training.csv")  # says how long each epoch took
    assert len(tables) > 10
    same(tmp_path, alone, tables)
    figures = {path.relative_to(alone) for path in (alone / RESULTS / "figures").rglob("*.png")}
    assert figures and all((tmp_path / path).exists() for path in figures)
    # A GPU is had where one is asked for, and nothing else goes there.
    places = {job["JobId"]: (job["Partition"], job["NodeList"], "gpu" in job.get("TresPerJob", "")) for job in jobs}
    trained = [places[job["JobId"]] for job in jobs if job["Comment"].startswith("rule_train_network")]
    assert trained == [("gpu", "g1", True)] * 2
    assert {place[0] for place in places.values()} == {"cpu", "gpu"}
    assert [place[0] for place in places.values()].count("gpu") == 2
    # In company: far fewer are submitted than are done, and each asks for one core.
    done = int(re.findall(r"(\d+) of \d+ steps \(100%\) done", printed)[-1])
    assert len(jobs) < done / 2.5, (len(jobs), done)
    assert {job["NumCPUs"] for job in jobs} == {"1"}
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}


def test_a_node_is_lost_while_it_works(cluster, alone, tmp_path):
    words = on_cluster(tmp_path, TABLE)
    with open(tmp_path / "printed.txt", "w") as printed:
        known = {job["JobId"] for job in cluster.jobs()}
        study = subprocess.Popen(words, env=cluster.environment, stdout=printed, stderr=subprocess.STDOUT)

        def at_work():
            jobs = [job for job in cluster.jobs() if job["JobId"] not in known]
            return [job for job in jobs if job["JobState"] == "RUNNING" and job["RunTime"] >= "00:00:02"]

        cluster.wait(at_work, 300, "no job began")
        lost = at_work()[0]
        cluster.kill_node(lost["NodeList"])
        try:
            assert study.wait(PATIENCE) == 0, Path(printed.name).read_text()
            again = next(job for job in cluster.jobs() if job["JobId"] == lost["JobId"])
            assert again["JobState"] == "NODE_FAIL"
        finally:
            study.kill()
            cluster.start_node(lost["NodeList"])
            cluster.wait(lambda: "idle" in cluster.states()[lost["NodeList"]], 60, "the node did not come back")
    same(tmp_path, alone, [TABLE, *(RESULTS / f"networks/net{number}/trained.safetensors" for number in (1, 2))])


def test_a_job_over_its_memory_gets_more(cluster, alone, tmp_path):
    _, jobs = run(on_cluster(tmp_path, TABLE, "--set-resources", "train_network:mem_mb=50*30**(attempt-1)"), cluster)
    assert {job["MinMemoryNode"] for job in ended(jobs, "FAILED")} == {"50M"}
    assert {job["MinMemoryNode"] for job in ended(jobs, "COMPLETED")} == {"1500M"}
    same(tmp_path, alone, [TABLE])


def test_a_job_over_its_time_gets_more(cluster, alone, tmp_path):
    # Every job waits longer than the first attempt may take.
    short = ("--set-resources", "train_network:runtime=1+9*(attempt-1)", "--precommand", "sleep 61")
    _, jobs = run(on_cluster(tmp_path, TABLE, *short), cluster)
    # A training that has begun notes where it is and fails by itself; one that has not is ended by Slurm.
    first = ended(jobs, "TIMEOUT") + ended(jobs, "FAILED")
    assert {job["TimeLimit"] for job in first} == {"00:01:00"} and len(first) == 2
    assert {job["TimeLimit"] for job in ended(jobs, "COMPLETED")} == {"00:10:00"}
    same(tmp_path, alone, [TABLE])


def test_a_job_that_never_has_enough_is_named(cluster, tmp_path):
    little = ("--retries", "1", "--set-resources", "train_network:mem_mb=50")
    printed, jobs = run(on_cluster(tmp_path, TABLE, *little), cluster, check=False)
    assert [job["JobState"] for job in jobs] == ["FAILED"] * 4, printed
    assert re.search(r"SLURM-job '\d+' failed, SLURM status is: 'FAILED'", printed)
    assert not (tmp_path / TABLE).exists()
