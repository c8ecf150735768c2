"""The canonical encoding: against bytes worked out by hand from the specification, and its inverse for any value.

`tests/compat/test_capnp.py` holds it against Cap'n Proto itself.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attest import canonical, types
from attest.errors import MalformedError
from attest.types import (
    Assurance,
    Authentication,
    BundleSignature,
    Constraints,
    Evidence,
    Finding,
    Grant,
    Identity,
    Principal,
    PrincipalKind,
    Revocation,
    RevocationKind,
    SignedTrustBundle,
    SignerRole,
    StepStatus,
    TrustBundle,
    Verdict,
    Voucher,
)
from tests import stored

NOBODY = Principal("", PrincipalKind.HUMAN, "", "", "", Authentication.SELF_ASSERTED)
NOWHERE = Constraints((), ())
EMPTY_GRANT = Grant(0, "", NOBODY, None, (), 0, 0, NOWHERE, 0, "")
EMPTY_IDENTITY = Identity(NOBODY, None, "", b"", (), 0, Assurance.SAME_USER, b"", False, None, ())
EMPTY_BUNDLE = TrustBundle(0, "", 0, 0, b"", (), ())


def words(text: str) -> bytes:
    """Hex, a word a group; blanks are for the eye."""
    return bytes.fromhex(text)


def pointer(offset: int, data: int, pointers: int) -> str:
    """A struct pointer, or the tag of a struct list (where `offset` counts its elements)."""
    return struct.pack("<iHH", offset << 2, data, pointers).hex()


def listed(offset: int, element: int, count: int) -> str:
    """A list pointer; `element` 2 bytes, 6 pointers, 7 structs."""
    return struct.pack("<iI", offset << 2 | 1, count << 3 | element).hex()


def pad(data: bytes) -> str:
    """Bytes, filled up to whole words."""
    return (data + bytes(-len(data) % 8)).hex()


NULL = "0000000000000000"
EMPTY = "fcffffff00000000"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            BundleSignature(SignerRole.CURRENT, b"", b""), EMPTY, id="a struct of defaults has no words at all"
        ),
        pytest.param(
            BundleSignature(SignerRole.RECOVERY, b"", b""),
            pointer(0, 1, 0) + "0200000000000000",
            id="null pointers at the end are cut off",
        ),
        pytest.param(
            BundleSignature(SignerRole.CURRENT, b"\1\2", b""),
            pointer(0, 0, 1) + listed(0, 2, 2) + pad(b"\1\2"),
            id="zero words at the end are cut off",
        ),
        pytest.param(
            BundleSignature(SignerRole.CURRENT, b"", b"12345678"),
            pointer(0, 0, 2) + NULL + listed(0, 2, 8) + b"12345678".hex(),
            id="a null pointer before another stays",
        ),
        pytest.param(
            BundleSignature(SignerRole.PREVIOUS, b"\1", b"\2" * 9),
            pointer(0, 1, 2) + "0100000000000000" + listed(1, 2, 1) + listed(1, 2, 9) + pad(b"\1") + pad(b"\2" * 9),
            id="blobs follow in the order of their pointers",
        ),
        pytest.param(
            Finding(8, StepStatus.NOT_APPLICABLE, "no", ""),
            pointer(0, 1, 1) + "0800030000000000" + listed(0, 2, 3) + pad(b"no"),
            id="a text ends with a NUL that counts",
        ),
        pytest.param(
            Evidence(1, 2**64 - 1, Voucher.SIGNER, ""),
            pointer(0, 2, 0) + "0100000000000000" + "ff" * 8,
            id="numbers are little-endian",
        ),
        pytest.param(
            Constraints(("a", "", "b"), ()),
            pointer(0, 0, 1) + listed(0, 6, 3) + listed(2, 2, 2) + NULL + listed(1, 2, 2) + pad(b"a") + pad(b"b"),
            id="an empty text in a list is a null pointer",
        ),
        pytest.param(
            Constraints((), ("",)), pointer(0, 0, 2) + NULL + listed(0, 6, 1) + NULL, id="a list of one empty text"
        ),
        pytest.param(
            SignedTrustBundle(
                b"",
                (
                    BundleSignature(SignerRole.CURRENT, b"\1", b""),
                    BundleSignature(SignerRole.PREVIOUS, b"", b""),
                ),
            ),
            pointer(0, 0, 2) + NULL + listed(0, 7, 4) + pointer(2, 1, 1)
            + NULL + listed(2, 2, 1) + "0100000000000000" + NULL
            + pad(b"\1"),
            id="every element of a struct list is as large as the largest",
        ),
        pytest.param(
            replace(EMPTY_GRANT, represented=NOBODY),
            pointer(0, 0, 3) + NULL + NULL + EMPTY,
            id="somebody without any property is not nobody",
        ),
        pytest.param(
            replace(EMPTY_GRANT, actor=replace(NOBODY, kind=PrincipalKind.AGENT)),
            pointer(0, 0, 2) + NULL + pointer(0, 1, 0) + "0100000000000000",
            id="a struct follows its pointer",
        ),
    ],
)  # fmt: skip
def test_the_specification_gives_these_bytes(value: Any, expected: str) -> None:
    assert canonical.encode(value).hex() == expected
    assert canonical.decode(type(value), words(expected)) == value


def test_the_digest_is_that_of_the_bytes() -> None:
    assert canonical.digest(EMPTY_GRANT) == hashlib.sha256(words(EMPTY)).digest()


@settings(derandomize=True, max_examples=150)
@given(stored.values())
def test_what_was_encoded_decodes_to_the_same_value(value: Any) -> None:
    data = canonical.encode(value)
    assert len(data) % 8 == 0
    assert canonical.decode(type(value), data) == value


@settings(derandomize=True, max_examples=60)
@given(stored.values(), stored.values())
def test_two_values_have_two_encodings(one: Any, other: Any) -> None:
    if type(one) is type(other):
        assert (canonical.encode(one) == canonical.encode(other)) == (one == other)


def refused_or_exact(cls: type, data: bytes) -> None:
    """Any bytes: the documented error, or a value that encodes back to them."""
    try:
        value: Any = canonical.decode(cls, data)
    except MalformedError:
        return
    assert canonical.encode(value) == data


WORDS = st.one_of(
    st.binary(min_size=8, max_size=8),
    st.builds(
        lambda low, tag, high: struct.pack("<iI", low << 2 | tag, high),
        st.integers(-3, 6), st.integers(0, 3), st.integers(0, 70) | st.integers(0, 2**32 - 1),
    ),
    st.builds(lambda data, count: struct.pack("<iHH", 0, data, count), st.integers(0, 4), st.integers(0, 6)),
    st.just(bytes(8)),
)  # fmt: skip


@settings(derandomize=True, max_examples=400)
@given(st.sampled_from(stored.CLASSES), st.binary(max_size=64) | st.lists(WORDS, max_size=12).map(b"".join))
@example(Verdict, bytes(8))
def test_any_bytes_are_refused_or_encode_back_to_themselves(cls: type, data: bytes) -> None:
    refused_or_exact(cls, data)


# A verdict holds findings, so these need no turn of their own.
@pytest.mark.parametrize(
    "value",
    [value for value in stored.EXAMPLES if value is not stored.FOUND],
    ids=lambda value: type(value).__name__,
)
def test_any_flipped_bit_is_refused_or_encodes_back_to_itself(value: Any) -> None:
    data = canonical.encode(value)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        refused_or_exact(type(value), bytes(flipped))


@settings(derandomize=True, max_examples=150)
@given(st.data())
def test_any_two_words_exchanged_are_refused_or_encode_back_to_themselves(data: st.DataObject) -> None:
    value: Any = data.draw(st.sampled_from(stored.EXAMPLES))
    raw = canonical.encode(value)
    found = [raw[at : at + 8] for at in range(0, len(raw), 8)]
    one, other = (data.draw(st.integers(0, len(found) - 1)) for _ in range(2))
    found[one], found[other] = found[other], found[one]
    refused_or_exact(type(value), b"".join(found))


@pytest.mark.parametrize("value", stored.EXAMPLES, ids=lambda value: type(value).__name__)
def test_every_beginning_of_an_encoding_is_refused(value: Any) -> None:
    data = canonical.encode(value)
    for end in range(len(data)):
        with pytest.raises(MalformedError):
            canonical.decode(type(value), data[:end])


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        pytest.param(Grant, "", id="nothing"),
        pytest.param(Grant, "00000000000000", id="less than a word"),
        pytest.param(Grant, EMPTY + "00", id="a word and a byte"),
        pytest.param(Grant, NULL, id="a null root"),
        pytest.param(Grant, "0200000000000000", id="a pointer into another segment"),
        pytest.param(Grant, "0300000000000000", id="a capability"),
        pytest.param(Grant, listed(0, 2, 1) + pad(b"\1"), id="a list for a root"),
        pytest.param(Grant, "00000000" + "01000000" + EMPTY, id="the frame of a stream before it"),
        pytest.param(Grant, EMPTY + NULL, id="a word after the end"),
        pytest.param(Finding, pointer(0, 1, 0) + NULL, id="a zero word at the end of the data"),
        pytest.param(Finding, pointer(0, 0, 1) + NULL, id="a null pointer at the end of the pointers"),
        pytest.param(Finding, pointer(1, 1, 0) + NULL + "0100000000000000", id="a gap before the root"),
        pytest.param(Finding, pointer(-1, 1, 0), id="a root that holds its own pointer"),
        pytest.param(Finding, pointer(1, 1, 0) + "0100000000000000", id="a root beyond the end"),
        pytest.param(Finding, pointer(0, 0, 1) + listed(-1, 2, 8), id="a text that holds its own pointer"),
        pytest.param(Finding, pointer(0, 0, 1) + listed(0, 2, 9) + b"1234567\0".hex(), id="a text beyond the end"),
        pytest.param(Finding, pointer(0, 0, 1) + listed(0, 2, 2**29 - 1) + NULL, id="the longest text there can be"),
        pytest.param(
            Finding, pointer(0, 0, 2) + listed(1, 2, 2) + listed(0, 2, 2) + pad(b"a"), id="one text for two pointers"
        ),
        pytest.param(
            Finding,
            pointer(0, 0, 2) + listed(2, 2, 2) + listed(0, 2, 2) + pad(b"b") + pad(b"a"),
            id="texts out of order",
        ),
        pytest.param(Finding, pointer(0, 0, 1) + listed(0, 2, 1) + NULL, id="an empty text that is not null"),
        pytest.param(Finding, pointer(0, 0, 1) + listed(0, 2, 0), id="a text without its NUL"),
        pytest.param(Finding, pointer(0, 0, 1) + listed(0, 2, 1) + pad(b"a"), id="a text that ends without a NUL"),
        pytest.param(Finding, pointer(0, 0, 1) + listed(0, 2, 4) + pad(b"a\0b"), id="a NUL inside a text"),
        pytest.param(Finding, pointer(0, 0, 1) + listed(0, 2, 3) + pad(b"\xc0\xaf"), id="a text of overlong UTF-8"),
        pytest.param(Finding, pointer(0, 0, 1) + listed(0, 2, 4) + pad(b"\xed\xa0\x80"), id="half a surrogate pair"),
        pytest.param(Finding, pointer(0, 0, 1) + listed(0, 2, 2) + "6100000000000001", id="padding that is not zero"),
        pytest.param(Finding, pointer(0, 0, 1) + listed(0, 3, 1) + pad(b"a"), id="a text of two-byte elements"),
        pytest.param(Finding, pointer(0, 0, 1) + pointer(0, 1, 0) + pad(b"a"), id="a struct for a text"),
        pytest.param(BundleSignature, pointer(0, 0, 1) + listed(0, 2, 0), id="an empty blob that is not null"),
        pytest.param(Constraints, pointer(0, 0, 1) + listed(0, 6, 0), id="an empty list that is not null"),
        pytest.param(Constraints, pointer(0, 0, 1) + listed(0, 6, 2) + NULL, id="a list beyond the end"),
        pytest.param(
            Constraints,
            pointer(0, 0, 1) + listed(0, 7, 1) + pointer(1, 0, 1) + NULL,
            id="a struct list for a list of texts",
        ),
        pytest.param(
            Grant, pointer(0, 0, 2) + NULL + EMPTY, id="a struct that may not be absent, present but empty"
        ),
        pytest.param(
            Grant,
            pointer(0, 0, 3) + NULL + NULL + pointer(0, 0, 0),
            id="a struct without words that leads somewhere",
        ),
        pytest.param(
            SignedTrustBundle,
            pointer(0, 0, 2) + NULL + listed(0, 7, 0) + pointer(1, 0, 0),
            id="a struct list whose element is empty",
        ),
        pytest.param(
            SignedTrustBundle,
            pointer(0, 0, 2) + NULL + listed(0, 7, 0) + pointer(2**29 - 1, 0, 0),
            id="as many empty structs as eight bytes can claim",
        ),
        pytest.param(
            SignedTrustBundle,
            pointer(0, 0, 2) + NULL + listed(0, 7, 1) + pointer(2, 1, 0) + "0100000000000000",
            id="more elements than the list has words",
        ),
        pytest.param(
            SignedTrustBundle,
            pointer(0, 0, 2) + NULL + listed(0, 7, 2) + pointer(1, 1, 0) + "0100000000000000" + NULL,
            id="fewer elements than the list has words",
        ),
        pytest.param(
            SignedTrustBundle,
            pointer(0, 0, 2) + NULL + listed(0, 7, 1) + pointer(-1, 1, 0) + "0100000000000000",
            id="a negative number of elements",
        ),
        pytest.param(
            SignedTrustBundle, pointer(0, 0, 2) + NULL + listed(0, 7, 0), id="a struct list without its tag"
        ),
        pytest.param(
            SignedTrustBundle,
            pointer(0, 0, 2) + NULL + listed(0, 7, 2) + pointer(1, 1, 1) + "0100000000000000" + NULL,
            id="an element larger than it needs to be",
        ),
    ],
)
def test_refused(cls: type, text: str) -> None:
    with pytest.raises(MalformedError):
        canonical.decode(cls, words(text))


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        pytest.param(Finding, pointer(0, 2, 0) + NULL + "0100000000000000", id="one more word of data"),
        pytest.param(
            Finding, pointer(0, 0, 3) + NULL + NULL + listed(0, 2, 2) + pad(b"a"), id="one more pointer"
        ),
        pytest.param(Finding, pointer(0, 1, 0) + "0001000000000000", id="bits in a gap between fields"),
        pytest.param(Finding, pointer(0, 1, 0) + "0000000001000000", id="bits after the last field"),
        pytest.param(Finding, pointer(0, 1, 0) + "0000040000000000", id="one more enumerant"),
    ],
)
def test_what_a_newer_schema_wrote_is_refused_with_the_advice_to_update(cls: type, text: str) -> None:
    with pytest.raises(MalformedError) as caught:
        canonical.decode(cls, words(text))
    assert "newer version" in caught.value.hint


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Evidence(-1, 0, Voucher.SIGNER, ""), id="a number below its field"),
        pytest.param(Evidence(2**64, 0, Voucher.SIGNER, ""), id="a number above its field"),
        pytest.param(Finding(256, StepStatus.PROVEN, "", ""), id="a number above its small field"),
        pytest.param(Finding(1, "proved", "", ""), id="a word that is no enumerant"),  # type: ignore[arg-type]
        pytest.param(Finding(1, StepStatus.PROVEN, "a\0b", ""), id="a text with a NUL"),
        pytest.param(Finding(1, StepStatus.PROVEN, "\ud800", ""), id="a text with half a surrogate pair"),
        pytest.param(Constraints(("a\0b",), ()), id="a text with a NUL in a list"),
        pytest.param(
            replace(EMPTY_BUNDLE, revocations=(Revocation(RevocationKind.PRINCIPAL, "", 0, ""),)),
            id="a list whose elements say nothing",
        ),
        pytest.param(SignedTrustBundle(bytes(canonical.MAX_BYTES), ()), id="more bytes than are read"),
    ],
)
def test_no_bytes_stand_for(value: Any) -> None:
    with pytest.raises(MalformedError):
        canonical.encode(value)


def test_the_largest_message_is_read_and_one_byte_more_is_not() -> None:
    largest = SignedTrustBundle(bytes(canonical.MAX_BYTES - 16 - 8), ())
    data = canonical.encode(largest)
    assert len(data) <= canonical.MAX_BYTES
    assert canonical.decode(SignedTrustBundle, data) == largest
    with pytest.raises(MalformedError, match="at most"):
        canonical.decode(SignedTrustBundle, data + bytes(canonical.MAX_BYTES - len(data) + 8))


def test_an_example_of_every_stored_type_is_among_the_values() -> None:
    generated = {cls for cls in vars(types).values() if hasattr(cls, "LAYOUT")}
    assert set(stored.CLASSES) == generated
    assert {type(value) for value in stored.EXAMPLES} == generated
