from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from attest.errors import RefusedError, UsageError
from attest.profile import Profile
from attest.types import Assurance
from notme_git import acting, sign
from notme_git.acting import Acting
from notme_git.daemon.protocol import Request
from notme_git.session import processes, record
from tests.forge import NOW, commit_payload, tag_payload
from tests.test_grants import make

KEY = "notme:claude-code"
HUMAN_KEY = "0xBEEF"
GPG = Request("gpg", (), cwd="/")
AUTO = Request("auto-gpg", (), cwd="/")
MARKED = replace(AUTO, environ={"CLAUDECODE": "1"})
PID = os.getpid()
AGENT, BOB = "a <a@authority.invalid>", "Bob <bob@example.org>"
BY_ANOTHER = sign.parse(commit_payload(committer=AGENT, author=BOB, at=NOW))


def decide(home: Path, key: str, request: Request, pid: int = PID) -> Acting | None:
    return acting.decide(home, key, request, pid)


# -- from the key


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("notme:claude-code", ("claude-code", Profile.NOTME)),
        ("notme:claude-code:notme", ("claude-code", Profile.NOTME)),
        ("notme:claude-code:interop", ("claude-code", Profile.INTEROP)),
        ("notme:claude-code/tester", ("claude-code/tester", Profile.NOTME)),
    ],
)
@pytest.mark.parametrize("request_", [GPG, AUTO, MARKED], ids=["gpg", "auto", "auto, marked"])
def test_a_key_of_ours_names_the_agent_whatever_marks_say(
    tmp_path: Path, key: str, expected: tuple[str, Profile], request_: Request
) -> None:
    who = decide(tmp_path, key, replace(request_, environ={"CURSOR_AGENT": "1", **request_.environ}))
    assert who == Acting(*expected, session=None, assurance=Assurance.SAME_USER)


@pytest.mark.parametrize("key", ["notme:", "notme::interop", "notme:a:signet", "notme:a:", "notme:a:interop:x"])
def test_a_key_that_is_half_ours_is_a_usage_error_and_no_other_programs(tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match="is not notme:AGENT") as caught:
        decide(tmp_path, key, GPG)
    assert "setup again" in caught.value.hint


@pytest.mark.parametrize("key", [HUMAN_KEY, "", "NOTME:a", " notme:a", "alice@example.org", "xnotme:a"])
@pytest.mark.parametrize("dialect", ["gpg", "gpgsm", "ssh-keygen"])
def test_every_other_key_is_the_humans_even_where_an_agent_calls(tmp_path: Path, key: str, dialect: str) -> None:
    assert decide(tmp_path, key, replace(MARKED, dialect=dialect)) is None


# -- from the marks


def test_with_auto_the_marks_choose_the_agent(tmp_path: Path) -> None:
    assert decide(tmp_path, HUMAN_KEY, MARKED) == Acting("claude-code", Profile.NOTME)
    declared = replace(AUTO, environ={"NOTME_AGENT": "my-agent", "CLAUDECODE": "1"})
    assert decide(tmp_path, HUMAN_KEY, declared) == Acting("my-agent", Profile.NOTME)


def test_with_auto_and_without_a_mark_the_human_acts(tmp_path: Path) -> None:
    assert decide(tmp_path, HUMAN_KEY, AUTO) is None


def test_with_auto_marks_of_two_agents_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        decide(tmp_path, HUMAN_KEY, replace(AUTO, environ={"CLAUDECODE": "1", "GEMINI_CLI": "1"}))


# -- from the session


def test_a_process_of_a_session_acts_in_it_whether_it_says_so_or_not(tmp_path: Path) -> None:
    session = record.begin(tmp_path, make(), task=b"", command="x", broker=False, at=NOW)
    for environ in ({}, {"NOTME_SESSION": session.id}):
        assert decide(tmp_path, KEY, replace(GPG, environ=environ)) == Acting("claude-code", session=session)


def test_a_process_of_a_session_acts_as_no_other_agent(tmp_path: Path) -> None:
    session = record.begin(tmp_path, make(), task=b"", command="x", broker=False, at=NOW)
    keys = ("notme:other", "notme:other/claude-code")
    calls = [(key, GPG) for key in keys] + [(HUMAN_KEY, replace(AUTO, environ={"NOTME_AGENT": "other"}))]
    for key, request in calls:
        with pytest.raises(RefusedError, match=f"session {session.id} acts as claude-code.*sign as other"):
            decide(tmp_path, key, request)


