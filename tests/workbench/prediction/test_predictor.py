"""The pixels that a trained network is shown of a picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image
from torch import nn

from cnnlab.data.image_folder import ImageFolder
from cnnlab.errors import UserError
from cnnlab.saved_run import SavedModel
from cnnlab.workbench.prediction.picture_reader import PictureReader
from cnnlab.workbench.prediction.predictor import Predictor

DATA = {"dataset": "scans", "input_shape": [1, 8, 8], "num_classes": 2, "class_names": ["a", "b"], "mean": [0.0]}
DATA |= {"std": [1.0], "scale": 1 / 255, "preprocessing": "plain", "checksums": {}, "targets": "classes"}


def predictor(**more: Any) -> Predictor:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    return Predictor(SavedModel(Path("run"), OmegaConf.create(), model, DATA | more), "cpu")


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_a_picture_has_the_scale_of_the_pictures_trained_on(dtype: Any, tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    Image.fromarray(np.full((8, 8), 1000, dtype)).save(path)
    seen = predictor(full_scale=2000.0).reader.read(path, "deep.tif")
    assert set(seen.sample.flatten().tolist()) == set(seen.picture.flatten().tolist()) == {128}
    for of_another in (predictor(), predictor(full_scale=None)):  # a run of before there was the key, and one without
        if dtype == np.uint16:
            assert of_another.reader.read(path, "deep.tif").sample.max() == 4
        else:
            with pytest.raises(UserError, match="^deep.tif holds .* numbers, .* data.full_scale="):
                of_another.reader.read(path, "deep.tif")


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
def test_a_new_picture_is_resized_as_those_of_the_training_were(resize: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(12):
            pixels = rng.integers(0, 256, (30, 50), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    data = ImageFolder(str(tmp_path), image_size=8, resize=resize, batch_size=2, num_workers=0)
    data.setup()
    trained_on = {sample.numpy().tobytes() for sample in data.training.inputs}  # type: ignore[union-attr]
    saved = {name: data.description()[name] for name in ("resize", "full_scale", "kind")}
    reader = predictor(**saved).reader
    assert isinstance(reader, PictureReader)
    paths = list(tmp_path.glob("?/*.png"))
    from_files = {reader.read(path, path.name).sample.tobytes() for path in paths}
    drawn = {reader.from_pixels(np.array(Image.open(path))[None]).tobytes() for path in paths}  # as the demo does
    assert trained_on < from_files
    assert from_files == drawn
