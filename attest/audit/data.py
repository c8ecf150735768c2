"""An audit as plain values, for `--json`: stable keys in lowerCamelCase, times in RFC 3339 (docs/audit.schema.json)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attest.audit.facts import Facts
from attest.audit.run import Audit, Audited
from attest.audit.standing import Standing
from attest.audit.tally import Anomalies, Span, Tally
from attest.instants import rfc3339

VERSION = 1
"""Of the form; it changes when a key goes away or means something else."""


def audit_data(audit: Audit) -> dict[str, Any]:
    """All of it."""
    wanted = audit.wanted
    return {
        "version": VERSION,
        "auditedAt": rfc3339(int(audit.at.timestamp())),
        "refs": list(wanted.refs) or None,
        "since": _time(wanted.since),
        "until": _time(wanted.until),
        "policy": {"name": audit.policy, "sha256": audit.policy_sha256.hex()},
        "trust": list(audit.trusts),
        "total": facts_data(audit.total),
        "repositories": [_repository(each) for each in audit.repositories],
    }


def _repository(each: Audited) -> dict[str, Any]:
    error = None
    if each.error is not None:
        error = {"message": each.error.message, "hint": each.error.hint or None}
    return {
        "name": each.name,
        "address": each.address or None,
        "ref": each.ref or None,
        "objectFormat": each.object_format or None,
        "error": error,
        "facts": facts_data(each.facts),
    }


def facts_data(facts: Facts) -> dict[str, Any]:
    """The figures of one repository, or of all."""
    return {
        "objects": {"total": facts.total, **{kind: facts.kinds[kind] for kind in ("commit", "tag")}},
        "signed": facts.signed,
        "accepted": facts.accepted,
        **_dates(facts.span),
        "standings": {each.value: facts.standings[each] for each in Standing},
        "outcomes": dict(facts.outcomes),
        "months": [
            {"month": name or None, **{each.value: counts[each] for each in Standing}}
            for name, counts in sorted(facts.months.items())
        ],
        "pairs": [
            {**_pair(key._asdict()), **_span(span), "months": _months(facts.pair_months.get(key, {}))}
            for key, span in facts.pairs.ranked()
        ],
        "unknownSigners": [{**key._asdict(), **_span(span)} for key, span in facts.unknown.ranked()],
        "unsignedCommitters": [{"committer": name, **_span(span)} for name, span in facts.unsigned.ranked()],
        "rewritten": [{**_people(key._asdict()), **_span(span)} for key, span in facts.rewritten.ranked()],
        "rulings": [{**key._asdict(), **_span(span)} for key, span in facts.rules.ranked()],
        "formats": _tally(facts.formats),
        "signers": _tally(facts.signers),
        "algorithms": _tally(facts.algorithms),
        "assurance": _tally(facts.assurance),
        "authentication": _tally(facts.authentication),
        "epochs": _tally(facts.epochs),
        "timeVouchers": _tally(facts.vouchers),
        "anomalies": _anomalies(facts.anomalies),
        "notTold": {
            "pairs": facts.pairs.others.count,
            "unknownSigners": facts.unknown.others.count,
            "unsignedCommitters": facts.unsigned.others.count,
            "rewritten": facts.rewritten.others.count,
            "rulings": facts.rules.others.count,
        },
    }


def _pair(key: dict[str, str]) -> dict[str, Any]:
    return {**_people(key), "authentication": key["authentication"]}


def _people(key: dict[str, str]) -> dict[str, Any]:
    behalf = {"id": key["represented_id"], "name": key["represented"]} if key["represented_id"] else None
    return {"actor": {"id": key["actor_id"], "name": key["actor"], "kind": key["actor_kind"]}, "represented": behalf}


def _months(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: many for name, many in sorted(counts.items()) if name}


def _span(span: Span) -> dict[str, Any]:
    return {"count": span.count, "accepted": span.accepted, **_dates(span)}


def _dates(span: Span) -> dict[str, Any]:
    return {"first": _time(span.first), "last": _time(span.last)}


def _tally(tally: Tally) -> dict[str, int]:
    told = dict(tally.counts.most_common())
    return {**told, "(others)": tally.others} if tally.others else told


def _anomalies(anomalies: Anomalies) -> list[dict[str, Any]]:
    return [
        {
            "code": code,
            "severity": each.severity.value,
            "count": each.count,
            "examples": [
                {"repository": e.repository or None, "object": e.object_id, "date": _time(e.date), "detail": e.detail}
                for e in each.examples
            ],
        }
        for code, each in anomalies.ranked()
    ]


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else rfc3339(seconds)
