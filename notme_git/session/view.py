"""The broker's own view of a repository's objects: which exist, whatever the repository's configuration says.

The sandbox may write to the repository, its configuration included. So its objects are read through an empty
repository of ours that borrows them (gitrepository-layout(5), objects/info/alternates): no hook, no filter, no
promisor remote of the sandbox's is ever run. What the repository itself borrows is settled when the broker
starts: git sees folders of links to fan-out and packs alone, and never the sandbox's own objects/info.

    <scratch>/sha1/, <scratch>/sha256/    the empty repositories, which borrow from all of
    <scratch>/ground-N/00 .. ff, pack     links into one folder of objects

The scratch folder has to be where no sandbox sees it: whoever can write to it decides what git runs outside.
"""

from __future__ import annotations

import functools
import os
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from attest.errors import RefusedError, UnavailableError
from attest.gitobject import ObjectFormat
from notme_git.acting import REPLAY_STATE
from notme_git.gitconfig import GitConfig
from notme_git.session import alternates, bounded

TIMEOUT_S = 10
MAX_ENTRIES = 100_000
"""Packs and their indexes. git opens every index; with more of them it does not end in time."""

QUIET = {
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",  # known since 2.44 and 2.39.4; to an older git, no transport is allowed
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
_FORMATS = {fmt.hex_length: fmt for fmt in ObjectFormat}
_FANOUT = tuple(f"{number:02x}" for number in range(256))


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, and which one it was when the broker started."""

    path: Path
    identity: tuple[int, int]

    @classmethod
    def of(cls, path: Path) -> Place:
        """`UnavailableError` where there is none."""
        try:
            return cls(path, _identity(path))
        except OSError as error:
            raise UnavailableError(f"cannot look into {path}: {error.strerror}") from None

    def check(self) -> None:
        """`RefusedError` if another is in its place."""
        try:
            same = _identity(self.path) == self.identity
        except OSError:
            same = False
        if not same:
            hint = "begin a new session"
            raise RefusedError(f"{self.path} is not the folder that it was when the broker started", hint=hint)

    def check_links(self, loose: Path) -> None:
        """`RefusedError` for a link in it, which could lead to what the sandbox may not see."""
        self.check()
        if not (_holds_links(self.path) or _holds_links(self.path / "pack") or (self.path / loose).is_symlink()):
            return
        raise RefusedError(
            f"there are symbolic links in {self.path}, or too many packs; the broker follows none",
            hint="put the objects themselves there",
        )


@dataclass(frozen=True, slots=True)
class View:
    """A look at the objects in the folders `ground`, of which `objects` is the repository's own, through `bare`."""

    git: str
    work: Path
    folder: Place
    objects: Path
    ground: tuple[Place, ...]
    bare: Path
    environ: Mapping[str, str]

    @classmethod
    def open(cls, repository: Path, scratch: Path, environ: Mapping[str, str]) -> View:
        """The view of the repository at `repository`, as it is found now; `scratch` is a private folder of ours."""
        git = GitConfig.find(environ).program
        clean = {**QUIET, "HOME": str(scratch), "GIT_CONFIG_GLOBAL": os.devnull}
        users = {"HOME": environ.get("HOME", "/")}  # for safe.directory, which only the user can set
        folder = _ask(git, repository, users, "--absolute-git-dir")
        objects = _ask(git, repository, users, "--git-path", "objects")
        ground = tuple(map(Place.of, (objects, *alternates.places(objects))))
        for number, place in enumerate(ground):
            links = scratch / f"ground-{number}"
            links.mkdir(mode=0o700)
            for name in (*_FANOUT, "pack"):
                (links / name).symlink_to(place.path / name)
        for fmt in ObjectFormat:
            bare = scratch / str(fmt)
            _run(git, ["init", "-q", "--bare", f"--object-format={fmt}", str(bare)], scratch, clean)
            borrowed = "".join(f"../../ground-{number}\n" for number in range(len(ground)))
            (bare / "objects" / "info" / "alternates").write_text(borrowed, "ascii")
        return cls(git, repository, Place.of(folder), objects, ground, scratch, clean)

    def kind(self, object_id: str) -> str | None:
        """The type of the object of that id, None where there is no such object.

        `RefusedError` where the repository's folders lead elsewhere than when the broker started.
        """
        fmt = _FORMATS.get(len(object_id))
        if fmt is None:
            return None
        for place in self.ground:
            place.check_links(Path(object_id[:2], object_id[2:]))
        command = ["--no-replace-objects", "cat-file", "--batch-check=%(objecttype)"]
        told = _run(self.git, command, self.bare / str(fmt), self.environ, stdin=f"{object_id}\n".encode())
        word = told.decode("ascii", "replace").split()
        return word[0] if len(word) == 1 else None

    def replaying(self) -> bool:
        """Whether git is replaying commits there (`acting.replaying`). No link is followed."""
        self.folder.check()
        return any(os.path.lexists(self.folder.path / name) for name in REPLAY_STATE)


def objects_folder(repository: Path, environ: Mapping[str, str]) -> Path:
    """Where git has the objects of the repository at `repository`; `UnavailableError` without one."""
    return _ask(GitConfig.find(environ).program, repository, environ, "--git-path", "objects")


def _ask(git: str, repository: Path, environ: Mapping[str, str], *words: str) -> Path:
    found = _run(git, ["rev-parse", *words], repository, {**environ, **QUIET})
    return Path(os.path.realpath(repository / os.fsdecode(found.removesuffix(b"\n"))))


def _identity(path: Path) -> tuple[int, int]:
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(0, "it is no folder")
    return found.st_dev, found.st_ino


def _holds_links(folder: Path) -> bool:
    """Or more entries than are looked at."""
    try:
        with os.scandir(folder) as entries:
            return any(entry.is_symlink() for entry in islice(entries, MAX_ENTRIES)) or next(entries, None) is not None
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _run(git: str, words: list[str], folder: Path, environ: Mapping[str, str], stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run(
            [git, *words],
            cwd=folder,
            env=dict(environ),
            input=stdin,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            preexec_fn=functools.partial(bounded.limit, TIMEOUT_S),  # no threads here that could hold a lock
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"git cannot look into {folder}: {error}") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise UnavailableError(f"git cannot look into {folder}: {said[0]}", hint="name a repository with --repo")
    return done.stdout
