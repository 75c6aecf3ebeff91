"""One conversion: from files as others publish them to a data set, and a report of what was found."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cnnlab.data.files.imaging import read_header
from cnnlab.data.files.picture_names import is_picture
from cnnlab.errors import UserError
from cnnlab.runs.commands import short_path
from cnnlab.workbench.conversion import labelled_files, tables, to_arrays
from cnnlab.workbench.conversion.samples import Found, in_order
from cnnlab.workbench.conversion.sources import Choices
from cnnlab.workbench.notation import aligned

_MOST_CLASSES_SHOWN = 20
_SMALLEST_SIDE = 16  # of samples for the default network
_BATCH = 32


def convert(sources: Sequence[Path], out: Path, choices: Choices) -> str:
    """Write `out`, an .npz file or a folder with a sub-folder for each class, and describe it.

    Raises:
        UserError: for what cannot be converted, and for an `out` that is there already.
    """
    for source in sources:
        if not source.exists():
            raise UserError(f"there is no file or folder {source}")
    if out.exists():
        raise UserError(f"{out} is there already; name another file or folder, or remove it")
    if out.suffix == ".npz":
        return _report_of_arrays(to_arrays.convert(sources, out, choices), out)
    if out.suffix:
        raise UserError(f"the last argument must be an .npz file or a folder without a dot in its name, got {out}")
    return _to_folders(sources, out, choices.labels)


def _report_of_arrays(converted: to_arrays.Converted, out: Path) -> str:
    lines: list[str] = []
    splits = converted.splits
    if splits:
        lines += [_table_of_arrays(splits, converted.is_classes), "", *converted.notes, f"written {short_path(out)}"]
    if converted.unlabelled is not None:
        file = short_path(converted.unlabelled_file)
        lines += [
            f"written {file}: {len(converted.unlabelled):,} samples without labels, in their order; after a training",
            f"  python predict.py run=latest inputs={shlex.quote(file)}",
        ]
    if splits:
        lines += ["train with", f"  {_train_on_arrays(splits['train'], converted.is_classes, out)}"]
    return "\n".join(lines)


def _table_of_arrays(splits: dict[str, Found], is_classes: bool) -> str:
    rows = [["", "samples", "shape", "type"]]
    for split, found in splits.items():
        rows.append([split, f"{len(found):,}", "x".join(map(str, found.x.shape[1:])), str(found.x.dtype)])
    train = splits["train"]
    assert train.y is not None
    if is_classes:
        names = train.names or tuple(map(str, range(int(train.y.max()) + 1)))
        counts = {split: np.bincount(found.y, minlength=len(names)) for split, found in splits.items()}  # type: ignore[arg-type]
        return f"{aligned(rows, 1)}\n\n{_class_table(names, {s: c.tolist() for s, c in counts.items()})}"
    what = ", ".join(train.names) if train.names else f"{train.y.reshape(len(train), -1).shape[1]} values"
    return f"{aligned(rows, 1)}\n\ny      {what}"


def _class_table(names: Sequence[str], counts: dict[str, list[int]]) -> str:
    rows = [["class", *counts]]
    rows += [[name, *(f"{column[i]:,}" for column in counts.values())] for i, name in enumerate(names)][
        :_MOST_CLASSES_SHOWN
    ]
    more = f"\n… {len(names) - _MOST_CLASSES_SHOWN} more" if len(names) > _MOST_CLASSES_SHOWN else ""
    return aligned(rows, 1) + more


def _train_on_arrays(train: Found, is_classes: bool, out: Path) -> str:
    words = ["python train.py data=npz", f"data.path={shlex.quote(short_path(out))}"]
    if not is_classes:
        assert train.y is not None
        task = "multilabel" if train.y.dtype == np.uint8 else "values"
        words += [f"data.targets={task}", f"classifier={'regression' if task == 'values' else task}"]
    spatial = [side for side in train.x.shape[1:] if side > 4] or [1]
    if min(spatial) < _SMALLEST_SIDE:
        words.append("model=linear")
    return " ".join([*words, *_smaller_batches(len(train))])


def _smaller_batches(num_samples: int) -> list[str]:
    """A batch size for fewer training samples than the usual one needs; a tenth goes to validation."""
    left = int(num_samples * 0.8)
    return [] if left >= _BATCH else [f"data.batch_size={max(1, 2 ** (left.bit_length() - 2))}"]


def _to_folders(sources: Sequence[Path], out: Path, labels: Sequence[str]) -> str:
    """Sort pictures or recordings into folders of their classes."""
    table_files = [path for path in sources if path.is_file() and path.name.lower().endswith(tables.ENDINGS)]
    folders = [path for path in sources if path.is_dir()]
    if strange := [path for path in sources if path not in table_files and path not in folders]:
        raise UserError(f"{strange[0]} becomes arrays: let the last argument be an .npz file, got {out}")
    folders = folders or [path.parent for path in table_files]
    files = [file for folder in dict.fromkeys(folders) for file in labelled_files.below(folder)]
    if not table_files:  # a table may lie among the files
        inside = [path for path in folders[0].iterdir() if path.name.lower().endswith(tables.ENDINGS)]
        table_files = [path for path in inside if labelled_files.name_column(tables.frame(path), files) is not None]
    found: dict[Path, str] = {}
    for path in table_files:
        found |= labelled_files.by_table(tables.frame(path), files, labels, path.name)
    if not table_files:
        found = labelled_files.by_their_names(files)
    if not found:
        raise UserError(f"{table_files[0].name} holds a label for none of the {len(files):,} files")
    others = [file for file in files if file not in found]
    is_pictures = is_picture(next(iter(found)).name)
    words = [f"python train.py data=image_folder data.root={shlex.quote(short_path(out))}"]
    if is_pictures:  # a picture that cannot be read is found here, before anything is written
        words += [] if _have_one_size(list(found)) else ["data.image_size=64"]
    # only: zoo
    else:
        words = [f"python train.py data=audio_folder data.root={shlex.quote(short_path(out))}"]
    # end only
    labelled_files.write(found, others, out)
    counts = Counter(found.values())
    names = sorted(counts, key=in_order)
    lines = [
        _class_table(names, {"files": [counts[name] for name in names]}),
        "",
        f"written {short_path(out)}/<class>/…",
    ]
    if others:
        beside = f"{short_path(out)}_unlabelled"
        lines += [
            f"written {beside}: {len(others):,} files without a label; after a training",
            f"  python predict.py run=latest inputs={shlex.quote(beside)}",
        ]
    return "\n".join([*lines, "train with", f"  {' '.join([*words, *_smaller_batches(len(found))])}"])


def _have_one_size(paths: Sequence[Path]) -> bool:
    headers = [read_header(path) for path in paths]
    return len({(header.height, header.width) for header in headers}) == 1
