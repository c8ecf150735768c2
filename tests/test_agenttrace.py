"""Agent Trace records: the examples of the specification are read, and nothing of another type."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import agenttrace
from attest.agenttrace import MAX_RECORDS, parse, read_records
from attest.errors import MalformedError

EXAMPLE: dict[str, Any] = {
    "version": "0.1.0",
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "timestamp": "2026-01-23T14:30:00Z",
    "vcs": {"type": "git", "revision": "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0"},
    "tool": {"name": "cursor", "version": "2.4.0"},
    "files": [
        {
            "path": "src/utils/parser.ts",
            "conversations": [
                {
                    "url": "https://api.cursor.com/v1/conversations/12345",
                    "contributor": {"type": "ai", "model_id": "anthropic/claude-opus-4-5-20251101"},
                    "ranges": [{"start_line": 42, "end_line": 67, "content_hash": "murmur3:9f2e8a1b"}],
                    "related": [{"type": "session", "url": "https://api.cursor.com/v1/sessions/67890"}],
                }
            ],
        },
        {
            "path": "src/utils/helpers.ts",
            "conversations": [
                {
                    "url": "https://api.cursor.com/v1/conversations/12345",
                    "contributor": {"type": "ai", "model_id": "openai/gpt-4o"},
                    "ranges": [{"start_line": 10, "end_line": 25}],
                }
            ],
        },
    ],
    "metadata": {"confidence": 0.95, "dev.cursor": {"workspace_id": "ws-abc123"}},
}
"""Agent Trace 0.1.0, section 6.2 (Cursor and others, CC BY 4.0)."""

SMALLEST: dict[str, Any] = {
    "version": "0.1.0",
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "timestamp": "2026-01-25T10:00:00Z",
    "files": [
        {
            "path": "src/app.ts",
            "conversations": [{"contributor": {"type": "ai"}, "ranges": [{"start_line": 1, "end_line": 50}]}],
        }
    ],
}
"""The same, appendix A."""


def changed(path: str, value: object) -> bytes:
    """The example with one value changed; `...` takes it out."""
    record = json.loads(json.dumps(EXAMPLE))
    holder = record
    *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    for part in way:
        holder = holder[part]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return json.dumps(record).encode()


def test_the_examples_of_the_specification() -> None:
    trace = parse(json.dumps(EXAMPLE, indent=2).encode())
    assert (trace.system, trace.revision) == ("git", "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0")
    assert trace.tool == "cursor"
    assert trace.contributors == {"ai"}
    assert trace.models == {"anthropic/claude-opus-4-5-20251101", "openai/gpt-4o"}
    least = parse(json.dumps(SMALLEST).encode())
    assert (least.system, least.revision, least.tool, least.models) == ("", "", "", frozenset())


def test_a_range_may_have_a_contributor_of_its_own() -> None:
    ranges = [{"start_line": 1, "end_line": 2, "contributor": {"type": "human"}}, {"start_line": 3, "end_line": 3}]
    assert parse(changed("files.0.conversations.0.ranges", ranges)).contributors == {"human", "ai"}
    assert parse(changed("files.1.conversations.0.contributor", ...)).contributors == {"ai", "unknown"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("tool.version", ...),
        ("tool.name", ...),
        ("metadata", ...),
        ("new_field", {"of": "a later minor version"}),
        ("version", "1.0"),
        ("timestamp", "2026-01-23T14:30Z"),
        ("timestamp", "2026-01-23T14:30:00.123Z"),
        ("vcs", {"type": "jj", "revision": "kkmpptxz"}),
        ("files", []),
    ],
)
def test_what_may_differ(path: str, value: object) -> None:
    assert parse(changed(path, value)).id == EXAMPLE["id"]


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("version", 1, "version"),
        ("version", "one", "version"),
        ("version", ..., "version"),
        ("id", "550e8400", "id of"),
        ("timestamp", "2026-01-23", "timestamp"),
        ("timestamp", "2026-01-23T14:30:00+01:00", "timestamp"),
        ("vcs", [], "vcs"),
        ("vcs", {}, "type"),
        ("vcs.type", "cvs", "version control"),
        ("vcs.revision", None, "revision"),
        ("tool.name", 1, "name"),
        ("files", {}, "files"),
        ("files.0", 1, "file"),
        ("files.0.path", ..., "path"),
        ("files.0.conversations", ..., "conversations"),
        ("files.0.conversations.0", "x", "conversation"),
        ("files.0.conversations.0.ranges", ..., "ranges"),
        ("files.0.conversations.0.contributor.type", "robot", "no known kind"),
        ("files.0.conversations.0.contributor.model_id", "x" * 251, "no known kind"),
        ("files.0.conversations.0.ranges.0.start_line", 0, "start_line"),
        ("files.0.conversations.0.ranges.0.start_line", True, "start_line"),
        ("files.0.conversations.0.ranges.0.end_line", 41, "ends before"),
        ("files.0.conversations.0.ranges.0.end_line", 1.5, "end_line"),
    ],
)
def test_what_is_refused_is_said_in_a_sentence(path: str, value: object, sentence: str) -> None:
    with pytest.raises(MalformedError, match=sentence):
        parse(changed(path, value))


def test_several_records_stand_on_lines_of_their_own() -> None:
    lines = json.dumps(EXAMPLE).encode() + b"\n" + json.dumps(SMALLEST).encode() + b"\n"
    assert [trace.tool for trace in read_records(lines)] == ["cursor", ""]
    assert len(read_records(json.dumps(EXAMPLE, indent=1).encode())) == 1
    with pytest.raises(MalformedError, match="at most"):
        read_records(b"{}\n" * (MAX_RECORDS + 1))
    with pytest.raises(MalformedError):
        read_records(b"")


def test_ranges_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenttrace, "MAX_RANGES", 999)
    with pytest.raises(MalformedError, match="more than 999"):
        parse(changed("files.0.conversations.0.ranges", [{"start_line": 1, "end_line": 1}] * 1000))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.sampled_from(["git", "ai", "0.1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*EXAMPLE, "type", "x"]), inner),
    max_leaves=10,
)


@given(st.sampled_from([*EXAMPLE, "files.0", "files.0.conversations.0", "vcs.type", "tool"]), JSON)
def test_any_value_in_any_place_is_read_or_malformed(path: str, value: object) -> None:
    with contextlib.suppress(MalformedError):
        trace = parse(changed(path, value))
        assert trace.contributors <= {"human", "ai", "mixed", "unknown"}


@given(st.binary(max_size=200))
def test_any_bytes_are_malformed_or_records(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        assert read_records(data)
