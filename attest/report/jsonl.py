"""One object a line, as JSON, for programs that read whole histories.

The names of what a signature says are those of X.509 and git, in snake_case; identity, findings and the rest are as in
`--json` (`data`). Every line has every key.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from attest import certificate
from attest.instants import rfc3339
from attest.report import data
from attest.row import Row, Signer, SignerKind
from attest.types import Finding, Identity

KEPT = 4096
"""Texts of signers and of findings that are remembered: both repeat over a history."""

_NOBODY = Signer(SignerKind.BRIDGE, "", "")

# In ASCII: some readers take U+2028 or U+0085 in a name for the end of a line.
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def line(row: Row) -> str:
    """The row as one line of JSON, without the newline."""
    integrity = "null" if row.integrity is None else "true" if row.integrity else "false"
    outcome = "null" if row.outcome is None else f'"{row.outcome}"'
    parents = '","'.join(row.parents)
    parts = (
        f'{{"commit":"{row.object_id}","kind":"{row.kind}","format":{_text(row.format)},"outcome":{outcome},',
        f'"integrity":{integrity},{_signer(row)},',
        f'"signing_time":{_time(row.signing_time)},',
        f'"committer":{_text(row.committer)},"committer_date":{_time(row.committer_date)},',
        f'"author":{_text(row.author)},"author_date":{_time(row.author_date)},',
        f'"parents":["{parents}"],' if parents else '"parents":[],',
        f'"rule":{_text(row.rule or None)},"remarks":{_encode(row.remarks) if row.remarks else "[]"},',
        f'"contradictions":{_contradictions(row)},"evidence":{_evidence(row)},"findings":[',
        ",".join([_finding(finding) for finding in row.findings]),
        f'],"through":{_through(row)}}}' if row.through else '],"through":[]}',
    )
    return "".join(parts)


def _through(row: Row) -> str:
    return _encode([data.through_data(each) for each in row.through])


def _contradictions(row: Row) -> str:
    return _encode([data.contradiction_data(c) for c in row.contradictions]) if row.contradictions else "[]"


def _evidence(row: Row) -> str:
    return "[" + ",".join([_encode(data.evidence_data(item)) for item in row.evidence]) + "]" if row.evidence else "[]"


@functools.lru_cache(maxsize=KEPT)
def _text(value: str | None) -> str:
    return _encode(value)


def _signer(row: Row) -> str:
    """The keys about the signer, without the braces."""
    if row.signer is None:
        return _NO_SIGNER
    return _proven(row.signer) if row.identity is not None else _unproven(row.signer)


@certificate.kept
def _proven(signer: Signer) -> str:
    return _named(signer, signer.identity)


@certificate.kept
def _unproven(signer: Signer) -> str:
    return _named(signer, None)


def _named(signer: Signer | None, identity: Identity | None) -> str:
    named = signer or _NOBODY
    certified = bool(named.leaf_sha256)
    said: dict[str, Any] = {
        "leaf_sha256": named.leaf_sha256 or None,
        "serial": named.serial or None,
        "issuer": named.issuer if certified else None,
        "subject": named.subject if certified else None,
        "subject_alternative_names": named.subject_alternative_names,
        "not_before": None if named.not_before is None else rfc3339(named.not_before),
        "not_after": None if named.not_after is None else rfc3339(named.not_after),
        "signer": data.signer_data(signer) if signer is not None else None,
        "identity": data.identity_data(identity),
    }
    return _encode(said)[1:-1]


_NO_SIGNER = _named(None, None)


@functools.lru_cache(maxsize=KEPT)
def _finding(finding: Finding) -> str:
    return _encode(data.finding_data(finding))


def _time(seconds: int | None) -> str:
    return "null" if seconds is None else f'"{rfc3339(seconds)}"'
