"""The Free Spoken Digit Dataset: six speakers who say each digit fifty times."""

import hashlib
import re
import urllib.request
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from cnnlab.data.audio_datamodule import AudioDataModule
from cnnlab.data.downloaded import DownloadedDataModule
from cnnlab.data.files.download import DownloadFailed
from cnnlab.data.files.locations import ENVIRONMENT_VARIABLE, data_dirs
from cnnlab.data.samples import TensorSamples
from cnnlab.data.splits import Splits
from cnnlab.errors import DataMissing, UserError, did_you_mean

_NAME = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav")
_TEST_TAKES, _VALIDATION_TAKES = range(5), range(5, 10)


class _Recording(NamedTuple):
    digit: int
    speaker: str
    take: int
    name: str
    content: bytes


class FSDD(AudioDataModule, DownloadedDataModule):
    """Spoken digits (Jakobovski et al.): 2,400 training, 300 validation and 300 test recordings at 8 kHz, ten classes.

    Takes 0 to 4 of every speaker and digit are the official test split; of the others, 5 to 9 are for validation. So
    all speakers are in all splits, and scores tell of speakers that the network knows. With a speaker held out, the
    test split is all that this speaker said, and nothing of it is in the others.

    Args:
        root: folder that holds fsdd/recordings.zip, or the files in fsdd/recordings; None: $CNNLAB_DATA_DIR, else a
            cache folder.
        held_out_speaker: george, jackson, lucas, nicolas, theo or yweweler; none: the official split.
        **audio: see AudioDataModule.
    """

    has_known_splits = True
    leftovers = ()
    class_names = tuple("0123456789")
    address: ClassVar[str] = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip"
    # Of all names and contents, see _fingerprint.
    known_sha256: ClassVar[str | None] = "45a9b976ba3397a2fd5c70a9f2e43c34f442a3a6be47392ecfc41174b678f37e"

    def __init__(self, root: str | None = None, held_out_speaker: str = "none", **audio: Any) -> None:
        super().__init__(**audio)
        self.root = root
        self.held_out_speaker = held_out_speaker

    def addresses(self) -> Sequence[str]:
        return [self.address]

    def target_folder(self) -> Path:
        return data_dirs(self.root)[-1] / "fsdd"

    def locate(self) -> Path | None:
        """Return the archive or the folder of the recordings, or None if there is none yet."""
        folders = [folder / "fsdd" for folder in data_dirs(self.root)]
        found = (path for folder in folders for path in (folder / "recordings.zip", folder / "recordings"))
        return next((path for path in found if path.exists()), None)

    def read(self) -> Splits:
        path = self.locate()
        if path is None:
            raise DataMissing(
                f"fsdd is neither under {data_dirs(self.root)[0]} nor can it be downloaded ({self.download_failure}); "
                f"put fsdd/recordings.zip there, or name its parent with data.root= or {ENVIRONMENT_VARIABLE}"
            ) from self.download_failure
        recordings = _read(path)
        fingerprint = self._check(path, recordings)
        others, test = recordings, [one for one in recordings if one.take in _TEST_TAKES]
        if self.held_out_speaker != "none":
            speakers = sorted({one.speaker for one in recordings})
            if self.held_out_speaker not in speakers:
                hint = did_you_mean(self.held_out_speaker, speakers)
                choices = ", ".join(["none", *speakers])
                raise UserError(f"held_out_speaker must be one of {choices}, got {self.held_out_speaker}{hint}")
            test = [one for one in recordings if one.speaker == self.held_out_speaker]
            others = [one for one in recordings if one.speaker != self.held_out_speaker]
        remaining = [one for one in others if one.take not in _TEST_TAKES]
        return Splits(
            dataset="fsdd" if self.held_out_speaker == "none" else f"fsdd-without-{self.held_out_speaker}",
            class_names=self.class_names,
            training=self._samples(one for one in remaining if one.take not in _VALIDATION_TAKES),
            validation=self._samples(one for one in remaining if one.take in _VALIDATION_TAKES),
            test=lambda: self._samples(test),
            checksums={"recordings": fingerprint},
        )

    def _samples(self, recordings: Iterable[_Recording]) -> TensorSamples:
        chosen = list(recordings)
        waves = np.stack([self.audio.wave(one.content, one.name) for one in chosen])
        labels = torch.tensor([one.digit for one in chosen])
        return TensorSamples(self.audio.extract(torch.from_numpy(waves)), labels).split(0)[1]

    def _check(self, path: Path, recordings: list[_Recording]) -> str:
        """Return the checksum; raise UserError for recordings that are not those of the data set."""
        found = _fingerprint(recordings)
        if self.known_sha256 not in (None, found):
            raise UserError(
                f"{path} does not hold the 3,000 recordings of the Free Spoken Digit Dataset: {len(recordings):,} are "
                f"there, with the sha256 {found} in place of {self.known_sha256}; delete it to download them again"
            )
        return found

    def _download(self, folder: Path) -> Path:
        path = folder / "recordings.zip"
        urllib.request.urlretrieve(self.address, path)
        try:
            self._check(path, _read(path))
        except UserError as error:
            raise DownloadFailed(str(error)) from error
        return folder


def _read(path: Path) -> list[_Recording]:
    """All recordings in an archive or a folder, in the order of their names, whatever folder they are in."""
    contents: dict[str, bytes] = {}
    try:
        if path.is_dir():
            contents = {file.name: file.read_bytes() for file in path.rglob("*.wav")}
        else:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.endswith(".wav")]
                contents = {name.rpartition("/")[2]: archive.read(name) for name in names}
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({' '.join(str(error).split())}); delete it to download it") from error
    parsed = [(found, name) for name in sorted(contents) if (found := _NAME.fullmatch(name))]
    return [_Recording(int(found[1]), found[2], int(found[3]), name, contents[name]) for found, name in parsed]


def _fingerprint(recordings: list[_Recording]) -> str:
    """One sha256 of all names and contents, the same however they are packed."""
    digest = hashlib.sha256()
    for one in recordings:
        digest.update(one.name.encode() + one.content)
    return digest.hexdigest()
