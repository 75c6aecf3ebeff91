"""What torchmetrics needs for a few of its metrics is imported by those who use them."""

import subprocess
import sys

CODE = """
import cnnlab.training, lightning.pytorch, sys
assert not {"torchvision", "scipy.signal", "matplotlib", "torch.utils.flop_counter", "sympy"} & sys.modules.keys()
import torch
from lightning.pytorch.utilities.model_summary import ModelSummary
from torchmetrics.functional.image import dists
from torchmetrics.functional.image.lpips import _get_tv_model_features
with torch.device("meta"):
    assert len(dists.vgg16(weights=None).features) == 31
    assert len(_get_tv_model_features("alexnet")) == 13
assert dists.VGG16_Weights.IMAGENET1K_V1.url.endswith(".pth")
from matplotlib import rcParams
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.utilities.plot import trim_axs
metric = MulticlassAccuracy(num_classes=2)
metric.update(torch.tensor([0, 1]), torch.tensor([0, 0]))
rcParams["axes.facecolor"] = "black"
figure, axes = metric.plot()
assert axes.get_facecolor() == (1, 1, 1, 1) and rcParams["axes.facecolor"] == "black", "torchmetrics' style"
assert trim_axs(axes, 1) is axes
assert ModelSummary(lightning.pytorch.LightningModule()).total_flops == 0
import scipy.signal, torchmetrics, torchvision
from torchvision.models import resnet18
assert torchvision.models.resnet18 is resnet18
assert scipy.signal.resample_poly([1.0, 1.0], 2, 1).shape == (4,)
assert torchmetrics.__loader__.get_source("torchmetrics")
"""


def test_libraries_are_imported_when_they_are_used() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# As a later version of torchmetrics may do.
ASKED_TOO_EARLY = """
import cnnlab.speed.lazy_imports as lazy
with lazy._stand_ins(lazy._POSTPONED["torchmetrics"]):
    import matplotlib, torchvision.models
    assert matplotlib.figure.Figure.__module__ == "matplotlib.figure"
    assert torchvision.models.VGG16_Weights.IMAGENET1K_V1.url.endswith(".pth")
import matplotlib
assert matplotlib.figure.Figure.__module__ == "matplotlib.figure"
"""


def test_what_is_needed_at_once_is_imported_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", ASKED_TOO_EARLY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
