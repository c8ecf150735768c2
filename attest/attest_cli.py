"""`attest`: judge, and sign what was found, as statements of the types that are asked for."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import click

from attest import dsse, history, statement, store, verifier
from attest.apas import dispatch_options, dispatch_statement
from attest.apas.dispatch import sections
from attest.attester import Attester
from attest.attester_options import Named, attester_options, brought, checked_id, chosen
from attest.cli import (
    VOUCHERS,
    json_option,
    open_repository,
    read_context,
    read_file,
    repository_option,
    warn_of_absence,
)
from attest.command import FILE, WalkCommand
from attest.errors import REJECTED, UsageError
from attest.history_cli import pinned
from attest.keys import PublicKey
from attest.predicates import maker, telling
from attest.predicates.asked import Asked, predicate_options
from attest.predicates.maker import COMMIT, DISPATCH, MARKABLE, PROVENANCE, REFERENCE, VSA, Wanted
from attest.predicates.run import Run
from attest.predicates.sink import Nowhere, Signed, Sink, ToBeSigned
from attest.profile import Profile
from attest.query import Query
from attest.repository import Repository
from attest.revisions import Revisions
from attest.trust import Trust
from attest.types import Outcome, Voucher
from attest.verifier import attester_keys_option, judging_attester_options

Stretches: TypeAlias = Iterable[tuple[Query, Iterator[str]]]


@click.command(name="attest", cls=WalkCommand)
@click.argument("revisions", metavar="REV|A..B", nargs=-1, required=True, type=click.UNPROCESSED)
@predicate_options
@attester_options
@click.option(
    *("--out", "--output", "-o", "out"),
    type=FILE,
    help="Write the statements to this file, too (.intoto.jsonl): one a line.",
)
@click.option("--no-store", is_flag=True, help="Keep nothing in the repository; goes with --out.")
@click.option(
    "--to-be-signed",
    "folder",
    metavar="DIR",
    type=FILE,
    help="Sign nothing: write each statement and the bytes to sign (DSSE's encoding) into DIR, for a key elsewhere.",
)
@click.option("--self-attest", is_flag=True, help="Let the key that signed a commit state what it is, marked so.")
@dispatch_options.dispatch_options
@repository_option
@judging_attester_options
@attester_keys_option
@click.option("--policy", "policy_file", type=FILE, help="Judge under the policy in this file.")
@click.option("--require-time", type=VOUCHERS, help="Who at least must vouch for the time of signing.")
@click.option("--ref", help="The full ref REV is offered for (default: REV itself if it names one).")
@click.option("--repository", "address", help="The repository's address (default: remote origin).")
@click.option("--jobs", "-j", type=click.IntRange(1, 256), help="Processes at once (default: one a core).")
@json_option
def command(
    revisions: tuple[str, ...],
    asked: Asked,
    signer: Named,
    out: Path | None,
    no_store: bool,
    folder: Path | None,
    self_attest: bool,
    dispatch_file: Path | None,
    work_item_hash: str | None,
    scoped: bool,
    directory: Path | None,
    trusted: Trust,
    profile: str | None,
    attesters: tuple[PublicKey, ...],
    policy_file: Path | None,
    require_time: str | None,
    ref: str | None,
    address: str | None,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Judge REV and store signed statements of what was found.

    REV is a commit, a tag, a range A..B, or what verify takes. It is judged as verify judges it. Statements are signed
    with --key, or as the verifier of the home (notme-git), never with the key that signed the commit.

    Exits like verify. Nothing is stated of an object that could not be checked. A type other than commit, test-result
    and vsa states only what was accepted.
    """
    at = datetime.now(UTC)
    _check(asked, signer, out, folder, no_store=no_store, self_attest=self_attest, told=dispatch_file is not None)
    dispatch = dispatch_options.load(dispatch_file, work_item_hash)
    if dispatch is not None:
        dispatch_statement.check_origins(dispatch)
        if DISPATCH in asked.types:
            dispatch_statement.check(dispatch)
    if scoped and not no_store:
        raise UsageError("--scoped goes with --no-store and --out FILE: what is stored is read by everyone who fetches")
    repo = open_repository(directory, os.environ)
    named = Revisions(repo, revisions)
    context = read_context(repo, revisions[0] if named.single else "", ref, address)
    if asked.types & {VSA, PROVENANCE}:
        statement.check_uri(context.repository)
    voucher = Voucher(require_time) if require_time else None
    policy, trusted = verifier.load_policy(policy_file, voucher, trusted, repo)
    wanted_profile = Profile(profile) if profile else None
    query = Query(trusted, at, policy, context, wanted_profile, verifier.home(), attesters=attesters)

    def stretches() -> Stretches:
        return (None if policy_file or voucher else pinned(repo, named, query)) or [(query, named.objects())]

    tip = _tip(repo, named) if asked.types & {VSA, PROVENANCE} else ""
    # What is certified for a signer, by an authority or a Sigstore instance, is certified for something to sign.
    certified = signer.keyless is not None or brought(click.get_current_context()) is not None
    nobody = folder is not None or (not signer.of_key and certified and not _is_any(repo, stretches()))
    attester = None if nobody else chosen(signer, at)
    key = attester.public if attester is not None else None
    wanted = Wanted(
        types=asked.types,
        verifier_id=attester.id if attester is not None else checked_id(signer.id) if signer.id else "",
        context=context,
        at=at,
        tip=tip,
        self_attested=self_attest,
        signer_keys=maker.fingerprints(key),
        documents=asked.documents,
        push=asked.push(repo, tip, context.ref, trusted.witnesses),
        orchestrated={} if dispatch is None else sections(dispatch),
        related=_related(dispatch_file, asked),
    )
    absent = not store.exists(repo)
    sink = _sink(attester, folder, repo if not no_store else None, out)
    run = Run(repo, wanted, sink, jobs or history.cores(), dispatch, asked.levels, key, scoped)
    try:
        run.walk(stretches())
        sink.finish()
    except BaseException:
        sink.abandon()
        raise
    where = f"written to {folder}, to be signed" if attester is None else "stored" if not no_store else "written"
    telling.say(run, where, attester, as_json=as_json)
    status = telling.status(run)
    if absent and status == REJECTED and any(under.policy and under.policy.follows for under, _ in stretches()):
        warn_of_absence(repo)
    return status


