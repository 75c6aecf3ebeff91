"""The reason why a GPU cannot be used is the one that applies."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import fork_server
from cnnlab.errors import UserError
from cnnlab.speed import hardware
from conftest import PROJECT

DRIVER_TOO_OLD = "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver"
NO_DRIVER = "Found no NVIDIA driver on your system."
HIDDEN = "No CUDA GPUs are available"


@pytest.mark.parametrize(
    ("cuda", "failure", "expected"),
    [
        (None, None, "CPU-only build"),
        ("13.0", DRIVER_TOO_OLD, "driver is too old for this torch"),
        ("13.0", NO_DRIVER, "no NVIDIA GPU here, or no NVIDIA driver"),
        ("13.0", HIDDEN, "CUDA_VISIBLE_DEVICES"),
    ],
)
def test_why_no_cuda(cuda: str | None, failure: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError(failure)

    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", fail)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"trainer=gpu cannot be used: .*{expected}.*trainer=cpu will run here"):
        hardware.resolve_accelerator("cuda")
    with pytest.raises(UserError, match=f"trainer=ddp cannot be used: .*{expected}.*trainer=ddp_cpu will run here"):
        hardware.resolve_accelerator("cuda", for_processes=True)
    assert hardware.resolve_accelerator("auto") == "cpu"
    with pytest.raises(UserError, match="trainer.accelerator must be one of auto, .*, got 'gup'; did you mean gpu?"):
        hardware.resolve_accelerator("gup")


@pytest.mark.parametrize(
    ("accelerator", "capability", "cpu", "expected"),
    [
        ("cuda", (9, 0), {}, "bf16-mixed"),
        ("cuda", (8, 0), {}, "bf16-mixed"),
        ("cuda", (7, 5), {}, "32-true"),
        ("cpu", (0, 0), {"avx512_bf16": True}, "bf16-mixed"),
        ("cpu", (0, 0), {"amx_bf16": True}, "bf16-mixed"),
        ("cpu", (0, 0), {"avx2": True}, "32-true"),
        ("mps", (0, 0), {"avx512_bf16": True}, "32-true"),
    ],
)
def test_the_fastest_precision_the_hardware_has(
    accelerator: str, capability: tuple[int, int], cpu: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu)
    assert hardware.resolve_precision("auto", accelerator) == expected
    assert hardware.resolve_precision("64-true", accelerator) == "64-true"


@pytest.mark.parametrize(("has_gpu", "expected"), [(False, "0"), (True, "1")])
def test_optimizers_do_not_search_for_a_gpu_that_is_not_there(
    has_gpu: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # as Lightning leaves it
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    machine = hardware.choose("cpu", "32-true")
    assert os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] == "1"
    hardware.apply(machine)
    assert os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] == expected


@pytest.mark.parametrize(
    ("cores", "variables", "given", "expected"),
    [(3, {}, None, 3), (16, {}, None, 8), (3, {"OMP_NUM_THREADS": "8"}, None, 8), (3, {}, 5, 5)],
)
def test_a_quota_limits_pytorchs_number_of_threads_but_not_the_users(
    cores: int, variables: dict[str, str], given: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(hardware, "usable_cores", lambda: cores)
    machine = hardware.choose("cpu", "32-true", given)
    assert machine.num_threads == expected
    assert machine.device.endswith(f", {expected} threads")


@pytest.mark.parametrize(("given", "expected"), [(None, 2), (8, 2), (6, 1), (2, 1)])
def test_the_processes_of_a_machine_share_its_threads(
    given: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    monkeypatch.setattr(hardware, "usable_cores", lambda: 8)
    assert hardware.choose("cpu", "32-true", given, num_processes=4).num_threads == expected


@pytest.mark.parametrize("given", [0, -3, "two", 1.5])
def test_a_number_of_threads_that_is_none_is_refused(given: Any) -> None:
    with pytest.raises(UserError, match="trainer.num_threads must be a whole number from 1 on, or null, got"):
        hardware.choose("cpu", "32-true", given)


def test_older_names_of_a_precision_and_what_a_cpu_makes_of_float16(caplog: pytest.LogCaptureFixture) -> None:
    names = {"16": "16-mixed", "bf16": "bf16-mixed", 32: "32-true", "64": "64-true", "bf16-true": "bf16-true"}
    assert {name: hardware.resolve_precision(name, "cuda") for name in names} == names
    with caplog.at_level("INFO"):
        assert hardware.resolve_precision(16, "cpu") == hardware.resolve_precision("16-mixed", "cpu") == "bf16-mixed"
    notes = [record.getMessage() for record in caplog.records]
    assert notes[0] == "note    a CPU does not compute in mixed float16: bf16-mixed is used for trainer.precision=16"
    assert len(notes) == 2


def test_choosing_changes_nothing_and_applying_sets_the_threads() -> None:
    before = torch.get_num_threads()
    try:
        machine = hardware.choose("cpu", "32-true", before + 1)
        assert torch.get_num_threads() == before
        assert machine.device.endswith(f"{before + 1} threads")
        hardware.apply(machine)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.gpu
def test_a_gpu_that_is_hidden_is_missed_in_one_line(tmp_path: Path, environment: dict[str, str]) -> None:
    hidden = {**environment, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(PROJECT / "train.py"), "trainer=gpu"]
    run = fork_server.run(command, cwd=tmp_path, env=hidden)
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: trainer=gpu cannot be used: ")
    assert "CUDA_VISIBLE_DEVICES" in line
