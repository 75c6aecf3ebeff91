"""Adds pictures to a run's TensorBoard log after the run, in a separate event file."""

import io
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]


def add_images(run_dir: Path, name: str, images: Mapping[str, bytes], step: int) -> None:
    """Show PNG files on the run's IMAGES page; they replace those of an earlier call with the same `name`.

    Args:
        run_dir: the run folder; the pictures go to <run_dir>/tensorboard.
        name: the source of the pictures, for example evaluation-test; part of the event file's name.
        images: tag, for example evaluation/test/confusion_matrix, to the bytes of a PNG file, kept as they are.
        step: x on the page, for example the epoch of the weights.

    Raises:
        PIL.UnidentifiedImageError: for bytes that are not a picture; then nothing is written.
    """
    events = [Event(wall_time=time.time(), file_version="brain.Event:2")]
    events += [
        Event(wall_time=time.time(), step=step, summary=Summary(value=[Summary.Value(tag=tag, image=_image(png))]))
        for tag, png in images.items()
    ]
    records = io.BytesIO()
    writer = RecordWriter(records)
    for event in events:
        writer.write(event.SerializeToString())

    folder = run_dir / "tensorboard"
    folder.mkdir(parents=True, exist_ok=True)
    mine = re.compile(rf"events\.out\.tfevents\.\d+\.{re.escape(name)}")
    earlier = [path for path in folder.iterdir() if mine.fullmatch(path.name)]
    # TensorBoard reads the files in the order of their names, and one that is open goes on to later names only.
    path = folder / f"events.out.tfevents.{int(time.time()) + 1:010d}.{name}"
    temporary = folder / f".{name}.{os.getpid()}.tmp"  # no "tfevents" in it: TensorBoard would read it half-written
    try:
        temporary.write_bytes(records.getvalue())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    for file in earlier:
        if file != path:
            file.unlink(missing_ok=True)


def _image(png: bytes) -> Summary.Image:
    width, height = Image.open(io.BytesIO(png)).size
    return Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=png)
