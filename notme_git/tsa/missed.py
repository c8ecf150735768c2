"""A note in the home of signatures that got no time-stamp though one was wanted; `notme-git doctor` shows it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from attest.errors import Error, UnavailableError
from notme_git import gitconfig

FILE = "timestamps-missed.json"
MAX_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Missed:
    """How many, since and until when (unix seconds), in which folder the last one, by whom not, and why not."""

    count: int
    since: int
    last: int
    folder: str
    origin: str
    reason: str


def read(home: Path) -> Missed | None:
    """The note, None without one; one that cannot be read is none."""
    try:
        with open(home / FILE, "rb") as file:
            data = json.loads(file.read(MAX_BYTES))
        made = Missed(**data)
        kinds = {name: type(value) for name, value in asdict(made).items()}
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    wanted = {"count": int, "since": int, "last": int, "folder": str, "origin": str, "reason": str}
    return made if kinds == wanted else None


def note(home: Path, folder: str, origin: str, reason: str, at: int, count: int = 1) -> None:
    """Count some more. Where even that cannot be written, nothing is: the signature is good without."""
    known = read(home)
    made = Missed(
        count=(known.count if known else 0) + count,
        since=known.since if known else at,
        last=at,
        folder=folder[: MAX_BYTES // 4],
        origin=origin,
        reason=reason[: MAX_BYTES // 4],
    )
    with contextlib.suppress(Error, OSError):
        gitconfig.replace_file(home / FILE, json.dumps(asdict(made)).encode(), mode=0o600)


def clear(home: Path) -> None:
    """There is nothing to tell any more; `UnavailableError`."""
    try:
        (home / FILE).unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError(f"cannot remove {home / FILE}: {error.strerror}") from None
