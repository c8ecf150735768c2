"""The loop: one thread that reads whole requests from many connections and answers them one at a time.

A signature takes less than a millisecond, so a queue is shorter than what locks between threads would cost, and
nothing that holds a key is ever in two hands. What is bounded: connections, bytes read and not yet answered, and
the time a client takes to ask or to read its answer.
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from attest.errors import MalformedError
from notme_git.daemon import client

MAX_CONNECTIONS = 512
"""Above it the one that has waited longest without saying anything makes way."""

MAX_PENDING_BYTES = 64 * 1024 * 1024
"""Of all requests together that are not complete yet: three of the largest at once. It may be locked memory."""

CLIENT_S = 30.0
"""To send a request, or to read its answer: both are in the client's memory already."""

SWEEP_S = 5.0
"""How often keys that have ended are forgotten, at the latest."""

_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a connection, as the kernel saw it."""

    uid: int
    pid: int


class Wire(Protocol):
    """How messages of one socket are framed and answered."""

    @property
    def head(self) -> int:
        """Bytes before the length is known."""

    @property
    def keep(self) -> bool:
        """Whether the connection stays open after an answer."""

    def body_length(self, head: bytes) -> int:
        """Bytes after the head; `MalformedError` ends the connection."""

    def admits(self, peer: Peer) -> bool:
        """Whether this peer is spoken with at all."""

    def answer(self, body: bytes, peer: Peer) -> bytes:
        """The whole answer to one message."""


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    wire: Wire
    peer: Peer
    deadline: float
    inbox: bytearray = field(default_factory=bytearray)
    outbox: bytes = b""


class Server:
    """Listeners with their wires, and the connections that came of them."""

    def __init__(self, *, idle_s: float, sweep: Callable[[], None]) -> None:
        self._selector = selectors.DefaultSelector()
        self._connections: dict[int, _Connection] = {}
        self._listeners: dict[int, socket.socket] = {}
        self._sweep, self.idle_s = sweep, idle_s
        self._called = time.monotonic()
        self._swept = 0.0
        self.stopping = False

    @property
    def idle_left(self) -> float:
        """Seconds until it ends by itself, if nobody calls."""
        return max(0.0, self._called + self.idle_s - time.monotonic())

    def add(self, listener: socket.socket, wire: Wire) -> None:
        """Serve this listener, too."""
        self._listeners[listener.fileno()] = listener
        self._selector.register(listener, selectors.EVENT_READ, wire)

    def remove(self, listener: socket.socket) -> None:
        """Serve this listener no more."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(listener)
        self._listeners.pop(listener.fileno(), None)
        listener.close()

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until told to stop, or until nobody has called for as long as the idle time.

        `ready` is called as soon as a signal would end us in order.
        """
        wake, woken = socket.socketpair()
        for end in (wake, woken):
            end.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        self._selector.register(wake, selectors.EVENT_READ, None)
        try:
            ready()
            while not (self.stopping and not self._answering()) and self.idle_left > 0:
                self._turn()
        finally:
            signal.set_wakeup_fd(-1)
            for connection in list(self._connections.values()):
                self._close(connection)

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _turn(self) -> None:
        now = time.monotonic()
        nearest = min((c.deadline for c in self._connections.values()), default=now + SWEEP_S)
        timeout = max(0.0, min(nearest - now, SWEEP_S, self.idle_left))
        for key, events in self._selector.select(timeout):
            if isinstance(key.data, _Connection):
                self._serve(key.data, events)
            elif key.data is None:
                with contextlib.suppress(BlockingIOError):
                    key.fileobj.recv(4096)  # type: ignore[union-attr]  # the waking end of the pair
            else:
                self._accept(self._listeners[key.fd], key.data)
        now = time.monotonic()
        for connection in list(self._connections.values()):
            silent = self.stopping and not connection.inbox and not connection.outbox
            if silent or connection.deadline <= now:
                self._close(connection)
        if now - self._swept > SWEEP_S:
            self._swept = now
            self._sweep()

    def _accept(self, listener: socket.socket, wire: Wire) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            # Whoever connects and says nothing keeps nobody out.
            self._close(min(self._connections.values(), key=lambda c: (bool(c.outbox), len(c.inbox), c.deadline)))
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        accepted.setblocking(False)
        peer = Peer(*client.peer(accepted))
        if not wire.admits(peer):
            accepted.close()
            return
        self._called = time.monotonic()
        connection = _Connection(accepted, wire, peer, time.monotonic() + CLIENT_S)
        self._connections[accepted.fileno()] = connection
        self._selector.register(accepted, selectors.EVENT_READ, connection)
        self._serve(connection, selectors.EVENT_READ)

    def _serve(self, connection: _Connection, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                part = connection.socket.recv(_CHUNK)
                if not part:
                    self._close(connection)
                    return
                connection.inbox += part
                if len(connection.inbox) > _CHUNK and not self._has_room_for(connection):
                    return
                self._answer_complete(connection)
            self._send(connection)
        except BlockingIOError:
            return
        except (OSError, MalformedError):
            self._close(connection)

    def _answer_complete(self, connection: _Connection) -> None:
        wire, inbox = connection.wire, connection.inbox
        while len(inbox) >= wire.head:
            end = wire.head + wire.body_length(bytes(inbox[: wire.head]))
            if len(inbox) < end:
                return
            body = bytes(inbox[wire.head : end])
            del inbox[:end]
            connection.outbox += wire.answer(body, connection.peer)
            connection.deadline = time.monotonic() + CLIENT_S
            self._called = time.monotonic()

    def _send(self, connection: _Connection) -> None:
        answered = bool(connection.outbox)
        if answered:
            with contextlib.suppress(BlockingIOError):
                connection.outbox = connection.outbox[connection.socket.send(connection.outbox) :]
        if connection.outbox:
            self._selector.modify(connection.socket, selectors.EVENT_WRITE, connection)
        elif answered and not connection.wire.keep:
            self._close(connection)
        elif answered:
            self._selector.modify(connection.socket, selectors.EVENT_READ, connection)

    def _close(self, connection: _Connection) -> None:
        self._connections.pop(connection.socket.fileno(), None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.socket.close()

    def _answering(self) -> bool:
        """Whether somebody has an answer still to read; who has not finished asking may ask elsewhere."""
        return any(c.outbox for c in self._connections.values())

    def _has_room_for(self, connection: _Connection) -> bool:
        """Whether all requests together stay in bounds; where not, the largest goes, which may be this one."""
        everything = self._connections.values()
        if sum(len(c.inbox) for c in everything) > MAX_PENDING_BYTES:
            self._close(max(everything, key=lambda c: len(c.inbox)))
        return connection.socket.fileno() in self._connections
