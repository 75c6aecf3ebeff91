"""A folder of WAV files is a data set, with the splits and classes of image_folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sounds import fill

from cnnlab.data.audio_folder import AudioFolder
from cnnlab.errors import UserError
from conftest import Finished

TONES = {"low": 300.0, "middle": 700.0, "high": 1500.0}


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    return fill(tmp_path / "tones", TONES, 20)


def ready(root: Path, **settings: object) -> AudioFolder:
    data = AudioFolder(str(root), batch_size=8, **settings)  # type: ignore[arg-type]
    data.setup()
    return data


@pytest.mark.parametrize(("features", "shape"), [("waveform", (1, 8_000)), ("log_mel", (1, 40, 101))])
def test_everything_about_the_data_comes_from_the_files(features: str, shape: tuple[int, ...], tones: Path) -> None:
    data = ready(tones, features=features)
    assert (data.dataset, data.class_names, data.input_shape) == ("tones", ("high", "low", "middle"), shape)
    assert (len(data.training), len(data.validation), len(data.test_dataloader().data)) == (49, 5, 6)
    description = data.description()
    assert description["kind"] == {2: "audio", 3: "spectrogram"}[len(shape)]
    assert description["audio"]["sample_rate"] == 8_000
    lazy = ready(tones, features=features, in_memory=False, num_workers=0)
    assert torch.equal(lazy.validation[0][0], data.validation[0][0])  # type: ignore[index]


def test_own_splits_are_kept_and_waveforms_come_in_the_same_order(tmp_path: Path) -> None:
    for split, number in {"train": 10, "val": 4, "test": 6}.items():
        fill(tmp_path / "set" / split, TONES, number)
    data = ready(tmp_path / "set", features="log_mel", shuffle_axis="time")
    assert (len(data.training), len(data.validation), len(data.test_dataloader().data)) == (30, 12, 18)
    waves = data.as_waveforms()
    waves.setup()
    heard = data.audio.extract(waves.validation.inputs[:, 0])  # type: ignore[union-attr]
    order = torch.tensor([float(x.sum()) for x in data.validation.inputs])  # type: ignore[union-attr]
    torch.testing.assert_close(heard.sum(dim=(1, 2, 3)), order)  # one permutation of the frames keeps the sum
    assert data.audio.features == "log_mel"


def test_bad_recordings_are_named_or_skipped(tones: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tones / "low/5.wav").write_bytes(b"RIFF")
    (tones / "low/notes.txt").write_text("x")
    with pytest.raises(UserError, match=r"low/5.wav cannot be read as a WAV file .*data.unreadable=skip") as caught:
        ready(tones)
    assert "\n" not in str(caught.value)
    assert "1 of 61 files in" in caplog.text
    assert "are no WAV files, by their names" in caplog.text
    data = ready(tones, unreadable="skip")
    assert len(data.training) + len(data.validation) + len(data.test_dataloader().data) == 59


def test_a_folder_without_recordings_is_one_line(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "song.mp3").write_bytes(b"x")
    with pytest.raises(UserError, match=r"holds no recordings, only 2 .mp3; expected set/<class>/<recording>"):
        ready(tmp_path / "set")
    with pytest.raises(
        UserError, match="there is no folder .*none; data.root= names one with a sub-folder of recordings"
    ):
        ready(tmp_path / "none")
    with pytest.raises(UserError, match=r"val_fraction must be greater than 0 and at most 0.5, got 0.9"):
        AudioFolder("x", val_fraction=0.9)


def test_a_run_learns_tones(tones: Path, train: Callable[..., Finished]) -> None:
    settings = ["data.features=log_mel", "data.num_mels=16", "data.hop_ms=50", "data.batch_size=8", "logger=none"]
    run = train("data=audio_folder", f"data.root={tones}", *settings, "trainer.max_epochs=5", "augment=time")
    assert run.status == 0, run.err
    assert run.metrics["test/accuracy"] == 1


@pytest.mark.gpu
@pytest.mark.parametrize("features", ["waveform", "log_mel"])
def test_recordings_are_learnt_on_a_gpu(features: str, tones: Path, on_gpu: Callable[..., Finished]) -> None:
    data = ["data=audio_folder", f"data.root={tones}", f"data.features={features}", "data.batch_size=8"]
    run = on_gpu("model=resnet", "model.widths=[8]", *data, "data.train_size=40", "augment=time", "logger=none")
    assert (run.status, run.err) == (0, "")
    assert 0 < run.metrics["test/loss"] < 10
