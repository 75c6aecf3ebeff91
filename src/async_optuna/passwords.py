"""Keeps the passwords of databases out of all that a search writes and prints."""

import re
from typing import Any

# SQLAlchemy takes all between the first colon of an address and an @ for the password, whatever it holds.
_URL = re.compile(r"\w[\w+.-]*://\S+")
_USER_AND_PASSWORD = re.compile(r"://([^:/\s]*):.*@", re.DOTALL)
_SECRET_NAME = r"(?!passfile\b)[\w.-]*(?:pass|pwd|secret|token|odbc_connect)[\w.-]*"
_IN_QUERY = re.compile(rf"([?&]){_SECRET_NAME}=[^&]*?(?:&|(?=['\"\s\]}})]*$))", re.IGNORECASE)
_EMPTY_QUERY = re.compile(r"[?&]+(?=['\"\s\]})]*$)")
_SECRET = re.compile(_SECRET_NAME, re.IGNORECASE)
# As in hydra.sweeper.storage={_target_: some.Storage, password: abc}.
_ENTRY = re.compile(
    rf"((?<![\w.-]){_SECRET_NAME}['\"]?\s*:\s*)(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^,}}\]]*)", re.IGNORECASE
)
_STORAGE = re.compile(r"\+{0,2}hydra\.sweeper\.(?:storage|warm_start)\b")
_BEGINS_WITH_A_URL = re.compile(r"['\"]?\w[\w+.-]*://")


def without_passwords(value: Any) -> Any:
    """The same setting or override of the command line, or list or mapping of them, without any password.

    Those in URLs are cut out, as are entries named so. A database's own file of passwords, such as ~/.pgpass, completes
    an address that has none.
    """
    if isinstance(value, str):
        return _of_setting(value)
    if isinstance(value, dict):
        return {key: without_passwords(item) for key, item in value.items() if not _is_secret(key, item)}
    return [without_passwords(item) for item in value] if isinstance(value, list) else value


def message_without_passwords(text: str) -> str:
    """The same sentence with the passwords cut out of the addresses in it, which are taken to hold no blanks."""
    return _URL.sub(lambda url: _of_url(url[0]), text)


def _of_setting(text: str) -> str:
    if _BEGINS_WITH_A_URL.match(text):
        return _of_url(text)
    if not _STORAGE.match(text):
        return message_without_passwords(text)
    key, equals, given = text.partition("=")
    if _SECRET.search(key):
        return f"{key}{equals}''"
    cut = _of_url(given)
    return f"{key}{equals}{_ENTRY.sub(_without_entry, cut) if cut.startswith('{') else cut}"


def _of_url(text: str) -> str:
    cut = _USER_AND_PASSWORD.sub(r"://\1@", text)
    return _EMPTY_QUERY.sub("", _IN_QUERY.sub(r"\1", cut))


def _without_entry(entry: re.Match[str]) -> str:
    return f"{entry[1]}''"


def _is_secret(key: Any, item: Any) -> bool:
    return item is not None and _SECRET.fullmatch(str(key)) is not None
