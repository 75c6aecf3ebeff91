"""A folder of images is a data set: RGB, 40x56, three classes of 60, 30 and 10."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cnnlab.data.files.imaging import read_image
from cnnlab.data.image_folder import ImageFolder
from cnnlab.data.samples import TensorSamples
from cnnlab.errors import UserError
from conftest import Finished

SIZES = {"blob": 60, "frame": 30, "wedge": 10}


def draw(kind: str, rng: np.random.Generator) -> Image.Image:
    pixels = rng.integers(0, 60, (40, 56, 3), dtype=np.uint8)
    row, column = rng.integers(2, 14), rng.integers(2, 26)
    color = rng.integers(150, 255, 3, dtype=np.uint8)
    box = pixels[row : row + 24, column : column + 24]
    box[:] = color
    if kind == "frame":
        box[4:-4, 4:-4] = 20
    if kind == "wedge":
        box[np.triu_indices(24)] = 20
    return Image.fromarray(pixels)


def fill(folder: Path, sizes: dict[str, int], seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for kind, size in sizes.items():
        (folder / kind).mkdir(parents=True)
        for number in range(size):
            draw(kind, rng).save(folder / kind / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("images") / "shapes", SIZES)


@pytest.fixture
def shapes(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "shapes"))


def ready(root: Path, **settings: object) -> ImageFolder:
    data = ImageFolder(str(root), batch_size=8, **settings)  # type: ignore[arg-type]
    data.setup()
    return data


def counts(data: ImageFolder) -> list[int]:
    return torch.bincount(data.training.labels, minlength=data.num_classes).tolist()


def test_everything_about_the_data_comes_from_the_data(drawn: Path) -> None:
    data = ready(drawn)
    assert data.dataset == "shapes"
    assert data.class_names == ("blob", "frame", "wedge")
    assert data.input_shape == (3, 40, 56)
    assert (len(data.training), len(data.validation)) == (81, 9)
    assert counts(data) == pytest.approx([48.6, 24.3, 8.1], abs=1.1)
    assert isinstance(data.training, TensorSamples)
    pixels = data.training.inputs.double() / 255
    assert data.mean == pytest.approx(pixels.mean(dim=(0, 2, 3)).tolist())
    assert data.std == pytest.approx(pixels.std(dim=(0, 2, 3), correction=0).tolist())
    summary = data.summary()
    for word in ("shapes: 81 training and 9 validation samples of 3x40x56", "blob 4", "frame 2", "wedge 8"):
        assert word in summary


def test_splits_are_disjoint_and_cover_all(drawn: Path) -> None:
    data = ready(drawn)
    test = next(iter(data.test_dataloader()))[0]
    assert len(test) == 10
    seen = {sample.numpy().tobytes() for part in (data.training, data.validation) for sample, _ in part}  # type: ignore[attr-defined]
    assert len(seen) == 90
    again = ready(drawn, seed=7)
    assert torch.equal(again.validation.labels, data.validation.labels)


def test_own_splits_are_kept(tmp_path: Path) -> None:
    root = tmp_path / "split"
    fill(root / "train", {"blob": 20, "frame": 10})
    fill(root / "Test", {"blob": 3, "frame": 5}, seed=1)
    (root / ".cache").mkdir()
    data = ready(root)
    assert (len(data.training), len(data.validation), data.class_names) == (27, 3, ("blob", "frame"))
    labels = next(iter(data.test_dataloader()))[1]
    assert labels.bincount().tolist() == [3, 5]
    fill(root / "valid", {"blob": 2, "frame": 2}, seed=2)
    assert (len(ready(root).training), len(ready(root).validation)) == (30, 4)


def test_in_memory_or_not_is_the_same_data(drawn: Path) -> None:
    held, read = ready(drawn), ready(drawn, in_memory=False, num_workers=2)
    assert (held.mean, held.std, held.checksums) == (read.mean, read.std, read.checksums)
    for epoch in (0, 1):
        loaders = held.train_dataloader(), read.train_dataloader()
        for loader in loaders:
            assert loader.sampler is not None
            loader.sampler.set_epoch(epoch)
        batches = zip(*loaders, strict=True)
        assert all(torch.equal(a, b) and torch.equal(c, d) for (a, c), (b, d) in batches)
    for a, b in zip(held.test_dataloader(), read.test_dataloader(), strict=True):
        assert torch.equal(a[0], b[0])


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"image_size": 16}, (3, 16, 16)),
        ({"image_size": [20, 28]}, (3, 20, 28)),
        ({"color": "grey"}, (1, 40, 56)),
        ({"color": "grey", "image_size": 28}, (1, 28, 28)),
    ],
)
def test_size_and_colour_by_option(drawn: Path, settings: dict[str, object], shape: tuple[int, ...]) -> None:
    assert ready(drawn, **settings).input_shape == shape


def test_grey_images_stay_grey(tmp_path: Path) -> None:
    for name in ("10", "9"):
        (tmp_path / "grey" / name).mkdir(parents=True)
        for number in range(10):
            Image.new("L", (8, 8), 20 * number).save(tmp_path / "grey" / name / f"{number}.png")
    data = ready(tmp_path / "grey")
    assert data.input_shape == (1, 8, 8)
    assert data.class_names == ("9", "10")


def test_another_file_is_another_data_set(shapes: Path) -> None:
    before = ready(shapes).checksums
    (shapes / "blob/9.png").rename(shapes / "blob/99.png")  # still the last one
    renamed = ready(shapes).checksums
    assert renamed != before
    with (shapes / "blob/99.png").open("ab") as file:
        file.write(b"more")
    assert ready(shapes).checksums not in (before, renamed)


@pytest.mark.parametrize(
    "more", [pytest.param([], marks=pytest.mark.slow), ["data.in_memory=false", "data.num_workers=2"]]
)
def test_the_command_trains_on_a_path_of_any_characters(
    more: list[str], train: Callable[..., Finished], drawn: Path, tmp_path: Path
) -> None:
    root = tmp_path / "a=b, (1) é'"
    shutil.copytree(drawn, root)
    settings = ["trainer=cpu", "trainer.max_epochs=2", "model.norm=batch", "data.batch_size=8", *more]
    run = train("data=image_folder", f"data.root={root}", *settings)
    assert run.status == 0, run.err
    assert run.metrics["dataset"] == "a=b, (1) é'"
    assert run.metrics["val/accuracy"] > 0.5
    assert "blob 4" in run.out
    table = (run.folder / "evaluation/test/per_class_accuracy.csv").read_text()  # type: ignore[operator]
    assert "wedge" in table


def names(data: ImageFolder) -> set[str]:
    """Where the pictures of a data set that is not in memory lie, below its root."""
    paths = data.training.dataset.paths  # type: ignore[union-attr]
    return {path.relative_to(data.root).as_posix() for path in paths}


def test_folders_of_the_system_are_no_pictures_and_no_classes(shapes: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = ready(shapes).checksums
    for place in (shapes / "blob", shapes, shapes / "frame/below"):
        for name in (".ipynb_checkpoints", "@eaDir", "__MACOSX", "$RECYCLE.BIN", "System Volume Information"):
            shutil.copytree(shapes / "wedge", place / name)
    (shapes / "blob/Thumbs.db").write_text("")
    data = ready(shapes)
    assert (data.class_names, data.checksums, caplog.messages) == (("blob", "frame", "wedge"), expected, [])


def test_files_passed_over_are_counted_by_kind(shapes: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(18):
        (shapes / f"blob/{number}.HEIC").write_text("a photo")
    for name in ("frame/a.h5", "frame/b.pdf", "wedge/notes", "list.csv"):
        (shapes / name).write_text("no picture")
    (shapes / "wedge/broken.png").symlink_to("nowhere.png")
    shutil.copy(shapes / "blob/0.png", shapes / "0.png")
    assert len(names(ready(shapes, in_memory=False))) == 100
    assert caplog.messages == [
        f"WARNING: 21 of 121 files in {shapes} are no pictures that Pillow reads, by their names, and are left out: "
        "18 .heic, 1 .h5, 1 .pdf, 1 without an ending",
        f"WARNING: 1 pictures in {shapes} are links to nothing, and are left out",
        f"WARNING: 1 pictures in {shapes} lie in no folder of a class, and are left out",
    ]
    shutil.rmtree(shapes / "frame")
    (shapes / "heic").mkdir()
    (shapes / "heic/a.heic").write_text("a photo")
    with pytest.raises(UserError, match="every class needs training samples, got none of heic"):
        ready(shapes)


def test_linked_folders_are_read_once(shapes: Path, tmp_path: Path) -> None:
    elsewhere = fill(tmp_path / "elsewhere", {"more": 3}, seed=9)
    (shapes / "blob/a link").symlink_to(elsewhere)
    (shapes / "blob/again").symlink_to(elsewhere / "more")
    (shapes / "blob/round").symlink_to(shapes / "blob")
    (shapes / "blob/up").symlink_to(tmp_path)
    (shapes / "linked").symlink_to(elsewhere)
    data = ready(shapes, in_memory=False)
    assert data.class_names == ("blob", "frame", "linked", "wedge")
    found = names(data)
    assert len(found) == 106
    assert {name for name in found if name.startswith("blob/a")} == {f"blob/again/{i}.png" for i in range(3)}


def test_names_that_are_no_text(shapes: Path) -> None:
    """As old cameras and archives leave them: Latin-1 where UTF-8 is expected."""
    before = ready(shapes).checksums
    try:
        (shapes / "blob/9.png").rename(shapes / os.fsdecode(b"blob/caf\xe9.png"))
    except OSError:
        pytest.skip("this file system takes only names that are text")
    (shapes / "wedge").rename(shapes / os.fsdecode(b"k\xe4se"))
    data = ready(shapes)
    assert data.class_names == ("blob", "frame", "k\\udce4se")
    assert data.checksums != before
    path = shapes / os.fsdecode(b"blob/caf\xe9.png")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"caf\\udce9.png cannot be read") as caught:
        ready(shapes)
    str(caught.value).encode()


def sixteen_bits(folder: Path, highest: int, dtype: Any = np.uint16) -> Path:
    """Two classes of 20, of levels up to `highest` for the brightest and a quarter of it for the darkest."""
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            brightest = highest * (20 - number * 0.75 - (name == "b") / 3) / 20
            level = np.linspace(0, brightest, 64).reshape(8, 8)
            Image.fromarray(level.astype(dtype)).save(folder / name / f"{number}.tif")
    return folder


def test_all_pictures_have_one_scale(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deep = sixteen_bits(tmp_path / "deep", 65535)
    assert ready(deep).training.inputs.max() > 200  # type: ignore[union-attr]
    assert not caplog.messages
    twelve = sixteen_bits(tmp_path / "twelve", 4095)
    assert ready(twelve).training.inputs.max() == 16  # type: ignore[union-attr]
    (line,) = caplog.messages
    assert "the brightest of all training pixels is 16 of 255; if these are 16-bit images" in line
    same = ready(twelve, full_scale=4095)
    assert same.mean == pytest.approx(ready(deep).mean, abs=0.003)
    assert same.description()["full_scale"] == 4095
    with pytest.raises(UserError, match="full_scale must be greater than 0, the value that is white, got 0"):
        ready(twelve, full_scale=0)


@pytest.mark.parametrize("in_memory", [True, False])
def test_floats_need_to_be_told_their_white(in_memory: bool, tmp_path: Path) -> None:
    root = sixteen_bits(tmp_path / "floats", 1.5, np.float32)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="holds floating-point numbers, which do not say what is white; .*full_scale="):
        ready(root, in_memory=in_memory)
    data = ready(root, in_memory=in_memory, full_scale=1.5)
    assert data.mean[0] == pytest.approx(0.32, abs=0.03)


def break_one(root: Path) -> None:
    path = root / "frame/3.png"
    path.write_bytes(path.read_bytes()[:-40])
    (root / "blob/5.png").write_text("no image")


@pytest.mark.parametrize("in_memory", [True, False])
def test_unreadable_images_are_named_and_counted(shapes: Path, in_memory: bool) -> None:
    break_one(shapes)
    with pytest.raises(UserError, match=r"1 of 100 images are unreadable: .*blob/5.png .*data.unreadable=skip"):
        ready(shapes, in_memory=in_memory)


def test_with_skip_they_are_left_out_with_a_warning(shapes: Path, caplog: pytest.LogCaptureFixture) -> None:
    break_one(shapes)
    data = ready(shapes, unreadable="skip", num_workers=0)
    test = next(iter(data.test_dataloader()))[1]
    assert len(data.training) + len(data.validation) + len(test) == 98
    assert "left out 1 of 100 images: " in caplog.text
    assert "frame/3.png" in caplog.text


def test_found_broken_on_the_way(shapes: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in memory, a file may turn out to be broken when its turn comes."""
    path = shapes / "blob/7.png"
    path.write_bytes(path.read_bytes()[:-40])
    known = {"image_size": [40, 56], "color": "rgb", "in_memory": False, "num_workers": 2}
    skipping = ready(shapes, unreadable="skip", **known)
    parts = [*skipping.train_dataloader(), *skipping.val_dataloader(), *skipping.test_dataloader()]
    assert sum(len(labels) for _, labels in parts) == 99 - 81 % 8
    refusing = ready(shapes, **known)
    place = [str(path) for path in refusing.training.dataset.paths].index(str(path))  # type: ignore[union-attr]
    loaders = {True: refusing.train_dataloader(), False: refusing.val_dataloader()}
    with pytest.raises(UserError, match=r"blob/7.png cannot be read .*data.unreadable=skip"):
        list(loaders[place in refusing.training.indices])  # type: ignore[union-attr]


