"""The private names of Optuna that the engine uses are still there and mean what they meant."""

import ast
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
import pytest
from optuna.distributions import FloatDistribution

from async_optuna import optuna_internals
from conftest import PROJECT


def waiting() -> optuna.Study:
    study = optuna.create_study()
    study.enqueue_trial({"x": 2.0})
    return study


def wilcoxon() -> optuna.pruners.WilcoxonPruner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.pruners.WilcoxonPruner(p_threshold=0.2)


def is_read_once() -> bool:
    """Whether an enqueued trial of another process is found only after the block."""
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/s.db"
        ours, theirs = (optuna.create_study(study_name="s", storage=url, load_if_exists=True) for _ in range(2))
        ours.get_trials()
        theirs.enqueue_trial({"x": 2.0})
        with optuna_internals.as_read_last(ours):
            asked = ours.ask()
        return (asked.number, ours.ask().number) == (1, 0)


def constrained(study: optuna.Study) -> optuna.Study:
    study.ask()
    optuna_internals.storage_of(study).set_trial_system_attr(0, f"{optuna_internals.CONSTRAINT}size", 1.5)
    return study


@pytest.mark.parametrize(
    ("name", "works"),
    {
        "Study._storage": lambda study: optuna_internals.storage_of(study).get_n_trials(0) == 1,
        "Study._study_id": lambda study: optuna_internals.id_of_study(study) == 0,
        "Trial._trial_id": lambda study: optuna_internals.id_of_trial(study.ask()) == 0,
        "BaseDistribution._contains": lambda study: optuna_internals.contains(FloatDistribution(0, 1, step=0.1), 0.3),
        "the system attribute fixed_params": lambda study: (
            study.trials[0].system_attrs[optuna_internals.ENQUEUED_PARAMS] == {"x": 2.0}
        ),
        "WilcoxonPruner._p_threshold": lambda study: optuna_internals.p_threshold_of(wilcoxon()) == 0.2,
        "_CachedStorage._read_trials_from_remote_storage": lambda study: is_read_once(),
        "the system attribute constraints:": lambda study: constrained(study).trials[0].constraints == {"size": 1.5},
    }.items(),
)
def test_what_the_engine_needs_of_optuna_is_there(name: str, works: Callable[[optuna.Study], bool]) -> None:
    try:
        as_before = works(waiting())
    except (AttributeError, KeyError):
        as_before = False
    if not as_before:
        pytest.fail(f"Optuna {optuna.__version__} no longer has {name} as optuna_internals.py uses it", pytrace=False)


def private_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and "._" in f"{node.module}.{node.names[0].name}":
            yield ast.unparse(node)
        is_private = isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        if is_private and ast.unparse(node.value) not in ("self", "cls", "os"):
            yield ast.unparse(node)


def test_no_other_module_of_the_engine_uses_private_names() -> None:
    for path in [*(PROJECT / "src/async_optuna").rglob("*.py"), *(PROJECT / "src/hydra_plugins").rglob("*.py")]:
        found = list(private_names(path))
        assert bool(found) == path.stem.endswith("_internals"), (path, found)
