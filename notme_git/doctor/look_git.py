"""git's version, and the values it goes by with where each comes from."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from attest.errors import UnavailableError, UsageError
from notme_git import setup, wanted
from notme_git.doctor.facts import PROGRAM_KEYS, Git, Setting
from notme_git.gitconfig import GIT_TIMEOUT_S, MAX_OUTPUT_BYTES, GitConfig

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
_NOT_FOUND = 1


def look(environ: Mapping[str, str], directory: Path) -> Git:
    """Raises `UnavailableError` with git's words where it refuses the repository or its configuration."""
    config = GitConfig.find(environ)
    top = directory
    with contextlib.suppress(UsageError):  # outside a repository the user's own configuration is looked at
        config.repository_file(directory)
        # git tells files of the repository relative to its top.
        top = directory / os.fsdecode(_run(config, directory, "rev-parse", "--show-cdup").removesuffix(b"\n"))
    config.in_force(("gpg.format",), directory)
    said = _VERSION.match(_run(config, directory, "version"))
    if said is None:
        raise UnavailableError(f"{config.program} says no version of git")
    version = tuple(int(part) for part in said.groups() if part is not None)
    return Git(version, tuple(_settings(config, top.resolve(), scopes=version >= SCOPES_SINCE)))


def _settings(config: GitConfig, directory: Path, *, scopes: bool) -> Iterator[Setting]:
    pattern = f"^({'|'.join(re.escape(key.lower()) for key in KEYS)})$"
    options = ("--null", *(("--show-scope",) if scopes else ()), "--show-origin", "--get-regexp", pattern)
    parts = os.fsdecode(_run(config, directory, "config", *options)).split("\0")[:-1]
    size = 3 if scopes else 2
    for at in range(0, len(parts) - size + 1, size):
        origin, entry = parts[at + size - 2 : at + size]
        name, equals, value = entry.partition("\n")
        file = str((directory / origin.removeprefix("file:")).absolute()) if origin.startswith("file:") else ""
        # A name without `=` is a boolean that is true (git-config(1), Syntax).
        yield Setting(name, value if equals else "true", parts[at] if scopes else "", file)


def _run(config: GitConfig, directory: Path, *arguments: str) -> bytes:
    environ = {**config.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            [config.program, *arguments],
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"git cannot be run in {directory}: {error}") from None
    if done.returncode not in (0, _NOT_FOUND) or len(done.stdout) > MAX_OUTPUT_BYTES:
        raise UnavailableError(f"git {arguments[0]} failed in {directory}")
    return done.stdout
