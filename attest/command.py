"""What every command line here does alike: exit status, errors as sentences, no traceback (design D13)."""

from __future__ import annotations

import os
import sys

import click

from attest.errors import ACCEPTED, INTERRUPTED, UNCHECKED, USAGE, Error, as_error, exit_status
from attest.report.text import printable


def main(group: click.Group) -> int:
    """Run a command line and return its exit status; an unexpected error is 2, "could not check"."""
    name = group.name or "notme-attest"
    _open_closed()
    try:
        result = group.main(standalone_mode=False, prog_name=name)
        sys.stdout.flush()
        return result if isinstance(result, int) else ACCEPTED
    except click.ClickException as usage:
        usage.show()
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The reader went away (`| head`), of which click makes an exit with 1, our "rejected", in every mode.
        # Nothing more can be said on stdout, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNCHECKED
    except Exception as exception:
        error = as_error(exception)
        complain(name, error)
        return exit_status(error)


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
