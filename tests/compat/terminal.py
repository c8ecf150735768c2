"""A terminal, what is typed into it and what a program writes to it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SECONDS = 60


def on_terminal(*command: str | Path, columns: int, cwd: Path, environ: Mapping[str, str]) -> str:
    """Run a command on a terminal of so many columns; returns what it wrote there, line ends as programs write them."""
    with _terminal(command, columns, cwd, environ) as ours:
        return _read(ours, until=b"")


def typed_into(*command: str | Path, keys: str, until: str, cwd: Path, environ: Mapping[str, str]) -> str:
    """Type `keys` into a program on a terminal, and return what it wrote until it wrote `until`."""
    with _terminal(command, 200, cwd, environ) as ours:
        os.write(ours, keys.encode())
        return _read(ours, until=until.encode())


def conversation(
    *command: str | Path, told: Sequence[tuple[str, str]], cwd: Path, environ: Mapping[str, str]
) -> str:
    """Wait for each text and then type what stands beside it; returns all that was written, to the end."""
    written = ""
    with _terminal(command, 200, cwd, environ) as ours:
        for text, keys in told:
            written += _read(ours, until=text.encode())
            os.write(ours, keys.encode())
        return written + _read(ours, until=b"")


@contextmanager
def _terminal(
    command: tuple[str | Path, ...], columns: int, cwd: Path, environ: Mapping[str, str]
) -> Iterator[int]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen(
        command, cwd=cwd, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as running:
        os.close(theirs)
        try:
            yield ours
        finally:
            os.close(ours)  # whoever still reads from the terminal reads its end
            running.wait(SECONDS)


def _read(descriptor: int, *, until: bytes) -> str:
    """What is written up to `until`, or to the end where that is empty."""
    written, deadline = b"", time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 1)[0]:
            continue
        try:
            part = os.read(descriptor, 1 << 16)
        except OSError:  # EIO: Linux's word for a terminal that nobody has open any more
            part = b""
        written += part
        seen = written.replace(b"\r\n", b"\n")
        if not part or (until and until in seen):
            return seen.decode()
    raise AssertionError(f"not within {SECONDS} s: {written!r}")
