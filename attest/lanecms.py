"""The CMS signatures of one certificate differ in four places: time, digest, signature and time-stamp.

Once one of them was read strictly, the bytes around these places are known, and the next is read by comparing them.
What compares equal is what the strict reader would have taken; everything else is left to it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from attest import asn1, cms
from attest.cms import SignedMessage

KEPT = 256
"""Minutes that are remembered as read: the signatures of one certificate lie within five."""

_SIGNED_DATA = asn1.encode(asn1.SIGNED_DATA)
_HEADER = 4  # 30 82 and two bytes of length: every signature with its certificate has 256 to 65,535 bytes
_VERSION_AT = 3 * _HEADER + len(_SIGNED_DATA)
# version 1, the SET of one digest algorithm, contentInfo of type data: one length for SHA-256 and SHA-512.
_CERTIFICATES_AT = _VERSION_AT + 3 + 15 + 13
_ONE = len(asn1.encode(1))
_STAMP_HEAD = asn1.encode(asn1.TIMESTAMP_TOKEN)
_UTC_TIME = b"\x17\x0d"


class OtherError(Exception):
    """The bytes are not of the known shape; says nothing on whether they are in order."""


@dataclass(frozen=True, slots=True)
class Read:
    """What differs: unix seconds, message digest, the signature, the token or None, and what the signature covers."""

    signing_time: int
    digest: bytes
    signature: bytes
    token: bytes | None
    attributes: bytes


@dataclass(frozen=True, slots=True)
class Shape:
    """What the signatures of one certificate have in common, cut at the places where they differ."""

    prefix: bytes
    signer: bytes
    before_time: bytes
    before_digest: bytes
    after_digest: bytes
    digest_size: int
    algorithm: bytes

    @classmethod
    def of(cls, message: SignedMessage) -> Shape | None:
        """The shape of a signature that was read strictly; None for one that is of no use here."""
        try:
            return cls._of(message)
        except (OtherError, IndexError, ValueError):
            return None

    @classmethod
    def _of(cls, message: SignedMessage) -> Shape:
        der, prefix = message.der, prefix_of(message.der)
        attributes, _ = content(message.signed_attributes, 0, 0x31)
        attributes_bytes = message.signed_attributes[attributes:]
        time_at = attributes_bytes.index(_UTC_TIME) + len(_UTC_TIME)
        digest_at = attributes_bytes.index(message.message_digest, time_at)
        size = len(message.message_digest)
        infos, _ = content(der, _VERSION_AT + len(prefix), 0x31)
        info, _ = content(der, infos, 0x30)
        signed = der.index(attributes_bytes, info)
        marked = signed - (len(message.signed_attributes) - len(attributes_bytes))
        after = signed + len(attributes_bytes)
        value = der.index(asn1.der(asn1.OCTETS, message.signature), after)
        return cls(
            prefix=prefix,
            signer=der[info:marked],
            before_time=attributes_bytes[:time_at],
            before_digest=attributes_bytes[time_at + 13 : digest_at],
            after_digest=attributes_bytes[digest_at + size :],
            digest_size=size,
            algorithm=der[after:value],
        )

    def under(self, prefix: bytes, serial: bytes) -> Shape:
        """The shape under another certificate of that issuer, with this prefix and the DER of its serial number."""
        at, end = content(self.signer, _ONE, 0x30)
        _, name_end = content(self.signer, at, 0x30)
        identifier = asn1.der(asn1.SEQUENCE, self.signer[at:name_end], serial)
        return replace(self, prefix=prefix, signer=self.signer[:_ONE] + identifier + self.signer[end:])

    def read(self, der: bytes) -> Read:
        """A signature of this shape, from first to last byte; `OtherError` for any other bytes."""
        try:
            return self._read(der)
        except IndexError:
            raise OtherError from None

    def _read(self, der: bytes) -> Read:
        at, end = content(der, _VERSION_AT + len(self.prefix), 0x31)
        at, info_end = content(der, at, 0x30)
        if end != len(der) or info_end != end or not der.startswith(self.signer, at):
            raise OtherError
        marked = at + len(self.signer)
        at, after = content(der, marked, 0xA0)
        time_at = at + len(self.before_time)
        digest_at = time_at + 13 + len(self.before_digest)
        digest_end = digest_at + self.digest_size
        if (
            not der.startswith(self.before_time, at)
            or not der.startswith(self.before_digest, time_at + 13)
            or der[digest_end:after] != self.after_digest
            or not der.startswith(self.algorithm, after)
        ):
            raise OtherError
        value, value_end = content(der, after + len(self.algorithm), 0x04)
        return Read(
            signing_time=utc(der[time_at : time_at + 13]),
            digest=der[digest_at:digest_end],
            signature=der[value:value_end],
            token=None if value_end == end else _token(der, value_end, end),
            attributes=b"\x31" + der[marked + 1 : after],
        )


def leaf_of(prefix: bytes) -> bytes:
    """The one certificate in a prefix; `OtherError` where there are several."""
    at, end = content(prefix, _CERTIFICATES_AT - _VERSION_AT, 0xA0)
    if content(prefix, at, 0x30)[1] != end or end != len(prefix):
        raise OtherError
    return prefix[at:]


def head_of(prefix: bytes) -> bytes:
    """What stands before the certificates: version, digest algorithm and type of content."""
    return prefix[: _CERTIFICATES_AT - _VERSION_AT]


def prefix_of(der: bytes) -> bytes:
    """The bytes from version to the end of the certificates, which name the shape; `OtherError`, `IndexError`."""
    size = len(der)
    if (
        der[0] != 0x30
        or der[1] != 0x82
        or int.from_bytes(der[2:4], "big") != size - 4
        or not der.startswith(_SIGNED_DATA, _HEADER)
        or content(der, _HEADER + len(_SIGNED_DATA), 0xA0)[1] != size
        or content(der, 2 * _HEADER + len(_SIGNED_DATA), 0x30)[1] != size
    ):
        raise OtherError
    return der[_VERSION_AT : content(der, _CERTIFICATES_AT, 0xA0)[1]]


def _token(der: bytes, at: int, end: int) -> bytes:
    """The one token in the one unsigned attribute that ends the signature (`cms.assemble`)."""
    at, last = content(der, at, 0xA1)
    at, attribute_end = content(der, at, 0x30)
    if last != end or attribute_end != end or not der.startswith(_STAMP_HEAD, at):
        raise OtherError
    at, last = content(der, at + len(_STAMP_HEAD), 0x31)
    if last != end or content(der, at, 0x30)[1] != end or end - at > cms.MAX_CMS_BYTES:
        raise OtherError
    return der[at:end]


def utc(text: bytes) -> int:
    """Seconds of a UTCTime `YYMMDDHHMMSSZ` (RFC 5280 section 4.1.2.5.1)."""
    second = text[10:12]
    if text[12:] != b"Z" or not second.isdigit() or second >= b"60":
        raise OtherError
    return _minute(text[:10]) + int(second)


@functools.lru_cache(maxsize=KEPT)
def _minute(digits: bytes) -> int:
    if not digits.isdigit():
        raise OtherError
    year, month, day, hour, minute = (int(digits[n : n + 2]) for n in range(0, 10, 2))
    try:
        when = datetime(year + (1900 if year >= 50 else 2000), month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        raise OtherError from None
    return int(when.timestamp())


def content(der: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends; its length must be in its shortest form."""
    if der[at] != tag:
        raise OtherError
    size = der[at + 1]
    if size < 0x80:
        return at + 2, at + 2 + size
    if size == 0x81 and der[at + 2] >= 0x80:
        return at + 3, at + 3 + der[at + 2]
    if size == 0x82 and der[at + 2]:
        return at + 4, at + 4 + (der[at + 2] << 8 | der[at + 3])
    raise OtherError
