"""What every command line here does alike: exit status, errors as sentences, no traceback (design D13)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from attest.errors import ACCEPTED, INTERRUPTED, UNCHECKED, USAGE, Error, as_error, exit_status
from attest.report.text import printable

FILE = click.Path(path_type=Path, readable=False)
"""A file that is named. click would answer one that cannot be read with 64, and without a word on why."""


def main(group: click.Group) -> int:
    """Run a command line and return its exit status; an unexpected error is 2, "could not check"."""
    name = group.name or "notme-attest"
    _open_closed()
    try:
        result = group.main(standalone_mode=False, prog_name=name)
        sys.stdout.flush()
        return result if isinstance(result, int) else ACCEPTED
    except click.ClickException as usage:
        _tell(usage.show)
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The reader went away (`| head`), of which click makes an exit with 1, our "rejected", in every mode.
        # Nothing more can be said on stdout, not even at exit.
        _discard(1)
        if sys.__stderr__ is not None:
            _tell(sys.__stderr__.flush)
        return UNCHECKED
    except Exception as exception:
        error = as_error(exception)
        _tell(lambda: complain(name, error))
        return exit_status(error)


def _tell(say: Callable[[], None]) -> None:
    """Say it on stderr; where nobody reads that any more the status alone tells."""
    try:
        say()
    except OSError:
        _discard(2)


def _discard(number: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)


class WalkCommand(click.Command):
    """A command whose argument `revisions` is what git's rev-list takes: options that are not ours, and paths.

    click keeps the `--` before paths to itself. It is put back where revisions stand before it; `verify -- REV` is
    for names that begin with a dash.
    """

    ignore_unknown_options = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        paths = len(args) - args.index("--") - 1 if "--" in args else 0
        rest = super().parse_args(ctx, args)
        named: Sequence[str] = ctx.params.get("revisions") or ()
        if 0 < paths < len(named):
            ctx.params["revisions"] = (*named[:-paths], "--", *named[-paths:])
        return rest


def _open_closed() -> None:
    """Open what was closed at the start (`>&-`).

    The next file opened would take its number, and what is printed would go there.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def complain(name: str, error: Error) -> None:
    """The error's sentence and hint on stderr."""
    for line in (error.message, error.hint):
        if line:
            click.echo(f"{name}: {printable(line)}", err=True)
