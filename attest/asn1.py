"""ASN.1 declarations: CMS (RFC 5652), time-stamp tokens (RFC 3161, RFC 5816) and our claims extension.
`Bridge` is the one declaration that rides in OpenSSH certificates alone.

Strict DER in both directions by `cryptography.hazmat.asn1`. Whoever decodes also compares the
re-encoding with the input (`decode`), so that no second spelling of a value is ever accepted.
"""

from __future__ import annotations

import warnings
from typing import Annotated, TypeVar

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.asn1 import TLV, Explicit, Implicit, Null, SetOf, sequence
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import ObjectIdentifier

from attest.errors import MalformedError

T = TypeVar("T")

# RFC 5280 section 4.1.2.2: serial numbers are positive. The library announces that it will refuse others, and
# until then reads them and prints a warning; here they are refused already.
warnings.filterwarnings("error", "Parsed a serial number", CryptographyDeprecationWarning)
# A name longer than RFC 5280 appendix A.1 allows becomes a remark, not a line on stderr that anybody can cause.
warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning)
_UNREADABLE = (ValueError, OverflowError, TypeError, x509.InvalidVersion, CryptographyDeprecationWarning)

DATA = ObjectIdentifier("1.2.840.113549.1.7.1")
SIGNED_DATA = ObjectIdentifier("1.2.840.113549.1.7.2")
TST_INFO = ObjectIdentifier("1.2.840.113549.1.9.16.1.4")
CONTENT_TYPE = ObjectIdentifier("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = ObjectIdentifier("1.2.840.113549.1.9.4")
SIGNING_TIME = ObjectIdentifier("1.2.840.113549.1.9.5")
SIGNING_CERTIFICATE_V2 = ObjectIdentifier("1.2.840.113549.1.9.16.2.47")
TIMESTAMP_TOKEN = ObjectIdentifier("1.2.840.113549.1.9.16.2.14")
SHA256 = ObjectIdentifier("2.16.840.1.101.3.4.2.1")
SHA384 = ObjectIdentifier("2.16.840.1.101.3.4.2.2")
SHA512 = ObjectIdentifier("2.16.840.1.101.3.4.2.3")
ED25519 = ObjectIdentifier("1.3.101.112")
ECDSA_SHA256 = ObjectIdentifier("1.2.840.10045.4.3.2")


@sequence
class AlgorithmIdentifier:
    """RFC 5280 section 4.1.1.2; the algorithms used here take no parameters or NULL."""

    algorithm: ObjectIdentifier
    parameters: Null | None


@sequence
class Attribute:
    """RFC 5652 section 5.3."""

    type: ObjectIdentifier
    values: SetOf[TLV]


@sequence
class IssuerAndSerialNumber:
    """RFC 5652 section 10.2.4; the issuer's Name is kept as it stands."""

    issuer: TLV
    serial: int


@sequence
class SignerInfo:
    """RFC 5652 section 5.3, version 1 (signer named by issuer and serial number)."""

    version: int
    sid: IssuerAndSerialNumber
    digest_algorithm: AlgorithmIdentifier
    signed_attributes: Annotated[SetOf[Attribute] | None, Implicit(0)]
    signature_algorithm: AlgorithmIdentifier
    signature: bytes
    unsigned_attributes: Annotated[SetOf[Attribute] | None, Implicit(1)]


@sequence
class EncapsulatedContentInfo:
    """RFC 5652 section 5.2."""

    content_type: ObjectIdentifier
    content: Annotated[bytes | None, Explicit(0)]


@sequence
class SignedData:
    """RFC 5652 section 5.1, without CRLs.

    The certificates are declared as a SEQUENCE OF under the same implicit tag: the bytes are the
    same, and the order of the SET stays for `cms` to judge (go-cms writes leaf first). What each of them
    is, `certificate.read` says.
    """

    version: int
    digest_algorithms: SetOf[AlgorithmIdentifier]
    content_info: EncapsulatedContentInfo
    certificates: Annotated[list[TLV] | None, Implicit(0)]
    signer_infos: SetOf[SignerInfo]


@sequence
class ContentInfo:
    """RFC 5652 section 3."""

    content_type: ObjectIdentifier
    content: Annotated[SignedData, Explicit(0)]


@sequence
class MessageImprint:
    """RFC 3161 section 2.4.1."""

    hash_algorithm: AlgorithmIdentifier
    hashed_message: bytes


@sequence
class Accuracy:
    """RFC 3161 section 2.4.2; each part is absent or positive."""

    seconds: int | None
    milliseconds: Annotated[int | None, Implicit(0)]
    microseconds: Annotated[int | None, Implicit(1)]


@sequence
class TSTInfo:
    """RFC 3161 section 2.4.2, without the `tsa` hint and without extensions."""

    version: int
    policy: ObjectIdentifier
    message_imprint: MessageImprint
    serial: int
    generated_at: asn1.GeneralizedTime
    accuracy: Accuracy | None
    ordering: Annotated[bool, asn1.Default(False)]
    nonce: int | None


@sequence
class ESSCertIDv2:
    """RFC 5816 section 3.1 with its default hash, SHA-256."""

    certificate_hash: bytes


@sequence
class SigningCertificateV2:
    """RFC 5816 section 3.1."""

    certificates: list[ESSCertIDv2]


@sequence
class TimeStampReq:
    """RFC 3161 section 2.4.1, without extensions."""

    version: int
    message_imprint: MessageImprint
    policy: ObjectIdentifier | None
    nonce: int | None
    certificates: Annotated[bool, asn1.Default(False)]


@sequence
class PKIStatusInfo:
    """RFC 3161 section 2.4.2, a granted answer: status alone."""

    status: int


@sequence
class TimeStampResponse:
    """RFC 3161 section 2.4.2."""

    status: PKIStatusInfo
    token: TLV


@sequence
class RepresentedClaim:
    """The represented principal and how it was authenticated (design D4)."""

    id: str
    kind: str
    display: str
    email: str
    authentication: str


@sequence
class GrantClaim:
    """The grant's id and the SHA-256 of its canonical encoding."""

    id: str
    sha256: Annotated[bytes, asn1.Size.exact(32)]


@sequence
class ConstraintsClaim:
    """Patterns; an empty list does not constrain."""

    repositories: list[str]
    branches: list[str]


@sequence
class Claims:
    """Our certificate extension: everything a verifier needs to name actor and represented principal."""

    version: int
    actor_kind: str
    actor_name: str
    actor_email: str
    assurance: str
    represented: Annotated[RepresentedClaim | None, Implicit(0)]
    grant: Annotated[GrantClaim | None, Implicit(1)]
    session: Annotated[str | None, Implicit(2)]
    task_digest: Annotated[bytes | None, Implicit(3)]
    constraints: Annotated[ConstraintsClaim | None, Implicit(4)]
    depth: Annotated[int | None, Implicit(5)]


@sequence
class Bridge:
    """What upstream's X.509 extensions .1.1 to .1.6 say, in one extension of an OpenSSH certificate (design D3)."""

    subject: str
    issued_at: str
    scopes: list[str]
    epoch: int
    auth_method: str
    binding: Annotated[bytes, asn1.Size.exact(32)]


def decode(kind: type[T], data: bytes, *, limit: int) -> T:
    """The one value of `kind` that `data` (strict DER, at most `limit` bytes) encodes.

    Raises `MalformedError` for anything else, trailing bytes and a second spelling included.
    """
    if len(data) > limit:
        raise MalformedError(f"{len(data)} bytes of DER where at most {limit} are read")
    try:
        value = asn1.decode_der(kind, data)
        canonical = asn1.encode_der(value)
    except _UNREADABLE as error:
        raise MalformedError(f"not DER of {kind.__name__}: {error}") from None
    if canonical != data:
        raise MalformedError(f"not the canonical DER of {kind.__name__}")
    return value


def load_certificate(der: bytes) -> x509.Certificate:
    """The certificate in `der`, or `MalformedError`."""
    try:
        return x509.load_der_x509_certificate(der)
    except _UNREADABLE as error:
        raise MalformedError(f"no readable certificate: {error}") from None


def load_certificates(pem: bytes) -> list[x509.Certificate]:
    """Every certificate in PEM text; `MalformedError` when there is none or one cannot be read."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except _UNREADABLE:
        raise MalformedError("no readable PEM certificate is in it") from None
    # The library passes over a block without its end: a file that was cut short would pin fewer roots than it says.
    if len(found) != pem.count(b"-----BEGIN CERTIFICATE-----"):
        raise MalformedError("a PEM certificate has no end")
    return found


def encode(value: object) -> bytes:
    """DER of a declared value."""
    return asn1.encode_der(value)


SEQUENCE, SET, OCTETS, TAGGED_0, TAGGED_1 = b"\x30", b"\x31", b"\x04", b"\xa0", b"\xa1"
"""Tags: the universal ones (X.680 section 8.6), and [0] and [1], constructed."""


def der(tag: bytes, *parts: bytes) -> bytes:
    """One value: this tag, the shortest length (X.690 section 10.1), and `parts`.

    What is written for every signature is put together with this; it takes a third of the time of a declaration.
    """
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return tag + size.to_bytes(1, "big") + body
    octets = (size.bit_length() + 7) // 8
    return tag + (0x80 | octets).to_bytes(1, "big") + size.to_bytes(octets, "big") + body


def content(value: bytes) -> bytes:
    """What stands after tag and length of a value that `der` or `encode` made."""
    return value[2 if value[1] < 0x80 else value[1] - 0x7E :]


def frame(der: bytes, *, limit: int) -> TLV:
    """The one value that `der` is, whatever its type, for a field declared ANY; `MalformedError` for anything else."""
    if len(der) > limit:
        raise MalformedError(f"{len(der)} bytes of DER where at most {limit} are read")
    try:
        return asn1.decode_der(TLV, der)
    except ValueError as error:
        raise MalformedError(f"not DER: {error}") from None


def open_tlv(value: TLV, kind: type[T]) -> T:
    """The value of type `kind` in a field declared ANY, or `MalformedError`."""
    try:
        return value.parse(kind)  # type: ignore[no-any-return]  # the stub leaves the result open
    except (ValueError, TypeError) as error:
        raise MalformedError(f"not DER of {kind.__name__}: {error}") from None


@sequence
class _Strings:
    """A frame around SEQUENCE OF UTF8String, which the library does not take as an outermost type."""

    items: list[str]


def encode_strings(items: list[str]) -> bytes:
    """DER of SEQUENCE OF UTF8String."""
    framed = asn1.decode_der(TLV, asn1.encode_der(_Strings(items=items)))
    return bytes(framed.data)


def decode_strings(data: bytes, *, limit: int) -> list[str]:
    """The strings in DER of SEQUENCE OF UTF8String."""
    if len(data) > limit:
        raise MalformedError(f"{len(data)} bytes of DER where at most {limit} are read")
    length = bytes([len(data)]) if len(data) < 0x80 else b"\x82" + len(data).to_bytes(2, "big")
    if 0x80 <= len(data) < 0x100:
        length = b"\x81" + bytes([len(data)])
    return decode(_Strings, b"\x30" + length + data, limit=limit + 4).items
