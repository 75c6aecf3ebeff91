"""Finds trials that hang: those that take longer or are silent for longer than was set, or than they and others were.

A trial is silent from its start to its first report, between two reports, and from the last one to its end. Without
settings it may be silent 20 times as long as it ever was. Before its first report that is not known: then 20 times as
long as others were. Nobody is suspected before 10 minutes, and before the first report not before an hour. As long as
nothing is known of any trial it is a day or, if the whole search has a time limit, twice that limit.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from optuna.trial import FrozenTrial

_TIMES_AS_LONG = 20
_SHORTEST = 600.0
_SHORTEST_BEFORE_A_REPORT = 3600.0
_NOTHING_KNOWN = 86_400.0

# More than that between two looks means that this process itself was asleep, and could not hear of any trial.
_LONGEST_TURN = 5.0


@dataclass
class _Watched:
    began: float
    last_sign: float
    longest_silence: float = 0.0


class Overtime:
    """Watches the running trials of one controller.

    Args:
        trial_timeout_seconds: how long a trial may take; None or 0: as long as it is not silent.
        no_report_seconds: how long it may be silent; None: see above; 0: for ever.
        timeout_seconds: after which the search starts no more trials.
    """

    def __init__(
        self,
        trial_timeout_seconds: float | None = None,
        no_report_seconds: float | None = None,
        timeout_seconds: float | None = None,
    ) -> None:
        self._trial_timeout = trial_timeout_seconds or float("inf")
        self._no_report = no_report_seconds if no_report_seconds != 0 else float("inf")
        self._nothing_known = 2 * timeout_seconds if timeout_seconds else _NOTHING_KNOWN
        self._longest_silence = 0.0
        self._watched: dict[int, _Watched] = {}
        self._now, self._looked_at = 0.0, time.monotonic()

    def learn(self, trials: Iterable[FrozenTrial]) -> None:
        """Take the silences of trials that finished in earlier calls from their mean."""
        for trial in trials:
            seconds = trial.user_attrs.get("seconds", 0.0) / (len(trial.intermediate_values) + 1)
            self._longest_silence = max(self._longest_silence, seconds)

    def begins(self, number: int) -> None:
        now = self._tick()
        self._watched[number] = _Watched(now, now)

    def reports(self, number: int) -> None:
        if number not in self._watched:
            return
        watched, now = self._watched[number], self._tick()
        watched.longest_silence = max(watched.longest_silence, now - watched.last_sign)
        watched.last_sign = now
        self._longest_silence = max(self._longest_silence, watched.longest_silence)

    def ends(self, number: int) -> float:
        """Watch a trial no longer; return how long it took."""
        self.reports(number)
        watched = self._watched.pop(number, None)
        return self._now - watched.began if watched else 0.0

    def seconds(self) -> float:
        """How long the running trials have taken so far, all together."""
        now = self._tick()
        return sum(now - watched.began for watched in self._watched.values())

    def hanging(self) -> list[tuple[int, str]]:
        """The trials that hang, each with the reason to say so."""
        now, found = self._tick(), []
        for number, watched in self._watched.items():
            if now - watched.began > self._trial_timeout:
                limit = f"hydra.sweeper.trial_timeout_seconds={self._trial_timeout:g}"
                found.append((number, f"it took longer than {limit} allows"))
            elif now - watched.last_sign > self._silence_allowed(watched):
                silence = f"{round(now - watched.last_sign)} s"
                found.append((number, f"it hung: no report for {silence} (see hydra.sweeper.no_report_seconds)"))
        return found

    def _silence_allowed(self, watched: _Watched) -> float:
        if self._no_report is not None:
            return self._no_report
        if watched.longest_silence:
            return max(_SHORTEST, _TIMES_AS_LONG * watched.longest_silence)
        others = _TIMES_AS_LONG * self._longest_silence or self._nothing_known
        return max(_SHORTEST_BEFORE_A_REPORT, others)

    def _tick(self) -> float:
        now = time.monotonic()
        self._now += min(now - self._looked_at, _LONGEST_TURN)
        self._looked_at = now
        return self._now
