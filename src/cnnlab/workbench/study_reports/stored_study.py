"""Reports on a study by the address of its storage alone: from any machine, of trials that ran on others."""

import re
from pathlib import Path

from optuna.trial import TrialState

from cnnlab.errors import UserError, did_you_mean
from cnnlab.workbench.notation import aligned
from cnnlab.workbench.study_reports import sweep_report
from cnnlab.workbench.study_reports.study_storage import read_study, study_names

_FOLDER = Path("outputs/reports")


def write(storage: str, name: str | None, top: int = 10, figures: bool = True, trial: int | None = None) -> str:
    """Write the report of a study, or of one of its trials, to outputs/reports/<study> and return what to print.

    Args:
        storage: as for hydra.sweeper.storage: a URL, a journal's path, or a class with its arguments.
        name: of the study; where it is None and the storage holds several, they are listed instead.
        top, figures, trial: as for a sweep folder.

    Raises:
        UserError: the storage cannot be read, or holds no such study.
    """
    names = study_names(storage)
    if not names or (name is not None and name not in names):
        found = f"it holds {', '.join(names)}{did_you_mean(str(name), names)}" if names else "it holds none yet"
        raise UserError(f"no study {name or ''} in the storage: {found}".replace("study  in", "study in"))
    if name is None and len(names) > 1:
        return _listed(storage, names)
    study, _ = read_study(Path.cwd(), {"storage": storage, "study_name": name or names[0]})
    folder = _FOLDER / re.sub(r"[^\w.-]", "_", study.study_name)
    folder.mkdir(parents=True, exist_ok=True)
    if trial is not None:
        return sweep_report.write_trial(folder, trial, study)
    return sweep_report.write(folder, top, figures, study)


def _listed(storage: str, names: list[str]) -> str:
    rows = [["study", "trials", "complete", "running", "last trial began"]]
    for name in names:
        study, _ = read_study(Path.cwd(), {"storage": storage, "study_name": name})
        trials = study.get_trials(deepcopy=False)
        began = max((trial.datetime_start for trial in trials if trial.datetime_start), default=None)
        counts = [sum(trial.state is state for trial in trials) for state in (TrialState.COMPLETE, TrialState.RUNNING)]
        rows.append([name, str(len(trials)), *map(str, counts), f"{began:%Y-%m-%d %H:%M}" if began else "–"])
    return f"{aligned(rows)}\n\nstudy_name=… reports on one of them"
