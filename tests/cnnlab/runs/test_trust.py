"""A run folder from somebody else runs no code: its config may name parts, each of the kind that belongs to its key."""

import contextlib
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

import cnnlab
from cnnlab.errors import UserError
from cnnlab.instantiation import build
from cnnlab.runs import resuming
from cnnlab.runs.trust import trusted
from conftest import PROJECT, Finished


@pytest.fixture(scope="module")
def composed_once() -> DictConfig:
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        config = compose("train")
    OmegaConf.set_struct(config, False)  # as one that was saved is read
    return config


@pytest.fixture
def composed(composed_once: DictConfig) -> DictConfig:
    """What a run folder of the default run holds."""
    return composed_once.copy()


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


# It unpickles a file, which makes another. Hydra has a list of what it refuses by itself, and this is not on it.
HARM = {"_target_": "torch.load", "f": "PICKLE", "weights_only": False}
HARM_AS_TEXT = "{_target_: torch.load, f: 'PICKLE', weights_only: false}"

# What is put into a saved config, by key; PICKLE and MARKER stand for the paths of the test.
ATTACKS: dict[str, dict[str, Any]] = {
    "a class method that unpickles": {
        "model.hidden_units": {
            "_target_": "lightning.pytorch.demos.boring_classes.BoringModel.load_from_checkpoint",
            "checkpoint_path": "PICKLE",
            "weights_only": False,
        }
    },
    "a helper that imports any function": {
        "model.hidden_units": {
            "_target_": "lightning.pytorch.cli.instantiate_class",
            "args": "touch MARKER",
            "init": {"class_path": "os.system"},
        }
    },
    "an interpolation that makes a config": {"model.hidden_units": f"${{oc.create:{HARM_AS_TEXT}}}"},
    "the same, escaped": {"model.pool": f"\\${{oc.create:{HARM_AS_TEXT}}}"},
    "a reference, escaped": {"elsewhere": HARM, "model.pool": "\\${elsewhere}"},
    "text that is read as a config": {"text": HARM_AS_TEXT, "model.hidden_units": "${oc.create:${oc.decode:${text}}}"},
    "a resolver whose name is put together": {
        "text": "create",
        "model.hidden_units": f"${{oc.${{text}}:{HARM_AS_TEXT}}}",
    },
    "a reference to a config elsewhere": {"elsewhere": HARM, "model.hidden_units": "${elsewhere}"},
    "a name put together of others": {"text": "torch", "model.hidden_units": HARM | {"_target_": "${text}.load"}},
    "a function in a list": {"model.padding": [HARM]},
    "a function in place of a part": {"augment": HARM},
    "a module of a trusted module": {"augment": HARM | {"_target_": "cnnlab.data.augment.torch.load"}},
    "arguments by position": {"augment": {"_target_": "cnnlab.data.augment.Shift", "_args_": [HARM]}},
    "a function to be called later": {"scheduler": HARM | {"_partial_": True}},
    "below a trusted class": {
        "callbacks.mine": {"_target_": "lightning.pytorch.callbacks.LambdaCallback", "on_fit_start": HARM}
    },
    "a logger": {"logger.mine": HARM},
}


def put(attack: dict[str, Any], config: DictConfig, folder: Path) -> Path:
    """Put an attack into a config; return the file that it would make."""
    marker, pickled = folder / "marker", folder / "pickled"
    pickled.write_bytes(pickle.dumps(Touch(marker)))
    text = OmegaConf.to_yaml(OmegaConf.create(attack)).replace("MARKER", str(marker)).replace("PICKLE", str(pickled))
    changes = OmegaConf.create(text)
    assert isinstance(changes, DictConfig)
    for key, value in changes.items_ex(resolve=False):
        OmegaConf.update(config, str(key), value, merge=False, force_add=True)
    return marker


@pytest.mark.parametrize("name", ATTACKS)
def test_what_would_run_code_is_refused(name: str, composed: DictConfig, tmp_path: Path) -> None:
    marker = put(ATTACKS[name], composed, tmp_path)
    with pytest.raises(UserError, match="^that run (asks for|holds) ") as refused:
        trusted(composed, "that run")
    assert "\n" not in str(refused.value)
    assert not marker.exists()

    # It is worth refusing: built without a look, it makes the file.
    role = ".".join(next(key for key in reversed(ATTACKS[name])).split(".")[: 1 + ("mine" in str(ATTACKS[name]))])
    given = {"input_shape": (1, 28, 28), "num_classes": 10} if role == "model" else {}
    with contextlib.suppress(Exception):
        built = build(composed, role, **given)
        if role == "scheduler":
            built()
    assert marker.exists()


