"""One evaluation, from a run folder to <run>/evaluation/<split>."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, open_dict

from cnnlab.building import build_classifier
from cnnlab.callbacks.confusion_counts import write_counts
from cnnlab.callbacks.outputs import Outputs
from cnnlab.data.datamodule import DataModule
from cnnlab.errors import UserError, did_you_mean
from cnnlab.loggers.event_files import add_images
from cnnlab.runs import ranks, run_record
from cnnlab.runs.atomic import write_atomically
from cnnlab.runs.commands import short_path
from cnnlab.runs.json_files import noun_of
from cnnlab.saved_run import SavedModel, load_data, load_model
from cnnlab.speed import hardware
from cnnlab.trainer import build_trainer
from cnnlab.workbench import canvas
from cnnlab.workbench.evaluation import figures, multilabel, ranking, regression
from cnnlab.workbench.evaluation.ensemble import with_others
from cnnlab.workbench.evaluation.labels import labels_worth_checking
from cnnlab.workbench.evaluation.recordings import recordings  # only: zoo
from cnnlab.workbench.evaluation.scores import Scores
from cnnlab.workbench.evaluation.shifts import with_shifts
from cnnlab.workbench.evaluation.task_report import Evaluated
from cnnlab.workbench.notation import shown_metric
from cnnlab.workbench.run_reports import run_page, run_report

_CHOICES = {"split": ("train", "val", "test"), "plots": ("default", "all")}
# The means over the classes, which stand below that table.
_IN_THE_TABLE_OF_CLASSES = ("macro_precision", "macro_recall", "macro_F1")
_NUM_SHOWN = 24  # samples of a gallery


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        metrics: the content of metrics.json.
        text: what to print.
        folder: <run>/evaluation/<split>.
    """

    metrics: dict[str, Any]
    text: str
    folder: Path


def evaluate(
    run: str | Path,
    split: str = "test",
    plots: str = "default",
    accelerator: str = "auto",
    seed: int = 0,
    index: int | None = None,
    format: str = "png",
    shifts: int = 0,
    ensemble: Sequence[str] = (),
) -> Evaluation:
    """Score a run's best epoch on a split of its own data and leave everything in <run>/evaluation/<split>.

    Accuracy and loss are those of the training run, to the digit on the same device: the same code computes them.

    Args:
        run: a run folder, or latest.
        split: train, val or test. The training samples are taken as they are, without augmentation.
        plots: default; or all, which adds filters, one sample's way through the network, and robustness.
        accelerator: auto, cpu, gpu, cuda or mps.
        seed: of the samples drawn at random.
        index: which sample goes through the network; None: the one with the largest loss.
        format: svg or pdf writes each figure in that format too, beside the PNG.
        shifts: above 0, a second accuracy and loss are those of the mean probabilities over each sample and its copies
            moved by up to so many positions; all else stays as it is.
        ensemble: further runs on the same data; a second accuracy and loss are those of the mean probabilities over all
            of these networks and the run's own.

    Raises:
        UserError: for bad input, in one line.
    """
    canvas.check_format(format)
    for name, word in (("split", split), ("plots", plots)):
        if word not in _CHOICES[name]:
            *others, last = _CHOICES[name]
            choices = f"{', '.join(others)} or {last}"
            raise UserError(f"{name} must be {choices}, got {word!r}{did_you_mean(str(word), _CHOICES[name])}")
    saved = load_model(run)
    if plots == "all" and not saved.learns_classes:
        raise UserError(
            f"plots=all draws answers to classes, but {short_path(saved.folder)} learns {saved.targets_in_words}; "
            "leave it out"
        )
    means = {"shifted": with_shifts(saved, shifts)} if shifts else {}
    means |= {"ensemble": with_others(saved, ensemble)} if ensemble else {}
    datamodule = load_data(saved)
    folder = saved.folder / "evaluation" / split
    metrics, outputs = _scored(saved, datamodule, split, accelerator, seed)
    for word, mean in means.items():
        of_mean, _ = _scored(mean, datamodule, split, accelerator, seed)
        metrics |= {f"{split}/{word}_{name}": of_mean[f"{split}/{name}"] for name in ("accuracy", "loss")}
    metrics |= ({"shifts": shifts} if shifts else {}) | ({"ensemble": list(ensemble)} if ensemble else {})
    if datamodule.targets != "classes":
        return _without_classes(Evaluated(saved, datamodule, outputs, split, seed), metrics, folder, format)
    scores = Scores(outputs, datamodule.class_names)
    of_classes = ranking.curves(scores)
    areas = ranking.table(of_classes)
    metrics |= scores.metrics(split) | {
        f"{split}/macro_{name.replace(' ', '_')}": run_record.rounded(area) for name, area in areas.mean().items()
    }
    shown = figures.Subject(saved, datamodule, scores, split, seed, index)
    with canvas.also_saved_as(format) as vectors:
        files = figures.galleries(shown) | figures.calibration(shown) | figures.class_curves(shown, of_classes)
        files |= labels_worth_checking(shown)
        if plots == "all":
            files |= figures.filters(shown) | figures.through_the_net(shown) | figures.robustness(shown)
        files |= recordings(shown)  # only: zoo
        files |= {
            "predictions.csv": scores.predictions(),
            "per_class.csv": scores.per_class.join(areas).to_csv(index_label="class").encode(),
        }
        write_counts(scores.counts, scores.class_names, folder)
        files = canvas.with_vectors(files, vectors, format)
        for name, content in files.items():
            write_atomically(folder / name, content)
        run_record.write_json(folder / "metrics.json", metrics)
        confusion, reported = run_report.write_split(saved.folder, folder)
        matrix = {"confusion_matrix.png": (folder / "confusion_matrix.png").read_bytes()}
        drawn = canvas.with_vectors(matrix, vectors, format)
        for name, content in drawn.items():
            write_atomically(folder / name, content)
    pictures = matrix | {name: content for name, content in files.items() if name.endswith(".png")}
    images = {f"evaluation/{split}/{Path(name).stem}": picture for name, picture in pictures.items()}
    add_images(saved.folder, f"evaluation-{split}", images, step=0)
    further = {folder / Path(name).parts[0] for name in [*files, *drawn]}
    paths = [folder / "metrics.json", *reported, *sorted(further.difference(reported))]
    page = run_page.write(saved.folder)
    return Evaluation(metrics, f"{confusion}\n\n{_summary(saved.folder, metrics, paths, page)}", folder)


