"""What the documents promise is what the code has: checked by words, so that neither changes alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import click
import pytest

from attest.cli import cli as attest_cli
from notme_git.cli import cli as notme_cli
from tests.peers import ROOT

HOSTILE = ROOT / "tests" / "compat" / "test_hostile_neighbour.py"


def rows() -> list[str]:
    """The sentences of the tables in SECURITY.md."""
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    return [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| It ")]


def sentences() -> list[str]:
    """The docstring of every test of the hostile neighbour."""
    module = ast.parse(HOSTILE.read_text("utf-8"))
    tests = [n for n in module.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]
    return [ast.get_docstring(test) or f"{test.name} has no sentence" for test in tests]


def test_every_row_of_the_security_tables_is_one_test_word_for_word() -> None:
    assert rows() == sentences()
    assert len(set(rows())) == len(rows())


def test_what_cannot_be_done_comes_before_what_can() -> None:
    kinds = [row.split()[1] for row in rows()]
    assert kinds == sorted(kinds, key=["cannot", "can"].index)
    assert set(kinds) == {"cannot", "can"}


def test_security_says_first_that_one_user_id_separates_nothing() -> None:
    first = (ROOT / "SECURITY.md").read_text("utf-8").split("\n## ")[1]
    assert "share a user id" in first
    assert "nothing on that machine separates them" in " ".join(first.split())
    assert "advice" in first


def every(group: click.Group) -> Iterator[click.Command]:
    """Every command below a group."""
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from every(command)
        else:
            yield command


@pytest.mark.parametrize("group", [attest_cli, notme_cli], ids=["notme-attest", "notme-git"])
def test_no_option_of_a_command_means_two_things(group: click.Group) -> None:
    for command in every(group):
        options = [name for found in command.params for name in (*found.opts, *found.secondary_opts)]
        assert len(options) == len(set(options)), command.name


def named(command: click.Command) -> set[str]:
    """The options of a command."""
    return {name for found in command.params for name in found.opts}


def test_a_file_to_write_is_named_alike_wherever_there_is_one() -> None:
    spellings = {"--out", "--output", "-o"}
    writing = [command for command in every(attest_cli) if named(command) & spellings]
    assert len(writing) >= 6
    assert [command.name for command in writing if not spellings <= named(command)] == []


def test_gitsign_counts_by_one_option_everywhere_and_sigstore_signs_only_where_it_can() -> None:
    judging = [command for command in every(attest_cli) if "--allowed-signers" in named(command)]
    assert [command.name for command in judging if "--gitsign" not in named(command)] == []
    without = {command.name for command in judging if "--sigstore" not in named(command)}
    assert without == {"record"}, "a rewrite record is made without signing keylessly"
    keyless = {command.name for command in every(attest_cli) if "--trust-config" in named(command)}
    assert keyless == {"attest", "build"}


def commands(group: click.Group, words: str) -> Iterator[str]:
    """Every command but those that `notme-git` takes over from `notme-attest` as they are."""
    for name, command in group.commands.items():
        if group is notme_cli and command in attest_cli.commands.values():
            continue
        if isinstance(command, click.Group):
            yield from commands(command, f"{words} {name}")
        else:
            yield f"{words} {name}"


@pytest.mark.parametrize("command", [*commands(notme_cli, "notme-git"), *commands(attest_cli, "notme-attest")])
def test_every_command_is_written_about(command: str) -> None:
    files = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    text = "\n".join(file.read_text("utf-8") for file in files)
    assert re.search(rf"{re.escape(command)}\b", text), f"neither README.md nor docs/ mentions {command}"
