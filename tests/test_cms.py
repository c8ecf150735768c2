from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import asn1, cms
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.keys import KeyAlgorithm
from attest.profile import Profile
from tests import der
from tests.der import Cms, algorithm, attribute, octets, oid, seq
from tests.forge import NOW, Forge, Leaf

CONTENT = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nx\n"
NULL = b"\x05\x00"

FORGES = {p: Forge(p, seed=f"cms {p}") for p in (Profile.NOTME, Profile.INTEROP)}
LEAVES = {p: forge.leaf() for p, forge in FORGES.items()}
OTHER = FORGES[Profile.NOTME].leaf()

PLAIN = Cms(LEAVES[Profile.NOTME], CONTENT, NOW)
TYPE, TIME, DIGEST = PLAIN.prescribed


def made(leaf: Leaf, *, at: datetime = NOW, timestamp: bytes | None = None) -> bytes:
    algorithm = KeyAlgorithm.ED25519 if leaf is LEAVES[Profile.NOTME] else KeyAlgorithm.P256
    pending = cms.to_be_signed(CONTENT, algorithm, signing_time=at)
    return cms.assemble(pending, leaf.sign(pending.data), signer=leaf.certificate, timestamp=timestamp)


@pytest.mark.parametrize("profile", LEAVES)
def test_two_encoders_write_the_same_bytes(profile: Profile) -> None:
    written = Cms(LEAVES[profile], CONTENT, NOW)
    assert made(LEAVES[profile]) == written.der()
    stamped = replace(written, unsigned=der.stamped(FORGES[profile], written))
    token = FORGES[profile].token(written.signature())
    assert made(LEAVES[profile], timestamp=token) == stamped.der()


@pytest.mark.parametrize("profile", LEAVES)
def test_what_was_assembled_is_read_and_verifies(profile: Profile) -> None:
    leaf = LEAVES[profile]
    token = FORGES[profile].token(b"x")
    message = cms.parse(made(leaf, timestamp=token))
    assert message.signer == leaf.certificate
    assert (message.others, message.content, message.signing_time) == ((), None, NOW)
    assert message.timestamps == (token,)
    assert message.certificates_sorted
    spki = leaf.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert cms.verify_content(message, CONTENT).spki == spki


def test_microseconds_are_cut_from_the_signing_time() -> None:
    message = cms.parse(made(LEAVES[Profile.NOTME], at=NOW + timedelta(microseconds=999_999)))
    assert message.signing_time == NOW


@pytest.mark.parametrize(
    ("year", "tag"),
    [(2049, b"\x17\x0d"), (2050, b"\x18\x0f")],
    ids=["UTCTime through 2049", "GeneralizedTime from 2050"],
)
def test_the_form_of_the_signing_time_follows_its_year(year: int, tag: bytes) -> None:
    at = datetime(year, 6, 1, 12, tzinfo=UTC)
    encoded = made(LEAVES[Profile.NOTME], at=at)
    assert oid(der.SIGNING_TIME) + b"\x31" + bytes([tag[1] + 2]) + tag in encoded
    assert cms.parse(encoded).signing_time == at


def test_intermediates_are_written_as_a_sorted_set_and_the_signer_is_found_by_its_identifier() -> None:
    root = FORGES[Profile.NOTME].root
    for leaf in (LEAVES[Profile.NOTME], OTHER):
        pending = cms.to_be_signed(CONTENT, KeyAlgorithm.ED25519, signing_time=NOW)
        encoded = cms.assemble(pending, leaf.sign(pending.data), signer=leaf.certificate, intermediates=[root])
        message = cms.parse(encoded)
        assert message.certificates_sorted
        assert (message.signer, message.others) == (leaf.certificate, (root,))


def test_certificates_out_of_order_are_read_and_noted() -> None:
    ordered = sorted([PLAIN.leaf.der, OTHER.der])
    assert cms.parse(replace(PLAIN, certificates=tuple(ordered)).der()).certificates_sorted
    assert not cms.parse(replace(PLAIN, certificates=tuple(reversed(ordered))).der()).certificates_sorted


def second_signer() -> bytes:
    """Two whole SignerInfos, both valid, in SET order."""
    infos = sorted([PLAIN.signer_info(), replace(PLAIN, leaf=OTHER).signer_info()])
    return replace(PLAIN, signers=tuple(infos), certificates=tuple(sorted([PLAIN.leaf.der, OTHER.der]))).der()


