"""A network learns from trained ones: the loss by its formula, and runs that need their teachers for training alone."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import special

from cnnlab.building import build_classifier, build_data, build_model
from cnnlab.data.datamodule import DataModule
from cnnlab.distillation import DistilledClassifier
from cnnlab.errors import UserError
from cnnlab.saved_run import load_model, load_run
from conftest import Finished, embedded_digits
from test_config import composed

DISTILLED = "classifier=distillation"
SHORT = ("trainer.accelerator=cpu", "logger=none", "data.train_size=200", "data.batch_size=50", "optimizer.lr=0.01")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CNNLAB_DATA_DIR", raising=False)


def built(*overrides: str) -> tuple[DistilledClassifier, DataModule]:
    config = composed(DISTILLED, "data.train_size=50", *overrides)
    data = build_data(config)
    model = build_model(config, data.input_shape, data.num_classes)
    classifier = build_classifier(config, model, data)
    assert isinstance(classifier, DistilledClassifier)
    return classifier, data


def test_the_loss_is_that_of_the_formula() -> None:
    """Also where the teacher was trained on samples that are normalised otherwise."""
    teachers = "[pretrained:lenet5,pretrained:tinyvgg]"
    classifier, data = built(f"classifier.teacher={teachers}", "classifier.temperature=3", "classifier.weight=0.7")
    data.normalise_by((0.5,), (0.2,))
    classifier.on_fit_start()
    pixels, labels = (torch.tensor(array[:5_000:500]) for array in embedded_digits())
    images = pixels[:, None] / 255
    inputs = (images - 0.5) / 0.2
    outputs = classifier(inputs)
    loss = classifier.training_loss(inputs, outputs, labels.long())

    answers = []
    for name in ("lenet5", "tinyvgg"):
        saved = load_model(f"pretrained:{name}")
        with torch.no_grad():
            logits = saved.model((images - saved.data["mean"][0]) / saved.data["std"][0])
        answers.append(special.softmax(logits.double().numpy() / 3, axis=1))
    expected, logits = np.mean(answers, axis=0), outputs.detach().double().numpy()
    distance = special.rel_entr(expected, special.softmax(logits / 3, axis=1)).sum(axis=1).mean()
    entropy = -special.log_softmax(logits, axis=1)[np.arange(10), labels.numpy().astype(int)].mean()
    assert float(loss.detach()) == pytest.approx(0.3 * entropy + 0.7 * 9 * distance, rel=1e-4)


def test_the_teacher_is_neither_trained_nor_saved() -> None:
    classifier, _ = built("classifier.teacher=pretrained:lenet5")
    assert sum(parameter.numel() for parameter in classifier.parameters()) == 7_740
    assert all(name.startswith("model.") for name in classifier.state_dict())
    classifier.on_fit_start()
    classifier.train()
    inputs = torch.rand(4, 1, 28, 28)
    classifier.training_loss(inputs, classifier(inputs), torch.arange(4)).backward()
    (teacher,) = classifier._teachers
    assert not teacher.model.training
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.grad is not None for parameter in classifier.parameters())


def test_a_run_goes_on_as_if_it_had_not_stopped_and_is_used_without_its_teacher(
    train: Callable[..., Finished],
) -> None:
    teacher = train("model=linear", *SHORT, "trainer.max_epochs=1")
    assert teacher.status == 0, teacher.err
    learnt = (DISTILLED, f"classifier.teacher={teacher.folder}", "scheduler=none", *SHORT)
    whole = train(*learnt, "trainer.max_epochs=3")
    assert whole.status == 0, whole.err
    assert "Lightning's own loop" not in whole.out
    first = train(*learnt, "trainer.max_epochs=1")
    longer = train(f"resume={first.folder}", "trainer.max_epochs=3")
    assert longer.status == 0, longer.err
    assert first.metrics["test/loss"] == whole.metrics["test/loss"]
    assert math.isfinite(whole.metrics["train/loss"])
    shutil.rmtree(teacher.folder)
    saved = load_run(whole.folder)
    assert saved.config.classifier.teacher == str(teacher.folder)
    alone = build_classifier(saved.config, saved.model, saved.datamodule, for_training=False)
    assert isinstance(alone, DistilledClassifier)
    assert not alone._teachers


def test_mixed_samples_and_doubles_have_teachers_too() -> None:
    classifier, data = built("classifier.teacher=pretrained:lenet5", "augment=mixup")
    classifier.on_fit_start()
    inputs, labels = next(iter(data.train_dataloader()))
    assert labels.shape == (len(inputs), 10)
    for dtype in (torch.float32, torch.float64):
        inputs = inputs.to(dtype)
        assert math.isfinite(classifier.training_loss(inputs, classifier.to(dtype)(inputs), labels).item())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["classifier.teacher=latest"], "teacher must be the folder of a run, .* another one each time"),
        (["classifier.teacher=nowhere"], "nowhere is not a run folder"),
        (["classifier.teacher=pretrained:lenet"], "did you mean lenet5"),
        (["classifier.teacher=[]"], "at least one run"),
        (["classifier.teacher=pretrained:lenet5", "classifier.temperature=0"], "temperature must be above 0, got 0"),
        (["classifier.teacher=pretrained:lenet5", "classifier.weight=1.5"], "weight must be above 0 and .* got 1.5"),
        ([], "classifier.teacher is missing"),
    ],
    ids=" ".join,
)
def test_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        built(*overrides)


def test_a_teacher_of_other_classes_or_other_samples_is_refused(tmp_path: Path) -> None:
    digits, labels = embedded_digits()
    kept = digits[::10, ::2, ::2], labels[::10].astype(int)
    halves = {f"{name}_{split}": array for split in ("train", "test") for name, array in zip("xy", kept, strict=True)}
    np.savez(tmp_path / "small.npz", **halves)
    data = ("data=npz", "data.path=small.npz", "classifier.teacher=pretrained:lenet5")
    with pytest.raises(UserError, match=r"lenet5 knows samples of shape \[1, 28, 28\], but this training has \[1, 14"):
        built(*data)
    names = [f"number {label}" for label in range(10)]
    whole = {f"x_{split}": digits[::10] for split in ("train", "test")}
    np.savez(tmp_path / "small.npz", **halves | whole, class_names=names)
    with pytest.raises(UserError, match=r"lenet5 knows the classes \['0', .* but this training has \['number 0'"):
        built(*data)
