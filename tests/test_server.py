"""The loop, in a process of its own, with a wire whose messages a test can read: one byte of length, then that many."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from attest.errors import MalformedError
from notme_git.daemon import place, server
from notme_git.daemon.server import Peer, Server
from tests.sockets import short_folder

BIG = 8 * 1024 * 1024
"""More than any socket holds."""

PATIENCE_S = 10.0


@dataclass
class Echo:
    """Answers with the message; `stop` stops the server, `big` is answered with more than a socket holds."""

    made: Server
    keep: bool = False
    welcome: bool = True
    head: int = 1
    peers: list[Peer] = field(default_factory=list)

    def body_length(self, head: bytes) -> int:
        if head == b"\xff":
            raise MalformedError("too long")
        return head[0]

    def admits(self, peer: Peer) -> bool:
        return self.welcome and peer.uid == os.getuid()

    def answer(self, body: bytes, peer: Peer) -> bytes:
        self.made.stopping = self.made.stopping or body == b"stop"
        return bytes(BIG) if body == b"big" else b"%d " % peer.pid + body


@dataclass
class Running:
    """A server in a child process, listening at `path`; at `kept` its connections stay open, at `shut` none do."""

    pid: int
    folder: Path
    status: int | None = None

    @property
    def path(self) -> Path:
        return self.folder / "sock"

    def connect(self, name: str = "sock") -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(PATIENCE_S)
        made.connect(str(self.folder / name))
        return made

    def ask(self, message: bytes = b"hello", name: str = "sock") -> bytes:
        with self.connect(name) as caller:
            caller.sendall(framed(message))
            return rest(caller)

    def ended(self, patience: float = PATIENCE_S) -> bool:
        """Whether it ends by itself in that time, as it should."""
        end = time.monotonic() + patience
        while self.status is None and time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.005)
        return self.status == 0


def framed(message: bytes) -> bytes:
    return bytes([len(message)]) + message


def mine(message: bytes = b"hello") -> bytes:
    """The answer to this process."""
    return b"%d " % os.getpid() + message


def rest(caller: socket.socket) -> bytes:
    """Everything until the server hangs up."""
    found = b""
    with suppress(ConnectionResetError):
        while part := caller.recv(1 << 20):
            found += part
    return found


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a server: `idle_s`, and constants of the module by name."""
    running: list[Running] = []

    def begin(*, idle_s: float = 60, **constants: float) -> Running:
        listeners = [place.listen(folder / name) for name in ("sock", "kept", "shut")]
        pid = os.fork()
        if not pid:
            _serve(listeners, folder, idle_s, constants)
        for listener in listeners:
            listener.close()
        running.append(Running(pid, folder))
        return running[-1]

    with short_folder() as folder:
        yield begin
        for each in running:
            if each.status is None:
                os.kill(each.pid, signal.SIGKILL)
                os.waitpid(each.pid, 0)


def _serve(listeners: list[socket.socket], folder: Path, idle_s: float, constants: dict[str, float]) -> None:
    status = 1
    with suppress(BaseException):
        for name, value in constants.items():
            setattr(server, name, value)
        made = Server(idle_s=idle_s, sweep=(folder / "swept").touch)
        for listener, wire in zip(listeners, (Echo(made), Echo(made, True), Echo(made, welcome=False)), strict=True):
            made.add(listener, wire)
        made.run()
        status = 0
    os._exit(status)


# -- answers


def test_a_whole_request_is_answered_and_the_connection_ends(start: Start) -> None:
    running = start()
    assert running.ask() == mine()
    assert running.ask(b"") == mine(b"")


def test_a_request_may_come_byte_by_byte(start: Start) -> None:
    with start().connect() as caller:
        for byte in framed(b"hello"):
            caller.sendall(bytes([byte]))
            time.sleep(0.002)
        assert rest(caller) == mine()


def test_a_connection_that_is_kept_has_every_request_answered_in_order(start: Start) -> None:
    with start().connect("kept") as caller:
        for message in (b"one", b"two"):
            caller.sendall(framed(message))
            assert caller.recv(100) == mine(message)
        caller.sendall(framed(b"three") + framed(b"four") + framed(b"five")[:2])
        expected = mine(b"three") + mine(b"four")
        assert caller.recv(len(expected), socket.MSG_WAITALL) == expected
        caller.sendall(framed(b"five")[2:])
        assert caller.recv(100) == mine(b"five")


def test_an_answer_that_fills_the_socket_arrives_whole(start: Start) -> None:
    assert start().ask(b"big") == bytes(BIG)


def test_two_hundred_connections_at_once_are_all_answered(start: Start) -> None:
    running = start()
    callers = [running.connect() for _ in range(200)]
    for caller in callers:
        caller.sendall(framed(b"hello")[:3])
    for caller in reversed(callers):
        caller.sendall(framed(b"hello")[3:])
    assert [rest(caller) for caller in callers] == [mine()] * 200
    for caller in callers:
        caller.close()


