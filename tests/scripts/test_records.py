"""The table and the picture of the records: rows come from runs, and stay where there are none."""

import importlib
import shutil
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from conftest import PROJECT

BLOCK = "<!-- records: begin -->\n{}\n<!-- records: end -->\n"
OLD = (
    "| recipe | data | parameters | epochs | seeds | val % | test % | train seconds | hardware | best.ckpt, SHA-256 |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    "| `record_big` | mnist | 61,706 | 9 | 0, 1 | 99.10 ± 0.10 | 99.20 ± 0.10 | 100 ± 10 | a CPU | ab cd |\n"
)


@pytest.fixture(scope="module")
def records() -> ModuleType:
    for name in ("seeds", "records"):
        sys.modules.pop(name, None)
    sys.path.insert(0, str(PROJECT / "scripts"))
    try:
        return importlib.import_module("records")
    finally:
        sys.path.remove(str(PROJECT / "scripts"))


def made(folder: Path) -> None:
    common = {"dataset": "mnist", "num_parameters": 910, "epochs": 5, "device": "a CPU", "precision": "32-true"}
    numbers = {"val/accuracy": [0.98, 0.99, 1.0], "test/accuracy": [0.96, 0.97, 0.98], "images_per_second": 9.0}
    runs = pd.DataFrame({"seed": [0, 1, 2], **common, **numbers, "train_seconds": 30.0})
    for seed in range(3):
        (folder / f"{seed}/checkpoints").mkdir(parents=True)
        (folder / f"{seed}/checkpoints/best.ckpt").write_text(str(seed))
        (folder / f"{seed}/.hydra").mkdir()
        words = f"- experiment={folder.name}\n- ++trainer.num_threads=1\n- seed={seed}\n"
        (folder / f"{seed}/.hydra/overrides.yaml").write_text(words)
    runs.to_csv(folder / "seeds.csv", index=False)


def test_a_row_is_made_of_the_runs_and_others_stay(
    records: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records.seeds, "changed_settings", lambda run, words: [])
    results = tmp_path / "RESULTS.md"
    results.write_text(BLOCK.format(OLD))
    made(tmp_path / "record_small")
    table = records.updated(results, ["record_big", "record_small"], tmp_path)
    assert list(table["recipe"]) == ["`record_small`", "`record_big`"]  # by parameters
    small = table.iloc[0]
    assert (small["test %"], small["parameters"], small["seeds"]) == ("97.00 ± 1.00", "910", "0, 1, 2")
    assert small["best.ckpt, SHA-256"].split() == ["5feceb66ffc8", "6b86b273ff34", "d4735e3a265e"]
    assert table.iloc[1]["best.ckpt, SHA-256"] == "ab cd"
    assert list(records.updated(results, ["record_small"], tmp_path)["recipe"]) == ["`record_small`"]


def test_only_runs_of_the_recipe_and_no_fewer_make_its_row(
    records: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "RESULTS.md"
    results.write_text(BLOCK.format(OLD))

    changed: list[tuple[str, object, object]] = []
    monkeypatch.setattr(records.seeds, "changed_settings", lambda run, words: changed)

    def refused(message: str) -> None:
        with pytest.raises(records.UserError, match=message):
            records.updated(results, ["record_big"], tmp_path)

    made(tmp_path / "record_small")
    (tmp_path / "record_small").rename(tmp_path / "record_big")
    small, big = "experiment=record_small trainer.num_threads=1 seed=0", "experiment=record_big trainer.num_threads=1"
    refused(f"record_big/0 was made by train.py {small}, not by {big}")
    shutil.rmtree(tmp_path / "record_big")
    made(tmp_path / "record_big")
    table = tmp_path / "record_big/seeds.csv"
    runs = pd.read_csv(table)
    runs.assign(fold=0).to_csv(table, index=False)
    refused("record_big holds folds")
    runs[:1].to_csv(table, index=False)
    refused("record_big has 1 seeds and the row in .* has 2; --train record_big --seeds makes")
    table.write_text("")
    refused("record_big has no seeds.csv with a column seed")
    runs.to_csv(table, index=False)
    changed.append(("optimizer.lr", 0.1, 0.2))
    refused("record_big/0 was made with optimizer.lr=0.1, and now record_big has 0.2")
    (tmp_path / "record_big/1/checkpoints/best.ckpt").unlink()
    refused("seeds.csv lists the seed 1, but .*/1 holds no run with a best.ckpt")


def test_without_rows_and_runs_one_line_says_what_to_do(records: ModuleType, tmp_path: Path) -> None:
    results = tmp_path / "RESULTS.md"
    results.write_text(BLOCK.format(""))
    with pytest.raises(records.UserError, match="no row of a record yet.*--train makes them"):
        records.updated(results, ["record_big"], tmp_path)
    with pytest.raises(records.UserError, match=f"^{tmp_path} has no runs of the recipes; --train makes them"):
        records.updated(None, ["record_big"], tmp_path)


def test_every_point_of_the_figure_has_its_source_and_how_it_was_chosen(records: ModuleType, tmp_path: Path) -> None:
    results = tmp_path / "RESULTS.md"
    results.write_text(BLOCK.format(OLD))
    points = tomllib.loads((PROJECT / "scripts/published.toml").read_text(encoding="utf-8"))["point"]
    assert points
    for point in points:
        assert {"name", "name_at", "parameters", "accuracy", "chosen", "source"} == point.keys()
        assert point["chosen"] in records._MARKERS
    defaults = [
        {"command": "`python train.py model=tinyvgg`", "data": "mnist", "parameters": "7,740", "test %": "99.18 ± 0.02"}
    ]
    (axes,) = records.draw(records.updated(results, ["record_big"], tmp_path), defaults, points).axes
    texts = {text.get_text() for text in axes.texts}
    assert texts == {"big", "tinyvgg", *(point["name"] for point in points)}
    low, high = sorted(axes.get_ylim())
    assert low < 0.8 < high
