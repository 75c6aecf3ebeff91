"""timm's networks by name, with weights from a file; the package is an extra."""

import sys
from pathlib import Path

import pytest
import torch

from cnnlab.building import build_data, build_model
from cnnlab.models.timm import Timm
from cnnlab.pretrained import load_pretrained
from test_config import composed


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ValueError, match=r'model=timm needs the package timm: pip install -e "\.\[timm\]"$'):
        Timm((1, 28, 28), 10)


def test_weights_from_a_file(tmp_path: Path, without_data: None) -> None:
    timm = pytest.importorskip("timm")
    safetensors = pytest.importorskip("safetensors.torch")
    trained = timm.create_model("test_resnet").eval()
    safetensors.save_file(trained.state_dict(), tmp_path / "x.safetensors")
    path = str(tmp_path / "x.safetensors")
    config = composed("model=timm", "model.name=test_resnet", f"model.weights='{path}'", "data.train_size=50")
    data = build_data(config)
    model = build_model(config, (1, 64, 64), 1000).eval()
    load_pretrained(config, model, data)
    images = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(images), trained(images.expand(-1, 3, -1, -1)))
    assert (data.mean, data.std) == ((0.5,), (0.5,))  # this network's own
    (tmp_path / "x.safetensors").write_bytes(b"half a file")
    with pytest.raises(Exception, match="x.safetensors is damaged and cannot be loaded"):
        load_pretrained(config, model, data)


def test_what_is_published_and_what_is_not() -> None:
    pytest.importorskip("timm")
    published = Timm((3, 64, 64), 7, "test_resnet", "DEFAULT").published
    assert published is not None
    assert published.url == "https://huggingface.co/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"
    assert published.file == "test_resnet.r160_in1k.safetensors"
    for arguments, message in (
        (("resnet19",), "timm has no classifier 'resnet19'; did you mean resnet18?"),
        (("test_resnet", "IMAGENET"), "weights must be DEFAULT or the path of a file .* got 'IMAGENET'"),
        (("test_maxvit", "DEFAULT"), "timm publishes no weights for test_maxvit"),
    ):
        with pytest.raises(ValueError, match=message):
            Timm((3, 64, 64), 7, *arguments)


def test_small_images_are_enlarged() -> None:
    pytest.importorskip("timm")
    model = Timm((1, 28, 28), 7, "test_resnet")
    assert model.resize_to == 64
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, 7)
