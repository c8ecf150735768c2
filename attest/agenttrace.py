"""Agent Trace records (version 0.1, an RFC of January 2026): which lines a tool says came from an agent or a human.

The specification (github.com/cursor/agent-trace, sections 6 and 7) leaves open where records are kept. They are not
signed: claims. Minor versions add fields, so what is unknown is passed over; what is known has the type it must have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from attest.dsse import read_json
from attest.errors import MalformedError

MAX_RECORDS = 1000
"""Of one commit: a tool that traces every edit writes some dozens."""

MAX_RANGES = 100_000
"""Of one record, over all files and conversations."""

MAX_MODEL = 250
"""Characters of a model's id, says the schema."""

# The schema has two numbers, the examples of the same specification three.
_VERSION = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}(?:\.[0-9]{1,6})?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?Z")
_CONTRIBUTORS = frozenset(("human", "ai", "mixed", "unknown"))
_SYSTEMS = frozenset(("git", "jj", "hg", "svn"))


@dataclass(frozen=True, slots=True)
class Trace:
    """One record. `system` and `revision`, `tool` and `models` are empty where it does not say.

    `contributors` are the kinds (`human`, `ai`, `mixed`, `unknown`) to which it attributes any lines.
    """

    id: str
    system: str
    revision: str
    tool: str
    contributors: frozenset[str]
    models: frozenset[str]


def read_records(data: bytes) -> tuple[Trace, ...]:
    """The records in `data`: one JSON document, or one on each line. Raises `MalformedError`."""
    lines = [line for line in data.split(b"\n") if line.strip()]
    if len(lines) > 1 and all(line.startswith(b"{") and line.rstrip().endswith(b"}") for line in lines):
        if len(lines) > MAX_RECORDS:
            raise MalformedError(f"{len(lines)} trace records; at most {MAX_RECORDS} are read")
        return tuple([parse(line) for line in lines])
    return (parse(data),)


def parse(data: bytes) -> Trace:
    """The record that `data` is, or `MalformedError`."""
    top = read_json(data)
    for field, pattern in (("version", _VERSION), ("id", _UUID), ("timestamp", _TIME)):
        if not pattern.fullmatch(_text(top, field)):
            raise MalformedError(f"{field} of the trace record is not in its form: {_text(top, field)[:60]!r}")
    vcs = _object(top["vcs"], "vcs") if "vcs" in top else None
    tool = _object(top["tool"], "tool") if "tool" in top else {}
    if vcs is not None and _text(vcs, "type") not in _SYSTEMS:
        raise MalformedError(f"the trace record is of no known version control: {_text(vcs, 'type')[:60]!r}")
    found = list(_contributions(_list(top, "files")))
    return Trace(
        id=_text(top, "id"),
        system=_text(vcs, "type") if vcs is not None else "",
        revision=_text(vcs, "revision") if vcs is not None else "",
        tool=_text(tool, "name") if "name" in tool else "",
        contributors=frozenset(kind for kind, _ in found),
        models=frozenset(model for _, model in found if model),
    )


def _contributions(files: list[Any]) -> Iterator[tuple[str, str]]:
    """Kind and model of who contributed each range; one without a contributor is `unknown`."""
    count = 0
    for file in files:
        _text(_object(file, "file"), "path")
        for conversation in _list(file, "conversations"):
            common = _contributor(_object(conversation, "conversation"))
            for item in _list(conversation, "ranges"):
                count += 1
                if count > MAX_RANGES:
                    raise MalformedError(f"more than {MAX_RANGES} ranges in a trace record")
                start, end = (_line(_object(item, "range"), name) for name in ("start_line", "end_line"))
                if end < start:
                    raise MalformedError(f"a range of the trace record ends before it begins: {start} to {end}")
                yield _contributor(item) or common or ("unknown", "")


def _contributor(holder: dict[str, Any]) -> tuple[str, str] | None:
    if "contributor" not in holder:
        return None
    who = _object(holder["contributor"], "contributor")
    kind, model = _text(who, "type"), _text(who, "model_id") if "model_id" in who else ""
    if kind not in _CONTRIBUTORS or len(model) > MAX_MODEL:
        raise MalformedError(f"a contributor of the trace record is of no known kind: {kind[:60]!r}")
    return kind, model


def _line(holder: dict[str, Any], field: str) -> int:
    value = holder.get(field)
    if type(value) is not int or value < 1:
        raise MalformedError(f"{field} of the trace record is not a line number")
    return value


def _list(holder: dict[str, Any], field: str) -> list[Any]:
    value = holder.get(field)
    if not isinstance(value, list):
        raise MalformedError(f"{field} of the trace record is not a list")
    return value


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError(f"a {name} of the trace record is not an object")
    return value


def _text(holder: dict[str, Any], field: str) -> str:
    value = holder.get(field)
    if not isinstance(value, str):
        raise MalformedError(f"{field} of the trace record is not a string")
    return value
