import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hydra_plugins.async_optuna_sweeper.async_optuna_sweeper import AsyncOptunaSweeper

_PROGRAM = """
import sys
from async_optuna.output import open_standard_streams, say
open_standard_streams()
with open("file", "w") as file:
    say("out")
    print("error", file=sys.stderr, flush=True)
    file.write(f"{file.fileno() > 2} {sys.stdout.isatty()}")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="closes descriptors in a forked process")
@pytest.mark.parametrize("closed", [(1,), (0, 1, 2)])
def test_without_standard_streams_nothing_is_printed_into_files(closed: tuple[int, ...], tmp_path: Path) -> None:
    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    subprocess.run([sys.executable, "-c", _PROGRAM], cwd=tmp_path, preexec_fn=close, check=True)
    assert (tmp_path / "file").read_text() == "True False"


class _Interrupted(ModuleType):
    """A module whose import Ctrl-C breaks off."""

    def __getattr__(self, name: str) -> None:
        if name == "sweep":
            raise KeyboardInterrupt
        raise AttributeError(name)


def test_ctrl_c_while_the_engine_is_imported_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    name = "async_optuna.hydra_app.sweep"
    monkeypatch.setitem(sys.modules, name, _Interrupted(name))
    with pytest.raises(SystemExit) as stop:
        AsyncOptunaSweeper().sweep([])
    assert stop.value.code == 130
    assert capfd.readouterr().err.splitlines()[-1] == "stopped before the search began"
