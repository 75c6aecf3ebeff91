"""Several runs that answer together: the mean of their probabilities, beside the plain scores of the first."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from cnnlab.errors import UserError
from cnnlab.saved_run import load_data, load_model
from cnnlab.workbench.evaluation.ensemble import MeanOverNetworks, with_others
from conftest import Finished


def test_the_mean_is_of_probabilities() -> None:
    sure, unsure = torch.tensor([[9.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    networks = [nn.Identity(), nn.Linear(2, 2, bias=False)]
    with torch.no_grad():
        networks[1].weight.copy_(torch.tensor([[0.0, 0.0], [1 / 9, 0.0]]))  # what is sure for one is not for the other
        together = MeanOverNetworks(networks)(sure)
    expected = (sure.softmax(dim=1) + unsure.softmax(dim=1)) / 2
    torch.testing.assert_close(together.exp(), expected)


def another(run: Path, seed: int) -> Path:
    """A copy of a run with somewhat different weights."""
    copy = Path(shutil.copytree(run, run.with_name(f"another {seed}")))
    path = copy / "checkpoints/best.ckpt"
    saved = torch.load(path, weights_only=True)
    torch.manual_seed(seed)
    for name, value in saved["state_dict"].items():
        saved["state_dict"][name] = value + 0.05 * torch.randn_like(value)
    torch.save(saved, path)
    return copy


@pytest.mark.usefixtures("white_figures")
def test_runs_answer_together(command: Callable[..., Finished], trained: Path) -> None:
    others = [another(trained, seed) for seed in (1, 2)]
    names = ",".join(f"'outputs/runs/{other.name}'" for other in others)
    done = command("evaluate.py", f"run=outputs/runs/{trained.name}", f"ensemble=[{names}]")
    assert (done.status, done.err) == (0, "")
    metrics = json.loads((trained / "evaluation/test/metrics.json").read_text(encoding="utf-8"))
    before = json.loads((trained / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test/accuracy"] == before["test/accuracy"]
    images, labels = (torch.cat(parts) for parts in zip(*load_data(load_model(trained)).test_dataloader(), strict=True))
    with torch.no_grad():
        answers = [load_model(run).model(images).softmax(dim=1) for run in (trained, *others)]
    accuracy = float((torch.stack(answers).mean(dim=0).argmax(dim=1) == labels).float().mean())
    assert accuracy != pytest.approx(before["test/accuracy"], abs=1e-6)
    assert metrics["test/ensemble_accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert f"ensemble accuracy          {accuracy:.2%}" in done.out
    assert (
        "ensemble                   the mean over this run and outputs/runs/another 1, outputs/runs/another 2"
        in done.out
    )


def test_runs_on_other_data_or_of_no_classes_are_refused(trained: Path) -> None:
    saved, other = load_model(trained), another(trained, 1)
    path = other / "checkpoints/best.ckpt"
    content = torch.load(path, weights_only=True)
    content["data"]["std"] = [0.5]
    torch.save(content, path)
    with pytest.raises(UserError, match="another 1' and .* differ in std$|another 1 and .* differ in std$"):
        with_others(saved, [str(other)])
    values = saved._replace(data=saved.data | {"targets": "values"})
    with pytest.raises(UserError, match="takes the mean of probabilities, but .* learns values"):
        with_others(values, [])
