"""Hydra's parser can be built on every Python that is supported, and argparse is as before afterwards."""

import argparse
import sys

import pytest
from hydra._internal.utils import get_args_parser

from cnnlab.cli.lazy_help import lazy_help_allowed


@pytest.mark.parametrize("version", [(3, 13, 9), (3, 14, 0)])
def test_help_texts_are_not_read_from_the_version_on_that_reads_them(
    version: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    with lazy_help_allowed(), lazy_help_allowed():
        assert ("_check_help" in vars(argparse.ArgumentParser)) == (version >= (3, 14))
    assert "_check_help" not in vars(argparse.ArgumentParser)


def test_hydras_parser_can_be_built() -> None:
    with lazy_help_allowed():
        assert "--shell-completion" in get_args_parser().format_usage()
