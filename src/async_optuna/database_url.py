"""Chooses the driver of a database whose address names none, among those that are installed."""

from importlib.util import find_spec

from async_optuna.errors import SearchError

# The module of each driver and SQLAlchemy's name for it, the preferred one first, and how to install that one.
_DRIVERS = {
    "postgresql": ((("psycopg", "psycopg"), ("psycopg2", "psycopg2")), '"psycopg[binary]"'),
    "mysql": ((("pymysql", "pymysql"), ("MySQLdb", "mysqldb")), "pymysql"),
    "mariadb": ((("pymysql", "pymysql"), ("MySQLdb", "mysqldb")), "pymysql"),
}
_OTHER_NAMES = {"postgres": "postgresql"}


def with_driver(url: str) -> str:
    """The same URL with a driver: postgresql:// and postgres:// mean psycopg 3, mysql:// means PyMySQL.

    A driver that is named stays, and so does the URL of any other database.

    Raises:
        SearchError: no driver for it is installed; with the command that installs one.
    """
    scheme, separator, rest = url.partition("://")
    database = _OTHER_NAMES.get(scheme, scheme)
    if not separator or database not in _DRIVERS:
        return url
    drivers, package = _DRIVERS[database]
    driver = next((name for module, name in drivers if find_spec(module)), None)
    if driver is None:
        raise SearchError(f"{scheme}:// needs a driver, and none is installed: pip install {package}")
    return f"{database}+{driver}://{rest}"
