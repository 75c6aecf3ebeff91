"""`python scripts/compare.py`: real runs in, a table and its files out."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from conftest import SMOKE, Finished

FILES = ["comparison.csv", "comparison.md"]
FIGURES = ["comparison_accuracy.png", "comparison_speed.png", "comparison_parameters.png"]


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("white_figures")
def test_from_runs_to_files(train: Callable[..., Finished], command: Callable[..., Finished]) -> None:
    assert train("-m", *SMOKE, "model=linear,tinyvgg", "seed=0,1", "hydra.sweep.dir=grid").status == 0
    done = command("scripts/compare.py", "grid")
    assert (done.status, done.err) == (0, "")
    (folder,) = Path("outputs/reports").iterdir()
    assert folder.name.startswith("comparison-20")
    assert written(folder) == sorted(FILES + FIGURES)
    assert done.out.splitlines()[-5:] == [str(folder / name) for name in FILES + FIGURES]
    for name in FIGURES:
        with Image.open(folder / name) as image:
            assert min(image.size) > 100
    table = pd.read_csv(folder / "comparison.csv").set_index("model")
    assert table["n"].to_dict() == {"Linear": 2, "TinyVGG": 2}
    assert table["seeds"].tolist() == ["0 1", "0 1"]
    convs = 9 * 1 * 10 * 28**2 + 9 * 10 * 10 * 28**2 + 2 * 9 * 10 * 10 * 14**2
    assert table["multiply_adds"].to_dict() == {"Linear": 784 * 10, "TinyVGG": convs + 490 * 10}
    assert table["parameters"]["Linear"] == 7850
    runs = table["runs"]["Linear"].split("; ")
    sizes = [Path(run, "checkpoints/best.ckpt").stat().st_size for run in runs]
    assert table["checkpoint_bytes"]["Linear"] == sum(sizes) / 2
    assert table["val_mean"].is_monotonic_decreasing
    assert (folder / "comparison.md").read_text(encoding="utf-8").startswith("| # | model | data | n | parameters |")

    for run in runs:  # a network that cannot be rebuilt keeps its other numbers
        shutil.rmtree(Path(run) / "checkpoints")
    done = command("scripts/compare.py", "grid", "--no-figures", "--out", "here/there")
    assert done.status == 0
    assert written(Path("here/there")) == FILES
    place = list(table.index).index("Linear") + 1
    assert f"multiply-adds not counted in row {place}: {runs[0]} has no checkpoints/best.ckpt" in done.out
    again = pd.read_csv("here/there/comparison.csv").set_index("model")
    assert again["multiply_adds"].isna().to_dict() == {"Linear": True, "TinyVGG": False}

    Path("outputs/runs").mkdir(exist_ok=True)
    shutil.move("grid/0", "outputs/runs/one")
    for arguments in ([], ["latest"], ["outputs/runs/one", "outputs/runs"]):
        done = command("scripts/compare.py", *arguments, "--no-figures", "--out", "x")
        assert pd.read_csv("x/comparison.csv")["runs"].tolist() == [str(Path("outputs/runs/one"))]
    done = command("scripts/compare.py", "--out", "y")
    assert written(Path("y")) == sorted([*FILES, "comparison_accuracy.png"])
    assert "no comparison_speed.png: fewer than two rows" in done.out
    assert len(list(Path("outputs/reports").iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no runs in outputs/runs; python train.py makes one"),
        (["latest"], "latest: there are no runs in"),
        (["fulll"], "no folder fulll; did you mean full?"),
        (["full"], "no finished runs in full: 1 interrupted (full/run)"),
        (["full", "--out", "file"], "--out=file is a file; expected a folder"),
    ],
)
def test_one_line_says_what_is_wrong_and_nothing_is_written(
    arguments: list[str], message: str, command: Callable[..., Finished]
) -> None:
    Path("full/run/.hydra").mkdir(parents=True)
    Path("full/run/.hydra/config.yaml").write_text("monitor: val/accuracy\n", encoding="utf-8")
    Path("file").touch()
    done = command("scripts/compare.py", *arguments)
    assert done.status == 1
    assert done.err.startswith(f"error: {message}")
    assert done.err.count("\n") == 1
    assert not Path("outputs/reports").exists()
