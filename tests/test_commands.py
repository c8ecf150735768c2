"""The table of commands: complete, and no module is imported before its command is wanted."""

from __future__ import annotations

import subprocess
import sys

import pytest

from attest.commands import Commands
from notme_git.cli import cli


def test_every_command_is_found_under_its_name() -> None:
    assert {name: command.name for name, command in cli.commands.items()} == {name: name for name in cli.commands}
    assert all(command.help for command in cli.commands.values())


def test_a_name_that_is_none_is_no_command() -> None:
    table = Commands({"log": "notme_git.reading.cli:log_command"})
    assert table.get("nothing") is None
    with pytest.raises(KeyError):
        table["nothing"]


def test_what_another_command_needs_is_not_imported() -> None:
    code = "import sys, notme_git.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "notme_git.cli" in loaded
    of_others = {"notme_git.doctor.cli", "notme_git.session.cli", "notme_git.reading.cli", "notme_git.attesting"}
    assert not loaded & of_others
