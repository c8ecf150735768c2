"""Verdicts as in-toto Statements v1: what a verifier saw of one commit or tag, and concluded.

The bytes `build` returns are the payload that gets signed; nothing re-encodes them. What a certificate
proves and what an object merely claims stand apart: every identity fact names its `source`, dates from
headers are `claimedAt`, trailers are listed as claims. Messages and changes are named by digest alone,
because git refs are broadcast and messages hold secrets.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from attest import fulcio, identity, trailers
from attest.certificate import BridgeCertificate
from attest.dsse import read_json
from attest.errors import MalformedError, UnavailableError, UsageError
from attest.gitobject import Commit, Ident, ObjectKind, Tag
from attest.types import Evidence, Finding, Outcome, Principal, StepStatus, Verdict
from attest.verify import Examination

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"

PREDICATE_TYPE = "https://notme.bot/provenance/commit/v0.1"
"""Proposed by this project, not part of APAS 0.3.0. Compared literally and never fetched."""

MAX_SUBJECTS = 1000
"""Of a statement about several objects: the commits of one dispatch."""

_DIGEST_NAMES = {ObjectKind.COMMIT: "gitCommit", ObjectKind.TAG: "gitTag"}
_STEP_NAMES = ("object", "signature", "integrity", "chain", "time", "epoch", "identity", "policy")
_RESULTS = {
    StepStatus.PROVEN: "PASSED",
    StepStatus.FAILED: "FAILED",
    StepStatus.UNAVAILABLE: "UNKNOWN",
    StepStatus.NOT_APPLICABLE: "NOT_APPLICABLE",
}
_HEX = frozenset("0123456789abcdef")
_GIT_DIGESTS = frozenset({"gitCommit", "gitTag", "gitTree", "gitBlob"})

_CERTIFICATE = "certificate"
_CLAIMS = "certificate-claims"
_ISSUING = "issuing-certificate-claims"
_HEADER = "commit-header"
_TRAILER = "trailer"
_NO_ID = {"id": None, "source": "none"}
_NO_VALUE = {"value": None, "source": "none"}
_NOBODY: Mapping[str, Any] = {
    "actor": _NO_ID,
    "representedPrincipal": _NO_ID,
    "grant": _NO_ID,
    "assurance": _NO_VALUE,
    "session": _NO_ID,
}

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
) -> bytes:
    """The Statement of `verdict` on one commit or tag: compact ASCII JSON, to be signed as it is.

    `verifier_id` is the URI of who signs, `repository` the object's repository and `ref` the full ref it
    was judged for, both where known. `at` is the time of the verdict. `self_attested` marks a statement
    signed by the actor it is about; `orchestrated` are sections that repeat what an orchestrator said
    (`apas.dispatch.sections`). Raises `UnavailableError` for what could not be checked (no statement
    rather than a guess) and `UsageError` for anything but commits and tags.
    """
    if verdict.outcome is Outcome.COULD_NOT_CHECK:
        open_steps = [f.detail for f in verdict.findings.findings if f.status is StepStatus.UNAVAILABLE]
        raise UnavailableError(
            f"{examination.object_id} could not be checked, so nothing is stated: {'; '.join(open_steps)}"
        )
    digest_name = next((name for kind, name in _DIGEST_NAMES.items() if kind == examination.kind), None)
    if digest_name is None:
        raise UsageError(f"statements are about commits and tags, not about {examination.kind}")
    subject: JsonObject = {"digest": {digest_name: examination.object_id}}
    if repository is not None:
        subject = {"name": f"git+{repository}" if "://" in repository else repository, **subject}
    if ref is not None:
        subject["annotations"] = {"sourceRefs": [ref]}
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [subject],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            **_object_sections(examination, verdict),
            "identity": _identity_section(examination),
            "authority": _authority_section(examination),
            "time": {"evidence": [_evidence(item) for item in examination.evidence]},
            "verification": _verification_section(verdict, verifier_id, at, self_attested),
            **(orchestrated or {}),
        },
    }
    return _encode(statement).encode("ascii")


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


def _object_sections(examination: Examination, verdict: Verdict) -> JsonObject:
    """What the object says of itself. Bytes that are no well-formed object are named by digest alone."""
    parsed = examination.parsed
    sections: JsonObject = {}
    if isinstance(parsed, Commit):
        sections["commit"] = _commit_section(examination, parsed)
    elif isinstance(parsed, Tag):
        sections["tag"] = _tag_section(examination, parsed)
    else:
        sections[str(examination.kind)] = {
            "objectFormat": str(examination.object_format),
            "objectSha256": _sha256(examination.payload),
        }
    if parsed is not None:
        sections["signature"] = _signature_section(examination)
    if examination.chain is not None and verdict.findings.identity is not None:
        sha256 = verdict.findings.identity.certificate_sha256
        sections["certificate"] = _certificate_section(examination.chain.leaf, sha256)
    return sections


def _commit_section(examination: Examination, commit: Commit) -> JsonObject:
    return {
        "objectFormat": str(examination.object_format),
        "objectSha256": _sha256(commit.raw),
        "tree": {"gitTree": commit.tree},
        "parents": [{"gitCommit": parent} for parent in commit.parents],
        "author": _ident(commit.author),
        "committer": _ident(commit.committer),
        "messageSha256": _sha256(commit.message),
        "trailers": _trailers(commit.message, commit.encoding),
    }


def _tag_section(examination: Examination, tag: Tag) -> JsonObject:
    return {
        "objectFormat": str(examination.object_format),
        "objectSha256": _sha256(tag.raw),
        "name": tag.name,
        "target": {"type": tag.object_type, "digest": {f"git{tag.object_type.capitalize()}": tag.object}},
        "tagger": _ident(tag.tagger) if tag.tagger is not None else None,
        "messageSha256": _sha256(tag.message),
        "trailers": _trailers(tag.message, None),
    }


def _ident(ident: Ident) -> JsonObject:
    return {"name": ident.name, "email": ident.email, "claimedAt": _instant(ident.seconds), "source": _HEADER}


def _trailers(message: bytes, encoding: str | None) -> list[JsonObject]:
    """What the last paragraph claims (`trailers.last_paragraph`)."""
    found = trailers.last_paragraph(message, encoding)
    return [{"key": item.key, "value": item.value, "source": _TRAILER} for item in found]


def _signature_section(examination: Examination) -> JsonObject:
    """`signatureSha256` is over the armour as git stores it, without the header's leading spaces."""
    section: JsonObject = {
        "present": bool(examination.signature),
        "payloadSha256": _sha256(examination.payload),
    }
    if examination.signature_format is not None:
        section["format"] = str(examination.signature_format)
        section["signatureSha256"] = _sha256(examination.signature)
    if examination.signed is not None:
        section["algorithm"] = str(examination.signed.algorithm)
        section["digestAlgorithm"] = examination.signed.digest_algorithm
    message = examination.message
    if message is not None:
        section["cmsSigningTime"] = _text(message.signing_time) if message.signing_time is not None else None
    return section


