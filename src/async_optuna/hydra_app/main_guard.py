"""Refuses a script that would start itself again in every process that imports it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from async_optuna.errors import SearchError


def check_main_guard(task: str) -> None:
    """Look whether the running script calls its task without `if __name__ == "__main__":`.

    Args:
        task: the name of the task's function.

    Raises:
        SearchError: if it does. Trials run in processes that import the script, and they would run the task instead.
    """
    script = getattr(sys.modules["__main__"], "__file__", None)
    try:
        source = ast.parse(Path(str(script)).read_bytes())
    except (OSError, SyntaxError, ValueError):  # no script of Python source
        return
    for node in _run_on_import(source.body):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == task:
            raise SearchError(
                f'line {node.lineno} of {script} calls {task}() without `if __name__ == "__main__":` before it; '
                "the processes of trials import the script and must not call it"
            )


def _run_on_import(statements: list[ast.stmt]) -> Iterator[ast.AST]:
    for statement in statements:
        is_guard = isinstance(statement, ast.If) and "__name__" in ast.dump(statement.test)
        if not is_guard and not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from ast.walk(statement)
