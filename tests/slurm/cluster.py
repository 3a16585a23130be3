"""A Slurm of one machine: a controller and several nodes that share it, enough to try the cluster profile for real.

    sudo python tests/slurm/cluster.py start     # prints what to put into the environment
    sudo python tests/slurm/cluster.py status
    sudo python tests/slurm/cluster.py stop

Needs Debian's slurm-wlm and munge, and root. Two partitions, `cpu` (default) and `gpu`, whose nodes declare a GPU that
is not there. There is neither systemd nor an accounting database, and memory is watched by looking at processes
instead of control groups. While it runs, /etc/slurm/slurm.conf is a link to its configuration; if there is one already,
it does not start.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

CPU_NODES, GPU_NODES = ("c1", "c2", "c3"), ("g1",)
NODES = (*CPU_NODES, *GPU_NODES)
CONFIGURED = Path("/etc/slurm/slurm.conf")  # where `srun` looks, whose environment Snakemake empties
FOLDER = Path(tempfile.gettempdir()) / "slurm_of_the_tests"
DAEMONS = ("munged", "slurmctld", "slurmd")

CONF = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[controller]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
# A job whose processes hold more than it asked for is killed at the next look.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
# Ended jobs stay known, since there is no database to ask for them.
MinJobAge=3600
SchedulerParameters=batch_sched_delay=0,sched_min_interval=50000
SlurmdParameters=config_overrides
# Seconds until a silent node counts as lost, and a job that must end is killed.
SlurmdTimeout=10
KillWait=2
ReturnToService=2
JobRequeue=0
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
{nodes}
PartitionName=cpu Nodes={cpu} Default=YES MaxTime=600 State=UP
PartitionName=gpu Nodes={gpu} MaxTime=600 State=UP
"""


class Cluster:
    """The cluster of one folder; its daemons are known by the pid files there."""

    def __init__(self, folder: Path = FOLDER, memory: int = 3000):
        """A cluster that may run or not; `memory` in MB of each node, which has one CPU."""
        self.folder, self.memory = folder, memory
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}

    def start(self) -> None:
        """Start everything and wait until all nodes are idle."""
        if self.running("slurmctld.pid"):
            return
        if CONFIGURED.exists() and not self.ours:
            sys.exit(f"Error: {CONFIGURED} is not of these tests: stop that Slurm, or use another machine.")
        for name in ("state", *(f"spool/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self._configure()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        files = {"key-file": key, "socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log"}
        files["seed-file"] = "munge.seed"
        self.run("munged", "--force", *(f"--{option}={self.folder / name}" for option, name in files.items()))
        self.run("slurmctld", "-c")
        for node in NODES:
            self.start_node(node)
        self.wait(lambda: self.states() == dict.fromkeys(NODES, "idle"), 30, "nodes did not come up")

    def stop(self) -> None:
        """End all jobs, and every daemon that was started here."""
        if self.running("slurmctld.pid"):
            self.run("scancel", "--user", "root", check=False)
        for pid_file in (*(f"slurmd-{node}.pid" for node in NODES), "slurmctld.pid", "munged.pid"):
            self._end(pid_file)
        if self.ours:
            CONFIGURED.unlink()

    @property
    def ours(self) -> bool:
        """Whether the link in /etc is of this cluster."""
        return CONFIGURED.is_symlink() and Path(os.readlink(CONFIGURED)) == self.folder / "slurm.conf"

    def _configure(self) -> None:
        sockets = {name: socket.socket() for name in ("controller", *NODES)}
        for own in sockets.values():
            own.bind(("127.0.0.1", 0))
        ports = {name: own.getsockname()[1] for name, own in sockets.items()}
        for own in sockets.values():
            own.close()
        host = socket.gethostname().partition(".")[0]
        nodes = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[node]} CPUs=1 "
            f"RealMemory={self.memory} {'Gres=gpu:1 ' if node in GPU_NODES else ''}State=UNKNOWN"
            for node in NODES
        ]
        written = {"host": host, "ports": ports, "folder": self.folder, "nodes": "\n".join(nodes)}
        written |= {"cpu": ",".join(CPU_NODES), "gpu": ",".join(GPU_NODES)}
        (self.folder / "slurm.conf").write_text(CONF.format(**written))
        # A file that is on every machine, instead of a device.
        (self.folder / "gres.conf").write_text(f"NodeName={','.join(GPU_NODES)} Name=gpu File=/dev/null\n")
        CONFIGURED.parent.mkdir(exist_ok=True)
        if not self.ours:
            CONFIGURED.symlink_to(self.folder / "slurm.conf")

    def start_node(self, node: str) -> None:
        """Start a node, or bring it back."""
        self.run("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """Lose a node at once: its daemon, the processes that watch its jobs, and the jobs."""
        doomed = [int((self.folder / f"slurmd-{node}.pid").read_text())]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                # A task has the name of its node in its environment; the process above it watches over it.
                if f"SLURMD_NODENAME={node}".encode() not in (process / "environ").read_bytes().split(b"\0"):
                    continue
                above = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                doomed.append(int(process.name))
                if (Path("/proc") / str(above) / "comm").read_text().startswith("slurmstepd"):
                    doomed.append(above)
            except (OSError, IndexError):
                continue
        for pid in dict.fromkeys(doomed):
            _signal(pid, signal.SIGKILL)
        (self.folder / f"slurmd-{node}.pid").unlink(missing_ok=True)

    def states(self) -> dict[str, str]:
        """Node -> its state."""
        lines = self.run("sinfo", "--noheader", "--Node", "--format=%N %T").splitlines()
        return dict(line.split() for line in lines)

    def jobs(self) -> list[dict[str, str]]:
        """Every job so far, as `scontrol` describes it."""
        lines = self.run("scontrol", "--oneliner", "show", "jobs").splitlines()
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines if "JobId=" in line]

    def run(self, *words: str, check: bool = True) -> str:
        """What a command of Slurm prints."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def wait(self, done, seconds: float, complaint: str) -> None:
        """Wait until `done()`; RuntimeError with a complaint if it takes too long."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise RuntimeError(f"{complaint}: {self.states()} (logs: {self.folder})")
            time.sleep(0.3)

    def running(self, pid_file: str) -> bool:
        """Whether the daemon of a pid file is alive, and is one of Slurm's."""
        try:
            pid = int((self.folder / pid_file).read_text())
            return Path(f"/proc/{pid}/comm").read_text().strip() in DAEMONS
        except (OSError, ValueError):
            return False

    def _end(self, pid_file: str) -> None:
        if self.running(pid_file):
            pid = int((self.folder / pid_file).read_text())
            for number in (signal.SIGTERM, signal.SIGKILL):
                _signal(pid, number)
                for _ in range(50):
                    if not Path(f"/proc/{pid}").exists():
                        break
                    time.sleep(0.1)
        (self.folder / pid_file).unlink(missing_ok=True)


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def missing() -> str:
    """Why there can be no cluster here; nothing if there can."""
    if os.getuid() != 0:
        return "starting a Slurm needs root"
    if not all(shutil.which(daemon) for daemon in DAEMONS):
        return "Slurm is not installed: apt-get install slurm-wlm munge"
    return ""


def main() -> None:
    cluster = Cluster()
    match sys.argv[1:]:
        case ["start"]:
            if reason := missing():
                sys.exit(f"Error: {reason}.")
            cluster.start()
            print(f"export SLURM_CONF={cluster.folder}/slurm.conf")
        case ["stop"]:
            cluster.stop()
        case ["status"]:
            print(cluster.run("sinfo", "--Node", "--long"), cluster.run("squeue"), sep="\n")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
