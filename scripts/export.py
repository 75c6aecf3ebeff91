"""Write a run's network to a file for other programs: python scripts/export.py run=latest format=onnx

format=onnx and torch_export take inputs as stored, for images pixels from 0 to 255, and normalise them; safetensors
holds the weights alone. Every file carries classes, shape and normalisation, and is kept only if it gives the
original's outputs for 1,000 of the run's validation and training samples. It goes to <run>/export/ (out= names another
file or folder).
"""

from typing import TYPE_CHECKING

from omegaconf import DictConfig

from cnnlab.cli.command import command
from cnnlab.errors import UserError

if TYPE_CHECKING:
    from cnnlab.saved_run import SavedModel
    from cnnlab.workbench.export.export_run import Exported
    from cnnlab.workbench.export.formats import Format


@command(config_name="export")
def main(config: DictConfig) -> None:
    """Export, check, tell."""
    from cnnlab.instantiation import check_value
    from cnnlab.saved_run import load_data, load_model
    from cnnlab.workbench.export import formats
    from cnnlab.workbench.export.check import known_samples
    from cnnlab.workbench.export.export_run import export_run, path_of

    hints = {"run": str, "format": str, "out": str | None, "tolerance": float}
    for key, hint in hints.items():
        check_value(key, config[key], hint)
    to = formats.find(config.format)
    saved = load_model(config.run)
    path = path_of(saved.folder, to, config.out)
    try:
        datamodule = load_data(saved)
    except UserError as error:
        raise UserError(f"an export is checked on the run's own data, and those are not available: {error}") from error
    try:
        exported = export_run(saved, to, path, known_samples(datamodule), config.tolerance)
    except OSError as error:
        raise UserError(f"out: cannot write to {path} ({error.strerror}); name another file or folder") from error
    print(report(saved, to, exported, has_answers=saved.targets != "values"))


def report(saved: "SavedModel", to: "Format", exported: "Exported", has_answers: bool) -> str:
    """What was written, how to feed it, and how well it agrees with the original."""
    from cnnlab.runs.commands import short_path
    from cnnlab.workbench.export.metadata import batch_of, meaning_of_outputs, needed_input
    from cnnlab.workbench.notation import shortened, shown_bytes, shown_number

    data, agreement = saved.data, exported.agreement
    path = short_path(exported.path.absolute())
    samples = "digits" if data["preprocessing"] == "digits" else "samples"
    difference = shown_number(agreement.max_difference)
    checked = f"{agreement.num_samples:,} real {samples}: outputs differ by {difference} at most"
    if has_answers:
        checked += f", {agreement.num_differing:,} answers differ"
    shape = data["input_shape"]
    per_channel = ", ".join(["-1"] + ["1"] * (len(shape) - 1))
    usage = to.usage.format(path=path, shape=batch_of(shape), per_channel=per_channel)
    return "\n".join(
        [
            f"run     {short_path(saved.folder)}: {type(saved.model).__name__} on {data['dataset']}",
            f"file    {path}, {shown_bytes(exported.num_bytes)}",
            f"input   {needed_input(saved, to.normalises)}",
            f"output  float32 {batch_of([data['num_classes']])}: {shortened(', '.join(data['class_names']), 90)}",
            f"        {meaning_of_outputs(saved)}",
            f"check   {checked}",
            "",
            *("  " + line for line in usage.splitlines()),
        ]
    )


if __name__ == "__main__":
    main()
