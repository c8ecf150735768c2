"""A bare repository and clones of it, all plain git, for what goes from one to the other."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attest import repository
from attest.gitobject import ObjectFormat
from attest.remote import Remote
from attest.repository import Repository
from tests.peers import peer


def git(path: Path, *arguments: str, status: int = 0, stdin: str = "") -> str:
    """What git prints; it must end so."""
    done = subprocess.run(
        [str(peer("git")), *arguments], cwd=path, input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stdout.strip()


@dataclass
class Hub:
    """`bare` is what all push to. What was opened is closed with `close`."""

    root: Path
    object_format: ObjectFormat

    def __post_init__(self) -> None:
        self.bare = self.root / "hub.git"
        self._opened: list[Repository] = []
        git(self.root, "init", "-q", "--bare", "-b", "main", f"--object-format={self.object_format}", str(self.bare))
        git(self.bare, "config", "uploadpack.allowFilter", "true")
        git(self.bare, "config", "gc.auto", "0")
        # git 2.39 makes a SHA-1 clone of an empty repository, whatever that is.
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        root = git(self.bare, *who, "commit-tree", git(self.bare, "mktree"), "-m", "root")
        git(self.bare, "update-ref", "refs/heads/main", root)

    def clone(self, name: str, *options: str) -> Repository:
        git(self.root, "clone", "-q", *options, self.bare.as_uri(), name)
        path = self.root / name
        git(path, "config", "user.name", name)
        git(path, "config", "user.email", f"{name}@example.org")
        return self.open(path)

    def open(self, path: Path, environ: Mapping[str, str] | None = None) -> Repository:
        self._opened.append(repository.open_repository(path, {**os.environ, **(environ or {})}))
        return self._opened[-1]

    def close(self) -> None:
        for repo in self._opened:
            repo.close()

    def oid(self, number: int) -> str:
        """An object id, whether there is such an object or not; each in a folder of its own."""
        return f"{number:04x}".ljust(self.object_format.hex_length, "0")


def origin(repo: Repository) -> Remote:
    return Remote(repo, "origin", os.environ)
