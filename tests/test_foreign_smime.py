from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Error, MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.foreign import ber, smime, vouched
from attest.foreign.roots import NONE
from attest.row import SignerKind
from tests import der
from tests.foreignsigned import CONTENT, NOW, Authority, Signed, armoured, ec_key, real, rsa_key, sign

CA = Authority()
RSA, P384 = rsa_key(), ec_key(ec.SECP384R1)
LEAF = CA.issue(RSA)
PLAIN = Signed(RSA, LEAF)
TYPE, TIME, DIGEST = PLAIN.prescribed
BY_KEY = der.tlv(0x80, bytes(20))


def read(made: Signed) -> smime.ForeignCms:
    return smime.read(made.armour(), NONE)


@pytest.mark.parametrize(
    ("name", "sha256", "serial", "begins"),
    [
        (
            "offline.commit",
            "517aeaa54676305ad3d9f7302f5823cb4b74c3c8ceb63095bf9304d5e6a547bc",
            "1bafdaf55b943b94a5c89034d84dda0aaf88ee7",
            1685981479,
        ),
        (
            "online.commit",
            "b2d67be82b82cfaa153ce53748ce31e3d1336190f1762f268a773699a16f866a",
            "58d9f2fa9bba85ea8ccd7905abffd51caa0f08c2",
            1780416004,
        ),
        (
            "v0.14.0.tag",
            "8ae813b4c5db3f67b3bb915280616ab80a11720f32d39ac0546b532968537313",
            "75f8a0da439d1d7b495a5ca3628b53e2e4e1c199",
            1769622627,
        ),
    ],
)
def test_public_signatures_of_gitsign_are_read_and_their_integrity_holds(
    name: str, sha256: str, serial: str, begins: int
) -> None:
    """Figures by `openssl x509 -noout -serial -startdate -fingerprint -sha256`."""
    parsed = real(name)
    assert parsed.signature is not None
    made = smime.read(parsed.signature.armour, NONE)
    assert made.signer.kind is SignerKind.SIGSTORE
    assert (made.signer.leaf_sha256, made.signer.serial) == (sha256, serial)
    assert (made.signer.issuer, made.signer.subject) == ("CN=sigstore-intermediate,O=sigstore.dev", "")
    assert made.signer.subject_alternative_names == ("billy@chainguard.dev",)
    assert (made.signer.not_before, made.signer.not_after) == (begins, begins + 600)
    assert made.signing_time(parsed) == (begins, "cms-signing-time")
    assert made.verify_content(parsed.payload) == made.signer.key
    with pytest.raises(VerificationError) as caught:
        made.verify_content(parsed.payload + b"x")
    assert (caught.value.step, caught.value.reason) == (Step.INTEGRITY, Reason.DIGEST_MISMATCH)
    with pytest.raises(VerificationError) as caught:
        made.verify_signer(parsed)
    assert (caught.value.step, caught.value.reason) == (Step.CHAIN, Reason.SIGNATURE_FOREIGN)


def test_an_s_mime_signature_says_who_made_it() -> None:
    made = read(PLAIN)
    assert made.detail == "one CMS signature, rsa2048 with sha256"
    assert made.verify_content(CONTENT) == made.signer.key
    assert made.signer.kind is SignerKind.SMIME
    assert (made.signer.subject, made.signer.issuer) == ("CN=Alice Example", "CN=Example S/MIME CA")
    assert made.signer.subject_alternative_names == ("alice@example.com",)
    assert (made.signer.serial, made.remarks) == ("1234", ())
    assert made.signing_time(None) == (int(NOW.timestamp()), "cms-signing-time")
    assert read(Signed(RSA, LEAF, at=NOW.replace(hour=3))).signer is made.signer, "one value for one credential"


def pss(salt: int, *, digest: str = der.SHA256, mask: str = der.SHA256) -> bytes:
    one, other = der.algorithm(digest, der.NULL), der.algorithm("1.2.840.113549.1.1.8", der.algorithm(mask, der.NULL))
    fields = (der.tlv(0xA0, one), der.tlv(0xA1, other), der.tlv(0xA2, der.integer(salt)))
    return der.algorithm("1.2.840.113549.1.1.10", der.seq(*fields))


def sign_pss(data: bytes) -> bytes:
    return RSA.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


