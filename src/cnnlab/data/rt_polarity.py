"""Movie-review sentences, positive or negative, in ten folds."""

import hashlib
import io
import tarfile
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cnnlab.data.downloaded import DownloadedDataModule
from cnnlab.data.files.download import DownloadFailed
from cnnlab.data.files.locations import ENVIRONMENT_VARIABLE, data_dirs
from cnnlab.data.text_datamodule import TextDataModule, Texts, TextSplits
from cnnlab.data.vocabulary import words_of
from cnnlab.errors import DataMissing, UserError


class RtPolarity(TextDataModule, DownloadedDataModule):
    """Sentence polarity (Pang & Lee, 2005): 5,331 negative and 5,331 positive sentences of movie reviews.

    There is no official test split. As in Kim (2014) the score is the mean of ten folds: all sentences are shuffled
    once, in the same order for every seed, and cut into `num_folds` parts of one size with as many positive sentences
    as negative ones. Fold k is the test split; a stratified tenth of the others is for validation, the rest for
    training, from which alone the vocabulary is made.

    The files rt-polarity.neg and rt-polarity.pos hold a sentence a line, in UTF-8. The published archive, whose text is
    in Windows-1252, is rewritten so after its download.

    Args:
        root: folder that holds rt-polarity; None: $CNNLAB_DATA_DIR, else a cache folder.
        fold: which of the `num_folds` folds is the test split, from 0.
        **text: see TextDataModule and DataModule.
    """

    has_known_splits = True
    url = "https://www.cs.cornell.edu/people/pabo/movie-review-data/rt-polaritydata.tar.gz"
    known_sha256 = {  # noqa: RUF012
        "rt-polarity.neg": "2d11cfbc790f1cd96d78339f41ce53ced1efa83cd22d37d6788fa3fe3d17e2fd",
        "rt-polarity.pos": "4134882974a28d0c7b5151256f0e33a6169984ee7372c279e673f1114f475d58",
    }

    def __init__(self, root: str | None = None, fold: int = 0, **text: Any) -> None:
        super().__init__(fold=fold, **text)
        self.root = root

    def addresses(self) -> Sequence[str]:
        return [self.url]

    def target_folder(self) -> Path:
        return data_dirs(self.root)[-1] / "rt-polarity"

    def read_texts(self) -> TextSplits:
        folder = self.locate()
        if folder is None:
            raise DataMissing(
                f"rt-polarity is neither under {data_dirs(self.root)[0]} nor can it be downloaded "
                f"({self.download_failure}); put the files {' and '.join(self.known_sha256)} into a folder rt-polarity "
                f"there, or name its parent with data.root= or {ENVIRONMENT_VARIABLE}"
            ) from self.download_failure
        contents = {name: (folder / name).read_bytes() for name in self.known_sha256}
        checksums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        if wrong := [name for name, checksum in checksums.items() if checksum != self.known_sha256[name]]:
            raise UserError(
                f"{folder / wrong[0]} is not the published file by its SHA-256; delete it to download it anew"
            )
        lines = [content.decode().splitlines() for content in contents.values()]
        labels = torch.cat([torch.full((len(sentences),), label) for label, sentences in enumerate(lines)])
        texts = Texts([words_of(sentence) for sentences in lines for sentence in sentences], labels)
        assert self.fold is not None
        test, rest = texts.fold(self.fold, self.num_folds)
        validation, training = rest.split(len(rest) // 10)
        return TextSplits("rt-polarity", ("negative", "positive"), training, validation, test, checksums)

    def locate(self) -> Path | None:
        folders = [folder / "rt-polarity" for folder in data_dirs(self.root)]
        return next(
            (folder for folder in folders if all((folder / name).is_file() for name in self.known_sha256)), None
        )

    def _download(self, folder: Path) -> Path:
        """Download and unpack into `folder`, in UTF-8."""
        with urllib.request.urlopen(self.url) as answer:
            packed = io.BytesIO(answer.read())
        try:
            with tarfile.open(fileobj=packed) as archive:
                contents = {name: archive.extractfile(f"rt-polaritydata/{name}").read() for name in self.known_sha256}  # type: ignore[union-attr]
        except (tarfile.TarError, zlib.error, OSError, EOFError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise DownloadFailed(f"{self.url} is not the published archive ({reason})") from error
        for name, checksum in self.known_sha256.items():
            content = contents[name].decode("cp1252", "replace").encode()
            if hashlib.sha256(content).hexdigest() != checksum:
                raise DownloadFailed(f"{name} of {self.url} is not the published file")
            (folder / name).write_bytes(content)
        return folder
