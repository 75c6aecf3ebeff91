"""How much there is to read on four ways through the code, counted while they run; docs/architecture.md tells it."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from offline import idx_set, write
from torch.optim.optimizer import register_optimizer_step_post_hook

from cnnlab.data import idx_datamodule
from cnnlab.data.mnist import MNIST
from conftest import PROJECT, Finished
from test_layering import SOURCE, lines_of_code

TEXT = (PROJECT / "docs/architecture.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.slow

SMALL = ["trainer=smoke", "logger=none", "test=false"]

# A stretch of a way: from the call of a function to the "call" or the "return" of this or another one.
Stretch = tuple[str, str, str]


class Way:
    """The files under src whose functions are called on the stretches of a way."""

    def __init__(self, *stretches: Stretch) -> None:
        self.files: set[Path] = set()
        self.stretches = list(stretches)
        self._is_on_the_way = False

    def end_stretch(self) -> None:
        if self._is_on_the_way:
            self._is_on_the_way = False
            self.stretches.pop(0)

    def pass_by(self, event: str, path: Path, name: str) -> None:
        if not self.stretches:
            return
        first, last_event, last = self.stretches[0]
        if event == "call":
            self._is_on_the_way |= name == first
            if self._is_on_the_way and "<module>" not in name:
                self.files.add(path)
        if self._is_on_the_way and (event, name) == (last_event, last):
            self.end_stretch()


@contextmanager
def followed(*ways: Way) -> Iterator[None]:
    for module in ("cnnlab.training", "async_optuna.search"):
        import_module(module)  # Imports are not on a way, whichever test comes first.
    root = str(SOURCE)

    def look(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code  # of any library, many millions of times
        if not code.co_filename.startswith(root) or event not in ("call", "return"):
            return
        for way in ways:
            way.pass_by(event, Path(code.co_filename), name_of(code))
        if not any(way.stretches for way in ways):
            sys.setprofile(None)  # What comes after runs at full speed.

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)


def name_of(code: CodeType) -> str:
    return f"{Path(code.co_filename).relative_to(SOURCE).as_posix()}:{code.co_qualname}"


def check(way: Way, row: str, yaml: Sequence[str] = ()) -> None:
    """Compare with the table of docs/architecture.md, whose numbers may be a tenth off."""
    assert not way.stretches, f"never came from {way.stretches[0][0]} to {way.stretches[0][2]}"
    named = [PROJECT / "conf" / name for name in yaml]
    lines = sum(lines_of_code(path) for path in [*way.files, *named])
    print(row, len(way.files), len(named), lines, *sorted(path.relative_to(SOURCE).as_posix() for path in way.files))
    cells = re.search(rf"^\| {re.escape(row)} \|[^|]*\| ([\d+ ]+) \| ([\d,]+) \|$", TEXT, re.MULTILINE)
    assert cells is not None, row
    assert sum(map(int, cells[1].split("+"))) == pytest.approx(len(way.files) + len(named), rel=0.1)
    assert int(cells[2].replace(",", "")) == pytest.approx(lines, rel=0.1)


def test_batch_to_gradient(train: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the bytes of the IDX files to the first step of the optimizer."""
    for name, value in {"num_training": 60, "num_test": 20, "known_md5": {}}.items():
        monkeypatch.setattr(MNIST, name, value)
    monkeypatch.setattr(idx_datamodule, "NUM_VALIDATION", 20)
    write(tmp_path / "data/MNIST/raw", idx_set(60, 20))
    building, loader = "cnnlab/building.py:build_data", "cnnlab/data/loading/tensor_loader.py:TensorLoader.__iter__"
    way = Way((building, "return", building), (loader, "return", "the step of the optimizer"))
    hook = register_optimizer_step_post_hook(lambda *_: way.end_stretch())
    with followed(way):
        run = train(*SMALL, "data.root=data", "data.batch_size=8")
    hook.remove()
    assert run.status == 0, run.err
    check(way, "batch to gradient")


def test_override_to_layer(train: Callable[..., Finished]) -> None:
    """From `model.kernel_size=5` on the command line to the network that has it."""
    build = "cnnlab/building.py:build_model"
    way = Way(("cnnlab/cli/command.py:Command.__call__", "call", "cnnlab/training.py:train"), (build, "return", build))
    with followed(way):
        run = train(*SMALL, "data.train_size=256", "model.kernel_size=5")
    assert run.status == 0, run.err
    check(way, "override to layer", ["train.yaml", "model/tinyvgg.yaml"])


@pytest.mark.usefixtures("white_figures")
def test_search_file_to_optuna_and_score_to_leaderboard(
    train: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two ways of one search.

    From a file in conf/sweep to a point of Optuna's choice, the config of its trial, and what Optuna is told;
    and from the score of an epoch, and that of the run, to leaderboard.csv.
    """
    # Trials run in this process, as they do on systems that cannot fork.
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    to_optuna = Way(
        ("cnnlab/cli/command.py:Command.__call__", "call", "cnnlab/preflight.py:check_search"),
        ("async_optuna/search.py:Search.run", "call", "cnnlab/training.py:train"),
        ("async_optuna/worker.py:_outcome", "return", "async_optuna/ledger.py:Ledger.finish"),
    )
    report = "cnnlab/callbacks/trial_report.py:TrialReport.on_train_epoch_end"
    to_leaderboard = Way(
        (report, "return", report),
        ("cnnlab/runs/run_record.py:objective", "return", "async_optuna/search.py:Search._settle"),
        ("async_optuna/search.py:Search._conclude", "call", "cnnlab/workbench/study_reports/sweep_report.py:_draw"),
    )
    few = ["data.allow_subset=true", "data.train_size=512", "hydra.sweeper.n_trials=1"]
    with followed(to_optuna, to_leaderboard):
        search = train("-m", "sweep=tinyvgg", *SMALL, *few)
    assert search.status == 0, search.err
    check(to_optuna, "search file to Optuna", ["sweep/tinyvgg.yaml", "sweep/settings.yaml"])
    assert list(tmp_path.glob("outputs/sweeps/*/leaderboard.csv"))
    check(to_leaderboard, "score to leaderboard")
