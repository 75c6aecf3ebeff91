"""What torchmetrics needs for a few of its metrics is imported by those who use them."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from cnnlab.speed import lazy_imports

CODE = """
import cnnlab, sys
asked = []
class Listener:
    def find_spec(self, fullname, path=None, target=None):
        asked.append(fullname)
sys.meta_path.insert(0, Listener())
import cnnlab.training, lightning.pytorch
assert "matplotlib" not in asked, "a user would be told that it is loaded"
assert not {"torchvision", "scipy.signal", "matplotlib", "torch.utils.flop_counter", "sympy"} & sys.modules.keys()
import cnnlab.workbench.prediction.predict  # only: workbench
assert not {"torchvision", "torch.utils.flop_counter"} & sys.modules.keys(), "Triton says at the end what it leaked"
"""
USED = """
import torch
from lightning.pytorch.utilities.model_summary import ModelSummary
from torchmetrics.functional.image import dists
from torchmetrics.functional.image.lpips import _get_tv_model_features
with torch.device("meta"):
    assert len(dists.vgg16(weights=None).features) == 31
    assert len(_get_tv_model_features("alexnet")) == 13
assert dists.VGG16_Weights.IMAGENET1K_V1.url.endswith(".pth")
assert ModelSummary(lightning.pytorch.LightningModule()).total_flops == 0
import scipy.signal, torchmetrics, torchvision
from torchvision.models import resnet18
assert torchvision.models.resnet18 is resnet18
assert scipy.signal.resample_poly([1.0, 1.0], 2, 1).shape == (4,)
assert torchmetrics.__loader__.get_source("torchmetrics")
"""


@pytest.mark.parametrize("then", ["", pytest.param(USED, marks=pytest.mark.slow)], ids=["trained", "used"])
def test_libraries_are_imported_when_they_are_used(then: str) -> None:
    done = subprocess.run([sys.executable, "-c", CODE + then], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# only: sweep or workbench
def test_plots_are_drawn_in_the_style_of_torchmetrics() -> None:
    from matplotlib import rc_context, rcParams
    from torchmetrics.classification import MulticlassAccuracy
    from torchmetrics.utilities.plot import trim_axs

    metric = MulticlassAccuracy(num_classes=2)
    metric.update(torch.tensor([0, 1]), torch.tensor([0, 0]))
    with rc_context({"axes.facecolor": "black"}):
        _, axes = metric.plot()
        assert axes.get_facecolor() == (1, 1, 1, 1)
        assert rcParams["axes.facecolor"] == "black"
    assert trim_axs(axes, 1) is axes


# end only


def test_what_is_needed_at_once_is_imported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_library").mkdir()
    (tmp_path / "a_library/__init__.py").write_text("from a_library import part, other\n")
    (tmp_path / "a_library/part.py").write_text("class Thing:\n    name = 'thing'\n")
    (tmp_path / "a_library/other.py").write_text("number = 7\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with lazy_imports._stand_ins(["a_library", "a_library.part", "no_library"]):
        assert "no_library" not in sys.modules
        stand_in = sys.modules["a_library"]
        thing = stand_in.part.Thing
        assert type(sys.modules["a_library.part"]) is not ModuleType
        assert stand_in.other.number == 7
        real = importlib.import_module("a_library")
        assert type(real) is ModuleType
    assert isinstance(thing(), real.part.Thing)
    assert isinstance(real.part.Thing(), thing)
    assert thing.name == "thing"
    assert stand_in.part.Thing is not thing
    for name in ("a_library", "a_library.part", "a_library.other"):
        monkeypatch.delitem(sys.modules, name)
