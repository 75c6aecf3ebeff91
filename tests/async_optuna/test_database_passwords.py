"""A PostgreSQL that demands a password gets it, and nothing else does: no file, no output, no process but the first."""

import importlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_runs import TOY, Apart, Apps, needs_proc, results, wait_until

from conftest import PROJECT

pytestmark = [pytest.mark.slow, needs_proc]

PASSWORD, ENCODED = "gehe/im@42", "gehe%2Fim%4042"
SECRET = "gehe"  # what both have in common, and no other text


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PROJECT / "scripts"))
        postgresql = importlib.import_module("postgresql_server")
    if missing := postgresql.what_is_missing():
        pytest.skip(f"this needs {missing}")
    with postgresql.running_server(password=PASSWORD) as server:
        yield server


@pytest.fixture
def apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Apps]:
    (tmp_path / "work").mkdir()
    apps = Apps(tmp_path / "work", monkeypatch, capfd)
    yield apps
    apps.close()


def start(apps: Apps, server: Any, user: str, *arguments: str, **environment: str) -> Apart:
    url = f"postgresql://{user}@127.0.0.1:{server.port}/postgres"
    settings = ["hydra.sweep.dir=sweep", "hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=2", "seconds=1.5"]
    return apps.apart(TOY, *settings, f"hydra.sweeper.storage='{url}'", *arguments, **environment)


def files_with_the_secret(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    return [path for path in files if SECRET.encode() in path.read_bytes()]


def children_with_the_secret(search: Apart) -> list[int]:
    found = []
    for process in set(search.alive()) - {search.process.pid}:
        try:
            line = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        if SECRET.encode() in line:
            found.append(process)
    return found


def test_a_password_in_the_address_is_used_and_written_nowhere(apps: Apps, server: Any) -> None:
    user, study = f"postgres:{ENCODED}", "hydra.sweeper.study_name=address"
    search = start(apps, server, user, study, HYDRA_FULL_ERROR="1")
    wait_until(lambda: any(apps.folder.glob("sweep/0/output.log")))
    assert children_with_the_secret(search) == []
    assert len(search.alive()) > 2  # there were children to look at
    os.kill(search.process.pid, signal.SIGINT)
    ended = search.finish()
    assert ended.status == 130
    assert "go on with:" in ended.err
    printed = ended.out + ended.err
    ended = start(apps, server, user, study, "x=0,1", "fail=error", "hydra.sweep.dir=other").finish()
    assert ended.status != 0  # its space is another
    printed += ended.out + ended.err
    ended = start(apps, server, user, study, "hydra.sweeper.accept_changes=true").finish()
    assert ended.status == 0, ended.err
    printed += ended.out + ended.err
    assert "warning: hydra.sweeper.storage holds a password" in ended.out
    assert "~/.pgpass" in ended.out
    assert SECRET not in printed
    assert results(apps.folder / "sweep")["storage"] == f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
    assert files_with_the_secret(apps.folder) == []


@pytest.mark.parametrize("way", ["PGPASSWORD", "PGPASSFILE"])
def test_postgresqls_own_ways_to_a_password_work(way: str, apps: Apps, server: Any, tmp_path: Path) -> None:
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"127.0.0.1:{server.port}:*:postgres:{PASSWORD}\n", encoding="utf-8")
    passfile.chmod(0o600)
    environment = {"PGPASSWORD": PASSWORD} if way == "PGPASSWORD" else {"PGPASSFILE": str(passfile)}
    ended = start(apps, server, "postgres", f"hydra.sweeper.study_name={way}", **environment).finish()
    assert ended.status == 0, ended.err
    assert "warning" not in ended.out + ended.err
    assert results(apps.folder / "sweep")["counts"]["complete"] == 2
    assert files_with_the_secret(apps.folder) == []


def test_a_wrong_password_is_told_without_it(apps: Apps, server: Any) -> None:
    ended = start(apps, server, "postgres:gehewrong").finish()
    assert ended.status == 1
    assert "password authentication failed" in ended.err
    assert SECRET not in ended.out + ended.err
