"""Keeps the config of a study with it, so that trials with an edited config do not slip in among the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna

from async_optuna.differences import differences, in_one_line
from async_optuna.errors import SearchError
from async_optuna.output import say

_ATTRIBUTE = "config"
_CHANGES = "config_changes"
_CODE_VERSION = "code_version"


@dataclass(frozen=True)
class StudyConfig:
    """What all trials of a study have in common.

    Attributes:
        values: each key and its value.
        free: the choices of config groups that may differ; where one does, so may the keys below it.
        may_differ: keys that are not among the values; in a study of an earlier version they may be.
    """

    values: Mapping[str, Any]
    free: Mapping[str, str] = field(default_factory=dict)
    may_differ: Sequence[str] = ()

    def check(self, study: optuna.Study, accept_changes: bool) -> list[str]:
        """Return what differs from the config that the study was made with.

        Raises:
            SearchError: if something does and may not.
        """
        found = self._changes(study)
        if found and not accept_changes:
            raise SearchError(
                f"study {study.study_name} was made with another config: {in_one_line(found)}; change it back, "
                "name another hydra.sweeper.study_name, or set hydra.sweeper.accept_changes=true to go on with it"
            )
        return found

    def keep(self, study: optuna.Study, accept_changes: bool) -> None:
        """Write it down where the study has none yet or the user accepts another one."""
        found = self.check(study, accept_changes)
        if found:
            first = len(study.get_trials(deepcopy=False))
            changes = [*study.user_attrs.get(_CHANGES, []), {"from_trial": first, "changes": found}]
            study.set_user_attr(_CHANGES, changes)
            say(f"note: from trial {first} on {in_one_line(found)}")
        if found or _ATTRIBUTE not in study.user_attrs:
            study.set_user_attr(_ATTRIBUTE, {"values": dict(self.values), "free": dict(self.free)})

    def _changes(self, study: optuna.Study) -> list[str]:
        old = study.user_attrs.get(_ATTRIBUTE)
        if old is None:  # made by an earlier version
            return []
        others = {key for key in {**old["free"], **self.free} if old["free"].get(key) != self.free.get(key)}
        before, now = (
            {key: value for key, value in values.items() if key.partition(".")[0] not in others and self._counts(key)}
            for values in (old["values"], self.values)
        )
        return list(differences(before, now))

    def _counts(self, key: str) -> bool:
        key = key.partition(" where ")[0]
        return not any(key == one or key.startswith(f"{one}.") for one in self.may_differ)


def note_code_version(study: optuna.Study, version: str) -> None:
    """Keep the version of the app's code with the study, and say so if it is another one now."""
    before = study.user_attrs.get(_CODE_VERSION)
    if before is None:
        study.set_user_attr(_CODE_VERSION, version)
    elif before != version:
        say(f"note: the code has changed since the study began: it was {before}, it is {version}")
