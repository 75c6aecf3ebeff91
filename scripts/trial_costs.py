"""Count what one trial of a search asks of its database, and how much room it takes there.

    python scripts/trial_costs.py --results RESULTS.md

The database is a PostgreSQL that is started for it; it needs Debian's package postgresql and the driver psycopg. The
trials have four parameters and five reports and are not trained; what is counted is the same on every machine.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import FloatDistribution
from optuna.pruners import MedianPruner
from optuna.samplers import RandomSampler
from optuna.trial import TrialState, create_trial
from sqlalchemy import event, text

from async_optuna.distinct_sampler import DistinctSampler
from async_optuna.ledger import Ledger
from async_optuna.outcome import Outcome
from async_optuna.ownership import Owner
from async_optuna.space import Parameter, Space
from async_optuna.storage import open_storage
from cnnlab.cli import console
from cnnlab.workbench import marked_block
from cnnlab.workbench.notation import markdown
from postgresql_server import running_server, what_is_missing

_SPACE = Space(tuple(Parameter(name, FloatDistribution(0, 1)) for name in ("a", "b", "c", "d")))
_REPORTS = 5
_COPIES = 100  # of a trial, to see what it takes of pages and indexes


@dataclass
class Count:
    """What has been sent to the database."""

    queries: int = 0
    commits: int = 0


@console.script()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--running", type=int, nargs="+", default=[0, 200], help="trials that run elsewhere")
    parser.add_argument("--trials", type=int, default=10, help="that are measured (default 10)")
    parser.add_argument("--results", type=Path, help="also put the table into this Markdown file")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if missing := what_is_missing():
        sys.exit(f"this needs {missing}")
    with running_server() as server, tempfile.TemporaryDirectory(prefix="costs_") as folder:
        rows = [measure(server.url, Path(folder) / str(n), n, arguments.trials) for n in arguments.running]
    table = pd.DataFrame(rows)
    found = f"{markdown([table, *table.to_numpy(dtype=object)])}\nMeans of {arguments.trials} trials."
    print(found)
    if arguments.results:
        marked_block.write(arguments.results, "trial costs", found)


def measure(url: str, folder: Path, num_running: int, num_trials: int) -> dict[str, Any]:
    """The costs of a trial while so many others run."""
    folder.mkdir()
    storage = open_storage(url, folder)
    study = optuna.create_study(study_name=f"{num_running}", storage=storage, pruner=MedianPruner())
    others = {"owner": "elsewhere-0"}
    study.add_trials([create_trial(state=TrialState.RUNNING, user_attrs=others) for _ in range(num_running)])
    ledger = Ledger(study, _SPACE, folder, 10**6, is_shared=True)
    study.sampler = DistinctSampler(lambda seed: RandomSampler(seed=seed), 0, _SPACE, ledger.is_seen)
    engine = storage._backend.engine  # type: ignore[attr-defined]
    begin, report, end, beat = Count(), Count(), Count(), Count()
    for number in range(num_trials + 1):
        with counted(engine, begin if number else Count()):  # the first one looks for what happened before
            claim = ledger.claim(0)
        assert claim is not None
        for step in range(_REPORTS):
            with counted(engine, report if number else Count()):
                ledger.report(claim, 1 / (step + 1 + number), step)
        with counted(engine, end if number else Count()):
            ledger.finish(claim.number, Outcome("COMPLETE", [float(number)]))
            ledger.refresh()
    before = size_of(engine)
    study.add_trials([study.get_trials(deepcopy=False)[-1]] * _COPIES)
    size = (size_of(engine) - before) / _COPIES
    owner = Owner(folder, study, is_shared=True)
    with counted(engine, beat):
        owner.beat()
    owner.leave()
    ledger.leave()
    total = Count(*(getattr(begin, kind) + getattr(report, kind) + getattr(end, kind) for kind in vars(begin)))
    return {
        "trials that run elsewhere": num_running,
        "queries to begin": f"{begin.queries / num_trials:.0f}",
        "to report": f"{report.queries / num_trials / _REPORTS:.0f}",
        "to end": f"{end.queries / num_trials:.0f}",
        "all of them": f"{total.queries / num_trials:.0f}",
        "commits": f"{total.commits / num_trials:.0f}",
        "KB in the database": f"{size / 1000:.1f}",
        "queries of a sign of life": beat.queries,
    }


@contextmanager
def counted(engine: Any, count: Count) -> Iterator[None]:
    """Add what this block sends."""

    def query(*_: Any) -> None:
        count.queries += 1

    def commit(*_: Any) -> None:
        count.commits += 1

    event.listen(engine, "before_cursor_execute", query)
    event.listen(engine, "commit", commit)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", query)
        event.remove(engine, "commit", commit)


def size_of(engine: Any) -> int:
    """Bytes of all tables and indexes, as they were last written."""
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


if __name__ == "__main__":
    main()
