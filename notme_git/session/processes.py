"""Which process is whose child, asked of the kernel: `/proc` on Linux, `ps` on macOS.

A process id alone is used again after its process has ended; together with the time it began it is not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

MAX_DEPTH = 4096
"""Ancestors that are looked at. A shell in an editor in a terminal in a desktop has about twelve; whoever makes more
than these to leave a session behind has used up most of what a user may run."""

ATTEMPTS = 3
"""Readings of a lineage until one holds: a parent may end in between, and its child be given another."""

MAX_STAT_BYTES = 4096
PS = "/bin/ps"


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its id, when it began (in the kernel's own words), and its parent's id."""

    pid: int
    began: str
    parent: int


def find(pid: int) -> Process | None:
    """The process of that id, None where there is none any more."""
    return _find_with_ps(pid) if sys.platform == "darwin" else _find_in_proc(pid)


def lineage(pid: int) -> Iterator[Process]:
    """The process and its ancestors, nearest first."""
    for _ in range(MAX_DEPTH):
        found = find(pid) if pid > 0 else None
        if found is None:
            return
        yield found
        pid = found.parent


def whole_lineage(pid: int) -> list[Process]:
    """The same, up to the first process of all, each of which was found twice. Empty where the kernel shows no such.

    So it is with a process that has ended, one that this process cannot see, and one deeper than `MAX_DEPTH`.
    """
    for _ in range(ATTEMPTS):
        line = list(lineage(pid))
        if line and _is_last(line[-1]) and all(find(process.pid) == process for process in line):
            return line
    return []


def _is_last(process: Process) -> bool:
    """Whether it has no parent, or one of another user that /proc hides from this one (proc(5), hidepid)."""
    if process.parent == 0:
        return True
    try:
        os.kill(process.parent, 0)
    except PermissionError:
        return find(process.parent) is None
    except OSError:
        return False
    return False


def _find_in_proc(pid: int) -> Process | None:
    """proc(5), /proc/pid/stat: fields 3, 4 and 22. The name in field 2 may hold anything, so it is skipped to its end.

    A process that has ended and waits for its parent to ask how (Z) is gone.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read(MAX_STAT_BYTES).rpartition(b")")[2].split()
        if fields[0] in (b"Z", b"X"):
            return None
        return Process(pid, fields[19].decode("ascii"), int(fields[1]))
    except (OSError, IndexError, ValueError):
        return None


def _find_with_ps(pid: int) -> Process | None:
    done = subprocess.run(
        [PS, "-o", "ppid=,lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
    )
    parent, _, began = done.stdout.strip().partition(" ")
    return Process(pid, began.strip(), int(parent)) if parent.isdecimal() else None
