"""Making `dispatch/v1`: the orchestrator's record of a dispatch, with what is known of each of its commits.

It is the orchestrator's own statement and signed by it, never by a verifier. What it does not know is not made up:
where a fact is missing that the type requires, there is no statement.

The subjects are the commits, each by its id, so that whoever holds one finds the dispatch that it came from.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cryptography import x509

from attest import asn1, certificate, statement, trailers
from attest.apas import dispatch as dispatches
from attest.apas import origins
from attest.apas.dispatch import PREDICATE_TYPE, Dispatch
from attest.apas.dispatch_read import MAX_COMMITS
from attest.apas.fields import is_sha256
from attest.dsse import MAX_JSON_BYTES
from attest.errors import Error, MalformedError, UnavailableError, UsageError
from attest.gitobject import Commit
from attest.keys import PublicKey
from attest.types import Identity
from attest.verify import Examination


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one commit. `data` is its entry in `work.commits`; `actors` are URIs and addresses in it."""

    object_id: str
    data: Mapping[str, Any]
    actors: frozenset[str]

    @classmethod
    def of(cls, examination: Examination, stated: bytes | None = None) -> Entry:
        """The entry of an examined commit; `stated` is the payload of the verifier's `commit/v0.1` about it.

        APAS' three fields, and extension keys that others pass over. Of the message only the first line: the rest is
        in the commit, for those who have it. Certificate and epoch stand there where the chain to a pinned anchor was
        proven. Raises `UsageError` for what is no commit.
        """
        commit = examination.parsed
        if not isinstance(commit, Commit):
            raise UsageError(f"{examination.object_id} is no well-formed commit; a dispatch makes nothing else")
        leaf = examination.chain.leaf if examination.chain is not None else None
        data = {
            "sha": examination.object_id,
            "message": trailers.decode(commit.message.partition(b"\n")[0], commit.encoding),
            **dispatches.said(signature=examination.signature.decode("ascii", "replace")),
            "treeId": commit.tree,
            "parents": list(commit.parents),
            "payloadSha256": hashlib.sha256(examination.payload).hexdigest(),
            **({} if leaf is None else dispatches.said(certSha256=leaf.sha256.hex(), epoch=leaf.epoch)),
            **({} if stated is None else {"verificationStatement": {"sha256": hashlib.sha256(stated).hexdigest()}}),
        }
        actors = {commit.committer.email, commit.author.email, *(() if leaf is None else (leaf.uri, *leaf.emails))}
        return cls(examination.object_id, data, frozenset(actors | _principals(examination.identity)))


def build(
    dispatch: Dispatch,
    examinations: Iterable[Examination],
    *,
    repository: str | None,
    ref: str | None,
    statements: Mapping[str, bytes] | None = None,
    signer: PublicKey | None = None,
    scoped: bool = False,
) -> bytes:
    """As `assemble`, from the examinations; `statements` are payloads of `commit/v0.1` by commit, where there are."""
    known = statements or {}
    entries = [Entry.of(one, known.get(one.object_id)) for one in examinations]
    return assemble(dispatch, entries, repository=repository, ref=ref, signer=signer, scoped=scoped)


def assemble(
    dispatch: Dispatch,
    entries: Sequence[Entry],
    *,
    repository: str | None,
    ref: str | None,
    signer: PublicKey | None = None,
    scoped: bool = False,
) -> bytes:
    """The Statement of a dispatch that made these commits: compact ASCII JSON, to be signed as it is.

    `signer` is the key that will sign it; a certificate that the dispatch gives for the orchestrator's own is repeated
    only where it is of this key. `scoped` says that only those will read it who may see the sources of content and
    paths of the orchestrator's machine; a git ref is not so. Raises `UnavailableError` where the dispatch
    does not say what it has to, `UsageError` for no commit, or none of this dispatch.
    """
    check(dispatch)
    _check_commits(dispatch, entries)
    check_origins(dispatch, entries)
    payload = statement.encode(
        [_subject(one.object_id, repository, ref) for one in entries],
        PREDICATE_TYPE,
        {
            "dispatchDefinition": _definition(dispatch),
            "runDetails": _run(dispatch, entries, _certificate(dispatch, signer), scoped=scoped),
        },
    )
    if len(payload) > MAX_JSON_BYTES:
        raise UsageError(f"a statement of {len(payload)} bytes; at most {MAX_JSON_BYTES} are read", hint="name fewer")
    return payload


def check(dispatch: Dispatch) -> None:
    """Raise `UnavailableError` where the dispatch does not say what a statement of it has to."""
    if dispatch.missing:
        raise UnavailableError(
            f"the dispatch does not say {', '.join(dispatch.missing)}, so nothing is stated of it",
            hint="have the orchestrator say it; a hash of the work item can be given with --work-item-hash",
        )


