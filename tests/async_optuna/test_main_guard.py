"""A script must not start itself again when a trial's process imports it."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from async_optuna.errors import SearchError
from async_optuna.hydra_app.main_guard import check_main_guard


def script(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = folder / "app.py"
    path.write_text(source, encoding="utf-8")
    main = ModuleType("__main__")
    main.__file__ = str(path)
    monkeypatch.setitem(sys.modules, "__main__", main)
    return path


@pytest.mark.parametrize("call", ["main()", "with quiet():\n    sys.exit(main())", "if ready:\n    main()"])
def test_a_call_without_guard_is_refused(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = script(f"def main():\n    main()\n{call}\n", tmp_path, monkeypatch)
    with pytest.raises(SearchError, match=f'of {path} calls main.. without `if __name__ == "__main__":` before it'):
        check_main_guard("main")


@pytest.mark.parametrize("end", ['if __name__ == "__main__":\n    main()', "other()", "app.main()", "("])
def test_anything_else_is_let_through(end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(f"def main():\n    main()\n{end}\n", tmp_path, monkeypatch)
    check_main_guard("main")
