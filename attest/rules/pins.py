"""From which commit on a repository's own policy counts: what this user said out of band (design D15).

One file for each repository under `verifier/repositories` of the home: the start, and the place that it is of. A place
is the folder of a repository here, or an address that it is cloned from.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from attest import wholefile
from attest.errors import UnavailableError
from attest.repository import Repository

FOLDER = Path("verifier", "repositories")
MAX_BYTES = 8192
"""An id, and a path or address of PATH_MAX."""

_FORM = re.compile(r"start ([0-9a-f]{40}|[0-9a-f]{64})\nplace ([^\n]+)\n")


@dataclass(frozen=True, slots=True)
class Pin:
    """`start` is a full id."""

    place: str
    start: str


def place_of(repo: Repository) -> str:
    """The folder of a repository, the same for all of its worktrees."""
    done = repo.git("rev-parse", "--path-format=absolute", "--git-common-dir")
    found = os.fsdecode(done.stdout).removesuffix("\n")
    if done.returncode or not found or "\n" in found:
        raise UnavailableError(
            f"git does not say where the repository of {repo.path} is", hint="Use git 2.31 or newer."
        )
    return os.path.realpath(found)


def of_repository(home: Path, repo: Repository) -> Pin | None:
    """What was pinned for this repository: for its folder, else for the address of its `origin`."""
    places = [place_of(repo), repo.remote()]
    return next((pin for place in places if place is not None and (pin := read(home, place)) is not None), None)


def read(home: Path, place: str) -> Pin | None:
    """What was pinned for a place, None if nothing was. `UnavailableError` for a file that cannot be read."""
    pin = _read(_file(home, place))
    return pin if pin is not None and pin.place == place else None


def listed(home: Path) -> Iterator[Pin]:
    """Every pin of this home."""
    try:
        files = sorted(path for path in (home / FOLDER).iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return
    for file in files:
        if (pin := _read(file)) is not None:
            yield pin


def write(home: Path, pin: Pin) -> None:
    """Pin a start, in place of the one before."""
    file = _file(home, pin.place)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"cannot write {file}: {error.strerror}") from None
    wholefile.write(file, os.fsencode(f"start {pin.start}\nplace {pin.place}\n"))


def remove(home: Path, place: str) -> bool:
    """Take a pin back; False where there was none."""
    try:
        _file(home, place).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UnavailableError(f"cannot remove {_file(home, place)}: {error.strerror}") from None
    return True


def _file(home: Path, place: str) -> Path:
    return home / FOLDER / hashlib.sha256(os.fsencode(place)).hexdigest()[:32]


def _read(file: Path) -> Pin | None:
    try:
        with open(file, "rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnavailableError(f"cannot read {file}: {error.strerror}") from None
    found = _FORM.fullmatch(os.fsdecode(data))
    if found is None:
        raise UnavailableError(f"{file} holds no pinned start", hint="remove it, and pin again: notme-git trust repo")
    return Pin(found[2], found[1])
