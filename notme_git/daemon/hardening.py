"""What a process that holds keys asks of the kernel, and what it was given.

No core file (setrlimit(2), RLIMIT_CORE), no debugger of the same user and no reading of its memory through /proc
(prctl(2), PR_SET_DUMPABLE), no page on the swap disk (mlockall(2)). Each is tried; what was refused is reported by
`notme-git daemon status` and stops nothing: a laptop's limit on locked memory is no reason to sign without a daemon.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

PR_SET_DUMPABLE = 4
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4  # <bits/mman-linux.h>
PT_DENY_ATTACH = 31  # macOS, <sys/ptrace.h>


def harden() -> dict[str, str]:
    """Try all of it; by name `yes`, or why not."""
    return {"coreFiles": _no_core(), "dumpable": _not_dumpable(), "memoryLocked": _lock_memory()}


def hide() -> None:
    """The part of it that is free: for commands, most of which hold no key."""
    _no_core()
    _not_dumpable()


def _no_core() -> str:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        return f"not limited: {error}"
    return "none"


def _not_dumpable() -> str:
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux":
        failed = library.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    elif sys.platform == "darwin":
        failed = library.ptrace(PT_DENY_ATTACH, 0, 0, 0)
    else:
        return "unknown on this system"
    return os.strerror(ctypes.get_errno()) if failed else "no"


def _lock_memory() -> str:
    if sys.platform != "linux":
        return "no: not offered by this system"
    # With a limit, MCL_FUTURE would make later allocations fail in the middle of a signature.
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY or os.geteuid() == 0
    flags = MCL_CURRENT | MCL_ONFAULT | (MCL_FUTURE if unlimited else 0)
    if ctypes.CDLL(None, use_errno=True).mlockall(flags):
        return f"no: {os.strerror(ctypes.get_errno())} (RLIMIT_MEMLOCK)"
    return "yes" if unlimited else "what there was at the start"
