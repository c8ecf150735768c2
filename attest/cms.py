"""Cryptographic Message Syntax for git signatures: RFC 5652, with Ed25519 as in RFC 8419.

The profile (design D2): detached content, one SignerInfo of version 1, signed attributes
contentType, signingTime and messageDigest, SHA-512 with Ed25519 and SHA-256 with P-256, the leaf and
its intermediates included and the root not, DER throughout. The only unsigned attribute is the
RFC 3161 signature time-stamp. The same frame carries time-stamp tokens (`timestamp`), which differ in
content type and in carrying their content.

No private key comes here: `to_be_signed` gives the bytes, the caller signs, `assemble` frames.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.asn1 import TLV, GeneralizedTime, UTCTime

from attest import asn1, certificate, keys
from attest.armour import Armour
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.keys import KeyAlgorithm, PublicKey

MAX_CMS_BYTES = 64 * 1024
"""A leaf, an issuing CA and two time-stamp tokens are under 8 KiB; RSA chains of others under 32."""

SIGNING_TIME_SOURCE = "cms-signing-time"
"""Where the signer's word on the time is found."""

MAX_CERTIFICATES = 8
"""Leaf and one issuing CA are needed; a few more are tolerated, never walked in depth."""

ARMOUR = Armour("SIGNED MESSAGE", columns=64, limit=MAX_CMS_BYTES)
"""What git takes for an X.509 signature (gpg-interface.c)."""

_DIGESTS = {KeyAlgorithm.ED25519: asn1.SHA512, KeyAlgorithm.P256: asn1.SHA256}
_SIGNATURES = {KeyAlgorithm.ED25519: asn1.ED25519, KeyAlgorithm.P256: asn1.ECDSA_SHA256}
_ONE, _THREE = asn1.encode(1), asn1.encode(3)
_ALGORITHMS = {oid: algorithm for algorithm, oid in _SIGNATURES.items()}


@dataclass(frozen=True, slots=True)
class ToBeSigned:
    """Signed attributes before the signature: `data` is the DER SET to sign (RFC 5652 section 5.4)."""

    algorithm: KeyAlgorithm
    content_type: x509.ObjectIdentifier
    data: bytes


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """One parsed signature. Nothing in it has been verified yet.

    `signed_attributes` is the DER SET that the signature covers (RFC 5652 section 5.4).
    """

    der: bytes
    signer: x509.Certificate
    others: tuple[x509.Certificate, ...]
    algorithm: KeyAlgorithm
    content: bytes | None
    message_digest: bytes
    signing_time: datetime | None
    signing_certificate: bytes | None
    signed_attributes: bytes
    signature: bytes
    timestamps: tuple[bytes, ...]
    certificates_sorted: bool


def digest(algorithm: KeyAlgorithm, content: bytes) -> bytes:
    """The message digest that goes with a signature algorithm (RFC 8419 section 3: SHA-512 for Ed25519)."""
    return (
        hashlib.sha512(content).digest()
        if algorithm is KeyAlgorithm.ED25519
        else hashlib.sha256(content).digest()
    )


def to_be_signed(
    content: bytes,
    algorithm: KeyAlgorithm,
    *,
    signing_time: datetime,
    content_type: x509.ObjectIdentifier = asn1.DATA,
    signing_certificate: bytes | None = None,
) -> ToBeSigned:
    """The signed attributes over `content` (RFC 5652 section 5.3).

    `signing_certificate` is the SHA-256 of the signer's certificate, for time-stamp tokens (RFC 5816).
    """
    attributes = [
        _content_type(content_type),
        _signing_time(signing_time.astimezone(UTC).replace(microsecond=0)),
        _attribute(asn1.MESSAGE_DIGEST, asn1.der(asn1.OCTETS, digest(algorithm, content))),
    ]
    if signing_certificate is not None:
        attributes.append(_signing_certificate(signing_certificate))
    return ToBeSigned(algorithm, content_type, asn1.der(asn1.SET, *sorted(attributes)))


