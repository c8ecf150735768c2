"""Time-stamps kept beside an object: SSH signatures have no room for one, and CMS none for a third party's (design D5).

A token is over the signature's value (for Ed25519 its 64 bytes). It lies in two places: in the home of who made the
signature, from the moment of signing on, and in the ref of the attestations as one line among the bundles. In the home
the authority's own is `timestamps/ab/OBJECT-ID` (DER), those of others are lines of `timestamps/others/ab/OBJECT-ID`.
Neither place is trusted: anybody who may push can add a line. A token proves what it proves by its own signature
(`evidence.collect_detached`), and one that proves nothing speaks against nothing.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from attest import wholefile
from attest.errors import MalformedError, UnavailableError, UsageError

MEDIA_TYPE = "application/vnd.notme.timestamp.v0.1+json"
FOLDER = "timestamps"
OTHERS = "others"

MAX_OTHERS_BYTES = 256 * 1024
"""Of what a home keeps of others' time-stamps of one object: ten of the largest."""

MAX_TOKEN_BYTES = 16 * 1024
"""Ours have about 1,200; a token that carries a chain of RSA certificates is under 8 KiB."""

_HEAD = f'{{"mediaType":"{MEDIA_TYPE}",'.encode()
_LINE = re.compile(
    re.escape(_HEAD) + rb'"object":"([0-9a-f]{40}|[0-9a-f]{64})","rfc3161":"([A-Za-z0-9+/]+={0,2})"\}'
)
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def encode(oid: str, token: bytes) -> bytes:
    """The line that says of the object `oid` (lower-case hex) that `token` (DER) is over its signature."""
    return _HEAD + b'"object":"%b","rfc3161":"%b"}' % (oid.encode(), base64.b64encode(token))


def decode(line: bytes) -> tuple[str, bytes]:
    """Object id and token of a line, which must be what `encode` writes; else `MalformedError`."""
    if len(line) > 2 * MAX_TOKEN_BYTES:
        raise MalformedError(f"a time-stamp line of {len(line)} bytes; at most {2 * MAX_TOKEN_BYTES} are read")
    found = _LINE.fullmatch(line)
    if found is None:
        raise MalformedError("not a time-stamp line")
    oid = found[1].decode()
    try:
        token = base64.b64decode(found[2], validate=True)
    except ValueError:
        raise MalformedError("a time-stamp line holds no base64") from None
    if encode(oid, token) != line:
        raise MalformedError("a time-stamp line is not in its one canonical form")
    return oid, token


def is_stamp(line: bytes) -> bool:
    """Whether a stored line claims to be a time-stamp, and so is no bundle."""
    return line.startswith(_HEAD)


def of_lines(lines: Iterable[bytes], oid: str) -> list[bytes]:
    """The tokens about `oid` among stored lines; what is malformed or about something else is passed over."""
    found = []
    for line in filter(is_stamp, lines):
        with contextlib.suppress(MalformedError):
            named, token = decode(line)
            if named == oid:
                found.append(token)
    return found


def spool_path(home: Path, oid: str) -> Path:
    """Where a home keeps the token of `oid`."""
    if not _ID.fullmatch(oid):
        raise UsageError(f"{oid[:64]!r} is no object id")
    return home / FOLDER / oid[:2] / oid


def read_spool(home: Path, oid: str) -> bytes | None:
    """The token that this home made for `oid`, None without one; `UnavailableError` when it cannot be read."""
    path = spool_path(home, oid)
    try:
        with open(path, "rb") as file:
            token = file.read(MAX_TOKEN_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnavailableError(f"cannot read the time-stamp {path}: {error.strerror}") from None
    if len(token) > MAX_TOKEN_BYTES:
        raise UnavailableError(f"{path} is larger than {MAX_TOKEN_BYTES} bytes and is no time-stamp")
    return token


def write_spool(home: Path, oid: str, token: bytes) -> None:
    """Keep `token` for `oid`, whole or not at all; `UnavailableError` when that cannot be done."""
    path = spool_path(home, oid)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"cannot keep the time-stamp {path}: {error.strerror}") from None
    wholefile.write(path, token, private=True)


def others_path(home: Path, oid: str) -> Path:
    """Where a home keeps what others' time-stamping authorities said of `oid`."""
    own = spool_path(home, oid)
    return home / FOLDER / OTHERS / own.parent.name / own.name


def read_others(home: Path, oid: str) -> list[bytes]:
    """Their tokens, as far as they can be read; `UnavailableError` when the file cannot be."""
    path = others_path(home, oid)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_OTHERS_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UnavailableError(f"cannot read the time-stamps {path}: {error.strerror}") from None
    return of_lines(data.splitlines(), oid)


def add_other(home: Path, oid: str, token: bytes) -> None:
    """Keep one more of theirs; `UnavailableError` when that cannot be done."""
    path = others_path(home, oid)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One write of one line: two writers' lines stand one after the other, and half a line is no time-stamp.
        with open(path, "ab", buffering=0, opener=_private) as file:
            file.write(encode(oid, token) + b"\n")
    except OSError as error:
        raise UnavailableError(f"cannot keep the time-stamp {path}: {error.strerror}") from None


def spooled(home: Path, oid: str) -> list[bytes]:
    """All tokens that a home keeps of an object, its own authority's first; `UnavailableError`."""
    own = read_spool(home, oid)
    return [*([] if own is None else [own]), *read_others(home, oid)]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
