"""Weights that ship with the package become a run folder: once, whole, and anew when other weights ship."""

import json
import re
import shutil
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from cnnlab.errors import UserError
from cnnlab.runs import shipped
from cnnlab.runs.run_folder import find
from conftest import PROJECT, Finished

RUN = "pretrained:tinyvgg"
FOLDER = Path("outputs/pretrained/tinyvgg")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of the package that holds the weights."""
    copy = shutil.copytree(shipped.FOLDER, tmp_path / "package")
    monkeypatch.setattr(shipped, "FOLDER", copy)
    return copy


def test_a_folder_is_made_once_and_anew_for_other_weights(package: Path) -> None:
    assert find(RUN) == FOLDER.absolute()
    (FOLDER / "evaluation/val").mkdir(parents=True)
    assert find(RUN) == FOLDER.absolute()
    assert (FOLDER / "evaluation/val").is_dir()
    assert json.loads((FOLDER / "metrics.json").read_text())["num_parameters"] == 7740
    with (package / "tinyvgg.yaml").open("a") as record:
        record.write("note: others\n")
    find(RUN)
    assert not (FOLDER / "evaluation/val").exists()  # was of the weights before
    assert [path.name for path in FOLDER.parent.iterdir()] == ["tinyvgg"]


def test_a_folder_that_has_lost_its_checkpoint_is_made_anew() -> None:
    (find(RUN) / "checkpoints/best.ckpt").unlink()
    assert (find(RUN) / "checkpoints/best.ckpt").is_file()


def test_of_several_at_once_one_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = shipped._make
    monkeypatch.setattr(shipped, "_make", lambda *arguments: (made.append(1), make(*arguments)))
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(find, [RUN] * 4)) == {FOLDER.absolute()}
    assert made == [1]


@pytest.mark.parametrize("point", ["write", "between"])
def test_a_kill_leaves_no_half_folder(point: str, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it is written, or when the old folder is away already and the new one not there yet."""
    if point == "between":
        find(RUN)
        with (package / "tinyvgg.yaml").open("a") as record:
            record.write("note: others\n")
    replace, calls = shipped.os.replace, []

    def killed(source: Path, target: Path) -> None:
        if Path(source).name.endswith(".new"):
            calls.append(target)
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(shipped.os, "replace", killed)
        patch.setattr(shipped.shutil, "rmtree", lambda *arguments, **settings: None)  # a kill cleans nothing up
        with pytest.raises(KeyboardInterrupt):
            find(RUN)
    assert calls
    assert not FOLDER.exists()
    assert list(FOLDER.parent.iterdir())
    assert (find(RUN) / "checkpoints/best.ckpt").is_file()
    assert [path.name for path in FOLDER.parent.iterdir()] == ["tinyvgg"]


def test_a_name_that_there_is_not_gets_the_names_that_there_are() -> None:
    for name, message in (
        ("tinyvg", r"pretrained:tinyvg: no such weights ship .*, only .*tinyvgg.*; did you mean tinyvgg\?$"),
        ("../weights/tinyvgg", "no such weights"),
        ("", "no such weights"),
    ):
        with pytest.raises(UserError, match=message):
            find(f"pretrained:{name}")
    assert not Path("outputs").exists()


def test_the_word_alone_gets_the_names_that_there_are() -> None:
    with pytest.raises(UserError, match="pretrained:lenet5, pretrained:tinyvgg, .* name networks that ship$"):
        find("pretrained")


def test_what_is_damaged_is_named_in_one_line(package: Path) -> None:
    weights, record = package / "tinyvgg.safetensors", package / "tinyvgg.yaml"
    content, text = weights.read_bytes(), record.read_text()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    problems = [caught_by(find)]
    weights.unlink()
    problems.append(caught_by(find))
    record.write_text(text[: text.index("files:")])
    problems.append(caught_by(find))
    record.write_text("files: [")
    problems.append(caught_by(find))
    for problem, why in zip(
        problems,
        ("expected the SHA-256", "No such file", "it has no files", "while parsing a flow node"),
        strict=True,
    ):
        assert re.search(f"tinyvgg.(safetensors|yaml) is damaged: {why}.*; install the package again", problem)
        assert "\n" not in problem
    assert not FOLDER.exists()


def caught_by(call: Callable[[str], Path]) -> str:
    with pytest.raises(UserError) as caught:
        call(RUN)
    return str(caught.value)


def test_a_place_that_cannot_be_written_or_is_taken_is_named() -> None:
    Path("outputs").touch()
    assert re.search(r"is unpacked to .*, which cannot be written \(.*\); start the command in", caught_by(find))
    Path("outputs").unlink()
    (FOLDER / ".hydra").mkdir(parents=True)
    (FOLDER / ".hydra/config.yaml").touch()
    assert "holds something else (it has no pretrained.yaml); move it away" in caught_by(find)


def test_there_is_nothing_to_go_on_with(train: Callable[..., Finished]) -> None:
    folder = find(RUN)
    for key in ("resume", "init_from"):
        for run in (RUN, folder):
            refused = train(f"{key}={run}")
            assert (refused.status, refused.folder) == (1, None)
            assert re.fullmatch(f"error: {key} goes on .* with model.weights=pretrained\n", refused.err)


def test_a_wheel_holds_them() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["cnnlab"]
    package = PROJECT / "src/cnnlab"
    assert set(shipped.FOLDER.iterdir()) <= {path for pattern in patterns for path in package.glob(pattern)}


def test_the_record_says_where_the_weights_are_from() -> None:
    assert {"lenet5", "tinyvgg", "vgg"} <= set(shipped.names())
    for name in shipped.names():
        record = shipped.read_record(name)
        assert record["name"] == name
        assert "MIT" in record["licence"]
        assert "CC BY-SA 3.0" in record["licence"]
        assert record["command"].startswith("python train.py ")
        assert shipped.weights_file(name).stat().st_size <= 1_500_000
        assert not re.search(r"[\s'\"](/|~|[A-Z]:\\)", yaml.safe_dump(record["files"]))  # no place of a machine
