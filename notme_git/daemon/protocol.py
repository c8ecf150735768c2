"""What the shim and the daemon say to each other, as bytes in and values out; no socket comes here.

    request  = version byte, uint32 length, fields (dialect, cwd, stdin, argv, environment, files)
    reply    = version byte, uint32 length, fields (status, events)
    fields   = any number of: uint32 length, bytes           (all integers big-endian)

argv, environment (name, value), files (path as in argv, content) and events (where, data) are fields inside a
field. An event says where the client writes: `1`, `2` or another descriptor in decimal, or `sig` for the file
that `ssh-keygen -Y sign` makes beside its input. The status is an exit status in decimal, or `own`: the call is
not for us, and the program that was configured before us shall run.

One request, one reply, end of the connection. `shim.py` writes and reads the same bytes with code of its own,
because it may import nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from attest.errors import MalformedError
from attest.gitobject import MAX_OBJECT_BYTES

VERSION = 1
HEAD_BYTES = 5

MAX_MESSAGE_BYTES = MAX_OBJECT_BYTES + 4 * 1024 * 1024
"""The largest payload that is ever signed, with room for arguments, environment, a key file and a signature."""

MAX_FIELDS = 4096
OWN = "own"
SIGNATURE_FILE = "sig"
SAID = "said"
"""An event for the person behind git, beside a signature that was made."""

AUTO = "auto-"
"""Before a dialect: whoever calls signs, as the marks of its environment say (`setup --auto`)."""

CONTROL = "control"
"""The dialect of `notme-git daemon stop|status` and of commands that need the keys of an ephemeral authority."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call by git, as its client saw it. `files` has the content of the files that the arguments name."""

    dialect: str
    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The whole message."""
        return _message(
            [
                self.dialect.encode(),
                os.fsencode(self.cwd),
                self.stdin,
                pack(os.fsencode(word) for word in self.argv),
                pack(os.fsencode(part) for pair in self.environ.items() for part in pair),
                pack(part for name, content in self.files.items() for part in (os.fsencode(name), content)),
            ]
        )

    @classmethod
    def decode(cls, body: bytes) -> Request:
        """What follows the head of the message; `MalformedError` for anything else."""
        dialect, cwd, stdin, argv, environ, files = _fields(body, 6)
        try:
            spoken = dialect.decode("ascii")
        except UnicodeDecodeError:
            raise MalformedError("the dialect of a request is not ASCII") from None
        return cls(
            dialect=spoken,
            cwd=os.fsdecode(cwd),
            stdin=stdin,
            argv=tuple(os.fsdecode(word) for word in unpack(argv)),
            environ={os.fsdecode(name): os.fsdecode(value) for name, value in _pairs(environ)},
            files={os.fsdecode(name): content for name, content in _pairs(files)},
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What the client writes, in this order, and its exit status; None: the call is not for us."""

    status: int | None
    events: tuple[tuple[str, bytes], ...] = ()

    def encode(self) -> bytes:
        """The whole message."""
        status = OWN if self.status is None else str(self.status)
        return _message([status.encode(), pack(part for where, data in self.events for part in (where.encode(), data))])

    @classmethod
    def decode(cls, body: bytes) -> Reply:
        """What follows the head of the message; `MalformedError` for anything else."""
        status, events = _fields(body, 2)
        if status != OWN.encode() and not (status.isdigit() and len(status) <= 3):
            raise MalformedError("the status of a reply is no exit status")
        try:
            pairs = tuple((where.decode("ascii"), data) for where, data in _pairs(events))
        except UnicodeDecodeError:
            raise MalformedError("an event of a reply goes nowhere") from None
        return cls(None if status == OWN.encode() else int(status), pairs)


NOT_OURS = Reply(None)


def body_length(head: bytes) -> int:
    """How many bytes follow this head (5 bytes); `MalformedError` for another version or too many."""
    if len(head) != HEAD_BYTES or head[0] != VERSION:
        raise MalformedError(f"not a message of protocol version {VERSION}", hint="run notme-git setup again")
    length = int.from_bytes(head[1:], "big")
    if length > MAX_MESSAGE_BYTES:
        raise MalformedError(f"a message of {length} bytes; at most {MAX_MESSAGE_BYTES} are read")
    return length


def pack(items: Iterable[bytes]) -> bytes:
    """Fields, one after the other."""
    return b"".join([len(item).to_bytes(4, "big") + item for item in items])


def unpack(data: bytes) -> list[bytes]:
    """The fields that `data` is; `MalformedError` where it is none, or too many."""
    items: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data) or at + 4 > len(data) or len(items) == MAX_FIELDS:
            raise MalformedError("a message of the daemon's protocol is cut off, or has too many fields")
        items.append(data[at + 4 : end])
        at = end
    return items


def _message(fields: Iterable[bytes]) -> bytes:
    body = pack(fields)
    return bytes([VERSION]) + len(body).to_bytes(4, "big") + body


def _fields(body: bytes, count: int) -> list[bytes]:
    items = unpack(body)
    if len(items) != count:
        raise MalformedError(f"a message of {len(items)} fields where {count} are expected")
    return items


def _pairs(data: bytes) -> list[tuple[bytes, bytes]]:
    items = unpack(data)
    if len(items) % 2:
        raise MalformedError("a message with a name that has no value")
    return list(zip(items[::2], items[1::2], strict=True))
