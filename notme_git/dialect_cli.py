"""`notme-git gpgsm|gpg|ssh-keygen ARGS...`, for the help and the man pages: `__main__` runs them without click."""

from __future__ import annotations

import click

from notme_git import dialect

_PASSED = {"ignore_unknown_options": True}
_HELP = {
    "gpgsm": "Be git's gpg.x509.program. Sign as notme:AGENT and verify; everything else goes to the real gpgsm.",
    "gpg": "Be git's gpg.program. Sign as notme:AGENT in CMS; everything else goes to the real gpg.",
    "ssh-keygen": "Be git's gpg.ssh.program. Sign with an SSH certificate; the rest goes to the real ssh-keygen.",
}


def _command(name: str) -> click.Command:
    def run(arguments: tuple[str, ...]) -> int:
        return dialect.run(name, arguments)

    given = click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)
    return click.Command(name, callback=run, params=[given], help=_HELP[name], context_settings=_PASSED)


DIALECT_COMMANDS = tuple(_command(name) for name in dialect.DIALECTS)