def assemble(
    pending: ToBeSigned,
    signature: bytes,
    *,
    signer: x509.Certificate,
    intermediates: Sequence[x509.Certificate] = (),
    timestamp: bytes | None = None,
    content: bytes | None = None,
    with_signer: bool = True,
) -> bytes:
    """DER ContentInfo around `signature` over `pending.data`; `content` is given where it is carried inside.

    Without `with_signer` there are no certificates in it: the receiver has them.
    """
    digest_algorithm, signature_algorithm = _algorithms(pending.algorithm)
    unsigned = b""
    if timestamp is not None:
        asn1.frame(timestamp, limit=MAX_CMS_BYTES)
        unsigned = asn1.der(asn1.TAGGED_1, _attribute(asn1.TIMESTAMP_TOKEN, timestamp))
    info = asn1.der(
        asn1.SEQUENCE,
        _ONE,
        _identifier(signer),
        digest_algorithm,
        asn1.der(asn1.TAGGED_0, asn1.content(pending.data)),
        signature_algorithm,
        asn1.der(asn1.OCTETS, signature),
        unsigned,
    )
    carried = b"" if content is None else asn1.der(asn1.TAGGED_0, asn1.der(asn1.OCTETS, content))
    certificates = sorted(certificate.der_of(c) for c in (signer, *intermediates)) if with_signer else []
    data = asn1.der(
        asn1.SEQUENCE,
        _ONE if pending.content_type == asn1.DATA else _THREE,  # RFC 5652 section 5.1
        asn1.der(asn1.SET, digest_algorithm),
        asn1.der(asn1.SEQUENCE, _oid(pending.content_type), carried),
        asn1.der(asn1.TAGGED_0, *certificates) if certificates else b"",
        asn1.der(asn1.SET, info),
    )
    return asn1.der(asn1.SEQUENCE, _oid(asn1.SIGNED_DATA), asn1.der(asn1.TAGGED_0, data))


def parse(der: bytes, *, content_type: x509.ObjectIdentifier = asn1.DATA) -> SignedMessage:
    """Read one signature strictly; raises `MalformedError`, or `VerificationError` (step 2) for several signers."""
    outer = asn1.decode(asn1.ContentInfo, der, limit=MAX_CMS_BYTES)
    data = outer.content
    if outer.content_type != asn1.SIGNED_DATA or data.content_info.content_type != content_type:
        raise MalformedError("CMS content is not of the expected type")
    detached = content_type == asn1.DATA
    if detached != (data.content_info.content is None):
        raise MalformedError("CMS content must be detached" if detached else "CMS content is missing")
    if data.version != (1 if detached else 3):
        raise MalformedError(
            "the SignedData version does not fit its content (RFC 5652 section 5.1)"
        )
    infos = data.signer_infos.as_list()
    if len(infos) != 1:
        raise VerificationError(
            Step.SIGNATURE,
            Reason.SIGNATURE_SEVERAL,
            f"the signature has {len(infos)} signers; exactly one is accepted",
        )
    info = infos[0]
    algorithm = _read_algorithms(data, info)
    certificates = _read_certificates(data)
    signer, others = _find_signer(certificates, info.sid)
    signed = _SignedAttributes.read(info, content_type)
    ders = [certificate.der_of(c) for c in certificates] if others else []
    return SignedMessage(
        der=der,
        signer=signer,
        others=others,
        algorithm=algorithm,
        content=data.content_info.content,
        message_digest=signed.message_digest,
        signing_time=signed.signing_time,
        signing_certificate=signed.signing_certificate,
        signed_attributes=signed.der,
        signature=info.signature,
        timestamps=_read_timestamps(info),
        certificates_sorted=ders == sorted(ders),
    )


def verify_content(message: SignedMessage, content: bytes) -> PublicKey:
    """Step 3: the signature is over exactly `content`, by the signer's key; returns that key."""
    try:
        key = certificate.key_of(message.signer)
    except MalformedError as error:
        raise VerificationError(
            Step.INTEGRITY, Reason.KEY_REFUSED, f"the signer's key is refused: {error}"
        ) from None
    if key.algorithm is not message.algorithm:
        raise VerificationError(
            Step.INTEGRITY,
            Reason.KEY_REFUSED,
            f"the signature says {message.algorithm}, the signer's certificate holds a key for {key.algorithm}",
        )
    if digest(message.algorithm, content) != message.message_digest:
        raise VerificationError(
            Step.INTEGRITY, Reason.DIGEST_MISMATCH, "the content is not what was signed: its digest differs"
        )
    keys.verify_signature(key, message.signature, message.signed_attributes)
    return key


