"""Signed certificate timestamps (RFC 6962): a log of certificates promised to show that one was issued.

Whoever stole Fulcio's key could issue in anybody's name; what it issues without telling a log is refused here, and
what a log knows, its watchers see. The promise stands in the certificate itself, over the rest of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.certificate_transparency import LogEntryType, SignedCertificateTimestamp

from attest import keys
from attest.errors import VerificationError
from attest.foreign import cmscerts
from attest.foreign.cmstime import Log

MAX_PROMISES = 8
"""Fulcio asks one log."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION_1, _CERTIFICATE_TIMESTAMP, _PRECERTIFICATE = b"\0", b"\0", b"\0\1"


def verify_logged(leaf: x509.Certificate, issuer: x509.Certificate, logs: Mapping[bytes, Log]) -> str:
    """Returns the log that promised to show `leaf`, or raises `VerificationError(Step.CHAIN, ...)`."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
    except x509.ExtensionNotFound:
        raise cmscerts.invalid("no log of certificates promised to show it") from None
    spki = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for promise in list(found)[:MAX_PROMISES]:
        log_id: bytes = promise.log_id
        log, seconds = logs.get(log_id), _milliseconds(promise) // 1000
        if log is None or not log.begins <= seconds <= (seconds if log.ends is None else log.ends):
            continue
        try:
            keys.verify_signature(log.key, promise.signature, signed_bytes(promise, leaf, spki))
        except VerificationError:
            raise cmscerts.invalid("a log's promise to show it does not hold") from None
        return log_id.hex()
    raise cmscerts.invalid("no log of the trusted root promised to show it")


def signed_bytes(promise: SignedCertificateTimestamp, leaf: x509.Certificate, issuer_spki: bytes) -> bytes:
    """What a log signs of a certificate that carries its promise (RFC 6962 section 3.2)."""
    if promise.entry_type is not LogEntryType.PRE_CERTIFICATE:
        raise cmscerts.invalid("a log's promise is not of the kind that stands in certificates")
    body, more = leaf.tbs_precertificate_bytes, promise.extension_bytes
    parts = (
        _VERSION_1 + _CERTIFICATE_TIMESTAMP + _milliseconds(promise).to_bytes(8, "big"),
        _PRECERTIFICATE + hashlib.sha256(issuer_spki).digest(),
        len(body).to_bytes(3, "big") + body,
        len(more).to_bytes(2, "big") + more,
    )
    return b"".join(parts)


def _milliseconds(promise: SignedCertificateTimestamp) -> int:
    """Since 1970; the library gives a time without a zone, which is UTC."""
    return (promise.timestamp.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
