"""Sets of labels as text, CSV and JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from cnnlab.workbench.notation import csv_bytes, shortened
from cnnlab.workbench.prediction.predictor import LabelSet, Predictor
from cnnlab.workbench.prediction.tables import LONGEST_NAME, MOST_PRINTED, Caption, Table


@dataclass
class LabelSets(Table[LabelSet]):
    """A set of labels for each sample, which may be empty."""

    def add(self, predictor: Predictor, samples: Mapping[str, NDArray[Any]]) -> list[Caption]:
        found = predictor.label_sets(list(samples.values()))
        self.given.update(zip(samples, found, strict=True))
        return [(self.in_words(labels), None) for labels in found]

    def in_words(self, found: LabelSet) -> str:
        """The labels with their probabilities in a line; without any the most probable one."""
        shares = dict(zip(self.class_names, found.probabilities.tolist(), strict=True))
        if not found.labels:
            best = max(shares, key=lambda name: shares[name])
            return f"none ({best} {shares[best]:.0%})"
        return ", ".join(f"{name} {shares[name]:.0%}" for name in found.labels)

    def as_csv(self) -> bytes:
        """A line per picture: file, its labels, and the probability of every label."""
        rows = [
            [name, "; ".join(found.labels), *(f"{share:.6f}" for share in found.probabilities.tolist())]
            for name, found in self.given.items()
        ]
        return csv_bytes([[self.named, "labels", *(f"probability of {name}" for name in self.class_names)], *rows])

    def as_json(self, **about: str) -> bytes:
        """The labels and all probabilities, after what they are about and before what was skipped."""
        listed: list[dict[str, Any]] = []
        for name, found in self.given.items():
            shares = zip(self.class_names, found.probabilities.tolist(), strict=True)
            probabilities = {label: round(share, 6) for label, share in shares}
            listed.append({self.named: name, "labels": list(found.labels), "probabilities": probabilities})
        return self.json_bytes(about, listed)

    def as_text(self) -> str:
        """A table of the first 40, and the first 40 that were skipped."""
        rows = [[self.named, "labels with a probability above 50%"]]
        for name, found in list(self.given.items())[:MOST_PRINTED]:
            rows.append([shortened(name, LONGEST_NAME), self.in_words(found)])
        return self.text(rows)
