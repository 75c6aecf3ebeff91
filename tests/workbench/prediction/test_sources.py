"""Which pictures a user means."""

import json
import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from cnnlab.errors import UserError
from cnnlab.workbench.prediction.class_answers import Answers
from cnnlab.workbench.prediction.picture_reader import PictureReader
from cnnlab.workbench.prediction.sources import Sources, find

PICTURES = PictureReader({"input_shape": (1, 28, 28), "scale": 1 / 255, "preprocessing": "digits"})


def find_pictures(inputs: str) -> Sources:
    return find(inputs, PICTURES, "images")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four pictures, two in a folder below, and what is none."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "a=b, (1) é [x]"
    for name in ("scan10.png", "scan2.PNG", "below/scan3.jpg", "below/scan1.webp"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(folder / name)
    for name in ("notes.txt", ".hidden.png", "below/.DS_Store", "__MACOSX/scan2.png", "below/@eaDir/scan3.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return folder


def test_a_folder_and_below_in_natural_order(folder: Path) -> None:
    found = find_pictures(str(folder))
    assert found.names == ["below/scan1.webp", "below/scan3.jpg", "scan2.PNG", "scan10.png"]
    assert (len(found), found.num_others, found.kinds_of_others) == (4, 1, "1 .txt")
    assert dict(found.contents())["scan10.png"] == folder / "scan10.png"


def test_what_is_no_picture_is_told_by_kind(folder: Path) -> None:
    for name in ("a.heic", "below/b.HEIC", "c.h5", "d.pdf"):
        (folder / name).write_text("x")
    found = find_pictures(str(folder))
    assert (len(found), found.kinds_of_others) == (4, "2 .heic, 1 .h5, 1 .pdf, 1 .txt")


def test_linked_folders_are_read(folder: Path) -> None:
    (folder.parent / "scans").mkdir()
    (folder.parent / "scans/link").symlink_to(folder / "below")
    assert find_pictures("scans").names == ["link/scan1.webp", "link/scan3.jpg"]


def test_names_that_no_terminal_takes_are_escaped(folder: Path) -> None:
    with zipfile.ZipFile("scans.zip", "w") as archive:
        archive.writestr("a\x1b[31m.png", b"1234")
        archive.writestr("b" + "9" * 5_000 + ".png", b"5678")
        archive.writestr("b0" + "9" * 4_999 + ".png", b"less")
    contents = list(find_pictures("scans.zip").contents())
    assert contents[0] == (r"a\x1b[31m.png", b"1234")
    assert [content for _, content in contents] == [b"1234", b"less", b"5678"]
    try:
        (folder / "scan2.PNG").rename(folder / os.fsdecode(b"caf\xe9.png"))
    except OSError:
        pytest.skip("this file system takes only names that are text")
    named = dict(find_pictures(str(folder)).contents())
    assert named[r"caf\udce9.png"] == folder / os.fsdecode(b"caf\xe9.png")
    answers = Answers(("0", "1"), skipped={name: name for name in named})
    about = json.loads(answers.as_json(images=os.fsdecode(b"caf\xe9")))
    assert about["images"] == os.fsdecode(b"caf\xe9")
    assert r"caf\udce9.png" in [entry["file"] for entry in about["skipped"]]
    answers.as_text().encode()


def test_a_file_whatever_its_name(folder: Path) -> None:
    found = find_pictures(str(folder / "notes.txt"))
    assert list(found.contents()) == [("notes.txt", folder / "notes.txt")]


def test_a_name_with_brackets_is_a_name_first(folder: Path) -> None:
    assert find_pictures(f"{folder}/scan2.PNG").names == ["scan2.PNG"]


def test_a_glob(folder: Path) -> None:
    plain = folder.rename("plain").absolute()
    assert find_pictures("plain/scan*").names == ["scan2.PNG", "scan10.png"]
    found = find_pictures("plain/**/*.jpg")
    assert list(found.contents()) == [("scan3.jpg", plain / "below/scan3.jpg")]


def test_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert find_pictures("~/below").names == ["scan1.webp", "scan3.jpg"]


def test_an_archive(folder: Path) -> None:
    with zipfile.ZipFile("scans.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    found = find_pictures("scans.zip")
    assert found.names == find_pictures(str(folder)).names
    for name, content in found.contents():
        assert content == (folder / name).read_bytes()


def test_damaged_and_boundless_members_are_told_apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile("scans.zip", "w") as archive:
        archive.writestr("good.png", b"1234")
        archive.writestr("broken.png", b"a content to be found again")
        archive.writestr("large.png", b"0" * 101)
    raw = Path("scans.zip").read_bytes()
    Path("scans.zip").write_bytes(raw.replace(b"to be found", b"to be_found", 1))
    monkeypatch.setattr("cnnlab.workbench.prediction.sources._LARGEST_MEMBER", 100)
    contents = dict(find_pictures("scans.zip").contents())
    assert contents["good.png"] == b"1234"
    assert "broken.png cannot be unpacked (Bad CRC-32" in str(contents["broken.png"])
    assert "large.png would unpack to more than" in str(contents["large.png"])


def test_a_member_whose_compressed_bytes_have_changed_is_told(folder: Path) -> None:
    with zipfile.ZipFile("scans.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("broken.png", bytes(range(256)) * 20)
        start = archive.getinfo("broken.png").header_offset + 30 + len("broken.png")
    raw = bytearray(Path("scans.zip").read_bytes())
    raw[start : start + 20] = b"\xff" * 20
    Path("scans.zip").write_bytes(raw)
    ((name, reason),) = find_pictures("scans.zip").contents()
    assert f"{name} cannot be unpacked (Error -3 while decompressing" in str(reason)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ("nowhere.png", "there is no nowhere.png (expected a file, a folder, a glob or a zip)"),
        ("plane", "there is no plane; did you mean plain?"),
        ("plain/*.bmp", "no file matches plain/*.bmp"),
        ("texts", "holds no pictures, only 1 other files"),
        ("empty", "holds no pictures, only 0 other files"),
    ],
)
def test_nothing_found(images: str, words: str, folder: Path) -> None:
    folder.rename("plain")
    Path("empty").mkdir()
    Path("texts").mkdir()
    Path("texts/notes.txt").write_text("x")
    with pytest.raises(UserError) as raised:
        find_pictures(images)
    assert words in str(raised.value)
