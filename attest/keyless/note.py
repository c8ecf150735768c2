"""Checkpoints of a log: signed notes (C2SP signed-note, tlog-checkpoint).

A note is text, an empty line, and signature lines: an em dash, a name, and base64 of four bytes that hint at the key
and of the signature over the text. Other signatures than the log's own (witnesses') are passed over.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass

from attest import keys
from attest.errors import MalformedError
from attest.keys import PublicKey

MAX_NOTE_BYTES = 16 * 1024
"""A checkpoint with its signature has some 300; each witness adds a line."""

MAX_SIGNATURES = 32
HINT = 4
_SIGNATURE = re.compile("\N{EM DASH} ([^\\s+]+) ([A-Za-z0-9+/]+={0,2})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log said of itself: its origin, how many entries it had, and its root hash. `signatures` are unverified.

    `signed` are the bytes that a signature is over. Each of `signatures` is a name, the hint and the signature.
    """

    origin: str
    size: int
    root: bytes
    signed: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @classmethod
    def parse(cls, note: str) -> Checkpoint:
        """Read a note; lines after the third, extensions, are passed over. `MalformedError`."""
        if len(note) > MAX_NOTE_BYTES:
            raise MalformedError(f"{len(note)} characters of checkpoint; at most {MAX_NOTE_BYTES} are read")
        text, _, below = note.rpartition("\n\n")
        lines, signed = text.split("\n"), (text + "\n").encode()
        if len(lines) < 3 or not lines[0] or not below.endswith("\n") or any(ord(c) < 32 for c in "".join(lines)):
            raise MalformedError("not a checkpoint: an origin, a size and a root hash, an empty line, signatures")
        if not _SIZE.fullmatch(lines[1]):
            raise MalformedError("the checkpoint's size is not a decimal number")
        found = below[:-1].split("\n")
        if len(found) > MAX_SIGNATURES:
            raise MalformedError(f"the checkpoint has {len(found)} signatures; at most {MAX_SIGNATURES} are read")
        return cls(lines[0], int(lines[1]), _base64(lines[2]), signed, tuple(_signature(line) for line in found))


def verify_note(checkpoint: Checkpoint, log_id: bytes, key: PublicKey) -> None:
    """Return where the log of that id signed the checkpoint; or `VerificationError`, `MalformedError` without its line.

    The first four bytes of the id are the hint of its key. The log's name is the origin or, of a tree of Rekor version
    1, what stands before ` - ` in it.
    """
    names = (checkpoint.origin, checkpoint.origin.partition(" - ")[0])
    for name, hint, signature in checkpoint.signatures:
        if name in names and hint == log_id[:HINT]:
            keys.verify_signature(key, signature, checkpoint.signed)
            return
    raise MalformedError("the checkpoint is not signed by the log")


def _signature(line: str) -> tuple[str, bytes, bytes]:
    match = _SIGNATURE.fullmatch(line)
    if match is None:
        raise MalformedError("a line of the checkpoint is no signature")
    data = _base64(match[2])
    return match[1], data[:HINT], data[HINT:]


def _base64(text: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        raise MalformedError("the checkpoint has something that is not base64") from None
    if b64encode(data).decode("ascii") != text:
        raise MalformedError("the checkpoint has base64 in a second spelling")
    return data
