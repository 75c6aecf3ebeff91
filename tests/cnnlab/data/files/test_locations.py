"""Where data are looked for: data.root, then CNNLAB_DATA_DIR, then the cache; what cannot be written is only read."""

import os
from pathlib import Path

import pytest
from offline import idx_set, isolate, write

from cnnlab.data import idx_datamodule
from cnnlab.data.files.locations import cache_dir, data_dirs
from cnnlab.data.mnist import MNIST


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return isolate(monkeypatch, tmp_path)


def make_unwritable(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Root may write everywhere, so the refusal is played."""
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not Path(path).is_relative_to(folder) and access(path, mode))


def test_cache_by_default(cache: Path) -> None:
    assert data_dirs(None) == [cache]
    assert not cache.exists()  # nothing is made until something is downloaded


def test_environment_variable_beats_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CNNLAB_DATA_DIR", str(tmp_path / "shared"))
    assert data_dirs(None) == [tmp_path / "shared"]


def test_root_beats_the_environment_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CNNLAB_DATA_DIR", str(tmp_path / "shared"))
    assert data_dirs(str(tmp_path / "own")) == [tmp_path / "own"]


def test_relative_folders_are_made_absolute_and_home_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "me"))
    assert data_dirs("some/data") == [tmp_path / "some/data"]
    assert data_dirs("~/data") == [tmp_path / "me/data"]


def test_unwritable_root_is_read_and_the_cache_stands_behind_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
) -> None:
    make_unwritable(monkeypatch, tmp_path / "shared")
    (tmp_path / "shared").mkdir()
    assert data_dirs(str(tmp_path / "shared/not/yet/there")) == [tmp_path / "shared/not/yet/there", cache]


def test_root_that_is_a_file_cannot_be_written(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "file").touch()
    assert data_dirs(str(tmp_path / "file")) == [tmp_path / "file", cache]


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [("linux", "XDG_CACHE_HOME", "x/cnnlab"), ("win32", "LOCALAPPDATA", "x/cnnlab"), ("darwin", "HOME", None)],
)
def test_cache_follows_each_systems_convention(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, variable: str, expected: str | None
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv(variable, str(tmp_path / "x"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "x")
    assert cache_dir() == tmp_path / (expected or "x/Library/Caches/cnnlab")


@pytest.fixture
def small_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MNIST, "num_training", 60)
    monkeypatch.setattr(MNIST, "num_test", 20)
    monkeypatch.setattr(MNIST, "known_md5", {})
    monkeypatch.setattr(idx_datamodule, "NUM_VALIDATION", 20)


@pytest.mark.usefixtures("small_set")
def test_files_are_read_from_an_unwritable_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path / "shared/MNIST/raw", idx_set(60, 20))
    make_unwritable(monkeypatch, tmp_path / "shared")
    before = sorted((tmp_path / "shared").rglob("*"))
    data = MNIST(allow_subset=False, root=str(tmp_path / "shared"), batch_size=4)
    data.setup()
    assert (len(data.training), len(data.validation)) == (40, 20)
    assert sorted((tmp_path / "shared").rglob("*")) == before


@pytest.mark.usefixtures("small_set")
def test_cache_serves_where_an_unwritable_root_has_no_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
) -> None:
    write(cache / "MNIST/raw", idx_set(60, 20))
    (tmp_path / "shared").mkdir()
    make_unwritable(monkeypatch, tmp_path / "shared")
    assert MNIST(allow_subset=False, root=str(tmp_path / "shared")).locate() == cache / "MNIST/raw"
