"""What travels in a CMS signature of others and proves its time: time-stamps (RFC 3161) and Rekor's promise.

Both stand among the unsigned attributes, where anybody can put something: what does not hold proves nothing and is
remarked on. What holds was made by a third party that the verifier named, over this very signature.

Rekor (gitsign, attribute 1.3.6.1.4.1.57264.3.1) signs a *signed entry time-stamp*: JSON in its canonical form
(RFC 8785) with the entry's body, the instant and the index. gitsign leaves the body out, because it follows from the
signature: a `hashedrekord` over SHA-256 of the signed attributes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from attest import asn1, certificate, keys
from attest.errors import Error, MalformedError, VerificationError
from attest.foreign import ber, cmscerts, cmscheck, cmsdata
from attest.foreign.cmsdata import Message
from attest.keys import PublicKey
from attest.types import Evidence, Voucher

TIMESTAMP_TOKEN = asn1.TIMESTAMP_TOKEN.dotted_string
REKOR_ENTRY = "1.3.6.1.4.1.57264.3.1"

IGNORED = "timestamp-ignored"
"""Remark: a time-stamp or log entry in the signature does not hold, or is nobody's who was named."""

MAX_NAMED = 64
"""Certificates that a file names; every time-stamp is tried under each of them."""

MAX_ENTRIES = 4
"""Time-stamps, and log entries, that are looked at; one of each is made."""

_ESS_V1, _ESS_V2 = "1.2.840.113549.1.9.16.2.12", asn1.SIGNING_CERTIFICATE_V2.dotted_string
_DIGESTS = {"2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384", "2.16.840.1.101.3.4.2.3": "sha512"}
_STAMPING = frozenset((ExtendedKeyUsageOID.TIME_STAMPING,))
_SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
_GENERALIZED_TIME, _INTEGER = b"\x18", b"\x02"
MAX_ACCURACY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Stamper:
    """A time-stamping authority that counts: its certificates from the lowest to the root, and when it counts.

    No path from it leads through a certificate of one of the keys `barred` (SPKI in DER).
    """

    chain: tuple[x509.Certificate, ...]
    begins: int
    ends: int | None
    barred: frozenset[bytes] = frozenset()

    def allows(self, certificate: x509.Certificate) -> bool:
        """Whether a path may lead through it."""
        try:
            return not self.barred or certificate.public_key().public_bytes(*_SPKI) not in self.barred
        except cmscerts.UNREADABLE:
            return False  # and so it could not have issued another


def named(pem: bytes) -> tuple[Stamper, ...]:
    """What a PEM file names: each certificate in it, a time-stamping authority's own or a CA's above it, counts.

    Raises `MalformedError`.
    """
    found = certificate.load_pem(pem)
    if len(found) > MAX_NAMED:
        raise MalformedError(f"{len(found)} certificates; at most {MAX_NAMED} are read of time-stamping authorities")
    return tuple(Stamper((each,), 0, None) for each in found)


@dataclass(frozen=True, slots=True)
class Log:
    """A transparency log that counts: its key, P-256 or Ed25519, and when entries of it count (unix seconds)."""

    key: PublicKey
    begins: int
    ends: int | None


def collect(
    message: Message, leaf: x509.Certificate, stampers: Sequence[Stamper], logs: Mapping[bytes, Log]
) -> tuple[tuple[Evidence, ...], tuple[str, ...]]:
    """What holds, and a remark where something does not. The lower bounds are the certificate's issue."""
    begins = int(leaf.not_valid_before_utc.timestamp())
    found, remarks = list[Evidence](), set[str]()
    tokens = message.unsigned.get(TIMESTAMP_TOKEN, ())[:MAX_ENTRIES]
    entries = message.unsigned.get(REKOR_ENTRY, ())[:MAX_ENTRIES]
    asked = [functools.partial(verify_token, token.der, message.signature, stampers) for token in tokens]
    asked += [functools.partial(verify_entry, entry.content, message, leaf, logs) for entry in entries]
    for ask in asked:
        try:
            when, source = ask()
        except (Error, *cmscerts.UNREADABLE, OverflowError):
            remarks.add(IGNORED)
            continue
        found.append(Evidence(min(begins, when), when, Voucher.INDEPENDENT, source))
    return tuple(found), tuple(sorted(remarks))


def verify_token(der: bytes, stamped: bytes, stampers: Sequence[Stamper]) -> tuple[int, str]:
    """The instant by which `stamped` existed, says a time-stamp, and who says so; or an error of any kind.

    RFC 3161 section 2.4.2 and RFC 5816: the token names the certificate that signed it, which is for time-stamping
    alone and leads to a root of one of `stampers`.
    """
    opened = _open(der, stamped, stampers)
    return _led(opened, stampers)


