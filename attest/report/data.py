"""Verdicts as plain values for `--json`: stable keys in lowerCamelCase, byte strings as hex, times in RFC 3339."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attest.errors import Step
from attest.instants import rfc3339
from attest.row import Row, Signer
from attest.through import Original, Through, Who
from attest.types import Contradiction, Evidence, Finding, Findings, Identity, Principal, Verdict

if TYPE_CHECKING:
    from attest.query import Query


def verdict_data(verdict: Verdict) -> dict[str, Any]:
    """One verdict."""
    return {
        **findings_data(verdict.findings),
        "outcome": verdict.outcome.value,
        "rule": verdict.rule or None,
        "policy": {"name": verdict.policy, "sha256": verdict.policy_sha256.hex()},
        "bundle": {"sequence": verdict.bundle_sequence, "age": verdict.bundle_age}
        if verdict.bundle_sequence
        else None,
        "judgedAt": rfc3339(verdict.at),
        "warnings": list(verdict.warnings),
    }


def findings_data(findings: Findings) -> dict[str, Any]:
    """The findings of one examination."""
    return {
        "object": {"kind": findings.object_kind, "id": findings.object_id, "format": findings.object_format},
        "profile": findings.profile or None,
        "identity": identity_data(findings.identity),
        "findings": [finding_data(finding) for finding in findings.findings],
        "evidence": [evidence_data(item) for item in findings.evidence],
        "remarks": list(findings.remarks),
        "contradictions": [contradiction_data(item) for item in findings.contradictions],
    }


def row_data(row: Row, query: Query, object_format: str) -> dict[str, Any]:
    """One object of a history, in the form of its verdict, or of its findings where it was not judged."""
    examined = {
        "object": {"kind": row.kind, "id": row.object_id, "format": object_format},
        "profile": (row.signer.profile or str(row.signer.kind)) if row.identity is not None and row.signer else None,
        "identity": identity_data(row.identity),
        "findings": [finding_data(finding) for finding in row.findings],
        "evidence": [evidence_data(item) for item in row.evidence],
        "remarks": list(row.remarks),
        "contradictions": [contradiction_data(item) for item in row.contradictions],
        **({"through": [through_data(each) for each in row.through]} if row.through else {}),
    }
    if row.outcome is None or query.policy is None:
        return examined
    used = query.trusted.named(row.signer.root) if row.signer is not None else query.trusted
    age = used.age(query.at)
    return {
        **examined,
        "outcome": row.outcome.value,
        "rule": row.rule or None,
        "policy": {"name": query.policy.name, "sha256": query.policy.digest.hex()},
        "bundle": {"sequence": used.bundle.sequence, "age": max(0, int(age.total_seconds()))}
        if used.bundle is not None and age is not None
        else None,
        "judgedAt": rfc3339(int(query.at.timestamp())),
        "warnings": list(row.warnings),
    }


def finding_data(finding: Finding) -> dict[str, Any]:
    """One step's end."""
    return {
        "step": finding.step,
        "name": Step(finding.step).name.lower(),
        "status": finding.status.value,
        "reason": finding.reason or None,
        "detail": finding.detail,
    }


def evidence_data(item: Evidence) -> dict[str, Any]:
    """One interval of time."""
    return {
        "notBefore": rfc3339(item.not_before),
        "notAfter": rfc3339(item.not_after),
        "voucher": item.voucher.value,
        "source": item.source,
    }


def contradiction_data(item: Contradiction) -> dict[str, Any]:
    """One claim against proof."""
    return {"code": item.code, "severity": item.severity.value, "detail": item.detail}


def through_data(record: Through) -> dict[str, Any]:
    """A rewrite record, and what it leads to."""
    return {
        "record": record.record,
        "recordedBy": record.by or None,
        "recordedAt": record.at or None,
        "made": record.made or None,
        "relation": record.relation or None,
        "rewriter": record.rewriter or None,
        "follows": record.follows,
        "refused": record.refused or None,
        "comparedHere": record.compared,
        "seenHere": record.seen and not record.refused,
        "outcome": record.outcome.value if not record.refused else None,
        "originals": [_original(each) for each in record.originals],
    }


def _original(original: Original) -> dict[str, Any]:
    return {
        "id": original.object_id,
        "here": original.here,
        "outcome": original.outcome.value,
        "actor": _who(original.actor),
        "representedPrincipal": _who(original.represented),
        "through": through_data(original.through) if original.through is not None else None,
    }


def _who(who: Who | None) -> dict[str, Any] | None:
    return None if who is None else {"id": who.id, "kind": str(who.kind), "display": who.name, "email": who.email}


def signer_data(signer: Signer) -> dict[str, Any]:
    """The credential behind a signature."""
    return {
        "kind": signer.kind.value,
        "key": signer.key,
        "algorithm": signer.algorithm,
        "profile": signer.profile or None,
        "root": signer.root or None,
    }


def identity_data(who: Identity | None) -> dict[str, Any] | None:
    """Who signed for whom."""
    if who is None:
        return None
    return {
        "actor": _principal(who.actor),
        "representedPrincipal": _principal(who.represented) if who.represented else None,
        "grant": {"id": who.grant_id, "sha256": who.grant_sha256.hex()} if who.grant_id else None,
        "scopes": list(who.scopes),
        "epoch": who.epoch,
        "assurance": who.assurance.value,
        "certificateSha256": who.certificate_sha256.hex(),
        "payloadChecked": not who.payload_unchecked,
        "delegator": _principal(who.delegator) if who.delegator else None,
        "ci": {claim.name: claim.value for claim in who.ci} or None,
    }


def _principal(principal: Principal) -> dict[str, Any]:
    return {
        "id": principal.id,
        "kind": principal.kind.value,
        "name": principal.name or None,
        "display": principal.display,
        "email": principal.email,
        "authentication": principal.authentication.value if principal.kind == "human" else None,
    }
