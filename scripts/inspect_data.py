"""Look at a data set before training on it: python scripts/inspect_data.py data=image_folder data.root=photos

Prints how many samples each split and class has, copies within and across splits, copies with different labels, and odd
samples: very dark or bright, all of one colour, much longer than wide, or unlike all others. Writes a picture with the
class balance and samples of each class, and a list of what was found, to outputs/inspection/<data set>/ (out= names
another folder). augment=photo adds augmented versions of a few samples to the picture.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from cnnlab.cli.command import command
from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically

if TYPE_CHECKING:
    from cnnlab.data.datamodule import DataModule


# One looks at images before one knows to which size they should be resized.
LOOK_AT = (64, 64)


@command(config_name="inspect_data")
def main(config: DictConfig) -> None:
    """Print the tables; write the picture and the list."""
    from cnnlab.runs.commands import short_path
    from cnnlab.workbench.data_inspection import description, figure, oddities, samples
    from cnnlab.workbench.notation import csv_bytes

    data = ready(config)
    parts = list(samples.parts_of(data))
    kind = data.kind_of(len(data.input_shape) - 1)
    found = oddities.copies(parts)
    odd = [one for part in parts for one in oddities.odd_ones(part, kind, data.scale)]
    print(description.described(data, parts, found, odd))
    rows = [["split", "sample", "what"]]
    rows += [[part.split, part.name(n), f"copy {i}"] for i, group in enumerate(found.groups, 1) for part, n in group]
    rows += [[one.part.split, one.part.name(one.number), one.reason] for one in odd]
    folder = Path(config.out).expanduser() / data.dataset
    try:
        write_atomically(folder / "inspect_data.png", figure.draw(data, parts, odd))
        write_atomically(folder / "odd_samples.csv", csv_bytes(rows))
    except OSError as error:
        raise UserError(f"out: cannot write to {folder} ({error.strerror}); name another folder") from error
    print(f"\n{short_path(folder.absolute())}:\n  inspect_data.png, odd_samples.csv")


def ready(config: DictConfig) -> "DataModule":
    """The data set, set up. What lies in files of its own stays there, so that a sample has the name of its file."""
    from cnnlab.instantiation import build, check_value

    check_value("out", config.out, str)
    data: DataModule = build(config, "data", augment=build(config, "augment"), seed=config.seed)
    if hasattr(data, "unreadable"):
        data.in_memory, data.unreadable = False, "skip"
    has_no_size = getattr(data, "size", 0) is None
    if has_no_size:
        data.size_if_several = LOOK_AT  # type: ignore[attr-defined]
    try:
        data.prepare_data()
        data.setup()
    except UserError as error:
        raise UserError(f"data: {error}") from error
    if has_no_size and data.size == LOOK_AT:
        print("note: the images have several sizes and are looked at as 64x64; training asks for data.image_size\n")
    return data


if __name__ == "__main__":
    main()
