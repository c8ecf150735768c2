"""The broker's own view of a repository's objects: which exist, whatever the repository's configuration says.

The sandbox may write to the repository, its configuration included. So its objects are read through an empty
repository of ours that borrows them (gitrepository-layout(5), objects/info/alternates): no hook, no filter, no
promisor remote of the sandbox's is ever run.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attest.errors import UnavailableError
from attest.gitobject import ObjectFormat
from notme_git.gitconfig import GitConfig

TIMEOUT_S = 10.0
_FORMATS = {fmt.hex_length: fmt for fmt in ObjectFormat}


@dataclass(frozen=True, slots=True)
class View:
    """A look at the objects below `objects`, through `bare`, one empty repository for each object format."""

    git: str
    work: Path
    objects: Path
    bare: Path
    environ: Mapping[str, str]

    @classmethod
    def open(cls, repository: Path, scratch: Path, environ: Mapping[str, str]) -> View:
        """The view of the repository at `repository`, as it is found now; `scratch` is a private folder of ours."""
        git = GitConfig.find(environ).program
        clean = {"HOME": str(scratch), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
        users = {**clean, "HOME": environ.get("HOME", "/")}  # for safe.directory, which only the user can set
        found = _run(git, ["rev-parse", "--git-path", "objects"], repository, users)
        objects = Path(os.path.realpath(repository / os.fsdecode(found.rstrip(b"\n"))))
        for fmt in ObjectFormat:
            bare = scratch / str(fmt)
            _run(git, ["init", "-q", "--bare", f"--object-format={fmt}", str(bare)], scratch, clean)
            (bare / "objects" / "info" / "alternates").write_bytes(os.fsencode(objects) + b"\n")
        return cls(git, repository, objects, scratch, clean)

    def kind(self, object_id: str) -> str | None:
        """The type of the object of that id, None where there is no such object."""
        fmt = _FORMATS.get(len(object_id))
        if fmt is None:
            return None
        command = ["--no-replace-objects", "cat-file", "--batch-check=%(objecttype)"]
        told = _run(self.git, command, self.bare / str(fmt), self.environ, stdin=f"{object_id}\n".encode())
        word = told.decode("ascii", "replace").split()
        return word[0] if len(word) == 1 else None


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
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"git cannot look into {folder}: {error}") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise UnavailableError(f"git cannot look into {folder}: {said[0]}", hint="name a repository with --repo")
    return done.stdout
