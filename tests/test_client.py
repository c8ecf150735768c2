from __future__ import annotations

import ast
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from attest.errors import UnavailableError
from notme_git.daemon import client, protocol
from notme_git.daemon.protocol import CONTROL, NOT_OURS, Reply, Request
from tests.sockets import AS_ROOT, answering, of_another_user, short_folder
from tests.world import World

REQUEST = Request("gpgsm", ("-bsau", "notme:a"), {"GIT_DIR": "/g"}, "/w", b"payload", {"key": b"content"})
REPLY = Reply(1, (("2", b"why\n"), ("1", b"x")))
STATUS = Request(CONTROL, ("status",))


@pytest.fixture
def place() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


def published(home: Path, path: Path) -> Path:
    (home / "daemon").mkdir(parents=True, exist_ok=True)
    (home / "daemon" / "address").write_bytes(os.fsencode(path))
    return home


# -- where


def test_the_address_is_what_the_daemon_wrote(place: Path) -> None:
    odd = Path(os.fsdecode(b"/run/\xff"))
    assert client.address(published(place / "home", odd), {}) == str(odd)


@pytest.mark.parametrize("environ", [{}, {"NOTME_SOCKET": ""}], ids=["unset", "empty"])
def test_without_an_address_no_daemon_is_running(place: Path, environ: dict[str, str]) -> None:
    with pytest.raises(UnavailableError, match=r"no daemon of .* is running") as caught:
        client.address(place, environ)
    assert caught.value.hint == ""


def test_a_socket_in_the_environment_is_meant_and_no_other(place: Path) -> None:
    home = published(place / "home", place / "the daemon's")
    assert client.address(home, {"NOTME_SOCKET": "/given"}) == "/given"


def test_no_more_of_an_address_is_read_than_a_path_has(place: Path) -> None:
    home = published(place / "home", Path("/" + "x" * 10_000))
    assert len(client.address(home, {})) == client.MAX_ADDRESS_BYTES


# -- one exchange


@pytest.mark.parametrize("reply", [REPLY, NOT_OURS, Reply(0, (("1", bytes(3_000_000)),))], ids=["one", "own", "long"])
def test_the_reply_is_what_the_daemon_said(place: Path, reply: Reply) -> None:
    with answering(place / "sock", reply.encode()) as came:
        assert client.exchange(str(place / "sock"), REQUEST) == reply
    assert came == [REQUEST]


BROKEN = {
    "nothing": (b"", "does not answer: it hung up"),
    "half a head": (b"\1\0", "does not answer: it hung up"),
    "half an answer": (REPLY.encode()[:-1], "does not answer: it hung up"),
    "another version": (b"\2" + REPLY.encode()[1:], "another language"),
    "another program's": (b"SSH-2.0-OpenSSH_9.2\r\n", "another language"),
    "too long": (b"\1\xff\xff\xff\xff", "another language"),
    "no fields": (b"\1\0\0\0\0", "another language"),
}


@pytest.mark.parametrize(("answer", "why"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_whole_reply_is_no_daemon(place: Path, answer: bytes, why: str) -> None:
    with answering(place / "sock", answer), pytest.raises(UnavailableError, match=why) as caught:
        client.exchange(str(place / "sock"), REQUEST)
    assert caught.value.hint == ""


def test_a_socket_whose_process_is_dead_is_no_daemon(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "sock"))
        listener.listen()
    with pytest.raises(UnavailableError, match="does not answer: Connection refused"):
        client.exchange(str(place / "sock"), REQUEST)


def test_a_daemon_that_says_nothing_is_given_up(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "sock"))
        listener.listen()
        with pytest.raises(UnavailableError, match="does not answer"):
            client.exchange(str(place / "sock"), REQUEST, patience=1)


@pytest.mark.parametrize("path", ["/gone/sock", "", "x" * 200], ids=["gone", "empty", "too long"])
def test_a_path_that_leads_nowhere_is_no_daemon(path: str) -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        client.exchange(path, REQUEST)


@AS_ROOT
def test_nothing_is_sent_to_another_user_and_a_person_is_told(place: Path) -> None:
    with of_another_user(place / "sock", REPLY.encode()) as heard:
        with pytest.raises(UnavailableError, match=r"belongs to user 65534.*nothing is sent") as caught:
            client.exchange(str(place / "sock"), REQUEST)
        assert heard.read_bytes() == b""
    assert "see who made it" in caught.value.hint


