"""Someone who listens where a client looks for the daemon: says what a test wants said, or is another user."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from attest.errors import MalformedError
from notme_git.daemon import protocol
from notme_git.daemon.protocol import Request

STRANGER = 65534  # nobody
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user, too")
PATIENCE_S = 10.0


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name, which pytest's own do not."""
    folder = Path(tempfile.mkdtemp(prefix="notme-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a daemon that ends may be removing its socket


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[list[Request]]:
    """Answer every request at `path` with these bytes, then hang up; gives the requests that came."""
    came: list[Request] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_answer, args=(listener, answer, came))
        thread.start()
        try:
            yield came
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)


def _answer(listener: socket.socket, answer: bytes, came: list[Request]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, suppress(OSError, MalformedError), connection.makefile("rb") as stream:
                connection.settimeout(PATIENCE_S)
                length = protocol.body_length(stream.read(protocol.HEAD_BYTES))
                came.append(Request.decode(stream.read(length)))
                connection.sendall(answer)


@contextmanager
def of_another_user(path: Path, answer: bytes) -> Iterator[Path]:
    """Another user listens at `path` and answers so. Gives a file that holds everything that was sent to it."""
    path.parent.chmod(0o777)
    heard = path.with_name("heard")
    with socket.socket(socket.AF_UNIX) as listener:
        ready, said = os.pipe()
        pid = os.fork()
        if not pid:
            _as_stranger(listener, path, heard, answer, said)
        try:
            os.close(said)
            assert os.read(ready, 1) == b"r"
            os.close(ready)
            yield heard
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _as_stranger(listener: socket.socket, path: Path, heard: Path, answer: bytes, said: int) -> None:
    with suppress(BaseException):
        os.setgroups([])
        os.setgid(STRANGER)
        os.setuid(STRANGER)
        listener.bind(str(path))
        path.chmod(0o777)
        listener.listen()
        heard.touch()
        os.write(said, b"r")
        while True:
            connection, _ = listener.accept()
            with suppress(OSError):
                connection.settimeout(1)
                part = connection.recv(1 << 16)
                with heard.open("ab") as file:
                    file.write(part)
                connection.sendall(answer)
            connection.close()
    os._exit(1)
