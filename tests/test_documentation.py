"""README and the pages in docs are true: every command in them runs, links lead somewhere, and the tree is the tree."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import fork_server
from conftest import PROJECT, SMOKE, Finished, embedded_digits

DATA_DIR = Path(os.environ.get("CNNLAB_DATA_DIR") or "nowhere").absolute()  # only: workbench and zoo
README = (PROJECT / "README.md").read_text(encoding="utf-8")
# These have tests of their own.
ELSEWHERE = ("async_optuna.md", "dimensions.md")
PAGES = {
    path.name: path.read_text(encoding="utf-8")
    for path in [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
}


def commands() -> list[str]:
    """The commands of all pages, each once: the lines of the blocks in bash, and those in the cells of tables."""
    lines: list[str] = []
    for name, text in PAGES.items():
        if name in ELSEWHERE:
            continue
        blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
        lines += [re.sub(r"(^|\s+)#.*", "", line).strip() for block in blocks for line in block.splitlines()]
        rows = [line for line in text.splitlines() if line.startswith("|")]
        lines += [command for row in rows for command in re.findall(r"`(python [^`]*\.py[^`]*)`", row)]
    return [line for line in dict.fromkeys(lines) if line]


def calls_of(*scripts: str) -> list[str]:
    return [line for line in commands() if line.split()[:1] == ["python"] and line.split()[1] in scripts]


TRAIN = calls_of("train.py")
MAKE = [line for line in commands() if line.startswith("make")]
TRIED = {*TRAIN, *MAKE, 'eval "$(python train.py -sc install=bash)"'}
# only: workbench
MEASURED = calls_of("scripts/seeds.py")
EXPLAINED = calls_of("scripts/inspect_model.py", "scripts/show_convolution.py", "scripts/find_lr.py")
OF_A_RUN = calls_of("evaluate.py", "predict.py", "scripts/runs.py", "scripts/compare.py", "scripts/export.py")
OF_DATA = calls_of("scripts/inspect_data.py", "scripts/convert.py")
TRIED |= {*MEASURED, *EXPLAINED, *OF_A_RUN, *OF_DATA}
# end only
# only: sweep
OF_A_SEARCH = "python scripts/report.py outputs/sweeps/tinyvgg"
TRIED |= {OF_A_SEARCH}
# end only


def test_every_command_is_tried_below() -> None:
    assert set(commands()) == TRIED


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Files and headings of this project; addresses of others are not opened."""
    folder = PROJECT / "docs" if (PROJECT / "docs" / page).is_file() else PROJECT
    for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        path, _, heading = link.partition("#")
        if re.match(r"\w+:", link):
            continue
        target = folder / path if path else folder / page
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles], link


def is_slow(line: str) -> bool:
    """Processes of their own, and what only varies a command that is run anyway or has tests of its own."""
    words = line.split()
    if "-m" in words:
        quick = ["trainer.channels_last=true,false"]
        quick += ["sweep=tinyvgg"]  # only: sweep
        return len(words) > 4 or words[3] not in quick
    return bool({"trainer=ddp_cpu", "trainer.compile=eager", "index=7"} & set(words)) or (
        "model.hidden_units=32" in words and len(words) > 3
    )


def slow_apart(lines: list[str]) -> list[Any]:
    return [pytest.param(line, marks=pytest.mark.slow) if is_slow(line) else line for line in lines]


