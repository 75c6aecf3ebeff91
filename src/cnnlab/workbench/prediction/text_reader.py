"""Reads texts for a network that was trained on texts: a sentence, the lines of a file, or a column of a table."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from cnnlab.data.files import text_table
from cnnlab.data.vocabulary import as_numbers, numbers_of, words_of
from cnnlab.errors import UserError, printable
from cnnlab.workbench.prediction import sources
from cnnlab.workbench.prediction.reader import Prepared, Reader
from cnnlab.workbench.prediction.sources import Sources

_SUFFIXES = (".txt", *text_table.SUFFIXES)


class TextReader(Reader):
    """Makes rows of word numbers of texts, as the data set of the run did.

    Args:
        data: the description of the network's data, see DataModule.description.
    """

    what = "texts"
    formats = "TXT with a text a line, CSV, TSV, or a sentence in place of a file"
    entry = "text"
    request = "inputs= is missing: name a file of texts, a folder, a glob or a zip archive, or write a sentence"

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.text_column = data.get("text_column", "text")
        self._numbers = numbers_of(data["vocabulary"])
        self._length = data["input_shape"][-1]

    def accepts(self, name: str) -> bool:
        return PurePath(name).suffix.lower() in _SUFFIXES

    def read(self, source: Path | bytes, name: str) -> Prepared:
        text = text_table.decoded(source if isinstance(source, bytes) else source.read_bytes(), name)
        words = words_of(text)
        if not words:
            raise UserError(f"{name} holds no words")
        (sample,) = as_numbers([words], self._numbers, self._length).numpy()
        return Prepared(None, sample, None)

    def find(self, inputs: str, key: str = "inputs") -> Sources:
        """The texts that a user means: a sentence, or those in a file, a folder of files, a glob or a zip archive.

        Raises:
            UserError: if there are none.
        """
        if not _names_files(inputs):
            return _Texts(Path.cwd(), [inputs], texts={inputs: inputs})
        found = sources.find(inputs, self, key)
        texts: dict[str, str | UserError] = {}
        for name, source in found.contents():
            try:
                if isinstance(source, UserError):
                    raise source
                texts |= self._texts_in(source if isinstance(source, bytes) else source.read_bytes(), name)
            except UserError as error:
                texts[name] = error
        return _Texts(found.folder, list(texts), found.num_others, found.kinds_of_others, texts)

    def _texts_in(self, content: bytes, name: str) -> dict[str, str]:
        """The texts of a file, named after it, the line and themselves. Empty lines of a text file are passed over."""
        if PurePath(name).suffix.lower() in text_table.SUFFIXES:
            rows = text_table.columns(content, name, [self.text_column])
            numbered = [(line, text) for line, (text,) in rows]
        else:
            lines = text_table.decoded(content, name).splitlines()
            numbered = [(line, text) for line, text in enumerate(lines, start=1) if text.strip()]
        if not numbered:
            raise UserError(f"{name} holds no text")
        return {f"{name}:{line} {printable(' '.join(text.split()))}": text for line, text in numbered}


@dataclass(frozen=True)
class _Texts(Sources):
    """Texts by their names; or what is wrong with the file of that name."""

    texts: Mapping[str, str | UserError] = field(default_factory=dict)

    def contents(self) -> Iterator[tuple[str, Path | bytes | UserError]]:
        for name, text in self.texts.items():
            yield printable(name), text if isinstance(text, UserError) else text.encode("utf-8", "replace")


def _names_files(inputs: str) -> bool:
    """Whether files are meant and not a sentence: what exists, ends like a file, or holds / or * but no space."""
    if os.path.exists(os.path.expanduser(inputs)) or inputs.lower().endswith((*_SUFFIXES, ".zip")):
        return True
    return not any(map(str.isspace, inputs)) and any(mark in inputs for mark in (os.sep, "*"))
