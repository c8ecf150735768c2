"""Verdicts as in-toto Statements v1: what a verifier saw of one commit or tag, and concluded.

The bytes `build` returns are the payload that gets signed; nothing re-encodes them. `predicates` makes statements of
other types out of the same findings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest.dsse import read_json
from attest.errors import MalformedError, UnavailableError, UsageError
from attest.gitobject import ObjectKind
from attest.predicates import commit
from attest.types import Outcome, StepStatus, Verdict
from attest.verify import Examination

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"

PREDICATE_TYPE = "https://notme.bot/provenance/commit/v0.1"
"""Proposed by this project, not part of APAS 0.3.0. Compared literally and never fetched."""

MAX_SUBJECTS = 1000
"""Of a statement about several objects: the commits of one dispatch."""

_DIGEST_NAMES: Mapping[str, str] = {ObjectKind.COMMIT: "gitCommit", ObjectKind.TAG: "gitTag"}
_HEX = frozenset("0123456789abcdef")
_GIT_DIGESTS = frozenset({"gitCommit", "gitTag", "gitTree", "gitBlob"})

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """An in-toto Statement with one subject, as read. `payload` are its bytes.

    `subject_digests` maps algorithm to lower-case hex. `result` is `PASSED` or `FAILED` in statements of
    ours, None in those of other types.
    """

    payload: bytes
    subject_digests: Mapping[str, str]
    predicate_type: str
    predicate: Mapping[str, Any]
    result: str | None


def build(
    examination: Examination,
    verdict: Verdict,
    *,
    verifier_id: str,
    repository: str | None,
    ref: str | None,
    at: datetime,
    self_attested: bool = False,
    orchestrated: Mapping[str, Any] | None = None,
    related: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """The Statement of `verdict` on one commit or tag: compact ASCII JSON, to be signed as it is.

    `verifier_id` is the URI of who signs, `repository` the object's repository and `ref` the full ref it
    was judged for, both where known. `at` is the time of the verdict. `self_attested` marks a statement
    signed by the actor it is about; `orchestrated` are sections that repeat what an orchestrator said
    (`apas.dispatch.sections`), `related` descriptors of documents that the caller says belong to it. Raises
    `UnavailableError` for what could not be checked (no statement rather than a guess) and `UsageError` for
    anything but commits and tags.
    """
    check(examination, verdict)
    predicate = commit.predicate(examination, verdict, verifier_id, at, self_attested=self_attested)
    return encode(
        subject(examination, repository, ref),
        PREDICATE_TYPE,
        {**predicate, **(orchestrated or {}), **({"related": list(related)} if related else {})},
    )


def check(examination: Examination, verdict: Verdict) -> None:
    """That something can be stated: `UnavailableError` for what could not be checked, `UsageError` for other kinds."""
    if verdict.outcome is Outcome.COULD_NOT_CHECK:
        open_steps = [f.detail for f in verdict.findings.findings if f.status is StepStatus.UNAVAILABLE]
        raise UnavailableError(
            f"{examination.object_id} could not be checked, so nothing is stated: {'; '.join(open_steps)}"
        )
    if examination.kind not in _DIGEST_NAMES:
        raise UsageError(f"statements are about commits and tags, not about {examination.kind}")


def subject(examination: Examination, repository: str | None, ref: str | None) -> JsonObject:
    """The one subject. Its digest is the object's id alone: a verifier matches subjects by any digest they have."""
    made: JsonObject = {"digest": {_DIGEST_NAMES[examination.kind]: examination.object_id}}
    if repository is not None:
        made = {"name": address(repository), **made}
    if ref is not None:
        made["annotations"] = {"sourceRefs": [ref]}
    return made


def address(repository: str) -> str:
    """A repository's address as a SPDX download location has it; what is no URL stays as it is."""
    return f"git+{repository}" if "://" in repository else repository


def encode(about: JsonObject, predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """The Statement's bytes."""
    made = {"_type": STATEMENT_TYPE, "subject": [about], "predicateType": predicate_type, "predicate": predicate}
    return _encode(made).encode("ascii")


def read(payload: bytes, about: str | None = None) -> Statement:
    """Read a Statement about one subject: strict JSON (`dsse.read_json`), unknown fields ignored.

    Any predicate type is read, with `result` taken from ours alone. Raises `MalformedError`, also for
    several subjects: those match by any digest, and what is concluded here concerns one object. Of other types
    than ours, `about` picks the one subject that has this git id.
    """
    top = read_json(payload)
    if top.get("_type") != STATEMENT_TYPE:
        raise MalformedError(f"{top.get('_type')!r} is not an in-toto Statement v1")
    subjects, predicate_type, predicate = top.get("subject"), top.get("predicateType"), top.get("predicate")
    if not isinstance(predicate_type, str) or not predicate_type:
        raise MalformedError("predicateType is missing or not a string")
    if about is not None and predicate_type != PREDICATE_TYPE:
        subjects = _about(subjects, about)
    if not isinstance(subjects, list) or len(subjects) != 1 or not isinstance(subjects[0], dict):
        raise MalformedError("the statement has not exactly one subject")
    if predicate is None:
        predicate = {}  # in-toto: unset and empty are the same
    if not isinstance(predicate, dict):
        raise MalformedError("predicate is not an object")
    return Statement(
        payload=payload,
        subject_digests=_digests(subjects[0].get("digest")),
        predicate_type=predicate_type,
        predicate=predicate,
        result=_result(predicate) if predicate_type == PREDICATE_TYPE else None,
    )


def _about(subjects: object, object_id: str) -> object:
    """Of several subjects those that have this git id; one alone is left to the caller, whatever it is about."""
    if not isinstance(subjects, list) or len(subjects) < 2:
        return subjects
    if len(subjects) > MAX_SUBJECTS or not all(isinstance(one, dict) for one in subjects):
        raise MalformedError(f"the statement has more than {MAX_SUBJECTS} subjects, or one that is no object")
    found = [_digests(one.get("digest")) for one in subjects]
    return [
        one
        for one, digests in zip(subjects, found, strict=True)
        if any(digests.get(name) == object_id for name in _GIT_DIGESTS)
    ]


def _digests(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not value:
        raise MalformedError("the subject has no digest")
    for name, digest in value.items():
        if not isinstance(digest, str) or not digest:
            raise MalformedError(f"subject digest {name!r} is not a string")
        if name in _GIT_DIGESTS and (len(digest) not in (40, 64) or not _HEX.issuperset(digest)):
            raise MalformedError(f"subject digest {name} is not 40 or 64 lower-case hex digits")
    return value


def _result(predicate: Mapping[str, Any]) -> str:
    verification = predicate.get("verification")
    result = verification.get("result") if isinstance(verification, dict) else None
    if result not in ("PASSED", "FAILED"):
        raise MalformedError("verification.result is neither PASSED nor FAILED")
    return str(result)
