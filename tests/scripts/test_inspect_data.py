"""`python scripts/inspect_data.py`: tables, a list and a picture of any data set."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from conftest import Finished


@pytest.fixture
def inspect(command: Callable[..., Finished]) -> Callable[..., Finished]:
    """Run `python scripts/inspect_data.py <arguments>`."""
    return partial(command, "scripts/inspect_data.py")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of 40 and 20 pictures of grey noise, and what should be found among them."""
    rng = np.random.default_rng(0)
    for name, number in (("a", 40), ("b", 20)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(number):
            pixels = rng.integers(100, 150, (20 + i, 40), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"photos/{name}/{i}.png")
    Image.new("L", (40, 40)).save(tmp_path / "photos/a/black.png")
    Image.new("L", (40, 40), 255).save(tmp_path / "photos/a/white.png")
    Image.fromarray(rng.integers(100, 150, (20, 90), dtype=np.uint8)).save(tmp_path / "photos/b/long.png")
    halves = rng.integers(80, 100, (40, 40), dtype=np.uint8)
    halves[:, 20:] += 100
    Image.fromarray(halves).save(tmp_path / "photos/b/halves.png")
    Image.open(tmp_path / "photos/a/1.png").save(tmp_path / "photos/b/copy.png")
    (tmp_path / "photos/a/broken.png").write_bytes(b"no picture")
    (tmp_path / "photos/a/notes.txt").touch()
    return tmp_path / "photos"


def test_own_pictures(inspect: Callable[..., Finished], photos: Path, tmp_path: Path) -> None:
    data = ["data=image_folder", f"data.root={photos}"]
    done = inspect(*data, "augment=photo", "augment.mixup=0.5", "data.num_workers=0")
    assert done.status == 0, done.err
    said = done.out + done.err
    assert "1 of 67 files in" in said  # by their names no pictures
    assert said.count("left out 1 of 66 images") == 1
    assert "several sizes and are looked at as 64x64" in said
    counts = {
        line.split()[0]: list(map(int, line.split()[1:4])) for line in done.out.splitlines() if line[:2] in ("a ", "b ")
    }
    assert {name: sum(found) for name, found in counts.items()} == {"a": 42, "b": 22 + 1}
    assert "the largest class has" in done.out
    assert "sizes from 20x40 to 59x40" in done.out
    (copies,) = [line for line in done.out.splitlines() if line.startswith("copies  ")]
    assert "a/1.png (a)" in copies
    assert "b/copy.png (b)" in copies
    assert "contradiction" in done.out
    table = pd.read_csv(tmp_path / "outputs/inspection/photos/odd_samples.csv")
    odd = {row.sample: row.what for row in table.itertuples() if not row.what.startswith("copy")}
    assert odd == {
        "a/black.png": "very dark",
        "a/white.png": "very bright",
        "b/long.png": "20x90",
        "b/halves.png": odd["b/halves.png"],
    }
    assert odd["b/halves.png"] == "unlike the others"
    with Image.open(tmp_path / "outputs/inspection/photos/inspect_data.png") as picture:
        colours = len(picture.getcolors(2**24) or [])
        assert picture.width == 1120
        assert colours > 100


def test_data_without_pictures(inspect: Callable[..., Finished], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 1, 40)).astype(np.float32), np.arange(60) % 3
    x[7] = 0
    x[8:10] = x[11]
    np.savez(tmp_path / "signals.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9], x_val=x[20:29], y_val=y[20:29])
    done = inspect("data=npz", "data.path=signals.npz", "out=a, b=c")
    assert done.status == 0, done.err
    assert "signals: signals of 1x40, float32" in done.out
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line.count(" ") > 6}
    assert (rows["training"], rows["test"]) == (["60", "2"], ["9", "0", "9"])
    assert "all values alike: training[" in done.out
    assert (tmp_path / "a, b=c/signals/inspect_data.png").stat().st_size > 5_000
    x = rng.random((40, 1, 6, 6, 6), dtype=np.float32)
    values = {"y_train": rng.random((40, 2)), "y_test": rng.random((9, 2))}
    np.savez(tmp_path / "volumes.npz", x_train=x, x_test=x[:9], **values)
    done = inspect("data=npz", "data.path=volumes.npz", "data.targets=values")
    assert done.status == 0, done.err
    assert "value_1" in done.out
    assert "lowest" in done.out
    assert inspect("data=npz", "data.path=signals.npz", "augment=flip").status == 1
