"""Your own texts in one CSV or TSV file."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cnnlab.data.files.text_table import columns
from cnnlab.data.text_datamodule import TextDataModule, Texts, TextSplits
from cnnlab.data.vocabulary import words_of
from cnnlab.errors import DataMissing, UserError, did_you_mean, printable

_SPLITS = {"train": "train", "training": "train", "val": "val", "validation": "val", "dev": "val", "test": "test"}


class TextCsv(TextDataModule):
    """A text and its label in every row of a file; classes are the labels in alphabetical order.

    Without a split column stratified parts are for testing and validation, the same for every seed; with one whose
    cells never say val, a part of the training texts is.

    Args:
        path: the file, in UTF-8, the columns' names in the first line; .tsv has tabs between the columns.
        text_column, label_column: names of columns.
        split_column: name of a column that says train, val or test.
        val_fraction: of the training texts, where no split column names those for validation.
        test_fraction: of all texts, where there is no split column.
        **text: see TextDataModule.
    """

    def __init__(
        self,
        path: str,
        text_column: str = "text",
        label_column: str = "label",
        split_column: str | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        **text: Any,
    ) -> None:
        super().__init__(**text)
        for name, value in {"val_fraction": val_fraction, "test_fraction": test_fraction}.items():
            if not 0 < value <= 0.5:
                raise UserError(f"{name} must be greater than 0 and at most 0.5, got {value}")
        self.path = Path(path).expanduser().absolute()
        self.text_column, self.label_column, self.split_column = text_column, label_column, split_column
        self.val_fraction, self.test_fraction = val_fraction, test_fraction

    def read_texts(self) -> TextSplits:
        if not self.path.is_file():
            raise DataMissing(f"there is no file {self.path}; data.path= names a CSV or TSV file")
        content = self.path.read_bytes()
        texts, split_of, class_names = self._rows(content)
        parts = {
            split: texts.take(torch.from_numpy(np.flatnonzero(split_of == split))) for split in ("train", "val", "test")
        }
        if self.split_column is None:
            parts["test"], parts["train"] = texts.split(max(1, round(self.test_fraction * len(texts))))
        if not len(parts["val"]):
            parts["val"], parts["train"] = parts["train"].split(max(1, round(self.val_fraction * len(parts["train"]))))
        if empty := [split for split, part in parts.items() if not len(part)]:
            raise UserError(f"{self.path} holds {len(texts)} texts, of which none is left for {empty[0]}")
        if self.fold is not None:
            words, labels = [*parts["train"].words, *parts["val"].words], [parts["train"].labels, parts["val"].labels]
            parts["val"], parts["train"] = Texts(words, torch.cat(labels)).fold(self.fold, self.num_folds)
        checksums = {self.path.name: hashlib.sha256(content).hexdigest()}
        _, training = parts["train"].split(0)
        return TextSplits(self.path.stem, class_names, training, parts["val"], parts["test"], checksums)

    def description(self) -> dict[str, Any]:
        return super().description() | {"text_column": self.text_column}

    def _rows(self, content: bytes) -> tuple[Texts, np.ndarray, tuple[str, ...]]:
        """All texts with their labels, the split of each ("" without a split column), and the names of the classes."""
        wanted = [self.text_column, self.label_column, *([self.split_column] if self.split_column else [])]
        words, labels, splits = [], [], []
        for line, (text, label, *split) in columns(content, self.path.name, wanted):
            words.append(words_of(text))
            labels.append(label.strip())
            if not words[-1] or not labels[-1]:
                column = self.text_column if not words[-1] else self.label_column
                raise UserError(
                    f"line {line} of {self.path} has nothing in the column {column}; fill it or leave the line out"
                )
            splits.append(self._split(split[0].strip().lower(), line) if split else "")
        if not words:
            raise UserError(f"{self.path} holds no texts below its first line, which names the columns")
        class_names = tuple(sorted(set(labels)))
        if len(class_names) < 2:
            raise UserError(
                f"{self.path} must hold at least two classes in {self.label_column}, got only {class_names[0]}"
            )
        numbers = {name: number for number, name in enumerate(class_names)}
        return Texts(words, torch.tensor([numbers[label] for label in labels])), np.array(splits), class_names

    def _split(self, word: str, line: int) -> str:
        if word not in _SPLITS:
            raise UserError(
                f"line {line} of {self.path} must say train, val or test in {self.split_column}, "
                f"got {printable(word)!r}{did_you_mean(word, _SPLITS)}"
            )
        return _SPLITS[word]
