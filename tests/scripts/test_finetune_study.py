"""The study of pretrained weights: three ways to begin, one table."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from conftest import PROJECT


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PROJECT / "scripts"))
    for name in ("seeds", "finetune_study"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("finetune_study")


def test_the_ways_differ_in_weights_and_freezing_only(study: ModuleType) -> None:
    ways = study.ways(Path("out/best.ckpt"))
    assert ways["scratch"] == []
    assert set(ways["frozen"]) ^ set(ways["finetuned"]) == {
        "callbacks.finetune.frozen_epochs=10",
        "callbacks.finetune.frozen_epochs=2",
    }


def test_means_deviations_and_the_differences_of_pairs(study: ModuleType) -> None:
    accuracies = {"scratch": [0.6, 0.62], "whole": [0.8, 0.8], "frozen": [0.7, 0.7], "finetuned": [0.8, 0.84]}
    runs = pd.DataFrame(
        {"way": way, "seed": seed, "test_accuracy": value, "train_seconds": 2.0}
        for way, values in accuracies.items()
        for seed, value in enumerate(values)
    )
    _, scratch, _, finetuned, frozen = study.rows(runs, "mnist", "fashion_mnist")
    assert scratch[1:] == ["0, 1", "61.00 ± 1.41", "", "2"]
    assert frozen[2:4] == ["70.00 ± 0.00", "9.00 ± 1.41"]
    assert finetuned[2:4] == ["82.00 ± 2.83", "21.00 ± 1.41"]
