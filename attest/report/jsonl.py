"""One object a line, as JSON, for programs that read whole histories.

The names of what a signature says are those of X.509 and git, in snake_case; identity, findings and the rest are as in
`--json` (`data`). Every line has every key.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from attest.evidence import rfc3339
from attest.report import data
from attest.row import Row, Signer, SignerKind
from attest.types import Finding

KEPT = 4096
"""Texts of signers and of findings that are remembered: both repeat over a history."""

_NOBODY = Signer(SignerKind.BRIDGE, "", "")

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


def line(row: Row) -> str:
    """The row as one line of JSON, without the newline."""
    head = f'{{"commit":{_encode(row.object_id)},"kind":{_encode(row.kind)},"format":{_encode(row.format)},'
    outcome = f'"outcome":"{row.outcome}",' if row.outcome is not None else '"outcome":null,'
    rest = {
        "signing_time": _time(row.signing_time),
        "committer": row.committer,
        "committer_date": _time(row.committer_date),
        "author": row.author,
        "author_date": _time(row.author_date),
        "parents": row.parents,
        "rule": row.rule or None,
        "remarks": row.remarks,
        "contradictions": [data.contradiction_data(c) for c in row.contradictions],
        "evidence": [data.evidence_data(item) for item in row.evidence],
    }
    integrity = "null" if row.integrity is None else "true" if row.integrity else "false"
    findings = ",".join([_finding(finding) for finding in row.findings])
    return (
        f'{head}{outcome}"integrity":{integrity},{_signer(row.signer, row.identity is not None)},'
        f'{_encode(rest)[1:-1]},"findings":[{findings}]}}'
    )


@functools.lru_cache(maxsize=KEPT)
def _signer(signer: Signer | None, proven: bool) -> str:
    """The keys about the signer, without the braces."""
    named = signer or _NOBODY
    certified = bool(named.leaf_sha256)
    said: dict[str, Any] = {
        "leaf_sha256": named.leaf_sha256 or None,
        "serial": named.serial or None,
        "issuer": named.issuer if certified else None,
        "subject": named.subject if certified else None,
        "subject_alternative_names": named.subject_alternative_names,
        "not_before": _time(named.not_before),
        "not_after": _time(named.not_after),
        "signer": data.signer_data(signer) if signer is not None else None,
        "identity": data.identity_data(named.identity) if proven else None,
    }
    return _encode(said)[1:-1]


@functools.lru_cache(maxsize=KEPT)
def _finding(finding: Finding) -> str:
    return _encode(data.finding_data(finding))


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else rfc3339(seconds)
