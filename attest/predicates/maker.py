"""Statements of several types about judged objects, not signed yet: what is asked for, and what comes of each object.

This runs in the processes that judge a range; signing is the caller's, in the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from attest import notes, rows, sshwire, statement
from attest.gitobject import ObjectKind, object_id
from attest.history import Judged, Worker
from attest.keys import KeyAlgorithm, PublicKey
from attest.policy import Context
from attest.predicates import gitsign, provenance, reference, svr, testresult
from attest.predicates.facts import Facts
from attest.predicates.provenance import Push
from attest.predicates.reference import Document
from attest.predicates.vsa import Part
from attest.repository import Repository
from attest.types import Outcome, StepStatus
from attest.verify import Examination

COMMIT, VSA, SVR, TEST_RESULT = "commit", "vsa", "svr", "test-result"
REFERENCE, PROVENANCE, GITSIGN, DISPATCH = "reference", "source-provenance", "gitsign", "dispatch"
TYPES = (COMMIT, VSA, SVR, TEST_RESULT, REFERENCE, PROVENANCE, GITSIGN, DISPATCH)

MARKABLE = frozenset({COMMIT})
"""Types that have a place to say that who signs is the actor itself."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be stated, by whom. `tip` is the end of the range, about which a push is stated; empty without one.

    `signer_keys` are fingerprints of the key that is to sign the statements, as rows name keys. `orchestrated` and
    `related` go into commit statements (`statement.build`).
    """

    types: frozenset[str]
    verifier_id: str
    context: Context
    at: datetime
    tip: str = ""
    self_attested: bool = False
    signer_keys: frozenset[str] = frozenset()
    documents: tuple[Document, ...] = ()
    push: Push = field(default=Push())
    orchestrated: Mapping[str, Any] = field(default_factory=dict)
    related: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Stated:
    """One Statement. `result` is what its type has for one, empty where it has none; `also` are its other subjects."""

    object_id: str
    type: str
    result: str
    predicate_type: str
    payload: bytes
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """What came of one object; `unread` says why it could not be read, `unchecked` why it could not be checked.

    `own` says that the key that is to sign, or its owner, signed the object; then nothing was made.
    """

    object_id: str
    outcome: Outcome | None
    stated: tuple[Stated, ...] = ()
    part: Part | None = None
    unread: str = ""
    unchecked: str = ""
    own: bool = False


def fingerprints(key: PublicKey | None) -> frozenset[str]:
    """How rows name a key: by its id in certificates, and as OpenSSH does."""
    if key is None:
        return frozenset()
    names = {key.key_id}
    if key.algorithm is KeyAlgorithm.ED25519:
        names.add(sshwire.fingerprint(sshwire.ed25519_key(key.raw)))
    return frozenset(names)


def make(
    wanted: Wanted, keep: Callable[[Examination], None] | None, worker: Worker, batch: Sequence[str]
) -> list[Made]:
    """The statements about each object of a batch. `keep` gets what was found of each that could be read."""
    noted = _noted(worker.repo, wanted, batch) if REFERENCE in wanted.types else {}
    made = []
    for judged in worker.judged(batch):
        made.append(made_of(wanted, judged, noted.get(judged.object_id, ())))
        if keep is not None and judged.found is not None:
            keep(judged.found[0])
    return made


def made_of(wanted: Wanted, judged: Judged, noted: Sequence[Document] = ()) -> Made:
    """The statements about one object; `noted` are its notes."""
    if judged.found is None:
        return Made(judged.object_id, None, unread=str(judged.error))
    examination, verdict = judged.found
    if verdict.outcome is Outcome.COULD_NOT_CHECK:
        told = "; ".join(f.detail for f in verdict.findings.findings if f.status is StepStatus.UNAVAILABLE)
        return Made(judged.object_id, verdict.outcome, unchecked=told)
    if not wanted.self_attested and _is_own(examination, wanted):
        return Made(judged.object_id, verdict.outcome, own=True)
    context = wanted.context
    facts = Facts(
        examination, verdict, wanted.verifier_id, context.repository, context.ref, wanted.at, judged.records
    )
    stated = tuple(Stated(facts.examination.object_id, *each) for each in _stated(wanted, facts, noted))
    commits = [one.payload for one in stated if one.type == COMMIT]
    part = Part.of(facts, commits[0]) if VSA in wanted.types and commits else None
    return Made(judged.object_id, verdict.outcome, stated, part)


def _stated(wanted: Wanted, facts: Facts, noted: Sequence[Document]) -> Iterator[tuple[str, str, str, bytes]]:
    """Type, result, predicate type and bytes of each; types that have nothing to say of the object are passed over."""
    types, result = wanted.types, "PASSED" if facts.accepted else "FAILED"
    if COMMIT in types or VSA in types:
        yield COMMIT, result, statement.PREDICATE_TYPE, _commit(wanted, facts)
    if SVR in types and (payload := svr.build(facts)):
        yield SVR, result, svr.PREDICATE_TYPE, payload
    if TEST_RESULT in types:
        yield TEST_RESULT, testresult.result_of(facts), testresult.PREDICATE_TYPE, testresult.build(facts)
    if REFERENCE in types and (payload := reference.build(facts, (*wanted.documents, *noted))):
        yield REFERENCE, "", reference.PREDICATE_TYPE, payload
    pushed = PROVENANCE in types and facts.examination.object_id == wanted.tip
    if pushed and (payload := provenance.build(facts, wanted.push)):
        yield PROVENANCE, "", provenance.PREDICATE_TYPE, payload
    if GITSIGN in types and (payload := gitsign.build(facts)):
        yield GITSIGN, "", gitsign.type_of(facts), payload


def _commit(wanted: Wanted, facts: Facts) -> bytes:
    return statement.build(
        facts.examination,
        facts.verdict,
        verifier_id=facts.verifier_id,
        repository=facts.repository,
        ref=facts.ref,
        at=facts.at,
        self_attested=wanted.self_attested,
        orchestrated=wanted.orchestrated,
        related=wanted.related,
        records=facts.records,
    )


def _is_own(examination: Examination, wanted: Wanted) -> bool:
    """Whether who is to sign the statement signed the object (design D10)."""
    signer = rows.signer_of(examination)
    identity = examination.identity
    named = identity is not None and wanted.verifier_id == identity.actor.id
    return named or (signer is not None and signer.key in wanted.signer_keys)


def _noted(repo: Repository, wanted: Wanted, batch: Sequence[str]) -> dict[str, list[Document]]:
    """What tools noted of each object, by where the notes can be fetched; nobody can without a URI."""
    found = dict[str, list[Document]]()
    if wanted.context.repository is None or not statement.is_uri(wanted.context.repository):
        return found
    for ref in notes.REFS:
        location = f"{statement.address(wanted.context.repository)}@{ref}"
        for oid, note in notes.read_many(repo, batch, ref).items():
            kind = "application/json" if note.lstrip().startswith(b"{") else "text/plain"
            # As a push certificate is, a note is a blob.
            blob = object_id(ObjectKind.PUSH_CERTIFICATE, note, repo.object_format)
            found.setdefault(oid, []).append(Document(location, kind, "gitBlob", blob, ref))
    return found
