"""Runs on recordings as waveforms and as spectrograms: looked at, listened to, asked about files, exported."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cnnlab import train
from cnnlab.data.files.wav import read_wav, wav_bytes
from cnnlab.workbench.evaluation.evaluate import evaluate
from conftest import Finished

TONES = {"high": 1500, "low": 300}


def tone(frequency: float, seconds: float, rate: int = 8_000) -> bytes:
    wave = 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    return wav_bytes(wave.astype(np.float32), rate)


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


@pytest.fixture(scope="module", params=[pytest.param("waveform", marks=pytest.mark.slow), "log_mel"])
def run_on_tones(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that tells two tones apart."""
    folder = tmp_path_factory.mktemp("tones")
    for name, frequency in TONES.items():
        (folder / "tones" / name).mkdir(parents=True)
        for number in range(20):
            (folder / "tones" / name / f"{number}.wav").write_bytes(tone(frequency, 0.3 + 0.01 * number))
    settings = ["model=resnet", "model.widths=[8]", "data.seconds=0.5", "data.num_mels=16", "data.hop_ms=20"]
    settings += ["data=audio_folder", f"data.root={folder / 'tones'}", f"data.features={request.param}"]
    settings += ["data.batch_size=8", "trainer.max_epochs=12", "optimizer.lr=0.02", f"hydra.run.dir={folder / 'run'}"]
    return train(settings).folder


def test_an_evaluation_has_pictures_and_recordings(run_on_tones: Path) -> None:
    done = evaluate(run_on_tones, plots="all", accelerator="cpu")
    assert done.metrics["test/accuracy"] == 1
    for name in ("most_wrong.png", "random_predictions.png", "through_the_net.png", "filters.png"):
        assert min(size_of(done.folder / name)) > 100
    played = sorted((done.folder / "recordings/random").glob("*.wav"))
    assert len(played) == 4
    for path in played:
        true = path.stem.split("_")[4]
        wave = read_wav(path, 8_000)
        loudest = np.abs(np.fft.rfft(wave)).argmax() / (len(wave) / 8_000)
        assert loudest == pytest.approx(TONES[true], abs=3)
    assert "recordings" in done.text
    assert ".wav" not in done.text, "the folder, not every file"
    assert "100.00% of 4 recordings right" in done.text
    assert "image" not in done.text


def test_tensorboard_shows_and_plays(run_on_tones: Path) -> None:
    events = EventAccumulator(str(run_on_tones))
    events.Reload()
    (picture,) = events.Images("data/training_batch")
    assert np.asarray(Image.open(io.BytesIO(picture.encoded_image_string))).std() > 10
    config = json.loads((run_on_tones / "environment.json").read_text())
    assert config["dataset"] == "tones"
    is_waveform = "waveform" in (run_on_tones / ".hydra/overrides.yaml").read_text()
    tags = [f"data/recording_{number}" for number in range(4)] if is_waveform else []
    assert events.Tags()["audio"] == tags
    for tag in tags:
        (sound,) = events.Audio(tag)
        assert sound.sample_rate == 8_000
        assert len(read_wav(sound.encoded_audio_string, 8_000)) == 4_000


@pytest.mark.usefixtures("white_figures")
def test_predictions_of_files_folders_and_archives(
    run_on_tones: Path, command: Callable[..., Finished], tmp_path: Path
) -> None:
    folder = tmp_path / "asked"
    folder.mkdir()
    for name, frequency, rate in (("low", 300, 8_000), ("high", 1500, 16_000)):
        (folder / f"{name}.wav").write_bytes(tone(frequency, 0.3, rate))
    (folder / "bad.wav").write_bytes(b"RIFF")
    (folder / "notes.txt").write_text("x")
    with zipfile.ZipFile(tmp_path / "asked.zip", "w") as archive:
        archive.write(folder / "low.wav", "low.wav")
    done = command("predict.py", f"run={run_on_tones}", f"inputs={folder}", "out=answers", "explain=true")
    assert done.status == 0, done.err
    answers = json.loads(Path("answers/predictions.json").read_text())
    answers = {one["file"]: one["label"] for one in next(v for v in answers.values() if isinstance(v, list))}
    assert answers == {"high.wav": "high", "low.wav": "low"}
    assert "bad.wav cannot be read as a WAV file" in done.out
    assert "passed over, because by their names they are no recordings: 1 .txt" in done.out
    assert Path("answers/contact_sheet.png").is_file()
    assert len(list(Path("answers/through_the_net").glob("*.png"))) == 2
    assert command("predict.py", f"run={run_on_tones}", f"inputs={tmp_path / 'asked.zip'}").status == 0
    refused = command("predict.py", f"run={run_on_tones}", f"inputs={folder / 'bad.wav'}")
    assert refused.status != 0
    assert len(refused.err.strip().splitlines()) == 1, refused.err


def test_the_exported_file_answers_alike(run_on_tones: Path, command: Callable[..., Finished]) -> None:
    done = command("scripts/export.py", f"run={run_on_tones}", "format=onnx", "out=tones.onnx")
    assert done.status == 0, done.err
    assert Path("tones.onnx").is_file()
