"""Runs console scripts in children of a process that has imported what they import; `warm` is the caller's side.

`forkserver.py FD`: FD is a socket of packets, each of which is one call. It brings five descriptors: standard input,
output and error, the working directory, and a stream socket. On that comes the request, one line of JSON, and go back
the child's process id and then its exit status, a line each.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import runpy
import socket
import sys
import threading
import time
from typing import Any

DESCRIPTORS = 5
FURTHER = ("keyring", "pygit2", "attest.verifier", "notme_git.attesting", "notme_git.daemon.forward")
"""What commands import only when they run, and is most of what they import."""


def serve(control: socket.socket) -> str:
    """Answer until nobody can call any more. Returns only in a child: the path of the script that it is to run."""
    while True:
        _, given, _, _ = socket.recv_fds(control, 1, DESCRIPTORS)
        if not given:
            sys.exit()
        if not os.fork():
            control.close()
            return _keep(given)
        for each in given:
            os.close(each)
        while _reaped():
            pass


def _reaped() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _keep(given: list[int]) -> str:
    """Start the child and tell the caller how it ends. Returns only in the child."""
    with socket.socket(fileno=given.pop()) as caller:
        request = json.loads(caller.makefile("rb").readline())
        pid = os.fork()
        if pid:
            for each in given:
                os.close(each)
            caller.sendall(b"%d\n" % pid)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            caller.sendall(b"%d\n" % status)
            os._exit(0)
    _become(request, given)
    return sys.argv[0]


def _become(request: dict[str, Any], given: list[int]) -> None:
    """Take over what a process has from whoever starts it."""
    os.fchdir(given[3])
    for number in range(3):
        os.dup2(given[number], number)
    for each in given:
        os.close(each)
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    sys.argv[:] = request["command"]
    sys.path[0] = os.path.dirname(sys.argv[0])
    for name, mode, number in (("stdin", "r", 0), ("stdout", "w", 1), ("stderr", "w", 2)):
        old = getattr(sys, name)
        raw = open(number, f"{mode}b", closefd=False)  # noqa: SIM115
        stream = io.TextIOWrapper(raw, old.encoding, old.errors, line_buffering=old is sys.stderr)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _end(status: int) -> None:
    """End as an interpreter ends, but for the clearing of 700 modules, which takes longer than most commands.

    What cannot be flushed is left to the interpreter, which complains and ends with 120.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)


def main() -> None:
    from notme_git.cli import cli
    from tests.disk import unsynced

    for name in cli.commands:
        cli.commands[name]
    for name in FURTHER:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as control:
        script = serve(control)
    try:
        with unsynced():
            runpy.run_path(script, run_name="__main__")
    except SystemExit as asked:
        if isinstance(asked.code, int):
            _end(asked.code)
        raise


if __name__ == "__main__":
    main()
