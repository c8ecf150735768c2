"""What a person may name to audit: a repository's folder, or an address to clone from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from attest import repository
from attest.cli import read_file
from attest.errors import UsageError
from attest.verifier import MAX_FILE_BYTES

SCHEMES = ("https", "ssh", "git", "file")
"""Transports that git may use. Plain http shows a history to everybody on the way; ext:: runs any command."""

MAX_PLACES = 2000
"""Repositories of one run: an organization's."""


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
        text = read_file(listed, MAX_FILE_BYTES).decode("utf-8", "surrogateescape")
        lines = (line.strip() for line in text.splitlines())
        read = (parse(line) for line in lines if line and not line.startswith("#"))
        found += [each if each.address else Place(each.name, listed.parent / each.folder) for each in read]
    if not found:
        raise UsageError("no repository is named", hint="name folders or addresses, or a --file with one a line")
    if len(found) > MAX_PLACES:
        raise UsageError(f"{len(found)} repositories are named; at most {MAX_PLACES} at once")
    return list(dict.fromkeys(found))
