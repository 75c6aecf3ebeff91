"""The names below the pictures of a training batch."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cnnlab.loggers import training_samples


@pytest.mark.parametrize(
    ("labels", "targets", "names"),
    [
        (torch.tensor([0, 1]), "classes", ["cat", "dog"]),
        (torch.tensor([[0.7, 0.3], [0.0, 1.0]]), "classes", ["70% cat, 30% dog", "dog"]),
        (torch.tensor([[1.0, 1.0], [0.0, 0.0]]), "multilabel", ["cat, dog", ""]),
        (torch.tensor([[2.5, 1.0], [0.0, 3.0]]), "values", ["2.5, 1", "0, 3"]),
    ],
)
def test_classes_shares_of_mixed_samples_labels_and_values(
    labels: torch.Tensor, targets: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []

    def grid(pictures: Any, named: list[str], per_row: int) -> None:
        found.extend(named)

    monkeypatch.setattr(training_samples, "labelled_grid", grid)
    writer, data = SimpleNamespace(add_image=lambda *given, **more: None), SimpleNamespace(class_names=("cat", "dog"))
    data.targets = targets
    training_samples.show_samples(writer, torch.rand(2, 3, 8, 8), labels, data)  # type: ignore[arg-type]
    assert found == names
