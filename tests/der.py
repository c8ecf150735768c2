"""DER and CMS written byte by byte, so that a test can also write what the code under test never would.

A second encoder, on purpose: with the defaults `Cms` gives the bytes that `attest.cms.assemble` gives, which is a
test of both, and with one part replaced it has one defect (X.690; RFC 5652 sections 3 to 5).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.forge import Forge, Leaf

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
TST_INFO = "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"
TIMESTAMP = "1.2.840.113549.1.9.16.2.14"
CHALLENGE_PASSWORD = "1.2.840.113549.1.9.7"
SHA1, SHA256, SHA512 = "1.3.14.3.2.26", "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.3"
ED25519, ECDSA_SHA256 = "1.3.101.112", "1.2.840.10045.4.3.2"
RSA_SHA256 = "1.2.840.113549.1.1.11"
NULL = b"\x05\x00"


def tlv(tag: int, *parts: bytes) -> bytes:
    """Tag, shortest length, contents (X.690 section 10.1)."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def seq(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    """SET OF in ascending order (X.690 section 11.6)."""
    return tlv(0x31, *sorted(parts))


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def octets(value: bytes) -> bytes:
    return tlv(0x04, value)


def utf8(value: str) -> bytes:
    return tlv(0x0C, value.encode())


def utc_time(when: datetime) -> bytes:
    return tlv(0x17, f"{when:%y%m%d%H%M%SZ}".encode())


def generalized_time(when: datetime) -> bytes:
    return tlv(0x18, f"{when:%Y%m%d%H%M%SZ}".encode())


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    body = b""
    for arc in (40 * first + second, *rest):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(0x80 | arc & 0x7F)
        body += bytes(reversed(septets))
    return tlv(0x06, body)


def attribute(kind: str, *values: bytes) -> bytes:
    return seq(oid(kind), set_of(*values))


def algorithm(dotted: str, parameters: bytes = b"") -> bytes:
    return seq(oid(dotted), parameters)


def retagged(tag: int, der: bytes) -> bytes:
    """`der` with another first byte: an implicit tag."""
    return bytes([tag]) + der[1:]


@dataclass(frozen=True)
class Cms:
    """One signature by `leaf` over `content` as of `at`; None stands for what the profile prescribes.

    `attributes` are signed in the order given; `unsigned` likewise. `alter` changes the signature's bytes.
    """

    leaf: Leaf
    content: bytes
    at: datetime
    version: int = 1
    outer_type: str = SIGNED_DATA
    content_type: str = DATA
    carried: bytes | None = None
    digest_algorithms: tuple[bytes, ...] | None = None
    certificates: tuple[bytes, ...] | None = None
    after_certificates: bytes = b""
    signers: tuple[bytes, ...] | None = None
    signer_version: int = 1
    sid: bytes | None = None
    digest_algorithm: bytes | None = None
    attributes: tuple[bytes, ...] | None = None
    bare: bool = False
    signature_algorithm: bytes | None = None
    unsigned: tuple[bytes, ...] = ()
    alter: Callable[[bytes], bytes] = lambda signature: signature

    @property
    def ed25519(self) -> bool:
        return isinstance(self.leaf.key, Ed25519PrivateKey)

    @property
    def digest(self) -> bytes:
        return (hashlib.sha512 if self.ed25519 else hashlib.sha256)(self.content).digest()

    @property
    def prescribed(self) -> tuple[bytes, bytes, bytes]:
        """contentType, signingTime, messageDigest: in this order they are sorted, too."""
        return (
            attribute(CONTENT_TYPE, oid(DATA)),
            attribute(SIGNING_TIME, utc_time(self.at)),
            attribute(MESSAGE_DIGEST, octets(self.digest)),
        )

    def signed_bytes(self) -> bytes:
        """What the signature is over: the attributes as a SET, or (`bare`) the content (RFC 5652 section 5.4)."""
        if self.bare:
            return self.content
        return tlv(0x31, *(sorted(self.prescribed) if self.attributes is None else self.attributes))

    def signature(self) -> bytes:
        return self.alter(self.leaf.sign(self.signed_bytes()))

    def signer_info(self) -> bytes:
        certificate = self.leaf.certificate
        digest = algorithm(SHA512 if self.ed25519 else SHA256)
        signed = b"" if self.bare else retagged(0xA0, self.signed_bytes())
        return seq(
            integer(self.signer_version),
            self.sid or seq(certificate.issuer.public_bytes(), integer(certificate.serial_number)),
            self.digest_algorithm or digest,
            signed,
            self.signature_algorithm or algorithm(ED25519 if self.ed25519 else ECDSA_SHA256),
            octets(self.signature()),
            tlv(0xA1, *self.unsigned) if self.unsigned else b"",
        )

    def der(self) -> bytes:
        """The whole ContentInfo."""
        digest = algorithm(SHA512 if self.ed25519 else SHA256)
        carried = b"" if self.carried is None else tlv(0xA0, octets(self.carried))
        certificates = (self.leaf.der,) if self.certificates is None else self.certificates
        data = seq(
            integer(self.version),
            tlv(0x31, *((digest,) if self.digest_algorithms is None else self.digest_algorithms)),
            seq(oid(self.content_type), carried),
            tlv(0xA0, *certificates) if certificates else b"",
            self.after_certificates,
            tlv(0x31, *((self.signer_info(),) if self.signers is None else self.signers)),
        )
        return seq(oid(self.outer_type), tlv(0xA0, data))


def stamped(forge: Forge, cms: Cms, *, at: datetime | None = None) -> tuple[bytes, ...]:
    """The `unsigned` attributes that hold the forge's time-stamp over the signature of `cms`."""
    return (attribute(TIMESTAMP, forge.token(cms.signature(), at=at or cms.at)),)


def indefinite(der: bytes) -> bytes:
    """The outermost value with indefinite length, as BER writers of CMS do (X.690 section 8.1.3.6)."""
    size = der[1] & 0x7F if der[1] & 0x80 else 0
    return bytes([der[0], 0x80]) + der[2 + size :] + b"\x00\x00"


def long_length(der: bytes) -> bytes:
    """The outermost value with a length that is one byte longer than it need be."""
    size = der[1] & 0x7F if der[1] & 0x80 else 0
    length = der[2 : 2 + size] or der[1:2]
    return bytes([der[0], 0x80 | len(length) + 1, 0]) + length + der[2 + size :]
