"""Answers and values as text, CSV and JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnlab.workbench.notation import aligned, csv_bytes, shortened, shown_value
from cnnlab.workbench.prediction.predictor import Answer, Estimate, LabelSet

_MOST_PRINTED = 40
_LONGEST_NAME = 48  # characters
_MOST_COLUMNS = 6


@dataclass
class Answers:
    """Answers by the pictures' names.

    Attributes:
        class_names: in the order of the probabilities.
        given: of pictures that got one.
        skipped: what is wrong with the others.
        named: what has the names: file, or text.
    """

    class_names: Sequence[str]
    given: dict[str, Answer] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    named: str = "file"

    @property
    def are_digits(self) -> bool:
        return all(name.isdecimal() for name in self.class_names)

    def as_csv(self) -> bytes:
        """A line per answer: file, label, probability, runner-up and its probability; of digits also as a number."""
        header = [self.named, "label", "probability", "runner-up", "runner-up probability"]
        rows: list[list[Any]] = [[*header, "digit"] if self.are_digits else header]
        for name, answer in self.given.items():
            shares = [f"{answer.probability:.6f}", answer.runner_up, f"{answer.runner_up_probability:.6f}"]
            row = [name, answer.label, *shares]
            rows.append([*row, int(answer.label)] if self.are_digits else row)
        return csv_bytes(rows)

    def as_json(self, **about: str) -> bytes:
        """The answers with the probabilities of all classes, after what they are about and before what was skipped."""
        listed: list[dict[str, Any]] = []
        for name, answer in self.given.items():
            entry: dict[str, Any] = {
                self.named: name,
                "label": answer.label,
                "probability": round(answer.probability, 6),
            }
            if self.are_digits:
                entry["digit"] = int(answer.label)
            shares = zip(self.class_names, answer.probabilities.tolist(), strict=True)
            listed.append(entry | {"probabilities": {label: round(share, 6) for label, share in shares}})
        return _json(about, listed, self.skipped)

    def as_text(self) -> str:
        """A table of the first 40, and the first 40 that were skipped."""
        rows = [[self.named, "digit" if self.are_digits else "label", "probability", "runner-up", "its probability"]]
        for name, answer in list(self.given.items())[:_MOST_PRINTED]:
            shares = [f"{answer.probability:.2%}", answer.runner_up, f"{answer.runner_up_probability:.2%}"]
            rows.append([shortened(name, _LONGEST_NAME), answer.label, *shares])
        return _text(rows, len(self.given), self.skipped)


@dataclass
class LabelSets:
    """Sets of labels by the pictures' names.

    Attributes:
        label_names: in the order of the probabilities.
        given: of pictures that got one, which may be empty.
        skipped: what is wrong with the others.
        named: what has the names: file, or text.
    """

    label_names: Sequence[str]
    given: dict[str, LabelSet] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    named: str = "file"

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
        return _json(about, listed, self.skipped)

    def as_text(self) -> str:
        """A table of the first 40, and the first 40 that were skipped."""
        rows = [[self.named, "labels with a probability above 50%"]]
        for name, found in list(self.given.items())[:_MOST_PRINTED]:
            rows.append([shortened(name, _LONGEST_NAME), self.in_words(found)])
        return _text(rows, len(self.given), self.skipped)


@dataclass
class Estimates:
    """Values by the pictures' names.

    Attributes:
        value_names: in the order of the values.
        given: of pictures that got some.
        skipped: what is wrong with the others.
        named: what has the names: file, or text.
    """

    value_names: Sequence[str]
    given: dict[str, Estimate] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    named: str = "file"

    def in_words(self, estimate: Estimate) -> str:
        """Names and values in a line."""
        pairs = zip(self.value_names, estimate.values.tolist(), strict=True)
        return ", ".join(f"{name} {shown_value(value)}" for name, value in pairs)

    def as_csv(self) -> bytes:
        """A line per picture: file and each value."""
        rows = [[name, *map(_digits, estimate.values.tolist())] for name, estimate in self.given.items()]
        return csv_bytes([[self.named, *self.value_names], *rows])

    def as_json(self, **about: str) -> bytes:
        """The values by their names, after what they are about and before what was skipped."""
        listed: list[dict[str, Any]] = []
        for name, estimate in self.given.items():
            pairs = zip(self.value_names, estimate.values.tolist(), strict=True)
            listed.append(
                {self.named: name, "values": {value_name: float(_digits(value)) for value_name, value in pairs}}
            )
        return _json(about, listed, self.skipped)

    def as_text(self) -> str:
        """A table of the first 40 with the first 6 values, and the first 40 that were skipped."""
        rows = [[self.named, *(shortened(name, _LONGEST_NAME) for name in self.value_names[:_MOST_COLUMNS])]]
        for name, estimate in list(self.given.items())[:_MOST_PRINTED]:
            values = map(shown_value, estimate.values[:_MOST_COLUMNS].tolist())
            rows.append([shortened(name, _LONGEST_NAME), *values])
        text = _text(rows, len(self.given), self.skipped)
        more = len(self.value_names) - _MOST_COLUMNS
        return f"{text}\n… {more:,} more values of each in predictions.csv" if more > 0 else text


def _digits(value: float) -> str:
    """All that a float32 is good for."""
    return f"{value:.7g}"


def _json(about: dict[str, str], listed: list[dict[str, Any]], skipped: dict[str, str]) -> bytes:
    reasons = [{"file": name, "reason": reason} for name, reason in skipped.items()]
    content = {**about, "predictions": listed, "skipped": reasons}
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


def _text(rows: list[list[str]], num_given: int, skipped: dict[str, str]) -> str:
    lines = [aligned(rows, num_names=1)]
    if num_given > _MOST_PRINTED:
        lines.append(f"… {num_given - _MOST_PRINTED:,} more in predictions.csv")
    if skipped:
        lines.append(f"\nskipped {len(skipped):,} of {len(skipped) + num_given:,}:")
        lines += [f"  {reason}" for reason in list(skipped.values())[:_MOST_PRINTED]]
    if len(skipped) > _MOST_PRINTED:
        lines.append(f"  … {len(skipped) - _MOST_PRINTED:,} more in predictions.json")
    return "\n".join(lines)
