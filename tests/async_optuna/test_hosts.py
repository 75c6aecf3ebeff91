"""One search on several hosts: they share a real PostgreSQL and nothing else, and whatever dies, the study is exact.

A host is a process tree with a folder of its own, which the others do not know.
"""

import importlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from app_runs import (
    TOY,
    Apart,
    Apps,
    finished,
    needs_proc,
    points,
    results,
    states,
    study_at,
    trial_folders,
    wait_until,
)

from async_optuna.storage import open_storage
from conftest import PROJECT

pytestmark = [needs_proc, pytest.mark.skipif(sys.platform == "win32", reason="this system cannot fork")]

RANDOM = ["hydra/sweeper/sampler=random", "hydra.sweeper.n_jobs=2"]


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """A PostgreSQL of these tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PROJECT / "scripts"))
        postgresql = importlib.import_module("postgresql_server")
    if missing := postgresql.what_is_missing():
        pytest.skip(f"this needs {missing}")
    with postgresql.running_server() as server:
        yield server


@pytest.fixture
def apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Apps]:
    apps = Apps(tmp_path, monkeypatch, capfd)
    yield apps
    apps.close()


def plain(url: str) -> str:
    """The URL as a user types it: without the driver."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"


def start(apps: Apps, host: str, name: str, url: str, *arguments: str, **environment: str) -> Apart:
    settings = [f"hydra.sweep.dir={host}", f"hydra.sweeper.study_name={name}", f"hydra.sweeper.storage='{url}'"]
    return apps.apart(TOY, *settings, *RANDOM, *arguments, **environment)


def kill_tree(host: Apart) -> None:
    """What a power cut does."""
    for process in host.alive():
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def has_begun(folder: Path, count: int = 1) -> bool:
    outputs = folder.glob("[0-9]*/output.log")
    return sum("begins" in output.read_text(encoding="utf-8") for output in outputs) >= count


def check_exact(study: optuna.Study, n_trials: int, folders: list[Path]) -> None:
    """So many trials have ended, each with a point and a folder of its own; none waits or runs."""
    assert len(points(study)) == len(set(points(study))) == n_trials
    assert not {"RUNNING", "WAITING"} & set(states(study))
    numbers = [number for folder in folders for number in trial_folders(folder)]
    assert len(numbers) == len(set(numbers))
    assert {trial.number for trial in finished(study)} <= set(numbers)


def num_interrupted(study: optuna.Study) -> int:
    return sum(bool(trial.user_attrs.get("interrupted")) for trial in study.get_trials(deepcopy=False))


def test_a_host_that_loses_its_power_in_mid_trial_loses_no_trial(apps: Apps, server: Any) -> None:
    settings = ["seconds=0.4", "hydra.sweeper.n_trials=8", "hydra.sweeper.dead_after_seconds=1.5"]
    victim, other = (start(apps, name, "power", plain(server.url), *settings) for name in ("victim", "other"))
    wait_until(lambda: has_begun(apps.folder / "victim") and has_begun(apps.folder / "other"))
    kill_tree(victim)
    ended = other.finish()
    assert ended.status == 0, ended.err
    study = study_at(server.url, "power")
    check_exact(study, 8, [apps.folder / "victim", apps.folder / "other"])
    assert num_interrupted(study) >= 1
    assert results(apps.folder / "other")["counts"]["complete"] == 8
    assert not other.alive()


@pytest.mark.slow
def test_a_server_that_restarts_costs_no_trial(apps: Apps, server: Any) -> None:
    settings = ["seconds=1.5", "steps=15", "report=true", "hydra.sweeper.n_trials=10"]
    hosts = [start(apps, name, "restart", plain(server.url), *settings) for name in ("one", "other")]
    wait_until(lambda: has_begun(apps.folder / "one") and has_begun(apps.folder / "other"))
    server.call("stop", "-m", "fast")
    time.sleep(4)
    server.start()
    for host in hosts:
        ended = host.finish(120)
        assert ended.status == 0, ended.err
        assert "the study is there again" in ended.out
    study = study_at(server.url, "restart")
    check_exact(study, 10, [apps.folder / "one", apps.folder / "other"])
    assert num_interrupted(study) == 0


