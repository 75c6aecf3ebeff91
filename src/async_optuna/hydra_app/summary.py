"""Tells the user what a search is about to do, and what came of it."""

import inspect
from collections.abc import Iterator, Sequence

from hydra.utils import get_method
from omegaconf import DictConfig

from async_optuna.commands import short_path
from async_optuna.errors import on_one_line
from async_optuna.executors import Executor, ProcessExecutor
from async_optuna.ledger import Ledger
from async_optuna.output import say
from async_optuna.results import STATES, Results
from async_optuna.status_block import settings_in_words


def announce(ledger: Ledger, executor: Executor, metric_names: Sequence[str], directions: Sequence[str]) -> None:
    """Print what begins: the study, where its trials run, its goal and its folder."""
    slots = executor.slots
    where = f"{len(slots)} at once" if len(slots) > 1 else "one by one"
    if slots[0].gpus:
        where += ", on GPUs " + " ".join(",".join(slot.gpus) for slot in slots)
    elif isinstance(executor, ProcessExecutor):
        where += f", {slots[0].num_threads} CPU thread{'s' * (slots[0].num_threads > 1)} each"
    done = f", {ledger.counts.finished} already done" if ledger.counts.finished else ""
    say(f"study   {ledger.study.study_name}: {ledger.num_expected} trials{done}; {where}")
    goals = [f"{one} {name}" for one, name in zip(directions, metric_names, strict=True)]
    say(f"goal    {', '.join(goals)}")
    say(f"folder  {short_path(ledger.sweep_dir)}")


def report(settings: DictConfig, ledger: Ledger, results: Results) -> None:
    """Print the app's own report, or a few lines if there is none; and what remains to be said.

    A search has succeeded also if its report fails.
    """
    text = ""
    if settings.report:
        try:
            text = "\n" + _own_report(settings.report, ledger)
        except Exception as error:  # whatever the app does there
            say(f"the report could not be made: {on_one_line(error)}", to_errors=True)
    say(text or summary(ledger, results))
    for line in _last_words(settings, ledger):
        say(line)


def _own_report(path: str, ledger: Ledger) -> str:
    """The app's text about the folder; a function with an argument `study` is given the study, which is open here."""
    draw_up = get_method(path)
    takes_study = "study" in inspect.signature(draw_up).parameters
    return str(draw_up(ledger.sweep_dir, study=ledger.study) if takes_study else draw_up(ledger.sweep_dir))


def _last_words(settings: DictConfig, ledger: Ledger) -> Iterator[str]:
    counts, size = ledger.counts, ledger.size
    if size is not None and ledger.n_trials <= counts.finished < size:
        yield f"{counts.finished} of {size} points were run; hydra.sweeper.n_trials={size} runs the rest"
    if counts.failed and counts.failed == counts.finished:
        yield f"all {counts.failed} trials failed, as hydra.sweeper.max_failure_rate=1 allows"


def summary(ledger: Ledger, results: Results) -> str:
    """The number of trials, the best of them and the command that repeats it."""
    content = results.content()
    counts = content["counts"]
    found = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    goals = ", ".join(f"{one} {name}" for one, name in zip(content["directions"], content["metrics"], strict=True))
    lines = [f"Study {content['study_name']} ({goals}): {found or 'no trial has ended'}"]
    if "best_value" in content:
        lines += [
            f"Best: trial {content['best_trial']}, {content['metrics'][0]} {content['best_value']:.6g}",
            f"  searched   {settings_in_words(content['best_params'])}",
            f"  folder     {short_path(ledger.sweep_dir / str(content['best_folder']))}",
            f"  reproduce  {content['reproduce']}",
        ]
    elif counts["complete"] and counts.get("infeasible") == counts["complete"]:
        lines.append("Best: none, for no trial satisfies all constraints")
    elif "solutions" in content:
        lines.append(f"Best: {len(content['solutions'])} trials that no other beats in every objective:")
        lines += [
            f"  trial {one['trial']}: {', '.join(f'{value:.6g}' for value in one['values'])}"
            for one in content["solutions"]
        ]
    return "\n".join(lines)
