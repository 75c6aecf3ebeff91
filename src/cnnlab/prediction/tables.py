"""Answers as text, CSV and JSON."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnlab.notation import aligned, shortened
from cnnlab.prediction.predictor import Answer

_MOST_PRINTED = 40
_LONGEST_NAME = 48  # characters


@dataclass
class Answers:
    """Answers by the pictures' names.

    Attributes:
        class_names: in the order of the probabilities.
        given: of pictures that got one.
        skipped: what is wrong with the others.
    """

    class_names: Sequence[str]
    given: dict[str, Answer] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def are_digits(self) -> bool:
        return all(name.isdecimal() for name in self.class_names)

    def as_csv(self) -> bytes:
        """A line per answer: file, label, probability, runner-up and its probability; of digits also as a number."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        header = ["file", "label", "probability", "runner-up", "runner-up probability"]
        writer.writerow([*header, "digit"] if self.are_digits else header)
        for name, answer in self.given.items():
            shares = [f"{answer.probability:.6f}", answer.runner_up, f"{answer.runner_up_probability:.6f}"]
            row = [name, answer.label, *shares]
            writer.writerow([*row, int(answer.label)] if self.are_digits else row)
        return text.getvalue().encode(errors="backslashreplace")

    def as_json(self, **about: str) -> bytes:
        """What the answers are about, the answers with the probabilities of all classes, and what was skipped."""
        listed: list[dict[str, Any]] = []
        for name, answer in self.given.items():
            entry: dict[str, Any] = {"file": name, "label": answer.label, "probability": round(answer.probability, 6)}
            if self.are_digits:
                entry["digit"] = int(answer.label)
            shares = zip(self.class_names, answer.probabilities.tolist(), strict=True)
            listed.append(entry | {"probabilities": {label: round(share, 6) for label, share in shares}})
        skipped = [{"file": name, "reason": reason} for name, reason in self.skipped.items()]
        content = {**about, "predictions": listed, "skipped": skipped}
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace")

    def as_text(self) -> str:
        """A table of the first 40, and the first 40 that were skipped."""
        rows = [["file", "digit" if self.are_digits else "label", "probability", "runner-up", "its probability"]]
        for name, answer in list(self.given.items())[:_MOST_PRINTED]:
            shares = [f"{answer.probability:.2%}", answer.runner_up, f"{answer.runner_up_probability:.2%}"]
            rows.append([shortened(name, _LONGEST_NAME), answer.label, *shares])
        lines = [aligned(rows, num_names=1)]
        if len(self.given) > _MOST_PRINTED:
            lines.append(f"… {len(self.given) - _MOST_PRINTED:,} more in predictions.csv")
        if self.skipped:
            lines.append(f"\nskipped {len(self.skipped):,} of {len(self.skipped) + len(self.given):,}:")
            lines += [f"  {reason}" for reason in list(self.skipped.values())[:_MOST_PRINTED]]
        if len(self.skipped) > _MOST_PRINTED:
            lines.append(f"  … {len(self.skipped) - _MOST_PRINTED:,} more in predictions.json")
        return "\n".join(lines)
