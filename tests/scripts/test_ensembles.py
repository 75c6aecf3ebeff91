"""Ensembles over recipes: chosen by validation, one for each seed, scored once."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from cnnlab.saved_run import load_data, load_model
from conftest import Finished

NAMES = ("one", "two", "three", "four")


@pytest.fixture
def recipes(trained: Path, tmp_path: Path) -> list[Path]:
    """Four recipes with two seeds each, whose weights differ somewhat, the fourth's most."""
    for number, name in enumerate(NAMES):
        for seed in range(2):
            run = Path(shutil.copytree(trained, tmp_path / name / str(seed)))
            saved = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
            torch.manual_seed(10 * number + seed)
            for key, value in saved["state_dict"].items():
                saved["state_dict"][key] = value + (0.3 if name == "four" else 0.03) * torch.randn_like(value)
            torch.save(saved, run / "checkpoints/best.ckpt")
        pd.DataFrame({"seed": [0, 1]}).to_csv(tmp_path / name / "seeds.csv", index=False)
    return [tmp_path / name for name in NAMES]


def of_mean(folders: list[Path], seed: int, split: str) -> float:
    datamodule = load_data(load_model(folders[0] / str(seed)))
    loader = datamodule.test_dataloader() if split == "test" else datamodule.val_dataloader()
    images, labels = (torch.cat(parts) for parts in zip(*loader, strict=True))
    with torch.no_grad():
        answers = [load_model(folder / str(seed)).model(images).softmax(dim=1) for folder in folders]
    return 100 * float((sum(answers).argmax(dim=1) == labels).double().mean())


def shown(accuracies: list[float]) -> str:
    return f"{pd.Series(accuracies).mean():.2f} ± {pd.Series(accuracies).std():.2f}"


def test_the_best_set_by_validation_is_scored_on_the_test_images(
    command: Callable[..., Finished], recipes: list[Path], tmp_path: Path
) -> None:
    results = tmp_path / "RESULTS.md"
    block = (
        f"| networks | data | parameters | seeds | chosen of | val % | test % |\n|{' --- |' * 7}\n"
        "| `one` + `two` + `three` | {0} | 9 | 0 | 1 set | 9 | 9 |\n| `old` | {0} | 9 | 0 | 1 set | 9 | 9 |\n"
    )
    dataset = load_model(recipes[0] / "0").data["dataset"]
    results.write_text(f"<!-- ensembles: begin -->\n{block.format(dataset)}<!-- ensembles: end -->\n")
    chosen = command("scripts/ensembles.py", *map(str, recipes))
    assert (chosen.status, chosen.err) == (0, "")
    three = [of_mean(recipes[:3], seed, "val") for seed in range(2)]
    assert f"| `one` + `two` + `three` | {shown(three)} |" in chosen.out
    assert chosen.out.count("`four`") == 4  # three sets of three, one of four
    assert "best by validation: `one` + `two` + `three`; --test" in chosen.out
    assert "test %" not in chosen.out

    done = command("scripts/ensembles.py", *map(str, recipes), "--test", "--results", str(results))
    assert (done.status, done.err) == (0, "")
    tested = [of_mean(recipes[:3], seed, "test") for seed in range(2)]
    parameters = 3 * sum(weight.numel() for weight in load_model(recipes[0] / "0").model.parameters())
    row = f"| {dataset} | {parameters:,} | 0, 1 | 5 sets | {shown(three)} | {shown(tested)} |"
    assert row in done.out
    written = results.read_text()
    assert row in written
    assert written.count("`one`") == 1  # in place of its older row
    assert f"| `old` | {dataset} | 9 | 0 | 1 set | 9 | 9 |" in written
    results.write_text(written.replace("| 0, 1 |", "| 0, 1, 2 |"))
    fewer = command("scripts/ensembles.py", *map(str, recipes), "--test", "--results", str(results))
    assert fewer.status == 1
    assert fewer.err.endswith("RESULTS.md has a row of these networks with more seeds than 0, 1\n")


def test_what_is_no_ensemble_is_told_in_one_line(command: Callable[..., Finished], recipes: list[Path]) -> None:
    two = command("scripts/ensembles.py", *map(str, recipes[:2]))
    assert two.status == 2
    assert "at least 3 networks, got 2 folders" in two.err
    alone = command("scripts/ensembles.py", *map(str, [*recipes[:2], recipes[2] / "0"]))
    assert alone.status == 1
    assert alone.err.startswith(f"error: {recipes[2] / '0'} has no seeds.csv with a column seed: expected a folder")
    twice = command("scripts/ensembles.py", *map(str, [*recipes[:3], recipes[2]]))
    assert twice.status == 2
    assert "a folder is named twice" in twice.err
    table = (recipes[2] / "seeds.csv").read_text()
    for wrong, message in (
        ("", "has no seeds.csv with a column seed"),
        ("seed\n0\n9\n", "lists the seed 9, but .*/9 holds no"),
    ):
        (recipes[2] / "seeds.csv").write_text(wrong)
        damaged = command("scripts/ensembles.py", *map(str, recipes[:3]))
        assert damaged.status == 1
        assert re.search(message, damaged.err)
        assert damaged.err.count("\n") == 1
    (recipes[2] / "seeds.csv").write_text(table)
    for seed in (0, 1):
        config = recipes[2] / f"{seed}/.hydra/config.yaml"
        config.write_text(re.sub("val_size: .*", "val_size: 20", config.read_text()))
    others = command("scripts/ensembles.py", *map(str, recipes[:3]))
    assert others.status == 1
    assert others.err == "error: the runs do not answer to the same samples; data.val_size and data.fold must agree\n"
    shutil.copytree(recipes[2] / "0", recipes[2] / "7")
    pd.DataFrame({"seed": [7]}).to_csv(recipes[2] / "seeds.csv", index=False)
    nothing_shared = command("scripts/ensembles.py", *map(str, recipes[:3]))
    assert nothing_shared.status == 1
    assert "have no seed in common" in nothing_shared.err
