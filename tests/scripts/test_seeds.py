"""The table over seeds: right numbers, one row per command."""

import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pandas as pd
import pytest

from cnnlab.runs.locks import locked
from conftest import PROJECT, SMOKE, Finished


@pytest.fixture(scope="module")
def seeds() -> ModuleType:
    spec = importlib.util.spec_from_file_location("seeds", PROJECT / "scripts/seeds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def runs() -> pd.DataFrame:
    common = {"dataset": "mnist", "num_parameters": 7740, "epochs": 5, "device": "a CPU", "precision": "32-true"}
    numbers = {"val/accuracy": [0.98, 0.99, 1.0], "test/accuracy": [0.97, 0.97, 0.97]}
    times = {"train_seconds": [10.0, 20.0, 30.0], "images_per_second": [1000.0, 2000.0, 3000.0]}
    return pd.DataFrame({"seed": [0, 1, 2], **common, **numbers, **times})


def test_mean_and_sample_standard_deviation(seeds: ModuleType) -> None:
    row = seeds.summarise(runs(), "python train.py")
    assert row["val %"] == "99.00 ± 1.00"
    assert row["test %"] == "97.00 ± 0.00"
    assert row["train seconds"] == "20 ± 10"
    assert row["images/s"] == "2,000 ± 1,000"
    assert row["seeds"] == "0, 1, 2"


@pytest.mark.parametrize(
    ("text", "expected"), [("0-4", [0, 1, 2, 3, 4]), ("0,3,7", [0, 3, 7]), ("5", [5]), ("1,0,1", [1, 0])]
)
def test_seed_lists(text: str, expected: list[int], seeds: ModuleType) -> None:
    assert seeds.seed_list(text) == expected


def test_one_seed_has_no_deviation(seeds: ModuleType) -> None:
    row = seeds.summarise(runs().iloc[:1], "python train.py")
    assert (row["val %"], row["train seconds"], row["images/s"]) == ("98.00", "10", "1,000")


def test_runs_without_a_test_or_without_classes_or_of_different_lengths(seeds: ModuleType) -> None:
    untested = runs().drop(columns="test/accuracy")
    assert seeds.summarise(untested, "x")["test %"] == ""
    errors = untested.drop(columns="val/accuracy").assign(**{"val/mse": [0.01, 0.02, 0.03], "epochs": [3, 5, 4]})
    row = seeds.summarise(errors, "x")
    assert row["val %"] == "mse 0.020 ± 0.010"
    assert row["epochs"] == "3 to 5"


@pytest.mark.parametrize(
    "overrides", [["-m", "seed=0,1"], ["sweep=mine"], ["resume=latest"], ["hydra/sweeper=async_optuna"]]
)
def test_what_is_no_single_run(overrides: list[str], command: Callable[..., Finished], tmp_path: Path) -> None:
    refused = command("scripts/seeds.py", "--", *overrides)
    assert refused.status == 1
    assert refused.err == f"error: every seed is one run of overrides like model=tinyvgg, got {overrides[0]}\n"
    assert list(tmp_path.iterdir()) == []


def test_every_fold_is_run_with_every_seed(seeds: ModuleType) -> None:
    repeats = seeds.repeats_of([3, 4], 2)
    assert [seeds.folder_of(one) for one in repeats] == [
        f"fold-{fold}-seed-{seed}" for fold in (0, 1) for seed in (3, 4)
    ]
    assert seeds.words_of(repeats[2], 2) == ["data.num_folds=2", "data.fold=1", "seed=3"]
    row = seeds.summarise(runs().assign(seed=0, fold=[0, 1, 2]), "python scripts/seeds.py --folds 3 --")
    assert (row["seeds"], row["val %"]) == ("3 folds: 0", "99.00 ± 1.00")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--folds", "5", "--", "data.fold=1"], "error: --folds 5 sets data.fold and data.num_folds for every run; "),
        (["--folds", "1"], "error: --folds must be at least 2, got 1"),
        (["--compare", "a", "b", "--", "model=linear"], "error: --compare reads finished runs; beside A and B it "),
        (["--seeds", "4-0"], "expected seeds like 0-4 or 0,3,7, got '4-0'"),
        (["--seeds", "0-2,4"], "expected seeds like 0-4 or 0,3,7, got '0-2,4'"),
        (["--metric", "val/loss"], "error: --metric belongs to --compare"),
        (["--compare", "a", "b"], "error: no folder a"),
    ],
)
def test_flags_that_do_not_go_together(words: list[str], message: str, command: Callable[..., Finished]) -> None:
    refused = command("scripts/seeds.py", *words)
    assert refused.status != 0
    assert message in refused.err


