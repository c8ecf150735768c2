from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest import keys
from attest.errors import Reason, Step, VerificationError
from attest.foreign import smime, transparency
from attest.foreign.cmstime import Log
from attest.foreign.roots import Roots
from attest.foreign.sigstore import SCT_UNCHECKED, SigstoreRoot
from tests import der
from tests.foreignsigned import CONTENT, SHA256, Key, Signed, ec_key, sign
from tests.test_foreign_sigstore import FULCIO, TOP, b64, leaf, trusted_root

SCTS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
KEY, OTHER = ec_key(number=20), ec_key(number=21)
MILLISECONDS = 1783684798123
BEGUN = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())


def spki(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


ID = hashlib.sha256(spki(KEY)).digest()
LOG = Log(keys.parse_spki(spki(KEY)), BEGUN, None)


def promise(
    precertificate: x509.Certificate,
    *,
    log_id: bytes = ID,
    said: int = MILLISECONDS,
    issuer: Key = FULCIO.key,
    kind: bytes = b"\0\1",
    edit: Callable[[bytes], bytes] = lambda body: body,
) -> bytes:
    """One signed certificate timestamp in the form of RFC 6962 section 3.3, over a certificate without one."""
    body, when = edit(precertificate.tbs_certificate_bytes), MILLISECONDS.to_bytes(8, "big")
    signed = b"\0\0" + said.to_bytes(8, "big") + kind + hashlib.sha256(spki(issuer)).digest()
    signature = sign(KEY, signed + len(body).to_bytes(3, "big") + body + b"\0\0")
    return b"\0" + log_id + when + b"\0\0" + b"\4\3" + len(signature).to_bytes(2, "big") + signature


def logged(*made: Callable[[x509.Certificate], bytes]) -> x509.Certificate:
    """A leaf of Fulcio's with these promises in it."""

    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        before = builder.sign(FULCIO.key, SHA256)
        listed = b"".join(len(p := make(before)).to_bytes(2, "big") + p for make in made)
        value = der.octets(len(listed).to_bytes(2, "big") + listed)
        return builder.add_extension(x509.UnrecognizedExtension(SCTS, value), critical=False)

    return leaf(edit=edit)


def test_a_leaf_that_a_log_promised_to_show() -> None:
    assert transparency.verify_logged(logged(promise), FULCIO.certificate, {ID: LOG}) == ID.hex()


def test_an_unknown_log_beside_it_does_no_harm() -> None:
    made = logged(lambda before: promise(before, log_id=bytes(32)), promise)
    assert transparency.verify_logged(made, FULCIO.certificate, {ID: LOG}) == ID.hex()


@pytest.mark.parametrize(
    ("made", "logs"),
    [
        pytest.param(leaf(), {ID: LOG}, id="no promise"),
        pytest.param(logged(), {ID: LOG}, id="an empty list"),
        pytest.param(logged(promise), {bytes(32): LOG}, id="by a log that nobody named"),
        pytest.param(logged(promise), {ID: Log(LOG.key, BEGUN, BEGUN + 1)}, id="after the log counted"),
        pytest.param(logged(promise), {ID: Log(LOG.key, BEGUN * 2, None)}, id="before the log counted"),
        pytest.param(logged(promise), {ID: Log(keys.parse_spki(spki(OTHER)), BEGUN, None)}, id="by another key"),
        pytest.param(logged(lambda c: promise(c, said=MILLISECONDS + 1)), {ID: LOG}, id="for another time"),
        pytest.param(logged(lambda c: promise(c, issuer=TOP.key)), {ID: LOG}, id="for another issuer"),
        pytest.param(logged(lambda c: promise(c, kind=b"\0\0")), {ID: LOG}, id="for another kind of entry"),
        pytest.param(
            logged(lambda c: promise(c, edit=lambda body: body[:-1])), {ID: LOG}, id="for another certificate"
        ),
    ],
)
def test_promises_that_do_not_count(made: x509.Certificate, logs: dict[bytes, Log]) -> None:
    with pytest.raises(VerificationError) as caught:
        transparency.verify_logged(made, FULCIO.certificate, logs)
    assert (caught.value.step, caught.value.reason) == (Step.CHAIN, Reason.CERTIFICATE_INVALID)


def root(*, logs: bool) -> SigstoreRoot:
    window = {"start": "2025-01-01T00:00:00Z"}
    public = {"rawBytes": b64(spki(KEY)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": window}
    return SigstoreRoot.parse(trusted_root(ctlogs=[{"publicKey": public, "logId": {"keyId": b64(ID)}}] if logs else []))


def test_a_root_that_names_logs_demands_a_promise_and_another_remarks_on_it() -> None:
    for made, logs, remarks in ((logged(promise), True, ()), (leaf(), False, (SCT_UNCHECKED,))):
        signed = smime.read(Signed(ec_key(), made).armour(), Roots(sigstore=root(logs=logs)))
        signed.verify_content(CONTENT)
        assert signed.verify_signer(None).remarks == remarks
    unlogged = smime.read(Signed(ec_key(), leaf()).armour(), Roots(sigstore=root(logs=True)))
    with pytest.raises(VerificationError) as caught:
        unlogged.verify_signer(None)
    assert caught.value.reason is Reason.CERTIFICATE_INVALID
