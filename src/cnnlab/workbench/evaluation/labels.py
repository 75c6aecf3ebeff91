"""Labels worth checking: those that the network contradicts with confidence."""

import pandas as pd
import torch
from torch import Tensor

from cnnlab.workbench.evaluation import gallery
from cnnlab.workbench.evaluation.figures import Files, Subject, answered
from cnnlab.workbench.evaluation.scores import Scores
from cnnlab.workbench.notation import shortened

_NUM_SHOWN = 12


def suspicious(scores: Scores) -> Tensor:
    """Indices of the samples whose label is in doubt, the most doubtful first.

    As in confident learning (Northcutt, Jiang and Chuang, 2021): the network must be at least as sure of the other
    class as it is, on average, of the samples that bear that class's label.
    """
    labels, predicted, probabilities = scores.labels, scores.predicted, scores.probabilities
    of_label = probabilities.gather(1, labels[:, None])[:, 0]
    counts = torch.bincount(labels, minlength=probabilities.shape[1])
    sums = torch.zeros(len(counts), dtype=of_label.dtype).index_add(0, labels, of_label)
    usual = sums / counts.clamp(min=1)
    usual[counts == 0] = float("inf")
    sure = probabilities.gather(1, predicted[:, None])[:, 0]
    doubtful = torch.nonzero((predicted != labels) & (sure >= usual[predicted]))[:, 0]
    return doubtful[(sure - of_label)[doubtful].argsort(descending=True, stable=True)]


def labels_worth_checking(subject: Subject) -> Files:
    """suspicious_labels.csv, and a picture of the first of them."""
    scores, doubtful = subject.scores, suspicious(subject.scores)
    indices = doubtful.tolist()
    columns = {
        "index": indices,
        "label": [scores.class_names[label] for label in scores.labels[doubtful].tolist()],
        "predicted": [scores.class_names[label] for label in scores.predicted[doubtful].tolist()],
        "probability": scores.probabilities[doubtful].amax(dim=1).numpy(),
        "label_probability": scores.probabilities[doubtful, scores.labels[doubtful]].numpy(),
    }
    table = pd.DataFrame(columns)
    files = subject.datamodule.sample_paths(subject.split)
    named = files is not None and len(files) == len(scores.labels)
    if files is not None and named:
        table.insert(0, "file", [str(files[index]) for index in indices])
    content: Files = {
        "suspicious_labels.csv": str(table.to_csv(index=False, float_format="%.6f", lineterminator="\n")).encode(
            errors="backslashreplace"
        )
    }
    if not indices or subject.datamodule.vocabulary is not None:
        return content
    shown = indices[:_NUM_SHOWN]
    places = {index: place for place, index in enumerate(sorted(shown))}
    samples = subject.samples(shown)[[places[index] for index in shown]]
    names = [shortened(files[index].name, 20) for index in shown] if files is not None and named else None
    explanation = (
        f"The {len(shown)} most confident of {len(indices):,} disagreements (all in suspicious_labels.csv), of "
        f"{len(scores.labels):,}.\nFirst the label, then what the network says: is the label right?"
    )
    title = f"{subject.name}: labels worth checking"
    panels = answered(subject, shown, subject.as_stored(samples), names)
    return content | {"suspicious_labels.png": gallery.draw(panels, title, explanation, subject.appearance)}
