"""Make rewrite records: examine the old commits while they are here, compare, and write down what was found."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from attest import attestation, forges, history, said, statement, store
from attest.attestation import Accepting, Credential
from attest.attester import Attester, KeyAttester
from attest.errors import Error, UsageError
from attest.evidence import RANK
from attest.gitobject import parse_commit
from attest.instants import rfc3339
from attest.query import Query
from attest.repository import Repository
from attest.rewrites import compare, reader
from attest.rewrites.compare import Pair
from attest.rewrites.model import MAX_OLD, Made, New, Old, Rewrite, Rewriter, RewriterKind, Signed
from attest.rewrites.statement import MAX_STATEMENTS, build
from attest.row import Row
from attest.through import Who
from attest.trust import Trust
from attest.types import Outcome


@dataclass(frozen=True, slots=True)
class Asked:
    """One record to be made: of `pair`, because of what was `made`."""

    pair: Pair
    made: Made


def make(repo: Repository, asked: Sequence[Asked], query: Query, verifier: str, at: datetime) -> list[Rewrite]:
    """The records, as `verifier` (a URI) finds it at `at` under the query's policy; nothing is signed or stored.

    Raises `UnavailableError` where a commit is not here, `UsageError` for more than `MAX_OLD` behind one.
    """
    if query.policy is None:
        raise UsageError("old commits are judged by a policy, and none was given")
    for each in asked:
        if not 0 < len(each.pair.old) <= MAX_OLD:
            raise UsageError(f"{len(each.pair.old)} commits behind one; a record names 1 to {MAX_OLD}")
    compared = compare.compare(repo, [each.pair for each in asked])
    ids = list(dict.fromkeys(oid for each in asked for oid in (*each.pair.old, each.pair.new)))
    rows = {row.object_id: row for row in history.rows(repo, ids, query)}
    stored = store.read_many(repo, ids) if store.exists(repo) else {}
    old = {oid: _old(repo, rows[oid], stored.get(oid, ())) for each in asked for oid in each.pair.old}
    return [
        Rewrite(
            made=each.made,
            new=_new(repo, rows[each.pair.new]),
            old=tuple(old[oid] for oid in each.pair.old),
            compared=how,
            rewriter=_rewriter(rows[each.pair.new]),
            policy=query.policy.name,
            policy_sha256=query.policy.digest.hex(),
            verifier=verifier,
            recorded_at=rfc3339(int(at.timestamp())),
        )
        for each, how in zip(asked, compared, strict=True)
    ]


def keep(
    repo: Repository, rewrites: Sequence[Rewrite], attester: Attester, query: Query, at: datetime
) -> list[Rewrite]:
    """Sign and store what is not stored yet; returns what was. What this attester said before is not said again."""
    stored = store.read_many(repo, [each.new.object_id for each in rewrites]) if store.exists(repo) else {}
    fresh = [
        each
        for each in rewrites
        if not any(_is_signed(line, attester, query.trusted, at) for line in _same_said(each, stored))
    ]
    lines: dict[str, list[bytes]] = {}
    for each in fresh:
        lines.setdefault(each.new.object_id, []).append(attester.sign(build(each), at))
    if lines:
        store.append(repo, lines, at=at)
    return fresh


def _same_said(rewrite: Rewrite, stored: Mapping[str, Sequence[bytes]]) -> Iterator[bytes]:
    """The stored lines that say the same, whoever signed them."""
    wanted = replace(rewrite, old=_same(rewrite.old))
    for found in reader.of_lines(stored.get(rewrite.new.object_id, ())):
        each = found.rewrite
        if replace(each, recorded_at=rewrite.recorded_at, old=_same(each.old)) == wanted:
            yield found.line


def _is_signed(line: bytes, attester: Attester, trusted: Trust, at: datetime) -> bool:
    """Whether this attester signed it: anybody can store a line in its name, and after a theft it has a new key."""
    key = attester.public if isinstance(attester, KeyAttester) else None
    try:
        by = attestation.verify(line, Accepting(trusted, () if key is None else (key,)), at).by
    except Error:
        return False
    if key is not None:
        return any(each.key == key for each in by)
    # A certificate is for a new key each time, and names its owner.
    return any(each.credential is Credential.CERTIFICATE and each.uri == attester.id for each in by)


def _same(old: Sequence[Old]) -> tuple[Old, ...]:
    """Without what is only stored beside them, which grows."""
    return tuple(replace(each, statements=()) for each in old)


def _new(repo: Repository, row: Row) -> New:
    _, raw = repo.read(row.object_id)
    return New(row.object_id, repo.object_format.value, hashlib.sha256(raw).hexdigest(), row.tree, row.parents)


def _old(repo: Repository, row: Row, lines: Sequence[bytes]) -> Old:
    _, raw = repo.read(row.object_id)
    payload = raw
    with contextlib.suppress(Error):
        payload = parse_commit(raw, repo.object_format).payload
    who, first = row.identity, row.decisive
    assert row.outcome is not None
    against = first is not None and row.outcome in (Outcome.REJECTED, Outcome.COULD_NOT_CHECK)
    best = max(row.evidence, key=lambda item: RANK[item.voucher], default=None)
    return Old(
        object_id=row.object_id,
        object_sha256=hashlib.sha256(raw).hexdigest(),
        payload_sha256=hashlib.sha256(payload).hexdigest(),
        outcome=row.outcome,
        reason=first.reason if first is not None and against else "",
        actor=Who.of(who.actor) if who is not None else None,
        represented=Who.of(who.represented) if who is not None and who.represented is not None else None,
        certificate_sha256=row.signer.leaf_sha256 if who is not None and row.signer is not None else "",
        time=Signed(rfc3339(best.not_before), rfc3339(best.not_after), best.voucher)
        if who is not None and best is not None
        else None,
        statements=_statements(lines, row.object_id),
    )


def _rewriter(row: Row) -> Rewriter:
    who, forge = row.identity, forges.forge_of(row)
    if forge is not None:
        return Rewriter(RewriterKind.FORGE, forges.is_proven(row, forge), forge.name)
    if who is not None and who.actor.id:
        return Rewriter(RewriterKind.SIGNER, True, who.actor.display, who.actor.id)
    return Rewriter(RewriterKind.COMMITTER, False, row.committer.encode("utf-8", "replace").decode())


def _statements(lines: Sequence[bytes], object_id: str) -> tuple[str, ...]:
    """SHA-256 of the payloads of stored commit statements about it."""
    found: list[str] = []
    for line in lines:
        with contextlib.suppress(Error):
            envelope = reader.envelope_of(line)
            if envelope is None:
                continue
            read = said.read(envelope.payload)
            if read.predicate_type == statement.PREDICATE_TYPE and read.about(said.OBJECT + object_id):
                found.append(hashlib.sha256(read.payload).hexdigest())
    return tuple(sorted(set(found))[:MAX_STATEMENTS])
