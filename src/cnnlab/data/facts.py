"""What is said of the data before a training, in lines that fit a narrow terminal."""

import textwrap
from collections.abc import Sequence

_LINE, _INDENT, _NO_BREAK = 80, 8, "\xa0"  # characters
# The most classes and channels that are shown on a line.
_NUM_SHOWN, _NUM_CHANNELS_SHOWN = 12, 4
# An epoch of fewer steps than these is told, and how many it may have instead.
_FEW_STEPS, _ENOUGH_STEPS = 4, 5


def in_lines(facts: Sequence[str]) -> str:
    """Return the facts under the label `data`, each beginning a line."""
    width, gap = _LINE - _INDENT, f"\n{' ' * _INDENT}"
    lines = [line for fact in facts for line in textwrap.wrap(fact, width, break_on_hyphens=False)]
    return f"data    {gap.join(lines)}".replace(_NO_BREAK, " ")


def statistics(mean: Sequence[float], std: Sequence[float]) -> str:
    """Return mean and deviation of the first channels."""
    return f"mean{_NO_BREAK}{_short(mean)}, std{_NO_BREAK}{_short(std)}"


def names(class_names: Sequence[str]) -> str:
    return ", ".join(class_names[:_NUM_SHOWN])


def counts(class_names: Sequence[str], numbers: Sequence[int]) -> str:
    """Return the number of samples of the first classes, and how many more classes there are."""
    pairs = zip(class_names[:_NUM_SHOWN], numbers[:_NUM_SHOWN], strict=True)
    shown = ", ".join(f"{name} {count:,}".replace(" ", _NO_BREAK) for name, count in pairs)
    left = len(class_names) - _NUM_SHOWN
    return f"{shown}, … {left} more" if left > 0 else shown


def few_steps(num_samples: int, batch_size: int) -> str | None:
    """Return a hint where an epoch has so few steps that a network hardly learns in it; None where it has enough."""
    steps = num_samples // batch_size
    fitting = num_samples // _ENOUGH_STEPS
    if steps >= _FEW_STEPS or fitting < 2:
        return None
    smaller = 2 ** (fitting.bit_length() - 1)
    plural = "" if steps == 1 else "s"
    return (
        f"an epoch has only {steps} step{plural} of {batch_size} samples; "
        f"data.batch_size={smaller} gives {num_samples // smaller} steps an epoch"
    )


def _short(values: Sequence[float]) -> str:
    shown = " ".join(f"{value:.3g}" for value in values[:_NUM_CHANNELS_SHOWN])
    return f"{shown} …" if len(values) > _NUM_CHANNELS_SHOWN else shown
