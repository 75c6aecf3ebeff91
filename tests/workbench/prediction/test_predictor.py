"""The pixels that a trained network is shown of a picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image
from torch import nn

from cnnlab.errors import UserError
from cnnlab.saved_run import SavedModel
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
