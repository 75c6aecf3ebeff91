"""Answers to samples as text, CSV and JSON, whatever kind of answers they are."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from cnnlab.workbench.notation import aligned
from cnnlab.workbench.prediction.predictor import Predictor

MOST_PRINTED = 40
LONGEST_NAME = 48  # characters

Given = TypeVar("Given")
Caption = tuple[str, float | None]  # what a sample was answered, and with which probability


@dataclass
class Table(ABC, Generic[Given]):
    """What a network gives samples, by the samples' names.

    Attributes:
        class_names: of classes, labels or values, in the order of the network's outputs.
        given: to samples that got something.
        skipped: what is wrong with the others.
        named: what has the names: file, or text.
        warnings: what should be known of samples that got something.
    """

    class_names: Sequence[str]
    given: dict[str, Given] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    named: str = "file"
    warnings: list[str] = field(default_factory=list)

    @abstractmethod
    def add(self, predictor: Predictor, samples: Mapping[str, NDArray[Any]]) -> list[Caption]:
        """Ask the network for more samples by their names; return what to write below their pictures."""

    @abstractmethod
    def as_csv(self) -> bytes:
        """A line per sample."""

    @abstractmethod
    def as_json(self, **about: str) -> bytes:
        """All numbers, after what they are about and before what was skipped."""

    @abstractmethod
    def as_text(self) -> str:
        """A table to print of the first 40, and the first 40 that were skipped."""

    def json_bytes(self, about: Mapping[str, Any], listed: list[dict[str, Any]]) -> bytes:
        """A JSON file: what the answers are about, the answers, what was skipped and why, and warnings."""
        reasons = [{"file": name, "reason": reason} for name, reason in self.skipped.items()]
        content = {**about, "predictions": listed, "skipped": reasons}
        content |= {"warnings": self.warnings} if self.warnings else {}
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace")

    def text(self, rows: list[list[str]], remarks: Sequence[str] = ()) -> str:
        """A table to print, with remarks, warnings and what was skipped below it."""
        lines = [aligned(rows, num_names=1)]
        remarks = [*remarks, *(f"WARNING: {text}" for text in self.warnings)]
        num_given = len(self.given)
        if num_given > MOST_PRINTED:
            lines.append(f"… {num_given - MOST_PRINTED:,} more in predictions.csv")
        if remarks:
            lines += ["", *remarks[:MOST_PRINTED]]
        if len(remarks) > MOST_PRINTED:
            lines.append(f"… {len(remarks) - MOST_PRINTED:,} more in predictions.json")
        if self.skipped:
            lines.append(f"\nskipped {len(self.skipped):,} of {len(self.skipped) + num_given:,}:")
            lines += [f"  {reason}" for reason in list(self.skipped.values())[:MOST_PRINTED]]
        if len(self.skipped) > MOST_PRINTED:
            lines.append(f"  … {len(self.skipped) - MOST_PRINTED:,} more in predictions.json")
        return "\n".join(lines)
