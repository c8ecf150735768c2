"""The key-encryption key under which an authority's key files are encrypted (`keystore.encrypted`).

It comes from NOTME_KEK, else from the file that NOTME_KEK_FILE names, else from the file that the settings name. It is
at least 32 bytes once white space around it is cut off. NOTME_KEK is taken out of the environment when that is first
read (`take`), so that no child gets it; a process that forks hands it on in memory.
"""

from __future__ import annotations

import os
import stat
from collections.abc import MutableMapping
from pathlib import Path

from attest.errors import UnavailableError, UsageError

VARIABLE = "NOTME_KEK"
FILE_VARIABLE = "NOTME_KEK_FILE"
MIN_BYTES = 32
MAX_BYTES = 4096

_HINT = "make one with: (umask 077; openssl rand -hex 32 > kek)"
_held: list[bytes] = []
"""What `take` found; one value at most."""


def take(environ: MutableMapping[str, str]) -> None:
    """Move NOTME_KEK out of the environment into this process's memory."""
    found = environ.pop(VARIABLE, None)
    if found is not None:
        _held[:] = [os.fsencode(found)]


def current(settings_file: str) -> bytes:
    """The key-encryption key; `UnavailableError` where nothing names one, `UsageError` where it is too short."""
    take(os.environ)
    if _held:
        return checked(_held[0], VARIABLE)
    path = os.environ.get(FILE_VARIABLE) or settings_file
    if not path:
        raise UnavailableError(
            "the authority's keys are encrypted, and no key-encryption key is named",
            hint=f"set {FILE_VARIABLE}, or kek_file in the authority's settings.toml",
        )
    return read(Path(path))


def read(path: Path) -> bytes:
    """The key-encryption key in a file that is a regular one and closed to others (`UnavailableError`)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            _check_closed(os.fstat(descriptor), path)
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnavailableError(
            f"cannot read the key-encryption key in {path}: {error.strerror}", hint="name the file that holds it"
        ) from None
    return checked(data, str(path))


def checked(data: bytes, source: str) -> bytes:
    """`data` without the white space around it, 32 to 4096 bytes of it (`UsageError`)."""
    key = data.strip()
    if len(data) > MAX_BYTES or len(key) < MIN_BYTES:
        raise UsageError(f"a key-encryption key has {MIN_BYTES} to {MAX_BYTES} bytes; {source} has not", hint=_HINT)
    return key


def _check_closed(found: os.stat_result, path: Path) -> None:
    """A group may read it, as the secrets that Kubernetes mounts have it; everybody may not."""
    if not stat.S_ISREG(found.st_mode):
        raise UnavailableError(f"{path} is no regular file", hint="name the file that holds the key-encryption key")
    if found.st_mode & 0o027:
        raise UnavailableError(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}, so others may have read the key-encryption key",
            hint="make a new one, wrap the keys again (notme-git authority rewrap), and give it mode 0400 or 0440",
        )
