"""An authority whose keys are in the daemon's memory alone: `notme-git daemon start --ephemeral`.

The database, the anchors and the bundle lie in the home as ever; keys and recovery key never reach a disk. When the
daemon ends, the epoch is retired: its last bundle says so, signed by the old and by a new key that nobody keeps. So
what was signed until then stays good and nothing is signed any more. A daemon that is killed retires nothing; its
keys are gone all the same.

Commands that sign as the authority run in a fork of the daemon, which has its memory and the caller's words,
environment and folder, and ends with the command.
"""

from __future__ import annotations

import os
import resource
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from attest.errors import RefusedError
from attest.instants import rfc3339
from notme_git.authority import epochs, founding, grants
from notme_git.authority.embedded import Authority
from notme_git.authority.keystore import MemoryKeys
from notme_git.daemon import hardening
from notme_git.daemon.place import listen
from notme_git.daemon.protocol import Reply

MARK = "ephemeral"
"""A file in the authority's folder: whoever sees it asks the daemon for what needs keys."""

FORWARDED = (("grant", "revoke"), ("sessions", "revoke"), ("attest",))
"""Commands that sign as the authority. A new epoch would need new keys: an ephemeral authority ends instead."""

MAX_OUTPUT_BYTES = 8 * 1024 * 1024
PATIENCE_S = 300
"""For one command; a long range to attest takes a minute."""


def found(home: Path, human: str, at: datetime) -> None:
    """Make the authority in this process; `RefusedError` where the home has one already."""
    display, email = grants.parse_human(human)
    founding.found(home, display, email, "memory", at)
    (home / "authority" / MARK).touch(mode=0o600)


def holds(home: Path) -> bool:
    """Whether the home's authority is an ephemeral one."""
    return (home / "authority" / MARK).exists()


def check_alive(home: Path) -> None:
    """`RefusedError` for a home whose ephemeral authority has ended: no daemon of it can ever sign."""
    try:
        ended = (home / "authority" / MARK).read_text("ascii")[:64].strip()
    except (OSError, ValueError):
        return
    if ended:
        raise RefusedError(f"the ephemeral authority in {home} has {ended}", hint="choose another NOTME_HOME")


def forwards(home: Path, words: Sequence[str]) -> bool:
    """Whether this command line has to run in the daemon."""
    asks = "-h" in words or "--help" in words
    return not asks and any(tuple(words[: len(each)]) == each for each in FORWARDED) and holds(home)


def end(authority: Authority, at: datetime) -> None:
    """Retire the epoch for good, and forget every key."""
    if isinstance(authority.keys, MemoryKeys):
        epochs.rotate(authority, at)
        authority.keys.forget()
        (authority.directory / MARK).write_text(f"ended {rfc3339(int(at.timestamp()))}\n", "ascii")


def run(
    command: Callable[[], int], words: Sequence[str], environ: Mapping[str, str], folder: str, place: Path
) -> tuple[int, Path]:
    """Fork for one forwarded command line, which `command` runs; returns the fork's process id and where it answers.

    The daemon goes on meanwhile. The socket lies in the private folder `place` and is good for one connection.
    """
    answers = place / f"command-{secrets.token_hex(8)}"
    listener = listen(answers)
    child = os.fork()
    if child == 0:
        _answer(lambda: _run(command, words, environ, folder), listener, answers)
    listener.close()
    return child, answers


def _answer(run: Callable[[], Reply], listener: socket.socket, answers: Path) -> NoReturn:
    """In the fork: what `run` gives, to the one caller, and then the end."""
    from notme_git.daemon import client

    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        signal.alarm(PATIENCE_S)
        hardening.harden()  # memory locks are not inherited (mlockall(2))
        os.closerange(3, listener.fileno())
        os.closerange(listener.fileno() + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        listener.setblocking(True)
        caller, _ = listener.accept()
        answers.unlink()
        if client.peer(caller)[0] == os.getuid():
            caller.recv(MAX_OUTPUT_BYTES)  # the question, which was told already
            caller.sendall(run().encode())
    finally:
        os._exit(0)


def _run(command: Callable[[], int], words: Sequence[str], environ: Mapping[str, str], folder: str) -> Reply:
    """The command line, with the caller's environment and folder."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        for descriptor, file in ((1, out), (2, err)):
            os.dup2(file.fileno(), descriptor)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        sys.argv = ["notme-git", *words]
        sys.stdout, sys.stderr = open(1, "w", encoding="utf-8"), open(2, "w", encoding="utf-8")  # noqa: SIM115
        status = command()
        sys.stdout.flush()
        sys.stderr.flush()
        out.seek(0)
        err.seek(0)
        return Reply(status, (("1", out.read(MAX_OUTPUT_BYTES)), ("2", err.read(MAX_OUTPUT_BYTES))))