def test_what_lies_there_must_be_of_the_same_command_packages_and_data(
    command: Callable[..., Finished],
    train: Callable[..., Finished],
    tmp_path: Path,
    seeds: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = []

    class Inline:
        """The process of a run, in this one."""

        def __init__(self, words: list[str], **streams: Any) -> None:
            started.append(words[2:])
            self.finished = train(*words[2:])
            self.returncode = self.finished.status

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *error: object) -> None: ...

        def communicate(self) -> tuple[str, str]:
            return "", self.finished.err

    popen = seeds.subprocess.Popen

    def start(words: list[str], **streams: Any) -> Any:
        return Inline(words, **streams) if "train.py" in str(words[1]) else popen(words, **streams)

    monkeypatch.setattr(seeds.subprocess, "Popen", start)

    def run(*more: str, seeds: str = "0") -> Finished:
        return command("scripts/seeds.py", "--seeds", seeds, "--out", "out (1)", "--", *SMOKE, "test=false", *more)

    folder = tmp_path / "out (1)/0"
    first = run()
    assert first.status == 0, first.err
    assert "nan" not in first.out
    assert "test/" not in first.out
    assert f"| {json.loads((folder / 'metrics.json').read_text())['val/accuracy'] * 100:.2f} |" in first.out
    assert len(started) == 1

    other = run("model=linear")
    assert other.status == 1
    made_by = "trainer=smoke ++data.train_size=256 test=false"
    assert (
        other.err == f"error: out (1)/0 was made by train.py {made_by} seed=0, "
        f"not by {made_by} model=linear seed=0; name another --out\n"
    )
    record = folder / "environment.json"
    content = record.read_text()
    for old, new in ((r'"torch": "', '"torch": "0.'), (r'"dataset": "', '"dataset": "another '), ('"cpu', '"gpu')):
        changed = content.replace(old, new) if old != '"cpu' else re.sub('"device": ".*"', '"device": "other"', content)
        record.write_text(changed)
        refused = run()
        assert refused.status == 1
        assert re.fullmatch(
            r"error: out \(1\)/0 was made with (torch|dataset|device) .*, and here is .*\n", refused.err
        ), refused.err
    record.write_text(content)
    assert len(started) == 1

    # A second seed joins; the first is not run again.
    both = run(seeds="0,1,0")
    assert both.status == 0, both.err
    assert both.out.count("±") == 3
    assert [words[-1] for words in started] == ["hydra.run.dir='out (1)/0'", "hydra.run.dir='out (1)/1'"]

    # One that was stopped or failed goes on; one that had not finished an epoch begins again.
    for reason in ("stopped", "failed"):
        (folder / "metrics.json").unlink()
        if reason == "failed":
            (folder / "error.txt").write_text("no space left on device")
        assert run().status == 0
        assert started[-1] == ["resume=out (1)/0"]
        assert not (folder / "error.txt").exists()
    (folder / "metrics.json").unlink()
    shutil.rmtree(folder / "checkpoints")
    assert run().status == 0
    assert started[-1][-1] == "hydra.run.dir='out (1)/0'"
    assert len(started) == 5

    # A recipe that has changed since makes other runs, and so does other code.
    config = folder / ".hydra/config.yaml"
    for file, old, new in ((config, "hidden_units: 10", "hidden_units: 11"), (record, "source ", "source 0")):
        content = file.read_text()
        file.write_text(content.replace(old, new))
        refused = run(seeds="0,2")
        file.write_text(content)
        assert refused.status == 1
        assert re.fullmatch(
            r"error: out \(1\)/0 was made with (model.hidden_units=11, and now it is 10|the code .*); .*\n", refused.err
        )

    # Another call may have come to a seed since this one looked.
    (folder / "metrics.json").unlink()
    with locked(folder), pytest.raises(seeds.UserError, match="0 is still running in another process"):
        seeds.train(folder, [])
    assert (folder / "checkpoints/last.ckpt").is_file()
    assert len(started) == 5

    failed = run("model.hidden_units=0", seeds="7")
    assert failed.status == 1
    assert re.match(r"error: out \(1\)/7 failed with exit status 1: error: model: hidden_units must", failed.err)


