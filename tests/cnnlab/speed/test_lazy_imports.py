"""What torchmetrics needs for a few of its metrics is imported by those who use them."""

import subprocess
import sys

import pytest

UNUSED = "import sys, cnnlab.training; print([name for name in ('torchvision', 'scipy.signal') if name in sys.modules])"
USED = """
import cnnlab.training, sys
from torchmetrics.functional.image import dists
from torchmetrics.functional.image.lpips import _get_tv_model_features
assert len(dists.vgg16(weights=None).features) == 31
assert dists.VGG16_Weights.IMAGENET1K_V1.url.endswith(".pth")
assert len(_get_tv_model_features("alexnet")) == 13
import scipy.signal, torchmetrics, torchvision
from torchvision.models import resnet18
assert torchvision.models.resnet18 is resnet18
assert scipy.signal.resample_poly([1.0, 1.0], 2, 1).shape == (4,)
assert torchmetrics.__loader__.get_source("torchmetrics")
"""


@pytest.mark.parametrize(("code", "said"), [(UNUSED, "[]"), (USED, "")])
def test_libraries_are_imported_when_they_are_used(code: str, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, said), done.stderr
