from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import asn1, cms, profile, timestamp
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.profile import Profile
from tests import der
from tests.der import Cms, algorithm, attribute, integer, octets, oid, seq
from tests.forge import NOW, Edit, Forge, Leaf, certify, sign

FORGES = {p: Forge(p, seed=f"timestamp {p}") for p in (Profile.NOTME, Profile.INTEROP)}
FORGE = FORGES[Profile.NOTME]
ANCHORS = FORGE.trusted.anchors
DATA = b"the signature of a commit"
ESS = "1.2.840.113549.1.9.16.2.47"
POLICY = "1.3.6.1.4.1.99999.2.2"
IMPRINT = seq(algorithm(der.SHA256), octets(hashlib.sha256(DATA).digest()))


def info(
    *,
    version: int = 1,
    imprint: bytes = IMPRINT,
    serial: int = 7,
    time: bytes = der.generalized_time(NOW),
    accuracy: bytes = seq(integer(1)),
    rest: bytes = b"",
) -> bytes:
    """TSTInfo by a second encoder (RFC 3161 section 2.4.2)."""
    return seq(integer(version), oid(POLICY), imprint, integer(serial), time, accuracy, rest)


def token(
    content: bytes,
    *,
    tsa: Leaf | None = None,
    named: bytes | None = None,
    attributes: Callable[[list[bytes]], list[bytes]] = list,
    **parts: object,
) -> bytes:
    """A token around `content`, whose defect is one of the parts."""
    signer = tsa or Leaf(FORGE.tsa_key, FORGE.tsa)
    digest = hashlib.sha256(signer.der).digest() if named is None else named
    made = [
        attribute(der.CONTENT_TYPE, oid(der.TST_INFO)),
        attribute(der.SIGNING_TIME, der.utc_time(NOW)),
        attribute(der.MESSAGE_DIGEST, octets(hashlib.sha256(content).digest())),
        attribute(ESS, seq(seq(seq(octets(digest))))),
    ]
    message = Cms(
        signer,
        content,
        NOW,
        version=3,
        content_type=der.TST_INFO,
        carried=content,
        attributes=tuple(sorted(attributes(made))),
    )
    return replace(message, **parts).der()  # type: ignore[arg-type]


def certified(edit: Edit, *, forge: Forge = FORGE) -> Leaf:
    """A time-stamping certificate, its builder changed before the root signs."""
    key = generate_private_key(SECP256R1())
    builder = profile.timestamping("time", key.public_key(), forge.root, serial=8, at=NOW - timedelta(days=1))
    return Leaf(key, certify(edit(builder), forge.root_key))


def purpose(*purposes: x509.ObjectIdentifier, critical: bool = True) -> Edit:
    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        kept = [e for e in builder._extensions if not isinstance(e.value, x509.ExtendedKeyUsage)]
        builder._extensions = kept
        return builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=critical) if purposes else builder

    return edit


def ca(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    builder._extensions = [e for e in builder._extensions if not isinstance(e.value, x509.BasicConstraints)]
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)


def test_two_encoders_write_the_same_token() -> None:
    assert FORGE.token(DATA) == token(info())


@pytest.mark.parametrize("forge", FORGES.values(), ids=FORGES)
def test_a_token_proves_when_its_data_existed(forge: Forge) -> None:
    stamp = timestamp.verify_timestamp(forge.token(DATA), DATA, forge.trusted.anchors)
    assert (stamp.time, stamp.accuracy, stamp.signer) == (NOW, timedelta(seconds=1), forge.tsa)
    assert stamp.anchor == forge.trusted.anchors[0]


def test_a_nonce_is_kept() -> None:
    pending = timestamp.to_be_signed(DATA, at=NOW, serial=7, tsa=FORGE.tsa, nonce=12345)
    made = timestamp.assemble(pending, sign(FORGE.tsa_key, pending.attributes.data), tsa=FORGE.tsa)
    assert made == token(info(rest=integer(12345)))
    assert timestamp.verify_timestamp(made, DATA, ANCHORS).time == NOW


@pytest.mark.parametrize(
    ("accuracy", "found"),
    [
        (b"", timedelta(0)),
        (seq(), timedelta(0)),
        (seq(integer(300)), timedelta(minutes=5)),
        (
            seq(integer(1), der.retagged(0x80, integer(999)), der.retagged(0x81, integer(1))),
            timedelta(seconds=1, milliseconds=999, microseconds=1),
        ),
    ],
    ids=["absent", "empty", "five minutes", "all parts"],
)
def test_the_accuracy_is_read_in_all_its_parts(accuracy: bytes, found: timedelta) -> None:
    assert timestamp.parse(token(info(accuracy=accuracy))).accuracy == found