def test_a_smoke_test_has_a_row_of_its_own(seeds: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def train(folder: Path, overrides: list[str]) -> None:
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(runs().iloc[0].to_json())

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(seeds, "train", train)
    monkeypatch.setattr(seeds.sys, "argv", ["seeds.py", "--smoke", "--results", "R.md", "--out", "out"])
    row = "| `python train.py` | mnist |"
    (tmp_path / "R.md").write_text(
        f"<!-- seeds: begin -->\n| command | data |\n| --- | --- |\n{row}\n<!-- seeds: end -->\n"
    )
    seeds.main()
    text = (tmp_path / "R.md").read_text()
    assert row in text
    assert "| `python train.py trainer=smoke trainer.max_epochs=1 data.train_size=256` |" in text


def test_ctrl_c_says_how_to_go_on(
    command: Callable[..., Finished], seeds: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any, **keywords: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(seeds.subprocess, "Popen", interrupted)
    stopped = command("scripts/seeds.py", "--out", "some where")
    assert stopped.status == 130
    assert stopped.err == "stopped; the same command with --out 'some where' goes on\n"


def test_other_code_makes_other_numbers_and_other_texts_do_not(
    seeds: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def commit(name: str) -> dict[str, Any]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
        settings = ["-c", "user.name=x", "-c", "user.email=x@y"]
        for words in (["init"], ["add", "."], ["commit", "-m", name]):
            seeds.subprocess.run(["git", *settings, "-C", tmp_path, *words], capture_output=True, check=True)
        head = seeds.subprocess.run(["git", "-C", tmp_path, "rev-parse", "HEAD"], capture_output=True, text=True)
        return same | {"git": {"commit": head.stdout.strip()}}

    monkeypatch.setattr(seeds, "PROJECT", tmp_path)
    same: dict[str, Any] = dict.fromkeys(("python", "cuda", "device", "precision", "dataset", "data_checksums"))
    same["versions"] = {"torch": "2"}
    code, text, other_code = commit("src/a.py"), commit("README.md"), commit("conf/b.yaml")
    assert [what for what, *_ in seeds.differences(text, other_code)] == ["the code of commit"]
    (tmp_path / "conf/b.yaml").unlink()
    (tmp_path / "conf").rmdir()
    assert list(seeds.differences(code, text)) == []
    assert list(seeds.differences(code, text | {"versions": {"torch": "3"}})) == [("torch", "2", "3")]


def test_a_row_replaces_the_older_one_of_its_command(seeds: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text("# Before\n\n<!-- seeds: begin -->\n<!-- seeds: end -->\n\nAfter\n", encoding="utf-8")
    seeds.update_results(path, seeds.summarise(runs(), "python train.py a"))
    seeds.update_results(path, seeds.summarise(runs(), "python train.py b"))
    better = runs().assign(**{"test/accuracy": 0.98})
    seeds.update_results(path, seeds.summarise(better, "python train.py a"))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("| `python train.py a` |") for line in lines) == 1
    assert sum(line.startswith("| `python train.py b` |") for line in lines) == 1
    assert any(line.startswith("| `python train.py a` |") and "98.00 ± 0.00" in line for line in lines)
    assert (lines[0], lines[-1]) == ("# Before", "After")
