"""A real Slurm of one's own on this machine, with a key, a socket, ports and a folder of its own; as root only."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")


def what_is_missing() -> str:
    """Why there can be no Slurm here, "" if there can."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} (apt install munge slurmctld slurmd slurm-client)"
    return "" if os.geteuid() == 0 else "root, for slurmd"


@contextmanager
def running_slurm(folder: Path, num_cpus: int) -> Iterator[dict[str, str]]:
    """Start Slurm with one node; yield what its commands need in their environment, and end all of it."""
    host = socket.gethostname()
    ports = [_free_port() for _ in range(2)]
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    (folder / "slurm.conf").write_text(
        f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
MinJobAge=300
NodeName={host} NodeAddr=127.0.0.1 CPUs={num_cpus} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
""",
        encoding="utf-8",
    )
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n", encoding="utf-8")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    environment = {"SLURM_CONF": str(folder / "slurm.conf")}
    munge = [f"--{kind}={folder}/munge.{kind.partition('-')[0]}" for kind in ("socket", "key-file", "pid-file")]
    munge += [f"--{kind}-file={folder}/munge.{kind}" for kind in ("log", "seed")]
    with ExitStack() as stack:
        for command in (["munged", "--foreground", "--force", *munge], ["slurmctld", "-D"], ["slurmd", "-D"]):
            process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(_end, process)
            if command[0] == "munged":
                _wait_until(lambda: (folder / "munge.socket").exists(), "munged makes no socket")

        def is_idle() -> bool:
            return _asked(environment, "sinfo", "-h", "-o", "%t") == "idle"

        _wait_until(is_idle, f"no node is idle: {folder}/slurmd.log")
        try:
            yield environment
        finally:
            _asked(environment, "scancel", "--partition=all")
            _wait_until(is_idle, f"a job does not end: {folder}/slurmd.log")


def _asked(environment: dict[str, str], *command: str) -> str:
    asked = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=30)
    return asked.stdout.strip()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _wait_until(condition: Callable[[], bool], otherwise: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(otherwise)
        time.sleep(0.2)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