SHA1_IMPRINT = seq(algorithm(der.SHA1), octets(hashlib.sha1(DATA).digest()))
DEFECTS = [
    (
        "another digest of the data",
        token(info(imprint=seq(algorithm(der.SHA256), octets(bytes(32))))),
        "something else",
    ),
    ("SHA-1", token(info(imprint=SHA1_IMPRINT)), "neither SHA-256 nor SHA-512"),
    (
        "parameters of the digest",
        token(info(imprint=seq(algorithm(der.SHA256, der.NULL), octets(hashlib.sha256(DATA).digest())))),
        "neither SHA-256 nor SHA-512",
    ),
    (
        "unsigned attributes of its own",
        token(info(), unsigned=(der.attribute(der.TIMESTAMP, b"\x05\x00"),)),
        "unsigned attributes",
    ),
    ("version 2", token(info(version=2)), "TSTInfo is not of version 1"),
    ("a negative serial number", token(info(serial=-1)), "serial number"),
    ("a serial number of 161 bits", token(info(serial=1 << 160)), "serial number"),
    ("a nonce of 33 bytes", token(info(rest=integer(1 << 257))), "nonce"),
    ("an accuracy over five minutes", token(info(accuracy=seq(integer(301)))), "accuracy"),
    ("a negative accuracy", token(info(accuracy=seq(integer(-1)))), "accuracy"),
    ("1000 milliseconds", token(info(accuracy=seq(der.retagged(0x80, integer(1000))))), "accuracy"),
    ("a UTCTime", token(info(time=der.utc_time(NOW))), "not DER of TSTInfo"),
    ("a time without its zone", token(info(time=der.tlv(0x18, b"20261123135810"))), "not DER of TSTInfo"),
    ("a default value that is written out", token(info(rest=der.tlv(0x01, b"\0"))), "DER of TSTInfo"),
    ("an extension", token(info(rest=der.tlv(0xA1, b""))), "not DER of TSTInfo"),
    ("a byte after the content", token(info() + b"\0"), "not DER of TSTInfo"),
    ("no content", token(b""), "not DER of TSTInfo"),
    ("content that is not carried", token(info(), carried=None), "content is missing"),
    ("SignedData version 1", token(info(), version=1), "SignedData version does not fit"),
    ("the type of a commit's signature", token(info(), content_type=der.DATA), "expected type"),
    ("another signing certificate named", token(info(), named=bytes(32)), "does not name its signing certificate"),
    ("no signing certificate named", token(info(), attributes=lambda a: a[:3]), "does not name its signing"),
    ("a signature that does not hold", token(info(), alter=lambda s: s[:-1] + bytes([s[-1] ^ 1])), "ECDSA"),
    (
        "a certificate too many",
        token(info(), certificates=tuple(sorted([Leaf(FORGE.tsa_key, FORGE.tsa).der, FORGE.leaf().der]))),
        "did not sign it",
    ),
    (
        "the time before its certificate's validity",
        token(info(time=der.generalized_time(NOW - timedelta(days=9)))),
        "outside",
    ),
    (
        "the time after its certificate's validity",
        token(info(time=der.generalized_time(NOW + timedelta(days=9999)))),
        "outside",
    ),
    ("a key for nothing in particular", token(info(), tsa=certified(purpose())), "lacks the extensions"),
    (
        "a purpose that is not critical",
        token(info(), tsa=certified(purpose(ExtendedKeyUsageOID.TIME_STAMPING, critical=False))),
        "time-stamping alone",
    ),
    (
        "another purpose beside it",
        token(info(), tsa=certified(purpose(ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING))),
        "time-stamping alone",
    ),
    ("a key for code signing", token(info(), tsa=certified(purpose(ExtendedKeyUsageOID.CODE_SIGNING))), "alone"),
    ("a CA", token(info(), tsa=certified(ca)), "time-stamping alone"),
    ("an authority that is not pinned", Forge(Profile.NOTME).token(DATA), "no pinned anchor"),
    ("a byte after the token", FORGE.token(DATA) + b"\0", "not DER"),
    ("no bytes", b"", "not DER"),
]


@pytest.mark.parametrize(("data", "text"), [d[1:] for d in DEFECTS], ids=[d[0] for d in DEFECTS])
def test_a_token_with_a_defect_does_not_hold(data: bytes, text: str) -> None:
    with pytest.raises(VerificationError, match=f"the time-stamp does not hold: .*{text}") as caught:
        timestamp.verify_timestamp(data, DATA, ANCHORS)
    assert (caught.value.step, caught.value.reason) == (Step.TIME, Reason.TIMESTAMP_INVALID)


def test_a_leaf_that_signs_commits_cannot_stamp() -> None:
    leaf = FORGES[Profile.INTEROP].leaf()
    with pytest.raises(VerificationError, match="time-stamping alone"):
        timestamp.verify_timestamp(token(info(), tsa=leaf), DATA, FORGES[Profile.INTEROP].trusted.anchors)


def test_a_token_over_other_data_does_not_hold() -> None:
    with pytest.raises(VerificationError, match="something else"):
        timestamp.verify_timestamp(FORGE.token(DATA), DATA + b"x", ANCHORS)