MALFORMED = [
    ("no bytes at all", b"", "not DER of ContentInfo"),
    ("a byte after the end", PLAIN.der() + b"\0", "not DER of ContentInfo"),
    ("a truncated signature", PLAIN.der()[:-1], "not DER of ContentInfo"),
    ("BER with indefinite length", der.indefinite(PLAIN.der()), "not DER of ContentInfo"),
    ("a length longer than it need be", der.long_length(PLAIN.der()), "not DER of ContentInfo"),
    ("more bytes than a signature has", bytes(cms.MAX_CMS_BYTES + 1), "at most"),
    ("an outer type other than signedData", replace(PLAIN, outer_type=der.DATA).der(), "expected type"),
    ("content of a type other than data", replace(PLAIN, content_type=der.TST_INFO).der(), "expected type"),
    ("content that is carried inside", replace(PLAIN, carried=CONTENT).der(), "must be detached"),
    ("SignedData version 3", replace(PLAIN, version=3).der(), "SignedData version does not fit"),
    ("SignerInfo version 3", replace(PLAIN, signer_version=3).der(), "SignerInfo is not of version 1"),
    (
        "a signer named by key identifier",
        replace(PLAIN, sid=der.tlv(0x80, bytes(20)), signer_version=3).der(),
        "not DER of ContentInfo",
    ),
    ("no certificates", replace(PLAIN, certificates=()).der(), "names 0 of the included"),
    (
        "the certificate of someone else alone",
        replace(PLAIN, certificates=(OTHER.der,)).der(),
        "names 0 of the included",
    ),
    (
        "the signer's certificate twice",
        replace(PLAIN, certificates=(PLAIN.leaf.der,) * 2).der(),
        "names 2 of the included",
    ),
    (
        "more certificates than are read",
        replace(PLAIN, certificates=(PLAIN.leaf.der, *(OTHER.der,) * cms.MAX_CERTIFICATES)).der(),
        "9 certificates",
    ),
    (
        "something that is no certificate",
        replace(PLAIN, certificates=(seq(der.integer(1)),)).der(),
        "no readable certificate",
    ),
    ("a CRL", replace(PLAIN, after_certificates=der.tlv(0xA1, b"")).der(), "not DER of ContentInfo"),
    ("attributes out of SET order", replace(PLAIN, attributes=(DIGEST, TYPE, TIME)).der(), "not DER of ContentInfo"),
    ("no signed attributes", replace(PLAIN, bare=True).der(), "no signed attributes"),
    ("an empty set of signed attributes", replace(PLAIN, attributes=()).der(), "lack contentType or messageDigest"),
    ("no messageDigest", replace(PLAIN, attributes=(TYPE, TIME)).der(), "lack contentType or messageDigest"),
    ("no contentType", replace(PLAIN, attributes=(TIME, DIGEST)).der(), "lack contentType or messageDigest"),
    ("messageDigest twice", replace(PLAIN, attributes=(TYPE, TIME, DIGEST, DIGEST)).der(), "must stand once"),
    (
        "messageDigest with two values",
        replace(
            PLAIN,
            attributes=(TYPE, TIME, attribute(der.MESSAGE_DIGEST, octets(PLAIN.digest), octets(bytes(64)))),
        ).der(),
        "must stand once",
    ),
    (
        "messageDigest that is no octet string",
        replace(PLAIN, attributes=(attribute(der.MESSAGE_DIGEST, NULL), TYPE, TIME)).der(),
        "not DER of bytes",
    ),
    (
        "a contentType attribute of another type",
        replace(PLAIN, attributes=(attribute(der.CONTENT_TYPE, oid(der.SIGNED_DATA)), TIME, DIGEST)).der(),
        "differs from the content's type",
    ),
    (
        "an unknown signed attribute",
        replace(PLAIN, attributes=(attribute(der.CHALLENGE_PASSWORD, der.utf8("x")), TYPE, TIME, DIGEST)).der(),
        "unknown signed attribute 1.2.840.113549.1.9.7",
    ),
    (
        "a signingTime before 2050 as GeneralizedTime",
        replace(PLAIN, attributes=(TYPE, attribute(der.SIGNING_TIME, der.generalized_time(NOW)), DIGEST)).der(),
        "form its year demands",
    ),
    (
        "a signingTime that is no time",
        replace(PLAIN, attributes=(attribute(der.SIGNING_TIME, der.integer(1)), TYPE, DIGEST)).der(),
        "not DER of",
    ),
    (
        "an unknown unsigned attribute",
        replace(PLAIN, unsigned=(attribute(der.CHALLENGE_PASSWORD, der.utf8("x")),)).der(),
        "unknown unsigned attribute 1.2.840.113549.1.9.7",
    ),
    (
        "an unknown unsigned attribute beside a time-stamp",
        replace(
            PLAIN,
            unsigned=(
                attribute(der.CHALLENGE_PASSWORD, der.utf8("x")),
                *der.stamped(FORGES[Profile.NOTME], PLAIN),
            ),
        ).der(),
        "unknown unsigned attribute",
    ),
    (
        "the time-stamp attribute twice",
        replace(PLAIN, unsigned=der.stamped(FORGES[Profile.NOTME], PLAIN) * 2).der(),
        "repeat a type",
    ),
    (
        "a time-stamp attribute without a value",
        replace(PLAIN, unsigned=(attribute(der.TIMESTAMP),)).der(),
        "has 0 values",
    ),
    (
        "an algorithm we do not use",
        replace(PLAIN, signature_algorithm=algorithm(der.RSA_SHA256, NULL)).der(),
        "is not Ed25519 or ECDSA-SHA256",
    ),
    (
        "parameters of the signature algorithm",
        replace(PLAIN, signature_algorithm=algorithm(der.ED25519, NULL)).der(),
        "parameters must be absent",
    ),
    (
        "parameters of the digest algorithm",
        replace(PLAIN, digest_algorithm=algorithm(der.SHA512, NULL)).der(),
        "parameters must be absent",
    ),
    (
        "SHA-256 beside Ed25519",
        replace(PLAIN, digest_algorithm=algorithm(der.SHA256)).der(),
        "the one digest algorithm",
    ),
    ("no digest algorithm", replace(PLAIN, digest_algorithms=()).der(), "the one digest algorithm"),
    (
        "two digest algorithms",
        replace(PLAIN, digest_algorithms=tuple(sorted([algorithm(der.SHA256), algorithm(der.SHA512)]))).der(),
        "the one digest algorithm",
    ),
]


