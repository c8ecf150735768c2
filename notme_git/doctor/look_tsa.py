"""What is configured of time-stamps by third parties, and which signatures went without."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from attest.errors import Error, UsageError
from notme_git.doctor.facts import Tsa
from notme_git.gitconfig import GitConfig
from notme_git.tsa import missed, setting

MAX_HOOK_BYTES = 1024 * 1024
_HOOK = b"notme_git hook pre-push"


def look(home: Path, environ: Mapping[str, str], directory: Path) -> Tsa:
    """Nobody is asked for a time-stamp to find out."""
    git = GitConfig.find(environ)
    try:
        found = setting.read(git, directory)
        found.stampers()
    except Error as error:
        return Tsa(error.message, error.hint or "mend it with git config", missed.read(home))
    return Tsa(missed=missed.read(home), hook_missing=found.when == setting.PUSH and not _hooked(git, directory))


def _hooked(git: GitConfig, directory: Path) -> bool:
    """Whether the hook before a push is the one that has a network."""
    with contextlib.suppress(UsageError, OSError):
        git.repository_file(directory)
        said = git.ask("rev-parse", "--git-path", "hooks/pre-push", directory=directory).removesuffix(b"\n")
        with open(directory / os.fsdecode(said), "rb") as file:
            return _HOOK in file.read(MAX_HOOK_BYTES)
    return False