def _certificate_section(leaf: BridgeCertificate, sha256: bytes) -> JsonObject:
    """The leaf as its profile reads it; the profile, not the certificate, says what each extension means.

    `sha256` is its digest, which the verdict has: encoding the certificate again takes longer than the rest.
    """
    section: JsonObject = {
        "sha256": sha256.hex(),
        "spkiSha256": leaf.key.spki_sha256.hex(),
        "kid": leaf.key.key_id,
        "serial": f"{leaf.serial:x}",
        "issuer": leaf.issuer,
        "notBefore": _text(leaf.not_before),
        "notAfter": _text(leaf.not_after),
        "issuedAt": _text(leaf.issued_at),
        "subject": leaf.subject,
        "sanUris": [leaf.uri] if leaf.uri else [],
        "profile": str(leaf.profile),
        "epoch": leaf.epoch,
        "scopes": list(leaf.scopes),
        "authMethod": leaf.auth_method,
        "keyBinding": f"sha256:{leaf.binding.hex()}" if leaf.binding else None,
    }
    if leaf.claims is not None:
        limits = leaf.claims.constraints
        section["claims"] = {
            "constraints": {"repositories": list(limits.repositories), "branches": list(limits.branches)},
            "taskDigest": leaf.claims.task_digest.hex() or None,
        }
    if leaf.ci:
        section["ci"] = fulcio.named(leaf.ci)
    if leaf.payload_unchecked:
        section["payloadChecked"] = False
    if leaf.remarks:
        section["remarks"] = list(leaf.remarks)
    return section