@dataclass(frozen=True, slots=True)
class _SignedAttributes:
    der: bytes
    message_digest: bytes
    signing_time: datetime | None
    signing_certificate: bytes | None

    @classmethod
    def read(cls, info: asn1.SignerInfo, content_type: x509.ObjectIdentifier) -> _SignedAttributes:
        """RFC 5652 section 5.3: attributes present, each once with one value, content type and digest among them."""
        if info.signed_attributes is None:
            raise MalformedError("the signature has no signed attributes")
        found = _singles(info.signed_attributes.as_list(), "signed")
        known = {asn1.CONTENT_TYPE, asn1.MESSAGE_DIGEST, asn1.SIGNING_TIME, asn1.SIGNING_CERTIFICATE_V2}
        if unknown := set(found) - known:
            raise MalformedError(f"unknown signed attribute {min(o.dotted_string for o in unknown)}")
        if asn1.CONTENT_TYPE not in found or asn1.MESSAGE_DIGEST not in found:
            raise MalformedError("signed attributes lack contentType or messageDigest (RFC 5652 section 11)")
        if asn1.open_tlv(found[asn1.CONTENT_TYPE], x509.ObjectIdentifier) != content_type:
            raise MalformedError("the contentType attribute differs from the content's type")
        ess = found.get(asn1.SIGNING_CERTIFICATE_V2)
        return cls(
            der=asn1.encode(info.signed_attributes),
            message_digest=asn1.open_tlv(found[asn1.MESSAGE_DIGEST], bytes),
            signing_time=_time(found.get(asn1.SIGNING_TIME)),
            signing_certificate=None if ess is None else _ess_hash(ess),
        )


def _read_algorithms(data: asn1.SignedData, info: asn1.SignerInfo) -> KeyAlgorithm:
    algorithm = _ALGORITHMS.get(info.signature_algorithm.algorithm)
    if algorithm is None:
        raise MalformedError(
            f"signature algorithm {info.signature_algorithm.algorithm.dotted_string} is not Ed25519 or ECDSA-SHA256"
        )
    expected = _DIGESTS[algorithm]
    stated = [info.digest_algorithm, *data.digest_algorithms.as_list()]
    if len(stated) != 2 or any(a.algorithm != expected for a in stated):
        raise MalformedError(
            f"the one digest algorithm that goes with {algorithm} is {expected.dotted_string}"
        )
    # RFC 8419 section 2.3 and RFC 5754 section 2: parameters are absent.
    if any(a.parameters is not None for a in (*stated, info.signature_algorithm)):
        raise MalformedError("algorithm parameters must be absent")
    if info.version != 1:
        raise MalformedError("SignerInfo is not of version 1, which issuerAndSerialNumber needs")
    return algorithm


def _read_certificates(data: asn1.SignedData) -> list[x509.Certificate]:
    found = data.certificates or []
    if len(found) > MAX_CERTIFICATES:
        raise MalformedError(f"{len(found)} certificates; at most {MAX_CERTIFICATES} are read")
    return [certificate.read(asn1.der(value.tag_bytes, bytes(value.data))) for value in found]


def _find_signer(
    certificates: Sequence[x509.Certificate], sid: asn1.IssuerAndSerialNumber
) -> tuple[x509.Certificate, tuple[x509.Certificate, ...]]:
    """The leaf is found by the signer identifier, never by position (compare rfc3161-client 1.0.6)."""
    if sid.issuer.tag_bytes != b"\x30":
        raise MalformedError("the issuer in the signer identifier is not a name")
    issuer = bytes(sid.issuer.data)
    matching: list[x509.Certificate] = []
    others: list[x509.Certificate] = []
    for candidate in certificates:
        try:
            same = candidate.serial_number == sid.serial and _issuer(candidate) == issuer
        except ValueError as error:
            raise MalformedError(f"a certificate in the signature cannot be read: {error}") from None
        (matching if same else others).append(candidate)
    if len(matching) != 1:
        raise MalformedError(
            f"the signer identifier names {len(matching)} of the included certificates, not one"
        )
    return matching[0], tuple(others)


