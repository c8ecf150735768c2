"""The files that signing goes by: the program git runs, the programs in the home, the key that is configured."""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from attest.identity import KEY_PREFIX
from notme_git import previous, shimfile, ssh
from notme_git.doctor.facts import FORMATS, PROGRAM_KEYS, USUAL, Git, Key, Program, Shims

MAX_MODULE_BYTES = 256 * 1024
_LITERAL = ("key::", "ssh-")
"""How a key begins that is no file's name (gpg-interface.c, is_literal_ssh_key)."""


def program(git: Git, environ: Mapping[str, str], directory: Path) -> Program:
    """The program for the format in force."""
    form = git.value("gpg.format").lower() or "openpgp"
    if form not in FORMATS:
        return Program("", exists=False)
    name = git.value(*PROGRAM_KEYS[form]) or USUAL[form]
    runs = found(name, environ, directory)
    if runs is not None:
        return Program(name, runs, shim=shimfile.is_shim(runs))
    path = _place(name, environ, directory)
    return Program(name, path, os.path.isfile(path), False, shimfile.is_shim(path)) if path else _absent(name)


def found(name: str, environ: Mapping[str, str], directory: Path) -> str | None:
    """The executable that git would run."""
    return previous.resolve(name, environ, directory)


def shims(home: Path, python: str) -> Shims:
    """What lies in `<home>/bin`; nothing is said where there is no such folder."""
    folder = shimfile.folder(home)
    if not folder.is_dir():
        return Shims()
    different = shimfile.stale(home, python)
    missing = tuple(file.name for file in different if not file.exists())
    named = _recorded_python(folder / shimfile.MODULE)
    runs = not named or (os.path.isfile(named) and os.access(named, os.X_OK))
    return Shims(missing, tuple(file.name for file in different if file.name not in missing), named, runs)


def key(git: Git, environ: Mapping[str, str], directory: Path) -> Key:
    """`user.signingkey` in force; only format ssh takes it for a file's name."""
    value = git.value("user.signingkey")
    if value.startswith(KEY_PREFIX) or not value:
        return Key(named=value)
    if git.value("gpg.format").lower() != "ssh":
        return Key()
    if value.startswith(_LITERAL):
        said = ssh.key_name("", value.removeprefix("key::").encode("utf-8", "surrogateescape"))
        return Key(named=said, literal=True)
    path = _place(value, environ, directory) or str(directory / value)
    try:
        content = _read(path, ssh.MAX_KEY_BYTES)
    except FileNotFoundError:
        return Key(path=path, problem="missing")
    except OSError:
        return Key(path=path, problem="unreadable")
    said = ssh.key_name("", content)
    return Key(named=said, path=path, problem="" if content else "empty")


def _absent(name: str) -> Program:
    return Program(name, "", exists=False, executable=False)


def _place(name: str, environ: Mapping[str, str], directory: Path) -> str:
    """Where a file of that name lies; empty for a bare name, which git looks for on PATH."""
    if os.sep not in name:
        return ""
    if name.startswith("~/"):
        name = environ.get("HOME", "") + name[1:]
    return os.path.abspath(directory / name)


def _recorded_python(module: Path) -> str:
    """The interpreter that `shimfile` wrote into the module; empty where it cannot be told."""
    try:
        lines = _read(str(module), MAX_MODULE_BYTES).decode("utf-8").splitlines()
        line = next(line for line in lines if line.startswith("PYTHON = "))
        return str(ast.literal_eval(line.removeprefix("PYTHON = ")))
    except (OSError, StopIteration, SyntaxError, ValueError):
        return ""


def _read(path: str, limit: int) -> bytes:
    """At most `limit` bytes of a regular file; `OSError` otherwise. O_NONBLOCK: a FIFO would wait for its writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "no regular file")
        return file.read(limit)


