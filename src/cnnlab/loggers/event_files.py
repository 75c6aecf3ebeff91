"""Where a run's TensorBoard event files lie, and how pictures are added to them after the run."""

import glob
import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from torch.utils.tensorboard import FileWriter


def events_folder(run_dir: Path) -> Path:
    """Return the folder of a run's event files: the run folder, or <run_dir>/tensorboard of a run that already has it.

    Earlier versions wrote to the latter, and TensorBoard takes one folder for one run.
    """
    earlier = run_dir / "tensorboard"
    return earlier if earlier.is_dir() else run_dir


def add_images(run_dir: Path, name: str, images: Mapping[str, bytes], step: int) -> None:
    """Show PNG files on the run's IMAGES page; they replace those of an earlier call with the same `name`.

    Args:
        run_dir: the run folder; the pictures lie beside the run's other event files.
        name: the source of the pictures, for example evaluation-test; the end of the event file's name.
        images: tag, for example evaluation/test/confusion_matrix, to the bytes of a PNG file, kept as they are.
        step: x on the page, for example the epoch of the weights.

    Raises:
        PIL.UnidentifiedImageError: for bytes that are not a picture; then nothing is written.
    """
    values = [Summary.Value(tag=tag, image=_image(png)) for tag, png in images.items()]
    folder = events_folder(run_dir)
    earlier = list(folder.glob(f"events.out.tfevents.*.{glob.escape(name)}"))
    # SummaryWriter.add_image would decode each picture and encode it anew.
    writer = FileWriter(str(folder), filename_suffix=f".{name}")
    for value in values:
        writer.add_summary(Summary(value=[value]), step)
    writer.close()
    for file in earlier:
        file.unlink(missing_ok=True)


def _image(png: bytes) -> Summary.Image:
    width, height = Image.open(io.BytesIO(png)).size
    return Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=png)
