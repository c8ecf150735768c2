from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import MalformedError
from attest.foreign import ber
from tests import der

SEQUENCE = der.seq(der.integer(7), der.octets(b"octets"), der.seq(), der.tlv(0xA0, der.utf8("x")))
LONG = der.octets(bytes(300))


def indefinite(tag: int, *parts: bytes) -> bytes:
    return bytes([tag, 0x80]) + b"".join(parts) + b"\0\0"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(SEQUENCE, SEQUENCE, id="DER stays as it is"),
        pytest.param(LONG, LONG, id="DER with a long length stays as it is"),
        pytest.param(indefinite(0x30, der.integer(7)), der.seq(der.integer(7)), id="indefinite length"),
        pytest.param(
            indefinite(0x30, indefinite(0xA0, indefinite(0x31))), der.seq(der.tlv(0xA0, der.tlv(0x31))), id="nested"
        ),
        pytest.param(b"\x30\x81\x03" + der.integer(7), der.seq(der.integer(7)), id="length of two bytes"),
        pytest.param(b"\x04\x84\0\0\0\x01x", der.octets(b"x"), id="length with leading zeros"),
        pytest.param(
            indefinite(0x24, der.octets(b"ab"), indefinite(0x24, der.octets(b"c"), der.octets(b""))),
            der.octets(b"abc"),
            id="octet string in pieces of pieces",
        ),
        pytest.param(b"\x24\x04" + der.octets(b"ab"), der.octets(b"ab"), id="octet string in one piece"),
        pytest.param(b"\xbf\x81\x01\x00", b"\xbf\x81\x01\x00", id="a tag number above 30"),
    ],
)
def test_the_outcome_is_der(written: bytes, expected: bytes) -> None:
    assert ber.read(written).der == expected
    assert ber.read(expected).der == expected


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x30", id="no length"),
        pytest.param(b"\x30\x81", id="no second length byte"),
        pytest.param(b"\x30\x05\x02\x01\x07", id="longer than what is there"),
        pytest.param(b"\x30\x03\x02\x02\x07", id="a child longer than its parent"),
        pytest.param(b"\x30\x80\x02\x01\x07", id="indefinite without an end"),
        pytest.param(b"\x30\x80\x02\x01\x07\0", id="half an end"),
        pytest.param(b"\x04\x80\0\0", id="a primitive of indefinite length"),
        pytest.param(der.integer(7) + b"\0", id="something after it"),
        pytest.param(b"\x24\x03\x02\x01\x07", id="an integer among the pieces of an octet string"),
        pytest.param(b"\x2c\x03\x0c\x01x", id="text in pieces"),
        pytest.param(b"\x37\x80\0\0", id="a time in pieces"),
        pytest.param(b"\x1f\xff\xff\xff\xff\x01\0", id="a tag of six bytes"),
        pytest.param(b"\x04\xfe" + bytes(126), id="a length of 126 bytes, all zero, and one more"),
        pytest.param(b"\x30\x80" * 40 + b"\0\0" * 40, id="nested forty times"),
        pytest.param(der.seq(*[der.integer(1)] * 9000), id="nine thousand values"),
        pytest.param(der.octets(bytes(70_000)), id="too long"),
    ],
)
def test_what_is_not_one_value_is_malformed(written: bytes) -> None:
    with pytest.raises(MalformedError):
        ber.read(written + (b"" if written[:2] != b"\x04\xfe" else b"x"))


@given(st.binary(max_size=200) | st.lists(st.sampled_from(SEQUENCE + b"\x24\x80\0"), max_size=60).map(bytes))
def test_any_bytes_are_malformed_or_become_der_that_stays(data: bytes) -> None:
    try:
        value = ber.read(data)
    except MalformedError:
        return
    assert ber.read(value.der) == value
