"""What a person may name to audit: a repository's folder, or an address to clone from.

A verifier is offline and fetches nothing by itself. Here the user names the address, so that git may go there, once,
into a folder that is gone afterwards; of file contents it fetches nothing, since no signature is about them alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from attest import repository
from attest.cli import open_repository
from attest.errors import UnavailableError, UsageError
from attest.repository import Repository
from attest.verifier import read_file

SCHEMES = ("https", "ssh", "git", "file")
"""Transports that git may use. Plain http shows a history to everybody on the way; ext:: runs any command."""

CLONE_SECONDS = 1800.0
"""Half an hour: the history of the Linux kernel without file contents takes minutes."""

MAX_PLACES = 2000
"""Repositories of one run: an organization's."""

_MUTE = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",  # empty: neither core.askPass nor SSH_ASKPASS is asked
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
}
_LOCAL = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")


@dataclass(frozen=True, slots=True)
class Place:
    """`name` is how it may be shown to anyone; `address` is empty for a folder of this machine."""

    name: str
    folder: Path
    address: str = ""


def parse(text: str) -> Place:
    """What was typed. Raises `UsageError` for an address that git may not be sent to."""
    if "\0" in text or not text:
        raise UsageError("a repository is named by an empty text, or one with a NUL")
    scheme = urlsplit_scheme(text)
    if not scheme:
        return Place(os.fsencode(text).decode("utf-8", "replace"), Path(text))
    if scheme not in SCHEMES:
        raise UsageError(
            f"{scheme} is not a way to get at a repository here", hint=f"take one of {', '.join(SCHEMES)}, or clone it"
        )
    shown = os.fsencode(repository.without_credentials(text)).decode("utf-8", "replace")
    return Place(shown, Path(), text)


def urlsplit_scheme(text: str) -> str:
    """`https` of an address, `ssh` of git's short form `user@host:path`, empty for a folder."""
    if "::" in text.partition("/")[0]:
        return text.partition("::")[0] + "::"  # a remote helper, as ext::
    if "://" in text:
        try:
            return urlsplit(text).scheme
        except ValueError:
            raise UsageError(f"{text!r} is no address") from None
    # git's own rule: a colon before the first slash, and no such folder here (gitremote urls, "scp-like").
    return "ssh" if ":" in text.partition("/")[0] and not Path(text).exists() else ""


def named(arguments: Sequence[str], listed: Path | None) -> list[Place]:
    """Those of the command line, then those of a file with one a line; empty lines and `#` comments count for nothing.

    Folders in the file are relative to the file.
    """
    found = [parse(argument) for argument in arguments]
    if listed is not None:
        text = read_file(listed).decode("utf-8", "surrogateescape")
        lines = (line.strip() for line in text.splitlines())
        read = (parse(line) for line in lines if line and not line.startswith("#"))
        found += [each if each.address else Place(each.name, listed.parent / each.folder) for each in read]
    if not found:
        raise UsageError("no repository is named", hint="name folders or addresses, or a --file with one a line")
    if len(found) > MAX_PLACES:
        raise UsageError(f"{len(found)} repositories are named; at most {MAX_PLACES} at once")
    return list(dict.fromkeys(found))


@contextlib.contextmanager
def opened(place: Place, environ: Mapping[str, str], scratch: Path) -> Iterator[Repository]:
    """The repository, cloned into an empty folder under `scratch` where it is an address. `UnavailableError`."""
    folder = place.folder
    if place.address:
        folder = scratch
        clone(place, environ, folder)
    elif not folder.is_dir():
        raise UnavailableError(f"there is no folder {folder}")
    try:
        repo = open_repository(folder, environ)
    except UnavailableError as error:
        # Other commands are told with --repo where to look.
        raise UnavailableError(error.message, hint="" if "--repo" in error.hint else error.hint) from None
    with repo:
        yield repo


def clone(place: Place, environ: Mapping[str, str], folder: Path, *, seconds: float = CLONE_SECONDS) -> None:
    """Commits, trees and tags into the empty folder. Nobody is asked for a password; what helpers know is used."""
    options = ("--bare", "--quiet", "--filter=blob:none", "--template=", f"--config=core.hooksPath={os.devnull}")
    command = [repository.find_git(environ), "clone", *options, "--end-of-options", place.address, str(folder)]
    quiet = {**{k: v for k, v in environ.items() if k not in _LOCAL}, **_MUTE}
    try:
        # In a session of its own there is no terminal on which ssh could ask, and git's helpers end with it.
        process = subprocess.Popen(
            command,
            env=quiet,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise UnavailableError(f"git cannot be run: {error}", hint="Install git.") from None
    try:
        _, said = process.communicate(timeout=seconds)
    except BaseException as stop:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(stop, subprocess.TimeoutExpired):
            raise UnavailableError(f"{place.name} could not be cloned within {seconds:.0f} s") from None
        raise
    if process.returncode:
        raise UnavailableError(
            f"{place.name} could not be cloned: {_reason(said, place)}",
            hint="Nobody was asked for a password: clone it yourself and name the folder.",
        )


def _reason(said: bytes, place: Place) -> str:
    """The last thing git said, in which the address has no credentials."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    # What git says first is the cause; what follows is advice that fits every cause.
    line = next((each for each in lines if each.startswith(("fatal:", "ssh:", "Host key"))), lines[-1] if lines else "")
    return line.removeprefix("fatal: ").replace(place.address, place.name) or "git gave no reason"
