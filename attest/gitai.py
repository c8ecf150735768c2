"""git-ai's authorship log, version 3.0.0: which lines of a commit came from which session of which agent.

Such notes stand under `refs/notes/ai` (git-ai, specs/git_ai_standard_v3.0.0.md, sections 1.2.2 to 1.2.4)::

    src/main.rs
      s_c9883b05a2487d::t_9f8e7d6c5b4a32 1-10,15-20
      h_31dce776f88375 42-50
    ---
    {"schema_version": "authorship/3.0.0", "sessions": {...}, "humans": {...}, "prompts": {...}}

Nothing in them is signed, and whoever rewrites history rewrites them: they are claims. The first part is read
strictly; of the JSON, what is not asked for is passed over. Fields that the standard requires and git-ai itself leaves
out (`base_commit_sha`, `prompts`) may be absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from attest.dsse import read_json
from attest.errors import MalformedError

SCHEMA = "authorship/3.0.0"

MAX_NOTE_BYTES = 4 * 1024 * 1024
"""A commit that touches a thousand files has a note of some 100 KiB; the JSON part has a bound of its own."""

MAX_ENTRIES = 100_000
"""Lines of the first part: ten for each file of the largest commits that anybody reviews."""

MAX_LINE = 10**9
"""Highest line number: above the lines of any file, and short enough to convert."""

_ENTRY = re.compile(
    r"  (?:(s_[0-9a-f]{14})::t_[0-9a-f]{14}|(h_[0-9a-f]{14})|([0-9a-f]{16}|[0-9a-f]{7}))"
    r" ([0-9]{1,10}(?:-[0-9]{1,10})?(?:,[0-9]{1,10}(?:-[0-9]{1,10})?)*)"
)


@dataclass(frozen=True, slots=True)
class Session:
    """One session of an agent. `tool` and `model` as git-ai calls them, `human` as written: name, address, or both."""

    key: str
    tool: str
    model: str
    human: str


@dataclass(frozen=True, slots=True)
class AuthorshipLog:
    """What a note says. `lines` counts, for each key of the first part, the lines that it attributes.

    A key may have no session or human of this note: git-ai looks for it in those of other commits.
    """

    base_commit: str
    sessions: tuple[Session, ...]
    humans: tuple[tuple[str, str], ...]
    lines: tuple[tuple[str, int], ...]

    @property
    def human_lines(self) -> int:
        """Lines that somebody was seen to type."""
        return sum(count for key, count in self.lines if key.startswith("h_"))

    @property
    def agent_lines(self) -> int:
        """Lines that came from sessions of agents."""
        return sum(count for key, count in self.lines if not key.startswith("h_"))


def parse(note: bytes) -> AuthorshipLog:
    """The log that `note` is, or `MalformedError`."""
    if len(note) > MAX_NOTE_BYTES:
        raise MalformedError(f"{len(note)} bytes of note; at most {MAX_NOTE_BYTES} are read")
    head, divider, tail = b"\n".join((b"", note)).partition(b"\n---\n")
    if not divider:
        raise MalformedError("no line --- parts the lines of the note from its JSON")
    metadata = read_json(tail)
    if metadata.get("schema_version") != SCHEMA:
        raise MalformedError(f"schema_version is {str(metadata.get('schema_version'))[:40]!r}, not {SCHEMA}")
    try:
        lines = _lines(head.decode("utf-8").split("\n")[1:])
    except UnicodeError:
        raise MalformedError("the paths of the note are not text in UTF-8") from None
    humans = ((key, _text(_record(human, key), "author", required=True)) for key, human in _records(metadata, "humans"))
    return AuthorshipLog(
        base_commit=_text(metadata, "base_commit_sha"),
        sessions=(*_sessions(metadata, "sessions"), *_sessions(metadata, "prompts")),
        humans=tuple(humans),
        lines=tuple(lines.items()),
    )


def _lines(rows: list[str]) -> dict[str, int]:
    """Paths, each with the entries of its sessions below."""
    if len(rows) > MAX_ENTRIES:
        raise MalformedError(f"{len(rows)} lines in the note; at most {MAX_ENTRIES} are read")
    counts, in_file = dict[str, int](), False
    for row in rows:
        if not row.startswith(" "):
            if not row.strip('"') or row.startswith("\t"):
                raise MalformedError("a path of the note is empty")
            in_file = True
            continue
        found = _ENTRY.fullmatch(row)
        if found is None or not in_file:
            raise MalformedError(f"{row[:60]!r} is no entry of the form KEY RANGES under a path")
        key = found[1] or found[2] or found[3]
        counts[key] = counts.get(key, 0) + _count(found[4])
    return counts


def _count(ranges: str) -> int:
    """How many lines `1-4,9` names: in order, without overlap, counted from 1."""
    total, last = 0, 0
    for part in ranges.split(","):
        start, _, end = part.partition("-")
        first, final = int(start), int(end or start)
        if not last < first <= final <= MAX_LINE:
            raise MalformedError(f"the ranges {ranges[:60]!r} are not in order, or not counted from 1")
        total, last = total + final - first + 1, final
    return total


def _sessions(metadata: dict[str, Any], field: str) -> Iterator[Session]:
    for key, value in _records(metadata, field):
        record = _record(value, key)
        agent = _record(record.get("agent_id"), f"{key}: agent_id")
        tool = _text(agent, "tool", required=True)
        yield Session(key, tool, _text(agent, "model"), _text(record, "human_author"))


def _records(metadata: dict[str, Any], field: str) -> Iterator[tuple[str, object]]:
    if metadata.get(field) is not None:
        yield from _record(metadata[field], field).items()


def _record(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError(f"{name[:60]!r} of the note is not an object")
    return value


def _text(record: dict[str, Any], field: str, *, required: bool = False) -> str:
    """A string; null and absence are the empty one unless it is required."""
    value = record.get(field)
    if value is None and not required:
        return ""
    if not isinstance(value, str):
        raise MalformedError(f"{field} of the note is not a string")
    return value
