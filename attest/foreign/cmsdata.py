"""SignedData of anybody (RFC 5652 section 5): one signature, read tolerantly, with every part as DER.

What `attest.cms` refuses in our own signatures is read here: BER, other algorithms, a signer named by its key
identifier, attributes of any kind, no signed attributes at all. Two things stay strict. There is exactly one signer,
and what decides over the signature's meaning (content type, digest, time) is said once.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType

from attest import asn1
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.foreign import ber
from attest.foreign.ber import Value

MAX_CERTIFICATES = 32
"""Some programs include every certificate they know between leaf and root, twice."""

MAX_ATTRIBUTES = 64
"""Three to six are usual."""

DATA = asn1.DATA.dotted_string
TST_INFO = asn1.TST_INFO.dotted_string
CONTENT_TYPE = asn1.CONTENT_TYPE.dotted_string
MESSAGE_DIGEST = asn1.MESSAGE_DIGEST.dotted_string
SIGNING_TIME = asn1.SIGNING_TIME.dotted_string

_OID, _INTEGER, _UTC_TIME, _GENERALIZED_TIME = b"\x06", b"\x02", b"\x17", b"\x18"
_TAGGED_0_PRIMITIVE = b"\x80"

Attributes = Mapping[str, tuple[Value, ...]]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """RFC 5280 section 4.1.1.2: dotted OID, and the parameters where there are any but NULL."""

    oid: str
    parameters: Value | None


@dataclass(frozen=True, slots=True)
class Message:
    """One SignedData with its one signer. Nothing in it has been verified yet.

    The signer is named by `issuer` (DER of a Name) and `serial`, or by `key_identifier` alone. `signed_bytes` are what
    the signature may be over: the signed attributes as a DER SET, in order and, where that differs, as they stood;
    empty without signed attributes. `certificates` are DER; `content` is None where it is detached.
    """

    content_type: str
    content: bytes | None
    certificates: tuple[bytes, ...]
    issuer: bytes
    serial: int
    key_identifier: bytes | None
    digest: Algorithm
    algorithm: Algorithm
    signed: Attributes | None
    signed_bytes: tuple[bytes, ...]
    unsigned: Attributes
    signature: bytes

    def signed_value(self, oid: str) -> Value | None:
        """The one value of a signed attribute; None where there is none, or not exactly one (RFC 5652 section 11)."""
        values = (self.signed or {}).get(oid, ())
        return values[0] if len(values) == 1 else None

    @property
    def signing_time(self) -> datetime | None:
        """The attribute's instant, None where it is absent or cannot be read."""
        value = self.signed_value(SIGNING_TIME)
        return None if value is None else read_time(value)


def parse(data: bytes) -> Message:
    """Read BER or DER of a ContentInfo; `MalformedError`, or `VerificationError` (step 2) for several signers."""
    outer = _children(ber.read(data), asn1.SEQUENCE, "ContentInfo", 2)
    if read_oid(outer[0]) != asn1.SIGNED_DATA.dotted_string:
        raise MalformedError("CMS content is not SignedData")
    fields = _children(_inside(outer[1], asn1.TAGGED_0), asn1.SEQUENCE, "SignedData", 4)
    content_type, content = _content(fields[2])
    certificates = [f for f in fields[3:-1] if f.tag == asn1.TAGGED_0]
    infos = _children(fields[-1], asn1.SET, "signerInfos", 0)
    if len(infos) != 1:
        raise VerificationError(
            Step.SIGNATURE,
            Reason.SIGNATURE_SEVERAL,
            f"the signature has {len(infos)} signers; exactly one is accepted",
        )
    return _signer_info(infos[0], content_type, content, _certificates(certificates))


def _signer_info(info: Value, content_type: str, content: bytes | None, certificates: tuple[bytes, ...]) -> Message:
    """RFC 5652 section 5.3."""
    fields = list(_children(info, asn1.SEQUENCE, "SignerInfo", 5))
    _, sid, digest = fields[:3]
    rest = fields[3:]
    signed = rest.pop(0) if rest[0].tag == asn1.TAGGED_0 else None
    if len(rest) < 2 or rest[1].tag != asn1.OCTETS:
        raise MalformedError("SignerInfo holds no signature")
    unsigned = [f for f in rest[2:] if f.tag == asn1.TAGGED_1]
    issuer, serial, key_identifier = _sid(sid)
    return Message(
        content_type=content_type,
        content=content,
        certificates=certificates,
        issuer=issuer,
        serial=serial,
        key_identifier=key_identifier,
        digest=read_algorithm(digest),
        algorithm=read_algorithm(rest[0]),
        signed=_attributes(signed) if signed is not None else None,
        signed_bytes=_signed_bytes(signed) if signed is not None else (),
        unsigned=_attributes(unsigned[0]) if unsigned else MappingProxyType({}),
        signature=rest[1].content,
    )


