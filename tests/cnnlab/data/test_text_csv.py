"""Texts and labels in a CSV or TSV file; what all data sets of texts have in common is tested on them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cnnlab.data.augment import Affine, Shift, Unchanged
from cnnlab.data.text_csv import TextCsv
from cnnlab.data.word_dropout import WordDropout
from cnnlab.errors import UserError

GOOD, BAD = ("great", "lovely", "fine"), ("dull", "awful", "bad")


def write(path: Path, num_texts: int = 60, separator: str = ",") -> Path:
    """As many texts of either class, each with a number of its own that no other text has."""
    lines = [separator.join(["label", "text"])]
    for number in range(num_texts):
        words = (GOOD, BAD)[number % 2]
        lines.append(separator.join([("pos", "neg")[number % 2], f'"A {words[number % 3]} film; number {number}."']))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def loaded(path: Path, **settings: Any) -> TextCsv:
    data = TextCsv(str(path), batch_size=8, **settings)
    data.setup()
    return data


def words(data: TextCsv, numbers: torch.Tensor) -> list[str]:
    assert data.vocabulary is not None
    return [data.vocabulary[number] for number in numbers.flatten().tolist() if number]


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.tsv"])
def test_texts_are_split_by_fractions_and_numbered(name: str, tmp_path: Path) -> None:
    data = loaded(write(tmp_path / name, separator="\t" if name.endswith("tsv") else ","))
    test = data.test_dataloader().data
    assert (len(data.training), len(data.validation), len(test)) == (49, 5, 6)
    assert (data.dataset, data.class_names, data.kind_of(1)) == ("reviews", ("neg", "pos"), "text")
    assert data.input_shape == (1, 7)  # a great film ; number 12 .
    assert words(data, data.training.inputs[0])[-4:] == [";", "number", "<unknown>", "."]
    inputs, labels = next(iter(data.train_dataloader()))
    assert inputs.dtype == torch.float32
    for sample, label in zip(inputs, labels.tolist(), strict=True):
        assert (GOOD, BAD)[label == 0].count(words(data, sample.long())[1]) == 1
    assert data.description()["vocabulary"] == list(data.vocabulary or ())
    assert (data.mean, data.std) == ((0.0,), (1.0,))
    assert "of the words in validation are unknown" in " ".join(data.summary().split())


def test_the_vocabulary_is_that_of_the_training_texts_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"w{i} shared,{i % 2},{split}" for i, split in enumerate(["train"] * 20 + ["val"] * 10 + ["test"] * 10)]
    path.write_text("\n".join(["text,label,part", *rows]), encoding="utf-8")
    data = loaded(path, split_column="part", min_count=1)
    assert data.vocabulary is not None
    assert set(data.vocabulary[2:]) == {"shared", *(f"w{i}" for i in range(20))}
    assert data.vocabulary[2] == "shared"
    assert words(data, data.validation.inputs) == ["<unknown>", "shared"] * 10
    few = loaded(path, split_column="part", min_count=1, train_size=8)
    assert len(few.vocabulary or ()) == 2 + 1 + 8
    folds = [loaded(path, split_column="part", min_count=1, fold=fold, num_folds=3) for fold in range(3)]
    validated = [text for fold in folds for text in words(fold, fold.validation.inputs)]
    assert validated == ["<unknown>", "shared"] * 30  # each text once, and never one that the vocabulary is made of
    assert [len(fold.test_dataloader().data) for fold in folds] == [10] * 3


def test_length_cuts_and_the_summary_says_so(tmp_path: Path) -> None:
    data = loaded(write(tmp_path / "a.csv"), length=3)
    assert data.input_shape == (1, 3)
    assert "49 of these were cut" in " ".join(data.summary().split())


def test_augmentations_that_compute_with_values_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv")
    for augment in (Unchanged(), Shift(1), WordDropout()):
        loaded(path, augment=augment)
    with pytest.raises(UserError, match="augment: Affine is for data of the kind image, .* got text"):
        loaded(path, augment=Affine())


def test_words_are_shuffled_by_one_permutation(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv")
    plain, shuffled = loaded(path), loaded(path, shuffle_axis="words")
    assert not torch.equal(plain.training.inputs, shuffled.training.inputs)
    assert torch.equal(plain.training.inputs.sort(2).values, shuffled.training.inputs.sort(2).values)


MISTAKES = {
    "": "a.csv is empty; expected a first line that names the columns text, label",
    "text,label\n": "a.csv holds no texts below its first line",
    "text,lable\nx,1\n": "a.csv has no column label; it holds text, lable; did you mean lable",
    "text,label\ngood,1\n ,0\n": "line 3 of .*a.csv has nothing in the column text",
    "text,label\ngood,1\nbad,\n": "line 3 of .*a.csv has nothing in the column label",
    "text,label\ngood\n": "line 2 of a.csv has 1 of 2 cells",
    "text,label\ngood,1\nfine,1\n": "must hold at least two classes in label, got only 1",
    "text,label\ngood,1\nbad,0\n": "holds 2 texts, of which none is left for train",
    "text,label\ngood \xff,1\n": "a.csv must be text in UTF-8, but line 2 is not",
}


@pytest.mark.parametrize("content", MISTAKES)
def test_what_is_wrong_with_a_file_is_said_in_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=MISTAKES[content]):
        loaded(tmp_path / "a.csv")


def test_other_mistakes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv")
    for settings, message in [
        ({"split_column": "label"}, "line 2 of .* must say train, val or test in label, got 'pos'"),
        ({"min_count": 0}, "min_count must be at least 1, got 0"),
        ({"length": 0}, "length must be at least 1, got 0"),
        ({"fold": 10}, "fold must be from 0 to 9, as num_folds is 10, got 10"),
        ({"fold": 0, "num_folds": 1_000}, "num_folds must be at most .*, the number of samples, got 1000"),
        ({"test_fraction": 0.9}, "test_fraction must be greater than 0 and at most 0.5, got 0.9"),
    ]:
        with pytest.raises(UserError, match=message):
            loaded(path, **settings)
    with pytest.raises(UserError, match="there is no file"):
        loaded(tmp_path / "b.csv")
