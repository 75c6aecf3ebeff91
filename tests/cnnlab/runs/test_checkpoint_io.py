"""A write that fails leaves the file that was there; a file that needs code is never opened."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from cnnlab.errors import UserError
from cnnlab.runs.checkpoint_io import AtomicCheckpointIO, load_checkpoint


def test_a_write_cut_short_leaves_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1, "weights": torch.ones(3)}, path)
    before = path.read_bytes()

    def cut(*arguments: object) -> None:
        raise OSError(5, "power cut")

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, cut)
            with pytest.raises(OSError, match="power cut"):
                AtomicCheckpointIO().save_checkpoint({"epoch": 2}, path)
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    assert load_checkpoint(path)["epoch"] == 1


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("run by the checkpoint",)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": Payload()}, "evil.ckpt")
    Path("raw.ckpt").write_bytes(pickle.dumps(Payload(), protocol=2))
    for name in ("evil.ckpt", "raw.ckpt"):
        with pytest.raises(UserError, match=f"{name} is (refused|damaged)"):
            AtomicCheckpointIO().load_checkpoint(name, weights_only=False)
    assert not Path("run by the checkpoint").exists()
    torch.save(torch.nn.Linear(2, 1), "whole_network.pth")
    with pytest.raises(UserError, match=r"\(it names torch.nn.modules.linear.Linear\)$"):
        load_checkpoint("whole_network.pth")


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is refused"):
        AtomicCheckpointIO().save_checkpoint({"model": torch.nn.Linear(1, 1)}, tmp_path / "last.ckpt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 half a zip"])
def test_damaged_files_are_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    with pytest.raises(UserError, match="last.ckpt is"):
        load_checkpoint(path)
    with pytest.raises(UserError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "none.ckpt")
