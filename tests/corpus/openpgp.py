"""OpenPGP keys and signatures written byte by byte: RFC 4880 with the Ed25519 of draft-koch-eddsa-for-openpgp.

gpg is their judge (tests/compat/test_corpus.py). The key and every time follow from constants, so that a signature
comes out the same each time, which gpg's own do not.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE, ONE_PASS, PUBLIC_KEY, LITERAL, USER_ID = 2, 4, 6, 11, 13
BINARY, TEXT, POSITIVE = 0x00, 0x01, 0x13
EDDSA = 22
HASHES = {"sha1": (2, hashlib.sha1), "sha256": (8, hashlib.sha256)}
CREATED, EXPIRES, ISSUER, KEY_FLAGS, FINGERPRINT = 2, 3, 16, 27, 33
CRITICAL = 0x80
_CURVE = bytes.fromhex("2b06010401da470f01")  # 1.3.6.1.4.1.11591.15.1


def packet(tag: int, body: bytes) -> bytes:
    """A packet with a new-format header of a length of one, two or five bytes (RFC 4880 section 4.2.2)."""
    if len(body) < 192:
        length = bytes([len(body)])
    elif len(body) < 8384:
        length = (len(body) - 192 + 0xC000).to_bytes(2, "big")
    else:
        length = b"\xff" + len(body).to_bytes(4, "big")
    return bytes([0xC0 | tag]) + length + body


def mpi(octets: bytes) -> bytes:
    """A multiprecision integer (section 3.2)."""
    number = int.from_bytes(octets, "big")
    return number.bit_length().to_bytes(2, "big") + number.to_bytes((number.bit_length() + 7) // 8, "big")


def subpacket(kind: int, body: bytes) -> bytes:
    return bytes([len(body) + 1, kind]) + body


def armour(label: str, data: bytes) -> bytes:
    """Section 6, with the checksum of section 6.1."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    body = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 64))
    check = base64.b64encode(crc.to_bytes(3, "big")).decode()
    return f"-----BEGIN PGP {label}-----\n\n{body}\n={check}\n-----END PGP {label}-----\n".encode()


@dataclass(frozen=True)
class Key:
    """A key pair made at `made` for `user` (`NAME <ADDRESS>`)."""

    private: Ed25519PrivateKey
    user: str
    made: datetime

    @property
    def body(self) -> bytes:
        """The public key packet's body, version 4 (section 5.5.2)."""
        point = b"\x40" + self.private.public_key().public_bytes_raw()
        return b"\x04" + _seconds(self.made) + bytes([EDDSA, len(_CURVE)]) + _CURVE + mpi(point)

    @property
    def fingerprint(self) -> bytes:
        """20 bytes (section 12.2)."""
        return hashlib.sha1(_framed(self.body), usedforsecurity=False).digest()

    def public(self) -> bytes:
        """The key with its user id, armoured, to be imported."""
        user = self.user.encode()
        certified = _framed(self.body) + b"\xb4" + len(user).to_bytes(4, "big") + user
        flags = [subpacket(KEY_FLAGS, b"\x03")]
        signed = self.signature(certified, at=self.made, kind=POSITIVE, hashed=flags)
        return armour("PUBLIC KEY BLOCK", packet(PUBLIC_KEY, self.body) + packet(USER_ID, user) + signed)

    def signature(
        self,
        data: bytes,
        *,
        at: datetime,
        kind: int = BINARY,
        hash_name: str = "sha256",
        hashed: Sequence[bytes] = (),
    ) -> bytes:
        """A version 4 signature packet over `data` (section 5.2.3), `hashed` among its hashed subpackets."""
        number, digest = HASHES[hash_name]
        issuer = subpacket(FINGERPRINT, b"\x04" + self.fingerprint)
        inside = b"".join([subpacket(CREATED, _seconds(at)), *hashed, issuer])
        head = bytes([4, kind, EDDSA, number]) + len(inside).to_bytes(2, "big") + inside
        covered = digest(data + head + b"\x04\xff" + len(head).to_bytes(4, "big")).digest()
        value = self.private.sign(covered)
        outside = subpacket(ISSUER, self.fingerprint[-8:])
        rest = len(outside).to_bytes(2, "big") + outside + covered[:2] + mpi(value[:32]) + mpi(value[32:])
        return packet(SIGNATURE, head + rest)

    def message(self, data: bytes, *, at: datetime) -> bytes:
        """`data` signed and inside of the message, armoured (sections 5.4, 5.9 and 11.3)."""
        announced = bytes([3, BINARY, HASHES["sha256"][0], EDDSA]) + self.fingerprint[-8:] + b"\x01"
        literal = packet(LITERAL, b"b\0" + _seconds(at) + data)
        return armour("MESSAGE", packet(ONE_PASS, announced) + literal + self.signature(data, at=at))


def _framed(body: bytes) -> bytes:
    """A key as fingerprints and certifications hash it."""
    return b"\x99" + len(body).to_bytes(2, "big") + body


def _seconds(when: datetime) -> bytes:
    return int(when.timestamp()).to_bytes(4, "big")