def with_work_item_hash(dispatch: Dispatch, content_hash: str) -> Dispatch:
    """The same with the hash of its work item, which rosary's manifest does not hold. Raises `UsageError`."""
    if not is_sha256(content_hash):
        raise UsageError("the hash of a work item is sha256: and 64 lower-case hex digits")
    if dispatch.work_item.content_hash not in ("", content_hash):
        raise UsageError(f"the dispatch itself says that its work item has {dispatch.work_item.content_hash}")
    return replace(dispatch, work_item=replace(dispatch.work_item, content_hash=content_hash))


def _check_commits(dispatch: Dispatch, entries: Sequence[Entry]) -> None:
    if not entries:
        raise UsageError("no commit was named, so there is nothing to state a dispatch of")
    if len(entries) > MAX_COMMITS:
        raise UsageError(f"{len(entries)} commits of one dispatch; at most {MAX_COMMITS} can be stated")
    known = {sha for sha, _ in dispatch.work.commits}
    foreign = [one.object_id for one in entries if known and one.object_id not in known]
    if foreign:
        raise UsageError(
            f"{foreign[0]} is none of the commits that the dispatch says it made", hint="name those alone"
        )


def check_origins(dispatch: Dispatch, entries: Iterable[Entry] = ()) -> None:
    """Raise `UsageError` where its content origins name who acted, as the dispatch itself and the entries know them."""
    actors = {dispatch.id, dispatch.execution.session_id, *_names(dispatch.certificate)}
    actors = actors.union(*(one.actors for one in entries))
    try:
        origins.refuse_actors(dispatch.origins.origins or (), actors)
    except MalformedError as error:
        raise UsageError(error.message, hint=error.hint) from None


def _principals(who: Identity | None) -> set[str]:
    """URIs and addresses of who signed, and of whom for."""
    found = () if who is None else (who.actor, who.represented)
    return {name for one in found if one is not None for name in (one.id, one.email)}


def _names(encoded: bytes) -> set[str]:
    """URIs and addresses in a certificate; none where it cannot be read."""
    try:
        extensions = asn1.load_certificate(encoded).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (Error, ValueError, x509.ExtensionNotFound):
        return set()
    return {one.value for one in names if isinstance(one, x509.UniformResourceIdentifier | x509.RFC822Name)}


def _subject(oid: str, repository: str | None, ref: str | None) -> dict[str, Any]:
    """Named by repository and commit, because names of subjects should differ (in-toto, statement.md)."""
    name = f"{statement.address(repository)}@{oid}" if repository else None
    annotations = {"sourceRefs": [ref]} if ref is not None else {}
    return dispatches.said(name=name, digest={"gitCommit": oid}, annotations=annotations)


def _certificate(dispatch: Dispatch, signer: PublicKey | None) -> bytes:
    """The certificate of who signs, where the dispatch holds it: what stands in its place may be the dispatch's own."""
    if signer is None or not dispatch.certificate:
        return b""
    try:
        key = certificate.key_of(asn1.load_certificate(dispatch.certificate))
    except Error:
        return b""
    return dispatch.certificate if key == signer else b""


def _definition(dispatch: Dispatch) -> dict[str, Any]:
    return {
        "workItemRef": dispatch.work_item.data(),
        **dispatches.said(pipeline=dispatch.pipeline.data()),
        "agent": dispatch.agent.data(),
    }


def _run(dispatch: Dispatch, entries: Sequence[Entry], own: bytes, *, scoped: bool) -> dict[str, Any]:
    name, version = dispatch.orchestrator
    made = {one.object_id: one.data for one in entries}
    identity = dispatches.said(bridgeCert=b64encode(own).decode("ascii"))
    # In the dispatch's own order; of those that nobody asked to examine it is only repeated that they were named.
    named = dict(dispatch.work.commits) or dict.fromkeys(made, "")
    commits = [made.get(sha) or dispatches.said(sha=sha, message=message) for sha, message in named.items()]
    work = {
        "commits": commits,
        **dispatches.said(
            filesChanged=list(dispatch.work.files),
            linesAdded=dispatch.work.added,
            linesRemoved=dispatch.work.removed,
        ),
    }
    return {
        **dispatches.said(
            orchestrator=dispatches.said(name=name, version=version, identity=identity),
            execution=dispatch.execution.data(scoped=scoped),
        ),
        "work": work,
        **dispatches.said(
            verification=dispatch.verification.data(),
            outcome=dispatch.outcome.data(),
            handoffChain=dispatch.handoffs.data() if dispatch.handoffs is not None else None,
        ),
        **dispatches.origins_data(dispatch.origins, scoped=scoped),
    }
