"""Sessions: who belongs to one is asked of the kernel, with real processes."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from attest.errors import RefusedError, UnavailableError
from notme_git.session import processes, record
from notme_git.session.record import Entry, Session
from tests.forge import NOW
from tests.test_grants import make as a_grant

WAIT = "import sys; sys.stdin.read()"
ENTRY = Entry("2026-11-27T00:00:00Z", "commit", "1" * 40, "x509", "2" * 64, "/work")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def begin(home: Path, *, task: bytes = b"", at: int = 0) -> Session:
    """A session that this process leads."""
    when = NOW + timedelta(seconds=at)
    return record.begin(home, a_grant(), task=task, command="claude -p x", broker=False, at=when)


def led_by(home: Path, session: Session, pid: int) -> Session:
    """The same session, led by another process."""
    found = processes.find(pid)
    assert found is not None
    led = replace(session, pid=pid, pid_began=found.began)
    record._write(home, led)
    return led


@contextmanager
def child(code: str = WAIT) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as made:
        try:
            yield made
        finally:
            made.kill()


@contextmanager
def orphan() -> Iterator[int]:
    """A process whose parent has ended: its ancestors are no longer this process."""
    child_of_it = f"subprocess.Popen([sys.executable, '-c', {WAIT!r}], stdout=-3, stderr=-3)"
    code = f"import subprocess, sys; print({child_of_it}.pid)"
    reader, writer = os.pipe()
    done = subprocess.run([sys.executable, "-c", code], stdin=reader, capture_output=True, timeout=20, check=False)
    try:
        yield int(done.stdout)
    finally:
        os.close(writer)
        os.close(reader)


# -- the record


def test_what_was_begun_is_on_record(home: Path) -> None:
    session = begin(home, task=b"fix the bug")
    assert record.load(home, session.id) == session
    assert (session.pid, session.agent, session.ended_at) == (os.getpid(), a_grant().actor.name, 0)
    assert session.task_digest == hashlib.sha256(b"fix the bug").hexdigest()
    assert record.live(home) == [session.id]
    assert record.state(session) == "running"


def test_what_was_ended_is_not_live_and_stays_on_record(home: Path) -> None:
    ended = record.end(home, begin(home), NOW)
    assert record.load(home, ended.id) == ended
    assert ended.ended_at == int(NOW.timestamp())
    assert (record.live(home), record.state(ended)) == ([], "ended")


def test_records_are_for_this_user_alone(home: Path) -> None:
    session = begin(home)
    record.note(home, session, ENTRY)
    places = [home / "sessions", *(home / "sessions").rglob("*")]
    assert len(places) == 5
    assert all(stat.S_IMODE(place.stat().st_mode) & 0o077 == 0 for place in places)


def test_no_two_sessions_have_an_id_in_common_and_all_are_listed_oldest_first(home: Path) -> None:
    made = [begin(home, at=at) for at in (2, 0, 1)]
    (home / "sessions" / "notes.json").write_text("the user's own")
    assert record.every(home) == [made[1], made[2], made[0]]
    assert len({session.id for session in made}) == 3
    assert record.every(home / "elsewhere") == []


@pytest.mark.parametrize("name", ["", "x", "0" * 31, "0" * 33, "A" * 32, "../" + "0" * 29, "0" * 32, "0" * 31 + "\n"])
def test_a_session_that_was_never_begun_is_refused(home: Path, name: str) -> None:
    begin(home)
    with pytest.raises(RefusedError, match="there is no session") as caught:
        record.load(home, name)
    assert "notme-git run" in caught.value.hint


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", "no JSON", '{"id": 1, "other": 2}', "\ud800"], ids=repr)
def test_a_broken_record_is_named(home: Path, content: str) -> None:
    session = begin(home)
    path = home / "sessions" / f"{session.id}.json"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(UnavailableError, match="is not a record"):
        record.load(home, session.id)


def test_a_record_beyond_the_bound_is_not_read_to_its_end(home: Path) -> None:
    session = begin(home)
    path = home / "sessions" / f"{session.id}.json"
    path.write_bytes(path.read_bytes() + b" " * record.MAX_RECORD_BYTES + b"x")
    assert record.load(home, session.id) == session


# -- who belongs to it


@pytest.mark.parametrize("claims", [True, False], ids=["says so", "says nothing"])
def test_a_process_of_the_leaders_belongs_to_the_session(home: Path, claims: bool) -> None:
    session = begin(home)
    with child() as made:
        assert record.find(home, session.id if claims else "", made.pid) == session
    assert record.find(home, session.id if claims else "", os.getpid()) == session


def test_a_process_of_nobodys_belongs_to_none(home: Path) -> None:
    assert record.find(home, "", os.getpid()) is None
    session = begin(home)
    with child() as leader:
        led_by(home, session, leader.pid)
        assert record.find(home, "", os.getpid()) is None


def test_a_stranger_that_claims_a_session_is_refused(home: Path) -> None:
    """It has copied the environment of a process that belongs there."""
    session = begin(home)
    with child() as leader, child() as stranger:
        led_by(home, session, leader.pid)
        with pytest.raises(RefusedError, match="does not belong to the session") as caught:
            record.find(home, session.id, stranger.pid)
    assert "unset NOTME_SESSION" in caught.value.hint


def test_a_member_of_one_session_that_claims_another_is_refused(home: Path) -> None:
    own, other = begin(home), begin(home)
    with child() as leader, child() as second:
        led_by(home, own, leader.pid)
        led_by(home, other, second.pid)
        with pytest.raises(RefusedError, match="does not belong"):
            record.find(home, other.id, leader.pid)


def test_of_nested_sessions_the_inner_one_counts(home: Path) -> None:
    outer, inner = begin(home), begin(home)
    with child() as made:
        inner = led_by(home, inner, made.pid)
        assert record.find(home, "", made.pid) == inner
        assert record.find(home, inner.id, made.pid) == inner
        assert record.find(home, "", os.getpid()) == outer


def test_an_ended_session_that_is_claimed_is_refused(home: Path) -> None:
    session = begin(home)
    record.end(home, session, NOW)
    with pytest.raises(RefusedError, match="has ended"):
        record.find(home, session.id, os.getpid())
    assert record.find(home, "", os.getpid()) is None


@pytest.mark.parametrize("claimed", ["0" * 32, "../../etc/passwd", "x"])
def test_a_session_that_never_was_is_refused(home: Path, claimed: str) -> None:
    with pytest.raises(RefusedError, match="there is no session"):
        record.find(home, claimed, os.getpid())


def test_when_the_leader_is_killed_nobody_belongs_to_its_session(home: Path) -> None:
    session = begin(home)
    with child() as leader:
        led = led_by(home, session, leader.pid)
    assert record.state(led) == "lost"
    with pytest.raises(RefusedError, match="does not belong"):
        record.find(home, session.id, os.getpid())
    assert record.find(home, "", os.getpid()) is None


def test_an_orphan_of_a_session_no_longer_belongs_to_it(home: Path) -> None:
    session = begin(home)
    with orphan() as pid:
        if any(p.pid == os.getpid() for p in processes.lineage(pid)):
            pytest.skip("this process takes in orphans")
        assert record.find(home, "", pid) is None
        with pytest.raises(RefusedError):
            record.find(home, session.id, pid)


def test_another_process_with_the_leaders_id_is_not_the_leader(home: Path) -> None:
    session = begin(home)
    record._write(home, replace(session, pid_began="1"))
    assert record.find(home, "", os.getpid()) is None
    assert record.state(replace(session, pid_began="1")) == "lost"


def test_a_mark_of_a_session_whose_record_was_removed_is_of_none(home: Path) -> None:
    session, gone = begin(home), begin(home)
    (home / "sessions" / f"{gone.id}.json").unlink()
    with child() as made:
        assert record.find(home, "", made.pid) == session


@pytest.mark.parametrize("claims", [True, False], ids=["says so", "says nothing"])
def test_a_process_that_has_ended_is_not_taken_for_a_stranger(home: Path, claims: bool) -> None:
    """A process of the session may connect, hand on the connection and end before it is looked at."""
    with child() as made:
        pass
    assert record.find(home, "", made.pid) is None
    session = begin(home)
    with pytest.raises(RefusedError, match="ancestors can be seen"):
        record.find(home, session.id if claims else "", made.pid)
    record.end(home, session, NOW)
    assert record.find(home, "", made.pid) is None


def test_a_process_too_deep_to_be_told_is_not_taken_for_a_stranger(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(home)
    with child() as leader, child() as stranger:
        led_by(home, session, leader.pid)
        assert record.find(home, "", stranger.pid) is None
        monkeypatch.setattr(processes, "MAX_DEPTH", 1)
        assert record.find(home, "", leader.pid) is not None
        with pytest.raises(RefusedError, match="ancestors can be seen"):
            record.find(home, "", stranger.pid)


@pytest.mark.parametrize("claims", [True, False], ids=["says so", "says nothing"])
@pytest.mark.parametrize("inner", [True, False], ids=["in a session within", "in the session"])
def test_a_process_of_a_session_with_a_broker_is_for_the_broker_alone(home: Path, claims: bool, inner: bool) -> None:
    session = record.begin(home, a_grant(), task=b"", command="x", broker=True, at=NOW)
    with child() as made:
        if inner:
            session = led_by(home, begin(home), made.pid)
        with pytest.raises(RefusedError, match="signs through its broker"):
            record.find(home, session.id if claims else "", made.pid)


def test_a_process_outside_a_session_with_a_broker_is_served(home: Path) -> None:
    session = record.begin(home, a_grant(), task=b"", command="x", broker=True, at=NOW)
    with child() as leader, child() as stranger:
        led_by(home, session, leader.pid)
        assert record.find(home, "", stranger.pid) is None


# -- what was signed in it


def test_what_was_signed_is_listed_in_order(home: Path) -> None:
    session = begin(home)
    entries = [replace(ENTRY, object_id=f"{n:040x}") for n in range(3)]
    for entry in entries:
        record.note(home, session, entry)
    assert list(record.entries(home, session)) == entries
    assert list(record.entries(home, begin(home))) == []


def test_lines_that_are_unfinished_or_anothers_are_passed_over(home: Path) -> None:
    session = begin(home)
    record.note(home, session, ENTRY)
    path = home / "sessions" / f"{session.id}.log"
    path.write_bytes(b'{"at": 1}\n\xff\n\n' + path.read_bytes() + path.read_bytes()[:30])
    assert list(record.entries(home, session)) == [ENTRY]


def test_writers_at_the_same_time_do_not_mix_their_lines(home: Path) -> None:
    session = begin(home)
    code = (
        "import sys; from pathlib import Path; from notme_git.session import record\n"
        f"session = record.load(Path(sys.argv[1]), {session.id!r})\n"
        "for n in range(100): record.note(Path(sys.argv[1]), session, record.Entry(sys.argv[2] * 50, *'abcd', str(n)))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(home), name]) for name in "xyz"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    found = list(record.entries(home, session))
    assert len(found) == 300
    assert {name: [e.folder for e in found if e.at == name * 50] for name in "xyz"} == {
        name: [str(n) for n in range(100)] for name in "xyz"
    }


def test_what_is_shown_of_a_session_is_json(home: Path) -> None:
    session = begin(home, task=b"x")
    record.note(home, session, replace(ENTRY, object_id=""))
    shown = json.loads(json.dumps(record.data(home, session)))
    assert (shown["id"], shown["agent"]) == (session.id, session.agent)
    assert (shown["state"], shown["endedAt"]) == ("running", None)
    assert shown["taskSha256"] == hashlib.sha256(b"x").hexdigest()
    [entry] = shown["signed"]
    assert (entry["kind"], entry["object"], entry["format"]) == ("commit", None, "x509")


def test_a_home_that_cannot_be_written_begins_no_session(home: Path) -> None:
    (home / "sessions").write_bytes(b"")
    with pytest.raises(UnavailableError, match="sessions") as caught:
        begin(home)
    assert "NOTME_HOME" in caught.value.hint
    assert (home / "sessions").read_bytes() == b""
