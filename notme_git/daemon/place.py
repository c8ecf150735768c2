"""Where the daemon of a home listens, and that there is one of it.

    <home>/daemon/lock      held (flock) by the one daemon as long as it lives
    <home>/daemon/address   the socket's path, which clients read
    <home>/daemon/starting  held by the client that is starting one

The socket lies in XDG_RUNTIME_DIR under a hash of the home, because its path may have 107 bytes at most (unix(7);
103 on macOS). Where that directory is not ours alone or too long, it lies in the home; where that is too long as well,
in a folder in /tmp, which many sandboxes share with us. Every folder is 0700 and belongs to this user, or it is not
used: whoever could replace the socket could answer for the daemon.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from attest.errors import RefusedError, UnavailableError
from notme_git import gitconfig
from notme_git.daemon.client import MAX_ADDRESS_BYTES

MAX_SOCKET_BYTES = 103
_LONGEST = Path("command-0123456789abcdef")
"""The longest name of a socket below the folder; a broker's is shorter."""

BACKLOG = 1024
"""As many connections as wait unanswered before a client has to wait for its place; the kernel caps it (somaxconn)."""


def name(home: Path) -> str:
    """What tells the sockets of one home from those of another: sixteen hex digits of a hash of its path."""
    return hashlib.sha256(os.fsencode(home)).hexdigest()[:16]


def folder(home: Path) -> Path:
    """The daemon's folder in the home."""
    return home / "daemon"


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the home's lock; `RefusedError` where another daemon holds it. The kernel lets go when a process dies."""
    place = folder(home)
    with gitconfig.file_errors(place):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(place)
        descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RefusedError(f"a daemon of {home} is running already") from None
    try:
        yield
    finally:
        os.close(descriptor)


def runtime_folder(home: Path, environ: Mapping[str, str]) -> Path:
    """The private folder for sockets of this home; made if need be. `UnavailableError` if another user has it."""
    place = choose(home, environ.get("XDG_RUNTIME_DIR", ""))
    with gitconfig.file_errors(place):
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
        _check_private(place)
    return place


def choose(home: Path, runtime: str) -> Path:
    """Which folder that is, `runtime` being XDG_RUNTIME_DIR; it need not be there."""
    own = Path(runtime, f"notme-git-{name(home)}")
    if os.path.isabs(runtime) and _private(Path(runtime)) and not _too_long(own / _LONGEST):
        return own
    if not _too_long(folder(home) / _LONGEST):
        return folder(home)
    return Path(f"/tmp/notme-git-{name(home)}-{os.getuid()}")


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, 0600, in place of one that a dead process left. The caller holds the lock."""
    if _too_long(path):
        raise UnavailableError(f"the path {path} is too long for a socket", hint=f"at most {MAX_SOCKET_BYTES} bytes")
    with gitconfig.file_errors(path):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    return listener


def publish(home: Path, path: Path) -> None:
    """Tell clients where the daemon listens."""
    gitconfig.replace_file(folder(home) / "address", os.fsencode(path), mode=0o600)


@dataclass(frozen=True, slots=True)
class Published:
    """A socket as clients were told of it, so that a daemon notices that nobody can find it any more."""

    address: Path
    socket: Path
    identity: tuple[int, int]

    @classmethod
    def of(cls, home: Path, socket: Path) -> Published:
        """What `publish` has just said."""
        found = os.lstat(socket)
        return cls(folder(home) / "address", socket, (found.st_dev, found.st_ino))

    def stands(self) -> bool:
        """Whether address and socket are still there, and still ours."""
        try:
            found = os.lstat(self.socket)
            with open(self.address, "rb") as file:
                named = file.read(MAX_ADDRESS_BYTES)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self.identity and named == os.fsencode(self.socket)


def withdraw(home: Path, path: Path) -> None:
    """Tell them that it does no more, and leave no empty folder behind."""
    for file in (folder(home) / "address", path):
        with contextlib.suppress(OSError):
            file.unlink()
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def _too_long(path: Path) -> bool:
    return len(os.fsencode(path)) > MAX_SOCKET_BYTES


def _private(place: Path) -> bool:
    try:
        found = os.lstat(place)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _check_private(place: Path) -> None:
    if not _private(place):
        raise UnavailableError(
            f"{place} is not a folder of this user alone",
            hint="see who made it; it should belong to you with mode 0700",
        )
