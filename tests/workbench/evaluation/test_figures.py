"""The galleries say the same as the tables."""

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from cnnlab import load_run
from cnnlab.workbench.evaluation import evaluate as evaluation
from cnnlab.workbench.evaluation.gallery import Answered


@pytest.fixture
def galleries(
    _trained_once: Path, tmp_path: Path, without_data: None, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, list[Sequence[Answered]]]:
    """The folder of an evaluation, and the galleries as they were to be drawn: most wrong, and at random."""
    run = Path(shutil.copytree(_trained_once, tmp_path / "run"))
    with (run / ".hydra/config.yaml").open() as file:
        config = yaml.safe_load(file)
    config["data"]["eval_batch_size"] = 64  # several batches, the last one ragged
    (run / ".hydra/config.yaml").write_text(yaml.safe_dump(config))
    drawn: list[Sequence[Answered]] = []

    def draw(gallery: Sequence[Answered], *rest: object) -> bytes:
        drawn.append(gallery)
        picture = io.BytesIO()
        Image.new("RGB", (10, 10), "white").save(picture, "PNG")
        return picture.getvalue()

    monkeypatch.setattr("cnnlab.workbench.evaluation.figures.gallery.draw", draw)
    return evaluation.evaluate(run).folder, drawn


def test_samples_places_and_marks(galleries: tuple[Path, list[Sequence[Answered]]]) -> None:
    folder, drawn = galleries
    rows = list(csv.DictReader(io.StringIO((folder / "predictions.csv").read_text())))
    stored = load_run(folder.parents[1]).datamodule.test_dataloader().data.inputs.numpy()
    most_wrong, by_lot, _ = drawn
    places = [[int(one.caption.split()[0].removeprefix("#")) for one in gallery] for gallery in drawn]
    losses = np.array([float(row["loss"]) for row in rows])
    assert losses[places[0]].tolist() == sorted(losses, reverse=True)[:24]
    assert len(set(places[1])) == 24
    assert max(places[1]) > 250, "from the whole split"
    for gallery, indices in ((most_wrong, places[0]), (by_lot, places[1])):
        for one, index in zip(gallery, indices, strict=True):
            assert one.sample == pytest.approx(stored[index] / 255, abs=1e-5)
            assert one.is_right == (rows[index]["true"] == rows[index]["predicted"])
            assert f"{rows[index]['predicted']}: " in one.caption
            assert ("→" in one.caption) != one.is_right
