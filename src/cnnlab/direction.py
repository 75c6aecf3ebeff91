"""Whether more or less of a number is better: its name tells, or the user does."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from cnnlab.errors import UserError

Direction = Literal["min", "max"]

# images_per_second is one of the larger, train_seconds one of the smaller.
_SMALLER = """
    loss error errors mse rmse mae mape nll crossentropy perplexity divergence deviance distance brier ece wer cer
    seconds parameters
"""
_LARGER = """
    accuracy acc f1 fbeta auroc auc precision recall specificity sensitivity iou miou dice jaccard kappa r2 psnr ssim
    second
"""
_WORDS: dict[Direction, set[str]] = {"min": set(_SMALLER.split()), "max": set(_LARGER.split())}
_GOALS = ("minimize", "maximize")
_WHICH = {"min": "the smaller the better", "max": "the larger the better"}


def known(name: str) -> Direction | None:
    """What the words of a number's name say, as val/loss and top5_accuracy do; None if they say nothing or both."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    found: list[Direction] = [direction for direction, known_words in _WORDS.items() if words & known_words]
    return found[0] if len(found) == 1 else None


def direction(name: str, given: str | None, key: str = "mode", values: tuple[str, str] = ("min", "max")) -> Direction:
    """The direction in which a monitored number is to go.

    Args:
        given: min or max as the user says; None: as the name says.
        key: what the user says it with, and `values` how, for errors.

    Raises:
        UserError: if the name says nothing and the user neither, or if both disagree.
    """
    told = known(name)
    if given not in ("min", "max", None):
        raise UserError(f"{key}: expected min, max or null, got {given!r}")
    if told is None and given is None:
        raise UserError(f"{name} does not tell whether more or less of it is better; give {key}={' or '.join(values)}")
    if told and given and told != given:
        said = dict(zip(("min", "max"), values, strict=True))[given]
        raise UserError(f"{key}={said} contradicts {name}, {_WHICH[told]}; leave {key} out")
    return told or ("min" if given == "min" else "max")


def inherited(key: str, name: str, given: str | None, monitor: str, mode: str | None) -> Direction:
    """The direction of a part that watches the number `name`: its own, else the run's where it is the run's number.

    Args:
        key: the config key of the part's direction, for errors.
        monitor, mode: what the run is judged by, and its direction where the user gives one.

    Raises:
        UserError: see direction.
    """
    return direction(name, given or (mode if name == monitor else None), key)


# only: sweep
def settle(config: Any) -> None:
    """Complete and check the config of a search, before it begins (`hydra.sweeper.complete`).

    `mode` gets the direction that the name of `monitor` implies, for whatever refers to it.

    Raises:
        UserError: if a direction contradicts the name of the metric it belongs to.
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
