"""The program that keeps what is not ours: the one git was configured with before, else the usual one on PATH.

Never a program of ours, which would call itself for ever: neither a shim nor, whatever it is called, a wrapper around
this very call. The environment says through which programs a call came here already (`PASSED`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from attest.errors import UnavailableError
from notme_git import gitconfig, shimfile
from notme_git.gitconfig import GitConfig

PASSED = "NOTME_PASSED"
"""Absolute paths of the programs that this call was handed to already, separated like those of PATH."""

KEYS = {
    "gpgsm": ("notme.previousX509Program", "gpg.x509.program"),
    "ssh-keygen": ("notme.previousSshProgram", "gpg.ssh.program"),
    "gpg": ("notme.previousOpenpgpProgram", "gpg.program"),
}
"""By dialect: where setup remembers the program, and where git looks for it. The dialect is git's own default."""


def program(home: Path | None, dialect: str, *, environ: Mapping[str, str], directory: Path = Path()) -> str | None:
    """The program for calls that are not ours, as an absolute path; None where there is none.

    Raises `UnavailableError` when the remembered one is gone: another in its place would judge by other roots.
    """
    remembered, configured = KEYS[dialect]
    try:
        git = GitConfig.find(environ)
    except UnavailableError:  # no git that could have been set up
        git = None
    values = git.in_force((remembered,), directory)[remembered] if git is not None else ()
    if values and values[-1]:
        found = resolve(values[-1], environ, directory)
        if found is None:
            raise UnavailableError(
                f"{values[-1]!r}, the {configured} from before setup, is gone",
                hint=f"install it again, or set {remembered} to another",
            )
        if not is_ours(found, home) and os.path.realpath(found) not in _passed(environ):
            return found
    return next(_candidates(home, dialect, environ), None)


def environment(environ: Mapping[str, str], chosen: str) -> dict[str, str]:
    """The environment to run `chosen` in: as it is, and with `chosen` among those that were passed."""
    passed = environ.get(PASSED, "")
    return {**environ, PASSED: f"{passed}{os.pathsep}{chosen}" if passed else chosen}


def resolve(name: str, environ: Mapping[str, str], directory: Path) -> str | None:
    """The executable that git would run (run-command.c): by PATH if a bare name; `~/` since git 2.51."""
    if os.sep not in name:
        return next(gitconfig.find_programs(name, environ), None)
    if name.startswith("~/"):
        name = environ.get("HOME", "") + name[1:]
    path = os.path.abspath(directory / name)
    return path if os.path.isfile(path) and os.access(path, os.X_OK) else None


def is_ours(program: str, home: Path | None) -> bool:
    """Whether the program is a shim, or lies where those of `home` do."""
    if shimfile.is_shim(program):
        return True
    return home is not None and os.path.dirname(os.path.realpath(program)) == os.path.realpath(shimfile.folder(home))


def _candidates(home: Path | None, dialect: str, environ: Mapping[str, str]) -> Iterator[str]:
    passed = _passed(environ)
    for found in gitconfig.find_programs(dialect, environ):
        if os.path.realpath(found) not in passed and not is_ours(found, home):
            yield found


def _passed(environ: Mapping[str, str]) -> set[str]:
    return {os.path.realpath(program) for program in environ.get(PASSED, "").split(os.pathsep) if program}
