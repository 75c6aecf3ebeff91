"""Images and their labels from a CSV file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnnlab.data.image_folder import ImageFolder
from cnnlab.errors import UserError

ROWS = [f"{number}.png,{number % 2},{number % 3 // 2}" for number in range(20)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def data(photos: Path, *lines: str) -> ImageFolder:
    (photos / "labels.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    module = ImageFolder(str(photos), labels="labels.csv", batch_size=2)
    module.setup()
    return module


def test_each_image_has_its_labels(photos: Path) -> None:
    module = data(photos, "file,odd,third", *ROWS)
    assert (module.targets, module.class_names) == ("multilabel", ("odd", "third"))
    assert (len(module.training), len(module.validation)) == (16, 2)
    by_image = {
        np.asarray(Image.open(photos / f"{number}.png")).tobytes(): [number % 2, number % 3 // 2]
        for number in range(20)
    }
    for inputs, labels in zip(module.training.inputs, module.training.labels, strict=True):  # type: ignore[union-attr]
        assert by_image[inputs[0].numpy().tobytes()] == labels.tolist()
    assert module.class_counts() == module.training.labels.sum(dim=0).tolist()
    assert "2 labels: odd" in module.summary()
    _, batch = next(iter(module.train_dataloader()))
    assert (batch.dtype, tuple(batch.shape)) == (torch.float32, (2, 2))
    changed = data(photos, "file,odd,third", *ROWS[:-1], "19.png,0,0")
    assert changed.checksums != module.checksums


def test_a_column_may_name_the_splits(photos: Path) -> None:
    splits = ["train"] * 14 + ["val"] * 3 + ["test"] * 3
    rows = [f"{row},{split}" for row, split in zip(ROWS, splits, strict=True)]
    module = data(photos, "file,odd,third,split", *rows)
    sizes = [len(part) for part in (module.training, module.validation, module.test_dataloader().data)]
    assert sizes == [14, 3, 3]
    assert module.class_names == ("odd", "third")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["file,odd,third", "0.png,1,2"], "labels.csv, line 2: third must be 0 or 1, got '2'"),
        (["file,odd,third", "0.png,1"], "line 2: expected 3 cells, got 2"),
        (["file,odd,third,split", "0.png,1,0,tset"], "must be one of train, val, test, got 'tset'; did you mean test"),
        (["file,odd,third,split", "0.png,1,0,val"], "has no images of the split train"),
        (["file,odd,third", "0.png,1,0", "0.png,0,0"], "names .*0.png twice"),
        (["file,odd,third", "20.png,1,0"], "names files that are not there: .*20.png"),
        (["file,odd", "0.png,1"], "two or more of labels, got file, odd"),
        (["file,odd,third"], "has no rows"),
    ],
)
def test_a_table_with_a_mistake_is_refused(photos: Path, lines: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        data(photos, *lines)
