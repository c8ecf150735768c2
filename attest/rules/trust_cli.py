"""`trust repo`: from which commit on a repository's own policy counts for this user."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from attest import verifier
from attest.cli import json_option, open_repository, repository_option
from attest.errors import ACCEPTED, REJECTED, UsageError
from attest.report.text import printable
from attest.rules import pins, source
from attest.rules.pins import Pin


@click.command(name="repo")
@repository_option
@click.option("--start", metavar="REV", help="The commit from which on its policy counts.")
@click.option("--address", metavar="URL", help="Pin for every clone with this address as origin, not for this one.")
@click.option("--remove", is_flag=True, help="Take the pin back.")
@click.option("--list", "all_of_them", is_flag=True, help="Show every repository that is pinned.")
@json_option
def repo_command(
    directory: Path | None, start: str | None, address: str | None, remove: bool, all_of_them: bool, as_json: bool
) -> int:
    """Let a repository's own policy count, from a commit on that you looked at.

    Without --start it shows what is pinned. The policy of the start is that of every commit before it, and each
    later one is judged by the policy of its first parent.
    """
    home = verifier.home()
    if sum((start is not None, remove, all_of_them)) > 1:
        raise UsageError("--start, --remove and --list exclude each other")
    if all_of_them:
        found = list(pins.listed(home))
        if not found:
            click.echo("nothing is pinned: notme-attest trust repo --start COMMIT", err=True)
        return _say(found, as_json)
    repo = open_repository(directory, os.environ)
    place = address or pins.place_of(repo)
    if remove:
        if pins.remove(home, place):
            return ACCEPTED
        raise UsageError(f"nothing is pinned for {place}")
    if start is not None:
        commit = repo.resolve(f"{start}^{{commit}}")
        source.verify_start(repo, commit)
        pins.write(home, Pin(place, commit))
    pin = pins.read(home, place) if address is not None or start is not None else pins.of_repository(home, repo)
    if pin is None:
        click.echo(f"nothing is pinned for {printable(place)}: notme-attest trust repo --start COMMIT", err=True)
        if as_json:
            click.echo("[]")
        return REJECTED
    return _say([pin], as_json)


@click.group()
def trust() -> None:
    """Whom and what this user's verifier goes by."""


trust.add_command(repo_command)


def _say(found: list[Pin], as_json: bool) -> int:
    if as_json:
        items = [{"place": pin.place, "start": pin.start} for pin in found]
        click.echo(json.dumps(items, indent=2, ensure_ascii=False))
        return ACCEPTED
    for pin in found:
        click.echo(f"{pin.start}  {printable(pin.place)}")
    return ACCEPTED
