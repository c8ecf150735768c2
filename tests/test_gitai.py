"""git-ai's authorship logs: its own notes are read, and nothing that only looks like one."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import gitai
from attest.errors import MalformedError
from attest.gitai import MAX_ENTRIES, MAX_NOTE_BYTES, Session, parse

SESSIONS = b"""src/main.rs
  s_c9883b05a2487d::t_9f8e7d6c5b4a32 1-10,15-20
  s_c9883b05a2487d::t_a1b2c3d4e5f678 25,30-35
  h_31dce776f88375 42-50
src/lib.rs
  s_e7f2a90b31cc48::t_deadbeef012345 1-50
---
{
  "schema_version": "authorship/3.0.0",
  "git_ai_version": "1.4.5",
  "base_commit_sha": "7734793b756b3921c88db5375a8c156e9532447b",
  "prompts": {},
  "humans": {"h_31dce776f88375": {"author": "Developer <dev@example.com>"}},
  "sessions": {
    "s_c9883b05a2487d": {
      "agent_id": {"tool": "cursor", "id": "6ef2299e", "model": "claude-sonnet-4-5-20250514"},
      "human_author": "dev@example.com"
    },
    "s_e7f2a90b31cc48": {
      "agent_id": {"tool": "claude", "id": "conv_abc123def456", "model": "claude-sonnet-4-5-20250514"},
      "human_author": "dev@example.com",
      "custom_attributes": {"team": "backend"}
    }
  }
}
"""
"""The values of the example in the standard, section 1.2.5."""

WRITTEN_BY_1_6 = b"""docs/VALUE-PROPOSITION.md
  s_52d0732141ad88::t_89d4fbb11d2d4a 44-121,129-130
---
{
  "schema_version": "authorship/3.0.0",
  "git_ai_version": "1.6.22",
  "base_commit_sha": "6582e483b1f2f33cadaeabd70ac74411cb422781",
  "prompts": {},
  "sessions": {
    "s_52d0732141ad88": {
      "agent_id": {"tool": "opencode", "id": "ses_008f7fcbaffeQRUMaWQo3qCxm4", "model": "big-pickle"},
      "human_author": "Developer <dev@example.com>"
    }
  }
}"""
"""As git-ai 1.6.22 wrote it in a public history; the person is left out."""

WRITTEN_BY_1_3 = b"""src/utils/format.ts
  1612649c4bf0b88e 1-6