P256_LEAF, P384_LEAF, P521_LEAF = CA.issue(ec_key()), CA.issue(P384), CA.issue(ec_key(ec.SECP521R1))
ECDSA_384, ECDSA_512 = der.algorithm("1.2.840.10045.4.3.3"), der.algorithm("1.2.840.10045.4.3.4")
KEY_ID = LEAF.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(PLAIN, id="RSA with SHA-256"),
        pytest.param(
            Signed(RSA, LEAF, digest="sha512", algorithm=der.algorithm("1.2.840.113549.1.1.13", der.NULL)),
            id="RSA with SHA-512",
        ),
        pytest.param(
            Signed(RSA, LEAF, digest="sha384", algorithm=der.algorithm("1.2.840.113549.1.1.1", der.NULL)),
            id="plain RSA, the digest said apart",
        ),
        pytest.param(Signed(RSA, LEAF, algorithm=pss(32), signing=sign_pss), id="RSA-PSS"),
        pytest.param(Signed(ec_key(), P256_LEAF), id="P-256"),
        pytest.param(Signed(P384, P384_LEAF, digest="sha384", algorithm=ECDSA_384), id="P-384"),
        pytest.param(
            Signed(ec_key(ec.SECP521R1), P521_LEAF, digest="sha512", algorithm=ECDSA_512), id="P-521 with SHA-512"
        ),
        pytest.param(
            Signed(P384, P384_LEAF, digest="sha384", algorithm=der.algorithm("1.2.840.10045.2.1")),
            id="ECDSA named by the key's own identifier",
        ),
        pytest.param(Signed(RSA, LEAF, sid=der.tlv(0x80, KEY_ID)), id="the signer named by its key identifier"),
        pytest.param(Signed(RSA, LEAF, others=(CA.certificate.public_bytes(Encoding.DER),)), id="with the CA"),
        pytest.param(Signed(RSA, LEAF, others=(LEAF.public_bytes(Encoding.DER),)), id="the leaf twice"),
        pytest.param(Signed(RSA, LEAF, unsigned=(der.attribute("1.2.3.4", der.NULL),)), id="an unknown attribute"),
    ],
)
def test_integrity_of_every_algorithm_holds_for_its_content_and_for_no_other(made: Signed) -> None:
    signed = read(made)
    assert signed.verify_content(CONTENT) == signed.signer.key
    assert signed.remarks == ()
    with pytest.raises(VerificationError) as caught:
        signed.verify_content(CONTENT[:-1])
    assert caught.value.reason is Reason.DIGEST_MISMATCH
    broken = replace(made, signing=lambda data: bytes(len(data)))
    with pytest.raises(VerificationError) as caught:
        read(broken).verify_content(CONTENT)
    assert (caught.value.step, caught.value.reason) == (Step.INTEGRITY, Reason.SIGNATURE_INVALID)


def indefinite(encoded: bytes) -> bytes:
    """The same value with every length indefinite and its octet strings in pieces, as gpgsm might write it."""
    value = ber.read(encoded)

    def write(node: ber.Value) -> bytes:
        if node.children or node.tag[0] & 0x20:
            return node.tag + b"\x80" + b"".join(write(child) for child in node.children) + b"\0\0"
        if node.tag == b"\x04" and len(node.content) > 8:
            return b"\x24\x80" + der.octets(node.content[:5]) + der.octets(node.content[5:]) + b"\0\0"
        return node.der

    return write(value)


def test_ber_is_read_as_what_it_means() -> None:
    written = indefinite(PLAIN.der())
    assert written != PLAIN.der()
    made = smime.read(armoured(written), NONE)
    assert made.verify_content(CONTENT) == read(PLAIN).signer.key
    assert made.signer is read(PLAIN).signer


REORDERED = (DIGEST, TIME, TYPE)


@pytest.mark.parametrize(
    ("made", "remarks"),
    [
        pytest.param(replace(PLAIN, bare=True), (smime.NO_ATTRIBUTES,), id="no signed attributes"),
        pytest.param(
            replace(PLAIN, attributes=REORDERED), (smime.ATTRIBUTES_UNORDERED,), id="attributes signed as they stand"
        ),
        pytest.param(
            replace(
                PLAIN, attributes=REORDERED, signing=lambda _: sign(RSA, der.tlv(0x31, *sorted((TYPE, TIME, DIGEST))))
            ),
            (smime.ATTRIBUTES_UNORDERED,),
            id="attributes signed in order and written in another",
        ),
        pytest.param(
            replace(PLAIN, sid=der.seq(der.seq(), der.integer(LEAF.serial_number))),
            (),
            id="an issuer spelled otherwise",
        ),
    ],
)
def test_oddities_that_hold(made: Signed, remarks: tuple[str, ...]) -> None:
    found = read(made)
    assert found.verify_content(CONTENT) == found.signer.key
    assert found.remarks == remarks
    with pytest.raises(VerificationError):
        found.verify_content(CONTENT + b"x")