def _identity_section(examination: Examination) -> JsonObject:
    """Who acted and for whom, from the certificate alone; names in headers never come here."""
    if examination.chain is None:
        return {**_NOBODY}
    leaf = examination.chain.leaf
    claims = leaf.claims
    if claims is None:
        actor = identity.describe(leaf).actor
        found = {"id": actor.id, "name": actor.name, "email": actor.email or None, "source": _CERTIFICATE}
        return {**_NOBODY, "actor": found}
    section: JsonObject = {
        **_NOBODY,
        "actor": {
            "id": leaf.uri,
            "kind": str(claims.actor_kind),
            "name": claims.actor_name,
            "email": claims.actor_email,
            "source": _CLAIMS,
        },
        "assurance": {"value": str(claims.assurance), "source": _CLAIMS},
    }
    if leaf.delegator is not None:
        section["delegator"] = _delegator(leaf.delegator)
    if claims.represented is not None:
        section["representedPrincipal"] = _principal(claims.represented)
    if claims.grant_id:
        section["grant"] = {"id": claims.grant_id, "sha256": claims.grant_sha256.hex(), "source": _CLAIMS}
    if claims.session:
        section["session"] = {"id": claims.session, "source": _CLAIMS}
    return section


def _delegator(above: BridgeCertificate) -> JsonObject:
    """Who passed its grant on, and the issuing CA it did that with."""
    who = identity.describe(above).actor
    found = {"id": who.id, "kind": str(who.kind), "name": who.name, "email": who.email}
    return {**found, "certificateSha256": above.sha256.hex(), "source": _ISSUING}


def _principal(who: Principal) -> JsonObject:
    return {
        "id": who.id,
        "kind": str(who.kind),
        "display": who.display,
        "email": who.email,
        "authentication": str(who.authentication),
        "source": _CLAIMS,
    }


def _authority_section(examination: Examination) -> JsonObject:
    chain = examination.chain
    return {
        "trustAnchorSha256": chain.anchor.key.spki_sha256.hex() if chain is not None else None,
        "epoch": chain.leaf.epoch if chain is not None else None,
        "bundleSequence": examination.bundle_sequence or None,
        "bundleAgeSeconds": examination.bundle_age if examination.bundle_sequence else None,
    }


def _evidence(item: Evidence) -> JsonObject:
    return {
        "notBefore": _instant(item.not_before),
        "notAfter": _instant(item.not_after),
        "voucher": str(item.voucher),
        "source": item.source,
    }


def _verification_section(verdict: Verdict, verifier_id: str, at: datetime, self_attested: bool) -> JsonObject:
    verifier: JsonObject = {"id": verifier_id}
    if self_attested:
        verifier["selfAttested"] = True
    return {
        "verifiedAt": _text(at),
        "verifier": verifier,
        "policy": {"name": verdict.policy, "digest": {"sha256": verdict.policy_sha256.hex()}},
        "outcome": str(verdict.outcome),
        "result": "FAILED" if verdict.outcome is Outcome.REJECTED else "PASSED",
        "steps": [_step(finding) for finding in verdict.findings.findings],
    }


def _step(finding: Finding) -> JsonObject:
    """One of eight. Time that only the signer vouches for is UNKNOWN, never PASSED (design D5)."""
    step: JsonObject = {
        "number": finding.step,
        "name": _STEP_NAMES[finding.step - 1],
        "result": _RESULTS[finding.status],
    }
    if finding.reason:
        step["reason"] = str(finding.reason)
    return step


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _text(when: datetime) -> str:
    return _instant(int(when.timestamp()))


@functools.lru_cache(maxsize=4096)
def _instant(seconds: int) -> str:
    """RFC 3339 in UTC with Z. Cached: the dates of one commit, and of a batch, mostly fall together."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00") + "Z"
