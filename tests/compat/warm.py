"""The console scripts without what it costs to start them.

A new interpreter imports for a sixth of a second before it does anything. So each worker of the suite has one process
that has imported everything and forks (`forkserver`). The child is a process of its own with the caller's arguments,
directory, environment, umask and pipes; it runs the script's own text and ends as interpreters end. Its parent, and
the command line that the system shows of it, are others, and it waits for no disk (`unsynced`): what a test says of
those, of imports, limits, descriptors or time needs a real process.
"""

from __future__ import annotations

import functools
import json
import os
import re
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("forkserver.py")
SAME = {"LC_ALL": "C.UTF-8"}
"""What an interpreter reads once, when it starts."""

READ_AT_START = re.compile(r"PYTHON|LD_|DYLD_|OPENSSL_|MALLOC_|GLIBC_|FAKETIME")
CHUNK = 1 << 16
SECONDS = 60


def possible(environ: Mapping[str, str]) -> bool:
    """Whether an interpreter would start in this environment as the warm one did."""
    return (
        sys.platform == "linux"
        and all(environ.get(name) == value for name, value in SAME.items())
        and not any(READ_AT_START.match(name) for name in environ)
    )


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: str | Path = ".",
    input: bytes = b"",
    timeout: float = SECONDS,
) -> subprocess.CompletedProcess[bytes]:
    """As `subprocess.run` with its output captured.

    `command` is a console script, or any other script in Python. Where that needs a process of its own, it is one.
    """
    if not possible(env):
        return subprocess.run(
            command, cwd=cwd, env=env, input=input, capture_output=True, timeout=timeout, check=False
        )
    words = [os.fsdecode(word) for word in command]
    return subprocess.CompletedProcess(words, *_called(words, cwd, env, input, timeout))


def run_text(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """The same, with its output as text."""
    done = run(command, **options)
    out, err = (each.decode().replace("\r\n", "\n") for each in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def _called(
    words: list[str], cwd: str | Path, env: Mapping[str, str], data: bytes, timeout: float
) -> tuple[int, bytes, bytes]:
    """Have the server start it; its status and what it printed."""
    folder = os.open(cwd, os.O_RDONLY | os.O_DIRECTORY)
    (stdin, put), (out, stdout), (err, stderr) = os.pipe(), os.pipe(), os.pipe()
    ours, theirs = socket.socketpair()
    given = (stdin, stdout, stderr, folder, theirs.detach())
    try:
        socket.send_fds(_server().control, [b"."], given)
    finally:
        for each in given:
            os.close(each)
    with ours, ours.makefile("rb") as said:
        request = {"command": words, "environ": dict(env), "umask": _umask()}
        ours.sendall(json.dumps(request).encode() + b"\n")
        pid = int(said.readline())
        try:
            printed, complaint = _talk(put, data, out, err, until=time.monotonic() + timeout)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(words, timeout) from None
        return int(said.readline()), printed, complaint


@dataclass(frozen=True)
class _Server:
    control: socket.socket
    process: subprocess.Popen[bytes]


@functools.cache
def _server() -> _Server:
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, str(SERVER), str(theirs.fileno())]
        environ = {**SAME, "PATH": os.defpath}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environ, pass_fds=[theirs.fileno()])
    return _Server(control, process)


def end() -> None:
    """End the warm process, if there is one."""
    if _server.cache_info().currsize:
        server = _server()
        _server.cache_clear()
        server.control.close()
        server.process.wait()


def _umask() -> int:
    """This process's, which cannot be asked for without being changed."""
    (line,) = (each for each in Path("/proc/self/status").read_text("utf-8").splitlines() if each.startswith("Umask:"))
    return int(line.split()[1], 8)


def _talk(put: int, data: bytes, *got: int, until: float) -> list[bytes]:
    """Write to one pipe and read from others until nobody can write to those any more; closes them all.

    `TimeoutError` where that is not before `until`.
    """
    read: dict[int, list[bytes]] = {each: [] for each in got}
    still = {put, *got}
    try:
        with selectors.DefaultSelector() as waiting:
            for each in still:
                waiting.register(each, selectors.EVENT_WRITE if each == put else selectors.EVENT_READ)
            while still:
                if not (ready := waiting.select(max(0.0, until - time.monotonic()))):
                    raise TimeoutError
                for key, _ in ready:
                    if key.fd == put:
                        data = _written(put, data)
                        over = not data
                    else:
                        read[key.fd].append(os.read(key.fd, CHUNK))
                        over = not read[key.fd][-1]
                    if over:
                        waiting.unregister(key.fd)
                        still.remove(key.fd)
                        os.close(key.fd)
        return [b"".join(read[each]) for each in got]
    finally:
        for each in still:
            os.close(each)


def _written(put: int, data: bytes) -> bytes:
    """Write as much as never blocks; what is left, nothing where nobody reads."""
    try:
        return data[os.write(put, data[: select.PIPE_BUF]) :]
    except BrokenPipeError:
        return b""