OTHER_TYPE = der.attribute(der.CONTENT_TYPE, der.oid("1.2.3"))
SHORT = rsa_key(1024)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        pytest.param(replace(PLAIN, attributes=(TIME, DIGEST)), Reason.SIGNATURE_INVALID, id="no content type"),
        pytest.param(replace(PLAIN, attributes=(OTHER_TYPE, DIGEST)), Reason.SIGNATURE_INVALID, id="another type"),
        pytest.param(replace(PLAIN, attributes=(TYPE, TIME)), Reason.SIGNATURE_INVALID, id="no digest"),
        pytest.param(
            replace(PLAIN, attributes=(TYPE, DIGEST, DIGEST)), Reason.SIGNATURE_INVALID, id="the digest twice"
        ),
        pytest.param(
            replace(PLAIN, attributes=(TYPE, der.attribute(der.MESSAGE_DIGEST))),
            Reason.SIGNATURE_INVALID,
            id="a digest without a value",
        ),
        pytest.param(
            replace(PLAIN, attributes=(TYPE, der.attribute(der.MESSAGE_DIGEST, der.octets(bytes(32))))),
            Reason.DIGEST_MISMATCH,
            id="the digest of something else",
        ),
        pytest.param(replace(PLAIN, key=rsa_key(number=5)), Reason.SIGNATURE_INVALID, id="by another key"),
        pytest.param(replace(PLAIN, digest="sha1"), Reason.KEY_REFUSED, id="a digest by SHA-1"),
        pytest.param(
            replace(PLAIN, algorithm=der.algorithm("1.2.840.113549.1.1.5", der.NULL)),
            Reason.KEY_REFUSED,
            id="RSA with SHA-1",
        ),
        pytest.param(replace(PLAIN, algorithm=pss(32, digest=der.SHA1)), Reason.KEY_REFUSED, id="PSS with SHA-1"),
        pytest.param(replace(PLAIN, algorithm=pss(32, mask=der.SHA1)), Reason.KEY_REFUSED, id="PSS, its mask by SHA-1"),
        pytest.param(
            replace(PLAIN, algorithm=der.algorithm("1.2.840.113549.1.1.10")), Reason.KEY_REFUSED, id="PSS, all left out"
        ),
        pytest.param(Signed(SHORT, CA.issue(SHORT)), Reason.KEY_REFUSED, id="RSA with 1024 bits"),
        pytest.param(
            Signed(P384, P384_LEAF, signing=lambda data: sign(P384, data) + b"\0"),
            Reason.SIGNATURE_INVALID,
            id="more bytes",
        ),
    ],
)
def test_what_fails_step_3(made: Signed, reason: Reason) -> None:
    if made.key is P384:
        made = replace(made, algorithm=der.algorithm(der.ECDSA_SHA256))
    with pytest.raises(VerificationError) as caught:
        read(made).verify_content(CONTENT)
    assert (caught.value.step, caught.value.reason) == (Step.INTEGRITY, reason)


UNKNOWN = der.algorithm("1.2.3.4")


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(replace(PLAIN, with_leaf=False), id="without its certificate"),
        pytest.param(replace(PLAIN, sid=BY_KEY), id="by a key identifier that none has"),
        pytest.param(replace(PLAIN, algorithm=UNKNOWN), id="an algorithm of nobody's for an RSA key"),
        pytest.param(Signed(P384, P384_LEAF, algorithm=UNKNOWN), id="an algorithm of nobody's for an ECDSA key"),
        pytest.param(replace(PLAIN, algorithm=der.algorithm("1.3.101.112")), id="Ed25519 for an RSA key"),
    ],
)
def test_what_cannot_be_checked(made: Signed) -> None:
    with pytest.raises(UnavailableError):
        read(made).verify_content(CONTENT)


def test_without_its_certificate_the_signer_is_still_named() -> None:
    signer = read(replace(PLAIN, with_leaf=False)).signer
    assert (signer.serial, signer.issuer, signer.key) == ("1234", "CN=Example S/MIME CA", "")
    assert read(replace(PLAIN, sid=BY_KEY)).signer.key == "00" * 20


