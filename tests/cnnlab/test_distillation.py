"""A network learns from trained ones: the loss by its formula, and runs that need their teachers for training alone."""

import copy
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
from cnnlab.runs.run_folder import load_config
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
    (teacher,) = classifier._teachers.networks
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
    assert not alone._teachers.networks


def test_a_run_goes_on_with_the_teacher_that_it_has_learnt_from(train: Callable[..., Finished], tmp_path: Path) -> None:
    teacher, another = (train("model=linear", *SHORT, "trainer.max_epochs=1", f"seed={seed}") for seed in (0, 1))
    first = train(DISTILLED, f"classifier.teacher={teacher.folder}", "scheduler=none", *SHORT, "trainer.max_epochs=1")
    assert first.status == 0, first.err
    kept = Path(shutil.move(teacher.folder, tmp_path / "kept"))
    shutil.copytree(another.folder, teacher.folder)
    refused = train(f"resume={first.folder}", "trainer.max_epochs=2")
    assert refused.status == 1
    assert f"teacher: {teacher.folder} has other weights than those that this run has learnt from" in refused.err
    assert refused.err.count("\n") == 1
    longer = train(f"resume={first.folder}", "trainer.max_epochs=2", "classifier.teacher=kept")
    assert longer.status == 0, longer.err
    assert first.metrics["epochs"] == 2
    assert load_config(first.folder).classifier.teacher == str(kept)
    (teacher.folder / "metrics.json").unlink()
    with pytest.raises(UserError, match=f"{teacher.folder} is not finished, its weights may still change; resume="):
        built(f"classifier.teacher={teacher.folder}")


def test_copies_of_a_classifier_share_its_teachers_and_data() -> None:
    """As callbacks=ema makes one; of the data there would be two in memory otherwise."""
    classifier, data = built("classifier.teacher=pretrained:lenet5")
    shared = copy.deepcopy(classifier)._teachers
    assert shared is classifier._teachers
    assert shared._datamodule is data


def test_a_run_is_told_that_its_teacher_knows_the_answers(caplog: pytest.LogCaptureFixture) -> None:
    built("classifier.teacher=pretrained:lenet5")  # on 5,000 training images of MNIST
    assert "the teacher pretrained:lenet5 has learnt all of mnist-5k, which is a part of mnist's" in caplog.text


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
        (["classifier.teacher=nowhere"], "teacher: .*nowhere is not a run folder"),
        (["classifier.teacher=pretrained:lenet"], "did you mean lenet5"),
        (["classifier.teacher=[]"], "at least one run"),
        (
            ["classifier.teacher=pretrained:lenet5", "classifier.temperature=0"],
            "temperature must be a .* got 0",
        ),
        (["classifier.teacher=pretrained:lenet5", "classifier.temperature=nan"], "temperature must be .* got nan"),
        (["classifier.teacher=pretrained:lenet5", "data.shuffle_axis=rows"], "knows samples in the order .*none, but"),
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
    loud = {f"x_{split}": 255 * digits[::10].astype(np.float32) / 255 for split in ("train", "test")}
    np.savez(tmp_path / "small.npz", **halves | loud)
    with pytest.raises(UserError, match=r"deviation of 0.308, but those of this training have 7\d.\d; bring them to"):
        built(*data)
    names = [f"number {label}" for label in range(10)]
    whole = {f"x_{split}": digits[::10] for split in ("train", "test")}
    np.savez(tmp_path / "small.npz", **halves | whole, class_names=names)
    with pytest.raises(UserError, match=r"lenet5 knows the classes \['0', .* but this training has \['number 0'"):
        built(*data)
