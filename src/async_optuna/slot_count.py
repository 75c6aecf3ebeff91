"""Hands out the slots of a search, as many at once as a file in its folder says while the search runs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from async_optuna.commands import short_path
from async_optuna.slots import Slot

SLOTS_FILE = "SLOTS"


class FreeSlots:
    """The slots in which no trial runs.

    The file holds the number of trials at once: 0 pauses the search, and without the file it is as at the start. What
    runs in a slot too many goes on to its end.

    Args:
        slots: as planned at the start; further ones share their GPUs in turn.
        sweep_dir: where the file is looked for.
        can_grow: whether there can be more than that.
        say: is told of every change.
    """

    def __init__(self, slots: Sequence[Slot], sweep_dir: Path, can_grow: bool, say: Callable[[str], None]) -> None:
        self._slots = slots
        self._file = sweep_dir / SLOTS_FILE
        self._can_grow = can_grow
        self._say = say
        self._used: set[int] = set()
        self._text = ""
        self.wanted = len(slots)

    def look(self) -> None:
        """Read the file."""
        try:
            text = self._file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            text = ""
        if text == self._text:
            return
        self._text = text
        before, now = self.wanted, int(text) if text.isdecimal() else len(self._slots)
        if text and not text.isdecimal():
            self._say(
                f"{short_path(self._file)}: expected a number of trials at once, got {text[:40]!r}; they are {now}"
            )
        self.wanted = now if self._can_grow else min(now, len(self._slots))
        if self.wanted != before:
            pause = f"paused; another number in {short_path(self._file)} goes on"
            self._say(f"slots   {f'{self.wanted} at once' if self.wanted else pause}")

    def take(self) -> Slot | None:
        """The first free slot; None if as many trials run as may."""
        if len(self._used) >= self.wanted:
            return None
        index = next(index for index in range(self.wanted) if index not in self._used)
        self._used.add(index)
        return replace(self._slots[index % len(self._slots)], index=index)

    def give_back(self, slot: Slot) -> None:
        self._used.discard(slot.index)
