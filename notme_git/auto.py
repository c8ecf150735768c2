"""`setup --auto`, when no agent's mark is there: the human's own commits stay as they were.

Where they were signed, the program that signed them signs them, and nothing of this module is used. Where they were
not, git nevertheless calls its signing program now, because `commit.gpgsign` is on for the agents. A program that
reports success and writes no signature makes git write the commit without one (commit.c, add_header_signature adds
nothing for an empty signature): the very commit that the human's configuration made before. Whoever asks for a
signature on git's command line gets one from the human's own program, or git's error.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from attest.errors import UnavailableError
from notme_git import gpg, ssh, wanted
from notme_git.config import Config
from notme_git.gitconfig import GitConfig

MAX_COMMAND_BYTES = 1024 * 1024
_ASKS = ("-S", "--gpg-sign", "commit.gpgsign", "commit.gpgSign")
"""How arguments begin that ask for a signed commit (git-commit(1), git-merge(1), git-rebase(1), git -c)."""


def unsigned_as_before(dialect: str, words: Sequence[str], config: Config) -> int | None:
    """Exit status 0 where git shall go on without a signature; None where the human's own program shall run."""
    call: gpg.Call | ssh.Call = ssh.Call(words) if dialect == "ssh-keygen" else gpg.Call(words)
    if call.mode != "sign" or _human_signs(config) or not _is_commit(call) or _asked_for():
        return None
    if isinstance(call, gpg.Call):
        os.write(call.status_fd, f"{gpg.PREFIX}BEGIN_SIGNING\n{gpg.PREFIX}SIG_CREATED D 0 0 00 0 0\n".encode())
    else:
        with open(f"{call.files[0]}.sig", "wb"):
            pass
    return 0


def _human_signs(config: Config) -> bool:
    values = GitConfig.find(config.environ).in_force((wanted.HUMAN_SIGNS,), Path())[wanted.HUMAN_SIGNS]
    return tuple(values[-1:]) != ("false",)


def _is_commit(call: gpg.Call | ssh.Call) -> bool:
    """Nobody makes a signed tag or a push certificate without having asked for it."""
    if isinstance(call, gpg.Call):
        return io.BufferedReader(io.FileIO(0, closefd=False)).peek(5)[:5] == b"tree "
    with open(call.files[0], "rb") as file:
        return file.read(5) == b"tree "


def _asked_for() -> bool:
    """Whether the git that called us was told to sign on its command line; true where that cannot be found out."""
    try:
        arguments = _command_line(os.getppid())
    except (OSError, subprocess.SubprocessError, UnavailableError):
        return True
    return any(argument.startswith(_ASKS) for argument in arguments)


def _command_line(pid: int) -> list[str]:
    """proc_pid_cmdline(5); on macOS `ps`, whose blanks cannot be told from those inside an argument."""
    if sys.platform == "darwin":
        ps = ["/bin/ps", "-o", "args=", "-p", str(pid)]
        done = subprocess.run(ps, capture_output=True, text=True, timeout=5, check=True)
        return done.stdout.split()
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        content = file.read(MAX_COMMAND_BYTES)
    if not content:
        raise UnavailableError(f"process {pid} has no command line")
    return os.fsdecode(content).split("\0")
