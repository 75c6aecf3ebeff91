"""A folder of WAV files with one sub-folder per class."""

from functools import partial
from pathlib import Path
from typing import Any, Literal

from cnnlab.data.audio_datamodule import AudioDataModule
from cnnlab.data.files.class_folders import FileKind, check_fractions, find_files, whole_splits
from cnnlab.data.files.file_samples import FileSamples
from cnnlab.data.files.wav import is_wav
from cnnlab.data.splits import Splits

_RECORDINGS = FileKind(is_wav, "recordings", "recordings", "WAV files")


class AudioFolder(AudioDataModule):
    """Recordings in <root>/<class>/…, or in <root>/train/<class>/… with folders val and test beside if they exist.

    Splits and classes are found as image_folder.py finds them. Takes of one speaker, instrument or machine are alike:
    to be scored on another one, put its recordings into a folder test.

    Args:
        root: the folder.
        val_fraction, test_fraction: of the training recordings, for a split without a folder.
        unreadable: stop at recordings that cannot be read, or skip them with a warning.
        **audio: see AudioDataModule.
    """

    def __init__(
        self,
        root: str,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        unreadable: Literal["refuse", "skip"] = "refuse",
        **audio: Any,
    ) -> None:
        super().__init__(**audio)
        check_fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        self.root = Path(root).expanduser().absolute()
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.unreadable = unreadable

    def read(self) -> Splits:
        class_names, files = find_files(self.root, _RECORDINGS)
        reader = partial(FileSamples, read=self.audio.sample, skip=self.unreadable == "skip")
        fractions = (self.val_fraction, self.test_fraction)
        return whole_splits(self.root, _RECORDINGS, class_names, files, reader, *fractions)