def _check(
    asked: Asked, signer: Named, out: Path | None, folder: Path | None, *, no_store: bool, self_attest: bool, told: bool
) -> None:
    """What excludes what. Raises `UsageError`."""
    if folder is not None:
        if out is not None or no_store or signer.of_key or signer.keyless is not None:
            raise UsageError("--to-be-signed signs nothing, and no option goes with it that says who signs or where to")
        if signer.id is None:
            raise UsageError("a statement names its verifier, and no key does", hint="say who will sign with --id URI")
    if no_store and out is None:
        raise UsageError("--no-store goes with --out FILE")
    if self_attest and not asked.types <= MARKABLE:
        raise UsageError("only a statement of type commit can say that it is the signer's own (--self-attest)")
    if told and not asked.types & {COMMIT, DISPATCH}:
        raise UsageError("--dispatch goes with --type dispatch or --type commit")
    if DISPATCH in asked.types:
        if not told:
            raise UsageError("--type dispatch states what an orchestrator said", hint="name it with --dispatch FILE")
        if not signer.of_key and signer.keyless is None and folder is None:
            raise UsageError("a dispatch is the orchestrator's statement", hint="name its key with --key")


def _tip(repo: Repository, named: Revisions) -> str:
    """The one commit that the walk begins at. Raises `UsageError`."""
    tips = [oid for oid in named.tips() if not oid.startswith("^")]
    if len(tips) != 1:
        raise UsageError("a summary, or a push, is about one commit", hint="name one tip, or A..B")
    return repo.commit_of(tips[0])


def _related(dispatch_file: Path | None, asked: Asked) -> tuple[Mapping[str, Any], ...]:
    """The documents that a commit statement names beside it, by digest."""
    found = [{"name": "dispatch", **_digest(dispatch_file)}] if dispatch_file is not None else []
    if REFERENCE not in asked.types:
        return tuple(found)
    named = ({"name": d.name, "digest": {d.algorithm: d.digest}, "mediaType": d.media_type} for d in asked.documents)
    return (*found, *named)


def _digest(path: Path) -> dict[str, Any]:
    data = read_file(path, dsse.MAX_JSON_BYTES)
    return {"digest": {"sha256": hashlib.sha256(data).hexdigest()}, "mediaType": "application/json"}


def _is_any(repo: Repository, stretches: Stretches) -> bool:
    """Whether there is anything at all that could be checked, and so can be stated."""
    rows = itertools.chain.from_iterable(history.rows(repo, ids, query) for query, ids in stretches)
    return any(row.outcome is not Outcome.COULD_NOT_CHECK for row in rows)


def _sink(attester: Attester | None, folder: Path | None, repo: Repository | None, out: Path | None) -> Sink:
    if folder is not None:
        return ToBeSigned(folder)
    if attester is None:
        return Nowhere()
    return Signed(attester, lambda: datetime.now(UTC), repo, verifier.home(), out)
