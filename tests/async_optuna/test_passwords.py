"""Passwords of databases: cut out of all text, and known only to the process that was given them."""

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from sqlalchemy import create_engine
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import DBAPIError

from async_optuna.passwords import provide, without_passwords


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("postgresql://u:geheim@h/db", "postgresql://u@h/db"),
        ("postgresql+psycopg://u:ge/he@im@h:5432/db?sslmode=a", "postgresql+psycopg://u@h:5432/db?sslmode=a"),
        ("mysql://h/db?user=u&password=geheim&charset=b", "mysql://h/db?user=u&charset=b"),
        ("hydra.sweeper.storage='mysql://h/db?passwd=geheim'", "hydra.sweeper.storage='mysql://h/db'"),
        ("cannot open mysql://u:geheim@h/d: no host h", "cannot open mysql://u@h/d: no host h"),
        ("+hydra.sweeper.storage.password=geheim", "+hydra.sweeper.storage.password=''"),
        (
            "hydra.sweeper.storage={_target_: a.Storage, password: geheim, host: h}",
            "hydra.sweeper.storage={_target_: a.Storage, password: '', host: h}",
        ),
        (
            {"url": "mysql://u:geheim@h/d", "args": [{"password": "geheim"}, 1]},
            {"url": "mysql://u@h/d", "args": [{}, 1]},
        ),
    ],
)
def test_passwords_are_cut_out(text: Any, cut: Any) -> None:
    assert without_passwords(text) == cut


@pytest.mark.parametrize("text", ["data.max_tokens=3", "sqlite:////a/b.db", "+hydra.sweeper.storage.host=h", "a:b@c"])
def test_all_else_stays(text: Any) -> None:
    assert without_passwords(text) == text


class Refused(Exception):
    pass


class Dialect(DefaultDialect):
    """Of a database that refuses everybody and notes the passwords that it was offered."""

    name, driver, supports_statement_cache = "plain", "plain", True
    offered: ClassVar[list[str | None]] = []

    @classmethod
    def import_dbapi(cls) -> Any:
        return SimpleNamespace(connect=cls.refuse, Error=Refused, paramstyle="pyformat")

    @classmethod
    def refuse(cls, **parameters: Any) -> None:
        cls.offered.append(parameters.get("password"))
        raise Refused


def test_the_address_without_the_password_opens_the_database_in_this_process() -> None:
    registry.register("plain", __name__, "Dialect")
    provide("plain://u:geheim@h/db")
    for address in ("u@h/db", "other@h/db", "u:own@h/db"):
        with pytest.raises(DBAPIError):
            create_engine(f"plain://{address}").connect()
    assert Dialect.offered == ["geheim", None, "own"]
