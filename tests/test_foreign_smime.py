from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding

from attest.errors import Reason, Step, VerificationError
from attest.foreign import smime
from attest.foreign.roots import NONE
from attest.row import SignerKind
from tests import der
from tests.foreignsigned import CONTENT, NOW, Authority, Signed, ec_key, real, rsa_key

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
