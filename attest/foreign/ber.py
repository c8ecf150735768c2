"""BER -> DER, as far as signatures of others need it (X.690 sections 8 and 10).

gpgsm and others write indefinite lengths, octet strings in pieces and lengths with leading zeros, because they write
while they read. What is signed is DER all the same (RFC 5652 sections 5.3 and 5.4). So one value is read into a tree
whose every node knows its DER: lengths are definite and the shortest, octet strings whole. Contents are never
touched otherwise, and whatever was in DER comes out with the very same bytes.
"""

from __future__ import annotations

from typing import NamedTuple

from attest import asn1
from attest.errors import MalformedError

MAX_BYTES = 64 * 1024
"""As for our own signatures: chains of RSA certificates are under 32 KiB."""

MAX_DEPTH = 32
"""A certificate inside a SignedData inside a ContentInfo ends at 14, a time-stamp inside of that at 24."""

MAX_VALUES = 8192
"""A chain of four certificates has some 700 values."""

_CONSTRUCTED, _OCTETS_IN_PIECES = 0x20, b"\x24"
_INDEFINITE = 0x80
_END = b"\0\0"
_STRINGS = frozenset((3, 12, *range(18, 31)))
"""Universal types, besides OCTET STRING (4), that BER lets be written in pieces; nobody does (X.690 section 8.14)."""


class Value(NamedTuple):
    """One value: its identifier octets, what stands after the length, all of it as DER, and the values inside."""

    tag: bytes
    content: bytes
    der: bytes
    children: tuple[Value, ...]


def read(data: bytes, *, limit: int = MAX_BYTES) -> Value:
    """The one value that `data` is; `MalformedError` for anything else, bytes after it included."""
    if len(data) > limit:
        raise MalformedError(f"{len(data)} bytes of BER where at most {limit} are read")
    reader = _Reader(data)
    value, end = reader.value(0, len(data), 0)
    if end != len(data):
        raise MalformedError(f"{len(data) - end} bytes stand after the one value")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.left = data, MAX_VALUES

    def value(self, at: int, end: int, depth: int) -> tuple[Value, int]:
        """The value that begins at `at` and lies before `end`, and where it ends."""
        self.left -= 1
        if depth > MAX_DEPTH or self.left < 0:
            raise MalformedError("BER is nested too deeply, or holds too many values")
        tag, at = self.tag(at, end)
        size, at = self.length(at, end)
        if not tag[0] & _CONSTRUCTED:
            if size is None:
                raise MalformedError("a primitive value of indefinite length (X.690 section 8.1.3.2)")
            content = self.data[at : at + size]
            return Value(tag, content, asn1.der(tag, content), ()), at + size
        children, at = self.children(at, end, size, depth)
        return _constructed(tag, children), at

    def children(self, at: int, end: int, size: int | None, depth: int) -> tuple[list[Value], int]:
        found = list[Value]()
        stop = end if size is None else at + size
        while at < stop:
            if size is None and self.data.startswith(_END, at):
                return found, at + len(_END)
            child, at = self.value(at, stop, depth + 1)
            found.append(child)
        if size is None:
            raise MalformedError("a value of indefinite length has no end")
        return found, at

    def tag(self, at: int, end: int) -> tuple[bytes, int]:
        """Identifier octets (X.690 section 8.1.2); numbers above 30 take two to four."""
        start, first = at, self.octet(at, end)
        at += 1
        if first & 0x1F == 0x1F:
            while self.octet(at, end) & 0x80:
                at += 1
                if at - start > 3:
                    raise MalformedError("a tag of more than four bytes")
            at += 1
        return self.data[start:at], at

    def length(self, at: int, end: int) -> tuple[int | None, int]:
        """Length octets (X.690 section 8.1.3); None for the indefinite form."""
        first = self.octet(at, end)
        at += 1
        if first < 0x80:
            size = first
        elif first == _INDEFINITE:
            return None, at
        else:
            octets = self.data[at : min(end, at + first - 0x80)]
            at += first - 0x80
            size = int.from_bytes(octets, "big")
        if at + size > end:
            raise MalformedError("a value is longer than what it stands in")
        return size, at

    def octet(self, at: int, end: int) -> int:
        if at >= end:
            raise MalformedError("a value ends in the middle of its header")
        return self.data[at]


def _constructed(tag: bytes, children: list[Value]) -> Value:
    if tag == _OCTETS_IN_PIECES:
        if any(child.tag != asn1.OCTETS for child in children):
            raise MalformedError("an octet string in pieces holds something else (X.690 section 8.7.3)")
        content = b"".join([child.content for child in children])
        return Value(asn1.OCTETS, content, asn1.der(asn1.OCTETS, content), ())
    if tag[0] & ~_CONSTRUCTED in _STRINGS and len(tag) == 1:
        raise MalformedError("a string of characters or bits, or a time, in pieces")
    content = b"".join([child.der for child in children])
    return Value(tag, content, asn1.der(tag, content), tuple(children))