def test_a_token_travels_in_a_granted_answer() -> None:
    made = FORGE.token(DATA)
    answer = timestamp.response(made)
    assert answer == seq(seq(integer(0)), made)
    assert timestamp.open_response(answer) == made


@pytest.mark.parametrize(
    "answer",
    [
        seq(seq(integer(2)), FORGE.token(DATA)),
        seq(seq(integer(2))),
        seq(seq(integer(0))),
        timestamp.response(FORGE.token(DATA)) + b"\0",
        FORGE.token(DATA),
        b"",
    ],
    ids=["rejected", "rejected without a token", "granted without a token", "a byte more", "a bare token", "nothing"],
)
def test_any_other_answer_is_malformed(answer: bytes) -> None:
    with pytest.raises(MalformedError):
        timestamp.open_response(answer)


SAMPLE = FORGE.token(DATA)


@given(st.integers(0, 8 * len(SAMPLE) - 1))
@settings(derandomize=True, max_examples=400, deadline=None)
def test_a_token_with_one_flipped_bit_does_not_hold(bit: int) -> None:
    flipped = bytearray(SAMPLE)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VerificationError) as caught:
        timestamp.verify_timestamp(bytes(flipped), DATA, ANCHORS)
    assert caught.value.reason is Reason.TIMESTAMP_INVALID


INFO = info(rest=integer(5))


@given(st.integers(0, 8 * len(INFO) - 1) | st.binary(max_size=100))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_any_content_that_was_signed_is_an_error_or_a_token_that_encodes_back(change: int | bytes) -> None:
    content = change if isinstance(change, bytes) else _flipped(INFO, change)
    made = token(content)
    try:
        read = timestamp.parse(made)
    except Error:
        return
    assert read.der == made
    assert asn1.encode(asn1.decode(asn1.TSTInfo, read.message.content or b"", limit=cms.MAX_CMS_BYTES)) == content


def _flipped(data: bytes, bit: int) -> bytes:
    content = bytearray(data)
    content[bit // 8] ^= 1 << bit % 8
    return bytes(content)


DIGEST = hashlib.sha256(DATA).digest()
NULL = b"\x05\0"


def asked(*, version: int = 1, imprint: bytes = IMPRINT, rest: bytes = b"\x01\x01\xff") -> bytes:
    """TimeStampReq by a second encoder (RFC 3161 section 2.4.1)."""
    return seq(integer(version), imprint, rest)


def test_a_query_is_read_with_all_that_a_client_may_say() -> None:
    found = timestamp.parse_query(asked(rest=oid(POLICY) + integer(7) + b"\x01\x01\xff"))
    assert (found.algorithm, found.digest, found.nonce, found.certificate) == (asn1.SHA256, DIGEST, 7, True)
    short = timestamp.parse_query(asked(imprint=seq(seq(oid(der.SHA256), NULL), octets(DIGEST)), rest=b""))
    assert (short.digest, short.nonce, short.certificate) == (DIGEST, None, False)
    assert timestamp.parse_query(timestamp.query(DATA, 7)) == replace(found, nonce=7)


@pytest.mark.parametrize(
    ("query", "failure"),
    [
        (b"", timestamp.BAD_DATA_FORMAT),
        (asked() + b"x", timestamp.BAD_DATA_FORMAT),
        (asked(rest=b"\x80\x01x"), timestamp.BAD_DATA_FORMAT),
        (asked(version=2), timestamp.BAD_REQUEST),
        (asked(imprint=seq(algorithm(der.SHA256), octets(DIGEST[1:]))), timestamp.BAD_REQUEST),
        (asked(imprint=seq(algorithm("1.3.14.3.2.26"), octets(bytes(20)))), timestamp.BAD_ALGORITHM),
        (asked(imprint=seq(seq(oid(der.SHA256), octets(b"x")), octets(DIGEST))), timestamp.BAD_DATA_FORMAT),
        (asked(rest=oid("1.2.3")), timestamp.UNACCEPTED_POLICY),
        (asked(rest=integer(-1)), timestamp.BAD_REQUEST),
        (asked(rest=integer(1 << 256)), timestamp.BAD_REQUEST),
        (asked(rest=octets(bytes(timestamp.MAX_QUERY_BYTES))), timestamp.BAD_DATA_FORMAT),
    ],
)
def test_a_query_that_is_not_answered_is_told_why(query: bytes, failure: int) -> None:
    with pytest.raises(timestamp.QueryError) as raised:
        timestamp.parse_query(query)
    assert raised.value.failure == failure


@given(st.integers(0, 8 * len(asked()) - 1) | st.binary(max_size=200))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_any_query_is_refused_or_read(change: int | bytes) -> None:
    data = change if isinstance(change, bytes) else _flipped(asked(), change)
    try:
        found = timestamp.parse_query(data)
    except timestamp.QueryError:
        return
    assert len(found.digest) in (32, 48, 64)