def test_above_the_bound_the_one_that_was_silent_longest_makes_way(start: Start) -> None:
    running = start(MAX_CONNECTIONS=4)
    with running.connect() as oldest, running.connect() as second, running.connect() as third:
        time.sleep(0.05)
        second.sendall(framed(b"half")[:2])
        fourth, fifth = running.connect(), running.connect()
        with fourth, fifth:
            assert running.ask() == mine()
            assert rest(oldest) == b""
            second.sendall(framed(b"half")[2:])
            assert rest(second) == mine(b"half")
            third.close()


# -- clients that misbehave


@pytest.mark.parametrize("sent", [b"", b"\5", b"\5hel"], ids=["nothing", "a head", "half"])
def test_whoever_hangs_up_early_disturbs_nobody(start: Start, sent: bytes) -> None:
    running = start()
    with running.connect() as caller:
        caller.sendall(sent)
    assert running.ask() == mine()


@pytest.mark.parametrize("sent", [b"", b"\5", b"\5hel"], ids=["nothing", "a head", "half"])
def test_whoever_does_not_finish_is_hung_up_on_and_holds_nobody_up(start: Start, sent: bytes) -> None:
    running = start(CLIENT_S=0.4)
    with running.connect() as caller:
        caller.sendall(sent)
        begun = time.monotonic()
        assert running.ask() == mine()
        assert time.monotonic() - begun < 0.3
        assert rest(caller) == b""
        assert 0.2 < time.monotonic() - begun < PATIENCE_S


def test_whoever_does_not_read_its_answer_is_hung_up_on_and_holds_nobody_up(start: Start) -> None:
    running = start(CLIENT_S=1.5)
    with running.connect() as caller:
        caller.sendall(framed(b"big"))
        begun = time.monotonic()
        assert running.ask() == mine()
        assert time.monotonic() - begun < 1.5
        time.sleep(1.7)
        assert len(rest(caller)) < BIG


def test_whoever_hangs_up_before_its_answer_disturbs_nobody(start: Start) -> None:
    running = start()
    for _ in range(20):
        with running.connect() as caller:
            caller.sendall(framed(b"big"))
    assert running.ask() == mine()


def test_a_request_that_is_announced_too_long_ends_the_connection_unread(start: Start) -> None:
    running = start()
    with running.connect() as caller:
        caller.sendall(b"\xff")
        assert rest(caller) == b""
    assert running.ask() == mine()


def test_whoever_is_not_admitted_is_hung_up_on(start: Start) -> None:
    running = start()
    with running.connect("shut") as caller:
        assert rest(caller) == b""
    assert running.ask() == mine()


def test_no_more_is_kept_of_unfinished_requests_than_the_bound(start: Start) -> None:
    """The largest of them goes, and keeps nobody else waiting."""
    running = start(MAX_PENDING_BYTES=250, _CHUNK=50)
    with running.connect() as greedy, running.connect() as modest:
        modest.sendall(framed(b"x" * 90)[:80])
        greedy.sendall(b"\xfe" + bytes(200))
        assert rest(greedy) == b""
        modest.sendall(framed(b"x" * 90)[80:])
        assert rest(modest) == mine(b"x" * 90)
    assert running.ask() == mine()


# -- its end


def test_it_ends_when_nobody_has_called_for_long_enough(start: Start) -> None:
    begun = time.monotonic()
    running = start(idle_s=0.5)
    for _ in range(4):
        time.sleep(0.2)
        assert running.ask() == mine()
    assert time.monotonic() - begun > 0.8
    assert running.ended()
    assert time.monotonic() - begun < 5


def test_who_told_it_to_stop_is_answered(start: Start) -> None:
    running = start()
    assert running.ask(b"stop") == mine(b"stop")
    assert running.ended()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_at_once(start: Start, number: int) -> None:
    running = start()
    assert running.ask() == mine()
    os.kill(running.pid, number)
    assert running.ended(2)


@pytest.mark.parametrize("name", ["sock", "kept"])
def test_nobody_who_has_not_finished_asking_delays_its_end(start: Start, name: str) -> None:
    running = start()
    with running.connect(name) as caller:
        caller.sendall(b"\5hel")
        assert running.ask() == mine()
        os.kill(running.pid, signal.SIGTERM)
        assert running.ended(2)
        assert rest(caller) == b""


def test_what_it_was_answering_is_sent_before_it_ends(start: Start) -> None:
    running = start()
    with running.connect() as caller:
        caller.sendall(framed(b"big"))
        assert running.ask(b"stop") == mine(b"stop")
        assert rest(caller) == bytes(BIG)
    assert running.ended()


def test_keys_are_swept_though_nobody_calls(start: Start) -> None:
    running = start(SWEEP_S=0.02)
    end = time.monotonic() + PATIENCE_S
    while not (running.folder / "swept").exists() and time.monotonic() < end:
        time.sleep(0.005)
    assert (running.folder / "swept").exists()
