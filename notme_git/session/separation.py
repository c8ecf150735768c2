"""What separates whoever calls a broker from the human, as far as the kernel shows it (namespaces(7)).

A certificate says `sandboxed-broker` where the caller has another file system and does not see, or cannot touch, the
human's processes. It says something of the process that asked, and nothing of what else runs for the agent.
"""

from __future__ import annotations

import os

from attest.types import Assurance
from notme_git.daemon.server import Peer


def assurance(peer: Peer) -> Assurance:
    """`same-user` unless mount namespace and pid or user namespace are others, or it is another user.

    Namespaces of another user's process, a container's, cannot be read; its user id is what separates it. Where
    nothing can be compared, as on macOS, or the process is gone, nothing separates it.
    """
    if peer.uid != os.getuid():
        return Assurance.SANDBOXED_BROKER
    apart = _apart(peer.pid, "mnt") and (_apart(peer.pid, "pid") or _apart(peer.pid, "user"))
    return Assurance.SANDBOXED_BROKER if apart else Assurance.SAME_USER


def _apart(pid: int, kind: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
    except OSError:
        return False
