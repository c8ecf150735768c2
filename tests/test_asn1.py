from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import asn1
from attest.errors import MalformedError
from tests import der
from tests.forge import Forge

OIDS = {
    asn1.DATA: der.DATA,
    asn1.SIGNED_DATA: der.SIGNED_DATA,
    asn1.TST_INFO: der.TST_INFO,
    asn1.CONTENT_TYPE: der.CONTENT_TYPE,
    asn1.MESSAGE_DIGEST: der.MESSAGE_DIGEST,
    asn1.SIGNING_TIME: der.SIGNING_TIME,
    asn1.TIMESTAMP_TOKEN: der.TIMESTAMP,
    asn1.SHA256: der.SHA256,
    asn1.SHA512: der.SHA512,
    asn1.ED25519: der.ED25519,
    asn1.ECDSA_SHA256: der.ECDSA_SHA256,
}


@pytest.mark.parametrize(("ours", "dotted"), OIDS.items(), ids=list(OIDS.values()))
def test_an_object_identifier_is_encoded_as_x690_says(ours: ObjectIdentifier, dotted: str) -> None:
    assert asn1.encode(ours) == der.oid(dotted)


STRINGS = st.lists(st.text(max_size=40), max_size=12)


@given(STRINGS)
@settings(derandomize=True, max_examples=200)
def test_strings_are_encoded_as_x690_says_and_read_back(items: list[str]) -> None:
    encoded = asn1.encode_strings(items)
    assert encoded == der.seq(*map(der.utf8, items))
    assert asn1.decode_strings(encoded, limit=4096) == items


@pytest.mark.parametrize("size", [0, 1, 123, 124, 125, 126, 249, 250, 251, 252, 253, 254, 1000])
def test_strings_of_every_size_of_length_field_are_read(size: int) -> None:
    """The frame around the list has a length of its own, of one, two or three bytes."""
    items = ["x" * size]
    assert asn1.decode_strings(der.seq(der.utf8(items[0])), limit=4096) == items


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        der.utf8("x"),
        der.seq(der.octets(b"x")),
        der.seq(der.utf8("x")) + b"\0",
        der.seq(der.utf8("x")) + der.seq(der.utf8("y")),
        der.long_length(der.seq(der.utf8("x"))),
        der.indefinite(der.seq(der.utf8("x"))),
        der.seq(der.tlv(0x0C, b"\xff")),
        der.seq(der.tlv(0x2C, der.utf8("x"))),
    ],
    ids=[
        "nothing",
        "a tag alone",
        "a string without its list",
        "octets in the list",
        "a byte after the list",
        "a second list",
        "a length that is not minimal",
        "indefinite length",
        "no UTF-8",
        "a constructed string",
    ],
)
def test_any_other_spelling_of_strings_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        asn1.decode_strings(data, limit=4096)


def test_more_bytes_than_the_limit_are_not_looked_at() -> None:
    with pytest.raises(MalformedError, match="at most 8"):
        asn1.decode_strings(der.seq(der.utf8("x" * 20)), limit=8)
    with pytest.raises(MalformedError, match="at most 8"):
        asn1.decode(str, der.utf8("x" * 20), limit=8)


@given(st.binary(max_size=300))
@settings(derandomize=True, max_examples=300)
def test_any_bytes_are_malformed_or_strings_that_encode_back_to_them(data: bytes) -> None:
    try:
        items = asn1.decode_strings(data, limit=4096)
    except MalformedError:
        return
    assert asn1.encode_strings(items) == data


SAMPLE = asn1.encode_strings(["sign:git", "bridgeCert", "x" * 130])


@given(st.integers(0, 8 * len(SAMPLE) - 1))
@settings(derandomize=True, max_examples=400)
def test_strings_with_one_flipped_bit_are_malformed_or_encode_back(bit: int) -> None:
    flipped = bytearray(SAMPLE)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        items = asn1.decode_strings(bytes(flipped), limit=4096)
    except MalformedError:
        return
    assert asn1.encode_strings(items) == bytes(flipped)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (int, b"\x02\x04\0\0\0\x01"),
        (int, b"\x02\x00"),
        (bool, b"\x01\x01\x01"),
        (str, b"\x13\x01x"),
        (bytes, b"\x24\x03\x04\x01x"),
    ],
    ids=[
        "an integer with leading zeros",
        "an integer without bytes",
        "a boolean that is not FF",
        "a printable string for UTF-8",
        "constructed octets",
    ],
)
def test_ber_that_is_not_der_is_malformed(kind: type, data: bytes) -> None:
    with pytest.raises(MalformedError):
        asn1.decode(kind, data, limit=64)


def test_a_field_declared_any_keeps_its_bytes() -> None:
    value = asn1.frame(asn1.encode(b"octets"), limit=64)
    assert asn1.encode(value) == der.octets(b"octets")
    assert asn1.open_tlv(value, bytes) == b"octets"
    with pytest.raises(MalformedError, match="not DER of int"):
        asn1.open_tlv(value, int)


@pytest.mark.parametrize("data", [b"", b"\x04", b"\x04\x81\x01x", b"\x04\x01xy", b"\x04\x02x"])
def test_a_frame_is_one_value_of_der(data: bytes) -> None:
    with pytest.raises(MalformedError, match="not DER"):
        asn1.frame(data, limit=64)
    with pytest.raises(MalformedError, match="at most 1 are read"):
        asn1.frame(b"\x04\x01x", limit=1)


@pytest.mark.parametrize("size", [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x10000])
def test_what_is_put_together_is_what_the_library_writes(size: int) -> None:
    octets = bytes(size)
    made = asn1.der(asn1.OCTETS, octets[:7], octets[7:])
    assert made == asn1.encode(octets)
    assert asn1.content(made) == octets


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"x" * 40], ids=["nothing", "an empty sequence", "noise"])
def test_what_is_no_certificate_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        asn1.load_certificate(data)
    with pytest.raises(MalformedError):
        asn1.load_certificates(data)


def test_a_certificate_is_read_from_der_and_from_pem() -> None:
    root = Forge(seed="asn1").root
    assert asn1.load_certificate(root.public_bytes(Encoding.DER)) == root
    assert asn1.load_certificates(root.public_bytes(Encoding.PEM) * 2) == [root, root]
