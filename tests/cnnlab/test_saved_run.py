"""A run's network is rebuilt from its folder alone, or what its checkpoint lacks is named."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cnnlab.errors import UserError
from cnnlab.saved_run import load_model


def changed(trained: Path, **changes: Any) -> Path:
    path = trained / "checkpoints/best.ckpt"
    checkpoint = torch.load(path)
    for name, missing in changes.items():
        for key in missing:
            del (checkpoint[name] if name != "top" else checkpoint)[key]
    torch.save(checkpoint, path)
    return trained


def test_what_a_checkpoint_lacks_is_named(trained: Path) -> None:
    assert load_model(trained).data["dataset"] == "mnist-5k"
    with pytest.raises(UserError, match="best.ckpt is not a complete checkpoint, it lacks data.mean, data.scale"):
        load_model(changed(trained, data=["mean", "scale"]))
    with pytest.raises(UserError, match="it lacks data.mean, data.scale, state_dict; train"):
        load_model(changed(trained, top=["state_dict"]))
    with pytest.raises(UserError, match="best.ckpt does not say what data it was trained on"):
        load_model(changed(trained, top=["data"]))
