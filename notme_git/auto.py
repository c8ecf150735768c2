"""`setup --auto`, when no agent's mark is there: the human's own commits stay as they were.

Where they were signed, the program that signed them signs them, and nothing of this module is used. Where they were
not, git nevertheless calls its signing program now, because `commit.gpgsign` is on for the agents. A program that
reports success and writes no signature makes git write the commit without one (commit.c, add_header_signature adds
nothing for an empty signature): the very commit that the human's configuration made before. Whoever asks for a
signature, with an option of git's or a setting of its environment, gets one from the human's own program, or git's
error.

git also asks itself: where it runs one of its commands for another (sequencer.c, builtin/rebase.c), it turns
`commit.gpgsign` into an option `-S`. That is told apart by what the other one was told.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from attest.errors import UnavailableError
from notme_git import gpg, ssh, wanted
from notme_git.config import Config
from notme_git.gitconfig import GitConfig
from notme_git.session import processes

MAX_COMMAND_BYTES = 1024 * 1024
SETTING = "commit.gpgsign"

_CLUSTER = re.compile(r"-[^-mFcCtX]*S")
"""-S, alone or behind other short options, but for those that take the rest of the word as their value."""

_VALUE_FOLLOWS = re.compile(r"-[A-Za-z]*[mFCtX]")
_RUN_OTHERS = ("rebase", "cherry-pick", "revert")
"""Commands that run `git commit` or `git am`, with an -S that nobody typed."""


def human_signs(config: Config) -> bool:
    """Whether the human's commits were signed before `setup --auto`."""
    values = GitConfig.find(config.environ).in_force((wanted.HUMAN_SIGNS,), Path())[wanted.HUMAN_SIGNS]
    return tuple(values[-1:]) != ("false",)


def unsigned_as_before(call: gpg.Call | ssh.Call, payload: bytes, config: Config) -> bool:
    """Whether git was told to go on without a signature; False where the human's own program shall run.

    Nobody makes a signed tag or a push certificate without having asked for it.
    """
    if not payload.startswith(b"tree ") or _asked_for(config.environ):
        return False
    if isinstance(call, gpg.Call):
        os.write(call.status_fd, f"{gpg.PREFIX}BEGIN_SIGNING\n{gpg.PREFIX}SIG_CREATED D 0 0 00 0 0\n".encode())
    else:
        with open(f"{call.files[0]}.sig", "wb"):
            pass
    return True


def asks(arguments: Sequence[str]) -> bool:
    """Whether these arguments of git's ask for a signed commit (git-commit(1), git-merge(1), git-rebase(1), git -c)."""
    words = iter(arguments)
    for word in words:
        name = word.partition("=")[0]
        if _CLUSTER.match(word) or name.lower() == SETTING:
            return True
        if len(name) > len("--g") and "--gpg-sign".startswith(name):  # git takes abbreviations
            return True
        if _VALUE_FOLLOWS.fullmatch(word):
            next(words, None)
    return False


def _asked_for(environ: Mapping[str, str]) -> bool:
    """Whether the git that called us was told to sign; true where that cannot be found out."""
    settings = [environ.get("GIT_CONFIG_PARAMETERS", "")]  # what -c becomes for the commands that git runs
    settings += [value for name, value in environ.items() if name.startswith("GIT_CONFIG_KEY_")]
    if any(SETTING in text.lower() for text in settings):
        return True
    try:
        return _told(os.getppid())
    except (OSError, subprocess.SubprocessError, UnavailableError):
        return True


def _told(pid: int) -> bool:
    if not asks(_command_line(pid)):
        return False
    found = processes.find(pid)
    parent = found.parent if found else 0
    arguments = _command_line(parent) if parent > 1 else []
    by_git = bool(arguments) and os.path.basename(arguments[0]) == "git"
    return _told(parent) if by_git and any(command in arguments for command in _RUN_OTHERS) else True


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
