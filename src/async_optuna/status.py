"""Shows the progress of a search: a line for every trial that has ended and, on a terminal, a block below them."""

import sys
import time

from optuna.trial import FrozenTrial

from async_optuna.claim import Claim
from async_optuna.executors import Ended
from async_optuna.output import say
from async_optuna.status_block import Progress, Row, block, settings_in_words
from async_optuna.tally import Counts
from async_optuna.terminal import Terminal

# Of a line that goes into a file or a pipe.
_COLUMNS = 120


class Status:
    """Prints lines to stdout; the block, on a terminal only, to stderr.

    Args:
        name: of the study.
        n_trials: to reach.
        num_slots: trials at once.
        num_before: trials that had finished when this call began.
        step_name: what a trial reports after, such as an epoch.
        timeout_seconds: after which no further trial is started.
    """

    def __init__(
        self,
        name: str,
        n_trials: int,
        num_slots: int,
        num_before: int,
        step_name: str = "step",
        timeout_seconds: float | None = None,
    ) -> None:
        self._name = name
        self._n_trials = n_trials
        self._num_slots = num_slots
        self._num_before = num_before
        self._step_name = step_name
        self._timeout_seconds = timeout_seconds
        self._began = time.monotonic()
        self._has_estimated = False
        self._running: dict[int, Row] = {}
        self._terminal = Terminal()

    def say(self, line: str) -> None:
        """Print a line above the block."""
        self._terminal.clear()
        say(line)

    def begins(self, claim: Claim) -> None:
        self._running[claim.number] = Row(claim.number, claim.point, time.monotonic())

    def reports(self, number: int, value: float, step: int, num_steps: int | None) -> None:
        if number in self._running:
            running = self._running[number]
            running.value, running.step, running.num_steps = value, step, num_steps

    def ended(self, claim: Claim, ended: Ended, counts: Counts, best: FrozenTrial | None, again: bool) -> None:
        """Tell how a trial ended."""
        running = self._running.pop(claim.number, Row(claim.number, claim.point, 0.0))
        outcome = ended.outcome
        settings = settings_in_words(claim.point)
        if outcome is None:
            how, settings = f"{ended.reason}; {'will be run again' if again else 'no retry left'}", ""
        elif outcome.values is not None:
            how = ", ".join(f"{value:.6g}" for value in outcome.values)
            how += f"  infeasible: {outcome.infeasible}" if outcome.infeasible else ""
            if best is not None and best.number == claim.number:
                how += "  best so far"
        elif outcome.state == "PRUNED" and running.value is not None:
            how = f"pruned at {self._step_name} {running.step}  {running.value:.6g}"
        else:
            word = "pruned" if outcome.state == "PRUNED" else "interrupted" if again else "failed"
            how = f"{word}: {outcome.reason}"
            how += "; does not count and will be run again" if again else ""
            settings = ""
        seconds = f"  ({outcome.seconds:.1f} s)" if outcome else ""
        line = f"trial {claim.number}  {how}{seconds}"
        room = (self._terminal.size[0] if sys.stdout.isatty() else _COLUMNS) - len(line) - 2
        self.say(f"{line}  {_cut(settings, room)}".rstrip())
        self._estimate(counts)
        self.show(counts, best)

    def show(self, counts: Counts, best: FrozenTrial | None, note: str = "") -> None:
        """Draw the block.

        Args:
            note: why no trial is started at present.
        """
        if not self._terminal.is_used:
            return
        elapsed = time.monotonic() - self._began
        here, left = counts.finished - self._num_before, None
        words = [f"{counts.complete} complete", f"{counts.pruned} pruned"]
        words += [f"{counts.failed} failed"] if counts.failed else []
        if here > 0:
            left = max(self._n_trials - counts.finished, 0) * elapsed / here
            left = min(left, max(self._timeout_seconds - elapsed, 0)) if self._timeout_seconds else left
            words.append(f"{here * 3600 / max(elapsed, 1):,.0f} trials/h")
        progress = Progress(self._name, counts.finished, self._n_trials, elapsed, left, words, note=note)
        if best is not None:
            progress.best, progress.best_point = f"best {best.value:.6g} (trial {best.number})", best.params
        rows = [row for _, row in sorted(self._running.items())]
        self._terminal.draw(block(progress, rows, self._step_name, *self._terminal.size))

    def close(self) -> None:
        self._terminal.clear()

    def _estimate(self, counts: Counts) -> None:
        here = counts.finished - self._num_before
        if self._has_estimated or here < 1:
            return
        self._has_estimated = True
        seconds = (time.monotonic() - self._began) * (self._n_trials - self._num_before) / self._num_slots
        if seconds >= 5:
            self.say(f"about {duration(seconds)} in all, going by the first trial (pruned ones will shorten it)")


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _cut(words: str, room: int) -> str:
    """As many of the settings as there is room for, and a sign if some are left out."""
    if len(words) <= room:
        return words
    kept = words[: max(room - 1, 0)].rpartition(" ")[0]
    return f"{kept} …" if kept else ""