def _read_timestamps(info: asn1.SignerInfo) -> tuple[bytes, ...]:
    if info.unsigned_attributes is None:
        return ()
    attributes = info.unsigned_attributes.as_list()
    if unknown := [a.type for a in attributes if a.type != asn1.TIMESTAMP_TOKEN]:
        raise MalformedError(f"unknown unsigned attribute {unknown[0].dotted_string}")
    if len(attributes) != 1:
        raise MalformedError("unsigned attributes are empty or repeat a type")
    tokens = tuple(asn1.encode(v) for v in attributes[0].values.as_list())
    if len(tokens) != 1:
        raise MalformedError(f"the time-stamp attribute has {len(tokens)} values, not one")
    return tokens


def _singles(attributes: Sequence[asn1.Attribute], where: str) -> dict[x509.ObjectIdentifier, TLV]:
    found: dict[x509.ObjectIdentifier, TLV] = {}
    for attribute in attributes:
        values = attribute.values.as_list()
        if attribute.type in found or len(values) != 1:
            raise MalformedError(
                f"{where} attribute {attribute.type.dotted_string} must stand once, with one value"
            )
        found[attribute.type] = values[0]
    return found


def _time(value: TLV | None) -> datetime | None:
    """RFC 5652 section 11.3: UTCTime through 2049, GeneralizedTime without fractions from 2050."""
    if value is None:
        return None
    if value.tag_bytes == b"\x17":
        return asn1.open_tlv(value, UTCTime).as_datetime().replace(tzinfo=UTC)
    when = asn1.open_tlv(value, GeneralizedTime).as_datetime().replace(tzinfo=UTC)
    if when.year < 2050 or when.microsecond:
        raise MalformedError("signingTime is not in the form its year demands (RFC 5652 section 11.3)")
    return when


def _ess_hash(value: TLV) -> bytes:
    certificates = asn1.open_tlv(value, asn1.SigningCertificateV2).certificates
    if not certificates:
        raise MalformedError("signingCertificateV2 names no certificate")
    return certificates[0].certificate_hash


@certificate.kept
def _issuer(signer: x509.Certificate) -> bytes:
    """The content of its issuer's name."""
    return asn1.content(signer.issuer.public_bytes())


@certificate.kept
def _identifier(signer: x509.Certificate) -> bytes:
    """DER of IssuerAndSerialNumber (RFC 5652 section 10.2.4)."""
    return asn1.der(asn1.SEQUENCE, signer.issuer.public_bytes(), asn1.encode(signer.serial_number))


@functools.lru_cache(maxsize=4)
def _signing_time(when: datetime) -> bytes:
    """RFC 5652 section 11.3: UTCTime through 2049, GeneralizedTime from 2050."""
    return _attribute(asn1.SIGNING_TIME, asn1.encode(UTCTime(when) if when.year < 2050 else GeneralizedTime(when)))


@functools.lru_cache(maxsize=4)
def _content_type(content_type: x509.ObjectIdentifier) -> bytes:
    return _attribute(asn1.CONTENT_TYPE, _oid(content_type))


@functools.lru_cache(maxsize=4)
def _signing_certificate(sha256: bytes) -> bytes:
    named = asn1.SigningCertificateV2(certificates=[asn1.ESSCertIDv2(certificate_hash=sha256)])
    return _attribute(asn1.SIGNING_CERTIFICATE_V2, asn1.encode(named))


def _attribute(kind: x509.ObjectIdentifier, value: bytes) -> bytes:
    return asn1.der(asn1.SEQUENCE, _oid(kind), asn1.der(asn1.SET, value))


@functools.cache
def _algorithms(algorithm: KeyAlgorithm) -> tuple[bytes, bytes]:
    """DER of the AlgorithmIdentifiers of digest and signature."""
    oids = (_DIGESTS[algorithm], _SIGNATURES[algorithm])
    digesting, signing = [asn1.AlgorithmIdentifier(algorithm=oid, parameters=None) for oid in oids]
    return asn1.encode(digesting), asn1.encode(signing)


@functools.cache
def _oid(oid: x509.ObjectIdentifier) -> bytes:
    return asn1.encode(oid)
