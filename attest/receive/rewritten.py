"""The hook that git calls after an amend or a rebase: record which commits the new ones were made from.

The old commits are still here then. Whatever goes wrong is said, and breaks nobody's rebase: git is done by now.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from attest import attester_options, store, verifier
from attest.attester import Attester
from attest.cli import open_repository
from attest.errors import Error, MalformedError, UnavailableError, UsageError, as_error
from attest.policy import Context, Policy
from attest.query import Query
from attest.receive import refusal, settings
from attest.receive.calling import chain, read_input, say, then_option, trust_of
from attest.receive.settings import Settings
from attest.repository import Repository
from attest.rewrites import maker, reader
from attest.rewrites.compare import Pair
from attest.rewrites.maker import Asked
from attest.rewrites.model import MAX_OLD, Made, Rewrite

MAX_LINES = 5000
"""Commits of one rebase that are recorded: some seconds of work after one that took minutes."""

_LINE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64})(?: [^\0\n]*)?")
_SIGNED = b"\ngpgsig"


@click.command(name="post-rewrite")
@then_option
@click.argument("command", default="")
def post_rewrite(then: Path | None, command: str) -> int:
    """Record which commits an amend or a rebase made new ones of, where agents signed the old ones.

    Without a key nothing is recorded. What goes wrong is a warning: the new commits are there already.
    """
    data = read_input()
    try:
        with open_repository(None, os.environ) as repo:
            _record(repo, parse(data, command), datetime.now(UTC))
    except Exception as error:  # nothing may break a rebase
        say(f"not recorded which commits these were made from: {refusal.sentence(as_error(error))}")
    return chain(then, (command,) if command else (), data)


def parse(data: bytes, command: str) -> list[Asked]:
    """What git says on the hook's input (githooks(5)): a line for each old commit, in the order of the new ones.

    Raises `MalformedError` for anything else, and for more than `MAX_LINES`.
    """
    lines = data.split(b"\n")[:-1] if data.endswith(b"\n") else data.split(b"\n")
    if len(lines) > MAX_LINES:
        raise MalformedError(f"more than {MAX_LINES} commits were rewritten")
    old: dict[str, list[str]] = {}
    for line in filter(None, lines):
        found = _LINE.fullmatch(line)
        if found is None:
            raise MalformedError("git did not say OLD NEW on a line")
        if found[1] != found[2]:
            old.setdefault(found[2].decode(), []).append(found[1].decode())
    return [Asked(Pair(tuple(dict.fromkeys(each)), new), _made(command, len(each))) for new, each in old.items()]


def _made(command: str, count: int) -> Made:
    if count > 1:
        return Made.SQUASH
    return Made.AMEND if command == "amend" else Made.REBASE


def _record(repo: Repository, asked: Sequence[Asked], at: datetime) -> None:
    wanted = [each for each in asked if len(each.pair.old) <= MAX_OLD]
    known = _known(repo, [oid for each in wanted for oid in each.pair.old])
    wanted = [each for each in wanted if any(oid in known or _is_signed(repo, oid) for oid in each.pair.old)]
    if not wanted:
        return
    said = settings.read(repo)
    query = Query(trust_of(said), at, Policy(), Context(repository=repo.remote()), home=verifier.home())
    # First without a verifier: it costs an enrolment, and there may be nothing of an agent's among them.
    drafts = [each for each in maker.make(repo, wanted, query, "", at) if _tells(each, known)]
    if not drafts:
        return
    attester = _attester(said, at)
    maker.keep(repo, [replace(each, verifier=attester.id) for each in drafts], attester, query, at)


def _known(repo: Repository, ids: Sequence[str]) -> frozenset[str]:
    """Those about which there is a record already: what was made of an agent's commit may be made anew again."""
    if not store.exists(repo):
        return frozenset()
    found = store.read_many(repo, list(dict.fromkeys(ids)))
    return frozenset(oid for oid, lines in found.items() if next(reader.of_lines(lines), None) is not None)


def _is_signed(repo: Repository, oid: str) -> bool:
    with contextlib.suppress(Error):
        return _SIGNED in repo.read(oid)[1]
    return False


def _tells(rewrite: Rewrite, known: frozenset[str]) -> bool:
    return any(each.actor is not None or each.object_id in known for each in rewrite.old)


def _attester(said: Settings, at: datetime) -> Attester:
    """The key that the settings name, else the verifier that the command line brings."""
    make = attester_options.brought(click.get_current_context())
    named = attester_options.Named(said.verifier_key, said.verifier if said.verifier_key else None)
    if said.verifier_key is None and make is None:
        raise UsageError("there is no key to sign with", hint="git config notme.verifierKey FILE names one")
    try:
        return attester_options.chosen(named, at)
    except UsageError as error:
        raise UnavailableError(error.message, hint=error.hint) from None
