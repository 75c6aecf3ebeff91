"""Output arrives on any console, leaves its settings alone, and ends quietly when its reader does."""

import ast
import io
import logging
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.cli import command, console
from cnnlab.errors import Interrupted, UserError
from conftest import PROJECT, Finished

SCRIPTS = [*PROJECT.glob("*.py"), *PROJECT.glob("scripts/*.py")]
COMMANDS = [path for path in SCRIPTS if "\ndef main" in path.read_text(encoding="utf-8")]
NAMES = ["猫", "собака"]
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b1A\r‮gpj.exe\x7f"


@contextmanager
def streams(monkeypatch: pytest.MonkeyPatch, encoding: str) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """Standard output and standard error in an encoding."""
    out, err = io.BytesIO(), io.BytesIO()
    made = [io.TextIOWrapper(buffer, encoding=encoding, line_buffering=True) for buffer in (out, err)]
    with monkeypatch.context() as patch:
        for name, stream in zip(("stdout", "stderr"), made, strict=True):
            patch.setattr(sys, name, stream)
        yield out, err
    for stream in made:
        stream.detach()  # or the buffer would be closed with it


@contextmanager
def no_reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Standard output is a pipe whose other end is closed; what is left in its buffer is written at the end."""
    reader, writer = os.pipe()
    os.close(reader)
    with monkeypatch.context() as patch, open(writer, "w", encoding="utf-8") as stream:
        patch.setattr(sys, "stdout", stream)
        yield


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", rb"\xe9 \u4e2d"), ("cp1252", b"\xe9 \\u4e2d")])
def test_what_the_console_lacks_is_escaped(encoding: str, shown: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with streams(monkeypatch, encoding) as (out, err):
        with console.forgiving():
            print("é 中 \udcff")
            print("é 中", file=sys.stderr)
        assert out.getvalue() == shown + b" \\udcff\n"
        assert err.getvalue() == shown + b"\n"


def test_control_characters_are_shown_and_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    with streams(monkeypatch, "utf-8") as (out, err):
        with console.forgiving(), console.forgiving():
            print(f"a\tb\n{HOSTILE}")
            print(HOSTILE, file=sys.stderr)
        print("\x1b")
        escaped = r"\x1b]0;owned\x07\x1b[2J\x9b1A\r\u202egpj.exe\x7f"
        assert out.getvalue().decode() == f"a\tb\n{escaped}\n\x1b\n"
        assert err.getvalue().decode() == escaped.replace(r"\r", "\r") + "\n"


def test_any_names_of_classes_and_pictures_can_be_read_on_a_poor_console(
    smoke: Callable[..., Finished],
    command: Callable[..., Finished],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    labels = np.arange(60) % 2
    inputs = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    names = np.array([NAMES[0], NAMES[1] + "\x1b[2J"])
    np.savez(tmp_path / "pets.npz", x_train=inputs, y_train=labels, x_test=inputs, y_test=labels, class_names=names)
    data = ["data=npz", "data.path=pets.npz", "data.train_size=null", "data.batch_size=8", "model=linear"]
    with streams(monkeypatch, "cp1252") as (out, err):
        run = smoke(*data, "logger=none")
        assert (run.status, err.getvalue()) == (0, b"")
        assert rb"2 classes: \u732b 27, \u0441\u043e" in out.getvalue()
        assert b"\x1b" not in out.getvalue()
        # only: workbench
        picture = io.BytesIO()
        Image.fromarray(inputs[0]).save(picture, "PNG")
        with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
            archive.writestr("猫\x1b[2J\r.png", picture.getvalue())
            archive.writestr("\x1b]0;owned\x07.png", b"no picture")
        predicted = command("predict.py", f"run={run.folder}", "images=pets.zip")
    assert (predicted.status, err.getvalue()) == (0, b"")
    assert rb"\u732b\x1b[2J\r.png" in out.getvalue()
    assert rb"\x1b]0;owned\x07.png" in out.getvalue()  # is no picture, which is told
    assert b"\x1b" not in out.getvalue()
    (table,) = (tmp_path / "outputs/predictions").rglob("predictions.csv")
    assert "猫\\x1b[2J\\r.png" in table.read_text(encoding="utf-8")
    # end only


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_command_ends_quietly_with_its_reader(
    lines: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    @console.script()
    def main() -> None:
        print("one line\n" * lines)

    with no_reader(monkeypatch), pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 141
    assert capfd.readouterr().err == ""


def test_what_hydra_runs_ends_quietly_too(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command.Command, "start", lambda command, argv: print("one line\n" * 100_000))
    with no_reader(monkeypatch), pytest.raises(SystemExit) as stop:
        command.Command(lambda config: None, "train")()
    assert stop.value.code == 141
    assert capfd.readouterr().err == ""


def test_a_training_whose_reader_is_gone_says_how_to_go_on(
    smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    with no_reader(monkeypatch):
        run = smoke("model=linear", "logger=none")
    assert run.status == 141
    assert run.err == "stopped by SIGPIPE (nobody reads what it prints)\n"


def test_logging_still_tells_of_other_mistakes(capfd: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler(sys.stderr)
    record = logging.LogRecord("name", logging.INFO, "path", 1, "%d", ("no number",), None)
    with console.forgiving():
        handler.handle(record)
    assert "Logging error" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (UserError("no \x1b[2J"), 1, r"error: no \x1b[2J" + "\n"),
        (FileNotFoundError(2, "none", "x"), 1, "error: [Errno 2] none: 'x'\n"),
        (KeyboardInterrupt(), 130, ""),
        (Interrupted(15), 143, ""),
    ],
)
def test_a_script_tells_mistakes_in_one_line(
    error: BaseException, status: int, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop, console.script():
        raise error
    assert stop.value.code == status
    assert capfd.readouterr().err == told


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in [*PROJECT.glob("*.py"), *PROJECT.glob("scripts/*.py")]
        if "\ndef main" in path.read_text("utf-8")
    ],
    ids=lambda path: path.name,
)
def test_every_command_is_forgiving(path: Path) -> None:
    (main,) = (
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == "main"
    )
    decorators = {ast.unparse(decorator).partition("(")[0] for decorator in main.decorator_list}
    assert decorators & {"console.script", "console.forgiving", "command"} or path.name == "sweep_toy.py"
