"""Time-stamp tokens: RFC 3161 with RFC 5816, the same verbs as `cms`.

A token says that a digest existed at a time. Ours stand over the signature bytes of a commit (CMS
unsigned attribute) or of an envelope (Sigstore bundle). Only tokens whose signer chains to a pinned
anchor count, and only for the digest they were asked for.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.asn1 import TLV, GeneralizedTime
from cryptography.x509.oid import ExtendedKeyUsageOID

from attest import asn1, certificate, cms
from attest.certificate import Anchor
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.keys import KeyAlgorithm

POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.99999.2.2")
"""Our time-stamp policy: the clock of the authority, one second (RFC 3161 section 2.4.2 demands an OID)."""

ACCURACY = timedelta(seconds=1)
MAX_ACCURACY = timedelta(minutes=5)
"""A clock that knows the time less well than a certificate lives proves nothing here."""

MAX_NONCE_BYTES = 32
MAX_QUERY_BYTES = 4096
REJECTED, _BIT_STRING = 2, b"\x03"
BAD_ALGORITHM, BAD_REQUEST, BAD_DATA_FORMAT, UNACCEPTED_POLICY = 0, 2, 5, 15
"""Bits of PKIFailureInfo (RFC 3161 section 2.4.2)."""

_DIGESTS = {asn1.SHA256: hashlib.sha256, asn1.SHA384: hashlib.sha384, asn1.SHA512: hashlib.sha512}


class QueryError(MalformedError):
    """A request for a time-stamp that is not answered with one; `failure` is the bit that says so to the client."""

    def __init__(self, failure: int, message: str) -> None:
        super().__init__(message)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Query:
    """What a client wants stamped: a digest, perhaps a nonce to see again, and whether to get the certificate, too."""

    algorithm: x509.ObjectIdentifier
    digest: bytes
    nonce: int | None
    certificate: bool = True


@dataclass(frozen=True, slots=True)
class Pending:
    """A token before its signature: sign `attributes.data`."""

    content: bytes
    attributes: cms.ToBeSigned


@dataclass(frozen=True, slots=True)
class Token:
    """A parsed token; `message` carries the signature, nothing is verified yet."""

    der: bytes
    message: cms.SignedMessage
    digest_algorithm: x509.ObjectIdentifier
    digest: bytes
    time: datetime
    accuracy: timedelta
    serial: int


@dataclass(frozen=True, slots=True)
class Timestamp:
    """What a token proved: the digest existed at `time` +- `accuracy`, says a key certified by `anchor`."""

    time: datetime
    accuracy: timedelta
    anchor: Anchor
    signer: x509.Certificate


def to_be_signed(
    data: bytes, *, at: datetime, serial: int, tsa: x509.Certificate, nonce: int | None = None
) -> Pending:
    """A token over SHA-256 of `data` at time `at` (whole seconds), to be signed by the P-256 key in `tsa`."""
    query = Query(asn1.SHA256, hashlib.sha256(data).digest(), nonce)
    return to_be_signed_for(query, at=at, serial=serial, tsa=tsa)


def to_be_signed_for(query: Query, *, at: datetime, serial: int, tsa: x509.Certificate) -> Pending:
    """The same for what a client asked."""
    when = at.astimezone(UTC).replace(microsecond=0)
    version_and_policy, accuracy = _constant()
    content = asn1.der(
        asn1.SEQUENCE,
        version_and_policy,
        asn1.der(asn1.SEQUENCE, _algorithm(query.algorithm), asn1.der(asn1.OCTETS, query.digest)),
        asn1.encode(serial),
        _generated_at(when),
        accuracy,
        b"" if query.nonce is None else asn1.encode(query.nonce),
    )
    attributes = cms.to_be_signed(
        content,
        KeyAlgorithm.P256,
        signing_time=when,
        content_type=asn1.TST_INFO,
        signing_certificate=_sha256(tsa),
    )
    return Pending(content, attributes)


@functools.cache
def _constant() -> tuple[bytes, bytes]:
    """What is the same in every TSTInfo of ours: version and policy, and the accuracy."""
    accuracy = asn1.Accuracy(seconds=int(ACCURACY.total_seconds()), milliseconds=None, microseconds=None)
    return asn1.encode(1) + asn1.encode(POLICY), asn1.encode(accuracy)


@functools.cache
def _algorithm(oid: x509.ObjectIdentifier) -> bytes:
    return asn1.encode(asn1.AlgorithmIdentifier(algorithm=oid, parameters=None))


@functools.lru_cache(maxsize=4)
def _generated_at(when: datetime) -> bytes:
    return asn1.encode(GeneralizedTime(when))


def parse_query(der: bytes) -> Query:
    """A TimeStampReq (RFC 3161 section 2.4.1) that this authority answers; `QueryError` says what is wrong.

    OpenSSL and others write NULL parameters beside the digest's algorithm; they mean the same (RFC 5754 section 2).
    """
    try:
        asked = asn1.decode(asn1.TimeStampReq, der, limit=MAX_QUERY_BYTES)
    except MalformedError as error:
        raise QueryError(BAD_DATA_FORMAT, error.message) from None
    imprint = asked.message_imprint
    algorithm = imprint.hash_algorithm.algorithm
    made = _DIGESTS.get(algorithm)
    if made is None:
        raise QueryError(BAD_ALGORITHM, "the digest is none of SHA-256, SHA-384 and SHA-512")
    if asked.version != 1 or len(imprint.hashed_message) != made().digest_size:
        raise QueryError(BAD_REQUEST, "the request is not of version 1, or its digest not of its algorithm's length")
    if asked.nonce is not None and (asked.nonce < 0 or asked.nonce.bit_length() > 8 * MAX_NONCE_BYTES):
        raise QueryError(BAD_REQUEST, "the nonce is negative or too long")
    if asked.policy not in (None, POLICY):
        raise QueryError(UNACCEPTED_POLICY, "the policy asked for is not this authority's")
    return Query(algorithm, imprint.hashed_message, asked.nonce, asked.certificates)


def query(data: bytes, nonce: int) -> bytes:
    """A TimeStampReq for SHA-256 of `data`, which asks for the signer's certificate."""
    imprint = asn1.MessageImprint(
        hash_algorithm=asn1.AlgorithmIdentifier(algorithm=asn1.SHA256, parameters=None),
        hashed_message=hashlib.sha256(data).digest(),
    )
    return asn1.encode(
        asn1.TimeStampReq(version=1, message_imprint=imprint, policy=None, nonce=nonce, certificates=True)
    )


