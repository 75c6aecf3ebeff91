"""`python scripts/ship_weights.py`: a finished run becomes two files, the same each time, or a line says why not."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from cnnlab.runs import shipped
from cnnlab.saved_run import load_model
from conftest import Finished


@pytest.fixture
def ship(command: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finished]:
    """Run the script; it writes to the folder package."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "package")
    return partial(command, "scripts/ship_weights.py")


def test_the_run_comes_back_from_its_files(trained: Path, ship: Callable[..., Finished]) -> None:
    done = ship("latest", "mine")
    assert done.status == 0, done.err
    content = [path.read_bytes() for path in sorted(Path("package").iterdir())]
    assert ship("latest", "mine").status == 0
    assert [path.read_bytes() for path in sorted(Path("package").iterdir())] == content
    assert str(trained.parents[1]).encode() not in content[1]

    again, saved = load_model("pretrained:mine"), load_model(trained)
    assert again.folder == Path("outputs/pretrained/mine").absolute()
    assert (again.data, again.config) == (saved.data, saved.config)
    for name, value in saved.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value)
    for file in ("metrics.json", "evaluation/test/confusion_counts.csv"):
        assert (again.folder / file).read_text() == (trained / file).read_text()


def test_places_of_the_machine_stay_out(trained: Path, ship: Callable[..., Finished]) -> None:
    config = trained / ".hydra/config.yaml"
    config.write_text(config.read_text().replace("  root: null", "  root: /home/me/data"))
    overrides = trained / ".hydra/overrides.yaml"
    overrides.write_text(overrides.read_text() + "- ++data.root='/home/me/data'\n")
    assert ship("latest", "mine").status == 0
    assert "/home/me" not in Path("package/mine.yaml").read_text()
    config.write_text(config.read_text().replace("  root: ", "  path: /home/me/x.npz\n  root: "))
    refused = ship("latest", "mine")
    assert refused.err == "error: the run's config names a place of this machine: data.path=/home/me/x.npz\n"


def test_what_should_not_ship_is_refused(
    trained: Path, ship: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(name: str = "mine") -> str:
        done = ship("latest", name)
        assert done.status == 1
        assert done.err.count("\n") == 1
        return done.err

    assert "the name must be lower-case letters, digits and _, got '../mine'" in refused("../mine")
    with monkeypatch.context() as patch:
        patch.setattr("ship_weights.LARGEST", 30_000)
        assert "the weights have 0.0 MB, and at most 0.03 MB ship with the package" in refused()
    metrics = json.loads((trained / "metrics.json").read_text())
    (trained / "metrics.json").write_text(json.dumps({"val/accuracy": metrics["val/accuracy"]}))
    assert "is not finished and tested (no test scores in metrics.json)" in refused()
    (trained / "metrics.json").write_text(json.dumps(metrics))
    path = trained / "checkpoints/best.ckpt"
    checkpoint = torch.load(path)
    checkpoint["state_dict"]["model.classifier.1.bias"][3] = torch.nan
    torch.save(checkpoint, path)
    assert "holds NaN or infinity, in classifier.1.bias; its training went wrong" in refused()
