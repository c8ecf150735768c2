"""What the notes of other tools say of an object, told as the claims that they are: unsigned, by anybody who may push.

A note is named by its digest, so that a statement can refer to it. It counts for nothing here; where it contradicts a
signature, `attest.notes` says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from attest import agenttrace, gitai, notes
from attest.errors import MalformedError
from attest.repository import Repository

MAX_SHOWN = 20
"""Of one note: sessions, people, or traces."""

UNSIGNED = "unsigned: a claim of whoever may push the ref"


def read(repository: Repository, oid: str) -> list[dict[str, Any]]:
    """Each note of git-ai and of Agent Trace about the object, as JSON has it: `ref`, `digest`, `claims` or `error`."""
    return [
        {"verified": False, "ref": ref, "digest": {"gitBlob": _blob_id(repository, note)}, **_said(note)}
        for ref in notes.REFS
        for note in notes.read_many(repository, [oid], ref).values()
    ]


def shown(item: dict[str, Any]) -> Iterator[str]:
    """The same in lines, not yet safe for a terminal."""
    yield f"note in {item['ref']}, {UNSIGNED}"
    yield f"  gitBlob {item['digest']['gitBlob']}"
    if "error" in item:
        yield f"  cannot be read: {item['error']}"
    for claim in item.get("claims", ()):
        yield "  claims " + ", ".join(f"{name} {value!r}" for name, value in claim.items())


def _blob_id(repository: Repository, note: bytes) -> str:
    return hashlib.new(repository.object_format, b"blob %d\0%b" % (len(note), note), usedforsecurity=False).hexdigest()


def _said(note: bytes) -> dict[str, Any]:
    try:
        claims = _traces(note) if note.lstrip().startswith(b"{") else _log(note)
    except MalformedError as error:
        return {"error": error.message}
    return {"claims": claims[:MAX_SHOWN]}


def _log(note: bytes) -> list[dict[str, Any]]:
    log = gitai.parse(note)
    lines = dict(log.lines)
    sessions = [
        {"tool": each.tool, "model": each.model, "human": each.human, "lines": lines.get(each.key, 0)}
        for each in log.sessions
    ]
    return [*sessions, *({"human": who, "lines": lines.get(key, 0)} for key, who in log.humans)]


def _traces(note: bytes) -> list[dict[str, Any]]:
    return [
        {"tool": trace.tool, "models": sorted(trace.models), "contributors": sorted(trace.contributors)}
        for trace in agenttrace.read_records(note)
    ]
