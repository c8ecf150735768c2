"""The leaves of our own profiles as bytes: to be signed, and signed (RFC 5280 section 4.1).

An authority makes two of these for every enrolment, so they are written here without a builder, from parts that are
remembered; `tests/test_leaf.py` holds each byte against what the library's builder writes. What they say is
`profile.LeafSpec`; who issues is a certificate; the key is its canonical SubjectPublicKeyInfo.
"""

from __future__ import annotations

import enum
import functools
import hashlib
from datetime import datetime

from cryptography import x509
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from attest import asn1, certificate, fulcio
from attest import claims as claims_codec
from attest.claims import Claims
from attest.fulcio import Ci
from attest.keys import KeyAlgorithm, PublicKey
from attest.profile import (
    AUTH_METHOD,
    BACKDATING,
    BINDING,
    CLAIMS,
    EPOCH,
    FULCIO_ISSUER,
    ISSUED_AT,
    LIFETIME,
    ORGANIZATION,
    SCOPES,
    SUBJECT,
    LeafSpec,
    Profile,
    instant,
    short_name,
)
from attest.types import PrincipalKind

KEPT = 256
_INTEGER, _BIT_STRING, _OCTET_STRING, _UTF8, _UTC_TIME, _GENERALIZED = 0x02, 0x03, 0x04, 0x0C, 0x17, 0x18
_SEQUENCE, _SET, _VERSION, _EXTENSIONS = 0x30, 0x31, 0xA0, 0xA3
_EMAIL_NAME, _URI_NAME, _KEY_ID = 0x81, 0x86, 0x80
_TRUE = bytes.fromhex("0101ff")
_V3 = bytes.fromhex("a003020102")
_SIGNING_USAGE, _MTLS_USAGE = bytes.fromhex("03020780"), bytes.fromhex("03020388")
"""BIT STRINGs of KeyUsage (section 4.2.1.3): digitalSignature, and the same with keyAgreement."""


class Use(enum.Enum):
    """Which of the pair it is."""

    SIGNING = "signing"
    MTLS = "mtls"


def to_be_signed(spec: LeafSpec, key: PublicKey, issuer: x509.Certificate, *, serial: int, use: Use) -> bytes:
    """DER of the TBSCertificate. `issuer` is a root or an issuing CA."""
    at = spec.issued_at.replace(microsecond=0)
    name, above, algorithm = _issuer(issuer)
    return _tlv(
        _SEQUENCE,
        _V3,
        _integer(serial),
        algorithm,
        name,
        _tlv(_SEQUENCE, _time(at - BACKDATING), _time(at + LIFETIME)),
        _name(short_name(spec.claims.actor_name)),
        key.spki,
        _tlv(_EXTENSIONS, _tlv(_SEQUENCE, *_extensions(spec, key, above, use))),
    )


def assemble(signed: bytes, signature: bytes, issuer: x509.Certificate) -> bytes:
    """DER of the certificate of what was signed by `issuer`'s key."""
    _, _, algorithm = _issuer(issuer)
    return _tlv(_SEQUENCE, signed, algorithm, _tlv(_BIT_STRING, b"\0", signature))


def _extensions(spec: LeafSpec, key: PublicKey, above: bytes, use: Use) -> tuple[bytes, ...]:
    """In upstream's order (`authority-protocol.md` 3), ours after it."""
    said = (spec.subject, spec.scopes, spec.epoch, spec.auth_method, spec.claims, spec.ci)
    first, second, third = _said(*said)
    return (
        _MTLS_FIRST if use is Use.MTLS else _SIGNING_FIRST,
        first,
        _issued_at(spec.issued_at),
        second,
        _extension(BINDING, spec.binding),  # upstream writes the 32 bytes bare, without an inner OCTET STRING
        third,
        _extension(ExtensionOID.SUBJECT_KEY_IDENTIFIER, _tlv(_OCTET_STRING, _key_identifier(key))),
        above,
        _named(spec.profile, spec.claims.actor_kind, spec.claims.actor_email, spec.uri, spec.issuer_url, use),
    )


@functools.lru_cache(maxsize=KEPT)
def _said(
    subject: str, scopes: tuple[str, ...], epoch: int, auth_method: str, claims: Claims, ci: Ci
) -> tuple[bytes, bytes, bytes]:
    """What does not change from one enrolment under a grant to the next: before the time, after it, and at the end."""
    return (
        _extension(SUBJECT, _utf8(subject)),
        _extension(SCOPES, _tlv(_SEQUENCE, *(_utf8(scope) for scope in scopes)))
        + _extension(EPOCH, _integer(epoch))
        + _extension(AUTH_METHOD, _utf8(auth_method)),
        _extension(CLAIMS, claims_codec.encode(claims))
        + b"".join(_extension(fact.oid, fact.value) for fact in fulcio.extensions(ci)),
    )