def verify_answer(der: bytes, stamped: bytes, nonce: int, stampers: Sequence[Stamper]) -> datetime:
    """As `verify_token`, of a token that was asked for with this nonce and its certificate; returns its time.

    With no `stampers` everything is checked but whose it is.
    """
    opened = _open(der, stamped, ())
    if opened.info.nonce != nonce:
        raise MalformedError("the time-stamp's nonce is not the one that was asked with: it may be an old one")
    if stampers:
        _led(opened, stampers)
    elif not opened.signer.not_valid_before_utc <= opened.info.time <= opened.signer.not_valid_after_utc:
        raise MalformedError(_OUTSIDE)
    return opened.info.time


_OUTSIDE = "the time-stamp's time is outside its certificate's validity"


@dataclass(frozen=True, slots=True)
class _Opened:
    """A token that its signer's certificate bears out. Whose that is has not been asked."""

    info: _TstInfo
    signer: x509.Certificate
    key_id: str
    others: tuple[x509.Certificate, ...]


def _open(der: bytes, stamped: bytes, stampers: Sequence[Stamper]) -> _Opened:
    message = cmsdata.parse(der)
    if message.content_type != cmsdata.TST_INFO or message.content is None:
        raise MalformedError("not a time-stamp token")
    info = _TstInfo.read(message.content)
    if hashlib.new(info.digest, stamped).digest() != info.imprint:
        raise MalformedError("the time-stamp is over something else")
    signer = cmscheck.find_certificate(message) or _named_signer(message, stampers)
    if signer is None or signer.library is None:
        raise MalformedError("the time-stamp's signer is not there")
    cmscheck.verify_message(message, signer, message.content)
    _check_named(message, signer.der)
    _check_purpose(signer.library)
    included = [cmscerts.read(der).library for der in message.certificates]
    others = tuple(c for c in included if c is not None and c != signer.library)
    return _Opened(info, signer.library, signer.facts.key_id, others)


def _led(opened: _Opened, stampers: Sequence[Stamper]) -> tuple[int, str]:
    info, signer = opened.info, opened.signer
    seconds = int(info.time.timestamp())
    for stamper in stampers:
        if not stamper.begins <= seconds <= (seconds if stamper.ends is None else stamper.ends):
            continue
        if not stamper.allows(signer):
            continue
        try:
            others = [c for c in (*opened.others, *stamper.chain[:-1]) if stamper.allows(c)]
            cmscerts.verify_chain(signer, others, stamper.chain[-1:], info.time, _STAMPING)
        except VerificationError:
            continue
        if not signer.not_valid_before_utc <= info.time <= signer.not_valid_after_utc:
            raise MalformedError(_OUTSIDE)
        return int((info.time + info.accuracy).timestamp()), f"rfc3161:{opened.key_id}"
    raise MalformedError("the time-stamp is by nobody who was named")


def verify_entry(entry: bytes, message: Message, leaf: x509.Certificate, logs: Mapping[bytes, Log]) -> tuple[int, str]:
    """The instant at which a log took this signature in, says its promise, and which log; or an error of any kind."""
    fields = _fields(entry)
    log_id = _bytes(_fields(_bytes(fields, 2)), 1)
    log = logs.get(log_id)
    if log is None:
        raise MalformedError("the log is none that was named")
    index, when = fields.get(1, 0), fields.get(4, 0)
    promise = _bytes(_fields(_bytes(fields, 5)), 1)
    if not isinstance(index, int) or not isinstance(when, int) or not log.begins <= when <= (log.ends or when):
        raise MalformedError("the entry's index or time is out of range")
    body = hashed_rekord(message.signed_bytes[0] if message.signed_bytes else b"", message.signature, leaf)
    if fields.get(7, body) != body:
        raise MalformedError("the entry is of something else")
    encoded = base64.b64encode(body).decode()
    said = f'{{"body":"{encoded}","integratedTime":{when},"logID":"{log_id.hex()}","logIndex":{index}}}'
    keys.verify_signature(log.key, promise, said.encode())
    return when, f"rekor:{log_id.hex()[:16]}"


