"""Decides whether a metric is to be minimised or maximised: its name implies it, or the user says so."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from cnnlab.errors import UserError

Direction = Literal["min", "max"]

# Words in the names of metrics of which less is better, and of which more is better: fewer train_seconds, but more
# images_per_second.
_SMALLER = """
    loss error errors mse rmse mae mape nll crossentropy perplexity divergence deviance distance brier crps ece eer wer
    cer seconds parameters
"""
_LARGER = """
    accuracy acc f1 fbeta auroc auc precision recall specificity sensitivity predictive match mcc iou miou dice jaccard
    kappa r2 explained corr similarity psnr ssim second
"""
_WORDS: dict[Direction, set[str]] = {"min": set(_SMALLER.split()), "max": set(_LARGER.split())}
_GOALS = ("minimize", "maximize")
_MEANINGS = {"min": "the smaller the better", "max": "the larger the better"}


def direction_in_name(name: str) -> Direction | None:
    """Return the direction that the words of a metric's name imply, as in val/loss and top5_accuracy.

    It is None if no word implies a direction, or if two words imply opposite ones.
    """
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    found: list[Direction] = [direction for direction, direction_words in _WORDS.items() if words & direction_words]
    return found[0] if len(found) == 1 else None


def direction(name: str, mode: str | None, key: str = "mode", values: tuple[str, str] = ("min", "max")) -> Direction:
    """Return whether a metric is to be minimised or maximised.

    Args:
        mode: min or max if the user has chosen; None takes the direction that the name implies.
        key: the config key with which the user chooses, for errors.
        values: the two values of that key that mean min and max.

    Raises:
        UserError: if neither the name nor the user decides, or if they contradict each other.
    """
    implied = direction_in_name(name)
    if mode not in ("min", "max", None):
        raise UserError(f"{key}: expected min, max or null, got {mode!r}")
    if implied is None and mode is None:
        raise UserError(f"{name} does not tell whether more or less of it is better; give {key}={' or '.join(values)}")
    if implied and mode and implied != mode:
        value = dict(zip(("min", "max"), values, strict=True))[mode]
        raise UserError(f"{key}={value} contradicts {name}, {_MEANINGS[implied]}; leave {key} out")
    return implied or ("min" if mode == "min" else "max")


def direction_of_part(key: str, name: str, mode: str | None, monitor: str, run_mode: str | None) -> Direction:
    """Return the direction for a callback or schedule that watches the metric `name`.

    Its own mode counts. If it has none and watches the metric of the run, the mode of the run counts.

    Args:
        key: the config key of the part's mode, for errors.
        monitor, run_mode: the metric by which the run is judged, and its mode if the user has given one.

    Raises:
        UserError: see direction.
    """
    return direction(name, mode or (run_mode if name == monitor else None), key)


# only: sweep
def complete_search(config: Any) -> None:
    """Complete and check the config of a search before it begins (`hydra.sweeper.complete`).

    `mode` is set to the direction of `monitor`, so that other keys can refer to it.

    Raises:
        UserError: if a direction contradicts the name of its metric.
    """
    if isinstance(config.get("monitor"), str) and "mode" in config:
        config.mode = direction(config.monitor, config.mode)
    settings = config.hydra.sweeper
    names, goals = _as_list(settings.metric), _as_list(settings.direction)
    if not goals and isinstance(config.get("monitor"), str):
        names, goals = names or [config.monitor], [f"{config.get('mode')}imize"]
    for name, goal in zip(names, goals, strict=False):  # the sweeper itself refuses lists of different lengths
        goal = str(getattr(goal, "name", goal)).lower()
        if goal in _GOALS:
            direction(str(name), goal[:3], "hydra.sweeper.direction", _GOALS)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


# end only
