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
import selectors
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from attest.errors import RefusedError, UnavailableError
from attest.evidence import rfc3339
from notme_git.authority import epochs, founding, grants
from notme_git.authority.embedded import Authority
from notme_git.authority.keystore import MemoryKeys

MARK = "ephemeral"
"""A file in the authority's folder: whoever sees it asks the daemon for what needs keys."""

FORWARDED = (("grant", "revoke"), ("sessions", "revoke"), ("attest",))
"""Commands that sign as the authority. A new epoch would need new keys: an ephemeral authority ends instead."""

MAX_OUTPUT_BYTES = 16 * 1024 * 1024
PATIENCE_S = 300.0
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


def run(words: Sequence[str], environ: Mapping[str, str], folder: str) -> tuple[int, bytes, bytes]:
    """Run one forwarded command line in a fork; its exit status, stdout and stderr. `UnavailableError` if it hangs."""
    pipes = [os.pipe() for _ in range(2)]
    child = os.fork()
    if child == 0:
        _become_command(words, environ, folder, [writer for _, writer in pipes])
    for _, writer in pipes:
        os.close(writer)
    outputs = _drain([reader for reader, _ in pipes])
    if outputs is None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if outputs is None:
        raise UnavailableError(f"notme-git {words[0]} did not end within {PATIENCE_S:.0f} s, or printed too much")
    return max(0, os.waitstatus_to_exitcode(status)) if os.WIFEXITED(status) else 2, *outputs


def _drain(readers: list[int]) -> tuple[bytes, bytes] | None:
    """Both outputs to their ends; None past the bounds of time and size."""
    collected = {reader: bytearray() for reader in readers}
    deadline = time.monotonic() + PATIENCE_S
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            for key, _ in ready:
                part = os.read(key.fd, 65536)
                collected[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
            if not ready or sum(map(len, collected.values())) > MAX_OUTPUT_BYTES:
                break
        whole = not selector.get_map()
    for reader in readers:
        os.close(reader)
    out, err = (bytes(collected[reader]) for reader in readers)
    return (out, err) if whole else None


def _become_command(words: Sequence[str], environ: Mapping[str, str], folder: str, outputs: list[int]) -> NoReturn:
    """In the fork: the command line, with the caller's environment and folder, and then the end."""
    from attest import command
    from notme_git.cli import cli

    status = 2
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for descriptor, output in enumerate(outputs, 1):
            os.dup2(output, descriptor)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        sys.argv = ["notme-git", *words]
        sys.stdout, sys.stderr = open(1, "w", encoding="utf-8"), open(2, "w", encoding="utf-8")  # noqa: SIM115
        status = command.main(cli)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)