---
{
  "schema_version": "authorship/3.0.0",
  "git_ai_version": "1.3.2",
  "base_commit_sha": "4e027dc3ff77efe497fdb9f91ded8c1322e6800c",
  "prompts": {
    "1612649c4bf0b88e": {
      "agent_id": {"tool": "claude", "id": "9b4e6eb7-f49a-48c2-b519-1842319d6fe1", "model": "claude-opus-4-6"},
      "human_author": "Developer",
      "messages": [],
      "total_additions": 6, "total_deletions": 0, "accepted_lines": 6, "overriden_lines": 0
    }
  }
}"""
"""As git-ai 1.3.2 wrote it in a public history; the person and an address are left out."""


def note(head: str, **metadata: object) -> bytes:
    return (head + "---\n" + json.dumps({"schema_version": gitai.SCHEMA, **metadata})).encode()


def test_the_example_of_the_standard() -> None:
    log = parse(SESSIONS)
    assert log.base_commit == "7734793b756b3921c88db5375a8c156e9532447b"
    assert [(s.tool, s.human) for s in log.sessions] == [("cursor", "dev@example.com"), ("claude", "dev@example.com")]
    assert log.humans == (("h_31dce776f88375", "Developer <dev@example.com>"),)
    assert dict(log.lines) == {"s_c9883b05a2487d": 23, "h_31dce776f88375": 9, "s_e7f2a90b31cc48": 50}
    assert (log.agent_lines, log.human_lines) == (73, 9)


def test_notes_that_git_ai_wrote() -> None:
    new, old = parse(WRITTEN_BY_1_6), parse(WRITTEN_BY_1_3)
    assert new.sessions == (Session("s_52d0732141ad88", "opencode", "big-pickle", "Developer <dev@example.com>"),)
    assert new.agent_lines == 80
    assert old.sessions == (Session("1612649c4bf0b88e", "claude", "claude-opus-4-6", "Developer"),)
    assert old.agent_lines == 6


def test_a_note_that_attributes_nothing() -> None:
    log = parse(note(""))
    assert log == gitai.AuthorshipLog("", (), (), ())
    assert parse(note("", sessions=None, base_commit_sha=None)) == log


@pytest.mark.parametrize(
    ("head", "metadata", "sentence"),
    [
        ("a\n  0123456789abcdef 1\n x\n", {}, "no entry of the form"),
        ("  0123456789abcdef 1\n", {}, "under a path"),
        ("a\n  0123456789ABCDEF 1\n", {}, "no entry"),
        ("a\n  s_0123456789abcd 1\n", {}, "no entry"),
        ("a\n  0123456789abcdef 1 \n", {}, "no entry"),
        ("a\n  0123456789abcdef  1\n", {}, "no entry"),
        ("a\n  0123456789abcdef\n", {}, "no entry"),
        ("a\n  0123456789abcdef 0-3\n", {}, "not in order"),
        ("a\n  0123456789abcdef 5-3\n", {}, "not in order"),
        ("a\n  0123456789abcdef 3,2\n", {}, "not in order"),
        ("a\n  0123456789abcdef 9999999999\n", {}, "not in order"),
        ("a\n  0123456789abcdef 99999999999\n", {}, "no entry"),
        ("\n", {}, "path of the note is empty"),
        ('""\n', {}, "path of the note is empty"),
        ("", {"schema_version": "authorship/4.0.0"}, "authorship/4.0.0"),
        ("", {"schema_version": None}, "not authorship/3.0.0"),
        ("", {"sessions": []}, "'sessions' of the note is not an object"),
        ("", {"sessions": [1]}, "'sessions' of the note is not an object"),
        ("", {"sessions": {"s": {}}}, "agent_id"),
        ("", {"sessions": {"s": {"agent_id": {}}}}, "tool of the note"),
        ("", {"sessions": {"s": {"agent_id": {"tool": 1}}}}, "tool of the note"),
        ("", {"prompts": {"s": "x"}}, "'s' of the note"),
        ("", {"humans": {"h": {}}}, "author of the note"),
        ("", {"base_commit_sha": 7}, "base_commit_sha of the note"),
    ],
)  # fmt: skip
def test_what_is_refused_is_said_in_a_sentence(head: str, metadata: dict[str, object], sentence: str) -> None:
    with pytest.raises(MalformedError, match=sentence):
        parse(note(head, **metadata))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no line ---"),
        (b"a\n--- \n{}", "no line ---"),
        (b"---\n", "JSON"),
        (b"---\n[]", "JSON"),
        (b'---\n{"schema_version": "authorship/3.0.0", "schema_version": "authorship/3.0.0"}', "twice|duplicate"),
        (b"\xff\n" + note(""), "UTF-8"),
        (b"x" * (MAX_NOTE_BYTES + 1), "at most"),
        (b"a\n" * (MAX_ENTRIES + 1) + note(""), "at most"),
    ],
    ids=("empty", "blank behind", "no json", "array", "key twice", "no text", "too long", "too many lines"),
)
def test_what_is_no_log(data: bytes, sentence: str) -> None:
    with pytest.raises(MalformedError, match=sentence):
        parse(data)


RANGES = st.lists(st.integers(1, 50), min_size=2, max_size=8, unique=True).map(sorted)
KEYS = st.sampled_from(["s_c9883b05a2487d::t_9f8e7d6c5b4a32", "h_31dce776f88375", "abcd1234abcd1234", "abcd123"])


@given(st.lists(st.tuples(KEYS, RANGES), max_size=6))
def test_lines_are_counted_as_they_were_written(entries: list[tuple[str, list[int]]]) -> None:
    head = "".join(f"'{key}'\n  {key} {','.join(map(str, lines))}\n" for key, lines in entries)
    expected = dict[str, int]()
    for key, lines in entries:
        name = key.partition("::")[0]
        expected[name] = expected.get(name, 0) + len(lines)
    assert dict(parse(note(head)).lines) == expected


@given(
    st.binary(max_size=300) | st.integers(0, len(SESSIONS) - 1).map(lambda at: SESSIONS[:at] + b"\0" + SESSIONS[at:])
)
def test_any_bytes_are_a_log_or_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        log = parse(data)
        assert log.agent_lines + log.human_lines == sum(count for _, count in log.lines)
