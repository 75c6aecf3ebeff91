"""Downloads end whole or not at all, and a network that does not answer costs seconds."""

import gc
import gzip
import hashlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from offline import CLOSED_PORT, gzipped, idx_bytes, idx_set, isolate, serving
from torchvision import datasets

from cnnlab.data import downloaded, idx_datamodule
from cnnlab.data.files import download
from cnnlab.data.files.download import DownloadFailed, fetch
from cnnlab.data.mnist import MNIST
from cnnlab.errors import UserError

ARRAYS = idx_set(60, 20)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return isolate(monkeypatch, tmp_path)


@pytest.fixture
def use_server(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, dict[str, bytes]], None]:
    """Make MNIST a set of 60 + 20 images at an address, with the md5 of the files it should have there."""

    def use(address: str, files: dict[str, bytes]) -> None:
        resources = [(name, hashlib.md5(content).hexdigest()) for name, content in files.items()]
        monkeypatch.setattr(datasets.MNIST, "mirrors", [address])
        monkeypatch.setattr(datasets.MNIST, "resources", resources)
        monkeypatch.setattr(MNIST, "num_training", 60)
        monkeypatch.setattr(MNIST, "num_test", 20)
        monkeypatch.setattr(MNIST, "known_md5", {})
        monkeypatch.setattr(idx_datamodule, "NUM_VALIDATION", 20)

    return use


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


def never(folder: Path) -> Path:
    raise AssertionError("nothing should be downloaded")


def fetched(**settings: Any) -> MNIST:
    """Data that are downloaded and read, as a run does it."""
    data = MNIST(allow_subset=False, batch_size=4, **settings)
    data.prepare_data()
    data.setup()
    return data


def test_set_is_downloaded_unpacked_and_used(use_server: Callable[..., None], cache: Path) -> None:
    with serving(gzipped(ARRAYS)) as (address, requests):
        use_server(address, gzipped(ARRAYS))
        data = fetched()
        assert set(requests) == {f"/{name}" for name in gzipped(ARRAYS)}
        requests.clear()
        fetched()
        assert not requests  # the second time the files are there
    assert {path.name: path.read_bytes() for path in files_below(cache)} == {
        name: idx_bytes(array) for name, array in ARRAYS.items()
    }
    assert (cache / "MNIST/raw/train-images-idx3-ubyte").is_file()
    assert (len(data.training), len(data.validation), len(data.test_dataloader().data)) == (40, 20, 20)


def test_reading_downloads_nothing_and_a_download_is_tried_once(
    use_server: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(gzipped(ARRAYS)) as (address, requests):
        use_server(address, gzipped(ARRAYS))
        with pytest.raises(UserError, match="nor can it be downloaded .the run's first process found none"):
            MNIST(allow_subset=False, batch_size=4).setup()
        assert not requests
        MNIST(allow_subset=False, batch_size=4).prepare_data()
        MNIST(allow_subset=False, batch_size=4).setup()
    tried: list[Path] = []

    def fail(mirrors: object, download: object, target: Path, leftovers: object) -> None:
        tried.append(target)
        raise DownloadFailed("refused")

    monkeypatch.setattr(downloaded, "fetch", fail)
    data = MNIST(allow_subset=False, root="nowhere", batch_size=4)
    for _ in range(2):
        data.prepare_data()
        with pytest.raises(UserError, match="refused"):
            data.setup()
    assert len(tried) == 1


def test_a_dead_mirror_is_passed_over(use_server: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(gzipped(ARRAYS)) as (address, _):
        use_server(address, gzipped(ARRAYS))
        monkeypatch.setattr(datasets.MNIST, "mirrors", [f"{CLOSED_PORT}/", address])
        fetched()


def test_download_goes_to_the_root_that_was_named(use_server: Callable[..., None], cache: Path, tmp_path: Path) -> None:
    with serving(gzipped(ARRAYS)) as (address, _):
        use_server(address, gzipped(ARRAYS))
        fetched(root=str(tmp_path / "new/data"))
    assert len(files_below(tmp_path / "new/data/MNIST/raw")) == 4
    assert not cache.exists()


def test_an_incomplete_set_is_completed(use_server: Callable[..., None], cache: Path) -> None:
    folder = cache / "MNIST/raw"
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte").write_bytes(b"left by a copy that was broken off")
    with serving(gzipped(ARRAYS)) as (address, _):
        use_server(address, gzipped(ARRAYS))
        fetched()
    assert len(files_below(cache)) == 4


@pytest.fixture
def connections_left_open() -> Iterator[None]:
    """torchvision closes a connection that fails only when its exception is collected."""
    yield
    gc.collect()


CORRUPT = gzipped(ARRAYS) | {"t10k-labels-idx1-ubyte.gz": gzip.compress(b"something else")}


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        (gzipped(ARRAYS), "cut"),
        (gzipped(ARRAYS), "stall"),
        (gzipped(ARRAYS), "broken chunk"),
        (CORRUPT, ""),
        (dict(list(gzipped(ARRAYS).items())[:3]), ""),
        ({}, ""),
    ],
    ids=["cut", "stalled", "broken chunk", "corrupt", "one file missing", "nothing there"],
)
@pytest.mark.usefixtures("connections_left_open")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_half_a_download_leaves_no_data(
    use_server: Callable[..., None], cache: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], fault: str
) -> None:
    monkeypatch.setattr(download, "SILENCE_SECONDS", 0.3)
    with serving(files, fault) as (address, _):
        use_server(address, gzipped(ARRAYS))
        with pytest.raises(UserError, match="mnist is neither under .* nor can it be downloaded .*data.root="):
            fetched()
    assert files_below(cache) == []


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (idx_set(59, 20), "train-images-idx3-ubyte is not the file of 60 28x28 images"),
        (idx_set(60, 19), "t10k-images-idx3-ubyte is not the file of 20 28x28 images"),
    ],
)
def test_a_download_of_something_else_leaves_no_data(
    use_server: Callable[..., None], cache: Path, arrays: dict[str, bytes], message: str
) -> None:
    with serving(gzipped(arrays)) as (address, _):
        use_server(address, gzipped(arrays))
        with pytest.raises(UserError, match=message):
            fetched()
    assert files_below(cache) == []


