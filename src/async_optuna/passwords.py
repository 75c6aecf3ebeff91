"""Keeps the passwords of databases out of all that a search writes and prints."""

import re
from typing import Any

_URL = re.compile(r"\w[\w+.-]*://\S+")
_USER_AND_PASSWORD = re.compile(r"://([^:/@]*):.*@")
_IN_QUERY = re.compile(r"([?&])([^=&]*(?:pass|pwd|secret|token)[^=&]*)=[^&'\"]*&?", re.IGNORECASE)
_EMPTY_QUERY = re.compile(r"[?&]+(?=['\"]|$)")
_SECRET = re.compile(r"pass|pwd|secret|token", re.IGNORECASE)
# As in hydra.sweeper.storage.password=abc and hydra.sweeper.storage={_target_: some.Storage, password: abc}.
_NAMED = re.compile(r"(\w*(?:pass|pwd|secret|token)\w*\s*[:=]\s*)(?:'[^']*'|\"[^\"]*\"|[^,}\s]*)", re.IGNORECASE)
_STORAGE = re.compile(r"^\+{0,2}hydra\.sweeper\.(storage|warm_start)\b")


def without_passwords(value: Any) -> Any:
    """The same text, list or mapping without any password: those in URLs are cut out, as are entries named so.

    A database's own file of passwords, such as ~/.pgpass, completes an address that has none.
    """
    if isinstance(value, str):
        cut = _URL.sub(_without_password, value)
        return _NAMED.sub(r"\1''", cut) if _STORAGE.match(value) else cut
    if isinstance(value, dict):
        return {key: without_passwords(item) for key, item in value.items() if not _is_secret(key, item)}
    return [without_passwords(item) for item in value] if isinstance(value, list) else value


def _without_password(url: re.Match[str]) -> str:
    cut = _USER_AND_PASSWORD.sub(r"://\1@", url[0])
    return _EMPTY_QUERY.sub("", _IN_QUERY.sub(r"\1", cut))


def _is_secret(key: Any, item: Any) -> bool:
    return isinstance(item, str | int) and _SECRET.search(str(key)) is not None
