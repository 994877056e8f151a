"""What tests of several commands need."""

import pytest

from tests.commands.rule_store import Place


@pytest.fixture
def place(tmp_path, monkeypatch, capsys):
    """A working folder."""
    return Place(tmp_path, monkeypatch, capsys)
