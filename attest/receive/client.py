"""The hooks of a repository that commits and pushes. What they say is advice."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from attest import history
from attest.cli import open_repository
from attest.command import FILE
from attest.errors import ACCEPTED, REJECTED, UnavailableError, UsageError
from attest.receive import message, push, settings, stamping, updates
from attest.receive.calling import chain, hook_options, read_input, say, tell, then_option, trust_of
from attest.receive.policies import Policies
from attest.receive.settings import Settings
from attest.receive.updates import Update
from attest.repository import Repository
from attest.types import Severity


@click.command(name="pre-push")
@hook_options
@click.argument("remote", default="")
@click.argument("url", default="")
def pre_push(file: Path | None, then: Path | None, remote: str, url: str) -> int:
    """Judge what is about to be pushed, so that it is not refused by the other side.

    What this side says is advice, and git push --no-verify goes past it.
    """
    at, data = datetime.now(UTC), b""
    with open_repository(None, os.environ) as repo:
        if remote:
            data = read_input()
            wanted = [_seen(repo, update) for update in updates.parse_outgoing(data, repo.object_format)]
        else:
            remote, url, wanted = _of_framework(repo, os.environ)
        asked = settings.read(repo)
        known = [oid for oid, _ in updates.refs(repo, f"refs/remotes/{remote}/")][: updates.MAX_KNOWN]
        status = _send(repo, wanted, file, remote, asked, known, at)
        if status == ACCEPTED:
            stamping.push(repo, wanted, asked, known)
    return status or chain(then, (remote, url), data)


@click.command(name="commit-msg")
@then_option
@click.argument("file", type=FILE)
def commit_msg(then: Path | None, file: Path) -> int:
    """Hold a commit message against who is going to sign the commit.

    It is refused for what no signer could make true, such as an agent's own Signed-off-by; the rest is a warning.
    """
    with open_repository(None, os.environ) as repo:
        found = message.check(repo, file)
    for each in found:
        if each.severity is not Severity.INFO:
            say(f"{each.severity}, {each.code}: {each.detail}")
    if any(each.severity is Severity.ERROR for each in found):
        say("the commit is not made: mend its message (git keeps it in .git/COMMIT_EDITMSG)")
        return REJECTED
    return chain(then, (str(file),), b"")


def _send(
    repo: Repository,
    wanted: Sequence[Update],
    file: Path | None,
    remote: str,
    asked: Settings,
    known: Sequence[str],
    at: datetime,
) -> int:
    default = updates.tip_of(repo, f"refs/remotes/{remote}/HEAD")
    rules = Policies(repo, trust_of(asked), default, file or asked.policy)
    return tell(push.judge_push(repo, wanted, asked, rules.of, lambda _: known, at, jobs=history.cores()), ())


def _of_framework(repo: Repository, environ: Mapping[str, str]) -> tuple[str, str, list[Update]]:
    """Remote, its address and the update that the framework `pre-commit` runs us for, which reads git's own words."""
    names = ("PRE_COMMIT_REMOTE_NAME", "PRE_COMMIT_REMOTE_URL", "PRE_COMMIT_REMOTE_BRANCH", "PRE_COMMIT_TO_REF")
    remote, url, ref, new = (environ.get(name, "") for name in names)
    if not (remote and ref and new):
        raise UsageError("say REMOTE and URL, as git does", hint="notme-attest hook install --client")
    tip = repo.resolve(new)
    old = updates.tip_of(repo, f"refs/remotes/{remote}/{ref.removeprefix('refs/heads/')}")
    zeros = "0" * len(tip)
    return remote, url, [updates.update(ref, old or zeros, tip, repo.object_format)]


def _seen(repo: Repository, update: Update) -> Update:
    """The update without its old tip where that was never fetched: nothing can be compared with it then."""
    try:
        if update.old is not None:
            repo.read(update.old)
    except UnavailableError:
        return replace(update, old=None)
    return update
