"""The daemon, asked at its address; nobody is started, and nothing is sent to another user's socket."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attest.errors import UnavailableError
from notme_git.daemon import client, place
from notme_git.daemon.protocol import CONTROL, Request
from notme_git.doctor.facts import Daemon

State = Literal["none", "dead", "silent", "foreign", "running"]


def look(home: Path, environ: Mapping[str, str], *, version: str) -> Daemon:
    """Whoever listens at the home's address."""
    runtime = _runtime(environ.get("XDG_RUNTIME_DIR", ""))
    try:
        address = client.address(home, {})
    except UnavailableError:
        expected = place.choose(home, environ.get("XDG_RUNTIME_DIR", ""))
        bad, blocked = _bad(expected), not _can_be_there(expected)
        return Daemon("", "none", None, False, str(expected), bad, blocked, runtime, version)
    state, status = _ask(address)
    folder = Path(address).parent
    return Daemon(address, state, status, _open(address), str(folder), _bad(folder), False, runtime, version)


def answers(address: str) -> bool:
    """Whether somebody of this user accepts connections there."""
    return _connects(address) == "running"


def _can_be_there(folder: Path) -> bool:
    """Whether files can be made in it or, where it is not there yet, folders in what is there above it."""
    there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    return os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK)


def _ask(address: str) -> tuple[State, dict[str, Any] | None]:
    state = _connects(address)
    if state != "running":
        return state, None
    try:
        reply = client.exchange(address, Request(CONTROL, ("status",)))
        found: dict[str, Any] = json.loads(reply.events[0][1])
    except (UnavailableError, ValueError, IndexError):
        return "silent", None
    return "running", found


def _connects(address: str) -> State:
    """`running` here: somebody of this user listens."""
    import _socket

    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        server.setblocking(False)
        server.connect(address)
        return "running" if client.peer(server)[0] == os.getuid() else "foreign"
    except BlockingIOError:
        return "silent"  # its backlog is full (unix(7))
    except (OSError, ValueError):
        return "dead"
    finally:
        server.close()


def _open(address: str) -> bool:
    try:
        found = os.lstat(address)
    except (OSError, ValueError):
        return False
    return stat.S_ISSOCK(found.st_mode) and bool(found.st_mode & 0o077)


def _bad(folder: Path) -> bool:
    """As `place` judges it; a folder that is not there yet is made when it is needed."""
    try:
        found = os.lstat(folder)
    except (OSError, ValueError):
        return False
    return not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or bool(found.st_mode & 0o077)


def _runtime(named: str) -> Literal["private", "unset", "open"]:
    if not os.path.isabs(named):
        return "unset"
    return "open" if not os.path.isdir(named) or _bad(Path(named)) else "private"