@functools.lru_cache(maxsize=KEPT)
def _issued_at(when: datetime) -> bytes:
    return _extension(ISSUED_AT, _utf8(instant(when)))


@functools.lru_cache(maxsize=KEPT)
def _named(
    profile: Profile, kind: PrincipalKind, email: str, uri: str, issuer_url: str, use: Use
) -> bytes:
    """What the certificate is for, and the names it is for."""
    names, purposes = [_tlv(_URI_NAME, uri.encode("ascii"))], b""
    if use is Use.MTLS:
        purposes = _purposes(ExtendedKeyUsageOID.CLIENT_AUTH)
    elif profile is Profile.INTEROP:
        names.append(_tlv(_EMAIL_NAME, email.encode("ascii")))
        purposes = _purposes(ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION)
    elif kind is PrincipalKind.VERIFIER:
        # Stock Sigstore verifiers ask for code signing and for an issuer (Fulcio's OID, a DER UTF8String).
        purposes = _purposes(ExtendedKeyUsageOID.CODE_SIGNING) + _extension(FULCIO_ISSUER, _utf8(issuer_url))
    critical = use is Use.MTLS or profile is Profile.NOTME
    alternative = _extension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, _tlv(_SEQUENCE, *names), critical=critical)
    return purposes + alternative


@certificate.kept
def _issuer(issuer: x509.Certificate) -> tuple[bytes, bytes, bytes]:
    """What every leaf under it repeats: its name, its key identifier as an extension, its algorithm."""
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    key = certificate.key_of(issuer)
    algorithm = _ED25519 if key.algorithm is KeyAlgorithm.ED25519 else _ECDSA_SHA256
    above = _extension(ExtensionOID.AUTHORITY_KEY_IDENTIFIER, _tlv(_SEQUENCE, _tlv(_KEY_ID, identifier)))
    return issuer.subject.public_bytes(), above, algorithm


@functools.lru_cache(maxsize=KEPT)
def _name(common_name: str) -> bytes:
    return _tlv(
        _SEQUENCE,
        *(
            _tlv(_SET, _tlv(_SEQUENCE, _oid(oid), _utf8(text)))
            for oid, text in ((NameOID.COMMON_NAME, common_name), (NameOID.ORGANIZATION_NAME, ORGANIZATION))
        ),
    )


def _purposes(*oids: ObjectIdentifier) -> bytes:
    return _extension(ExtensionOID.EXTENDED_KEY_USAGE, _tlv(_SEQUENCE, *(_oid(oid) for oid in oids)))


def _key_identifier(key: PublicKey) -> bytes:
    """RFC 5280 section 4.2.1.2, method 1: SHA-1 of the key's bits. A name, and no proof of anything."""
    return hashlib.sha1(key.raw, usedforsecurity=False).digest()


def _extension(oid: ObjectIdentifier, value: bytes, *, critical: bool = False) -> bytes:
    return _tlv(_SEQUENCE, _oid(oid), _TRUE if critical else b"", _tlv(_OCTET_STRING, value))


@functools.lru_cache(maxsize=KEPT)
def _oid(oid: ObjectIdentifier) -> bytes:
    return asn1.encode(oid)


def _utf8(text: str) -> bytes:
    return _tlv(_UTF8, text.encode())


def _integer(number: int) -> bytes:
    return _tlv(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


@functools.lru_cache(maxsize=KEPT)
def _time(when: datetime) -> bytes:
    """UTCTime through 2049, GeneralizedTime after it (section 4.1.2.5)."""
    if when.year < 2050:
        return _tlv(_UTC_TIME, f"{when:%y%m%d%H%M%SZ}".encode())
    return _tlv(_GENERALIZED, f"{when:%Y%m%d%H%M%SZ}".encode())


def _tlv(tag: int, *parts: bytes) -> bytes:
    """A DER value: its tag, its length in the shortest form, and the parts of its content."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


_ED25519 = _tlv(_SEQUENCE, _oid(x509.SignatureAlgorithmOID.ED25519))
_ECDSA_SHA256 = _tlv(_SEQUENCE, _oid(x509.SignatureAlgorithmOID.ECDSA_WITH_SHA256))
_SIGNING_FIRST, _MTLS_FIRST = (
    _extension(ExtensionOID.BASIC_CONSTRAINTS, b"\x30\0", critical=True)
    + _extension(ExtensionOID.KEY_USAGE, usage, critical=True)
    for usage in (_SIGNING_USAGE, _MTLS_USAGE)
)
