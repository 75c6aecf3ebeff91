"""Tables between two comments of a Markdown file."""

from pathlib import Path

import pytest

from cnnlab.errors import UserError
from cnnlab.workbench import marked_block


def test_a_text_replaces_the_older_one_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text("# Before\n<!-- bench gpu: begin -->\nold\n<!-- bench gpu: end -->\nAfter\n", encoding="utf-8")
    marked_block.write(path, "bench gpu", "new\n\n")
    expected = "# Before\n<!-- bench gpu: begin -->\nnew\n<!-- bench gpu: end -->\nAfter\n"
    assert path.read_text(encoding="utf-8") == expected
    assert marked_block.read(path, "bench gpu") == "\nnew\n"
    with pytest.raises(UserError, match="holds no <!-- bench imports: begin -->"):
        marked_block.write(path, "bench imports", "new\n")
    assert path.read_text(encoding="utf-8") == expected
    with pytest.raises(UserError, match="holds no"):
        marked_block.write(tmp_path / "absent.md", "bench gpu", "new\n", append=True)


def test_the_comments_are_appended_where_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text("# Before\n", encoding="utf-8")
    for text in ("old", "new"):
        marked_block.write(path, "study", text, append=True)
    assert path.read_text(encoding="utf-8") == "# Before\n\n<!-- study: begin -->\nnew\n<!-- study: end -->\n"
