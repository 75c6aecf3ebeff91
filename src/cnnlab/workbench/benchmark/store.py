"""Raw measurements on disk: one row per variant and repeat, kept cell by cell."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically

if TYPE_CHECKING:
    import pandas as pd


def fingerprint(circumstances: Mapping[str, Any]) -> str:
    """Ten characters that are the same for the same circumstances, whatever their order."""
    text = json.dumps(circumstances, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


class Store:
    """<part>.csv: what was measured under one fingerprint can be asked for, everything else is left alone.

    Args:
        fingerprint: of the circumstances; a cell measured under others does not count.

    Raises:
        UserError: if the file is not one of these.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        import pandas as pd

        self.path, self.fingerprint = path, fingerprint
        self._all = pd.DataFrame({"fingerprint": [], "cell": []}, dtype=str)
        if path.is_file():
            try:
                self._all = pd.read_csv(path, dtype={"fingerprint": str, "cell": str}, keep_default_na=True)
            except ValueError as error:
                raise UserError(f"{path} cannot be read: {error}; --fresh with another --out= leaves it") from error
        if missing := {"fingerprint", "cell"} - set(self._all.columns):
            raise UserError(f"{path} has no column {', '.join(sorted(missing))}; move it away or give another --out=")

    @property
    def rows(self) -> "pd.DataFrame":
        """Everything measured under this fingerprint."""
        return self._all[self._all["fingerprint"] == self.fingerprint].reset_index(drop=True)

    def has(self, cell: str) -> bool:
        return bool((self.rows["cell"] == cell).any())

    def put(self, cell: str, keys: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the cell's rows in place of those it had under this fingerprint: all of them or, when killed, none."""
        import pandas as pd

        new = pd.DataFrame([{"fingerprint": self.fingerprint, "cell": cell, **keys, **row} for row in rows])
        kept = self._all[(self._all["fingerprint"] != self.fingerprint) | (self._all["cell"] != cell)]
        self._all = pd.concat([kept, new], ignore_index=True) if len(kept) else new
        write_atomically(self.path, self._all.to_csv(index=False).encode())
