"""Before a search every choice is built once, and the data are read and pinned."""

from collections.abc import Callable

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from cnnlab.errors import UserError
from cnnlab.preflight import check_search
from conftest import PROJECT

GOOD = ["test=false", "data.train_size=64", "data.val_size=100"]


def config(*overrides: str) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        return compose("train", [*GOOD, *overrides])


def test_the_data_are_pinned_by_their_checksums(without_data: None) -> None:
    pins = check_search([("defaults", [config()])])
    assert pins["dataset"] == "mnist-5k"
    assert all(len(md5) == 32 for md5 in pins["checksums"].values())
    assert pins["code_version"].startswith("source ")


@pytest.mark.parametrize(
    ("label", "overrides", "message"),
    [
        ("model.activation=rel", ["model.activation=rel"], "model.activation=rel: model: activation must be"),
        ("model.kernel_size=31", ["model.kernel_size=31"], "kernel_size=31 is larger than the data"),
        ("optimizer.lr=-1", ["optimizer.lr=-1"], "optimizer.lr=-1: optimizer: Invalid learning rate"),
        ("data.batch_size=128", ["data.batch_size=128"], "batch_size must be at most 64"),
        ("data.batch_size=15", ["data.batch_size=15", "trainer=ddp_cpu"], "a multiple of its 2 processes, got 15; "),
        ("data.fold=10", ["data.fold=10"], "data.fold=10: .*fold must be from 0 to 9, as num_folds is 10, got 10"),
        ("defaults", ["test=true"], "must not see the test images"),
        ("defaults", ["objectives=[val/accuracy,nun_parameters]"], "did you mean num_parameters"),
        ("model.hiden=3", ["+model.hiden=3"], "unknown key model.hiden"),
    ],
)
def test_a_choice_that_nothing_accepts_is_named(
    label: str, overrides: list[str], message: str, without_data: None
) -> None:
    with pytest.raises(UserError, match=message):
        check_search([("defaults", [config()]), (label, [config(*overrides)])])


def test_a_choice_that_fits_with_others_only_is_fine(without_data: None) -> None:
    impossible = config("model.kernel_size=5", "model.padding=valid", "model.convs_per_block=3")
    possible = config("model.kernel_size=5", "model.padding=valid", "model.convs_per_block=1")
    check_search([("defaults", [config()]), ("model.padding=valid", [impossible, possible])])


def test_the_data_are_read_once_for_all_choices(without_data: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnlab.data.mnist import MNIST

    reads = []
    read: Callable[..., object] = MNIST.read
    monkeypatch.setattr(MNIST, "read", lambda self: (reads.append(1), read(self))[1])
    check_search([(f"size {size}", [config(f"data.batch_size={size}")]) for size in (16, 32, 64)])
    check_search([(f"fold {fold}", [config(f"data.fold={fold}")]) for fold in range(10)])
    assert len(reads) == 2
