"""git's version, and the values it goes by with where each comes from."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from attest.errors import UnavailableError, UsageError
from notme_git import setup, wanted
from notme_git.doctor.facts import PROGRAM_KEYS, Git, Setting
from notme_git.gitconfig import GitConfig, parse_entry

KEYS = (
    *(key for keys in PROGRAM_KEYS.values() for key in keys),
    *wanted.PREVIOUS.values(),
    "author.email",
    "commit.gpgsign",
    "committer.email",
    "gpg.format",
    "gpg.minTrustLevel",
    "merge.verifySignatures",
    setup.ALLOWED_SIGNERS,
    "tag.gpgsign",
    "user.email",
    "user.signingkey",
)

SCOPES_SINCE = (2, 26)
"""`git config --show-scope`; where values come from is told since 2.8."""

_VERSION = re.compile(rb"git version ([0-9]+)\.([0-9]+)(?:\.([0-9]+))?")


def look(environ: Mapping[str, str], directory: Path) -> Git:
    """Raises `UnavailableError` with git's words where it refuses the repository or its configuration."""
    config = GitConfig.find(environ)
    top = directory
    with contextlib.suppress(UsageError):  # outside a repository the user's own configuration is looked at
        config.repository_file(directory)
        # git tells files of the repository relative to its top.
        top = directory / os.fsdecode(config.ask("rev-parse", "--show-cdup", directory=directory).removesuffix(b"\n"))
    config.in_force(("gpg.format",), directory)
    said = _VERSION.match(config.ask("version", directory=directory))
    if said is None:
        raise UnavailableError(f"{config.program} says no version of git")
    version = tuple(int(part) for part in said.groups() if part is not None)
    return Git(version, tuple(_settings(config, top.resolve(), scopes=version >= SCOPES_SINCE)))


def _settings(config: GitConfig, directory: Path, *, scopes: bool) -> Iterator[Setting]:
    options = (*(("--show-scope",) if scopes else ()), "--show-origin")
    _, output = config.matching(KEYS, options, directory=directory)
    parts = output.split("\0")[:-1]
    size = 3 if scopes else 2
    for at in range(0, len(parts) - size + 1, size):
        origin, entry = parts[at + size - 2 : at + size]
        name, value = parse_entry(entry)
        file = str((directory / origin.removeprefix("file:")).absolute()) if origin.startswith("file:") else ""
        yield Setting(name, value, parts[at] if scopes else "", file)
