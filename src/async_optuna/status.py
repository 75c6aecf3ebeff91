"""Shows the progress of a search: a line for every trial that has ended, and one live line below them."""

import sys
import time
from typing import Any

from optuna.trial import FrozenTrial
from tqdm import tqdm

from async_optuna.executors import Ended
from async_optuna.ledger import Claim
from async_optuna.output import say
from async_optuna.tally import Counts


class Status:
    """Prints to stdout; the live line, on a terminal only, to stderr.

    Args:
        n_trials: to reach.
        num_slots: trials at once.
        num_before: trials that had finished when this call began.
    """

    def __init__(self, n_trials: int, num_slots: int, num_before: int) -> None:
        self._n_trials = n_trials
        self._num_slots = num_slots
        self._num_before = num_before
        self._began = time.monotonic()
        self._has_estimated = False
        self._bar: tqdm[Any] = tqdm(
            total=n_trials, initial=num_before, unit="trial", dynamic_ncols=True, disable=not sys.stderr.isatty()
        )

    def say(self, line: str) -> None:
        with self._bar.external_write_mode(file=sys.stdout):
            say(line)

    def ended(self, claim: Claim, ended: Ended, counts: Counts, best: FrozenTrial | None, again: bool) -> None:
        """Tell how a trial ended."""
        outcome = ended.outcome
        if outcome is None:
            how = f"{ended.reason}; {'will be run again' if again else 'no retry left'}"
        elif outcome.values is not None:
            how = ", ".join(f"{value:.6g}" for value in outcome.values)
            how += f"  infeasible: {outcome.infeasible}" if outcome.infeasible else ""
            if best is not None and best.number == claim.number:
                how += "  best so far: " + " ".join(_changed(claim))
        else:
            how = f"{outcome.state.lower()}: {outcome.reason}"
        seconds = f"  ({outcome.seconds:.1f} s)" if outcome else ""
        self.say(f"trial {claim.number}  {how}{seconds}")
        self.show(counts, best)
        self._estimate(counts)

    def show(self, counts: Counts, best: FrozenTrial | None) -> None:
        parts = [f"{counts.running} running", f"{counts.pruned} pruned", f"{counts.failed} failed"]
        if best is not None and best.value is not None:
            parts.append(f"best {best.value:.5g} (trial {best.number})")
        hours = (time.monotonic() - self._began) / 3600
        if counts.finished > self._num_before and hours > 0:
            parts.append(f"{(counts.finished - self._num_before) / hours:,.0f} trials/h")
        self._bar.set_postfix_str(", ".join(parts), refresh=False)
        self._bar.n = counts.finished
        self._bar.refresh()

    def close(self) -> None:
        self._bar.leave = False
        self._bar.close()

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


def _changed(claim: Claim) -> list[str]:
    short = {name: f"{value:.4g}" for name, value in claim.point.items() if isinstance(value, float)}
    return [f"{name}={short.get(name, value)}" for name, value in claim.point.items()]
