"""Verdicts as plain values for `--json`: stable keys in lowerCamelCase, byte strings as hex, times in RFC 3339."""

from __future__ import annotations

from typing import Any

from attest.errors import Step
from attest.evidence import rfc3339
from attest.types import Findings, Principal, Verdict


def verdict_data(verdict: Verdict) -> dict[str, Any]:
    """One verdict."""
    return {
        **findings_data(verdict.findings),
        "outcome": verdict.outcome.value,
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
        "identity": _identity(findings),
        "findings": [
            {
                "step": finding.step,
                "name": Step(finding.step).name.lower(),
                "status": finding.status.value,
                "reason": finding.reason or None,
                "detail": finding.detail,
            }
            for finding in findings.findings
        ],
        "evidence": [
            {
                "notBefore": rfc3339(item.not_before),
                "notAfter": rfc3339(item.not_after),
                "voucher": item.voucher.value,
                "source": item.source,
            }
            for item in findings.evidence
        ],
        "remarks": list(findings.remarks),
    }


def _identity(findings: Findings) -> dict[str, Any] | None:
    who = findings.identity
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
