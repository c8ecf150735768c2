"""In a process of its own: what is given up does not come back."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/proc says what the kernel did")

LOOK = """
import os, resource
from notme_git.daemon import hardening
{before}
said = hardening.harden()
locked = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmLck:"))
print((said, resource.getrlimit(resource.RLIMIT_CORE), os.stat("/proc/self/environ").st_uid, locked))
"""


def hardened(before: str = "") -> tuple[dict[str, str], tuple[int, int], int, int]:
    """What it said, its limit for core files, who owns its environment in /proc, and the KiB it has locked."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK.format(before=before)], capture_output=True, text=True, timeout=20, check=True
    )
    found: tuple[dict[str, str], tuple[int, int], int, int] = ast.literal_eval(done.stdout)
    return found


@LINUX
def test_there_is_no_core_file_and_no_limit_can_be_raised_again() -> None:
    said, limit, _, _ = hardened()
    assert (said["coreFiles"], limit) == ("none", (0, 0))


@LINUX
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_its_memory_and_environment_in_proc_belong_to_root() -> None:
    said, _, owner, _ = hardened("os.setgroups([]); os.setgid(65534); os.setuid(65534)")
    assert (said["dumpable"], owner) == ("no", 0)


@LINUX
def test_what_is_said_of_locked_memory_is_so() -> None:
    said, _, _, locked = hardened()
    assert (locked > 0) == (not said["memoryLocked"].startswith("no"))


@LINUX
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_limit_on_locked_memory_is_told_and_stops_nothing() -> None:
    limit = "resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0)); "
    said, core, _, locked = hardened(limit + "os.setgroups([]); os.setgid(65534); os.setuid(65534)")
    assert said["memoryLocked"].startswith("no: ")
    assert said["memoryLocked"].endswith("(RLIMIT_MEMLOCK)")
    assert (core, locked) == ((0, 0), 0)
