"""The Free Spoken Digit Dataset: official splits, a speaker held out, files checked, downloaded if there are none."""

import os
import re
from pathlib import Path

import pytest
import torch
from offline import isolate, serving
from sounds import spoken_digits, zipped

from cnnlab.data.fsdd import FSDD
from cnnlab.data.samples import TensorSamples
from cnnlab.errors import UserError

DATA_DIR = Path(os.environ.get("CNNLAB_DATA_DIR") or "nowhere").absolute()
needs_fsdd = pytest.mark.skipif(
    not (DATA_DIR / "fsdd/recordings.zip").is_file(), reason="CNNLAB_DATA_DIR holds no fsdd/recordings.zip"
)
FILES = spoken_digits()


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return isolate(monkeypatch, tmp_path)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two speakers with 12 takes of each digit."""
    monkeypatch.setattr(FSDD, "known_sha256", None)
    zipped(tmp_path / "data/fsdd/recordings.zip", FILES)
    return tmp_path / "data"


def ready(root: Path, **settings: object) -> FSDD:
    data = FSDD(str(root), batch_size=8, **settings)  # type: ignore[arg-type]
    data.prepare_data()
    data.setup()
    return data


def hashes(samples: TensorSamples) -> set[bytes]:
    return {sample.numpy().tobytes() for sample in samples.inputs}


def test_splits_hold_whole_takes_of_every_speaker_and_digit(small: Path) -> None:
    data = ready(small)
    test = data.test_dataloader().data
    assert [len(part) for part in (data.training, data.validation, test)] == [2 * 20, 5 * 20, 5 * 20]
    for part in (data.training, data.validation, test):
        assert torch.bincount(part.labels).tolist() == [len(part) // 10] * 10
    parts = [hashes(part) for part in (data.training, data.validation, test)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == len(FILES)
    assert (data.dataset, data.input_shape) == ("fsdd", (1, 8_000))
    wanted = data.audio.sample(FILES["3_theo_2.wav"]).tobytes()
    assert wanted in parts[2]
    assert data.description()["audio"]["features"] == "waveform"


def test_nothing_of_a_held_out_speaker_is_trained_on(small: Path) -> None:
    data = ready(small, held_out_speaker="theo", features="log_mel")
    test = data.test_dataloader().data
    by_speaker = {
        speaker: {data.audio.sample(content).tobytes() for name, content in FILES.items() if speaker in name}
        for speaker in ("george", "theo")
    }
    assert hashes(test) == by_speaker["theo"]
    assert len(test) == 120
    trained = hashes(data.training) | hashes(data.validation)  # type: ignore[arg-type]
    assert trained < by_speaker["george"]
    assert data.dataset == "fsdd-without-theo"
    with pytest.raises(UserError, match="must be one of none, george, theo, got teo; did you mean theo?"):
        ready(small, held_out_speaker="teo")


def test_an_unpacked_folder_is_the_same_data(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other/fsdd/recordings"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    one, other = ready(small), ready(tmp_path / "other")
    assert one.checksums == other.checksums
    assert torch.equal(one.training.inputs, other.training.inputs)  # type: ignore[union-attr]


def test_other_recordings_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "data/fsdd/recordings.zip", FILES)
    with pytest.raises(UserError, match=r"does not hold the 3,000 recordings .*: 240 are there, .*; delete it"):
        ready(tmp_path / "data")
    content = path.read_bytes()
    for damaged in (content[:-100], content[:60] + b"\xff" * 60 + content[120:]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=rf"^{re.escape(str(path))} cannot be read \(.*\); delete it"):
            ready(tmp_path / "data")


def test_a_bad_recording_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(FSDD, "known_sha256", None)
    zipped(tmp_path / "data/fsdd/recordings.zip", FILES | {"7_george_11.wav": b"RIFFxxxx"})
    with pytest.raises(UserError, match=r"^7_george_11.wav cannot be read as a WAV file") as caught:
        ready(tmp_path / "data")
    assert "\n" not in str(caught.value)


def test_missing_files_are_downloaded_once_and_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
) -> None:
    archive = zipped(tmp_path / "v1.zip", FILES, "free-spoken-digit-dataset-1.0.10/recordings").read_bytes()
    with serving({"v1.zip": archive}) as (address, requests):
        monkeypatch.setattr(FSDD, "address", f"{address}v1.zip")
        data = FSDD(batch_size=8)
        data.prepare_data()
        with pytest.raises(UserError, match=r"^fsdd is neither under .* nor can it be downloaded \(.*sha256"):
            data.setup()
        assert not list(cache.rglob("*.zip"))
        monkeypatch.setattr(FSDD, "known_sha256", None)
        for _ in range(2):
            data = FSDD(batch_size=8)
            data.prepare_data()
            data.setup()
        assert len(requests) == 2
    assert (cache / "fsdd/recordings.zip").read_bytes() == archive


def test_without_files_and_network_it_says_what_to_do(cache: Path) -> None:
    data = FSDD()
    data.prepare_data()
    expected = (
        f"^fsdd is neither under {re.escape(str(cache))} nor can it be downloaded .*; put fsdd/recordings.zip there"
    )
    with pytest.raises(UserError, match=expected):
        data.setup()


@needs_fsdd
def test_the_published_recordings() -> None:
    data = ready(DATA_DIR)
    assert [len(part) for part in (data.training, data.validation, data.test_dataloader().data)] == [2_400, 300, 300]
    assert data.checksums == {"recordings": FSDD.known_sha256}
    held_out = ready(DATA_DIR, held_out_speaker="lucas")
    assert [len(p) for p in (held_out.training, held_out.validation, held_out.test_dataloader().data)] == [
        2000,
        250,
        500,
    ]