def _without_classes(evaluated: Evaluated, metrics: dict[str, Any], folder: Path, format: str) -> Evaluation:
    """The evaluation of several labels at once, or of values."""
    task = multilabel if evaluated.datamodule.targets == "multilabel" else regression
    with canvas.also_saved_as(format) as vectors:
        report = task.report(evaluated)
        files = canvas.with_vectors(report.files, vectors, format)
    metrics |= report.metrics
    for name, content in files.items():
        write_atomically(folder / name, content)
    run_record.write_json(folder / "metrics.json", metrics)
    run_dir, split = evaluated.saved.folder, evaluated.split
    pictures = {name: content for name, content in report.files.items() if name.endswith(".png")}
    images = {f"evaluation/{split}/{Path(name).stem}": picture for name, picture in pictures.items()}
    add_images(run_dir, f"evaluation-{split}", images, step=0)
    paths, page = [folder / "metrics.json", *sorted(folder / name for name in files)], run_page.write(run_dir)
    return Evaluation(metrics, f"{report.text}\n\n{_summary(run_dir, metrics, paths, page)}", folder)


def _scored(
    saved: SavedModel, datamodule: DataModule, split: str, accelerator: str, seed: int
) -> tuple[dict[str, Any], Outputs]:
    """The numbers that training writes, computed by the same code, and the outputs for all samples."""
    config = saved.config.copy()
    machine = hardware.choose(accelerator, config.trainer.precision, config.trainer.num_threads, "accelerator")
    hardware.apply(machine)
    datamodule.accelerator = machine.accelerator
    classifier = build_classifier(config, saved.model, datamodule, for_training=False)
    trainer = build_trainer(_alone(config, seed), saved.folder, machine, classifier)
    if split == "train":  # in their order and without augmentation, as a validation takes its samples
        datamodule.validation = datamodule.training
    score = trainer.test if split == "test" else trainer.validate
    try:
        score(classifier, datamodule=datamodule, verbose=False)
    except torch.OutOfMemoryError as error:
        raise UserError("out of GPU memory; accelerator=cpu evaluates in the computer's") from error
    saved.model.float()  # precision=64-true and its like convert the weights; what follows draws in float32
    metrics = {
        "dataset": datamodule.dataset,
        "split": split,
        "model": type(saved.model).__name__,
        **_scores_of(split, trainer),
        "device": machine.device,
        "precision": machine.precision,
    }
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return metrics, next(callback for callback in callbacks if isinstance(callback, Outputs))


def _scores_of(split: str, trainer: Any) -> dict[str, float | None]:
    scores = run_record.scores_of("test" if split == "test" else "val", trainer)
    return {f"{split}/{name.partition('/')[2]}": value for name, value in scores.items()}


def _alone(config: DictConfig, seed: int) -> DictConfig:
    """The run's config in one process, without its loggers and callbacks but with one that collects the outputs."""
    with open_dict(config):
        config.logger = None
        config.callbacks = {"progress": {"_target_": "cnnlab.callbacks.progress.Progress"}}
        target = "cnnlab.callbacks.outputs.Outputs"
        config.callbacks.outputs = {"_target_": target, "num_kept": _NUM_SHOWN, "seed": seed}
        ranks.make_alone(config.trainer)
    return config


def _summary(run_dir: Path, metrics: dict[str, Any], paths: list[Path], page: Path) -> str:
    """The numbers, the files, which are all in one folder, and the page that shows them."""
    numbers = {name.partition("/")[2] or name: value for name, value in metrics.items() if isinstance(value, float)}
    numbers = {name: value for name, value in numbers.items() if name not in _IN_THE_TABLE_OF_CLASSES}
    shown = {name: shown_metric(name, value) for name, value in numbers.items()}
    noun = noun_of(run_dir)
    if "shifts" in metrics:
        shown["shifted"] = f"the mean over moves of up to {metrics['shifts']} in each direction"
    if "ensemble" in metrics:
        shown["ensemble"] = f"the mean over this run and {', '.join(metrics['ensemble'])}"
    shown |= {"device": f"{metrics['device']}, {metrics['precision']}", "data": metrics["dataset"]}
    lines = [f"{name.replace('_', ' ').replace('images', noun):<26} {value}" for name, value in shown.items()]
    scores = "\n  ".join([f"{short_path(run_dir)}, {metrics['split']}", *lines])
    names = textwrap.fill(", ".join(path.name for path in paths), 78, initial_indent="  ", subsequent_indent="  ")
    written = f"Written to {short_path(paths[0].parent)}\n{names}"
    return f"{scores}\n\n{written}\n\nAll of it on one page: {short_path(page)}"