def test_a_process_of_a_session_may_act_as_an_agent_under_the_sessions_own(tmp_path: Path) -> None:
    session = record.begin(tmp_path, make(), task=b"", command="x", broker=False, at=NOW)
    assert decide(tmp_path, f"{KEY}/tester", GPG) == Acting("claude-code/tester", session=session)


def test_a_process_of_a_session_may_still_leave_the_call_to_the_human(tmp_path: Path) -> None:
    record.begin(tmp_path, make(), task=b"", command="x", broker=False, at=NOW)
    assert decide(tmp_path, HUMAN_KEY, GPG) is None


def test_a_copied_environment_gives_no_session(tmp_path: Path) -> None:
    session = record.begin(tmp_path, make(), task=b"", command="x", broker=False, at=NOW)
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as leader:
        found = processes.find(leader.pid)
        assert found is not None
        record._write(tmp_path, replace(session, pid=leader.pid, pid_began=found.began))
        claims = replace(GPG, environ={"NOTME_SESSION": session.id})
        assert decide(tmp_path, KEY, claims, leader.pid) is not None
        with pytest.raises(RefusedError, match="does not belong"):
            decide(tmp_path, KEY, claims)
        leader.kill()


# -- whether git replays


@pytest.mark.parametrize(
    ("action", "replays"),
    [
        ("cherry-pick", True),
        ("rebase (pick)", True),
        ("rebase -i (fixup)", True),
        ("am", True),
        ("pull --rebase", True),
        ("revert", True),
        ("commit", False),
        ("commit (amend)", False),
        ("", False),
        ("my rebase", False),
    ],
)
def test_the_reflogs_action_says_so(tmp_path: Path, action: str, replays: bool) -> None:
    request = replace(GPG, cwd=str(tmp_path), environ={"GIT_REFLOG_ACTION": action})
    assert acting.replaying(request, BY_ANOTHER) is replays


@pytest.mark.parametrize("name", acting.REPLAY_STATE)
@pytest.mark.parametrize("kind", ["a working tree", "a worktree", "GIT_DIR", "a relative GIT_DIR", "a submodule"])
def test_gits_folder_says_so(tmp_path: Path, name: str, kind: str) -> None:
    tree, folder = tmp_path / "tree", tmp_path / "elsewhere" / "git"
    if kind == "a working tree":
        folder = tree / ".git"
    tree.mkdir()
    folder.mkdir(parents=True)
    if kind == "a worktree":
        (tree / ".git").write_text(f"gitdir: {folder}\n")
    if kind == "a submodule":
        (tree / ".git").write_text("gitdir: ../elsewhere/git\n")
    environ = {"GIT_DIR": str(folder), "a relative": ""} if kind == "GIT_DIR" else {}
    if kind == "a relative GIT_DIR":
        environ = {"GIT_DIR": "../elsewhere/git"}
    request = replace(GPG, cwd=str(tree), environ=environ)
    assert not acting.replaying(request, BY_ANOTHER)
    (folder / name).mkdir()
    assert acting.replaying(request, BY_ANOTHER)


@pytest.mark.parametrize("content", [b"", b"\0", b"gitdir: ", b"\xff" * 10_000], ids=["empty", "NUL", "none", "long"])
def test_a_broken_git_file_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".git").write_bytes(content)
    assert not acting.replaying(replace(GPG, cwd=str(tmp_path)), BY_ANOTHER)


@pytest.mark.parametrize(
    "payload",
    [commit_payload(committer=AGENT, author=AGENT, at=NOW), tag_payload("1" * 40, tagger=AGENT, at=NOW)],
    ids=["its own commit", "a tag"],
)
def test_what_keeps_nobody_elses_name_is_no_replay(tmp_path: Path, payload: bytes) -> None:
    request = replace(GPG, cwd=str(tmp_path), environ={"GIT_REFLOG_ACTION": "cherry-pick"})
    assert not acting.replaying(request, sign.parse(payload))
