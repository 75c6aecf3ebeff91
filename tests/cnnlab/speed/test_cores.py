"""Cores are counted as a container, hyper-threads and slow cores leave them."""

from pathlib import Path

import pytest

from cnnlab.speed import cores
from conftest import PROJECT


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight CPUs that nothing is known about, in control groups without a limit."""
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "_CGROUPS_OF_THIS_PROCESS", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path / "cgroups")
    monkeypatch.setattr(cores, "_DEVICES", tmp_path / "devices")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def test_without_knowledge_every_cpu_that_is_allowed_counts(machine: Path) -> None:
    assert cores.usable_cores() == 8


@pytest.mark.parametrize(
    ("limit", "expected"), [("250000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("1600000 100000", 8)]
)
def test_a_quota_counts_in_whole_cores(machine: Path, limit: str, expected: int) -> None:
    write(machine / "cgroup", "0::/user.slice/app")
    write(machine / "cgroups/user.slice/cpu.max", limit)  # the group itself has none
    assert cores.usable_cores() == expected


@pytest.mark.parametrize(("path", "folder"), [("/docker/1", ""), ("/docker/1", "docker/1/"), ("/", "")])
def test_a_quota_of_the_older_control_groups(machine: Path, path: str, folder: str) -> None:
    write(machine / "cgroup", f"9:memory:/\n3:cpu,cpuacct:{path}\n0::/")
    write(machine / f"cgroups/cpu/{folder}cpu.cfs_quota_us", "300000")
    write(machine / f"cgroups/cpu/{folder}cpu.cfs_period_us", "100000")
    assert cores.usable_cores() == 3
    write(machine / f"cgroups/cpu/{folder}cpu.cfs_quota_us", "-1")
    assert cores.usable_cores() == 8


def test_hyper_threads_count_once_and_slow_cores_not_at_all(machine: Path) -> None:
    for cpu in range(8):
        siblings = f"{cpu // 2 * 2}-{cpu // 2 * 2 + 1}" if cpu < 4 else str(cpu)
        write(machine / f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", siblings)
    assert cores.usable_cores() == 6
    write(machine / "devices/cpu_core/cpus", "0-3")
    assert cores.usable_cores() == 2


@pytest.mark.parametrize("limit", ["100000 0", "100000", "max", "0 0", "none at all", "100000 100000 1"])
def test_what_cannot_be_a_quota_limits_nothing(machine: Path, limit: str) -> None:
    write(machine / "cgroup", "nonsense\n0::/")
    write(machine / "cgroups/cpu.max", limit)
    write(machine / "devices/cpu_core/cpus", "nonsense")
    assert cores.usable_cores() == 8


# only: sweep
def test_a_search_counts_cores_as_training_does() -> None:
    ours, theirs = (PROJECT / "src" / package / "cores.py" for package in ("cnnlab/speed", "async_optuna"))
    assert ours.read_text(encoding="utf-8") == theirs.read_text(encoding="utf-8")


# end only