TWIN = CA.issue(P384)  # the same issuer and serial number, another key


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        pytest.param(replace(PLAIN, signers=0), VerificationError, id="no signer"),
        pytest.param(replace(PLAIN, signers=2), VerificationError, id="two signers"),
        pytest.param(replace(PLAIN, carried=CONTENT), MalformedError, id="content inside"),
        pytest.param(replace(PLAIN, content_type=der.TST_INFO), MalformedError, id="of another type"),
        pytest.param(
            replace(PLAIN, others=(TWIN.public_bytes(Encoding.DER),)), MalformedError, id="two certificates of one name"
        ),
        pytest.param(replace(PLAIN, others=(der.seq(der.seq()),)), MalformedError, id="a certificate that is none"),
        pytest.param(
            replace(PLAIN, others=tuple(der.seq(der.integer(n)) for n in range(33))),
            MalformedError,
            id="33 certificates",
        ),
        pytest.param(replace(PLAIN, attributes=(TYPE,) * 65), MalformedError, id="65 attributes"),
        pytest.param(replace(PLAIN, sid=der.NULL), MalformedError, id="a signer identifier that is none"),
    ],
)
def test_what_fails_step_2(made: Signed, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        read(made)


WIDE = b"-----BEGIN SIGNED MESSAGE-----\n" + base64.b64encode(PLAIN.der()) + b"\n-----END SIGNED MESSAGE-----\n"


@pytest.mark.parametrize(
    ("armour", "remarks"),
    [
        pytest.param(PLAIN.armour(), (), id="64 columns"),
        pytest.param(PLAIN.armour().replace(b"SIGNED MESSAGE", b"CMS"), (vouched.ARMOUR_CMS,), id="signet-git's first"),
        pytest.param(WIDE, (smime.ARMOUR_LOOSE,), id="one long line"),
        pytest.param(PLAIN.armour()[:-1], (smime.ARMOUR_LOOSE,), id="no final newline"),
        pytest.param(PLAIN.armour() + b"\n", (smime.ARMOUR_LOOSE,), id="an empty line at the end"),
        pytest.param(PLAIN.armour().replace(b"\n", b"\n\n", 1), (smime.ARMOUR_LOOSE,), id="an empty line at the top"),
    ],
)
def test_armour_is_read_with_a_remark_on_what_is_unusual(armour: bytes, remarks: tuple[str, ...]) -> None:
    made = smime.read(armour, NONE)
    assert made.remarks == remarks
    assert made.verify_content(CONTENT) == made.signer.key


@pytest.mark.parametrize(
    "armour",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(PLAIN.armour().replace(b"END SIGNED MESSAGE", b"END CMS"), id="two labels"),
        pytest.param(PLAIN.armour() + b"x\n", id="text after it"),
        pytest.param(b"Comment: x\n" + PLAIN.armour(), id="text before it"),
        pytest.param(PLAIN.armour().replace(b"\n", b"\nVersion: 1\n", 1), id="a header in it"),
        pytest.param(PLAIN.armour().replace(b"MII", b"M=I", 1), id="no base64"),
        pytest.param(armoured(bytes(70_000)), id="too long"),
        pytest.param(armoured(PLAIN.der() + b"\0"), id="bytes after the value"),
        pytest.param(armoured(der.seq(der.oid(der.DATA), der.tlv(0xA0, der.octets(b"x")))), id="not SignedData"),
    ],
)
def test_what_is_no_armour_of_one_signature(armour: bytes) -> None:
    with pytest.raises(MalformedError):
        smime.read(armour, NONE)


@settings(max_examples=150)
@given(st.integers(0, len(PLAIN.der()) - 1), st.integers(1, 255))
def test_a_changed_byte_is_an_error_or_leaves_what_was_signed(at: int, change: int) -> None:
    changed = bytearray(PLAIN.der())
    changed[at] ^= change
    try:
        made = smime.read(armoured(bytes(changed)), NONE)
        made.verify_content(CONTENT)
    except Error:
        return
    # What still holds is by the same key: only what nobody signs was changed, names and the CA's signature.
    assert made.signer.key == read(PLAIN).signer.key


@given(st.binary(max_size=64) | st.lists(st.sampled_from(PLAIN.der()[:80]), max_size=90).map(bytes))
def test_any_bytes_in_armour_are_a_documented_error(data: bytes) -> None:
    with pytest.raises((MalformedError, VerificationError)):
        smime.read(armoured(data), NONE)
