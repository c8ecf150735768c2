"""What notes say of a commit, held against who signed it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import gitobject, notes
from attest.gitobject import Commit, ObjectFormat
from attest.notes import SEVERITIES, find_in_note
from attest.types import Identity, Severity
from tests.forge import NOW, commit_payload, tag_payload
from tests.test_agenttrace import EXAMPLE, SMALLEST
from tests.test_contradictions import human
from tests.test_gitai import SESSIONS, WRITTEN_BY_1_6
from tests.world import HUMAN, World

ID = "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0"
PARENT = "7734793b756b3921c88db5375a8c156e9532447b"
HUMANS = "h_31dce776f88375"


def commit() -> Commit:
    payload = commit_payload(committer=HUMAN, at=NOW).replace(b"\nauthor", b"\nparent %b\nauthor" % PARENT.encode(), 1)
    return gitobject.parse_commit(payload, ObjectFormat.SHA1)


def log(*tools: str, person: str = "", base: str = ID, typed: int = 0) -> bytes:
    """A git-ai note with a session of ten lines for each tool."""
    keys = {f"s_{number:014x}": tool for number, tool in enumerate(tools)}
    entries = [f"  {key}::t_{0:014x} 1-10\n" for key in keys] + ([f"  {HUMANS} 1-{typed}\n"] if typed else [])
    metadata = {
        "schema_version": "authorship/3.0.0",
        "base_commit_sha": base,
        "sessions": {k: {"agent_id": {"tool": t, "id": "1"}, "human_author": person} for k, t in keys.items()},
        "humans": {HUMANS: {"author": person or "A"}} if typed else {},
    }
    return ("src/main.py\n" + "".join(entries) + "---\n" + json.dumps(metadata)).encode()


def trace(tool: str = "claude-code", kind: str = "ai", revision: str = ID) -> bytes:
    record: dict[str, Any] = json.loads(json.dumps(SMALLEST))
    record |= {"tool": {"name": tool}, "vcs": {"type": "git", "revision": revision}}
    record["files"][0]["conversations"][0]["contributor"]["type"] = kind
    return json.dumps(record).encode()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    world = World(tmp_path_factory.mktemp("world"))
    world.grant()
    found = world.examine(world.signed_commit()).identity
    assert found is not None
    return found


CASES = [
    ("git-ai names the agent that signed", "agent", log("claude"), []),
    ("git-ai names two agents, one of them signed", "agent", log("cursor", "claude"), []),
    ("git-ai names the agent and its human", "agent", log("claude", person=HUMAN), []),
    ("git-ai names the human by address alone", "agent", log("claude", person="Alice@example.org"), []),
    ("git-ai names the human without an address", "agent", log("claude", person="Alice"), []),
    ("git-ai names the agent as its own human", "agent", log("claude", person="x <claude-code@{id}.invalid>"), []),
    ("git-ai names a tool that nobody knows", "agent", log("my-tool"), []),
    ("git-ai attributes nothing", "agent", log(), []),
    ("git-ai counted from the parent", "agent", log("claude", base=PARENT), []),
    ("git-ai does not say from where it counted", "agent", log("claude", base=""), []),
    ("git-ai names another agent", "agent", log("cursor"), ["note-names-other-agent"]),
    ("git-ai saw a human type all of it", "agent", log(typed=7), ["note-says-human"]),
    ("git-ai saw human and agent", "agent", log("claude", typed=7), []),
    ("git-ai names another human", "agent", log("claude", person="m <m@example.net>"), ["note-names-other-human"]),
    ("git-ai's note was moved", "agent", log("claude", base="0" * 40), ["note-of-other-commit"]),
    ("git-ai saw an agent under a human's key", "human", log("claude", person=HUMAN), ["note-says-agent"]),
    ("git-ai saw the human whose key it is", "human", log(typed=3), []),
    ("git-ai's note of an unproven commit", "nobody", log("cursor", person="m@example.net"), []),
    ("the standard's example", "agent", SESSIONS, ["note-names-other-human"]),
    ("a real note of another commit", "agent", WRITTEN_BY_1_6,
     ["note-names-other-agent", "note-names-other-human", "note-of-other-commit"]),
    ("no note at all", "nobody", b"reviewed, looks good\n", ["note-malformed"]),
    ("a trace of the agent that signed", "agent", trace(), []),
    ("a trace of the commit before", "agent", trace(revision=PARENT), []),
    ("two traces, one of them of this commit", "agent", trace(revision="0" * 40) + b"\n" + trace(), []),
    ("a trace of another commit", "agent", trace(revision="0" * 40), ["trace-revision-mismatch"]),
    ("a trace of another agent", "agent", trace("cursor"), ["trace-names-other-agent"]),
    ("traces of two agents, one of them signed", "agent", trace("cursor") + b"\n" + trace(), []),
    ("a trace of a tool that nobody knows", "agent", trace("unknown"), []),
    ("a trace of a human's work", "agent", trace("claude-code", "human"), ["trace-says-human"]),
    ("traces of human and agent", "agent", trace("", "human") + b"\n" + trace(), []),
    ("a trace of an agent under a human's key", "human", trace(), ["trace-says-agent"]),
    ("the specification's example", "agent", json.dumps(EXAMPLE).encode(), ["trace-names-other-agent"]),
    ("the specification's smallest example", "agent", json.dumps(SMALLEST).encode(), []),
    ("a trace of an unproven commit", "nobody", trace("cursor", "human"), []),
    ("a trace that is none", "agent", b"{}", ["note-malformed"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "signer", "note", "codes"), CASES, ids=[case[0].replace(" ", "-") for case in CASES]
)
def test_what_is_found(agent: Identity, sentence: str, signer: str, note: bytes, codes: list[str]) -> None:
    identity = {"agent": agent, "human": human(), "nobody": None}[signer]
    domain = agent.actor.email.partition("@")[2].removesuffix(".invalid").encode()
    found = find_in_note(note.replace(b"{id}", domain), ID, commit(), identity)
    assert [item.code for item in found] == sorted(codes, key=list(SEVERITIES).index), sentence
    assert all(item.severity is SEVERITIES[item.code] for item in found)
    assert all("\n" not in item.detail for item in found)


def test_every_code_is_found_by_some_case() -> None:
    assert {code for _, _, _, codes in CASES for code in codes} == set(SEVERITIES)


def test_what_git_ai_does_every_day_is_never_above_info(agent: Identity) -> None:
    for identity in (agent, human()):
        found = find_in_note(log("claude", person=HUMAN, base=PARENT), ID, commit(), identity)
        assert all(item.severity is Severity.INFO for item in found)


def test_a_note_may_be_of_any_object_or_of_unread_bytes(agent: Identity) -> None:
    tag = gitobject.parse_tag(tag_payload("1" * 40, tagger=HUMAN, at=NOW), ObjectFormat.SHA1)
    for parsed in (tag, None):
        assert [c.code for c in find_in_note(log("cursor"), ID, parsed, agent)] == ["note-names-other-agent"]


def test_a_path_for_every_depth_of_folders() -> None:
    assert list(notes._paths("0123456789")) == ["0123456789", "01/23456789", "01/23/456789", "01/23/45/6789"]


@given(st.binary(max_size=200), st.sampled_from([b"", b"{", b"a\n---\n{", b'{"version":"0.1"}\n']))
def test_any_note_gives_known_codes(data: bytes, start: bytes) -> None:
    for identity in (None, human()):
        assert {item.code for item in find_in_note(start + data, ID, commit(), identity)} <= set(SEVERITIES)
