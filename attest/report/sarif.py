"""A judged pull request as SARIF 2.1.0 (OASIS), for code scanning: a rule for each code, a result for each note.

A commit is a logical location. As physical one stands a file that it changes, because viewers list results by file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any
from urllib.parse import quote

from attest.instants import rfc3339
from attest.pull import Check, Note
from attest.reasons import ENTRIES
from attest.report.text import printable
from attest.types import Severity

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MAX_RESULTS = 5000
"""Of one run; GitHub shows so many of the 25,000 that it takes."""

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_ROOT = "ROOT"


def document(check: Check, status: int) -> str:
    """All of it; `status` is the exit status."""
    notes = check.notes()[:MAX_RESULTS]
    codes = {code: number for number, code in enumerate(dict.fromkeys(note.code for note in notes))}
    run: dict[str, Any] = {
        "tool": {"driver": _driver(list(codes))},
        "automationDetails": {"id": "notme-attest/check/"},
        "invocations": [{"executionSuccessful": True, "exitCode": status, "endTimeUtc": _time(check)}],
        "columnKind": "unicodeCodePoints",
        "results": [_result(note, codes) for note in notes],
        "properties": {"base": check.base, "head": check.head, "policy": printable(check.policy)},
    }
    address = check.query.context.repository
    if address is not None and _is_web(address):
        run["versionControlProvenance"] = [{"repositoryUri": _uri(address), "revisionId": check.head}]
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _driver(codes: Sequence[str]) -> dict[str, Any]:
    return {
        "name": "notme-attest",
        "semanticVersion": metadata.version("notme-git"),
        "rules": [_rule(code) for code in codes],
    }


def _rule(code: str) -> dict[str, Any]:
    entry = ENTRIES.get(code)
    if entry is None:
        return {"id": code, "shortDescription": {"text": code}}
    return {
        "id": code,
        "shortDescription": {"text": entry.meaning},
        "fullDescription": {"text": entry.meaning},
        "help": {"text": f"{entry.meaning} {entry.remedy}", "markdown": f"{entry.meaning}\n\n{entry.remedy}"},
        "defaultConfiguration": {"level": _LEVELS[entry.severity or Severity.ERROR]},
        "properties": {"steps": [int(step) for step in entry.steps], "tags": ["security", entry.kind.value]},
    }


def _result(note: Note, codes: Mapping[str, int]) -> dict[str, Any]:
    # A commit's id never changes, so what is said of it is the same result in every run.
    mark = hashlib.sha256(f"{note.object_id} {note.code}".encode()).hexdigest()[:32]
    place: dict[str, Any] = {"uri": f"git:{note.object_id}"}
    if note.path:
        place = {"uri": quote(note.path, errors="surrogateescape"), "uriBaseId": _ROOT}
    commit = {"name": note.object_id, "fullyQualifiedName": f"commit/{note.object_id}", "kind": "commit"}
    return {
        "ruleId": note.code,
        "ruleIndex": codes[note.code],
        "level": _LEVELS[note.severity],
        "message": {"text": printable(note.message)},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": place, "region": {"startLine": 1}},
                "logicalLocations": [commit],
            }
        ],
        "partialFingerprints": {"commitCode/v1": mark, "primaryLocationLineHash": f"{mark[:16]}:1"},
    }


def _time(check: Check) -> str:
    return rfc3339(int(check.query.at.timestamp()))


def _is_web(address: str) -> bool:
    return address.startswith(("https://", "http://"))


def _uri(address: str) -> str:
    return quote(printable(address), safe=":/@?&=%~+,;.-_")
