"""The memory benchmark sees what a process holds, and its file is one that data=npz reads from the disk."""

from pathlib import Path

import numpy as np
import pandas as pd

from cnnlab.data.files.npz_file import NpzFile
from cnnlab.workbench.benchmark import memory


def test_the_large_file_is_read_sample_by_sample(tmp_path: Path) -> None:
    path = tmp_path / "large.npz"
    memory.write_large(path, 40_000_000)
    assert abs(path.stat().st_size - 40_000_000) < 2_000_000
    images = NpzFile(path).map("x_train")
    assert len(images) == 40_000_000 // (128 * 128 * 3) - 320
    np.testing.assert_array_equal(images[3], images[323])  # the same 320 images again and again


def test_the_table_judges_each_measurement() -> None:
    measured = [
        ("default run", "train.py", 950.0, 560.0),
        ("default run", "careful loop", 800.0, 400.0),
        ("batch 512", "train.py", 1000.0, 700.0),
        ("batch 512", "train.py with glibc's own settings", 990.0, 500.0),
        ("data.in_memory=false", "train.py", 5000.0, 900.0),
    ]
    rows = pd.DataFrame(measured, columns=["what", "variant", "peak", "own"]).assign(repeat=0)
    text = memory.as_markdown(rows)
    assert "| default run | train.py | 950 | 560 | peak / careful loop ≤ 1.3: yes |" in text
    assert "more than with glibc's own ≤ 128 MB: no" in text
    assert "own ≤ 1000 MB: yes" in text
    assert memory.draw(rows).startswith(b"\x89PNG")
