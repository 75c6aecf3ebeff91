"""The study of shuffled features: networks of one size, pairs of runs, one table."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from conftest import PROJECT

SHAPES = {"mnist1d": (1, 40), "mnist": (1, 28, 28)}


@pytest.fixture(scope="module")
def study() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PROJECT / "scripts"))
        spec = importlib.util.spec_from_file_location("shuffle_study", PROJECT / "scripts/shuffle_study.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules.pop("seeds", None)
    return module


def runs() -> pd.DataFrame:
    accuracies = {("CNN", "plain"): [0.9, 0.92], ("CNN", "shuffled time"): [0.6, 0.6]}
    accuracies |= {("MLP", "plain"): [0.7, 0.7], ("MLP", "shuffled time"): [0.71, 0.69]}
    return pd.DataFrame(
        {"data": "mnist1d", "network": network, "features": features, "seed": seed, "num_parameters": 12_778,
         "test_accuracy": value}
        for (network, features), values in accuracies.items()
        for seed, value in enumerate(values)
    )  # fmt: skip


def test_the_networks_are_of_one_size_within_ten_percent(study: ModuleType) -> None:
    for data, networks in study.NETWORKS.items():
        sizes = []
        for experiment in networks.values():
            with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
                config: Any = compose("train", [f"experiment={experiment}"])
            network = instantiate(config.model, input_shape=SHAPES[data], num_classes=10)
            sizes.append(sum(parameter.numel() for parameter in network.parameters()))
        assert max(sizes) <= 1.1 * min(sizes), (data, sizes)


def test_means_deviations_and_the_differences_of_pairs(study: ModuleType) -> None:
    header, cnn, mlp = study.rows(runs())
    assert cnn == ["mnist1d", "CNN", "12,778", "0, 1", "91.00 ± 1.41", "60.00 ± 0.00", "-31.00 ± 1.41"]
    assert mlp[4:] == ["70.00 ± 0.00", "70.00 ± 1.41", "0.00 ± 1.41"]
    assert len(header) == len(cnn)


def test_every_run_has_a_folder_of_its_own_and_a_pair(study: ModuleType) -> None:
    planned = dict(study.plan(["mnist1d", "mnist"], [0, 1], Path("out"), smoke=False))
    assert len(planned) == 2 * 2 * 2 * 2
    assert planned[Path("out/mnist-mlp-pixels/1")] == ["experiment=mnist_mlp", "data.shuffle_axis=pixels", "seed=1"]


def test_the_picture(study: ModuleType) -> None:
    assert study.draw(runs()).startswith(b"\x89PNG")