def test_an_interrupted_download_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> Path:
        (folder / "train-images").write_bytes(b"half")
        raise KeyboardInterrupt

    with serving({}) as (address, _), pytest.raises(KeyboardInterrupt):
        fetch([address], interrupted, tmp_path / "raw")
    assert list((tmp_path / "raw").iterdir()) == []


def test_finished_files_move_and_archives_stay_behind(tmp_path: Path) -> None:
    def finish(folder: Path) -> Path:
        for name in ("images", "labels", "images.gz", "all.zip"):
            (folder / name).write_text(name)
        return folder

    with serving({}) as (address, _):
        fetch([address], finish, tmp_path / "deep/raw")
    assert sorted(path.name for path in (tmp_path / "deep/raw").iterdir()) == ["images", "labels"]


def test_torchvisions_messages_are_not_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def chatty(folder: Path) -> Path:
        print("Extracting")
        return folder

    with serving({}) as (address, _):
        fetch([address], chatty, tmp_path)
    assert capsys.readouterr().out == ""


def test_a_refused_connection_is_told_at_once(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(DownloadFailed, match=f"^{CLOSED_PORT}/a: .*refused"):
        fetch([f"{CLOSED_PORT}/a"], never, tmp_path / "raw")
    assert time.monotonic() - start < 3
    assert not (tmp_path / "raw").exists()


def test_a_proxy_that_is_down_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"https://example\.org/: .*refused"):
        fetch(["https://example.org/"], never, tmp_path / "raw")


def test_a_network_that_stays_silent_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        start = time.monotonic()
        with pytest.raises(DownloadFailed, match=f"^{address}: .*timed out"):
            fetch([address], never, tmp_path / "raw")
    assert time.monotonic() - start < 3


def test_a_name_that_is_never_looked_up_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(download, "CONNECT_SECONDS", -0.8)  # and one second for the thread
    given_up = threading.Event()

    def look_up(*arguments: object, **keywords: object) -> None:
        given_up.wait(10)
        raise OSError

    monkeypatch.setattr(download.urllib.request, "urlopen", look_up)
    with pytest.raises(DownloadFailed, match="http://nowhere/: no answer in"):
        fetch(["http://nowhere/"], never, tmp_path / "raw")
    given_up.set()


def test_patience_is_a_matter_of_seconds() -> None:
    assert download.CONNECT_SECONDS <= 10
    assert download.SILENCE_SECONDS <= 30


def test_one_mirror_that_answers_is_enough(tmp_path: Path) -> None:
    with serving({}) as (address, _):  # 404 is an answer too: only the network is tried here
        fetch([CLOSED_PORT, address], lambda folder: folder, tmp_path / "raw")


def test_every_mirrors_problem_is_told(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=f"{CLOSED_PORT}/a: .*; {CLOSED_PORT}/b: "):
        fetch([f"{CLOSED_PORT}/a", f"{CLOSED_PORT}/b"], never, tmp_path)


def test_an_address_that_does_not_speak_http_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b"220 smtp.example.org\r\n")
            connection.close()

        thread = threading.Thread(target=babble)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(DownloadFailed, match=address):
            fetch([address], never, tmp_path)
        thread.join()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with serving({}) as (address, _), pytest.raises(DownloadFailed, match="file"):
        fetch([address], lambda folder: folder, tmp_path / "file/raw")


def test_socket_timeout_holds_during_the_download_only(tmp_path: Path) -> None:
    before = socket.getdefaulttimeout()
    seen = []

    def look(folder: Path) -> Path:
        seen.append(socket.getdefaulttimeout())
        return folder

    with serving({}) as (address, _):
        fetch([address], look, tmp_path)
    assert seen == [download.SILENCE_SECONDS]
    assert socket.getdefaulttimeout() == before


def test_temporary_files_lie_beside_their_destination(tmp_path: Path) -> None:
    """A move within one file system is one step; from elsewhere it could be a copy, broken off halfway."""
    places = []
    with serving({}) as (address, _):
        fetch([address], lambda folder: places.append(folder) or folder, tmp_path / "raw")
    assert places[0].parent == tmp_path / "raw" != Path(tempfile.gettempdir())
