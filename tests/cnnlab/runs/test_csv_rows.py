"""A run that goes on keeps what its CSV file held until the checkpoint."""

import csv
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger

from cnnlab.runs.csv_rows import keep_rows


def test_rows_until_the_checkpoint_are_kept(tmp_path: Path) -> None:
    first = CSVLogger(tmp_path, "csv", "")
    for step in range(4):
        first.log_metrics({"train/loss_step": 1.0}, step)
        if step == 1:
            first.log_metrics({"val/loss": 9.0}, 1)
    first.save()
    path = tmp_path / "csv/metrics.csv"
    with path.open("a") as file:
        file.write("4")  # killed while it wrote
    again = CSVLogger(tmp_path, "csv", "")
    keep_rows(again, 3)
    again.log_metrics({"train/loss_step": 0.5}, 3)
    again.log_metrics({"val/loss": 8.0, "val/f1": 0.5}, 2)
    again.save()
    with path.open(newline="") as file:
        rows = [(row["step"], row["train/loss_step"], row["val/loss"], row["val/f1"]) for row in csv.DictReader(file)]
    steps = [("0", "1.0"), ("1", "1.0"), ("1", "9.0"), ("2", "1.0"), ("3", "0.5"), ("2", "8.0")]
    assert [(step, loss or of_epoch) for step, loss, of_epoch, _ in rows] == steps
    assert rows[-1][-1] == "0.5"
