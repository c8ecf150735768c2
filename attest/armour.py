"""The text around a signature that git stores: one BEGIN line, base64 in lines of one width, one END line.

Read in the one form that it is written in: a second spelling of a signature would be a second id for the same commit.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field

from attest.errors import MalformedError


@dataclass(frozen=True)
class Armour:
    """One kind of armour: its label, how many characters a line has, and how many bytes the content may have."""

    label: str
    columns: int
    limit: int
    begin: bytes = field(init=False)
    end: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "begin", f"-----BEGIN {self.label}-----\n".encode())
        object.__setattr__(self, "end", f"-----END {self.label}-----\n".encode())

    def wrap(self, data: bytes) -> bytes:
        """The armour around `data`, with its final newline."""
        body = binascii.b2a_base64(data, newline=False)
        lines = [body[i : i + self.columns] for i in range(0, len(body), self.columns)]
        return self.begin + b"\n".join([*lines, self.end])

    def open(self, text: bytes) -> bytes:
        """The content of `text`, which must be exactly what `wrap` would make of it; else `MalformedError`."""
        if len(text) > 2 * self.limit:
            raise MalformedError(f"{len(text)} bytes of armour; a signature has at most {2 * self.limit}")
        if not text.startswith(self.begin) or not text.endswith(self.end):
            raise MalformedError(f"not one {self.label} armour block from first to last byte")
        body = text[len(self.begin) : -len(self.end)]
        packed, breaks = body.replace(b"\n", b""), body[self.columns :: self.columns + 1]
        try:
            data = binascii.a2b_base64(packed, strict_mode=True)
        except binascii.Error as error:
            raise MalformedError(f"armour is not base64: {error}") from None
        # Bits beyond the last byte are zero in the one spelling; line feeds stand after full lines and the last.
        tail = binascii.b2a_base64(data[-(len(data) % 3 or 3) :], newline=False)
        lines = -(-len(packed) // self.columns)
        if not packed.endswith(tail) or len(body) != len(packed) + lines or (body and body[-1:] != b"\n"):
            raise MalformedError("armour is not in its one canonical form")
        if breaks.count(b"\n") != len(breaks):
            raise MalformedError("armour is not in its one canonical form")
        return data
