"""Verdicts as in-toto Statements v1: what a verifier saw of one commit or tag, and concluded.

The bytes `build` returns are the payload that gets signed; nothing re-encodes them. `predicates` makes statements of
other types out of the same findings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attest.errors import UnavailableError, UsageError
from attest.gitobject import ObjectKind
from attest.predicates import commit
from attest.through import Through
from attest.types import Outcome, StepStatus, Verdict
from attest.verify import Examination

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"

PREDICATE_TYPE = "https://notme.bot/provenance/commit/v0.1"
"""Proposed by this project, not part of APAS 0.3.0. Compared literally and never fetched."""

_DIGEST_NAMES: Mapping[str, str] = {ObjectKind.COMMIT: "gitCommit", ObjectKind.TAG: "gitTag"}

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[!-~]+")

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
JsonObject = dict[str, Any]


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
    records: Sequence[Through] = (),
) -> bytes:
    """The Statement of `verdict` on one commit or tag: compact ASCII JSON, to be signed as it is.

    `verifier_id` is the URI of who signs, `repository` the object's repository and `ref` the full ref it
    was judged for, both where known. `at` is the time of the verdict. `self_attested` marks a statement
    signed by the actor it is about; `orchestrated` are sections that repeat what an orchestrator said
    (`apas.dispatch.sections`), `related` descriptors of documents that the caller says belong to it, `records`
    the rewrite records by which it is accepted. Raises `UnavailableError` for what could not be checked (no
    statement rather than a guess) and `UsageError` for anything but commits and tags.
    """
    check(examination, verdict)
    predicate = commit.predicate(examination, verdict, verifier_id, at, self_attested=self_attested)
    return encode(
        [subject(examination, repository, ref)],
        PREDICATE_TYPE,
        {
            **predicate,
            **(orchestrated or {}),
            **({"related": list(related)} if related else {}),
            **({"rewrites": commit.rewrites(records)} if records else {}),
        },
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


def is_uri(repository: str | None) -> bool:
    """Whether the address is one that has its place in any format; `git@host:path` and paths are none."""
    return repository is not None and _URI.fullmatch(repository) is not None


def check_uri(repository: str | None) -> str:
    """The address where a format has a URI and nothing else (in-toto, ResourceURI). Raises `UsageError`."""
    if repository is None or not is_uri(repository):
        given = "" if repository is None else f", and {repository[:200]!r} is none"
        raise UsageError(
            f"a summary, and source provenance, name the repository by its URI{given}",
            hint="say it with --repository, for example https://git.example.org/app",
        )
    return repository


def encode(subjects: Sequence[JsonObject], predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """The Statement's bytes."""
    made = {"_type": STATEMENT_TYPE, "subject": subjects, "predicateType": predicate_type, "predicate": predicate}
    return _encode(made).encode("ascii")
