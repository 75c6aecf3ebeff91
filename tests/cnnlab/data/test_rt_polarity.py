"""rt-polarity: ten folds that hold every sentence once, files that are checked, and a download in another encoding."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest
import torch
from offline import CLOSED_PORT, isolate, serving

from cnnlab.data.rt_polarity import RtPolarity
from cnnlab.errors import UserError

DATA_DIR = Path(os.environ.get("CNNLAB_DATA_DIR") or "nowhere").absolute()
needs_rt_polarity = pytest.mark.skipif(
    not (DATA_DIR / "rt-polarity/rt-polarity.pos").is_file(), reason="CNNLAB_DATA_DIR holds no rt-polarity"
)
TEXTS = {
    f"rt-polarity.{kind}": "".join(f"{kind} film {kind}{number} — é . \n" for number in range(50))
    for kind in ("neg", "pos")
}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two small files stand for the published ones."""
    known = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in TEXTS.items()}
    monkeypatch.setattr(RtPolarity, "known_sha256", known)
    monkeypatch.setattr(RtPolarity, "url", f"{CLOSED_PORT}/rt-polaritydata.tar.gz")
    return isolate(monkeypatch, tmp_path)


def write(root: Path) -> Path:
    (root / "rt-polarity").mkdir(parents=True)
    for name, text in TEXTS.items():
        (root / "rt-polarity" / name).write_text(text, encoding="utf-8")
    return root


def test_every_sentence_is_tested_on_in_one_fold_and_the_vocabulary_does_not_know_it(tmp_path: Path) -> None:
    root = write(tmp_path / "data")
    trained_on = []
    for fold in range(5):
        data = RtPolarity(str(root), fold=fold, num_folds=5, min_count=1)
        data.setup()
        test = data.test_dataloader().data
        assert (len(data.training), len(data.validation), len(test)) == (72, 8, 20)
        assert torch.bincount(test.labels).tolist() == [10, 10]
        assert data.vocabulary is not None
        assert (test.inputs == 1).sum() == 20  # the word of each sentence that no other has
        trained_on += [word for word in data.vocabulary if word[-1].isdigit()]
    assert data.class_names == ("negative", "positive")
    assert len(trained_on) == 5 * 72
    again = RtPolarity(str(root), fold=4, num_folds=5, min_count=1, seed=7)
    again.setup()
    assert torch.equal(again.training.inputs, data.training.inputs)  # whatever the seed


def test_the_archive_is_downloaded_checked_and_rewritten_in_utf_8(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in TEXTS.items():
            content = text.encode("cp1252")
            member = tarfile.TarInfo(f"rt-polaritydata/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with serving({"rt.tar.gz": packed.getvalue()}) as (address, asked):
        monkeypatch.setattr(RtPolarity, "url", f"{address}rt.tar.gz")
        for _ in range(2):
            data = RtPolarity()
            data.prepare_data()
            data.setup()
        assert asked == ["/rt.tar.gz"]
    assert sorted(path.name for path in (cache / "rt-polarity").iterdir()) == sorted(TEXTS)
    assert data.checksums == RtPolarity.known_sha256


@pytest.mark.parametrize("fault", ["", "cut"])
def test_an_answer_that_is_no_archive_is_a_failed_download(
    fault: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving({"rt.tar.gz": b"<html>log in to this network first</html>"}, fault) as (address, _):
        monkeypatch.setattr(RtPolarity, "url", f"{address}rt.tar.gz")
        data = RtPolarity()
        data.prepare_data()
    with pytest.raises(UserError, match=r"nor can it be downloaded \(.+\); put the files"):
        data.setup()
    assert not list((cache / "rt-polarity").iterdir())


def test_files_that_are_missing_or_changed_are_named(tmp_path: Path) -> None:
    data = RtPolarity(str(tmp_path / "nowhere"))
    data.prepare_data()
    with pytest.raises(
        UserError, match=r"rt-polarity is neither under .*nowhere nor can it be downloaded .*data\.root="
    ):
        data.setup()
    root = write(tmp_path / "data")
    (root / "rt-polarity/rt-polarity.pos").write_text("cut")
    with pytest.raises(UserError, match=r"rt-polarity\.pos is not the published file by its SHA-256"):
        RtPolarity(str(root)).setup()
    with pytest.raises(UserError, match="fold must be from 0 to 9, as num_folds is 10, got -1"):
        RtPolarity(fold=-1)


@needs_rt_polarity
def test_the_published_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    data = RtPolarity(str(DATA_DIR), fold=9)
    data.setup()
    test = data.test_dataloader().data
    assert (len(data.training), len(data.validation), len(test)) == (8_636, 959, 1_067)
    assert len(data.training) + len(data.validation) + len(test) == 10_662
    assert torch.bincount(test.labels).tolist() in ([533, 534], [534, 533])
    assert data.vocabulary is not None
    assert 8_000 < len(data.vocabulary) < 10_000
    assert data.vocabulary[2:5] == (".", "the", ",")
