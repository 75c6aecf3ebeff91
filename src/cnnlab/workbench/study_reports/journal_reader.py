"""An Optuna journal that can only be read: nothing is locked, repaired or written, even while a sweep appends to it."""

import json
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from cnnlab.errors import UserError


class JournalReader(BaseJournalBackend):
    """The records that the file held when it was opened.

    The last line is torn while it is being written, or for good after a power cut; Optuna refuses such a file. Records
    appended later are not seen, so that every table and figure of one report shows the same moment.

    Raises:
        UserError: a whole line is no record: a report on what stands before it would pass for one on all trials.
    """

    def __init__(self, path: Path) -> None:
        self._records: list[dict[str, Any]] = []
        *lines, _ = path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict) or "op_code" not in record:
                raise UserError(
                    f"{path} is damaged in line {number} of {len(lines)}: no report is written, earlier ones are kept; "
                    "continue from a copy of the study"
                )
            self._records.append(record)

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self._records[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise PermissionError("a report does not write to the study")
