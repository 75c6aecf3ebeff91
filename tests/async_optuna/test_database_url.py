"""An address without a driver means the one that is installed."""

import importlib.util
from collections.abc import Collection

import pytest

from async_optuna.database_url import with_driver
from async_optuna.errors import SearchError


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The drivers that there are, to be filled by the test."""
    names: set[str] = set()
    monkeypatch.setattr(
        "async_optuna.database_url.find_spec", lambda name: importlib.util.find_spec("json") if name in names else None
    )
    return names


@pytest.mark.parametrize(
    ("url", "drivers", "meant"),
    [
        ("postgresql://u@h/db?a=b", ["psycopg", "psycopg2"], "postgresql+psycopg://u@h/db?a=b"),
        ("postgres://u:p@h/db", ["psycopg"], "postgresql+psycopg://u:p@h/db"),
        ("postgresql://h/db", ["psycopg2"], "postgresql+psycopg2://h/db"),
        ("postgresql+psycopg2://h/db", ["psycopg"], "postgresql+psycopg2://h/db"),
        ("mysql://h/db?read_default_file=~/.my.cnf", ["pymysql"], "mysql+pymysql://h/db?read_default_file=~/.my.cnf"),
        ("mariadb://h/db", ["MySQLdb"], "mariadb+mysqldb://h/db"),
        ("sqlite:///a.db", [], "sqlite:///a.db"),
        ("study.journal", [], "study.journal"),
    ],
)
def test_the_installed_driver_is_taken(url: str, drivers: Collection[str], meant: str, installed: set[str]) -> None:
    installed.update(drivers)
    assert with_driver(url) == meant


@pytest.mark.parametrize(
    ("url", "package"),
    [("postgres://h/d", '"psycopg[binary]"'), ("postgresql://h/d", '"psycopg[binary]"'), ("mysql://h/d", "pymysql")],
)
def test_a_missing_driver_is_named_with_its_command(url: str, package: str, installed: set[str]) -> None:
    with pytest.raises(SearchError, match="no.* installed") as told:
        with_driver(url)
    assert str(told.value).endswith(f"pip install {package}")
