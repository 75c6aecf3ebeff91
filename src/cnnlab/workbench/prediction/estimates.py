"""Values as text, CSV and JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from cnnlab.workbench.notation import csv_bytes, shortened, shown_value
from cnnlab.workbench.prediction.predictor import Estimate, Predictor
from cnnlab.workbench.prediction.tables import LONGEST_NAME, MOST_PRINTED, Caption, Table

_MOST_COLUMNS = 6


@dataclass
class Estimates(Table[Estimate]):
    """Values for each sample."""

    def add(self, predictor: Predictor, samples: Mapping[str, NDArray[Any]]) -> list[Caption]:
        estimates = predictor.estimates(list(samples.values()))
        self.given.update(zip(samples, estimates, strict=True))
        return [(self.in_words(estimate), None) for estimate in estimates]

    def in_words(self, estimate: Estimate) -> str:
        """Names and values in a line."""
        pairs = zip(self.class_names, estimate.values.tolist(), strict=True)
        return ", ".join(f"{name} {shown_value(value)}" for name, value in pairs)

    def as_csv(self) -> bytes:
        """A line per picture: file and each value."""
        rows = [[name, *map(_digits, estimate.values.tolist())] for name, estimate in self.given.items()]
        return csv_bytes([[self.named, *self.class_names], *rows])

    def as_json(self, **about: str) -> bytes:
        """The values by their names, after what they are about and before what was skipped."""
        listed: list[dict[str, Any]] = []
        for name, estimate in self.given.items():
            pairs = zip(self.class_names, estimate.values.tolist(), strict=True)
            listed.append(
                {self.named: name, "values": {value_name: float(_digits(value)) for value_name, value in pairs}}
            )
        return self.json_bytes(about, listed)

    def as_text(self) -> str:
        """A table of the first 40 with the first 6 values, and the first 40 that were skipped."""
        rows = [[self.named, *(shortened(name, LONGEST_NAME) for name in self.class_names[:_MOST_COLUMNS])]]
        for name, estimate in list(self.given.items())[:MOST_PRINTED]:
            values = map(shown_value, estimate.values[:_MOST_COLUMNS].tolist())
            rows.append([shortened(name, LONGEST_NAME), *values])
        text = self.text(rows)
        more = len(self.class_names) - _MOST_COLUMNS
        return f"{text}\n… {more:,} more values of each in predictions.csv" if more > 0 else text


def _digits(value: float) -> str:
    """All that a float32 is good for."""
    return f"{value:.7g}"
