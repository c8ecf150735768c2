"""What a person wants to see first of a statement: a line or two of its predicate, whatever shape that has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attest.predicates import provenance, reference, svr, testresult, vsa

MANY = 20
"""Entries of a list that are shown."""


def lines(predicate_type: str, predicate: Mapping[str, Any]) -> Iterator[str]:
    """Of types that have something short to say; not made printable."""
    if predicate_type == vsa.PREDICATE_TYPE:
        levels = _all(predicate.get("verifiedLevels")) or "no level"
        yield f"{predicate.get('verificationResult')}: {levels} of {predicate.get('resourceUri')}"
    elif predicate_type == svr.PREDICATE_TYPE:
        yield f"proven: {_all(predicate.get('properties')) or 'nothing'}"
    elif predicate_type == testresult.PREDICATE_TYPE:
        failed = _all(predicate.get("failedTests"))
        passed = _all(predicate.get("passedTests")) or "nothing"
        yield f"{predicate.get('result')}: passed {passed}" + (f"; failed {failed}" if failed else "")
    elif predicate_type == provenance.PREDICATE_TYPE:
        before, by = predicate.get("prev_commit"), predicate.get("actor")
        said = (f" from {before}" if before else "") + (f", pushed by {by}" if by else "")
        yield f"{predicate.get('branch')} came here{said}"
    elif predicate_type == reference.PREDICATE_TYPE:
        found = predicate.get("references")
        for one in found[:MANY] if isinstance(found, list) else ():
            if isinstance(one, dict):
                yield f"{one.get('mediaType')} at {one.get('downloadLocation')}"


def _all(value: object) -> str:
    return ", ".join(map(str, value[:MANY])) if isinstance(value, list) else ""
