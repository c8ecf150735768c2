"""The daemon: whether what its address names answers, is ours, and is of this version."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from attest.report.text import printable
from notme_git.daemon.cli import one_line
from notme_git.doctor.facts import Facts
from notme_git.doctor.finding import Finding, Fix

MAX_REASON = 600
"""Characters of a refusal that are shown."""

RESTART = "notme-git daemon stop"
"""git starts another when it needs one."""


def check_daemon(facts: Facts) -> Iterator[Finding]:
    """Who listens. No daemon is no finding: git's program starts one."""
    daemon = facts.daemon
    if daemon.state == "dead" and facts.mode != "blind":  # there check_ssh says what follows
        message = f"nobody listens at {daemon.address}, which the daemon's address names"
        yield Finding("daemon-dead", message, "remove the address", "notme-git doctor --fix", Fix.ADDRESS)
    elif daemon.state == "foreign":
        message = f"at {daemon.address} another user listens; signing goes on without a daemon"
        yield Finding("daemon-foreign", message, "see who made it, then remove the address",
                      f"rm {shlex.quote(str(facts.home / 'daemon' / 'address'))}")  # fmt: skip
    elif daemon.state == "silent":
        yield Finding("daemon-silent", f"the daemon at {daemon.address} does not answer", "end its process")
    elif daemon.state == "running" and daemon.status is not None:
        yield from _running(facts, daemon.status)


def check_socket(facts: Facts) -> Iterator[Finding]:
    """The socket's folder and mode, and the runtime directory."""
    daemon = facts.daemon
    if facts.sandboxed:
        return
    if daemon.folder_bad:
        message = f"{daemon.folder} is not a folder of this user alone, so no daemon listens there"
        yield Finding("daemon-folder", message, "see who made it; it should be yours with mode 0700",
                      f"chmod 0700 {shlex.quote(daemon.folder)}")  # fmt: skip
    elif daemon.folder_blocked:
        message = f"{daemon.folder} cannot be made or written to, so there is no daemon to sign faster"
        yield Finding("daemon-folder-blocked", message, "let XDG_RUNTIME_DIR name a folder of yours, 0700")
    elif daemon.socket_open and daemon.state != "foreign":
        message = f"the socket {daemon.address} is open to other users"
        yield Finding("daemon-socket-open", message, "stop the daemon: the next one makes it anew", RESTART)
    if daemon.runtime_dir != "private":
        what = "is not set" if daemon.runtime_dir == "unset" else "is not a folder of this user alone"
        message = f"XDG_RUNTIME_DIR {what}, so the daemon's socket lies in {daemon.folder}"
        yield Finding("runtime-dir", message, "log in through a session manager, or set it to a folder of yours, 0700")


def _running(facts: Facts, status: dict[str, Any] | Any) -> Iterator[Finding]:
    ours = facts.daemon.version
    if status.get("version") != ours:
        message = f"the daemon is of version {status.get('version')}, this program of {ours}"
        yield Finding("daemon-version", message, "stop it: git starts the new one", RESTART)
    refusal = status.get("lastRefusal")
    if isinstance(refusal, dict) and refusal.get("signatures") == status.get("signatures"):
        # git up to 2.42 shows nobody why a signature was refused.
        why = printable(one_line(str(refusal.get("reason", "")))[:MAX_REASON])
        yield Finding("daemon-refused", f"the last call that failed, at {refusal.get('at')}: {why}", "do what it says")
    hardening = status.get("hardening") or {}
    if hardening.get("dumpable") != "no":
        message = f"debuggers of this user can read the daemon's memory: {hardening.get('dumpable')}"
        yield Finding("daemon-dumpable", message, "keep to a kernel that refuses it, or to short-lived credentials")
    if str(hardening.get("memoryLocked", "")).startswith("no"):
        message = f"the daemon's memory is not locked: {hardening.get('memoryLocked')}"
        yield Finding("daemon-unlocked", message, "raise the limit on locked memory (ulimit -l), or encrypt the swap")