@pytest.mark.parametrize(("data", "message"), [m[1:] for m in MALFORMED], ids=[m[0] for m in MALFORMED])
def test_a_malformed_signature_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        cms.parse(data)


@pytest.mark.parametrize("signers", [0, 2])
def test_any_number_of_signers_but_one_is_refused(signers: int) -> None:
    data = second_signer() if signers else replace(PLAIN, signers=()).der()
    with pytest.raises(VerificationError, match=f"{signers} signers") as caught:
        cms.parse(data)
    assert (caught.value.step, caught.value.reason) == (Step.SIGNATURE, Reason.SIGNATURE_SEVERAL)


def test_an_empty_set_of_unsigned_attributes_is_refused() -> None:
    info = PLAIN.signer_info()
    body = info[4:] + b"\xa1\x00"
    with pytest.raises(MalformedError, match="empty or repeat"):
        cms.parse(replace(PLAIN, signers=(seq(body),)).der())


def test_content_that_should_be_carried_and_is_not_is_refused() -> None:
    absent = replace(PLAIN, content_type=der.TST_INFO, version=3)
    with pytest.raises(MalformedError, match="content is missing"):
        cms.parse(absent.der(), content_type=asn1.TST_INFO)


@pytest.mark.parametrize(
    ("message", "content", "reason"),
    [
        (PLAIN, CONTENT + b"\n", Reason.DIGEST_MISMATCH),
        (PLAIN, b"", Reason.DIGEST_MISMATCH),
        (replace(PLAIN, alter=lambda s: s[:-1] + bytes([s[-1] ^ 1])), CONTENT, Reason.SIGNATURE_INVALID),
        (replace(PLAIN, alter=lambda s: s + b"\0"), CONTENT, Reason.SIGNATURE_INVALID),
        (replace(PLAIN, alter=lambda _: b""), CONTENT, Reason.SIGNATURE_INVALID),
        (replace(PLAIN, alter=lambda s: OTHER.sign(PLAIN.signed_bytes()) or s), CONTENT, Reason.SIGNATURE_INVALID),
        (replace(PLAIN, alter=lambda _: PLAIN.leaf.sign(CONTENT)), CONTENT, Reason.SIGNATURE_INVALID),
        (
            replace(
                PLAIN,
                signature_algorithm=algorithm(der.ECDSA_SHA256),
                digest_algorithm=algorithm(der.SHA256),
                digest_algorithms=(algorithm(der.SHA256),),
            ),
            CONTENT,
            Reason.KEY_REFUSED,
        ),
    ],
    ids=[
        "a line was added to the content",
        "the content is gone",
        "one bit of the signature is another",
        "the signature is a byte longer",
        "the signature is empty",
        "another key signed",
        "the signature is over the content instead of the attributes",
        "the algorithm is not the one of the key",
    ],
)
def test_a_signature_that_does_not_hold_fails_step_3(message: Cms, content: bytes, reason: Reason) -> None:
    parsed = cms.parse(message.der())
    with pytest.raises(VerificationError) as caught:
        cms.verify_content(parsed, content)
    assert (caught.value.step, caught.value.reason) == (Step.INTEGRITY, reason)


def test_a_digest_that_was_signed_but_is_of_other_content_fails_step_3() -> None:
    other = replace(PLAIN, attributes=(TYPE, TIME, attribute(der.MESSAGE_DIGEST, octets(bytes(64)))))
    with pytest.raises(VerificationError) as caught:
        cms.verify_content(cms.parse(other.der()), CONTENT)
    assert caught.value.reason is Reason.DIGEST_MISMATCH


