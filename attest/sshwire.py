"""The wire types of SSH: RFC 4251 section 5, read and written in one place.

Strings and numbers of fixed size are all that signatures, certificates and the agent protocol are made of.
A value has one spelling here, so what was read whole encodes to the bytes it came from.
"""

from __future__ import annotations

import base64
import hashlib

from attest.errors import MalformedError

MAX_STRING = 64 * 1024
"""The longest field read is a certificate; ours are under 2 KiB, and sshd takes none above 8 KiB in practice."""

ED25519 = "ssh-ed25519"


class Reader:
    """Takes values off the front of `data`; `MalformedError` where they are not there."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        found = self._data[self._at : self._at + size]
        if len(found) != size:
            raise MalformedError(f"{size} bytes are announced, {len(found)} are there")
        self._at += size
        return found

    def uint32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def uint64(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def string(self, limit: int = MAX_STRING) -> bytes:
        """A string of at most `limit` bytes."""
        size = self.uint32()
        if size > limit:
            raise MalformedError(f"a field of {size} bytes where at most {limit} are read")
        return self.take(size)

    def text(self, limit: int = MAX_STRING) -> str:
        """A string that is UTF-8."""
        try:
            return self.string(limit).decode()
        except UnicodeDecodeError:
            raise MalformedError("a field is not text in UTF-8") from None

    @property
    def left(self) -> bool:
        """Whether anything follows."""
        return self._at < len(self._data)

    def end(self) -> None:
        """Nothing follows, or `MalformedError`."""
        if self.left:
            raise MalformedError(f"{len(self._data) - self._at} bytes follow the last field")


def uint32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def uint64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def string(value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(4, "big") + data


def ed25519_key(raw: bytes) -> bytes:
    """The public key blob around an encoded point (RFC 8709 section 4)."""
    return string(ED25519) + string(raw)


def p256_key(point: bytes) -> bytes:
    """The public key blob around an uncompressed point of P-256 (RFC 5656 section 3.1)."""
    return string("ecdsa-sha2-nistp256") + string("nistp256") + string(point)


def ed25519_signature(raw: bytes) -> bytes:
    """The signature blob around 64 bytes R and S (RFC 8709 section 6)."""
    return string(ED25519) + string(raw)


def fingerprint(key: bytes) -> str:
    """`SHA256:` and base64 without padding over a key blob, as ssh-keygen -l shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def line(kind: str, blob: bytes, comment: str = "") -> bytes:
    """A key or certificate as a line of a public key file (sshd(8), AUTHORIZED_KEYS FILE FORMAT, without options)."""
    words = [kind, base64.b64encode(blob).decode(), *([comment] if comment else [])]
    return " ".join(words).encode() + b"\n"
