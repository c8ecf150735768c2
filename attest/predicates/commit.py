"""The predicate commit/v0.1: what a verifier saw of one commit or tag, and concluded.

What a certificate proves and what an object merely claims stand apart: every identity fact names its `source`, dates
from headers are `claimedAt`, trailers are listed as claims. Messages and changes are named by digest alone, because git
refs are broadcast and messages hold secrets. Types: `schema/predicates.capnp`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from attest import gitobject, instants, trailers
from attest.foreign.vouched import ForeignSigned
from attest.gitobject import Commit, Ident, ObjectFormat, ObjectKind, Tag
from attest.instants import text
from attest.predicates import who
from attest.predicates.facts import foreign_cms
from attest.through import Through
from attest.types import Evidence, Finding, Outcome, StepStatus, Verdict
from attest.verify import Examination

STEP_NAMES = ("object", "signature", "integrity", "chain", "time", "epoch", "identity", "policy")

_RESULTS = {
    StepStatus.PROVEN: "PASSED",
    StepStatus.FAILED: "FAILED",
    StepStatus.UNAVAILABLE: "UNKNOWN",
    StepStatus.NOT_APPLICABLE: "NOT_APPLICABLE",
}
_HEADER = "commit-header"
_TRAILER = "trailer"
JsonObject = dict[str, Any]


def predicate(
    examination: Examination, verdict: Verdict, verifier_id: str, at: datetime, *, self_attested: bool
) -> JsonObject:
    """The predicate. `at` is the time of the verdict, `self_attested` marks who speaks of their own work."""
    return {
        **_object_sections(examination, verdict),
        "identity": who.identity_section(examination),
        "authority": _authority_section(examination),
        "time": {"evidence": [_evidence(item) for item in examination.evidence]},
        "verification": _verification_section(examination, verdict, verifier_id, at, self_attested=self_attested),
    }


def rewrites(records: Iterable[Through]) -> list[JsonObject]:
    """The rewrite records that an acceptance rests on, and who signed what they lead to."""
    return [
        {
            "digest": {"sha256": each.record},
            "recordedBy": each.by,
            "made": each.made,
            "relation": each.relation,
            "comparedHere": each.compared,
            "signers": [
                {"actor": actor.data, "representedPrincipal": None if behalf is None else behalf.data}
                for actor, behalf in each.people()
            ],
        }
        for each in records
    ]


def policy(verdict: Verdict) -> JsonObject:
    """By which policy: its name, its digest, and of one with rules the rule that decided."""
    made: JsonObject = {"name": verdict.policy, "digest": {"sha256": verdict.policy_sha256.hex()}}
    return {**made, "rule": verdict.rule} if verdict.rule else made


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
        sections["certificate"] = who.certificate_section(examination.chain.leaf, sha256)
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
        "mergeTags": _merge_tags(commit, ObjectFormat(examination.object_format)),
    }


def _merge_tags(commit: Commit, fmt: ObjectFormat) -> list[JsonObject]:
    """The tag objects that a merge copied into its headers, by their ids. Their own signatures nobody looked at."""
    found = [value + b"\n" for name, value in commit.extra if name == b"mergetag"]
    return [{"gitTag": gitobject.object_id(ObjectKind.TAG, raw, fmt)} for raw in found]


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
    return {"name": ident.name, "email": ident.email, "claimedAt": instants.again(ident.seconds), "source": _HEADER}


def _trailers(message: bytes, encoding: str | None) -> list[JsonObject]:
    """What the last paragraph claims (`trailers.last_paragraph`)."""
    found = trailers.last_paragraph(message, encoding)
    return [{"key": item.key, "value": item.value, "source": _TRAILER} for item in found]


def _signature_section(examination: Examination) -> JsonObject:
    """`signatureSha256` is over the armour as git stores it, without the header's leading spaces.

    `anomalies` are codes of what is odd about it, but allowed (docs/reasons.md).
    """
    section: JsonObject = {
        "present": bool(examination.signature),
        "payloadSha256": _sha256(examination.payload),
    }
    if examination.signature and isinstance(examination.parsed, Commit):
        section["header"] = ObjectFormat(examination.object_format).signature_header.decode("ascii")
    if examination.signature_format is not None:
        section["format"] = str(examination.signature_format)
        section["signatureSha256"] = _sha256(examination.signature)
    if examination.signed is not None:
        section["algorithm"] = str(examination.signed.algorithm)
        section["digestAlgorithm"] = examination.signed.digest_algorithm
    section |= _cms(examination)
    if examination.foreign is not None:
        section["signer"] = _foreign_signer(examination.foreign)
    section["anomalies"] = list(dict.fromkeys(examination.remarks))
    return section


def _cms(examination: Examination) -> JsonObject:
    """What a CMS signature says of itself: of ours, of gitsign, of S/MIME. The time in it is the signer's word."""
    message, foreign = examination.message, foreign_cms(examination)
    if message is not None:
        when, attributes = message.signing_time, bool(message.signed_attributes)
    elif foreign is not None:
        when, attributes = foreign.message.signing_time, foreign.message.signed is not None
    else:
        return {}
    return {"cmsSigningTime": text(when) if when is not None else None, "signedAttributes": attributes}


def _foreign_signer(made: ForeignSigned) -> JsonObject:
    """The key or certificate of somebody who is none of an authority's of ours; proven as far as the steps say."""
    signer = made.signer
    found = {"kind": str(signer.kind), "key": signer.key, "algorithm": signer.algorithm}
    return {**found, "certificateSha256": signer.leaf_sha256} if signer.leaf_sha256 else found


def _authority_section(examination: Examination) -> JsonObject:
    chain = examination.chain
    return {
        "trustAnchorSha256": chain.anchor.key.spki_sha256.hex() if chain is not None else None,
        "epoch": chain.leaf.epoch if chain is not None else None,
        "currentEpoch": examination.current_epoch,
        "bundleSequence": examination.bundle_sequence or None,
        "bundleAgeSeconds": examination.bundle_age if examination.bundle_sequence else None,
    }


def _evidence(item: Evidence) -> JsonObject:
    return {
        "notBefore": instants.again(item.not_before),
        "notAfter": instants.again(item.not_after),
        "voucher": str(item.voucher),
        "source": item.source,
    }


def _verification_section(
    examination: Examination, verdict: Verdict, verifier_id: str, at: datetime, *, self_attested: bool
) -> JsonObject:
    verifier: JsonObject = {"id": verifier_id}
    if self_attested:
        verifier["selfAttested"] = True
    said = [{"code": item.code, "severity": str(item.severity)} for item in examination.contradictions]
    return {
        "verifiedAt": text(at),
        "verifier": verifier,
        "policy": policy(verdict),
        "outcome": str(verdict.outcome),
        "result": "FAILED" if verdict.outcome is Outcome.REJECTED else "PASSED",
        "steps": [_step(finding) for finding in verdict.findings.findings],
        **({"contradictions": said} if said else {}),
    }


def _step(finding: Finding) -> JsonObject:
    """One of eight. Time that only the signer vouches for is UNKNOWN, never PASSED (design D5)."""
    step: JsonObject = {
        "number": finding.step,
        "name": STEP_NAMES[finding.step - 1],
        "result": _RESULTS[finding.status],
    }
    if finding.reason:
        step["reason"] = str(finding.reason)
    return step


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
