"""Reads a table of files and their labels, of which a file may have several."""

import csv
from collections import Counter
from pathlib import Path

from cnnlab.data.files.class_folders import FileKind, LabelledFiles
from cnnlab.errors import UserError, did_you_mean

_SPLITS = ("train", "val", "test")
_SPLIT_COLUMN = "split"
_NUM_NAMED = 5


def files_in_table(root: Path, table: str, kind: FileKind) -> tuple[tuple[str, ...], dict[str, LabelledFiles]]:
    """The names of the labels, and the files of each split that the table names, at least those of "train".

    Args:
        root: the folder of the files.
        table: name of a CSV file in the folder, or an absolute path. Its first row has the names of the columns, its
            first column the names of the files; the others hold 0 or 1, but for one named split.

    Raises:
        UserError: for a table that is not like that, or a file that is not there.
    """
    path = root / Path(table).expanduser()
    header, rows = _read(path)
    is_label = [number > 0 and name != _SPLIT_COLUMN for number, name in enumerate(header)]
    names = tuple(name for name, chosen in zip(header, is_label, strict=True) if chosen)
    if len(names) < 2:
        raise UserError(f"{path} must have a column of file names and two or more of labels, got {', '.join(header)}")
    found: dict[str, tuple[list[Path], list[list[float]]]] = {}
    for line, row in rows:
        split = row[header.index(_SPLIT_COLUMN)].strip() if _SPLIT_COLUMN in header else "train"
        if split not in _SPLITS:
            choices = ", ".join(_SPLITS)
            nearest = did_you_mean(split, _SPLITS)
            raise UserError(f"{path}, line {line}: split must be one of {choices}, got {split!r}{nearest}")
        cells = [cell.strip() for cell, chosen in zip(row, is_label, strict=True) if chosen]
        for name, cell in zip(names, cells, strict=True):
            if cell not in ("0", "1"):
                raise UserError(f"{path}, line {line}: {name} must be 0 or 1, got {cell!r}")
        paths, labels = found.setdefault(split, ([], []))
        paths.append(root / row[0].strip())
        labels.append([float(cell) for cell in cells])
    _check_files(path, [one for paths, _ in found.values() for one in paths], kind)
    if "train" not in found:
        raise UserError(f"{path} has no {kind.samples} of the split train")
    sizes = {split: [one.stat().st_size for one in paths] for split, (paths, _) in found.items()}
    return names, {split: LabelledFiles(root, *found[split], sizes[split]) for split in found}


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names of the columns, and the other rows with their line numbers."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError as error:
        raise UserError(f"labels: there is no {path}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"labels: {path} cannot be read as a CSV file in UTF-8 ({error})") from error
    if not rows:
        raise UserError(f"labels: {path} has no rows below the names of its columns")
    for line, row in rows:
        if len(row) != len(header):
            raise UserError(f"{path}, line {line}: expected {len(header)} cells, got {len(row)}")
    return header, rows


def _check_files(table: Path, paths: list[Path], kind: FileKind) -> None:
    missing = [path for path in paths if not path.is_file()]
    if missing:
        more = f" and {len(missing) - _NUM_NAMED} more" if len(missing) > _NUM_NAMED else ""
        raise UserError(f"{table} names files that are not there: {', '.join(map(str, missing[:_NUM_NAMED]))}{more}")
    if wrong := next((path for path in paths if not kind.accepts(path.name)), None):
        raise UserError(f"{table} names {wrong}, which is none of the {kind.readable}")
    if len(set(paths)) < len(paths):
        twice = Counter(paths).most_common(1)[0][0]
        raise UserError(f"{table} names {twice} twice; each file must have one row")
