"""Tables that a script writes between two comments of a Markdown file, as RESULTS.md has them."""

from pathlib import Path

from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically


def read(path: Path, name: str) -> str:
    """Return what stands between <!-- name: begin --> and <!-- name: end -->.

    Raises:
        UserError: if the file has no such comments.
    """
    return _parts(path, name)[1]


def rows(path: Path, name: str) -> list[dict[str, str]]:
    """Return the rows of the table there, each as its cells by the names of their columns.

    Raises:
        UserError: see read.
    """
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in read(path, name).strip().splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def write(path: Path, name: str, text: str, append: bool = False) -> None:
    """Put the text between the two comments, in place of what stands there.

    Args:
        append: put both comments at the end of a file that has none.

    Raises:
        UserError: if the file has none and they are not to be appended.
    """
    begin, end = _comments(name)
    if append and path.is_file() and begin not in (content := path.read_text(encoding="utf-8")):
        write_atomically(path, f"{content}\n{begin}\n{end}\n".encode())
    before, _, after = _parts(path, name)
    write_atomically(path, f"{before}{begin}\n{text.strip()}\n{end}{after}".encode())


def _parts(path: Path, name: str) -> tuple[str, str, str]:
    begin, end = _comments(name)
    content = path.read_text(encoding="utf-8") if path.is_file() else ""
    before, found_begin, rest = content.partition(begin)
    between, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise UserError(f"{path} holds no {begin} … {end}: put the two lines where the table is to be")
    return before, between, after


def _comments(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
