"""The hooks of a receiving repository."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from attest import history, signing_key, store
from attest.cli import open_repository
from attest.command import FILE
from attest.errors import ACCEPTED, Error, UnavailableError, exit_status
from attest.receive import push, refusal, settings, signedpush, updates, witness
from attest.receive.calling import (
    chain,
    hook_options,
    read_input,
    say,
    tell,
    then_option,
    trust_of,
    words_argument,
)
from attest.receive.policies import Policies
from attest.receive.settings import Settings
from attest.receive.updates import Update
from attest.repository import Repository
from attest.verify import Examination


@click.command(name="pre-receive")
@hook_options
@words_argument
def pre_receive(file: Path | None, then: Path | None, words: tuple[str, ...]) -> int:
    """Judge a push before any ref moves.

    Reads OLD NEW REF lines from standard input, as git calls it in the receiving repository.
    """
    at, data = datetime.now(UTC), read_input()
    with open_repository(None, os.environ) as repo:
        wanted = updates.parse(data, repo.object_format)
        status = _receive(repo, wanted, file, at)
    return status or chain(then, words, data)


@click.command(name="update")
@hook_options
@click.argument("ref")
@click.argument("old")
@click.argument("new")
def update(file: Path | None, then: Path | None, ref: str, old: str, new: str) -> int:
    """Judge one ref of a push, where no pre-receive hook can be had.

    The other refs of the push may be taken though this one is refused.
    """
    at = datetime.now(UTC)
    with open_repository(None, os.environ) as repo:
        status = _receive(repo, (updates.update(ref, old, new, repo.object_format),), file, at, certified=False)
    return status or chain(then, (ref, old, new), b"")


@click.command(name="post-receive")
@click.option("--key", type=FILE, help="PEM file of the Ed25519 key to sign with (default: notme.witnessKey).")
@then_option
@words_argument
def post_receive(key: Path | None, then: Path | None, words: tuple[str, ...]) -> int:
    """State what arrived when, signed, for those who verify later.

    One statement for each ref that moved, stored under refs/attestations/notme. Without a key nothing is stated.
    """
    at, data, status = datetime.now(UTC), read_input(), ACCEPTED
    try:
        with open_repository(None, os.environ) as repo:
            _witness(repo, data, key, at)
    except Error as error:
        # The refs have moved: the hook that was there before has to hear of it all the same.
        say(f"no witness statement was stored: {refusal.sentence(error)}")
        status = exit_status(error)
    return chain(then, words, data) or status


def _receive(
    repo: Repository, wanted: Sequence[Update], file: Path | None, at: datetime, *, certified: bool = True
) -> int:
    """The exit status of a push. `certified` says that this hook is given the push's certificate."""
    updates.refuse_namespace("GIT_NAMESPACE" in os.environ)
    updates.verify_refs(repo, wanted)
    asked = settings.read(repo)
    trusted = trust_of(asked)
    rules = Policies(repo, trusted, updates.tip_of(repo, "HEAD"), file or asked.policy)
    said = _signed_push(repo, wanted, asked, rules, at, certified=certified)
    before = updates.Before(repo, asked)
    return tell(push.judge_push(repo, wanted, asked, rules.of, before, at, jobs=history.cores()), said)


def _signed_push(
    repo: Repository, wanted: Sequence[Update], asked: Settings, rules: Policies, at: datetime, *, certified: bool
) -> tuple[str, ...]:
    """What to tell of the push's certificate. Raises where one that holds is required and is not there."""
    if not certified:
        if asked.signed_push:
            raise UnavailableError("git shows no push certificate to an update hook", hint="use the pre-receive hook")
        return ()
    try:
        received = signedpush.open_certificate(repo, os.environ, wanted, at)
        if received is None and asked.signed_push:
            raise signedpush.refused_unsigned()
        if received is not None:
            _check_pusher(repo, received, wanted, asked, rules)
    except Error as error:
        if asked.signed_push:
            raise
        return (f"the push certificate counts for nothing here: {refusal.sentence(error)}",)
    return ()


def _check_pusher(
    repo: Repository, received: signedpush.Received, wanted: Sequence[Update], asked: Settings, rules: Policies
) -> None:
    found: dict[int, Examination] = {}
    remote = repo.remote()
    for update in wanted:
        by = rules.of(update)
        known = found.get(id(by.trusted)) or signedpush.examine(received, by.trusted)
        found[id(by.trusted)] = known
        signedpush.check(known, by, update, asked, remote, received.at)


def _witness(repo: Repository, data: bytes, key: Path | None, at: datetime) -> None:
    asked = settings.read(repo)
    path = key or asked.witness_key
    if path is None:
        return
    loaded = signing_key.load(path)
    moved = [u for u in updates.parse(data, repo.object_format) if not updates.is_attestations(u.ref)]
    received: signedpush.Received | None = None
    try:
        received = signedpush.open_certificate(repo, os.environ, moved, at)
    except Error as error:
        say(f"the push certificate is left out of the witness statement: {refusal.sentence(error)}")
    # The statements have to say who makes them though nobody gave this server a name.
    name = asked.witness or f"urn:notme:witness:{loaded.public.spki_sha256.hex()}"
    lines = witness.lines(repo, moved, name, asked.repository or repo.remote(), received, loaded, at)
    store.append(repo, lines, at)