def test_all_broken_ones_are_told_at_once_and_before_training(shapes: Path) -> None:
    """Also those of the test split: nobody should train for hours to hear of them."""
    data = ready(shapes, in_memory=False)
    broken = []
    for samples in (data.training, data.validation, data.test_dataloader().data):
        for index in samples.indices[:2].tolist():  # type: ignore[union-attr]
            path = samples.dataset.paths[index]  # type: ignore[union-attr]
            path.write_bytes(path.read_bytes()[:-40])
            broken.append(path.name)
    with pytest.raises(UserError, match=r"2 of 81 samples cannot .*2 of 9 samples cannot .*2 of 10 samples") as caught:
        ready(shapes)
    assert all(name in str(caught.value) for name in broken)


def test_images_of_several_sizes_need_one(shapes: Path) -> None:
    Image.new("RGB", (30, 30)).save(shapes / "wedge/large.png")
    with pytest.raises(
        UserError, match=r"one size, got 40x56 \(blob/0.png\) and 30x30 \(wedge/large.png\); data.image_size"
    ):
        ready(shapes)
    assert ready(shapes, image_size=32).input_shape == (3, 32, 32)


def test_bad_folders(shapes: Path, tmp_path: Path) -> None:
    def refused(root: Path, message: str, **settings: object) -> None:
        with pytest.raises(UserError, match=message) as caught:
            ready(root, **settings)
        assert "\n" not in str(caught.value)

    refused(tmp_path / "nowhere", "there is no folder .*nowhere; data.root=")
    refused(shapes.with_name("shaeps"), "there is no folder .*shaeps; .*; did you mean .*shapes[?]")
    refused(shapes / "blob", "blob holds images and no class folders; did you mean data.root=.*shapes, which .*blob, ")
    (tmp_path / "one/cats").mkdir(parents=True)
    refused(tmp_path / "one", "at least two class folders in .*one, each with images, got only 'cats'")
    (shapes / "empty").mkdir()
    refused(shapes, "class folder .*empty is empty")
    (shapes / "empty/notes.txt").write_text("to do")
    refused(shapes, "every class needs training samples, got none of empty")
    shutil.rmtree(shapes / "empty")
    refused(shapes, r"image_size must be one positive number or \[height,width\], got 0", image_size=0)
    refused(shapes, "val_fraction must be greater than 0", val_fraction=0)
    root = tmp_path / "levels"
    fill(root / "train", {"blob": 8, "frame": 8})
    fill(root / "test", {"blob": 2, "farme": 2})
    refused(root, "holds classes without training images: farme")