@contextmanager
def all_cores_busy() -> Iterator[None]:
    """Twice as many processes as cores, none of which ever sleeps."""
    with ExitStack() as stack:
        for _ in range(2 * (os.cpu_count() or 1)):
            burner = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(burner.kill)
        yield


@pytest.mark.slow
def test_a_busy_host_with_trials_longer_than_the_limit_of_silence_loses_none(apps: Apps, server: Any) -> None:
    settings = ["seconds=9", "hydra.sweeper.n_trials=6", "hydra.sweeper.dead_after_seconds=4"]
    with all_cores_busy():
        hosts = [start(apps, name, "busy", plain(server.url), *settings) for name in ("one", "other")]
        for host in hosts:
            ended = host.finish(180)
            assert ended.status == 0, ended.err
    study = study_at(server.url, "busy")
    check_exact(study, 6, [apps.folder / "one", apps.folder / "other"])
    assert states(study) == ["COMPLETE"] * 6
    assert all(trial_folders(apps.folder / name) for name in ("one", "other"))


# --- Beginning together ---------------------------------------------------------------------------------------------


def open_at_once(url: str, barrier: Any, failures: Any) -> None:
    barrier.wait(30)
    try:
        optuna.create_study(storage=open_storage(url, Path()), study_name="together", load_if_exists=True)
    except BaseException as error:
        failures.put(str(error))
    os._exit(0)  # pytest's own ends belong to the parent


def opened_together(url: str, num_hosts: int = 4) -> list[str]:
    """What goes wrong when several processes make the tables of an empty database at the same moment."""
    context = multiprocessing.get_context("fork")
    barrier, failures = context.Barrier(num_hosts), context.SimpleQueue()
    hosts = [context.Process(target=open_at_once, args=(url, barrier, failures)) for _ in range(num_hosts)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join(60)
    errors = []
    while not failures.empty():
        errors.append(failures.get())
    return errors + [f"exit status {host.exitcode}" for host in hosts if host.exitcode != 0]


def new_database(server: Any, name: str) -> str:
    """The URL of an empty database."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return str(server.url).removesuffix("postgres") + name


def test_hosts_that_begin_together_make_the_tables_of_sqlite_once(tmp_path: Path) -> None:
    assert opened_together(f"sqlite:///{tmp_path}/study.db") == []


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(10))
def test_hosts_that_begin_together_make_the_tables_of_postgresql_once(server: Any, attempt: int) -> None:
    assert opened_together(new_database(server, f"tables{attempt}")) == []


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(10))
def test_two_searches_begin_together_on_an_empty_database(apps: Apps, server: Any, attempt: int) -> None:
    url = new_database(server, f"empty{attempt}")
    hosts = [start(apps, name, "empty", plain(url), "hydra.sweeper.n_trials=6") for name in ("one", "other")]
    for host in hosts:
        ended = host.finish(120)
        assert ended.status == 0, ended.err
    check_exact(study_at(url, "empty"), 6, [apps.folder / "one", apps.folder / "other"])


# --- Other ways to share a study --------------------------------------------------------------------------------------


def serve(url: str, port: int) -> None:
    import warnings

    from optuna.storages import RDBStorage, run_grpc_proxy_server

    warnings.simplefilter("ignore")  # it is experimental
    run_grpc_proxy_server(RDBStorage(url), host="127.0.0.1", port=port)


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.mark.slow
def test_a_grpc_proxy_stands_before_the_database(apps: Apps) -> None:
    pytest.importorskip("grpc")
    url = f"sqlite:///{apps.folder}/study.db"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    proxy = multiprocessing.get_context("spawn").Process(target=serve, args=(url, port))
    proxy.start()
    try:
        wait_until(lambda: listens(port))
        storage = f"{{_target_: optuna.storages.GrpcStorageProxy, host: 127.0.0.1, port: {port}}}"
        hosts = [
            apps.apart(
                *(TOY, f"hydra.sweep.dir={name}", "hydra.sweeper.study_name=proxy", f"hydra.sweeper.storage={storage}"),
                *(*RANDOM, "hydra.sweeper.n_trials=6", "seconds=0.2"),
            )
            for name in ("one", "other")
        ]
        for host in hosts:
            ended = host.finish(120)
            assert ended.status == 0, ended.err
    finally:
        proxy.kill()
        proxy.join()
    check_exact(study_at(url, "proxy"), 6, [apps.folder / "one", apps.folder / "other"])
