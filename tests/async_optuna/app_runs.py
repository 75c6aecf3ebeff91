"""For the tests of this folder: Hydra apps run in this process or in one of their own, and what they leave behind."""

import logging
import os
import re
import runpy
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins

from cnnlab.cli.lazy_help import lazy_help_allowed
from conftest import PROJECT, Finished

TOY = PROJECT / "scripts/sweep_toy.py"
APP = Path(__file__).with_name("sweep_app.py")

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads other processes from /proc")


class Apps:
    """Runs Hydra apps in a folder, as `python app.py -m …` does, and reads their sweep folders.

    A call in this process costs a tenth of one in a process of its own. Warnings are errors in both, and in the trials.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self._patch, self._capfd = folder, monkeypatch, capfd
        self._started: list[Apart] = []
        monkeypatch.chdir(folder)
        monkeypatch.setenv("PYTHONWARNINGS", "error")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # trials have slots of cores, on every machine

    def here(self, app: Path, *arguments: str) -> Finished:
        """Sweep in this process (its trials have their own, as ever)."""
        root = logging.getLogger()
        handlers, level = list(root.handlers), root.level
        Plugins.instance()  # they register their configs, once
        configs = _copied(ConfigStore.instance().repo)
        self._patch.setattr(sys, "argv", [str(app), "-m", *arguments])
        self._capfd.readouterr()
        status = 0
        GlobalHydra.instance().clear()
        try:
            with lazy_help_allowed():
                runpy.run_path(str(app), run_name="__main__")
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        finally:
            GlobalHydra.instance().clear()
            HydraConfig.instance().cfg = None
            ConfigStore.instance().repo = configs  # without the app's classes, whose module is gone
            for handler in [handler for handler in root.handlers if handler not in handlers]:
                root.removeHandler(handler)
                handler.close()
            root.handlers, root.level = handlers, level
        out, err = self._capfd.readouterr()
        return Finished(status, out, err, None)

    def apart(self, app: Path, *arguments: str, **environment: str) -> "Apart":
        """Start a sweep in a process of its own."""
        self._started.append(Apart(app, arguments, self.folder, environment))
        return self._started[-1]

    def close(self) -> None:
        """Leave nothing behind, not even where a test has found that the search does."""
        for sweep in self._started:
            sweep.kill()


def _copied(tree: dict[str, Any]) -> dict[str, Any]:
    return {name: _copied(branch) if isinstance(branch, dict) else branch for name, branch in tree.items()}


def _listen_to_ctrl_c() -> None:
    """Shells let what runs in the background ignore it, and so all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Apart:
    """A sweep in a process of its own; its descendants are recognised by a variable of their environment."""

    def __init__(self, app: Path, arguments: tuple[str, ...], folder: Path, environment: dict[str, str]) -> None:
        self.mark = f"SWEEP_TEST={uuid.uuid4().hex}"
        name, value = self.mark.split("=")
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(app), "-m", *arguments],
            cwd=folder,
            env={**os.environ, name: value, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_listen_to_ctrl_c,
        )

    def finish(self, seconds: float = 60) -> Finished:
        out, err = self.process.communicate(timeout=seconds)
        return Finished(self.process.returncode, out, err, None)

    def alive(self) -> list[int]:
        """Processes of this sweep, itself included, that are not yet gone."""
        return [pid for pid, variables in _processes() if f"{self.mark}\0" in variables]

    def kill(self) -> None:
        self.process.kill()
        for pid in self.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()


def _processes() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        if entry.name.isdigit():
            try:
                yield int(entry.name), (entry / "environ").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return answer


def stop_forkserver() -> None:
    """So that the next one gets the environment and preloads of who asks for it."""
    from multiprocessing import forkserver

    forkserver._forkserver._stop()


# --- What is in a sweep folder ----------------------------------------------------------------------------------------


def load(folder: Path, name: str | None = None, storage: str | None = None) -> optuna.Study:
    """Read a study as any other program would: with nothing but Optuna."""
    where: Any = storage or optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str((folder / "study.journal").absolute()))
    )
    return optuna.load_study(study_name=name, storage=where)


def study_at(url: str, name: str) -> optuna.Study:
    """A copy of a study, read as any other program would; no connection stays open."""
    storage = optuna.storages.RDBStorage(url)
    copy = optuna.create_study()
    copy.add_trials(optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False))
    storage.remove_session()
    storage.engine.dispose()
    return copy


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.get_trials(deepcopy=False)]


def finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that count."""
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if trial.state.is_finished() and not trial.user_attrs.get("interrupted")]


def points(study: optuna.Study) -> list[tuple[tuple[str, Any], ...]]:
    return [tuple(sorted(trial.params.items())) for trial in finished(study)]


def results(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "optimization_results.yaml").read_text(encoding="utf-8")))


def trial_folders(folder: Path) -> list[int]:
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())


def error_line(ended: Finished) -> str:
    """The one line that a refused command prints, next to what Hydra says of stack traces."""
    assert ended.status == 1, ended.out + ended.err
    assert "Traceback" not in ended.err, ended.err
    lines = [line for line in ended.err.splitlines() if line and "HYDRA_FULL_ERROR" not in line]
    assert len(lines) == 1, ended.err
    return re.sub(r"\s+", " ", lines[0])
