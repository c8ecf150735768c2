"""Where a repository borrows objects from: objects/info/alternates, gitrepository-layout(5).

Whoever may write to the repository may write that file, or put a device, a pipe or a link in its place.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from attest.errors import RefusedError, UnavailableError

MAX_BYTES = 64 * 1024
MAX_DEPTH = 5
"""As git (MAX_ALT_ODB_DEPTH in object-file.c)."""

MAX_PLACES = 64
"""Folders altogether; each is looked at for every signature."""


def places(objects: Path) -> list[Path]:
    """Every other folder of objects that the one at `objects` borrows from now, directly or not, each once.

    `RefusedError` for a file that is none to be read, or one that names too many.
    """
    found: dict[Path, None] = {}
    level = [objects]
    for _ in range(MAX_DEPTH):
        level = [each for place in level for each in _named(place) if each not in found and each != objects]
        found.update(dict.fromkeys(level))
        if len(found) > MAX_PLACES:
            too_many = f"{objects} borrows from more than {MAX_PLACES} folders"
            raise RefusedError(too_many, hint="see info/alternates there")
    return list(found)


def _named(objects: Path) -> list[Path]:
    """A path that git would write in quotes (it has a line end, or begins with one) is passed over."""
    lines = [line for line in read(objects).split(b"\n") if line and line[:1] not in (b"#", b'"')]
    named = (Path(os.path.realpath(objects / os.fsdecode(line))) for line in lines)
    return [place for place in named if place.is_dir()]


def read(objects: Path) -> bytes:
    """The file as it is, empty without one. `RefusedError` for what is no small file of its own."""
    path = objects / "info" / "alternates"
    try:
        # O_NONBLOCK: opening a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    except OSError as error:
        if path.is_symlink():
            raise _unfit(path) from None
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            raise _unfit(path)
        return os.read(descriptor, MAX_BYTES)
    finally:
        os.close(descriptor)


def _unfit(path: Path) -> RefusedError:
    return RefusedError(f"{path} is not a file of at most {MAX_BYTES} bytes", hint="see who changed it, and remove it")
