"""`notme.timestamp`, `notme.tsa` and `notme.tsaRoot` in git's configuration: when signatures are time-stamped, by whom.

A signature has to be quick, and asking git takes longer than signing: what git said of a folder is kept as long as no
file that git read there is another (`Settings`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from attest.errors import UsageError
from notme_git.gitconfig import GitConfig
from notme_git.tsa.address import Address

if TYPE_CHECKING:
    from attest.foreign.cmstime import Stamper

WHEN, WHERE, ROOT = "notme.timestamp", "notme.tsa", "notme.tsaRoot"
ALWAYS, PUSH, NEVER = "always", "push", "never"

OPTIONAL = "optional"
"""Of the same value, about the authority's own time-stamp (docs/login.md); the two may stand together."""

MAX_ADDRESSES = 4
MAX_FOLDERS = 256
"""Folders whose settings are remembered; a daemon has a handful."""


@dataclass(frozen=True, slots=True)
class Setting:
    """When (`always`, `push`, `never`), by whom, and the files of the roots that their tokens have to lead to."""

    when: str = NEVER
    addresses: tuple[Address, ...] = ()
    roots: tuple[Path, ...] = ()

    def stampers(self) -> tuple[Stamper, ...]:
        """What the files name; `UnavailableError` for one that cannot be read."""
        from attest import verifier  # what only asking needs

        return verifier.load_roots(tsa_roots=self.roots).tsa


def read(git: GitConfig, directory: Path) -> Setting:
    """What git goes by in `directory`. Raises `UsageError` for values that make no sense."""
    found = git.in_force((WHEN, WHERE, ROOT), directory)
    words = (found[WHEN] or ("",))[-1].split()
    if not {ALWAYS, PUSH, NEVER, OPTIONAL}.issuperset(words) or len(set(words) - {OPTIONAL}) > 1:
        raise UsageError(f"{WHEN} is none of {ALWAYS}, {PUSH} and {NEVER}", hint=f"git config {WHEN} {NEVER}")
    when = next((word for word in words if word != OPTIONAL), NEVER)
    addresses = tuple(dict.fromkeys(map(Address.parse, filter(None, found[WHERE]))))
    if len(addresses) > MAX_ADDRESSES:
        raise UsageError(f"{WHERE} names {len(addresses)} authorities; at most {MAX_ADDRESSES} are asked")
    if when != NEVER and not addresses:
        raise UsageError(f"{WHEN} is {when}, and {WHERE} names nobody to ask", hint=f"git config {WHERE} URL")
    for value in found[ROOT]:
        if not os.path.isabs(value):
            raise UsageError(f"{ROOT} is {value!r}, which is not an absolute path", hint="give an absolute path")
    return Setting(when, addresses, tuple(map(Path, found[ROOT])))


@dataclass(slots=True)
class Settings:
    """The settings of folders, as last read. `environ` is the environment that git runs in."""

    environ: Mapping[str, str]
    _kept: dict[str, tuple[tuple[object, ...], tuple[Path, ...], Setting | UsageError]] = field(default_factory=dict)

    def of(self, folder: str) -> Setting:
        """Those of a folder; read again when one of the files of git's configuration is another."""
        kept = self._kept.get(folder)
        if kept is None or _state(kept[1]) != kept[0]:
            git, directory = GitConfig.find(self.environ), Path(folder)
            files = _files(git, directory, self.environ)
            state, setting = _state(files), _read(git, directory)
            if len(self._kept) >= MAX_FOLDERS:
                self._kept.clear()
            self._kept[folder] = kept = state, files, setting
        if isinstance(kept[2], UsageError):
            raise kept[2]
        return kept[2]


def _read(git: GitConfig, directory: Path) -> Setting | UsageError:
    try:
        return read(git, directory)
    except UsageError as error:
        return error


def _files(git: GitConfig, directory: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Those that git reads there, included ones too, and those it would read if they were there (git-config(1))."""
    said = git.ask("config", "--null", "--show-origin", "--name-only", "--list", directory=directory)
    found, top = [os.fsdecode(each[5:]) for each in said.split(b"\0") if each.startswith(b"file:")], directory
    paths = list[Path]()
    with contextlib.suppress(UsageError):
        own = git.repository_file(directory)
        paths += [own, own.with_name("config.worktree")]
        # git names files of the repository from the top of its working tree.
        top = directory / os.fsdecode(git.ask("rev-parse", "--show-cdup", directory=directory).removesuffix(b"\n"))
    paths += [top / each for each in found]
    home = environ.get("HOME", "")
    paths += [Path(home, ".gitconfig"), Path(environ.get("XDG_CONFIG_HOME") or Path(home, ".config"), "git", "config")]
    return tuple(dict.fromkeys((*paths, Path("/etc/gitconfig"))))


def _state(files: tuple[Path, ...]) -> tuple[object, ...]:
    return tuple(map(_of, files))


def _of(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns
