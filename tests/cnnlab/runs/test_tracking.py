"""W&B and MLflow record runs without a network, and a resumed run goes on there as the same run."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, WandbLogger

from cnnlab.errors import UserError
from cnnlab.runs import tracking
from cnnlab.runs.json_files import read_json
from conftest import Finished

QUICK = ["model=linear", "scheduler=none", "test=false"]


@pytest.mark.filterwarnings("ignore:.*noload.*loader strategy is deprecated")  # of MLflow's use of SQLAlchemy
def test_a_run_is_recorded_and_goes_on_as_the_same_run(
    smoke: Callable[..., Finished], train: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb, mlflow = pytest.importorskip("wandb"), pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = smoke("logger=[wandb,mlflow]", "logger.wandb.offline=true", *QUICK)
    assert run.status == 0, run.err
    assert "syncing is set" not in run.out + run.err
    assert run.folder is not None
    ids = read_json(run.folder / "tracking.json")
    assert ids.keys() == {"wandb", "mlflow"}
    assert train(f"resume={run.folder}", "trainer.max_epochs=2").status == 0
    wandb.teardown()

    assert read_json(run.folder / "tracking.json") == ids
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
    offline = sorted(run.folder.glob("wandb/offline-run-*/*.wandb"))
    assert [file.name for file in offline] == [f"run-{ids['wandb']}.wandb"] * 2
    for name in (b"optimizer.lr", b"val/accuracy", b"best/val/accuracy", run.folder.name.encode()):
        assert all(name in file.read_bytes() for file in offline), name

    recorded = mlflow.MlflowClient(f"sqlite:///{run.folder / 'mlflow.db'}").get_run(ids["mlflow"])
    assert recorded.info.run_name == run.folder.name
    assert recorded.info.status == "FINISHED"
    assert recorded.data.params["optimizer.lr"] == "0.005"
    assert recorded.data.metrics["best/val/accuracy"] == pytest.approx(run.metrics["val/accuracy"])
    assert recorded.data.metrics["best/epoch"] == run.metrics["best_epoch"] == 2


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_names_its_extra(
    name: str, smoke: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"lightning.pytorch.loggers.{name}._{name.upper()}_AVAILABLE", False)
    run = smoke(f"logger={name}", *QUICK)
    assert run.status == 1
    assert run.err == f'error: logger.{name}: its package is not installed; pip install -e ".[{name}]"\n'
    assert list(tmp_path.rglob("train.log")) == []


def test_many_loggers_write_at_once(smoke: Callable[..., Finished]) -> None:
    run = smoke("logger=many", *QUICK)
    assert run.folder is not None, run.err
    assert list(run.folder.glob("events.*"))
    assert "best/val/accuracy" in (run.folder / "csv/metrics.csv").read_text()


def test_the_run_of_a_process_ends_before_the_next_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setitem(
        sys.modules, "wandb", SimpleNamespace(run=object(), finish=lambda exit_code: ends.append(exit_code))
    )
    with tracking.recorded({}, {}, tmp_path):
        pass
    with pytest.raises(KeyboardInterrupt), tracking.recorded({}, {}, tmp_path):
        raise KeyboardInterrupt
    assert ends == [0, 1]


class Unreachable(CSVLogger):
    def log_hyperparams(self, *arguments: Any, **settings: Any) -> None:
        raise ConnectionError("no answer from the server\nand more")


def test_a_server_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    loggers: dict[str, Logger] = {"mine": Unreachable(tmp_path)}
    with (
        pytest.raises(UserError, match="^logger.mine: no answer from the server$"),
        tracking.recorded(loggers, {}, tmp_path),
    ):
        raise AssertionError
    assert list(tmp_path.iterdir()) == []


def test_wandb_without_an_account_names_the_way_without_one(tmp_path: Path) -> None:
    pytest.importorskip("wandb")

    class NoAccount(WandbLogger):
        def log_hyperparams(self, *arguments: Any, **settings: Any) -> None:
            raise ValueError("No API key configured.")

    loggers: dict[str, Logger] = {"wandb": NoAccount(save_dir=tmp_path, offline=True)}
    with (
        pytest.raises(UserError, match="configured; logger.wandb.offline=true"),
        tracking.recorded(loggers, {}, tmp_path),
    ):
        raise AssertionError


def test_trials_are_named_after_their_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    given = tracking.arguments("wandb", WandbLogger, tmp_path / "tinyvgg/0")
    assert given == {"save_dir": str(tmp_path / "tinyvgg/0"), "name": "tinyvgg/0"}
    given = tracking.arguments("mlflow", MLFlowLogger, tmp_path / "run")
    assert (given["run_name"], given["tracking_uri"]) == ("run", "http://server")
