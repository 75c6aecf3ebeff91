"""The memory that train.py takes: beside the careful loop, with freed memory kept or not, and with a large file."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from time import sleep

import numpy as np
import pandas as pd
import torch
from numpy.lib import format as npy

from cnnlab.errors import UserError
from cnnlab.workbench.benchmark import careful_process, figures
from cnnlab.workbench.benchmark.bench import PROJECT, Bench
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import Aim, section

TITLE = "Largest memory of new processes in MB; own is what lies in no file, so that the system cannot drop it"
_DEFAULT, _KEPT, _NPZ = "default run", "batch 512", "data.in_memory=false"
_TRAIN, _CAREFUL, _NOT_KEPT = "train.py", "careful loop", "train.py with glibc's own settings"
_FREED = {"GLIBC_TUNABLES": ""}  # with it set, train.py leaves the allocator alone
_SMALL = ["data.train_size=640", "data.val_size=64", "trainer.limit_test_batches=1", "data.allow_subset=true"]
_LARGE, _SMALL_FILE = 10 * 10**9, 10**7  # bytes
_STEPS = 300  # by then nothing grows any more
_IMAGE = (128, 128, 3)
_EVERY = 0.2  # seconds; a look costs some milliseconds


def cells(settings: Settings) -> list[Cell]:
    measured = {_DEFAULT: measure_default, _KEPT: measure_kept, _NPZ: measure_npz}
    return [Cell({"what": what}, partial(function, settings)) for what, function in measured.items()]


def measure_default(settings: Settings) -> list[Row]:
    """A few hundred steps of train.py, validation and test, and the steps and validation of the careful loop."""
    overrides = ["model=tinyvgg", "trainer.accelerator=cpu", f"trainer.limit_train_batches={_STEPS}"]
    overrides += [*(_SMALL if settings.smoke else []), *settings.overrides]
    bench = Bench(overrides, "cpu")
    splits = (bench.data.training, bench.data.validation)
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        np.save(f"{folder}/inputs.npy", torch.cat([split.inputs for split in splits]).numpy())  # type: ignore[union-attr]
        np.save(f"{folder}/labels.npy", torch.cat([split.labels for split in splits]).numpy())
        numbers = [len(bench.data.training), min(_STEPS, bench.steps_per_epoch), bench.batch_size]
        careful = [str(careful_process.__file__), folder, *map(str, numbers)]
        return [
            _row(_TRAIN, _train(overrides, folder), folder, bench.data.dataset),
            _row(_CAREFUL, careful, folder, bench.data.dataset),
        ]


def measure_kept(settings: Settings) -> list[Row]:
    """A batch whose activations are tens of MB, with freed memory kept and not."""
    overrides = ["model=tinyvgg", "trainer.accelerator=cpu", "data.batch_size=512", "trainer.limit_train_batches=30"]
    overrides += [*(_SMALL if settings.smoke else []), *settings.overrides]
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        kept = _row(_TRAIN, _train(overrides, folder), folder)
        return [kept, _row(_NOT_KEPT, _train(overrides, folder), folder, variables=_FREED)]


def measure_npz(settings: Settings) -> list[Row]:
    """A file that is larger than the memory it is to be trained in.

    Raises:
        UserError: if the disk has no room for it.
    """
    size = _SMALL_FILE if settings.smoke else _LARGE
    if (free := shutil.disk_usage(tempfile.gettempdir()).free) < 1.1 * size:
        where = f"in {tempfile.gettempdir()}, {free / 1e9:.0f} GB are free; TMPDIR= names another folder"
        raise UserError(f"the part memory writes a file of {size / 1e9:.0f} GB {where}")
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        path = Path(folder) / "large.npz"
        write_large(path, size)
        overrides = [
            "data=npz",
            f"data.path={path}",
            "data.in_memory=false",
            "model=linear",
            "trainer.accelerator=cpu",
        ]
        limits = [
            "trainer.limit_train_batches=100",
            *(f"trainer.limit_{stage}_batches=20" for stage in ("val", "test")),
        ]
        overrides += [*limits, "data.eval_batch_size=32", *settings.overrides]
        name = f"npz of {path.stat().st_size / 1e9:.1f} GB"
        return [_row(_TRAIN, _train(overrides, folder), folder, name)]


def write_large(path: Path, size: int) -> None:
    """An uncompressed npz file of random images of about so many bytes, written without having them in memory."""
    rng = np.random.default_rng(0)
    num_test = 320
    number = size // int(np.prod(_IMAGE))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for split, length in {"train": max(number - num_test, num_test), "test": num_test}.items():
            part = rng.integers(0, 256, (num_test, *_IMAGE), np.uint8)
            with archive.open(f"x_{split}.npy", "w", force_zip64=True) as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": (length, *_IMAGE)}
                npy.write_array_header_1_0(file, header)
                for start in range(0, length, num_test):
                    file.write(part[: length - start].tobytes())
            with archive.open(f"y_{split}.npy", "w") as file:
                npy.write_array(file, np.arange(length, dtype=np.int64) % 10)


def _train(overrides: Sequence[str], folder: str) -> list[str]:
    run = tempfile.mkdtemp(dir=folder)
    return [str(PROJECT / "train.py"), *overrides, "trainer.max_epochs=1", f"hydra.run.dir={run}/run"]


def _row(
    variant: str, arguments: Sequence[str], folder: str, dataset: str | None = None, variables: Mapping[str, str] = {}
) -> Row:
    """Run a Python program and look again and again at its memory and at that of the processes it starts.

    Raises:
        UserError: with the program's last line if it fails, and where the system does not tell of memory.
    """
    if not Path("/proc/self/smaps_rollup").is_file():
        raise UserError("the part memory needs Linux, where the system tells what memory a process has")
    environment = {**os.environ, **variables}
    with (Path(folder) / "output").open("w+b") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=environment, stdout=output, stderr=output
        )
        try:
            peak = own = 0
            while process.poll() is None:
                peak = max(peak, _value(process.pid, "status", "VmHWM"))
                own = max(own, sum(map(_own, _with_children(process.pid))))
                sleep(_EVERY)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace").strip().splitlines() or [f"status {process.returncode}"]
            raise UserError(f"python {' '.join(arguments)}: {said[-1]}")
    row = {"variant": variant, "repeat": 0, "steps": 1, "peak": peak / 1e6, "own": own / 1e6}
    return row if dataset is None else {**row, "dataset": dataset}


def _with_children(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
        except OSError:  # it has just ended
            continue
        found += map(int, children)
    return found


def _own(pid: int) -> int:
    """Bytes of a process that lie in no file; what it shares with other processes counts in parts."""
    return sum(_value(pid, "smaps_rollup", name) for name in ("Pss_Anon", "Pss_Shmem"))


def _value(pid: int, file: str, name: str) -> int:
    """A number of bytes in a file of /proc; 0 once the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def as_markdown(rows: pd.DataFrame) -> str:
    lines = []
    for what, cell in rows.groupby("what", sort=False):
        measured = cell.set_index("variant")
        for variant, row in measured.iterrows():
            line = {"what": what, "program": variant, "peak": f"{row['peak']:,.0f}", "own": f"{row['own']:,.0f}"}
            lines.append(line | {"aim": str(_aim(str(what), measured)) if variant == _TRAIN else ""})
    return section(TITLE, lines)


def _aim(what: str, measured: pd.DataFrame) -> Aim:
    ours = measured.loc[_TRAIN]
    if what == _DEFAULT:
        return Aim("peak / careful loop", "≤", 1.3, "", ours["peak"] / measured.loc[_CAREFUL, "peak"])
    if what == _KEPT:
        return Aim("more than with glibc's own", "≤", 128, " MB", ours["own"] - measured.loc[_NOT_KEPT, "own"])
    return Aim("own", "≤", 1000, " MB", ours["own"])


def draw(rows: pd.DataFrame) -> bytes:
    values = figures.values_over(
        rows, "what", lambda cell: cell.pivot(index="repeat", columns="variant", values="peak")
    )
    return figures.draw([figures.Panel("peak of new processes", "", "MB", values, log_y=False)], columns=1)
