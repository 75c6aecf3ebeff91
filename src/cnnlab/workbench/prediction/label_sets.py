"""Sets of labels as text, CSV and JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnlab.workbench.notation import csv_bytes, shortened
from cnnlab.workbench.prediction.predictor import LabelSet
from cnnlab.workbench.prediction.tables import LONGEST_NAME, MOST_PRINTED, json_bytes, text_table


@dataclass
class LabelSets:
    """Sets of labels by the pictures' names.

    Attributes:
        label_names: in the order of the probabilities.
        given: of pictures that got one, which may be empty.
        skipped: what is wrong with the others.
        named: what has the names: file, or text.
        warnings: what should be known of pictures that got labels.
    """

    label_names: Sequence[str]
    given: dict[str, LabelSet] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    named: str = "file"
    warnings: list[str] = field(default_factory=list)

    def in_words(self, found: LabelSet) -> str:
        """The labels with their probabilities in a line; without any the most probable one."""
        shares = dict(zip(self.label_names, found.probabilities.tolist(), strict=True))
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
        return csv_bytes([[self.named, "labels", *(f"probability of {name}" for name in self.label_names)], *rows])

    def as_json(self, **about: str) -> bytes:
        """The labels and all probabilities, after what they are about and before what was skipped."""
        listed: list[dict[str, Any]] = []
        for name, found in self.given.items():
            shares = zip(self.label_names, found.probabilities.tolist(), strict=True)
            probabilities = {label: round(share, 6) for label, share in shares}
            listed.append({self.named: name, "labels": list(found.labels), "probabilities": probabilities})
        return json_bytes(about, listed, self.skipped, self.warnings)

    def as_text(self) -> str:
        """A table of the first 40, and the first 40 that were skipped."""
        rows = [[self.named, "labels with a probability above 50%"]]
        for name, found in list(self.given.items())[:MOST_PRINTED]:
            rows.append([shortened(name, LONGEST_NAME), self.in_words(found)])
        return text_table(rows, len(self.given), self.skipped, self.warnings)
