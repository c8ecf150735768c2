"""The environment that makes a process tree act as one agent, and the process that leads it.

Nothing on disk changes: git reads GIT_CONFIG_COUNT, GIT_CONFIG_KEY_n and GIT_CONFIG_VALUE_n after every file
(git-config(1), ENVIRONMENT), so what is set there wins over a repository's own configuration. Only `git -c` wins over
them, which no environment can prevent; the report at the end of a session says what came of it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attest.errors import UnavailableError, UsageError
from notme_git.session.record import Session

FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit statuses of a shell for a command that cannot be run (POSIX 2.8.2)."""

PR_SET_CHILD_SUBREAPER = 36
SI_KERNEL = 0x80
"""si_code of a signal that the terminal sent: it goes to the whole foreground group, and so to the command, too."""

MAX_COUNT = 10_000


@dataclass(frozen=True, slots=True)
class Reach:
    """Where the signer of a session is found: a socket's path, and the home; none behind a broker."""

    socket: str
    home: str = ""


def environment(
    environ: Mapping[str, str],
    session: Session,
    values: Mapping[str, str],
    identity: tuple[str, str],
    reach: Reach,
) -> dict[str, str]:
    """The command's environment: as it is, with the session's identity on top. `UsageError` for a broken count."""
    name, email = identity
    made = {
        **environ,
        **_configuration(environ, values),
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
        "NOTME_SESSION": session.id,
        "NOTME_AGENT": session.agent,
        "NOTME_SOCKET": reach.socket,
    }
    if reach.home:
        return {**made, "NOTME_HOME": reach.home}
    made.pop("NOTME_HOME", None)
    return {**made, "NOTME_BROKER": reach.socket}


def _configuration(environ: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    count = environ.get("GIT_CONFIG_COUNT", "") or "0"
    if not count.isdecimal() or int(count) > MAX_COUNT:
        raise UsageError(f"GIT_CONFIG_COUNT is {count[:32]!r}, which git would refuse", hint="unset it")
    made = {"GIT_CONFIG_COUNT": str(int(count) + len(values))}
    for number, (key, value) in enumerate(values.items(), int(count)):
        made[f"GIT_CONFIG_KEY_{number}"], made[f"GIT_CONFIG_VALUE_{number}"] = key, value
    return made


def adopt_orphans() -> None:
    """Have the kernel give us what the command leaves behind (prctl(2)), so that it stays in the session's tree."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command to its end and return its exit status, 128 and the number for one that a signal ended.

    Signals are forwarded, but for those that the terminal sends to the command itself.
    """
    awaited = {*FORWARDED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    try:
        try:
            child = os.posix_spawnp(command[0], list(command), dict(environ), setsigmask=before, setsigdef=FORWARDED)
        except OSError as error:
            sys.stderr.write(f"notme-git: cannot run {command[0]}: {error.strerror}\n")
            return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        while True:
            number, from_terminal = _next(awaited)
            if number != signal.SIGCHLD:
                if not from_terminal:
                    os.kill(child, number)
                continue
            status = _reap(child)
            if status is not None:
                return status
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _next(awaited: set[signal.Signals]) -> tuple[int, bool]:
    if sys.platform == "darwin":  # sigwaitinfo(2) is not offered there
        number = signal.sigwait(awaited)
        return number, number in (signal.SIGINT, signal.SIGQUIT) and os.isatty(0)
    info = signal.sigwaitinfo(awaited)
    return info.si_signo, info.si_code == SI_KERNEL


def _reap(child: int) -> int | None:
    """Wait for whoever has ended; the child's exit status, None while it runs."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            if found is None:
                raise UnavailableError("the command is gone, and nobody said how it ended") from None
            return found
        if pid == 0:
            return found
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            found = code if code >= 0 else 128 - code
