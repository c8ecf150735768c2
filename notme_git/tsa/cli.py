"""`timestamp`: a third party's time-stamps for signatures that are there already."""

from __future__ import annotations

import json
from pathlib import Path

import click

from attest import verifier
from attest.cli import json_option, open_repository, repository_option
from attest.command import FILE, WalkCommand, complain
from attest.errors import ACCEPTED, UNCHECKED, UsageError
from attest.report.text import printable
from attest.revisions import Revisions
from notme_git.config import Config
from notme_git.gitconfig import GitConfig
from notme_git.tsa import batch, missed, setting
from notme_git.tsa.address import Address


@click.command(name="timestamp", cls=WalkCommand)
@click.argument("revisions", metavar="[REV|A..B|--all|...]", nargs=-1, type=click.UNPROCESSED)
@repository_option
@click.option("--tsa", "urls", multiple=True, metavar="URL", help="Whom to ask (default: notme.tsa). May be repeated.")
@click.option(
    "--tsa-root",
    "roots",
    multiple=True,
    type=FILE,
    help="Keep what is under the certificates in this PEM file alone (default: notme.tsaRoot). May be repeated.",
)
@json_option
def command(
    revisions: tuple[str, ...], directory: Path | None, urls: tuple[str, ...], roots: tuple[Path, ...], as_json: bool
) -> int:
    """Have signatures time-stamped by somebody else, and keep that beside the commits.

    Name a commit, a tag, a range A..B, or what git rev-list takes. Whoever signed them: what is stamped is the
    signature. What comes back is checked, and stored in refs/attestations/notme; notme-attest sync brings it to a
    remote. A time-stamp of today proves that the signature is no younger.

    With --tsa-root what has such a time-stamp already is left out. Where nobody is named, those are stored that this
    home has kept, such as the authority's own for SSH signatures.

    Exits 0 when every signed object has one, 2 when not.
    """
    config = Config.read()
    with open_repository(directory, config.environ) as repo:
        configured = setting.read(GitConfig.find(config.environ), repo.path)
        addresses = tuple(map(Address.parse, urls)) or configured.addresses
        if not addresses:
            ids = Revisions(repo, revisions).objects()
            return _only_kept(batch.store_kept(repo, config.home, ids, config.at), as_json=as_json)
        stampers = verifier.load_roots(tsa_roots=roots or configured.roots).tsa
        asked = batch.Batch(repo, addresses, stampers, config.home, config.at)
        done = asked.run(Revisions(repo, revisions).objects())
    if as_json:
        click.echo(json.dumps(_data(done), indent=2))
    else:
        click.echo(printable("; ".join(batch.summary(done))))
    if done.failed is not None:
        complain("notme-git", done.failed)
        return UNCHECKED
    if not done.unreadable:
        missed.clear(config.home)
    return UNCHECKED if done.unreadable else ACCEPTED


def _only_kept(count: int, *, as_json: bool) -> int:
    """Nobody is asked: the authority's own, which the home keeps of SSH signatures, are what there is to store."""
    if not count:
        hint = "--tsa URL, or git config notme.tsa URL"
        raise UsageError("nobody is named who makes time-stamps, and none were kept here of these", hint=hint)
    if as_json:
        click.echo(json.dumps({**_data(batch.Done()), "kept": count}, indent=2))
    else:
        objects = f"{count} object{'' if count == 1 else 's'}"
        click.echo(f"the time-stamps kept here of {objects} are stored; notme-attest sync brings them to a remote")
    return ACCEPTED


def _data(done: batch.Done) -> dict[str, object]:
    return {
        "authorities": done.origins,
        "stamped": done.stamped,
        "already": done.already,
        "unsigned": done.unsigned,
        "unreadable": done.unreadable,
        "left": done.left,
        "error": done.failed.message if done.failed is not None else None,
    }
