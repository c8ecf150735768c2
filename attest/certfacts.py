"""What an X.509 certificate says of itself, for reports: of any certificate, and without any of it being proven."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest import certificate as certificates

T = TypeVar("T")

MAX_NAMES = 64
"""Alternative names that are listed; a certificate for signing has one to three."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """SHA-256 of the encoded certificate and serial number in lower-case hex, names as in RFC 4514, alternative names
    as bare values, validity in unix seconds; `key_id` is the first half of the SHA-256 of its SPKI. What a certificate
    spells so that nobody can read it is empty.
    """

    sha256: str
    serial: str
    issuer: str
    subject: str
    subject_alternative_names: tuple[str, ...]
    not_before: int | None
    not_after: int | None
    key_id: str


def read(certificate: x509.Certificate) -> CertificateFacts:
    """The facts of one certificate; never an error."""
    return _read(certificate.public_bytes(Encoding.DER), certificate)


@functools.lru_cache(maxsize=256)
def _read(der: bytes, certificate: x509.Certificate) -> CertificateFacts:
    return CertificateFacts(
        sha256=hashlib.sha256(der).hexdigest(),
        serial=_said(lambda: f"{certificate.serial_number:x}", ""),
        issuer=_said(lambda: certificate.issuer.rfc4514_string(), ""),
        subject=_said(lambda: certificate.subject.rfc4514_string(), ""),
        subject_alternative_names=_said(lambda: _names(certificate), ()),
        not_before=_said(lambda: int(certificate.not_valid_before_utc.timestamp()), None),
        not_after=_said(lambda: int(certificate.not_valid_after_utc.timestamp()), None),
        key_id=_said(lambda: _key_id(certificate), ""),
    )


def _said(ask: Callable[[], T], otherwise: T) -> T:
    try:
        return ask()
    except certificates.UNREADABLE:
        return otherwise


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(_name(name) for name in list(found)[:MAX_NAMES])


def _name(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DirectoryName):
        return name.value.rfc4514_string()
    if isinstance(name, x509.OtherName):
        # Fulcio writes a user name as the DER of one UTF8String (oid-info.md, 1.3.6.1.4.1.57264.1.7).
        short = name.value[:1] == b"\x0c" and len(name.value) > 2 and name.value[1] == len(name.value) - 2 < 128
        return name.value[2:].decode("utf-8", "replace") if short else name.value.hex()
    return str(name.value.dotted_string if isinstance(name, x509.RegisteredID) else name.value)


def _key_id(certificate: x509.Certificate) -> str:
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()[:16].hex()
