"""Finding, asking and starting the daemon of a home, from Python. The shim does the asking with code of its own.

`<home>/daemon/address` names the socket. Where NOTME_SOCKET names one, that one is asked first. If a broker is meant
(`NOTME_BROKER`), nothing else may answer: inside a sandbox no daemon is started and nothing is signed in this process.
"""

from __future__ import annotations

import _socket
import contextlib
import fcntl
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from notme_git.daemon.protocol import Reply, Request

SOCKET = "NOTME_SOCKET"
BROKER = "NOTME_BROKER"

PATIENCE_S = 20
"""For one answer; a keyring may be asked twice, and has five seconds for each (`keystore`)."""

START_PATIENCE_S = 10
"""A daemon listens 0.2 s after its start, on a machine under load some seconds."""

MAX_ADDRESS_BYTES = 4096

ENVIRONMENT = (
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "NOTME_HOME", "PATH", "TMPDIR", "TZ", "USER", "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "NOTME_DAEMON_IDLE",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "NOTME_ID_TOKEN", "NOTME_TOKEN_FILE", "NOTME_AUDIENCE",
)  # fmt: skip
"""All of its starter's environment that a daemon gets.

Those of the desktop are for a keyring that asks its owner; the last five are a CI job's proofs (`remote.ambient`).
"""


def may_sign_here(environ: Mapping[str, str]) -> bool:
    """Whether this process may sign itself where no daemon answers."""
    return not environ.get(BROKER)


def ask(home: Path, request: Request, *, environ: Mapping[str, str], python: str) -> Reply:
    """The answer of the home's daemon, started if there is none. `UnavailableError` where none can be had."""
    from attest.errors import UnavailableError

    try:
        return exchange(address(home, environ), request)
    except UnavailableError as error:
        if environ.get(BROKER) or error.hint:
            raise
    with _turn(home) as waited:
        if not (waited and listens(home)):
            start(home, environ=environ, python=python)
    return exchange(address(home, {}), request)


@contextlib.contextmanager
def _turn(home: Path) -> Iterator[bool]:
    """One client at a time starts a daemon: fifty at once would all load the same modules. Yields whether we waited."""
    folder, waited, descriptor = home / "daemon", False, -1
    end = time.monotonic() + START_PATIENCE_S
    try:
        with contextlib.suppress(OSError):  # where no lock can be had, we start one without
            folder.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(folder / "starting", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        while descriptor >= 0 and time.monotonic() < end:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                waited = True
                time.sleep(0.01)
        yield waited
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def listens(home: Path) -> bool:
    """Whether somebody does where clients are told to call."""
    with contextlib.suppress(OSError), open(home / "daemon" / "address", "rb") as file:
        caller = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            caller.setblocking(False)
            caller.connect(file.read(MAX_ADDRESS_BYTES))
            return True
        finally:
            caller.close()
    return False


def ensure(home: Path, *, environ: Mapping[str, str], python: str) -> None:
    """Have a daemon run. `UnavailableError` where none can be had."""
    from notme_git.daemon.protocol import CONTROL, Request

    ask(home, Request(CONTROL, ("status",)), environ={**environ, SOCKET: "", BROKER: ""}, python=python)


def address(home: Path, environ: Mapping[str, str]) -> str:
    """The path of the socket. `UnavailableError` where no daemon has said it."""
    from attest.errors import UnavailableError

    if environ.get(SOCKET):
        return environ[SOCKET]
    try:
        with open(home / "daemon" / "address", "rb") as file:
            return os.fsdecode(file.read(MAX_ADDRESS_BYTES))
    except OSError:
        raise UnavailableError(f"no daemon of {home} is running") from None


def exchange(path: str, request: Request, *, patience: int = PATIENCE_S) -> Reply:
    """One request to whoever listens at `path`, if that is this user, with `patience` in seconds.

    `UnavailableError` otherwise.
    The error has a hint where another user listens, which is worth a person's attention.
    """
    from attest.errors import MalformedError, UnavailableError
    from notme_git.daemon import protocol

    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        _limit(server, patience)
        server.connect(path)
        _check_peer(server, path)
        server.sendall(request.encode())
        length = protocol.body_length(_receive(server, protocol.HEAD_BYTES))
        return protocol.Reply.decode(_receive(server, length))
    except OSError as error:
        raise UnavailableError(f"the daemon at {path} does not answer: {error.strerror or error}") from None
    except MalformedError as error:
        raise UnavailableError(f"the daemon at {path} speaks another language: {error.message}") from None
    finally:
        server.close()


def start(home: Path, *, environ: Mapping[str, str], python: str, arguments: tuple[str, ...] = ()) -> None:
    """Start a daemon, and return when it listens, or when another one of this home does."""
    from attest.errors import UnavailableError

    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    null = os.open(os.devnull, os.O_RDWR)
    try:
        os.set_inheritable(theirs.fileno(), True)
        kept = {name: environ[name] for name in ENVIRONMENT if name in environ} | {"NOTME_HOME": str(home)}
        command = [python, "-I", "-m", "notme_git", "daemon-serve", "--ready", str(theirs.fileno()), *arguments]
        moves = [(os.POSIX_SPAWN_DUP2, null, descriptor) for descriptor in (0, 1, 2)]
        os.posix_spawn(python, command, kept, file_actions=moves)
        theirs.close()
        _limit(ours, START_PATIENCE_S)
        said = ours.recv(4096)
    except OSError as error:
        raise UnavailableError(f"no daemon could be started: {error.strerror or error}") from None
    finally:
        os.close(null)
        theirs.close()
        ours.close()
    if said != b"ready":
        reason = said.decode("utf-8", "replace") or "it ended at once"
        raise UnavailableError(f"no daemon could be started: {reason}")


def peer(connection: _socket.socket) -> tuple[int, int]:
    """User id and process id at the other end, as the kernel saw them when it connected (unix(7), SO_PEERCRED)."""
    if sys.platform == "darwin":
        # LOCAL_PEERCRED gives a struct xucred (version, uid, ...), LOCAL_PEERPID the process; <sys/un.h>.
        uid = int.from_bytes(connection.getsockopt(0, 1, 76)[4:8], sys.byteorder)
        return uid, connection.getsockopt(0, 2)
    found = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(found[4:8], sys.byteorder), int.from_bytes(found[:4], sys.byteorder)


def _check_peer(server: _socket.socket, path: str) -> None:
    from attest.errors import UnavailableError

    uid, _ = peer(server)
    if uid != os.getuid():
        raise UnavailableError(
            f"the socket {path} belongs to user {uid}, not to this one: nothing is sent to it",
            hint="see who made it; signing without a daemon",
        )


def _limit(connection: _socket.socket, seconds: int) -> None:
    wait = seconds.to_bytes(8, sys.byteorder) + bytes(8)  # struct timeval
    connection.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, wait)
    connection.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, wait)


def _receive(server: _socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = server.recv(min(count, 1 << 20))
        if not part:
            raise ConnectionResetError(0, "it hung up")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