def _signed_bytes(signed: Value) -> tuple[bytes, ...]:
    """Section 5.4: the signature is over DER, so sorted; some sign the attributes in the order they wrote them in."""
    parts = [child.der for child in signed.children]
    return tuple(dict.fromkeys((asn1.der(asn1.SET, *sorted(parts)), asn1.der(asn1.SET, *parts))))


def _sid(sid: Value) -> tuple[bytes, int, bytes | None]:
    if sid.tag == _TAGGED_0_PRIMITIVE:
        return b"", 0, sid.content
    issuer, serial = _children(sid, asn1.SEQUENCE, "signer identifier", 2)[:2]
    return issuer.der, read_integer(serial), None


def _content(info: Value) -> tuple[str, bytes | None]:
    fields = _children(info, asn1.SEQUENCE, "encapContentInfo", 1)
    if len(fields) == 1:
        return read_oid(fields[0]), None
    value = _inside(fields[1], asn1.TAGGED_0)
    if value.tag != asn1.OCTETS:
        raise MalformedError("the content is no octet string")
    return read_oid(fields[0]), value.content


def _certificates(found: Sequence[Value]) -> tuple[bytes, ...]:
    """X.509 certificates; the obsolete other kinds (RFC 5652 section 10.2.2) are passed over."""
    ders = [c.der for field in found for c in field.children if c.tag == asn1.SEQUENCE]
    if len(ders) > MAX_CERTIFICATES:
        raise MalformedError(f"{len(ders)} certificates; at most {MAX_CERTIFICATES} are read")
    return tuple(dict.fromkeys(ders))


def _attributes(found: Value) -> Attributes:
    """By OID, the values of attributes of one type one after the other."""
    if len(found.children) > MAX_ATTRIBUTES:
        raise MalformedError(f"{len(found.children)} attributes; at most {MAX_ATTRIBUTES} are read")
    gathered: dict[str, tuple[Value, ...]] = {}
    for attribute in found.children:
        kind, values = _children(attribute, asn1.SEQUENCE, "attribute", 2)[:2]
        name = read_oid(kind)
        gathered[name] = gathered.get(name, ()) + tuple(_children(values, asn1.SET, "attribute values", 0))
    return MappingProxyType(gathered)


def read_algorithm(value: Value) -> Algorithm:
    """AlgorithmIdentifier; NULL and absent parameters are one (RFC 5754 section 2)."""
    fields = _children(value, asn1.SEQUENCE, "AlgorithmIdentifier", 1)
    parameters = fields[1] if len(fields) > 1 and fields[1].der != b"\x05\x00" else None
    return Algorithm(read_oid(fields[0]), parameters)


def read_integer(value: Value) -> int:
    """An INTEGER, of either sign."""
    if value.tag != _INTEGER or not value.content:
        raise MalformedError("not an INTEGER")
    return int.from_bytes(value.content, "big", signed=True)


def read_oid(value: Value) -> str:
    """An OBJECT IDENTIFIER in dots (X.690 section 8.19)."""
    if value.tag != _OID:
        raise MalformedError("not an OBJECT IDENTIFIER")
    return _dotted(value.content)


@functools.lru_cache(maxsize=256)
def _dotted(content: bytes) -> str:
    if not content or len(content) > 64 or content[-1] & 0x80:
        raise MalformedError("not an OBJECT IDENTIFIER")
    arcs, arc = list[int](), 0
    for octet in content:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def read_time(value: Value) -> datetime | None:
    """UTCTime or GeneralizedTime in any form of BER that says its zone (X.680 sections 46 and 47); else None."""
    if value.tag not in (_UTC_TIME, _GENERALIZED_TIME) or len(value.content) > 32 or not value.content.isascii():
        return None
    text = value.content.decode()
    if value.tag == _UTC_TIME:
        # RFC 5280 section 4.1.2.5.1: years 50 to 99 are of the twentieth century.
        text = ("19" if text[:2] >= "50" else "20") + text
    zone = UTC
    if text.endswith("Z"):
        text = text[:-1]
    elif text[-5:-4] in ("+", "-") and text[-4:].isdigit():
        away = timedelta(hours=int(text[-4:-2]), minutes=int(text[-2:]))
        if away >= timedelta(days=1):
            return None
        zone, text = timezone(away if text[-5] == "+" else -away), text[:-5]
    else:
        return None
    digits = text.replace(",", ".").partition(".")[0]
    if not digits.isdigit() or len(digits) not in (12, 14):
        return None
    try:
        return datetime.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _children(value: Value, tag: bytes, name: str, least: int) -> tuple[Value, ...]:
    if value.tag != tag or len(value.children) < least:
        raise MalformedError(f"not BER of {name}")
    return value.children


def _inside(value: Value, tag: bytes) -> Value:
    """The one value under an explicit tag."""
    if value.tag != tag or len(value.children) != 1:
        raise MalformedError("an explicit tag does not hold one value")
    return value.children[0]
