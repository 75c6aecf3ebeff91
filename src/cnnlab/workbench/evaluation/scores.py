"""Computes metrics and tables from a classifier's outputs."""

import functools
from collections.abc import Sequence
from typing import Any

import pandas as pd
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_calibration_error, multiclass_confusion_matrix

from cnnlab.callbacks.outputs import Outputs
from cnnlab.runs.run_record import rounded
from cnnlab.workbench.run_reports.run_report import per_class

NUM_BINS = 15


class Scores:
    """The metrics of the answers to all samples of a split.

    Attributes:
        outputs: logits, labels and some samples.
        class_names: in the order of the logits.
        probabilities: (N, num_classes).
        losses: (N,) cross-entropy of each sample.
        counts: (num_classes, num_classes) int64, row = true class, column = predicted class.
    """

    def __init__(self, outputs: Outputs, class_names: Sequence[str]) -> None:
        self.outputs, self.labels, self.class_names = outputs, outputs.labels, tuple(class_names)
        self.probabilities = outputs.logits.softmax(dim=1)
        self.predicted = outputs.logits.argmax(dim=1)
        self.losses: Tensor = functional.cross_entropy(outputs.logits, outputs.labels, reduction="none")
        self.counts: Tensor = multiclass_confusion_matrix(self.predicted, self.labels, len(class_names))

    def metrics(self, split: str) -> dict[str, Any]:
        """Expected calibration error (Guo et al., 2017, section 2, 15 bins), means over classes, speed, and each class.

        A class with neither images nor answers has None, and is left out of the means; see run_report.per_class.
        """
        shares = self.per_class[["precision", "recall", "F1"]]
        per_class = {
            name: {"images": int(images), **{share: rounded(value) for share, value in row.items()}}
            for name, images, row in zip(
                self.class_names, self.per_class["images"], shares.to_dict("records"), strict=True
            )
        }
        return {
            f"{split}/expected_calibration_error": rounded(self.calibration_error),
            **{f"{split}/macro_{name}": rounded(value) for name, value in shares.mean().items()},
            "num_images": len(self.labels),
            "eval_images_per_second": round(len(self.labels) / max(self.outputs.seconds, 1e-9), 1),
            "per_class": per_class,
        }

    def predictions(self) -> bytes:
        """A CSV line per sample: index, true, predicted, its probability, the true class's probability, loss."""
        of_true = self.probabilities.gather(1, self.labels[:, None])[:, 0]
        highest = self.probabilities.amax(dim=1)
        table = pd.DataFrame(
            {
                "true": [self.class_names[label] for label in self.labels.tolist()],
                "predicted": [self.class_names[label] for label in self.predicted.tolist()],
                "probability": highest.numpy(),
                "true_probability": of_true.numpy(),
                "loss": self.losses.numpy(),
            }
        )
        return str(table.to_csv(index_label="index", float_format="%.6f", lineterminator="\n")).encode()

    @functools.cached_property
    def calibration_error(self) -> float:
        """Expected calibration error, see `metrics`."""
        return float(
            multiclass_calibration_error(self.probabilities, self.labels, len(self.class_names), n_bins=NUM_BINS)
        )

    @functools.cached_property
    def per_class(self) -> pd.DataFrame:
        """See run_report.per_class."""
        names = list(self.class_names)
        return per_class(pd.DataFrame(self.counts.numpy(), index=names, columns=names))
