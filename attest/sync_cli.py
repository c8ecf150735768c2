"""`sync`: attestations to and from a remote."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from attest import remote, store, sync
from attest.cli import json_option, open_repository, place, repository_option
from attest.errors import ACCEPTED, UsageError
from attest.report.text import printable
from attest.store import Added


@click.command(name="sync")
@click.argument("name", metavar="[REMOTE]", required=False)
@repository_option
@click.option("--fetch-only", is_flag=True, help="Bring what the remote has, push nothing.")
@click.option("--push-only", is_flag=True, help="Push what is here, if the remote has nothing more.")
@click.option("--ref", default=store.REF, show_default=True, help="Another ref of attestations, here and there.")
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=remote.MAX_FETCHED_BYTES,
    show_default=True,
    help="Of one fetch, at most.",
)
@json_option
def command(
    name: str | None,
    directory: Path | None,
    fetch_only: bool,
    push_only: bool,
    ref: str,
    max_bytes: int,
    as_json: bool,
) -> int:
    """Bring the attestations here and at REMOTE together.

    REMOTE is one of git's remotes or an address; by default origin. Nothing is lost on either side, whoever pushes at
    the same time. What comes is stored, not believed: verify and show say what it proves.
    """
    if fetch_only and push_only:
        raise UsageError("--fetch-only and --push-only leave nothing to do")
    if name == "":
        raise UsageError("REMOTE is empty", hint="leave it away for origin")
    _, environ = place(directory, os.environ)
    with open_repository(directory, os.environ) as repo:
        there = remote.Remote(repo, name or sync.default_remote(repo), environ)
        done = sync.sync(
            repo, there, datetime.now(UTC), ref=ref, fetch=not push_only, push=not fetch_only, limit=max_bytes
        )
    if as_json:
        click.echo(json.dumps(sync.data(done), indent=2))
    else:
        shown = printable(done.remote)
        if not push_only:
            click.echo(f"from {shown}: {_said(done.fetched)}")
        if not fetch_only:
            click.echo(f"to {shown}: {_said(done.pushed)}")
    if done.fetched.left_out:
        said = f"warning: {done.fetched.left_out} malformed or oversized file(s) were left out"
        if done.tip is not None and done.tip == done.remote_tip:
            said += f", and are now only in the history of {printable(done.remote)}'s ref"
        click.echo(said, err=True)
    if done.emptied:
        click.echo(f"warning: {printable(done.remote)} had {done.ref} before and had lost it", err=True)
    return ACCEPTED


def _said(added: Added) -> str:
    if not added.lines:
        return "nothing new"
    lines, objects = (f"{count:,} {what}{'' if count == 1 else 's'}" for count, what in
                      ((added.lines, "line"), (added.objects, "object")))  # fmt: skip
    return f"{lines} about {objects}"
