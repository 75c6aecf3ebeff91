"""How many CPU cores a process may compute on: its affinity, the quota of its container, each physical core once."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

_CGROUPS_OF_THIS_PROCESS = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")
_DEVICES = Path("/sys/devices")


def usable_cores() -> int:
    """The cores that this process may use, at least 1.

    The two hyper-threads of a core count once, and beside fast cores slow ones do not count: threads that share the
    work of a step in equal parts wait for the slowest. A quota (`docker run --cpus 2.5`) counts in whole cores, since
    a process that has used it up stands still with all its threads.
    """
    cores = _physical_cores(_allowed_cpus())
    return max(1, min([cores, *(int(quota) for quota in _quotas())]))


def _allowed_cpus() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _physical_cores(cpus: set[int]) -> int:
    fast = _cpu_list(_text(_DEVICES / "cpu_core/cpus"))  # where an Intel CPU has slow cores too (cpu_atom)
    topology = {
        cpu: _text(_DEVICES / f"system/cpu/cpu{cpu}/topology/thread_siblings_list") for cpu in cpus & fast or cpus
    }
    return len({siblings or str(cpu) for cpu, siblings in topology.items()})


def _cpu_list(text: str) -> set[int]:
    """The numbers of a list like 0-3,8."""
    spans = re.findall(r"(\d+)(?:-(\d+))?", text)
    return {cpu for first, last in spans for cpu in range(int(first), int(last or first) + 1)}


def _quotas() -> Iterator[float]:
    """The cores that each control group around this process grants, where it sets a limit."""
    for line in _text(_CGROUPS_OF_THIS_PROCESS).splitlines():
        number, _, group_of_controllers = line.partition(":")
        controllers, _, path = group_of_controllers.partition(":")
        if number == "0":
            mount = _CGROUPS
        elif "cpu" in controllers.split(","):
            mount = _CGROUPS / "cpu"
        else:
            continue
        # Inside a container the path may be that of the machine, which is not there; the mount is then its own group.
        group = mount / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(mount):
                yield from _quota(folder)


def _quota(folder: Path) -> Iterator[float]:
    limit = _text(folder / "cpu.max").split()  # version 2: "200000 100000", or max for none
    if not limit:  # version 1: -1 for none
        limit = [_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    if len(limit) == 2 and all(part.isdigit() and int(part) > 0 for part in limit):
        yield int(limit[0]) / int(limit[1])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
