"""All that `make test` runs in a new project, for every combination of parts: `make test-projects`.

That takes an hour on two cores, so neither `make test` nor `make test-slow` collects this file.
"""

import pytest
from test_new_project import COMBINATIONS, Make, in_the_project, make, names_of

__all__ = ["make"]


@pytest.mark.parametrize("keep", COMBINATIONS, ids=names_of)
def test_a_combination_passes_its_tests(keep: tuple[str, ...], make: Make) -> None:
    folder = make(keep)
    types = in_the_project(folder, "-m", "mypy")
    assert types.returncode == 0, types.stdout
    tested = in_the_project(folder, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not slow", "-x")
    assert tested.returncode == 0, tested.stdout[-4000:]
