"""Reads columns of text from a CSV or TSV file."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from cnnlab.errors import UserError, did_you_mean, printable

SUFFIXES = (".csv", ".tsv", ".tab")
_LONGEST_CELL = 2**24  # characters; the csv module's own limit is that of a page


def decoded(content: bytes, name: str) -> str:
    """Text in UTF-8, with or without a byte-order mark.

    Raises:
        UserError: if it is in another encoding.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{name} must be text in UTF-8, but line {line} is not; save it in this encoding") from error


def columns(content: bytes, name: str, wanted: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The line on which each row ends, and the row's cells in the wanted columns; empty lines are passed over.

    Args:
        content: with the columns' names in the first line; tabs separate them if the name ends in .tsv or .tab, else
            commas.

    Raises:
        UserError: if the file is empty, lacks a column, or a row has fewer cells than it should.
    """
    delimiter = "," if PurePath(name).suffix.lower() not in SUFFIXES[1:] else "\t"
    csv.field_size_limit(_LONGEST_CELL)
    rows = csv.reader(io.StringIO(decoded(content, name), newline=""), delimiter=delimiter)
    try:
        header = [cell.strip() for cell in next(rows, [])]
        if not header:
            raise UserError(f"{name} is empty; expected a first line that names the columns {', '.join(wanted)}")
        if missing := [column for column in wanted if column not in header]:
            there = printable(", ".join(header))
            raise UserError(f"{name} has no column {missing[0]}; it holds {there}{did_you_mean(missing[0], header)}")
        places = [header.index(column) for column in wanted]
        for row in rows:
            if not row:
                continue
            if len(row) <= max(places):
                raise UserError(f"line {rows.line_num} of {name} has {len(row)} of {len(header)} cells")
            yield rows.line_num, [row[place] for place in places]
    except csv.Error as error:
        raise UserError(f"line {rows.line_num} of {name} cannot be read ({error})") from error