def hashed_rekord(signed: bytes, signature: bytes, leaf: x509.Certificate) -> bytes:
    """The body of a log entry, hashedrekord 0.0.1, in canonical JSON (RFC 8785): base64 and hex need no escapes."""
    pem = base64.b64encode(leaf.public_bytes(Encoding.PEM)).decode()
    return (
        '{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"'
        f'{hashlib.sha256(signed).hexdigest()}"}}}},"signature":{{"content":"{base64.b64encode(signature).decode()}",'
        f'"publicKey":{{"content":"{pem}"}}}}}}}}'
    ).encode()


@dataclass(frozen=True, slots=True)
class _TstInfo:
    """RFC 3161 section 2.4.2: what is asked of it here."""

    digest: str
    imprint: bytes
    time: datetime
    accuracy: timedelta
    nonce: int | None

    @classmethod
    def read(cls, data: bytes) -> _TstInfo:
        fields = ber.read(data).children
        if len(fields) < 5 or len(fields[2].children) != 2 or fields[2].children[1].tag != asn1.OCTETS:
            raise MalformedError("not a TSTInfo")
        digest = cmsdata.read_algorithm(fields[2].children[0]).oid
        when = cmsdata.read_time(fields[4]) if fields[4].tag == _GENERALIZED_TIME else None
        if digest not in _DIGESTS or when is None:
            raise MalformedError("the time-stamp's digest or time cannot be read")
        accuracy = timedelta(0)
        if len(fields) > 5 and fields[5].tag == asn1.SEQUENCE:
            accuracy = _accuracy(fields[5])
        if b"." in fields[4].content:
            accuracy += timedelta(seconds=1)  # the fraction was cut off
        nonces = [cmsdata.read_integer(field) for field in fields[5:] if field.tag == _INTEGER]
        return cls(
            _DIGESTS[digest], fields[2].children[1].content, when, accuracy, nonces[0] if len(nonces) == 1 else None
        )


def _accuracy(value: ber.Value) -> timedelta:
    """Seconds; milliseconds and microseconds are rounded up to one."""
    seconds = sum(cmsdata.read_integer(v) for v in value.children if v.tag == _INTEGER)
    total = timedelta(seconds=seconds + any(v.tag != _INTEGER for v in value.children))
    if not timedelta(0) <= total <= MAX_ACCURACY:
        raise MalformedError("the time-stamp's accuracy is out of range")
    return total


def _named_signer(message: Message, stampers: Sequence[Stamper]) -> cmscerts.Certificate | None:
    """A token may leave its signer's certificate out (certReq): then it is one that was named."""
    for stamper in stampers:
        found = cmscerts.read(stamper.chain[0].public_bytes(cmscerts.DER))
        if message.key_identifier in (None, found.subject_key_identifier) and (
            message.key_identifier is not None or (found.issuer, found.serial) == (message.issuer, message.serial)
        ):
            return found
    return None


def _check_named(message: Message, der: bytes) -> None:
    """ESSCertID and ESSCertIDv2, whose default digest is SHA-256 (RFC 5035 section 4)."""
    for name, digest in ((_ESS_V2, "sha256"), (_ESS_V1, "sha1")):
        value = message.signed_value(name)
        if value is None:
            continue
        first = value.children[0].children[0].children if value.children and value.children[0].children else ()
        named = [child for child in first if child.tag == asn1.OCTETS]
        if first and first[0].tag == asn1.SEQUENCE:
            digest = _DIGESTS.get(cmsdata.read_algorithm(first[0]).oid, digest)
        if named and hashlib.new(digest, der, usedforsecurity=False).digest() == named[0].content:
            return
        break
    raise MalformedError("the time-stamp does not name its signing certificate")


def _check_purpose(tsa: x509.Certificate) -> None:
    """RFC 3161 section 2.3: extended key usage critical, time-stamping alone."""
    usage = tsa.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise MalformedError("the time-stamp's certificate is not for time-stamping alone")


def _fields(message: bytes) -> dict[int, int | bytes]:
    """The fields of one protobuf message by number, the last of several; `MalformedError` for anything else."""
    return dict(_field(message))


def _field(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
        elif key & 7 == 2:
            size, at = _varint(message, at)
            if at + size > len(message):
                raise MalformedError("not a log entry")
            yield key >> 3, message[at : at + size]
            at += size
        else:
            raise MalformedError("not a log entry")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(message):
            break
        octet = message[at]
        at += 1
        value |= (octet & 0x7F) << shift
        if not octet & 0x80:
            return value, at
    raise MalformedError("not a log entry")


def _bytes(fields: Mapping[int, int | bytes], number: int) -> bytes:
    value = fields.get(number)
    if not isinstance(value, bytes):
        raise MalformedError("the log entry lacks a field")
    return value
