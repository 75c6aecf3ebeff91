"""The private names of Hydra that the engine uses are still there."""

import importlib
from functools import reduce

import hydra
import pytest
from hydra.core.utils import JobReturn


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("hydra._internal.callbacks", "Callbacks"),
        ("hydra._internal.config_loader_impl", "get_overrides_dirname"),
        ("hydra._internal.config_loader_impl", "ConfigLoaderImpl._apply_overrides_to_config"),
        ("hydra.core.override_parser.types", "Override._get_value_element_as_str"),
        ("hydra.core.utils", "JobReturn._return_value"),
    ],
)
def test_what_the_engine_needs_of_hydra_is_there(module: str, name: str) -> None:
    try:
        reduce(getattr, name.split("."), importlib.import_module(module))
    except (ImportError, AttributeError):
        pytest.fail(f"Hydra {hydra.__version__} no longer has {module}.{name}", pytrace=False)


def test_what_a_job_left_is_found_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    from async_optuna.hydra_app import hydra_internals  # not above: the test before says what is gone

    result = JobReturn()
    result.return_value = 3
    assert hydra_internals.what_the_task_left(result) == 3
    assert capsys.readouterr() == ("", "")
