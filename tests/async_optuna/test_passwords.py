"""Passwords of databases are cut out of all text."""

from typing import Any

import pytest

from async_optuna.passwords import without_passwords


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