def test_images_of_another_ratio_are_cropped_padded_or_squashed(tmp_path: Path) -> None:
    pixels = np.full((20, 40, 3), 200, np.uint8)
    pixels[:, :10] = pixels[:, 30:] = 30  # what lies outside of the middle square
    pixels[6:14, 16:24] = 90
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(15):
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")

    def first(**settings: str) -> tuple[np.ndarray[Any, Any], str]:
        data = ready(tmp_path, image_size=20, **settings)
        return data.training.inputs[0, 0].numpy(), " ".join(data.summary().split())  # type: ignore[union-attr]

    cropped, summary = first(resize="crop")
    assert cropped[10, 10] == 90
    assert cropped[0].min() == cropped[:, 0].min() == 200
    assert (
        "the ends of the longer side are cut off, at most 50% of an image; the other ways are pad and squash" in summary
    )
    padded, summary = first(resize="pad")
    assert padded[:5].max() == padded[15:].max() == 0
    assert (padded[10, 1], padded[6, 10]) == (30, 200)
    assert "resize=pad: black bars" in summary
    squashed, _ = first(resize="squash")
    assert (squashed[10, 2], squashed[2, 10], squashed[10, 10]) == (30, 200, 90)
    as_before, _ = first()  # a config saved by an earlier version names no way
    assert np.array_equal(as_before, squashed)
    assert "resize" not in ready(tmp_path).summary()


def test_a_line_of_pixels_is_resized_too(tmp_path: Path) -> None:
    Image.new("L", (900, 1), 255).save(tmp_path / "line.png")
    for resize in ("crop", "pad", "squash"):
        assert read_image(tmp_path / "line.png", 1, (8, 8), resize=resize).max() == 255  # type: ignore[arg-type]


def test_a_test_folder_without_classes_is_left_for_predictions(shapes: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = shapes.parent / "kaggle"
    root.mkdir()
    shapes.rename(root / "train")
    (root / "test").mkdir()
    draw("blob", np.random.default_rng(0)).save(root / "test/1.png")
    data = ready(root)
    assert len(data.training) == 81
    assert "test has no folders of classes, so it cannot be the test split: a part of the training" in caplog.text
