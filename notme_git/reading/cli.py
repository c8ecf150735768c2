"""`notme-git log`, `completion` and `man`: the commands for whoever reads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import click

from attest import cli as attest_cli
from attest import command
from attest.cli import json_option, repository_option, trust_options
from attest.errors import ACCEPTED, UNCHECKED, USAGE, UnavailableError, UsageError
from notme_git import __version__
from notme_git.config import Config
from notme_git.reading import completion, history, manpage, table

LIMIT = 20
LIST_COLUMNS = 78
PROGRAM = click.Choice(["notme-git", "notme-attest"])


@click.command(name="log")
@click.argument("range", required=False, metavar="[RANGE]")
@repository_option
@trust_options
@click.option(
    "-n", "--max-count", type=click.IntRange(min=1), default=LIMIT, show_default=True, help="At most so many."
)
@json_option
def log_command(
    range: str | None,
    directory: Path | None,
    anchors: tuple[Path, ...],
    profile: str | None,
    bundle: Path | None,
    max_count: int,
    as_json: bool,
) -> int:
    """Show who signed what for whom.

    A line for each commit of RANGE, newest first.

    RANGE is a revision, whose history is shown, or A..B; without it, the history of HEAD. Each commit is judged
    as by verify. Exits 0 when the table could be shown, whatever is in it.
    """
    config = Config.read()
    trusted = attest_cli.load_trust(anchors, profile, bundle)
    with attest_cli.open_repository(directory, config.environ) as repo:
        page = history.walk(repo, range, max_count)
        context = attest_cli.read_context(repo, range or "HEAD", None, None)
        rows = history.read(repo, page.ids, trusted, profile, context, config.at)
    if as_json:
        click.echo(json.dumps([row.data() for row in rows], indent=2, ensure_ascii=False))
    elif rows:
        _print_table(rows, config.environ)
    return _say_what_is_missing(page, range or "HEAD", max_count)


@click.command(name="completion")
@click.argument("shell", type=click.Choice(completion.SHELLS))
@click.option("--program", type=PROGRAM, default="notme-git", show_default=True, help="The program to complete.")
def completion_command(shell: str, program: str) -> None:
    """Print a completion script for SHELL.

    It completes commands, options and agents' names.

    \b
    bash (4.4 or newer):  eval "$(notme-git completion bash)"     in ~/.bashrc
    zsh:                  eval "$(notme-git completion zsh)"      in ~/.zshrc, after compinit
    fish:                 notme-git completion fish | source      in ~/.config/fish/config.fish

    The bash script completes git notme as well, where git's own completion is loaded.
    """
    click.echo(completion.script(_groups()[program], shell), nl=False)


@click.command(name="man")
@click.argument("name", required=False, metavar="[NAME]")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write every page into this folder, such as ~/.local/share/man/man1.",
)
def man_command(name: str | None, directory: Path | None) -> int:
    """Show the manual page of a command, or write all of them.

    NAME is a page (notme-git-grant, notme-attest) or a command of notme-git (grant); into a pipe goes its source.
    """
    config = Config.read()
    made = _pages(_day(config))
    if directory is not None:
        if name is not None:
            raise UsageError("--dir writes every page", hint="leave NAME away")
        _write(made, directory)
        click.echo(f"{len(made)} pages are in {directory}")
        return ACCEPTED
    wanted = next((known for known in (name, f"notme-git-{name}") if known in made), "") if name else "notme-git"
    if not wanted:
        command.complain("notme-git", UsageError(f"there is no page {name!r}; there are"))
        for line in textwrap.wrap(", ".join(made), LIST_COLUMNS, break_on_hyphens=False):
            click.echo(f"  {line}", err=True)
        return USAGE
    if sys.stdout.isatty():
        return _show(wanted, made[wanted], config.environ)
    click.echo(made[wanted], nl=False)
    return ACCEPTED


def _print_table(rows: list[history.Row], environ: Mapping[str, str]) -> None:
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else None
    colour = terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    # A subject may be in letters that the terminal's encoding lacks.
    encoding = sys.stdout.encoding or "utf-8"
    for line in table.render(history.COLUMNS, [row.cells() for row in rows], width=width, colour=colour):
        click.echo(line.encode(encoding, "replace").decode(encoding), color=colour)


def _say_what_is_missing(page: history.Page, expression: str, limit: int) -> int:
    if page.broken is not None:
        command.complain("notme-git", page.broken)
        return UNCHECKED
    if not page.ids:
        click.echo(f"notme-git: no commit is in {expression}", err=True)
    elif page.more:
        click.echo(f"notme-git: the newest {limit} are shown, and there are more (-n N)", err=True)
    return ACCEPTED


def _groups() -> dict[str, click.Group]:
    """Both programs. Ours is the one that is running: `notme_git.cli` imports this module, not the reverse."""
    running = click.get_current_context().find_root().command
    assert isinstance(running, click.Group)
    return {"notme-git": running, "notme-attest": attest_cli.cli}


def _pages(day: date) -> dict[str, str]:
    return {
        name: text
        for group in _groups().values()
        for name, text in manpage.pages(group, __version__, day).items()
    }


def _day(config: Config) -> date:
    """Today, or what a reproducible build says (reproducible-builds.org, SOURCE_DATE_EPOCH)."""
    stated = config.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        return datetime.fromtimestamp(int(stated), UTC).date() if stated else config.at.date()
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"SOURCE_DATE_EPOCH is {stated!r}, which is no time", hint="seconds since 1970") from None


def _write(pages: Mapping[str, str], directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            (directory / f"{name}.1").write_text(text, "ascii")
    except OSError as error:
        raise UnavailableError(f"cannot write to {directory}: {error.strerror}") from None


def _show(name: str, text: str, environ: Mapping[str, str]) -> int:
    program = shutil.which("man", path=environ.get("PATH", os.defpath))
    if program is None:
        raise UnavailableError("there is no program man here", hint="--help of the command says the same")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{name}.1")
        file.write_text(text, "ascii")
        # A name with a slash is a file to man-db, mandoc and macOS alike; not all of them know -l.
        return subprocess.run([program, str(file)], env=environ, check=False).returncode and UNCHECKED