def test_no_command_runs_the_code_of_a_run_folder(
    trained: Path, command: Callable[..., Finished], tmp_path: Path
) -> None:
    saved = trained / ".hydra/config.yaml"
    original = saved.read_text()

    def infected(name: str) -> Path:
        config = OmegaConf.create(original)
        marker = put(ATTACKS[name], config, tmp_path)
        OmegaConf.save(config, saved)
        return marker

    marker = infected("a class method that unpickles")
    before = sorted(trained.rglob("*"))
    for arguments in (
        ["predict.py", f"run={trained}", "images=missing.png"],  # only: workbench
        ["evaluate.py", f"run={trained}"],  # only: workbench
        ["scripts/export.py", f"run={trained}"],  # only: workbench
        ["train.py", f"resume={trained}", "trainer.max_epochs=4"],
    ):
        refused = command(*arguments)
        assert refused.status == 1
        assert re.fullmatch(r"error: the config saved in .* asks for lightning.*load_from_checkpoint.*\n", refused.err)
    assert sorted(trained.rglob("*")) == before
    for name in ATTACKS:
        infected(name)
        with pytest.raises(UserError, match="the config saved in"):
            cnnlab.load_run(trained)
        with pytest.raises(UserError, match="the config saved in"):
            resuming.saved_config(trained, OmegaConf.create(), [])
    assert not marker.exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model._target_": "torch.optim.AdamW"}, "asks for torch.optim.AdamW as model; expected a subclass of Module"),
        ({"model._target_": "cnnlab.data.mnist.MNIST"}, "asks for .*MNIST as model"),
        ({"data._target_": "cnnlab.models.linear.Linear"}, "expected a subclass of LightningDataModule from cnnlab"),
        ({"augment._target_": "cnnlab.data.samples.TensorSamples"}, "expected a subclass of Augmentation from cnnlab"),
        ({"optimizer._target_": "torch.optim.lr_scheduler.StepLR"}, "subclass of Optimizer from cnnlab or torch.optim"),
        ({"optimizer._target_": "torch.optim.swa_utils.update_bn"}, "subclass of Optimizer"),
        ({"model._target_": "cnnlab.classifier.nn.Linear"}, "expected a subclass of Module from cnnlab"),
        ({"scheduler._target_": "torch.optim.AdamW"}, "expected a subclass of LRScheduler"),
        ({"classifier._target_": "cnnlab.models.linear.Linear"}, "expected a subclass of LightningModule"),
        (
            {"classifier.loss": {"_target_": "torch.optim.AdamW"}},
            "asks for .* as classifier.loss; .* subclass of Module",
        ),
        ({"classifier.loss": {"_target_": "torch.nn.L1Loss", "_partial_": True}}, "holds classifier.loss._partial_"),
        (
            {"classifier.metrics": ["f1", {"_target_": "torchmetrics.text.BERTScore"}]},  # it downloads a network
            "as classifier.metrics.1; expected a subclass of Metric from cnnlab or torchmetrics.classification",
        ),
        (
            {"classifier.metrics": {"_target_": "torchmetrics.classification.MulticlassF1Score"}},
            "expected plain values",
        ),
        ({"callbacks.progress._target_": "lightning.pytorch.loggers.CSVLogger"}, "expected a subclass of Callback"),
        ({"logger.tensorboard._target_": "lightning.pytorch.callbacks.Timer"}, "expected a subclass of Logger"),
        ({"trainer.plugins": [{"_target_": "torch.optim.AdamW"}]}, "as trainer.plugins.0; expected plain values"),
        ({"classifier._target_": ["cnnlab.classifier.Classifier"]}, "asks for .* as classifier"),
        ({"model._target_": "cnnlab.models.nothing.Nothing"}, "Nothing, which cannot be imported"),
        ({"model._partial_": True}, "holds model._partial_, which has no place there"),
        ({"model.padding": {"_args_": [1]}}, "holds model.padding._args_"),
        ({"seed": "${nothing}"}, "cannot be resolved"),
        ({"data.root": "${oc.env:HOME}"}, "would call a resolver"),
    ],
)
def test_each_key_takes_its_own_kind(change: dict[str, Any], reason: str, composed: DictConfig, tmp_path: Path) -> None:
    put(change, composed, tmp_path)
    with pytest.raises(UserError, match=f"^that run .*{reason}"):
        trusted(composed, "that run")


