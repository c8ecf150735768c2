"""What every command line here does alike: exit status, errors as sentences, no traceback (design D13)."""

from __future__ import annotations

import os
import sys

import click

from attest.errors import Error, UnavailableError, UsageError

ACCEPTED, REJECTED, UNCHECKED, USAGE, INTERRUPTED = 0, 1, 2, 64, 130


def main(group: click.Group) -> int:
    """Run a command line and return its exit status; an unexpected error is 2, "could not check"."""
    name = group.name or "notme-attest"
    try:
        result = group.main(standalone_mode=False, prog_name=name)
        sys.stdout.flush()
        return result if isinstance(result, int) else ACCEPTED
    except click.ClickException as error:
        error.show()
        return USAGE
    except Error as error:
        complain(name, error)
        return exit_status(error)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`| head`): nothing more can be said on stdout, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNCHECKED
    except OSError as error:
        complain(
            name, UnavailableError(f"{error.strerror}: {error.filename}" if error.filename else str(error))
        )
        return UNCHECKED
    except Exception as error:
        complain(
            name, UnavailableError(f"unexpected {type(error).__name__}: {error}", hint="please report this")
        )
        return UNCHECKED


def exit_status(error: Error) -> int:
    """1 for what was refused or found false, 2 for what could not be checked or done, 64 for usage."""
    if isinstance(error, UsageError):
        return USAGE
    return UNCHECKED if isinstance(error, UnavailableError) else REJECTED


def complain(name: str, error: Error) -> None:
    """The error's sentence and hint on stderr."""
    click.echo(f"{name}: {_plain(error.message)}", err=True)
    if error.hint:
        click.echo(f"{name}: {_plain(error.hint)}", err=True)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
