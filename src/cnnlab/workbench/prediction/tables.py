"""Answers and values as text, CSV and JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnlab.workbench.notation import aligned, csv_bytes, shortened, shown_value
from cnnlab.workbench.prediction.predictor import Answer, Estimate
from cnnlab.workbench.prediction.reader import Part

MOST_PRINTED = 40
LONGEST_NAME = 48  # characters
_MOST_COLUMNS = 6


@dataclass
class Answers:
    """Answers by the pictures' names.

    Attributes:
        class_names: in the order of the probabilities.
        given: of pictures that got one.
        skipped: what is wrong with the others.
        named: what has the names: file, or text.
        parts: of answers to one of several digits in a picture, to which.
        warnings: what should be known of pictures that got an answer.
    """

    class_names: Sequence[str]
    given: dict[str, Answer] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    named: str = "file"
    parts: dict[str, Part] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def are_digits(self) -> bool:
        return all(name.isdecimal() for name in self.class_names)

    def as_csv(self) -> bytes:
        """A line per answer: file, label, probability, runner-up and its probability; of digits also as a number.

        If a picture holds several, there is a last column with the place of each, from 1 on the left.
        """
        header = [self.named, "label", "probability", "runner-up", "runner-up probability"]
        header += (["digit"] if self.are_digits else []) + (["part"] if self.parts else [])
        rows: list[list[Any]] = [header]
        for name, answer in self.given.items():
            part = self.parts.get(name, Part(name, 1))
            shares = [f"{answer.probability:.6f}", answer.runner_up, f"{answer.runner_up_probability:.6f}"]
            row: list[Any] = [part.file, answer.label, *shares]
            row += ([int(answer.label)] if self.are_digits else []) + ([part.number] if self.parts else [])
            rows.append(row)
        return csv_bytes(rows)

    def as_json(self, **about: str) -> bytes:
        """The answers with the probabilities of all classes, after what they are about and before what was skipped.

        Answers to one of several digits in a picture have their place from the left, `part`; `rows` holds all digits
        of each such picture as one text, and the product of their probabilities.
        """
        listed: list[dict[str, Any]] = []
        for name, answer in self.given.items():
            part = self.parts.get(name)
            entry: dict[str, Any] = {
                **({"file": part.file, "part": part.number} if part else {self.named: name}),
                "label": answer.label,
                "probability": round(answer.probability, 6),
            }
            if self.are_digits:
                entry["digit"] = int(answer.label)
            shares = zip(self.class_names, answer.probabilities.tolist(), strict=True)
            listed.append(entry | {"probabilities": {label: round(share, 6) for label, share in shares}})
        rows = [
            {"file": file, "label": label, "probability": round(probability, 6)}
            for file, (label, probability) in self._rows().items()
        ]
        return json_bytes(about | ({"rows": rows} if rows else {}), listed, self.skipped, self.warnings)

    def _rows(self) -> dict[str, tuple[str, float]]:
        """Of each picture with several digits all of them together, and the product of their probabilities."""
        read: dict[str, tuple[str, float]] = {}
        for name, part in self.parts.items():
            label, probability = read.get(part.file, ("", 1.0))
            answer = self.given[name]
            read[part.file] = label + answer.label, probability * answer.probability
        return read

    def as_text(self) -> str:
        """A table of the first 40, what pictures with several digits show, and the first 40 that were skipped."""
        rows = [[self.named, "digit" if self.are_digits else "label", "probability", "runner-up", "its probability"]]
        for name, answer in list(self.given.items())[:MOST_PRINTED]:
            shares = [f"{answer.probability:.2%}", answer.runner_up, f"{answer.runner_up_probability:.2%}"]
            rows.append([shortened(name, LONGEST_NAME), answer.label, *shares])
        read = [
            f"{shortened(file, LONGEST_NAME)}: {len(label)} beside each other, read as {label} "
            f"(all of them right: {probability:.2%})"
            for file, (label, probability) in self._rows().items()
        ]
        return text_table(rows, len(self.given), self.skipped, [*read, *(f"WARNING: {text}" for text in self.warnings)])


@dataclass
class Estimates:
    """Values by the pictures' names.

    Attributes:
        value_names: in the order of the values.
        given: of pictures that got some.
        skipped: what is wrong with the others.
        named: what has the names: file, or text.
        warnings: what should be known of pictures that got values.
    """

    value_names: Sequence[str]
    given: dict[str, Estimate] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    named: str = "file"
    warnings: list[str] = field(default_factory=list)

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
        return json_bytes(about, listed, self.skipped, self.warnings)

    def as_text(self) -> str:
        """A table of the first 40 with the first 6 values, and the first 40 that were skipped."""
        rows = [[self.named, *(shortened(name, LONGEST_NAME) for name in self.value_names[:_MOST_COLUMNS])]]
        for name, estimate in list(self.given.items())[:MOST_PRINTED]:
            values = map(shown_value, estimate.values[:_MOST_COLUMNS].tolist())
            rows.append([shortened(name, LONGEST_NAME), *values])
        text = text_table(rows, len(self.given), self.skipped, self.warnings)
        more = len(self.value_names) - _MOST_COLUMNS
        return f"{text}\n… {more:,} more values of each in predictions.csv" if more > 0 else text


def _digits(value: float) -> str:
    """All that a float32 is good for."""
    return f"{value:.7g}"


def json_bytes(
    about: Mapping[str, Any], listed: list[dict[str, Any]], skipped: dict[str, str], warnings: list[str]
) -> bytes:
    """A JSON file: what the answers are about, the answers, what was skipped and why, and warnings."""
    reasons = [{"file": name, "reason": reason} for name, reason in skipped.items()]
    content = {**about, "predictions": listed, "skipped": reasons, **({"warnings": warnings} if warnings else {})}
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


def text_table(rows: list[list[str]], num_given: int, skipped: dict[str, str], remarks: list[str]) -> str:
    """A table to print, with what was skipped and remarks below it."""
    lines = [aligned(rows, num_names=1)]
    if num_given > MOST_PRINTED:
        lines.append(f"… {num_given - MOST_PRINTED:,} more in predictions.csv")
    if remarks:
        lines += ["", *remarks[:MOST_PRINTED]]
    if len(remarks) > MOST_PRINTED:
        lines.append(f"… {len(remarks) - MOST_PRINTED:,} more in predictions.json")
    if skipped:
        lines.append(f"\nskipped {len(skipped):,} of {len(skipped) + num_given:,}:")
        lines += [f"  {reason}" for reason in list(skipped.values())[:MOST_PRINTED]]
    if len(skipped) > MOST_PRINTED:
        lines.append(f"  … {len(skipped) - MOST_PRINTED:,} more in predictions.json")
    return "\n".join(lines)