ARMOUR = cms.ARMOUR.wrap(PLAIN.der())


def rewrapped(columns: int) -> bytes:
    body = base64.b64encode(PLAIN.der())
    lines = [body[i : i + columns] + b"\n" for i in range(0, len(body), columns)]
    return cms.ARMOUR.begin + b"".join(lines) + cms.ARMOUR.end


def test_armour_is_what_a_pem_writer_gives() -> None:
    lines = ARMOUR.decode().splitlines()
    assert (lines[0], lines[-1]) == ("-----BEGIN SIGNED MESSAGE-----", "-----END SIGNED MESSAGE-----")
    assert {len(line) for line in lines[1:-2]} == {64}
    assert base64.b64decode("".join(lines[1:-1])) == PLAIN.der()
    assert cms.ARMOUR.open(ARMOUR) == PLAIN.der()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        ARMOUR.rstrip(b"\n"),
        ARMOUR + b"\n",
        ARMOUR + b"text after the end\n",
        b" " + ARMOUR,
        ARMOUR.replace(b"\n", b"\r\n"),
        ARMOUR + ARMOUR,
        rewrapped(76),
        rewrapped(63),
        ARMOUR.replace(b"\n-----END", b" \n-----END"),
        ARMOUR.replace(b"\n-----END", b"\n\n-----END"),
        cms.ARMOUR.begin + b"!!!!\n" + cms.ARMOUR.end,
        ARMOUR.replace(b"SIGNED MESSAGE", b"CMS"),
        cms.ARMOUR.begin + b"AB==\n" + cms.ARMOUR.end,
        cms.ARMOUR.begin + b"A" * (2 * cms.MAX_CMS_BYTES) + b"\n" + cms.ARMOUR.end,
    ],
    ids=[
        "nothing",
        "no newline at the end",
        "an empty line at the end",
        "text after the end",
        "a blank before the begin",
        "carriage returns",
        "two blocks",
        "lines of 76 columns",
        "lines of 63 columns",
        "a blank at the end of a line",
        "an empty line inside",
        "no base64",
        "another label",
        "base64 with bits left over",
        "more than is read",
    ],
)
def test_any_other_spelling_of_the_armour_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedError):
        cms.ARMOUR.open(text)


@given(st.binary(max_size=200))
@settings(derandomize=True, max_examples=200)
def test_armour_of_any_bytes_is_read_back(data: bytes) -> None:
    assert cms.ARMOUR.open(cms.ARMOUR.wrap(data)) == data


@given(st.binary(max_size=120) | st.binary(max_size=90).map(lambda b: cms.ARMOUR.begin + b + b"\n" + cms.ARMOUR.end))
@settings(derandomize=True, max_examples=300)
def test_any_text_is_an_error_or_armour_that_is_written_the_same(text: bytes) -> None:
    try:
        data = cms.ARMOUR.open(text)
    except MalformedError:
        return
    assert cms.ARMOUR.wrap(data) == text


SAMPLE = replace(PLAIN, unsigned=der.stamped(FORGES[Profile.NOTME], PLAIN)).der()


@given(st.integers(0, 8 * len(SAMPLE) - 1))
@settings(derandomize=True, max_examples=400)
def test_one_flipped_bit_is_an_error_or_still_the_bytes_that_were_read(bit: int) -> None:
    flipped = bytearray(SAMPLE)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        message = cms.parse(bytes(flipped))
    except Error:
        return
    again = cms.parse(message.der)
    assert message.der == bytes(flipped)
    assert again == message
    assert asn1.encode(asn1.decode(asn1.ContentInfo, bytes(flipped), limit=cms.MAX_CMS_BYTES)) == bytes(flipped)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda b: der.seq(oid(der.SIGNED_DATA), der.tlv(0xA0, b))))
@settings(derandomize=True, max_examples=300)
def test_any_bytes_are_a_documented_error(data: bytes) -> None:
    with pytest.raises((MalformedError, VerificationError)):
        cms.parse(data)


@given(st.binary(max_size=64), st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.sampled_from(list(LEAVES)))
@settings(derandomize=True, max_examples=60)
def test_whatever_is_signed_verifies_over_the_same_content_alone(data: bytes, at: datetime, profile: Profile) -> None:
    leaf = LEAVES[profile]
    algorithm = KeyAlgorithm.ED25519 if profile is Profile.NOTME else KeyAlgorithm.P256
    pending = cms.to_be_signed(data, algorithm, signing_time=at.replace(tzinfo=UTC))
    message = cms.parse(cms.assemble(pending, leaf.sign(pending.data), signer=leaf.certificate))
    assert cms.verify_content(message, data).algorithm is algorithm
    with pytest.raises(VerificationError):
        cms.verify_content(message, data + b"x")
