"""Draws the scores of every epoch of a run, as its TensorBoard event files hold them."""

import re
from pathlib import Path

from matplotlib.ticker import MaxNLocator, PercentFormatter
from tensorboard.backend.event_processing.event_file_loader import (  # type: ignore[import-untyped]
    LegacyEventFileLoader,
)

from cnnlab.notation import is_share
from cnnlab.workbench.canvas import BLUE, GREY, VERMILION, figure, png, project_style

# Earlier versions wrote the names without the number in front.
_TAG = re.compile(r"(?:1_epochs/)?(train|val)/(?!loss_step$)(.+)")
_COLOURS = {"train": BLUE, "val": VERMILION}
_WORDS = {"train": "training", "val": "validation"}

Curves = dict[str, dict[str, dict[int, float]]]  # by metric and split: the value of each epoch, from 1


def read(run_dir: Path) -> Curves:
    """Return the curves of the metrics that belong to epochs; {} for a run that did not log to TensorBoard."""
    curves: Curves = {}
    files = [path for folder in (run_dir, run_dir / "tensorboard") for path in folder.glob("events.out.tfevents.*")]
    for path in sorted(files, key=lambda path: path.name):  # a resumed run's later file has the valid numbers
        if ".evaluation-" in path.name:  # pictures of an evaluation
            continue
        for event in LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if (named := _TAG.fullmatch(value.tag)) and value.WhichOneof("value") == "simple_value":
                    curves.setdefault(named[2], {}).setdefault(named[1], {})[event.step] = value.simple_value
    return curves


def draw(curves: Curves, best_epoch: int | None) -> bytes | None:
    """A PNG of the loss and of what else is known of training and validation; None for fewer than two epochs."""
    shown = [name for name in ("loss", *sorted(set(curves) - {"loss"})) if len(curves.get(name, {})) == 2][:2]
    shown = [name for name in shown if max(map(len, curves[name].values())) > 1]
    if not shown:
        return None
    with project_style():
        drawn = figure(2.7)
        for axes, name in zip(drawn.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            for split, values in sorted(curves[name].items()):
                epochs = sorted(values)
                axes.plot(epochs, [values[epoch] for epoch in epochs], color=_COLOURS[split], label=_WORDS[split],
                          linewidth=1.4, marker="o", markersize=2.5)  # fmt: skip
            if best_epoch is not None:
                axes.axvline(best_epoch, color=GREY, linewidth=0.8, linestyle=":", label="best epoch")
            axes.set(xlabel="epoch")
            axes.set_title(name, loc="left")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if is_share(name):
                axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            axes.legend()
        return png(drawn)
