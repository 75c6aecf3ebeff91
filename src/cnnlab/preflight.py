"""Checks before a search: the data exist, and a run could start with every choice of the search space."""

from collections.abc import Iterable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from cnnlab.building import build_classifier, build_data, build_model, check_top_level
from cnnlab.data.datamodule import DataModule
from cnnlab.errors import Infeasible, UserError, did_you_mean
from cnnlab.pretrained import load_pretrained  # only: zoo
from cnnlab.runs import ranks, run_record
from cnnlab.runs.quiet import quieten_libraries
from cnnlab.speed import hardware

# Numbers of metrics.json that a search may optimise, beside those that the classifier monitors.
_COUNTABLE = ("num_parameters", "train_seconds", "images_per_second")

# Keys of `data` that may differ between trials without the data being read again.
_LOADING = ("batch_size", "eval_batch_size", "device", "num_workers", "fold")


def check_search(candidates: Iterable[tuple[str, Iterable[DictConfig]]]) -> dict[str, Any]:
    """Read the data once, downloading what is missing, and build the parts of a run once for every choice.

    Args:
        candidates: a label such as model.norm=batch, and configs that hold this choice, likely ones first. A choice
            is refused if no network can be built from any of its configs.

    Returns:
        The data set and its files' checksums, which all trials of a study must share, and the version of the code, of
        which a change is only noted.

    Raises:
        UserError: naming the choice and its mistake.
    """
    quieten_libraries()
    data: dict[str, DataModule] = {}
    for label, configs in candidates:
        _check_choice(label, iter(configs), data)
    first = next(iter(data.values()))
    return {"dataset": first.dataset, "checksums": dict(first.checksums), "code_version": run_record.code_version()}


def _check_choice(label: str, configs: Iterator[DictConfig], data: dict[str, DataModule]) -> None:
    errors: list[Infeasible] = []
    for config in configs:
        try:
            _check(config, data)
            return
        except Infeasible as error:
            errors.append(error)
        except UserError as error:
            raise UserError(f"{label}: {error}") from error
    raise UserError(f"{label}: {errors[0]}")


def _check(config: DictConfig, data: dict[str, DataModule]) -> None:
    check_top_level(config)
    if config.test:
        raise UserError("test=true: a search must not see the test images; the command it ends with tests the best")
    hardware.resolve_accelerator(config.trainer.accelerator, for_processes=not ranks.is_alone(config.trainer))
    settings = {name: value for name, value in config.data.items() if name not in _LOADING}
    key = repr(OmegaConf.to_container(OmegaConf.create(settings), resolve=True))
    if key not in data:
        data[key] = build_data(config)
    datamodule = data[key]
    batch_size = config.data.get("batch_size", datamodule.batch_size)
    if batch_size != "auto":
        num_processes = ranks.num_local(config.trainer, num_visible=1) * config.trainer.get("num_nodes", 1)
        datamodule.check_batch_size(batch_size, num_processes)
    datamodule.check_fold(config.data.get("fold", datamodule.fold))
    model = build_model(config, datamodule.input_shape, datamodule.num_classes, datamodule.vocabulary)
    load_pretrained(config, model, datamodule)  # only: zoo
    classifier = build_classifier(config, model, datamodule)
    metrics = [*getattr(classifier, "monitorable", [config.monitor]), *_COUNTABLE]
    for name in config.objectives or []:
        if name not in metrics:
            nearest = did_you_mean(name, metrics)
            raise UserError(f"objectives: expected some of {', '.join(metrics)}, got {name}{nearest}")
