"""Look for a learning rate before a training: python scripts/find_lr.py model=tinyvgg data=mnist

Takes what train.py takes. A new network is trained for steps= batches while the rate grows from lowest= to highest=.
The suggestion is a third of the rate at which the loss was lowest (the range test of Smith, 2017). Writes a picture
and a table to outputs/find_lr/ (out= names another folder) and no run folder; the test split is not read.
"""

import csv
import io
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from cnnlab.cli.command import command
from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically


@command(config_name="find_lr")
def main(config: DictConfig) -> None:
    """Run the test, print the suggestion as an override, and write the picture and the table."""
    from cnnlab.instantiation import check_value
    from cnnlab.runs.commands import short_path
    from cnnlab.workbench.inspection.range_test import run_range_test
    from cnnlab.workbench.inspection.range_test_figure import draw

    for key, hint in {"lowest": float, "highest": float, "steps": int, "out": str}.items():
        check_value(key, config[key], hint)
    found = run_range_test(config, config.lowest, config.highest, config.steps)
    choices = HydraConfig.get().runtime.choices
    model = "-".join(filter(None, [choices.model, config.model.get("name")]))
    title = f"{model} on {choices.data}, {choices.optimizer}, {found.batch_size} samples a step"
    name, folder = f"{choices.data}-{model}-{choices.optimizer}", Path(config.out).expanduser()
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["learning_rate", "loss", "smoothed_loss"])
    writer.writerows(zip(found.rates.tolist(), found.losses.tolist(), found.smooth.tolist(), strict=True))
    try:
        write_atomically(folder / f"{name}.png", draw(found, title))
        write_atomically(folder / f"{name}.csv", table.getvalue().encode())
    except OSError as error:
        raise UserError(f"out: cannot write to {folder} ({error.strerror}); name another folder") from error
    print(f"{title}: {len(found.rates)} steps")
    print(f"The loss was lowest at a rate of {found.best_rate:.2g}; a third of it is a good start:\n")
    print(f"    optimizer.lr={found.suggestion:g}\n")
    if found.warning:
        print(f"warning: {found.warning}")
    print(f"{short_path(folder)}:\n  {name}.png, {name}.csv")


if __name__ == "__main__":
    main()
