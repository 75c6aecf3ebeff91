"""What torchmetrics needs for a few of its metrics is imported by those who use them."""

import subprocess
import sys

CODE = """
import cnnlab.training, sys
assert not {"torchvision", "scipy.signal"} & sys.modules.keys()
import torch
from torchmetrics.functional.image import dists
from torchmetrics.functional.image.lpips import _get_tv_model_features
with torch.device("meta"):
    assert len(dists.vgg16(weights=None).features) == 31
    assert len(_get_tv_model_features("alexnet")) == 13
assert dists.VGG16_Weights.IMAGENET1K_V1.url.endswith(".pth")
import scipy.signal, torchmetrics, torchvision
from torchvision.models import resnet18
assert torchvision.models.resnet18 is resnet18
assert scipy.signal.resample_poly([1.0, 1.0], 2, 1).shape == (4,)
assert torchmetrics.__loader__.get_source("torchmetrics")
"""


def test_libraries_are_imported_when_they_are_used() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
