"""Show a network layer by layer: python scripts/inspect_model.py model=tinyvgg data=mnist

Prints shapes, kernels, parameters, multiply-adds, receptive fields and memory, and why the first fully connected layer
has as many inputs as it has. Writes <model>.csv and <model>.png to outputs/inspection/ (out= names another folder).
input_shape=[1,8000] num_classes=10 takes the place of a data set.
"""

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from cnnlab.cli.command import command
from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically

if TYPE_CHECKING:
    from cnnlab.workbench.inspection.layers import Layer


@command(config_name="inspect_model")
def main(config: DictConfig) -> None:
    """Print the table; write it and the picture."""
    from cnnlab.building import words_argument
    from cnnlab.instantiation import build
    from cnnlab.runs.commands import short_path
    from cnnlab.workbench.canvas import also_saved_as, check_format, with_vectors
    from cnnlab.workbench.inspection import layers as inspection
    from cnnlab.workbench.inspection.shapes_figure import draw
    from cnnlab.workbench.notation import aligned, shown_bytes

    check_format(config.format)
    input_shape, num_classes, vocabulary = sizes(config)
    words = words_argument(config, vocabulary)
    model = build(config, "model", input_shape=input_shape, num_classes=num_classes, **words)
    try:
        inspected = inspection.inspect_model(model, input_shape)
    except ValueError as error:
        raise UserError(f"model: {error}") from error
    table = inspection.layer_table(inspected)
    name = "-".join([HydraConfig.get().runtime.choices.model, *filter(None, [config.model.get("name")])])
    title = f"{name} on data of {inspection.joined_sizes(input_shape)}"
    folder = Path(config.out).expanduser()
    try:
        with also_saved_as(config.format) as vectors:
            files = {f"{name}.csv": as_csv(inspected.layers).encode(), f"{name}.png": draw(inspected, title)}
        files = with_vectors(files, vectors, config.format)
        for file, content in files.items():
            write_atomically(folder / file, content)
    except OSError as error:
        raise UserError(f"out: cannot write to {folder} ({error.strerror}); name another folder") from error
    print(f"{title}\n\n{aligned(table)}\n")
    print(f"weights: {inspected.parameters:,} parameters, {shown_bytes(inspected.weight_bytes)}")
    if inspected.fully_connected:
        print(inspected.fully_connected)
    print("receptive field: values of the input, in each dim, that one output value sees, padding included")
    print(f"\n{short_path(folder)}:")
    print(f"  {', '.join(files)}")


def sizes(config: DictConfig) -> tuple[tuple[int, ...], int, Sequence[str] | None]:
    """Shape of a sample and number of classes, given or read from the data; of texts the vocabulary."""
    from cnnlab.instantiation import build, check_value

    given: Any = config.input_shape, config.num_classes
    check_value("input_shape", given[0], list[int] | None)
    check_value("num_classes", given[1], int | None)
    if given == (None, None):
        data = build(config, "data")
        try:
            data.prepare_data()
            data.setup()
        except UserError as error:
            raise UserError(f"data: {error}") from error
        return data.input_shape, data.num_classes, data.vocabulary
    if None in given:
        raise UserError("input_shape= and num_classes= take the place of a data set together: give both or neither")
    if len(given[0]) not in (2, 3, 4) or min(*given[0], given[1]) < 1:
        raise UserError(
            f"expected input_shape=[channels, 1 to 3 sizes] and num_classes= of at least 1 each, "
            f"got {list(given[0])} and {given[1]}"
        )
    return tuple(given[0]), given[1], None


def as_csv(layers: "list[Layer]") -> str:
    """One line per layer, shapes as 10x7x7, an empty receptive field where a value sees all of the input."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in dataclasses.fields(layers[0])], lineterminator="\n")
    writer.writeheader()
    for layer in layers:
        cells = dataclasses.asdict(layer).items()
        writer.writerow({name: "x".join(map(str, cell)) if isinstance(cell, tuple) else cell for name, cell in cells})
    return text.getvalue()


if __name__ == "__main__":
    main()