@pytest.mark.parametrize(
    "callback_or_logger",
    [
        {"callbacks.mine": {"_target_": "lightning.pytorch.callbacks.OnExceptionCheckpoint", "dirpath": "elsewhere"}},
        {"logger.mine": {"_target_": "lightning.pytorch.loggers.CSVLogger", "name": "../../elsewhere"}},
        {"logger.mine": {"_target_": "lightning.pytorch.loggers.CSVLogger", "name": "/elsewhere"}},
        {"logger.mine": {"_target_": "lightning.pytorch.loggers.CSVLogger", "name": "~/elsewhere"}},
        {"logger.mine": {"_target_": "lightning.pytorch.loggers.CSVLogger", "name": "C:\\elsewhere"}},
        {"logger.mine": {"_target_": "lightning.pytorch.loggers.CSVLogger", "prefix": {"a": ["http://there"]}}},
        {"logger.mine": {"_target_": "lightning.pytorch.loggers.CometLogger", "api_key": "theirs"}},
        {"logger.mine": {"_target_": "lightning.pytorch.loggers.MLFlowLogger", "tracking_uri": "file:mlruns"}},
    ],
)
def test_nothing_is_written_elsewhere(
    callback_or_logger: dict[str, Any], composed: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(callback_or_logger, composed, tmp_path)
    with pytest.raises(
        UserError, match="that run would have (callbacks|logger).mine write to .*, outside the run folder"
    ):
        trusted(composed, "that run")
    (node,) = callback_or_logger.values()
    monkeypatch.setenv("CNNLAB_TRUSTED_TARGETS", node["_target_"])
    trusted(composed, "that run")


def test_the_trainer_writes_nothing_elsewhere(composed: DictConfig, tmp_path: Path) -> None:
    put({"trainer.default_root_dir": "elsewhere"}, composed, tmp_path)
    with pytest.raises(UserError, match="that run would have trainer.default_root_dir write to elsewhere"):
        trusted(composed, "that run")


def test_a_second_checkpoint_callback_could_remove_anything(composed: DictConfig, tmp_path: Path) -> None:
    """Lightning's own takes the paths that it removes from the checkpoint."""
    put({"callbacks.mine": {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint"}}, composed, tmp_path)
    with pytest.raises(UserError, match=r"that run asks for .*ModelCheckpoint as callbacks.mine"):
        trusted(composed, "that run")


def test_what_the_user_trusts_is_allowed_anywhere(
    composed: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put({"model.hidden_units": {"_target_": "fractions.Fraction", "numerator": 10}}, composed, tmp_path)
    put({"model.pool": "${oc.env:HOME}"}, composed, tmp_path)
    for names in ("fractions.Fraction,oc.env", "elsewhere,oc.env,fractions."):
        monkeypatch.setenv("CNNLAB_TRUSTED_TARGETS", names)
        assert trusted(composed, "that run").model.hidden_units.numerator == 10
    for names in ("fractions.", "oc.env", ""):
        monkeypatch.setenv("CNNLAB_TRUSTED_TARGETS", names)
        with pytest.raises(UserError):
            trusted(composed, "that run")
    put({"model.hidden_units": HARM | {"_target_": "fractions.operator.call"}}, composed, tmp_path)
    monkeypatch.setenv("CNNLAB_TRUSTED_TARGETS", "fractions.,oc.env")
    with pytest.raises(UserError, match=r"asks for fractions.operator.call"):
        trusted(composed, "that run")


def test_every_choice_of_the_projects_own_is_trusted(composed: DictConfig) -> None:
    for path in (PROJECT / "conf").glob("*/*.yaml"):
        if path.parent.name == "hydra":
            continue
        node = OmegaConf.load(path)
        assert isinstance(node, DictConfig)
        for key in ("defaults", "hydra"):
            node.pop(key, None)
        is_global = path.read_text(encoding="utf-8").startswith("# @package _global_")
        config = composed.copy()
        if is_global:
            config = OmegaConf.merge(config, node)
        elif path.parent.name in ("callbacks", "logger"):
            config[path.parent.name] = OmegaConf.merge(config[path.parent.name], node)
        else:
            config[path.parent.name] = node
        result = trusted(config, path.name)
        assert OmegaConf.to_container(result) == OmegaConf.to_container(config, resolve=True)


def test_losses_and_metrics_of_the_libraries_are_taken(composed: DictConfig, tmp_path: Path) -> None:
    fbeta = {"_target_": "torchmetrics.classification.MulticlassFBetaScore", "beta": 2.0}
    put(
        {"classifier.loss": {"_target_": "torch.nn.MultiMarginLoss"}, "classifier.metrics": [fbeta]}, composed, tmp_path
    )
    assert trusted(composed, "that run").classifier.metrics == [fbeta]
