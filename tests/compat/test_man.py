"""Manual pages: groff, man and mandoc judge the roff, the command tree what has to be in it."""

from __future__ import annotations

import functools
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from attest.cli import cli as attest_cli
from notme_git.cli import cli as notme_cli
from tests.compat.conftest import SCRIPTS, Sandbox, machine
from tests.compat.terminal import on_terminal
from tests.peers import peer

WIDTH = "100000"
"""Wide enough that man breaks no line, so that whole sentences can be looked for."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every page, as the program writes them."""
    sandbox = machine(tmp_path_factory.mktemp("man") / "machine")
    folder = sandbox.root / "share" / "man" / "man1"
    done = sandbox.notme("man", "--dir", folder, environ={"SOURCE_DATE_EPOCH": "1795759200"})
    assert done.text == f"{len(list(folder.iterdir()))} pages are in {folder}"
    return folder


def commands(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        yield (*words, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))


EVERY = [
    (("notme-git",), notme_cli), *commands(notme_cli, ("notme-git",)),
    (("notme-attest",), attest_cli), *commands(attest_cli, ("notme-attest",)),
]  # fmt: skip


@pytest.fixture(scope="module")
def shown(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A page as man shows it in a pipe, without the blanks between words; each is read once."""
    sandbox, environ = machine(tmp_path_factory.mktemp("shown") / "machine"), {"MANWIDTH": WIDTH, "MANPAGER": "cat"}

    @functools.cache
    def text(name: str) -> str:
        return " ".join(sandbox.run(peer("man"), "-l", pages / name, environ=environ).text.split())

    return text


@pytest.mark.parametrize(("words", "command"), EVERY, ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_every_command_has_a_page_with_its_sentence_and_every_option(
    shown: Callable[[str], str], words: tuple[str, ...], command: click.Command
) -> None:
    page = shown(f"{'-'.join(words[:2])}.1")
    assert " ".join(words) in page
    sentence = " ".join((command.help or "").split("\n\n")[0].split())
    assert sentence in page
    for option in (p for p in command.params if isinstance(p, click.Option) and not p.hidden):
        for name in (*option.opts, *option.secondary_opts):
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page), name
        assert " ".join((option.help or "").split()) in page


def test_there_is_no_page_of_anything_else(pages: Path) -> None:
    named = {f"{'-'.join(words[:2])}.1" for words, _ in EVERY} | {"git-notme.1"}
    assert {file.name for file in pages.iterdir()} == named


def test_no_judge_has_a_warning(bare_machine: Sandbox, pages: Path) -> None:
    for file in sorted(pages.iterdir()):
        for judge in (
            (peer("groff"), "-man", "-ww", "-z", file),
            (peer("man"), "--warnings", "-E", "UTF-8", "-l", "-Tutf8", file),
            (peer("mandoc"), "-Tlint", "-Wwarning", file),
        ):
            done = bare_machine.run(*judge, environ={"MANWIDTH": "80", "MANROFFSEQ": ""})
            said = done.err if judge[0] != peer("mandoc") else done.text + done.err
            assert said == "", f"{judge[0].name} {file.name}"


def test_a_page_names_the_home_and_the_exit_statuses(shown: Callable[[str], str]) -> None:
    page = shown("notme-git-log.1")
    for words in ("ENVIRONMENT NOTME_HOME", "EXIT STATUS 0 ", " 64 ", "SEE ALSO", "notme-git(1)", "git(1)"):
        assert words in page


def test_man_and_git_help_find_the_pages(bare_machine: Sandbox, pages: Path) -> None:
    environ = {"MANPATH": str(pages.parent), "MANPAGER": "cat", "PAGER": "cat"}
    assert "notme-git-grant" in bare_machine.run(peer("man"), "notme-git-grant", environ=environ).text
    bare_machine.git("init", "-q", ".")
    assert "Sign in git as an AI agent" in bare_machine.git("help", "notme", environ=environ).text


def test_the_same_source_date_gives_the_same_bytes(bare_machine: Sandbox, pages: Path) -> None:
    again = bare_machine.root / "again"
    bare_machine.notme("man", "--dir", again, environ={"SOURCE_DATE_EPOCH": "1795759200"})
    assert {f.name: f.read_bytes() for f in again.iterdir()} == {f.name: f.read_bytes() for f in pages.iterdir()}
    assert '"2026-11-27"' in (again / "notme-git.1").read_text().splitlines()[0]


@pytest.mark.parametrize("name", [None, "grant", "notme-git-grant", "notme-attest-verify"])
def test_into_a_pipe_goes_the_source(bare_machine: Sandbox, pages: Path, name: str | None) -> None:
    done = bare_machine.notme("man", *filter(None, [name]), environ={"SOURCE_DATE_EPOCH": "1795759200"})
    file = {None: "notme-git.1", "grant": "notme-git-grant.1"}.get(name, f"{name}.1")
    assert done.out == (pages / file).read_bytes()


def test_on_a_terminal_man_shows_the_page(bare_machine: Sandbox) -> None:
    peer("man")
    command = (SCRIPTS / "notme-git", "man", "grant")
    environ = {**bare_machine.environ, "MANPAGER": "cat", "TERM": "dumb"}
    written = on_terminal(*command, columns=80, cwd=bare_machine.repo, environ=environ)
    assert "NOTME-GIT-GRANT(1)" in written
    assert ".SH" not in written


def test_without_man_a_terminal_is_told_so(bare_machine: Sandbox) -> None:
    environ = {**bare_machine.environ, "PATH": str(bare_machine.root)}
    command = (SCRIPTS / "notme-git", "man")
    written = on_terminal(*command, columns=80, cwd=bare_machine.repo, environ=environ)
    assert "there is no program man here" in written


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        (("man", "nothing"), {}),
        (("man", "grant", "--dir", "x"), {}),
        (("man",), {"SOURCE_DATE_EPOCH": "yesterday"}),
        (("man",), {"SOURCE_DATE_EPOCH": "9" * 30}),
    ],
)
def test_what_makes_no_sense_is_a_matter_of_usage(
    bare_machine: Sandbox, words: tuple[str, ...], environ: dict[str, str]
) -> None:
    done = bare_machine.notme(*words, status=64, environ=environ)
    assert done.out == b""


def test_the_pages_there_are_fit_a_terminal(bare_machine: Sandbox) -> None:
    first, *names = bare_machine.notme("man", "nothing", status=64).err.splitlines()
    assert first == "notme-git: there is no page 'nothing'; there are"
    assert max(map(len, names)) <= 80
    assert {"notme-git-setup", "notme-attest-verify"} <= {name.strip(" ,") for line in names for name in line.split()}


def test_a_folder_that_cannot_be_written_is_named(bare_machine: Sandbox) -> None:
    (bare_machine.root / "file").touch()
    assert "cannot write to" in bare_machine.notme("man", "--dir", bare_machine.root / "file" / "x", status=2).err
    if os.geteuid():
        bare_machine.repo.chmod(stat.S_IRUSR | stat.S_IXUSR)
        bare_machine.notme("man", "--dir", bare_machine.repo, status=2)
