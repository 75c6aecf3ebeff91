"""What the evaluations of tasks without classes share: their subject, their result and their galleries."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from cnnlab.callbacks.outputs import Outputs, TopSamples
from cnnlab.data.datamodule import DataModule
from cnnlab.saved_run import SavedModel
from cnnlab.workbench.evaluation import gallery
from cnnlab.workbench.evaluation.gallery import Answered
from cnnlab.workbench.inspection.sample import Appearance
from cnnlab.workbench.run_reports.run_report import shown_name


@dataclass(frozen=True)
class Evaluated:
    """A run, its data and its outputs for all samples of a split.

    Attributes:
        outputs: of the network, with the true targets.
        split: val or test.
        seed: of the samples drawn at random.
    """

    saved: SavedModel
    datamodule: DataModule
    outputs: Outputs
    split: str
    seed: int

    @property
    def title(self) -> str:
        return f"{shown_name(self.saved.folder)}, {self.split}"

    @property
    def speed(self) -> dict[str, Any]:
        """How many samples there are, and how many of them were read and answered in a second."""
        number = len(self.outputs.labels)
        return {
            "num_images": number,
            "eval_images_per_second": round(number / max(self.outputs.seconds, 1e-9), 1),
        }

    def galleries(self, caption: Callable[[int], tuple[str, bool | None]]) -> dict[str, bytes]:
        """Pictures of the samples with the largest loss, and of some drawn at random.

        Args:
            caption: the text below a sample of the split, and whether its answer is right; None: neither.
        """
        total, worst, random = len(self.outputs.labels), self.outputs.most_wrong, self.outputs.random
        about_worst = f"The {len(worst.indices)} largest losses of {total:,}. #: place in the split."
        about_random = f"{len(random.indices)} of {total:,}, seed {self.seed}. #: place in the split."
        return {
            "most_wrong.png": self._gallery(worst, "most wrong", about_worst, caption),
            "random_predictions.png": self._gallery(random, "chosen at random", about_random, caption),
        }

    def _gallery(
        self, kept: TopSamples, title: str, explanation: str, caption: Callable[[int], tuple[str, bool | None]]
    ) -> bytes:
        shape = (1, -1) + (1,) * (kept.inputs.dim() - 2)
        mean, std = (torch.tensor(values).reshape(shape) for values in (self.datamodule.mean, self.datamodule.std))
        samples = zip(kept.indices.tolist(), kept.inputs.cpu() * std + mean, strict=True)
        answered = [Answered(sample.numpy(), *caption(index)) for index, sample in samples]
        appearance = Appearance.of(self.datamodule.description())
        return gallery.draw(answered, f"{self.title}: {title}", explanation, appearance)


@dataclass(frozen=True)
class TaskReport:
    """The result of an evaluation.

    Attributes:
        metrics: what joins metrics.json.
        files: by name.
        text: to print.
    """

    metrics: dict[str, Any]
    files: dict[str, bytes]
    text: str