@pytest.mark.usefixtures("white_figures")
@pytest.mark.parametrize("line", slow_apart(TRAIN))
def test_train(
    line: str,
    train: Callable[..., Finished],
    command: Callable[..., Finished],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    arguments = (line.split() if "\\" in line else shlex.split(line))[2:]  # no shell of Windows reads backslashes
    if any(argument.startswith("data=") for argument in arguments):
        make_data(tmp_path)
    if arguments and arguments[0] in ("--help", "--cfg"):
        shown = train(*arguments)
        assert shown.status == 0
        assert "model" in shown.out
        return
    if arguments and arguments[0].startswith("resume="):
        folder = train(*SMOKE).folder
        resumed = train("resume=latest" if arguments == ["resume=latest"] else f"resume={folder}")
        assert resumed.status == 0, resumed.err
        return
    # only: sweep
    if any(argument.startswith("sweep=") for argument in arguments):
        search = train(*arguments, *SMALL_SEARCH)
        assert search.status == 0, search.err
        (leaderboard,) = tmp_path.glob("outputs/sweeps/*/leaderboard.md")
        if line == "python train.py -m sweep=tinyvgg":
            leaderboard.unlink()
            assert command(*shlex.split(OF_A_SEARCH)[1:]).status == 0
            assert leaderboard.is_file()
        return
    # end only
    own = [] if any(argument.startswith(("logger", "callbacks")) for argument in arguments) else ["logger=none"]
    run = train(*arguments, *own, *smoke_for(arguments))
    if "trainer=gpu" in arguments and not torch.cuda.is_available():
        assert run.status == 1
        assert "trainer=gpu cannot be used" in run.err
        return
    assert run.status == 0, run.err
    assert list(tmp_path.rglob("metrics.json"))


# only: sweep
# One trial of one batch.
SMALL_SEARCH = ["data.allow_subset=true", "data.train_size=512", "data.val_size=100", "hydra.sweeper.n_trials=1"]
SMALL_SEARCH += ["trainer.max_epochs=1", "trainer.limit_train_batches=1"]
# end only


def smoke_for(arguments: list[str]) -> list[str]:
    """What makes a command small; a trainer that is named stays."""
    if any(argument.startswith("trainer=") for argument in arguments):
        return ["trainer.max_epochs=2"] if "trainer=overfit" in arguments else ["data.train_size=256"]
    # only: zoo
    if any(argument.startswith(("experiment=fast99", "experiment=record_")) for argument in arguments):
        few = ["trainer.limit_val_batches=1", "trainer.limit_test_batches=1", "trainer.max_epochs=2"]
        return ["data.allow_subset=true", "data.train_size=256", *few]
    # end only
    if "data.batch_size=512" in arguments:
        return ["trainer=smoke", "data.train_size=1024"]
    has_size = any(argument.startswith(("data.train_size", "data=npz", "data=image_folder")) for argument in arguments)
    return ["trainer=smoke"] if has_size else ["trainer=smoke", "data.train_size=256"]


def make_data(folder: Path) -> None:
    """What the commands on own data are given."""
    rng = np.random.default_rng(0)
    for root in ("photos", "C:\\photos\\cats"):
        for name in ("cats", "dogs"):
            (folder / root / name).mkdir(parents=True)
            for number in range(30):
                pixels = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / root / name / f"{number}.png")
    x, y = rng.random((60, 1, 12, 12, 12), dtype=np.float32), np.arange(60) % 3
    y_of = {"scans.npz": y, "a=b, (1) é.npz": y}
    y_of |= {"heights.npz": rng.normal(size=60), "tags.npz": np.eye(4)[np.arange(60) % 4]}
    for name, y in y_of.items():
        np.savez(folder / name, x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
    files = [f"{animal}/{number}.png" for animal in ("cats", "dogs") for number in range(30)]
    labels = pd.DataFrame({"file": files, "indoors": np.arange(60) % 2, "young": np.arange(60) % 3 == 0})
    labels.astype({"young": int}).to_csv(folder / "photos/labels.csv", index=False)
    (folder / "photos/labels.csv").write_text(
        "file,young,white\n"
        + "".join(f"{kind}/{n}.png,{n % 2},{n % 3 // 2}\n" for kind in ("cats", "dogs") for n in range(30))
    )
    tags = rng.integers(0, 2, (60, 3))
    for name, targets in (("tags.npz", tags), ("heights.npz", tags.sum(axis=1) / 2)):
        np.savez(folder / name, x_train=x[:, 0, 0], y_train=targets, x_test=x[:9, 0, 0], y_test=targets[:9])


# only: workbench
@pytest.mark.parametrize("line", MEASURED)
def test_measured(line: str, command: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", fork_server.Popen)
    program, *arguments = shlex.split(line)[1:]
    two = ["0-1" if word == "0-4" else word for word in arguments]
    measured = command(program, "--smoke", *two)
    assert measured.status == 0, measured.err
    assert "| --- |" in measured.out


@pytest.mark.parametrize("line", EXPLAINED)
def test_explained(line: str, command: Callable[..., Finished], tmp_path: Path) -> None:
    make_data(tmp_path)
    small = ["steps=20", "data.train_size=2000", "data.allow_subset=true"] if "find_lr" in line else []
    shown = command(*shlex.split(line)[1:], *small)
    assert shown.status == 0, shown.err
    assert list(tmp_path.rglob("outputs/**/*.png"))


@pytest.mark.usefixtures("white_figures")
@pytest.mark.parametrize("line", OF_DATA)
def test_data_are_looked_at_and_converted(line: str, command: Callable[..., Finished], tmp_path: Path) -> None:
    make_data(tmp_path)
    rng = np.random.default_rng(0)
    rows = [",".join(map(str, [n % 2, *rng.integers(0, 256, 784)])) for n in range(60)]
    pixels = ",".join(f"pixel{i}" for i in range(784))
    (tmp_path / "train.csv").write_text("\n".join([f"label,{pixels}", *rows]))
    (tmp_path / "test.csv").write_text("\n".join([pixels, *(row[2:] for row in rows[:3])]))
    (tmp_path / "images").mkdir()
    for path in (tmp_path / "photos").glob("*/*.png"):
        shutil.copy(path, tmp_path / f"images/{path.parent.name}{path.name}")
    names = [f"{kind}{n},{kind}" for kind in ("cats", "dogs") for n in range(25)]
    (tmp_path / "labels.csv").write_text("\n".join(["id,breed", *names]))
    done = command(*shlex.split(line)[1:])
    assert done.status == 0, done.err
    assert "\nwritten " in done.out or list(tmp_path.glob("outputs/inspection/*/inspect_data.png"))


@pytest.mark.usefixtures("white_figures")
@pytest.mark.parametrize("line", slow_apart([line for line in OF_A_RUN if "evaluate.py run=pretrained:" not in line]))
def test_what_can_be_made_of_a_run(
    line: str, trained: Path, command: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnlab.workbench.evaluation.figures._NUM_SPOILT", 50)
    pixels, _ = embedded_digits()
    (tmp_path / "scans").mkdir()
    for number in range(0, 5000, 1000):
        Image.fromarray(pixels[number]).resize((140, 140)).save(tmp_path / f"scans/{number}.png")
    before = set(tmp_path.rglob("*"))
    if "format=onnx" in line:
        pytest.importorskip("onnxruntime")
    done = command(*shlex.split(line)[1:])
    assert done.status == 0, done.err
    made = {path.suffix for path in set(tmp_path.rglob("*")) - before if path.is_file()}
    assert made >= {"compare": {".csv", ".md"}, "export": {".onnx"}, "runs": set()}.get(
        line.split()[1].removeprefix("scripts/").removesuffix(".py"), {".png", ".csv", ".json"}
    )


# only: zoo
@pytest.mark.slow
@pytest.mark.skipif(not (DATA_DIR / "MNIST/raw").is_dir(), reason="CNNLAB_DATA_DIR holds no MNIST/raw")
@pytest.mark.parametrize("line", [line for line in OF_A_RUN if "evaluate.py run=pretrained:" in line])
def test_weights_that_ship_are_evaluated(
    line: str, command: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    without = command(*shlex.split(line)[1:])
    assert (without.status, without.err.count("\n")) == (1, 1)
    assert "MNIST/raw" in without.err
    monkeypatch.setenv("CNNLAB_DATA_DIR", str(DATA_DIR))
    done = command(*shlex.split(line)[1:])
    assert done.status == 0, done.err
    assert "of 10,000 images right" in done.out


# end only
# end only


def test_from_a_notebook(tmp_path: Path, without_data: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGES["installation.md"], flags=re.DOTALL)
    assert len([line for line in block.splitlines() if line]) <= 4
    small = ", ".join(f'"{argument}"' for argument in SMOKE)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(block.replace('"trainer.max_epochs=1"', small), found)
    assert found["metrics"]["test/accuracy"] > 0
    assert found["folder"].is_dir()
    inputs, _ = next(iter(found["data"].val_dataloader()))
    assert found["model"](inputs).shape == (500, 10)
    assert found["config"].trainer.max_epochs == 1


# only: never
def test_the_notebook(tmp_path: Path, without_data: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """All cells, on fewer images; lines for Jupyter and the shell are left out."""
    notebook = json.loads((PROJECT / "docs/first_run.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    code = re.sub(r"^( *)[!%].*", r"\1pass", "\n".join(cells), flags=re.MULTILINE)
    small = ", ".join(f'"{argument}"' for argument in SMOKE)
    assert code.count('"data.train_size=2000", "trainer.max_epochs=2"') == 1
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    found: dict[str, Any] = {}
    exec(code.replace('"data.train_size=2000", "trainer.max_epochs=2"', small), found)
    assert found["wider"]["num_parameters"] > found["metrics"]["num_parameters"]
    assert len([axis for axis in found["axes"].flat if axis.get_title()]) == 16


# end only
def test_a_read_only_checkout_stays_as_it_is(tmp_path: Path, environment: dict[str, str]) -> None:
    assert "`PYTHONPATH=/opt/cnnlab/src python /opt/cnnlab/train.py`" in PAGES["installation.md"]
    checkout, elsewhere = tmp_path / "opt/cnnlab", tmp_path / "work"
    elsewhere.mkdir()
    for name in ("src", "conf", "train.py"):
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        checkout.mkdir(parents=True, exist_ok=True)
        copy(PROJECT / name, checkout / name)
    for path in [*checkout.rglob("*"), checkout]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(path for path in checkout.rglob("*") if "__pycache__" not in path.parts)
    command = [sys.executable, str(checkout / "train.py"), *SMOKE]
    run = fork_server.run(
        command,
        cwd=elsewhere,
        env=environment | {"PYTHONPATH": str(checkout / "src")},
    )
    assert run.returncode == 0, run.stderr
    assert sorted(path for path in checkout.rglob("*") if "__pycache__" not in path.parts) == before
    assert list(elsewhere.glob("outputs/runs/*/metrics.json"))
    for path in [checkout, *checkout.rglob("*")]:
        path.chmod(0o755)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("line", MAKE)
def test_make(line: str, environment: dict[str, str], tmp_path: Path) -> None:
    """The targets call this interpreter on the right things; `make test` itself would never end here."""
    command = [*shlex.split(line), "--dry-run", f"RUN={sys.executable}", f"VENV={tmp_path}", f"-C{PROJECT}"]
    plan = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert plan.returncode == 0, plan.stderr
    calls = {"train": "train.py", "test": "pytest", "tensorboard": "tensorboard.main --logdir"}
    calls |= {"clean-runs": "runs.py --delete", "demo": "scripts/demo.py"}  # only: workbench
    calls |= {"sweep": "sweep=tinyvgg"}  # only: sweep
    calls |= {"bench": "scripts/benchmark.py"}  # only: workbench and zoo
    calls |= {"new": "scripts/new_project.py"}  # only: never
    calls |= {"setup": "download.pytorch.org/whl/cpu" if "TORCH=cpu" in line else "--editable"}
    assert calls[line.split()[1]] in plan.stdout


def test_the_tab_completion_installs_itself(train: Callable[..., Finished]) -> None:
    shown = train("-sc", "install=bash")
    assert shown.status == 0
    assert "complete -o nospace" in shown.out


def test_the_tree_is_the_tree() -> None:
    """Each line is a file that is there; what src/cnnlab and the workbench hold is listed in full."""
    tree = re.search(r"```\n(train\.py .*?)```", PAGES["architecture.md"], flags=re.DOTALL)
    assert tree is not None
    listed: set[str] = set()
    above = [(-1, "")]
    for line in tree[1].splitlines():
        indent = len(line) - len(line.lstrip())
        while above[-1][0] >= indent:
            above.pop()
        path = above[-1][1] + line.split()[0]
        above.append((indent, path))
        assert (PROJECT / path).exists(), path
        listed.add(path.rstrip("/"))
    for folder in {"src/cnnlab", "src/cnnlab/workbench"} & listed:
        for path in (PROJECT / folder).iterdir():
            if path.name not in ("__pycache__", "__init__.py"):
                assert path.relative_to(PROJECT).as_posix() in listed


def test_the_readme_is_short() -> None:
    assert len([line for line in README.splitlines() if not line.startswith("<!-- ")]) <= 180  # what a reader sees
