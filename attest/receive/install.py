"""Put the hooks into a repository, and take them out again. A hook that was there before goes on running, after ours.

Where hooks lie, git itself is asked (`core.hooksPath`). A directory outside of the repository serves others too, and
one inside of its worktree is part of the project: neither is touched unless that was asked for.
"""

from __future__ import annotations

import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from attest.errors import UnavailableError, UsageError
from attest.repository import Repository

SERVER = ("pre-receive", "post-receive")
"""Not `update`: it sees one ref at a time and judges again what `pre-receive` has judged."""

PUSH = "pre-push"

CLIENT = (PUSH, "commit-msg")

REWRITE = "post-rewrite"
"""On the client, too, where there is something to sign records with."""

ALL = (*SERVER, "update", *CLIENT, REWRITE)

MARK = "# notme-attest hook: "
"""Stands in the second line of every hook of ours, before its name."""

BEFORE = ".before-notme"
"""Ends the name that a hook which was there before gets."""

MAX_HOOK_BYTES = 1024 * 1024
"""Bytes looked at to see whose hook it is; ours has a few hundred."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of one hook: its path, what was done, and the hook that runs after it, if one was there."""

    path: Path
    done: str
    then: Path | None


def folder(repo: Repository, *, shared: bool) -> Path:
    """Where git looks for this repository's hooks. Raises `UsageError` where others look there too."""
    done = repo.git("rev-parse", "--git-path", "hooks")
    common = repo.git("rev-parse", "--git-common-dir")
    if done.returncode or common.returncode:
        raise UnavailableError("git does not say where the hooks of this repository are")
    found = Path(os.path.abspath(repo.path / os.fsdecode(done.stdout).removesuffix("\n")))
    inside = Path(os.path.abspath(repo.path / os.fsdecode(common.stdout).removesuffix("\n")))
    if found.parent.resolve() != inside.resolve() and not shared:
        raise UsageError(
            f"core.hooksPath names {found}, whose hooks are not this repository's alone",
            hint='call "notme-attest hook NAME" from its hooks, or say --shared to install there',
        )
    return found


def script(name: str, command: tuple[str, ...], then: bool) -> str:
    """The text of a hook. `command` is the program with its first words; `then` runs the hook that was there before."""
    words = " ".join(shlex.quote(word) for word in (*command, "hook", name))
    chained = f' --then "$0{BEFORE}"' if then else ""
    return f'#!/bin/sh\n{MARK}{name}\nexec {words}{chained} -- "$@"\n'


def place(hooks: Path, name: str, command: tuple[str, ...]) -> Placed:
    """Write one hook. One that is there already and not ours keeps running after it, under another name.

    Where the hook that is there runs all files of a folder beside it, as Forgejo's does, ours becomes one of them.
    """
    path = _path(hooks, name)
    before = path.with_name(f"{path.name}{BEFORE}")
    try:
        hooks.mkdir(parents=True, exist_ok=True)
        existing = _whose(path, name)
        if existing == "theirs":
            if os.path.lexists(before):
                raise UnavailableError(f"both {path} and {before} are there", hint="see which of them is wanted")
            os.rename(path, before)
        chained = os.path.lexists(before)
        _write(path, script(name, command, chained))
    except OSError as error:
        raise UnavailableError(f"cannot write the hook {path}: {error.strerror}") from None
    return Placed(path, "replaced" if existing == "ours" else "installed", before if chained else None)


def remove(hooks: Path, name: str) -> Placed:
    """Take one hook of ours out, and put the one before it back. What is not ours stays."""
    path = _path(hooks, name)
    before = path.with_name(f"{path.name}{BEFORE}")
    try:
        if _whose(path, name) != "ours":
            return Placed(path, "not ours" if os.path.lexists(path) else "not there", None)
        if os.path.lexists(before):
            os.replace(before, path)
            return Placed(path, "restored", None)
        os.unlink(path)
    except OSError as error:
        raise UnavailableError(f"cannot take out the hook {path}: {error.strerror}") from None
    return Placed(path, "removed", None)


def is_ours(hooks: Path, name: str) -> bool:
    """Whether the hook of this name is one that `place` wrote."""
    try:
        return _whose(_path(hooks, name), name) == "ours"
    except OSError:
        return False


def _path(hooks: Path, name: str) -> Path:
    """Where a hook goes: beside those that the server's own hook runs, if it says that it does, else in its place."""
    folder = hooks / f"{name}.d"
    try:
        with open(hooks / name, "rb") as file:
            delegates = folder.is_dir() and folder.name.encode() in file.read(MAX_HOOK_BYTES)
    except OSError:
        delegates = False
    return folder / "notme" if delegates else hooks / name


def _whose(path: Path, name: str) -> str:
    """`ours`, `theirs` or `nobody's`. A link is theirs wherever it leads."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return "nobody's"
    if not stat.S_ISREG(found.st_mode):
        return "theirs"
    with open(path, "rb") as file:
        lines = file.read(MAX_HOOK_BYTES).split(b"\n", 2)
    return "ours" if len(lines) > 1 and lines[1] == f"{MARK}{name}".encode() else "theirs"


def _write(path: Path, text: str) -> None:
    """Whole or not at all: a push may come in at any moment."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    with open(temporary, "w", opener=_executable) as file:
        file.write(text)
    os.replace(temporary, path)


def _executable(path: str, flags: int) -> int:
    return os.open(path, flags, 0o755)
