"""The strictness rule: what a key and a signature may look like, judged by arithmetic done here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import keys
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.keys import KeyAlgorithm

MESSAGE = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
ED25519_KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256_KEY = ec.derive_private_key(0x1234567890ABCDEF << 128, ec.SECP256R1())
ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")
P256_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")

# edwards25519 in integers, RFC 8032 section 5.1; nothing below is shared with the module under test.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Point = tuple[int, int]


def add(a: Point, b: Point) -> Point:
    """The complete addition law, RFC 8032 section 5.1.4 in affine form."""
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P
    return x, y


def multiply(scalar: int, point: Point) -> Point:
    total = (0, 1)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def decode_loosely(encoding: bytes) -> Point | None:
    """The point that a lenient decoder takes: y modulo p, and a sign bit on x = 0 ignored."""
    number = int.from_bytes(encoding, "little")
    y = (number & (2**255 - 1)) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    if root * root % P != square:
        root = root * pow(2, (P - 1) // 4, P) % P
    if root * root % P != square:
        return None
    return (root if root & 1 == number >> 255 else -root % P), y


def encode(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def torsion_points() -> set[Point]:
    """The eight points P with 8 P = 0: multiples of the part of order 8 of some point of full order."""
    for y in range(2, 100):
        point = decode_loosely(y.to_bytes(32, "little"))
        if point is None:
            continue
        points = {multiply(k, multiply(L, point)) for k in range(8)}
        if len(points) == 8:
            return points
    raise AssertionError("no point of full order among the first hundred")


SMALL_ORDER = sorted(encode(point) for point in torsion_points())
# Every way to write a point that is not the canonical one: 19 values of y from p to 2^255 - 1 with
# either sign, and the sign of zero on (0, 1) and (0, -1).
SECOND_SPELLINGS = [
    *((y | sign << 255).to_bytes(32, "little") for y in range(P, 2**255) for sign in (0, 1)),
    *((y | 1 << 255).to_bytes(32, "little") for y in (1, P - 1)),
]


def refusal(error: pytest.ExceptionInfo[VerificationError]) -> tuple[Step, Reason]:
    return error.value.step, error.value.reason


INVALID = (Step.INTEGRITY, Reason.SIGNATURE_INVALID)


def der_integer(number: int, *, padding: int = 0) -> bytes:
    content = bytes(padding) + number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    return bytes([2, len(content)]) + content


def der_sequence(content: bytes) -> bytes:
    return bytes([0x30, len(content)]) + content


def read_der(signature: bytes) -> tuple[int, int]:
    """r and s of a well-formed signature, all lengths in short form."""
    r_end = 4 + signature[3]
    return int.from_bytes(signature[4:r_end], "big"), int.from_bytes(signature[r_end + 2 :], "big")


ED25519_SIGNATURE = ED25519_KEY.sign(MESSAGE)
P256_SIGNATURE = P256_KEY.sign(MESSAGE, ec.ECDSA(SHA256(), deterministic_signing=True))
R, S = read_der(P256_SIGNATURE)
P1363_SIGNATURE = R.to_bytes(32, "big") + S.to_bytes(32, "big")
ED25519_PUBLIC = keys.from_cryptography(ED25519_KEY.public_key())
P256_PUBLIC = keys.from_cryptography(P256_KEY.public_key())


def test_the_key_id_of_the_published_vector() -> None:
    key = keys.ed25519(bytes(range(32)))
    assert key.key_id == "9408457aefd071cec127c1f985399308"
    assert key.spki_sha256 == hashlib.sha256(ED25519_SPKI + bytes(range(32))).digest()


def test_an_ed25519_key_keeps_its_bytes() -> None:
    raw = ED25519_KEY.public_key().public_bytes_raw()
    key = keys.parse_spki(ED25519_SPKI + raw)
    assert (key.algorithm, key.raw, key.spki) == (KeyAlgorithm.ED25519, raw, ED25519_SPKI + raw)
    assert key == keys.ed25519(raw) == ED25519_PUBLIC
    assert hash(key) == hash(ED25519_PUBLIC)


def test_a_p256_key_keeps_its_bytes() -> None:
    raw = P256_KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    key = keys.parse_spki(P256_SPKI + raw)
    assert (key.algorithm, key.raw, key.spki) == (KeyAlgorithm.P256, raw, P256_SPKI + raw)
    assert key == P256_PUBLIC
    assert key != ED25519_PUBLIC


def test_a_printed_key_shows_no_library_object() -> None:
    assert "object at" not in repr(ED25519_PUBLIC)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_an_ed25519_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(MalformedError, match=f"32 bytes, not {size}"):
        keys.ed25519(bytes(size))


def test_eight_points_have_small_order() -> None:
    assert len(SMALL_ORDER) == 8
    assert frozenset(SMALL_ORDER) == keys._SMALL_ORDER


def test_every_second_spelling_of_a_point_is_known() -> None:
    assert frozenset(SECOND_SPELLINGS) == keys._SECOND_SPELLINGS
    respelled = {
        e for e in SECOND_SPELLINGS if (point := decode_loosely(e)) is not None and encode(point) != e
    }
    on_curve = {e for e in SECOND_SPELLINGS if decode_loosely(e) is not None}
    assert respelled == on_curve
    assert len(respelled) > 2


@pytest.mark.parametrize("raw", SMALL_ORDER, ids=bytes.hex)
def test_a_key_of_small_order_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError, match="small order"):
        keys.ed25519(raw)


@pytest.mark.parametrize("raw", SECOND_SPELLINGS, ids=bytes.hex)
def test_a_second_spelling_of_a_key_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError, match="canonical"):
        keys.ed25519(raw)


@pytest.mark.parametrize(
    "raw",
    [(y | sign << 255).to_bytes(32, "little") for y in (2, P - 2) for sign in (0, 1)],
    ids=["two", "two with a sign", "the largest but one", "the largest but one with a sign"],
)
def test_the_neighbours_of_refused_points_are_keys(raw: bytes) -> None:
    assert keys.ed25519(raw).raw == raw


def test_a_point_off_the_curve_verifies_nothing() -> None:
    off = next(raw for y in range(2, 99) if decode_loosely(raw := y.to_bytes(32, "little")) is None)
    with pytest.raises(VerificationError) as error:
        keys.verify_signature(keys.ed25519(off), ED25519_SIGNATURE, MESSAGE)
    assert refusal(error) == INVALID


UNSUPPORTED: dict[str, tuple[Callable[[], PublicKeyTypes], str]] = {
    "RSA": (lambda: rsa.generate_private_key(65537, 2048).public_key(), "1.2.840.113549.1.1.1"),
    "P-384": (
        lambda: ec.generate_private_key(ec.SECP384R1()).public_key(),
        "1.2.840.10045.2.1 1.3.132.0.34",
    ),
    "secp256k1": (lambda: ec.generate_private_key(ec.SECP256K1()).public_key(), "1.3.132.0.10"),
    "Ed448": (lambda: ed448.Ed448PrivateKey.generate().public_key(), "1.3.101.113"),
    "X25519": (lambda: x25519.X25519PrivateKey.generate().public_key(), "1.3.101.110"),
}


@pytest.mark.parametrize(("make", "oid"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_another_algorithm_is_refused_by_its_oid(make: Callable[[], PublicKeyTypes], oid: str) -> None:
    with pytest.raises(MalformedError, match=oid.replace(".", r"\.")) as error:
        keys.from_cryptography(make())
    assert "Ed25519" in error.value.hint


def _p256(form: PublicFormat) -> bytes:
    return P256_KEY.public_key().public_bytes(Encoding.X962, form)


RAW = _p256(PublicFormat.UncompressedPoint)
COMPRESSED = _p256(PublicFormat.CompressedPoint)
ED = ED25519_PUBLIC.raw
REFUSED_SPKI = {
    "nothing": b"",
    "a byte too few": (ED25519_SPKI + ED)[:-1],
    "a byte too many": ED25519_SPKI + ED + b"\0",
    "Ed25519 with NULL parameters": bytes.fromhex("302c300706032b65700500032100") + ED,
    "Ed25519 with an unused bit": bytes.fromhex("302a300506032b6570032101") + ED,
    "Ed25519 with a long length": bytes.fromhex("30812a300506032b6570032100") + ED,
    "Ed25519 with indefinite length": bytes.fromhex("3080300506032b6570032100") + ED + b"\0\0",
    "Ed25519 of 31 bytes": bytes.fromhex("3029300506032b6570032000") + ED[:31],
    "a P-256 point under the Ed25519 OID": bytes.fromhex("304b300506032b6570034200") + RAW,
    "an Ed25519 point under the P-256 OID": bytes.fromhex(
        "3039301306072a8648ce3d020106082a8648ce3d030107032200" + "04"
    )
    + ED,
    "P-256 compressed": bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + COMPRESSED,
    "P-256 hybrid": P256_SPKI + bytes([6 | RAW[-1] & 1]) + RAW[1:],
    "P-256 without a curve": bytes.fromhex("304f300906072a8648ce3d0201034200") + RAW,
    "P-256 off the curve": P256_SPKI + RAW[:-1] + bytes([RAW[-1] ^ 1]),
    "P-256 with zero coordinates": P256_SPKI + b"\x04" + bytes(64),
    "P-256 with coordinates not below p": P256_SPKI + b"\x04" + b"\xff" * 64,
    "P-256 at infinity": bytes.fromhex("3019301306072a8648ce3d020106082a8648ce3d030107030200") + b"\0",
    "too long to be read": bytes.fromhex("30821400") + bytes(5120),
    "an OID of no content": bytes.fromhex("302730020600032100") + ED,
    "an OID without an end": bytes.fromhex("3026300106032100") + ED + b"\0",
    "PEM": b"-----BEGIN PUBLIC KEY-----\n",
}


@pytest.mark.parametrize("spki", REFUSED_SPKI.values(), ids=REFUSED_SPKI)
def test_no_other_spelling_of_a_key_is_read(spki: bytes) -> None:
    with pytest.raises(MalformedError):
        keys.parse_spki(spki)


def test_of_a_refused_key_two_oids_are_named() -> None:
    algorithm = der_sequence(bytes.fromhex("06022a0306022a0406022a05"))
    with pytest.raises(MalformedError, match=r"algorithm 1\.2\.3 1\.2\.4: "):
        keys.parse_spki(der_sequence(algorithm + bytes.fromhex("03020000")))


def test_a_long_refused_key_is_not_read() -> None:
    with pytest.raises(MalformedError, match="over 4096"):
        keys.parse_spki(bytes(4097))


@given(st.binary(max_size=200) | st.binary(min_size=32, max_size=32).map(lambda raw: ED25519_SPKI + raw))
@settings(derandomize=True, max_examples=400, deadline=None)
def test_any_bytes_are_a_documented_error_or_a_key_with_these_bytes(data: bytes) -> None:
    try:
        key = keys.parse_spki(data)
    except MalformedError:
        return
    assert key.spki == data
    assert data.endswith(key.raw)


@given(
    st.sampled_from([ED25519_PUBLIC.spki, P256_PUBLIC.spki, *REFUSED_SPKI.values()]),
    st.integers(0, 120),
    st.integers(0, 255),
)
@settings(derandomize=True, max_examples=600, deadline=None)
def test_a_changed_key_is_refused_or_another_key(spki: bytes, position: int, value: int) -> None:
    data = spki[:position] + bytes([value]) + spki[position + 1 :]
    try:
        key = keys.parse_spki(data)
    except MalformedError:
        return
    assert key.spki == data
    assert len(data) in (44, 91)


def test_ed25519_of_rfc_8032_section_7_1_test_2_verifies() -> None:
    key = keys.ed25519(bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"))
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    keys.verify_signature(key, signature, b"\x72")


def test_ecdsa_of_rfc_6979_section_a_2_5_verifies_in_both_forms() -> None:
    point = bytes.fromhex(
        "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    )
    r = 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
    s = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8
    key = keys.parse_spki(P256_SPKI + point)
    keys.verify_signature(key, der_sequence(der_integer(r) + der_integer(s)), b"sample")
    keys.verify_p1363(key, r.to_bytes(32, "big") + s.to_bytes(32, "big"), b"sample")


FORMS = {
    "Ed25519": (keys.verify_signature, ED25519_PUBLIC, ED25519_SIGNATURE),
    "ECDSA in DER": (keys.verify_signature, P256_PUBLIC, P256_SIGNATURE),
    "ECDSA as r, s": (keys.verify_p1363, P256_PUBLIC, P1363_SIGNATURE),
}
Verify = Callable[[keys.PublicKey, bytes, bytes], None]
forms = pytest.mark.parametrize(("verify", "key", "signature"), FORMS.values(), ids=FORMS)


@forms
def test_a_good_signature_verifies(verify: Verify, key: keys.PublicKey, signature: bytes) -> None:
    verify(key, signature, MESSAGE)


@forms
def test_a_signature_with_any_bit_flipped_is_refused(
    verify: Verify, key: keys.PublicKey, signature: bytes
) -> None:
    for bit in range(8 * len(signature)):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VerificationError) as error:
            verify(key, bytes(flipped), MESSAGE)
        assert refusal(error) == INVALID, bit


@forms
def test_a_message_with_any_bit_flipped_is_refused(
    verify: Verify, key: keys.PublicKey, signature: bytes
) -> None:
    for bit in range(8 * len(MESSAGE)):
        flipped = bytearray(MESSAGE)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VerificationError) as error:
            verify(key, signature, bytes(flipped))
        assert refusal(error) == INVALID, bit


@forms
@given(data=st.binary(max_size=160))
@settings(derandomize=True, max_examples=150, deadline=None)
def test_any_bytes_are_refused_as_a_signature(
    verify: Verify, key: keys.PublicKey, signature: bytes, data: bytes
) -> None:
    if data == signature:
        return
    with pytest.raises(VerificationError) as error:
        verify(key, data, MESSAGE)
    assert refusal(error) == INVALID


@forms
@pytest.mark.parametrize(
    "change",
    [lambda s: s[:0], lambda s: s[:-1], lambda s: s + b"\0", lambda s: b"\0" + s, lambda s: s * 20],
    ids=["nothing", "a byte too few", "a byte too many", "a byte in front", "twenty times"],
)
def test_a_signature_of_another_length_is_refused(
    verify: Verify, key: keys.PublicKey, signature: bytes, change: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(VerificationError) as error:
        verify(key, change(signature), MESSAGE)
    assert refusal(error) == INVALID


@forms
def test_the_other_key_is_refused(verify: Verify, key: keys.PublicKey, signature: bytes) -> None:
    others: dict[KeyAlgorithm, PublicKeyTypes] = {
        KeyAlgorithm.ED25519: ed25519.Ed25519PrivateKey.generate().public_key(),
        KeyAlgorithm.P256: ec.generate_private_key(ec.SECP256R1()).public_key(),
    }
    with pytest.raises(VerificationError) as error:
        verify(keys.from_cryptography(others[key.algorithm]), signature, MESSAGE)
    assert refusal(error) == INVALID


def _accepted_by_the_equation(a: Point, r: bytes, s: int) -> bool:
    """S B = R + k A (RFC 8032 section 5.1.7, without the cofactor), R read loosely."""
    base = decode_loosely((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    point = decode_loosely(r)
    assert base is not None
    if point is None:
        return False
    k = int.from_bytes(hashlib.sha512(r + encode(a) + MESSAGE).digest(), "little") % L
    return multiply(s, base) == add(point, multiply(k, a))


@pytest.mark.parametrize("r", [*SMALL_ORDER, *SECOND_SPELLINGS], ids=bytes.hex)
def test_a_refused_r_is_refused_by_the_rule_and_not_by_chance(r: bytes) -> None:
    with pytest.raises(VerificationError, match="small order or not canonical"):
        keys.verify_signature(ED25519_PUBLIC, r + bytes(32), MESSAGE)


def test_the_holder_of_a_key_can_satisfy_the_equation_with_r_zero_and_is_refused() -> None:
    seed = hashlib.sha512(bytes(range(32))).digest()[:32]
    scalar = int.from_bytes(seed, "little") & (2**254 - 8) | 2**254
    point = decode_loosely(ED25519_PUBLIC.raw)
    identity = encode((0, 1))
    k = int.from_bytes(hashlib.sha512(identity + ED25519_PUBLIC.raw + MESSAGE).digest(), "little") % L
    s = k * scalar % L
    assert point is not None
    assert _accepted_by_the_equation(point, identity, s)
    with pytest.raises(VerificationError, match="small order"):
        keys.verify_signature(ED25519_PUBLIC, identity + s.to_bytes(32, "little"), MESSAGE)


@pytest.mark.parametrize("factor", range(1, 15))
def test_s_plus_a_multiple_of_the_group_order_is_refused(factor: int) -> None:
    s = int.from_bytes(ED25519_SIGNATURE[32:], "little") + factor * L
    with pytest.raises(VerificationError, match="not below the group order"):
        keys.verify_signature(ED25519_PUBLIC, ED25519_SIGNATURE[:32] + s.to_bytes(32, "little"), MESSAGE)


@pytest.mark.parametrize(
    ("s", "refused_by_the_rule"), [(L, True), (L - 1, False)], ids=["the order", "the order less one"]
)
def test_the_bound_of_s_is_the_group_order(s: int, refused_by_the_rule: bool) -> None:
    with pytest.raises(VerificationError) as error:
        keys.verify_signature(ED25519_PUBLIC, ED25519_SIGNATURE[:32] + s.to_bytes(32, "little"), MESSAGE)
    assert ("not below the group order" in error.value.message) is refused_by_the_rule


BODY = der_integer(R) + der_integer(S)
REFUSED_DER = {
    "r with a zero in front": der_sequence(der_integer(R, padding=1) + der_integer(S)),
    "s with a zero in front": der_sequence(der_integer(R) + der_integer(S, padding=1)),
    "a long length": b"\x30\x81" + bytes([len(BODY)]) + BODY,
    "an indefinite length": b"\x30\x80" + BODY + b"\0\0",
    "a third integer": der_sequence(BODY + der_integer(1)),
    "one integer": der_sequence(der_integer(R)),
    "a SET": b"\x31" + der_sequence(BODY)[1:],
    "bytes after the end": der_sequence(BODY) + b"\0",
    "no SEQUENCE": BODY,
    "r and s without DER": P1363_SIGNATURE,
    "Ed25519's form": ED25519_SIGNATURE,
    "s swapped for r": der_sequence(der_integer(S) + der_integer(R)),
}
OUT_OF_RANGE = {
    "r = 0": (0, S),
    "s = 0": (R, 0),
    "both zero": (0, 0),
    "r = n": (N, S),
    "s = n": (R, N),
    "s + n": (R, S + N),
    "r + n": (R + N, S),
    "negative r": (R - N, S),
    "negative s": (R, S - N),
}


@pytest.mark.parametrize("signature", REFUSED_DER.values(), ids=REFUSED_DER)
def test_no_other_encoding_of_an_ecdsa_signature_is_read(signature: bytes) -> None:
    with pytest.raises(VerificationError) as error:
        keys.verify_signature(P256_PUBLIC, signature, MESSAGE)
    assert refusal(error) == INVALID


def test_a_long_ecdsa_signature_is_not_decoded() -> None:
    with pytest.raises(VerificationError, match="at most 72 bytes, not 73"):
        keys.verify_signature(P256_PUBLIC, bytes(73), MESSAGE)


@pytest.mark.parametrize(
    ("r", "s", "refused_by_the_rule"),
    [(N, 1, True), (1, N, True), (0, 1, True), (1, 0, True), (N - 1, 1, False), (1, N - 1, False)],
    ids=["r = n", "s = n", "r = 0", "s = 0", "r = n - 1", "s = n - 1"],
)
def test_the_bounds_of_r_and_s_are_one_and_the_order_less_one(
    r: int, s: int, refused_by_the_rule: bool
) -> None:
    with pytest.raises(VerificationError) as error:
        keys.verify_signature(P256_PUBLIC, der_sequence(der_integer(r) + der_integer(s)), MESSAGE)
    assert ("outside [1, n-1]" in error.value.message) is refused_by_the_rule


@pytest.mark.parametrize(("r", "s"), OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_r_and_s_outside_their_range_are_refused(r: int, s: int) -> None:
    with pytest.raises(VerificationError) as error:
        keys.verify_signature(P256_PUBLIC, der_sequence(der_integer(r) + der_integer(s)), MESSAGE)
    assert refusal(error) == INVALID


@pytest.mark.parametrize(
    ("r", "s"), [(0, 0), (0, S), (R, 0), (N, S), (R, N), (2**256 - 1, S)], ids=lambda n: f"{n:x}"
)
def test_r_and_s_outside_their_range_are_refused_in_the_raw_form(r: int, s: int) -> None:
    with pytest.raises(VerificationError, match="outside"):
        keys.verify_p1363(P256_PUBLIC, r.to_bytes(32, "big") + s.to_bytes(32, "big"), MESSAGE)


def test_a_high_s_verifies_as_fips_186_5_has_it() -> None:
    keys.verify_p1363(P256_PUBLIC, R.to_bytes(32, "big") + (N - S).to_bytes(32, "big"), MESSAGE)


def test_a_der_signature_is_no_raw_one() -> None:
    with pytest.raises(VerificationError) as error:
        keys.verify_p1363(P256_PUBLIC, P256_SIGNATURE, MESSAGE)
    assert refusal(error) == INVALID


def test_swapped_keys_of_a_pair_are_told_apart() -> None:
    with pytest.raises(VerificationError) as error:
        keys.verify_p1363(ED25519_PUBLIC, P1363_SIGNATURE, MESSAGE)
    assert refusal(error) == (Step.INTEGRITY, Reason.KEY_REFUSED)
    assert "swapped" in error.value.hint


def test_the_message_is_not_hashed_beforehand() -> None:
    digest = hashlib.sha256(MESSAGE).digest()
    for _, key, signature in (FORMS["Ed25519"], FORMS["ECDSA in DER"]):
        with pytest.raises(VerificationError):
            keys.verify_signature(key, signature, digest)
