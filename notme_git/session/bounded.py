"""Bounds for what reads a repository that a sandbox may have changed: memory, time, and an end from outside.

A file there may be a device that never ends, or a pipe that nobody writes to; git and libgit2 open both.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import time
from collections.abc import Callable
from typing import NoReturn

from attest.errors import UnavailableError, as_error

MEMORY_BYTES = 1024 * 1024 * 1024
"""Of what a process allocates; packs that it maps do not count (setrlimit(2), RLIMIT_DATA). git holds some 100 bytes
for each commit that it walks, and one object at a time."""

MAX_OUTPUT_BYTES = 32 * 1024 * 1024

_CHUNK = 1 << 16
_DONE, _FAILED = b"+", b"-"


def limit(seconds: int) -> None:
    """Bound memory and processor time of this process and of each that it starts; a lower limit stays."""
    for what, amount in ((resource.RLIMIT_DATA, MEMORY_BYTES), (resource.RLIMIT_CPU, seconds)):
        hard = resource.getrlimit(what)[1]
        bound = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        with contextlib.suppress(OSError, ValueError):  # not every system has each
            resource.setrlimit(what, (bound, bound))


def call(work: Callable[[], bytes], seconds: int) -> bytes:
    """What `work` returns, done in a fork of this process that has to end within `seconds`, with all that it starts.

    Raises `UnavailableError` with the reason of whatever went wrong there. For processes without threads.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _work(work, writer, seconds)
    os.close(writer)
    try:
        said = _read(reader, time.monotonic() + seconds)
    finally:
        os.close(reader)
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)  # it may not have come to lead its group
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
    if said is None:
        raise UnavailableError(f"it took longer than {seconds} s, or told too much")
    if said[:1] != _DONE:
        raise UnavailableError(said[1:].decode("utf-8", "replace") or "it took too much memory or time")
    return said[1:]


def _work(work: Callable[[], bytes], writer: int, seconds: int) -> NoReturn:
    try:
        os.setpgid(0, 0)
        limit(seconds)
        try:
            said = _DONE + work()
        except Exception as exception:
            said = _FAILED + as_error(exception).message.encode("utf-8", "replace")
        with open(writer, "wb") as end:
            end.write(said)
    finally:
        os._exit(0)


def _read(reader: int, deadline: float) -> bytes | None:
    """To the end; None past the bounds of time and size."""
    collected = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        while len(collected) <= MAX_OUTPUT_BYTES and selector.select(max(0.0, deadline - time.monotonic())):
            part = os.read(reader, _CHUNK)
            if not part:
                return bytes(collected)
            collected += part
    return None
