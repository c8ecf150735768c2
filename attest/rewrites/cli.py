"""`rewrite`: record which commits one was made from, and show what was recorded."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from attest import attester_options, history, store, verifier
from attest.attester_options import Named
from attest.cli import json_option, open_repository, read_context, repository_option
from attest.command import FILE
from attest.errors import ACCEPTED, REJECTED, UsageError
from attest.keys import PublicKey
from attest.profile import Profile
from attest.query import Query
from attest.report import data, text
from attest.repository import Repository
from attest.rewrites import maker
from attest.rewrites.landed import landed
from attest.rewrites.model import MAX_OLD, Made, Relation, Rewrite
from attest.trust import Trust
from attest.verifier import attester_keys_option, judging_attester_options, verifier_options


@click.group()
def rewrite() -> None:
    """Signed records of which commits a squash, rebase, amend or merge was made from."""


@rewrite.command()
@click.argument("new", metavar="NEW")
@click.option("--from", "sources", multiple=True, required=True, metavar="REV|A..B", help="Old commits. Repeatable.")
@click.option("--made", type=click.Choice([m.value for m in Made]), help="What was done (default: found by comparing).")
@repository_option
@judging_attester_options
@click.option("--policy", "policy_file", type=FILE, help="Judge the old commits under the policy in this file.")
@click.option("--ref", help="The full ref that NEW is in (default: NEW itself if it names one).")
@click.option("--repository", "address", help="The repository's address (default: remote origin).")
@attester_options.key_options
@json_option
def record(
    new: str,
    sources: tuple[str, ...],
    made: str | None,
    directory: Path | None,
    trusted: Trust,
    profile: str | None,
    policy_file: Path | None,
    ref: str | None,
    address: str | None,
    signer: Named,
    as_json: bool,
) -> int:
    """Sign and store which old commits NEW was made from.

    The old commits are examined now. Where NEW is the last of several that a rebase made, each gets a record. Exits 1
    where a new commit has nothing in common with its old ones; that is recorded too.
    """
    at = datetime.now(UTC)
    repo = open_repository(directory, os.environ)
    tip = repo.resolve(f"{new}^{{commit}}")
    old = _old(repo, sources)
    policy, trusted = verifier.load_policy(policy_file, None, trusted, repo)
    context = read_context(repo, new, ref, address)
    query = Query(trusted, at, policy, context, Profile(profile) if profile else None, verifier.home())
    asked = landed(repo, tip, old, Made(made) if made else None)
    attester = attester_options.chosen(signer, at)
    rewrites = maker.make(repo, asked, query, attester.id, at)
    kept = maker.keep(repo, rewrites, attester, query, at)
    if as_json:
        click.echo(json.dumps([_data(each, each in kept) for each in rewrites], indent=2, ensure_ascii=False))
    else:
        for each in rewrites:
            for line in lines(each, fresh=each in kept):
                click.echo(line)
    none = any(each.compared.relation is Relation.NONE for each in rewrites)
    return REJECTED if none else ACCEPTED


@rewrite.command()
@click.argument("rev", metavar="REV")
@repository_option
@verifier_options
@attester_keys_option
@json_option
def show(
    rev: str,
    directory: Path | None,
    trusted: Trust,
    profile: str | None,
    attesters: tuple[PublicKey, ...],
    as_json: bool,
) -> int:
    """Show the records about REV, what they lead to, and why one is not followed.

    Exits 0 when one leads to signed commits that are all accepted (those that are here: by the built-in policy), else
    1.
    """
    at = datetime.now(UTC)
    repo = open_repository(directory, os.environ)
    tip = repo.resolve(f"{rev}^{{commit}}")
    wanted = Profile(profile) if profile else None
    context = read_context(repo, rev, None, None)
    query = Query(trusted, at, None, context, wanted, verifier.home(), attesters=attesters)
    found = history.follower(repo, query).through(tip, store.read(repo, tip))
    if as_json:
        click.echo(json.dumps([data.through_data(each) for each in found], indent=2, ensure_ascii=False))
    elif found:
        click.echo(f"commit {tip}")
        for line in text.through_lines(found):
            click.echo(line)
    else:
        click.echo(f"no rewrite record is stored for {tip} (rewrite record makes one)", err=True)
    return ACCEPTED if any(each.follows for each in found) else REJECTED


def lines(rewrite: Rewrite, *, fresh: bool) -> Sequence[str]:
    """A record that was made, for people."""
    short, compared = rewrite.new.object_id[: text.SHORT_ID], rewrite.compared
    people = dict.fromkeys(text.person_for(each.actor, each.represented) for each in rewrite.old if each.actor)
    count = len(rewrite.old)
    names = text.printable("; ".join(people) or "nobody that is proven")
    head = f"{short} {rewrite.made} of {count} commit{'' if count == 1 else 's'} by {names}: {compared.relation}"
    said = [head + ("" if fresh else " (recorded before)")]
    if compared.note:
        said.append(f"  {text.printable(compared.note)}")
    bad = [each for each in rewrite.old if each.reason]
    return [*said, *(f"  {each.object_id[: text.SHORT_ID]} {each.outcome}: {each.reason}" for each in bad)]


def _old(repo: Repository, sources: Sequence[str]) -> list[str]:
    """The commits that are named, oldest first within each range."""
    found: dict[str, None] = {}
    for source in sources:
        if ".." not in source:
            found[repo.resolve(f"{source}^{{commit}}")] = None
            continue
        if "..." in source:
            raise UsageError(f"{source!r} is no range A..B", hint="write it with two dots")
        start, _, end = source.partition("..")
        ends = [repo.resolve(f"{name or 'HEAD'}^{{commit}}") for name in (start, end)]
        walk = repo.walk(("--topo-order", ends[1]), (ends[0],))
        found |= dict.fromkeys(reversed(list(itertools.islice(walk, MAX_OLD + 1))))
    return list(found)


def _data(rewrite: Rewrite, fresh: bool) -> dict[str, Any]:
    return {
        "commit": rewrite.new.object_id,
        "made": rewrite.made.value,
        "relation": rewrite.compared.relation.value,
        "note": rewrite.compared.note or None,
        "base": rewrite.compared.base or None,
        "recorded": "now" if fresh else "before",
        "recordedBy": rewrite.verifier,
        "old": [
            {
                "id": each.object_id,
                "outcome": each.outcome.value,
                "reason": each.reason or None,
                "actor": each.actor.id if each.actor else None,
                "representedPrincipal": each.represented.id if each.represented else None,
            }
            for each in rewrite.old
        ],
    }