def test_the_kernel_says_who_is_at_the_other_end(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        listener.bind(str(place / "sock"))
        listener.listen()
        caller.connect(str(place / "sock"))
        assert client.peer(caller) == (os.getuid(), os.getpid())


# -- what is started, and what is not


def stand_in(place: Path, script: str) -> str:
    """A program in Python's place that notes that it was started."""
    program = place / "python"
    program.write_text(
        f"#!{sys.executable} -IS\nimport os, sys\nready = int(sys.argv[sys.argv.index('--ready') + 1])\n"
        f"os.chdir({str(place)!r})\nopen('started', 'a').write('started\\n')\n{script}\n"
    )
    program.chmod(0o755)
    return str(program)


def test_a_running_daemon_is_asked_and_none_started(place: Path) -> None:
    home = published(place / "home", place / "sock")
    with answering(place / "sock", REPLY.encode()):
        assert client.ask(home, REQUEST, environ={}, python=stand_in(place, "")) == REPLY
    assert not (place / "started").exists()


def test_behind_a_broker_no_daemon_is_started(place: Path) -> None:
    environ = {"NOTME_SOCKET": str(place / "gone"), "NOTME_BROKER": "1"}
    with pytest.raises(UnavailableError, match="does not answer"):
        client.ask(place / "home", REQUEST, environ=environ, python=stand_in(place, ""))
    assert not (place / "started").exists()
    assert not client.may_sign_here(environ)
    assert client.may_sign_here({})


@AS_ROOT
def test_where_another_user_listens_no_daemon_is_started(place: Path) -> None:
    (place / "open").mkdir()
    place.chmod(0o755)
    home = published(place / "home", place / "open" / "sock")
    python = stand_in(place, "")
    with of_another_user(place / "open" / "sock", REPLY.encode()), pytest.raises(UnavailableError, match="belongs to"):
        client.ask(home, REQUEST, environ={}, python=python)
    assert not (place / "started").exists()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("sys.exit(3)", "it ended at once"),
        ("os.write(ready, b'no room')", "no room"),
    ],
    ids=["silent", "with a reason"],
)
def test_why_a_daemon_could_not_be_started_is_told(place: Path, script: str, why: str) -> None:
    with pytest.raises(UnavailableError, match=f"no daemon could be started: {why}"):
        client.ask(place / "home", REQUEST, environ={}, python=stand_in(place, script))
    assert (place / "started").read_text() == "started\n"


def test_a_python_that_is_gone_starts_no_daemon(place: Path) -> None:
    with pytest.raises(UnavailableError, match="no daemon could be started: No such file"):
        client.start(place, environ={}, python=str(place / "python"))


def test_a_daemon_gets_an_allowed_part_of_the_environment(place: Path) -> None:
    script = "open('found', 'w').write(repr(dict(os.environ)))\nos.write(ready, b'ready')"
    environ = {"PATH": os.defpath, "AWS_SECRET_ACCESS_KEY": "x", "HOME": "/h", "NOTME_HOME": "/other"}
    client.start(place / "home", environ=environ, python=stand_in(place, script))
    told = ast.literal_eval((place / "found").read_text())
    told.pop("LC_CTYPE", None)  # Python's own (PEP 538)
    assert told == {"PATH": os.defpath, "HOME": "/h", "NOTME_HOME": str(place / "home")}


# -- a real one


def test_a_daemon_is_started_where_none_answers_and_then_answers(tmp_path: Path, place: Path) -> None:
    world = World(tmp_path)
    environ = {"NOTME_DAEMON_IDLE": "20", "XDG_RUNTIME_DIR": str(place)}
    first = client.ask(world.home, STATUS, environ=environ, python=sys.executable)
    second = client.ask(world.home, STATUS, environ=environ, python="/gone")
    for reply in (first, second):
        assert (reply.status, f'"home": "{world.home}"' in reply.events[0][1].decode()) == (0, True)
    path = Path(client.address(world.home, {}))
    assert client.exchange(str(path), Request(CONTROL, ("stop",))) == Reply(0)
    with pytest.raises(UnavailableError):
        client.exchange(str(path), STATUS)
    end = time.monotonic() + 10
    while path.parent.exists() and time.monotonic() < end:
        time.sleep(0.005)
    assert not path.parent.exists()
    assert not (world.home / "daemon" / "address").exists()


def test_a_daemon_keeps_no_descriptor_of_whoever_started_it(tmp_path: Path, place: Path) -> None:
    """git waits for the end of its signing program's stderr; a daemon that held it would hold every commit back."""
    world = World(tmp_path)
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    environ = {"NOTME_DAEMON_IDLE": "20", "XDG_RUNTIME_DIR": str(place)}
    client.ask(world.home, STATUS, environ=environ, python=sys.executable)
    os.close(writer)
    os.set_blocking(reader, False)
    assert os.read(reader, 1) == b""
    os.close(reader)
    client.exchange(client.address(world.home, {}), Request(CONTROL, ("stop",)))


def test_what_a_daemon_cannot_read_is_answered_with_a_sentence(tmp_path: Path, place: Path) -> None:
    world = World(tmp_path)
    environ = {"NOTME_DAEMON_IDLE": "20", "XDG_RUNTIME_DIR": str(place)}
    client.ask(world.home, STATUS, environ=environ, python=sys.executable)
    path = Path(client.address(world.home, {}))
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(10)
        caller.connect(str(path))
        caller.sendall(b"\1\0\0\0\4\0\0\0\0")
        answer = b""
        while part := caller.recv(4096):
            answer += part
    reply = Reply.decode(answer[protocol.HEAD_BYTES :])
    assert reply.status == 1
    assert b"fields" in reply.events[0][1]
    client.exchange(str(path), Request(CONTROL, ("stop",)))
