"""`notme-git whoami`."""

from __future__ import annotations

import json

import click

from attest.cli import json_option
from notme_git import whoami
from notme_git.config import Config


@click.command(name="whoami")
@json_option
def command(as_json: bool) -> int:
    """Say which agent acts here, and why.

    By which marks, and what it would sign under.

    Exits 0 when it could say (also that nobody acts), 1 when the marks contradict each other, 2 when it could not.
    """
    config = Config.read()
    who = whoami.look(config.home, config.environ, at=config.at)
    if as_json:
        click.echo(json.dumps(whoami.data(who), indent=2, ensure_ascii=False))
    else:
        for line in whoami.lines(who):
            click.echo(line)
    return who.exit_status
