"""Passwords of databases are cut out of all text."""

from typing import Any

import pytest

from async_optuna.passwords import message_without_passwords, without_passwords


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
        ("postgresql://u:ge he@im@h/db", "postgresql://u@h/db"),
        ("postgresql://u@server:geheim@h/db", "postgresql://u@server@h/db"),
        ("hydra.sweeper.storage='postgresql://u:ge he\\'im@h/db'", "hydra.sweeper.storage='postgresql://u@h/db'"),
        ("hydra.sweeper.storage='mysql://h/db?password=ge\\'heim'", "hydra.sweeper.storage='mysql://h/db'"),
        (
            "hydra.sweeper.storage='mssql://h/db?odbc_connect=PWD%3Dgeheim&a=b'",
            "hydra.sweeper.storage='mssql://h/db?a=b'",
        ),
        (
            "hydra.sweeper.warm_start=postgresql://u:geheim@h/db/study",
            "hydra.sweeper.warm_start=postgresql://u@h/db/study",
        ),
        (
            'hydra.sweeper.storage={_target_: a.S, \'password\': ge heim, k: {token:"ge,\\"heim"}, host: h}',
            "hydra.sweeper.storage={_target_: a.S, 'password': '', k: {token:''}, host: h}",
        ),
        (
            "hydra.sweeper.storage={_target_: a.S, url: 'postgresql://u:ge, heim@h/db', b: c}",
            "hydra.sweeper.storage={_target_: a.S, url: 'postgresql://u@h/db', b: c}",
        ),
        (
            "hydra.sweeper.storage.engine_kwargs.connect_args.password=ge=heim",
            "hydra.sweeper.storage.engine_kwargs.connect_args.password=''",
        ),
        ("from mysql://u:geheim@h/a to mysql://u:geheim@h/b: a@b", "from mysql://u@h/a to mysql://u@h/b: a@b"),
        (
            {"url": "mysql://u:geheim@h/d", "args": [{"password": "geheim"}, 1]},
            {"url": "mysql://u@h/d", "args": [{}, 1]},
        ),
    ],
)
def test_passwords_are_cut_out(text: Any, cut: Any) -> None:
    assert without_passwords(text) == cut


@pytest.mark.parametrize(
    "text",
    [
        *("data.max_tokens=3", "sqlite:////a/b.db", "+hydra.sweeper.storage.host=h", "a:b@c"),
        "postgresql://u@h:5432/db?passfile=/home/u/.pgpass&sslmode=require",
        "mysql://h/db?read_default_file=~/.my.cnf",
        "hydra.sweeper.storage=postgresql://u@mysecret:5432/db?passfile=/a",
        "hydra.sweeper.storage={_target_: a.S, passfile: a}",
        {"passfile": "/a", "password": None},
        "at 12:30 see http://h:80/a, b@c",
    ],
)
def test_all_else_stays(text: Any) -> None:
    assert without_passwords(text) == text


def test_a_message_keeps_what_stands_around_an_address() -> None:
    told = "hydra.sweeper.storage=mysql://u@h:1/d cannot be opened (no mysql://u:geheim@h:1/d); expected mysql://u@h/d"
    assert message_without_passwords(told) == told.replace(":geheim", "")