def rejection(failure: int) -> bytes:
    """A TimeStampResp that refuses, with one bit of PKIFailureInfo (RFC 3161 section 2.4.2)."""
    bits = bytearray(failure // 8 + 1)
    bits[-1] = 0x80 >> failure % 8
    unused = 7 - failure % 8
    info = asn1.der(_BIT_STRING, bytes([unused]) + bytes(bits))
    return asn1.der(asn1.SEQUENCE, asn1.der(asn1.SEQUENCE, asn1.encode(REJECTED) + info))


def assemble(pending: Pending, signature: bytes, *, tsa: x509.Certificate, certificate: bool = True) -> bytes:
    """DER of the token (a ContentInfo), with the signer's certificate unless the client has it (certReq)."""
    return cms.assemble(
        pending.attributes, signature, signer=tsa, content=pending.content, with_signer=certificate
    )


def response(token: bytes) -> bytes:
    """The token inside a granted TimeStampResp, the form in which Sigstore bundles carry it."""
    inner = asn1.decode(TLV, token, limit=cms.MAX_CMS_BYTES)
    return asn1.encode(asn1.TimeStampResponse(status=asn1.PKIStatusInfo(status=0), token=inner))


def open_response(der: bytes) -> bytes:
    """The token inside a granted TimeStampResp."""
    answer = asn1.decode(asn1.TimeStampResponse, der, limit=cms.MAX_CMS_BYTES)
    if answer.status.status not in (0, 1):
        raise MalformedError(f"the time-stamp answer has status {answer.status.status}, not granted")
    return asn1.encode(answer.token)


def parse(der: bytes) -> Token:
    """Read one token strictly; `MalformedError` or `VerificationError` for anything else."""
    message = cms.parse(der, content_type=asn1.TST_INFO)
    if message.timestamps:
        raise MalformedError("a time-stamp carries no unsigned attributes")
    info = asn1.decode(asn1.TSTInfo, message.content or b"", limit=cms.MAX_CMS_BYTES)
    imprint = info.message_imprint
    if info.version != 1:
        raise MalformedError("TSTInfo is not of version 1")
    if imprint.hash_algorithm.algorithm not in _DIGESTS or imprint.hash_algorithm.parameters is not None:
        raise MalformedError("the time-stamped digest is neither SHA-256 nor SHA-512")
    if info.serial < 0 or info.serial.bit_length() > 160:
        raise MalformedError(
            "time-stamp serial number is negative or longer than 160 bits (RFC 3161 section 2.4.2)"
        )
    if info.nonce is not None and info.nonce.bit_length() > 8 * MAX_NONCE_BYTES:
        raise MalformedError("time-stamp nonce is too long")
    return Token(
        der=der,
        message=message,
        digest_algorithm=imprint.hash_algorithm.algorithm,
        digest=imprint.hashed_message,
        time=info.generated_at.as_datetime().replace(tzinfo=UTC),
        accuracy=_accuracy(info.accuracy),
        serial=info.serial,
    )


def verify_timestamp(der: bytes, data: bytes, anchors: Sequence[Anchor]) -> Timestamp:
    """Step 5: the token is over `data` and signed by a time-stamping key that a pinned anchor certified.

    Every failure is a `VerificationError` of step 5 with reason `timestamp-invalid`.
    """
    try:
        return _verify(parse(der), data, anchors)
    except (Error, *certificate.UNREADABLE) as error:
        raise VerificationError(
            Step.TIME, Reason.TIMESTAMP_INVALID, f"the time-stamp does not hold: {error}"
        ) from None


def _verify(token: Token, data: bytes, anchors: Sequence[Anchor]) -> Timestamp:
    if _DIGESTS[token.digest_algorithm](data).digest() != token.digest:
        raise MalformedError("it is over something else")
    tsa = token.message.signer
    if token.message.others:
        raise MalformedError("it carries a certificate that did not sign it")
    anchor = _certified(tsa, tuple(anchors))
    if not tsa.not_valid_before_utc <= token.time <= tsa.not_valid_after_utc:
        raise MalformedError(
            f"its time {token.time:%Y-%m-%dT%H:%M:%SZ} is outside its certificate's validity"
        )
    # RFC 3161 section 2.4.2 and RFC 5816: the token must name the certificate that signed it.
    if token.message.signing_certificate != _sha256(tsa):
        raise MalformedError("it does not name its signing certificate")
    cms.verify_content(token.message, token.message.content or b"")
    return Timestamp(time=token.time, accuracy=token.accuracy, anchor=anchor, signer=tsa)


@functools.lru_cache(maxsize=64)
def _certified(tsa: x509.Certificate, anchors: tuple[Anchor, ...]) -> Anchor:
    """The anchor that certified this key for time-stamping. Kept: an authority has one key for years of signatures."""
    anchor = certificate.find_anchor(tsa, anchors)
    _check_purpose(tsa)
    return anchor


@certificate.kept
def _sha256(tsa: x509.Certificate) -> bytes:
    return hashlib.sha256(certificate.der_of(tsa)).digest()


def _check_purpose(tsa: x509.Certificate) -> None:
    """RFC 3161 section 2.3: extended key usage critical, time-stamping alone."""
    try:
        usage = tsa.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        ca = tsa.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        raise MalformedError("its certificate lacks the extensions of a time-stamping key") from None
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING] or ca:
        raise MalformedError("its certificate is not for time-stamping alone")


def _accuracy(value: asn1.Accuracy | None) -> timedelta:
    if value is None:
        return timedelta(0)
    parts = (value.seconds or 0, value.milliseconds or 0, value.microseconds or 0)
    limits = (int(MAX_ACCURACY.total_seconds()), 999, 999)
    if any(not 0 <= part <= limit for part, limit in zip(parts, limits, strict=True)):
        raise MalformedError("time-stamp accuracy is out of range (RFC 3161 section 2.4.2)")
    return timedelta(seconds=parts[0], milliseconds=parts[1], microseconds=parts[2])
