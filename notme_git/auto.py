"""`setup --auto`, when no agent's mark is there: the human's own commits stay as they were.

Where they were signed, the program that signed them signs them, and nothing of this module is used. Where they were
not, git nevertheless calls its signing program now, because `commit.gpgsign` is on for the agents. A program that
reports success and writes no signature makes git write the commit without one (commit.c, add_header_signature adds
nothing for an empty signature): the very commit that the human's configuration made before. Whoever asks for a
signature, with an option of git's or a setting of its environment, gets one from the human's own program, or git's
error. In doubt the human's program runs: a commit that fails is seen, one without its signature is not.

git also asks itself: where it runs one of its commands for another (sequencer.c, builtin/rebase.c), it turns
`commit.gpgsign` into an option `-S`. That is told apart by what the other one was told. What cannot be told apart is
`git rebase --continue` after a `git rebase -S` from one after a rebase without it: both are without.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from attest.errors import RefusedError, UnavailableError
from attest.identity import KEY_PREFIX
from notme_git import gpg, shim, ssh, wanted
from notme_git.gitconfig import GitConfig
from notme_git.session import processes

MAX_COMMAND_BYTES = 1024 * 1024

_SHORT = re.compile(r"-[A-Za-z0-9]")
_WITH_VALUE = {
    "commit": "mFcCt",
    "commit-tree": "pmF",
    "merge": "mFsX",
    "cherry-pick": "mX",
    "revert": "mX",
    "rebase": "xXsC",
    "am": "pC",
    "pull": "sXjo",
}
"""Short options that take the rest of their word as their value, or the next word; of other commands none is known."""

_GITS_OWN_WITH_VALUE = ("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env", "--attr-source")
_RUN_OTHERS = ("rebase", "cherry-pick", "revert")
"""Commands that run `git commit`, `git merge` or `git am`, with an -S that nobody typed."""

_SEQUENCERS = re.compile(r"commit( -n)?( --amend)? -S\S*( .*)? (-e|--allow-empty-message)( .*)?", re.DOTALL)
"""How a rebase runs it (sequencer.c, run_git_commit), and not a line that the human lets it execute."""

_CONFIGURE = "git config user.signingkey FILE"


def human_signs(git: GitConfig, *, beside: Path | None = None) -> bool:
    """Whether the human's commits are signed, by all of git's configuration but what `setup --auto` wrote.

    For that stands in what the same file said before. `beside`: as `GitConfig.in_force_beside`.
    """
    found = git.booleans((wanted.SIGNS, wanted.AUTO, wanted.HUMAN_SIGNS), beside=beside)
    said = {(file, key): value for file, key, value in found}
    signs = False
    for file, key, value in found:
        if key == wanted.SIGNS and value == wanted.AUTO_ON and (file, wanted.AUTO) in said:
            before = said.get((file, wanted.HUMAN_SIGNS))
            signs = signs if before is None else before == "true"
        elif key == wanted.SIGNS:
            signs = value not in ("false", "0")
    return signs


def unsigned_as_before(call: gpg.Call | ssh.Call, key: str, payload: bytes) -> bool:
    """Whether git was told to go on without a signature; False where the human's own program shall run.

    Nobody makes a signed tag or a push certificate without having asked for it, nor names an agent's key.
    """
    if key.startswith(KEY_PREFIX) or not payload.startswith(b"tree ") or _asked_for():
        return False
    if isinstance(call, gpg.Call):
        os.write(call.status_fd, f"{gpg.PREFIX}BEGIN_SIGNING\n{gpg.PREFIX}SIG_CREATED D 0 0 00 0 0\n".encode())
    else:
        shim.write_beside(call.files[0], b"")
    return True


def check_key(key: bytes | None) -> None:
    """`RefusedError` for the key file of a human without a key: ssh-keygen would only say that it cannot load it."""
    if key is not None and key.strip() == wanted.NO_KEY.encode():
        raise RefusedError("git is to sign for you, and no key of yours is configured", hint=_CONFIGURE)


def asks(arguments: Sequence[str], *, exact: bool = True) -> bool:
    """Whether these arguments of git's ask for a signed commit (git-commit(1), git-merge(1), git-rebase(1)).

    `exact`: they are told apart; else a word that may be an option is one, and never another's value.
    """
    command, options = _parted(arguments)
    words = iter(options)
    for word in words:
        name = word.partition("=")[0]
        if len(name) >= len("--g") and "--gpg-sign".startswith(name):  # git takes abbreviations
            return True
        signs, open_ended = _cluster(word, _WITH_VALUE.get(command, ""))
        if signs:
            return True
        if open_ended and exact:
            next(words, None)
    return False


def _parted(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """git's command, and what follows it; no command where there is none that we could tell."""
    program, *words = arguments or [""]
    if os.path.basename(program) != "git":
        return os.path.basename(program).removeprefix("git-"), words
    while words and words[0].startswith("-"):
        del words[: 2 if words[0] in _GITS_OWN_WITH_VALUE else 1]
    return (words[0], words[1:]) if words else ("", [])


def _cluster(word: str, with_value: str) -> tuple[bool, bool]:
    """Of a word of short options: whether -S is among them, and whether the next word is the value of the last."""
    if not _SHORT.match(word):
        return False, False
    for at, letter in enumerate(word[1:], 2):
        if letter == "S":
            return True, False
        if letter in with_value:
            return False, at == len(word)
    return False, False


def _asked_for() -> bool:
    """Whether the git that called us was told to sign; true where that cannot be found out."""
    try:
        return _told(os.getppid())
    except (OSError, subprocess.SubprocessError, UnavailableError):
        return True


def _told(pid: int) -> bool:
    arguments = _command_line(pid)
    if not asks(arguments, exact=sys.platform != "darwin"):
        return False
    found = processes.find(pid)
    parent = found.parent if found else 0
    above = _command_line(parent) if parent > 1 else []
    if not above or os.path.basename(above[0]) != "git" or (by := _parted(above)[0]) not in _RUN_OTHERS:
        return True
    if by == "rebase" and _parted(arguments)[0] == "commit" and not _SEQUENCERS.fullmatch(" ".join(arguments[1:])):
        return True
    return _told(parent)


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
