"""Raw measurements on disk: one row per variant and repeat, written as soon as a cell is measured."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically

_KEYS = ["fingerprint", "cell"]


def fingerprint(circumstances: Mapping[str, Any]) -> str:
    """Ten characters that are the same for the same circumstances, whatever their order."""
    text = json.dumps(circumstances, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


class Store:
    """The file <part>.csv. It also keeps what was measured under other fingerprints, which is never shown.

    Args:
        fingerprint: of the circumstances; a cell that was measured under others counts as not measured.

    Raises:
        UserError: if the file holds something else.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint
        try:
            self._all = pd.read_csv(path, dtype=dict.fromkeys(_KEYS, str))
        except FileNotFoundError:
            self._all = pd.DataFrame(columns=_KEYS, dtype=str)
        except ValueError as error:
            raise UserError(f"{path} cannot be read: {error}; --fresh with another --out= leaves it") from error
        if missing := set(_KEYS) - set(self._all.columns):
            raise UserError(f"{path} has no column {', '.join(sorted(missing))}; move it away or give another --out=")

    @property
    def rows(self) -> pd.DataFrame:
        """Everything that was measured under this fingerprint."""
        return self._all[self._all["fingerprint"] == self.fingerprint].reset_index(drop=True)

    def has(self, cell: str) -> bool:
        return bool((self.rows["cell"] == cell).any())

    def put(self, cell: str, keys: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the cell's rows in place of those it had under this fingerprint: all of them or, when killed, none."""
        new = pd.DataFrame([{"fingerprint": self.fingerprint, "cell": cell, **keys, **row} for row in rows])
        others = self._all[(self._all["fingerprint"] != self.fingerprint) | (self._all["cell"] != cell)]
        self._all = pd.concat([others, new], ignore_index=True) if len(others) else new
        write_atomically(self.path, self._all.to_csv(index=False).encode())
