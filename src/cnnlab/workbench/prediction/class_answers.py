"""Classes as text, CSV and JSON, those of several digits in a picture together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from cnnlab.workbench.notation import csv_bytes, shortened
from cnnlab.workbench.prediction.predictor import Answer, Predictor
from cnnlab.workbench.prediction.reader import Part
from cnnlab.workbench.prediction.tables import LONGEST_NAME, MOST_PRINTED, Caption, Table

_FEWEST_JUDGED, _MUCH_LESS = 3, 0.2


@dataclass
class Answers(Table[Answer]):
    """A class for each sample.

    Attributes:
        parts: of answers to one of several digits in a picture, to which.
    """

    parts: dict[str, Part] = field(default_factory=dict)

    def add(self, predictor: Predictor, samples: Mapping[str, NDArray[Any]]) -> list[Caption]:
        answers = predictor.answers(list(samples.values()))
        self.given.update(zip(samples, answers, strict=True))
        return [(answer.label, answer.probability) for answer in answers]

    @property
    def are_digits(self) -> bool:
        return all(name.isdecimal() for name in self.class_names)

    def warn_if_unsure(self, accuracy: float, dataset: str) -> None:
        """Add a warning if the network is far less sure of three or more samples than it was right in its own data.

        Args:
            accuracy, dataset: of the validation. A network is about as sure as it is right on samples of the same kind.
        """
        mean = sum(answer.probability for answer in self.given.values()) / max(1, len(self.given))
        if len(self.given) >= _FEWEST_JUDGED and mean < accuracy - _MUCH_LESS:
            self.warnings.append(
                f"most answers are unsure, {mean:.0%} on average, where {accuracy:.0%} of the validation samples of "
                f"{dataset} were right: does the network know this kind of {self.named}?"
            )

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
        return self.json_bytes(about | ({"rows": rows} if rows else {}), listed)

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
        return self.text(rows, read)
