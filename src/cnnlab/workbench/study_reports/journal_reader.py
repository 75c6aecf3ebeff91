"""An Optuna journal that can only be read: nothing is locked, repaired or written, even while a sweep appends to it."""

import json
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend


class JournalReader(BaseJournalBackend):
    """The records that the file held when it was opened, up to the first that is not whole.

    The last line is torn while it is being written, or for good after a power cut; Optuna refuses such a file. Records
    appended later are not seen, so that every table and figure of one report shows the same moment.
    """

    def __init__(self, path: Path) -> None:
        self._records: list[dict[str, Any]] = []
        for line in path.read_bytes().split(b"\n"):
            try:
                self._records.append(json.loads(line))
            except ValueError:
                break

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self._records[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise PermissionError("a report does not write to the study")
