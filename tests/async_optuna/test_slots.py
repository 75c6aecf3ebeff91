"""Slots: how a machine is divided, and that no GPU is renumbered."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from async_optuna.errors import SearchError
from async_optuna.slots import plan, visible_gpus


@pytest.mark.parametrize(
    ("arguments", "gpus"),
    [
        ({"gpus": ["0", "1"]}, [("0",), ("1",)]),
        ({"gpus": ["5", "GPU-ab"]}, [("5",), ("GPU-ab",)]),
        ({"gpus": ["3", "4"], "workers_per_gpu": 2}, [("3",), ("4",), ("3",), ("4",)]),
        ({"gpus": list("01234"), "gpus_per_trial": 2}, [("0", "1"), ("2", "3")]),
        ({"gpus": [], "num_cores": 3}, [(), (), ()]),
        ({"gpus": [], "num_cores": 64}, [()] * 8),
        ({"gpus": [], "gpus_per_trial": 2, "num_cores": 1}, [()]),
    ],
)
def test_auto_is_one_per_gpu_else_from_the_cores(arguments: dict[str, Any], gpus: list[tuple[str, ...]]) -> None:
    slots = plan("auto", **arguments)
    assert [slot.gpus for slot in slots] == gpus
    assert [slot.index for slot in slots] == list(range(len(gpus)))


def test_a_given_number_goes_round_the_gpus() -> None:
    assert [slot.gpus for slot in plan(5, gpus=["1", "7"])] == [("1",), ("7",), ("1",), ("7",), ("1",)]
    assert [slot.gpus for slot in plan(1, gpus=["1", "7"])] == [("1",)]
    assert [slot.gpus for slot in plan(4, workers_per_gpu=2, gpus=["1", "7"])] == [("1",), ("7",), ("1",), ("7",)]


@pytest.mark.parametrize(("n_jobs", "cores", "threads"), [(2, 8, 4), (3, 8, 2), (8, 2, 1), ("auto", 4, 1)])
def test_cores_are_divided(n_jobs: Any, cores: int, threads: int) -> None:
    assert {slot.num_threads for slot in plan(n_jobs, gpus=[], num_cores=cores)} == {threads}


def test_a_slot_shows_its_gpus_and_leaves_the_environment_alone_without() -> None:
    assert plan(1, gpus_per_trial=2, gpus=["4", "5"])[0].environment == {"CUDA_VISIBLE_DEVICES": "4,5"}
    assert plan(1, gpus=[])[0].environment == {}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"n_jobs": 0}, "n_jobs must be auto or at least 1, got 0"),
        ({"n_jobs": -1}, "n_jobs must be auto or at least 1, got -1"),
        ({"n_jobs": "all"}, "n_jobs must be auto or at least 1, got all"),
        ({"n_jobs": 1.5}, "n_jobs must be auto or at least 1, got 1.5"),
        ({"n_jobs": 1, "workers_per_gpu": 0}, "workers_per_gpu must be at least 1, got 0"),
        ({"n_jobs": 1, "gpus_per_trial": 0}, "gpus_per_trial must be at least 1, got 0"),
        ({"n_jobs": 1, "gpus_per_trial": 2, "workers_per_gpu": 2}, "either shares a GPU"),
        ({"n_jobs": 1, "gpus_per_trial": 3, "gpus": ["0", "1"]}, "gpus_per_trial=3, but only 2 GPUs are visible"),
    ],
)
def test_numbers_that_cannot_be(arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(SearchError, match=expected):
        plan(**{"gpus": ["0", "1"], **arguments})


@pytest.mark.parametrize(
    ("inherited", "gpus"),
    [
        ("0,1", ["0", "1"]),
        ("3, 5", ["3", "5"]),
        ("GPU-1f,MIG-2e", ["GPU-1f", "MIG-2e"]),
        ("", []),
        ("-1", []),
        ("2,-1,3", ["2"]),
    ],
)
def test_inherited_devices(inherited: str, gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", inherited)
    assert visible_gpus() == gpus


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a script of that name first on the PATH."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def install(script: str) -> None:
        path = tmp_path / "nvidia-smi"
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    return install


@pytest.mark.skipif(os.name != "posix", reason="fakes a program by a shell script")
def test_without_a_wish_the_driver_is_asked(nvidia_smi: Callable[[str], None]) -> None:
    nvidia_smi(
        """[ "$1" = --list-gpus ] || exit 1
echo "GPU 0: NVIDIA H200 (UUID: GPU-aa)"
echo "  MIG 1g.18gb     Device  0: (UUID: MIG-bb)"
echo "GPU 1: NVIDIA H200 (UUID: GPU-cc)" """
    )
    assert visible_gpus() == ["0", "1"]


@pytest.mark.skipif(os.name != "posix", reason="fakes a program by a shell script")
@pytest.mark.skipif(Path("/proc/driver/nvidia/gpus").exists(), reason="this machine has GPUs")
def test_a_driver_that_does_not_answer_means_no_gpu(nvidia_smi: Callable[[str], None]) -> None:
    nvidia_smi("echo 'NVIDIA-SMI has failed'; exit 9")
    assert visible_gpus() == []
