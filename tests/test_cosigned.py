"""Envelopes of several signers: what is put in was verified, and what others signed stays as it is."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from attest import bundles, cosigned, dsse, keys, sshwire
from attest.attester import name_of
from attest.dsse import Envelope, EnvelopeSignature
from attest.errors import Error, MalformedError, RefusedError, UsageError
from attest.keys import PublicKey
from tests.statements import bundle, envelope, payload

STATEMENT = payload({"gitCommit": "ab" * 20})
SIGNERS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(1, 19)]
PUBLIC = [keys.from_cryptography(signer.public_key()) for signer in SIGNERS]
P256 = derive_private_key(7, SECP256R1())
P256_PUBLIC = keys.from_cryptography(P256.public_key())
TO_SIGN = dsse.pae(dsse.PAYLOAD_TYPE, STATEMENT)


def made(number: int) -> EnvelopeSignature:
    return EnvelopeSignature(SIGNERS[number].sign(TO_SIGN), name_of(PUBLIC[number]))


def signed_by(numbers: Sequence[int]) -> Envelope:
    done = cosigned.around(STATEMENT)
    for number in numbers:
        done = cosigned.add(done, made(number), PUBLIC[number])
    return done


@given(st.lists(st.integers(0, 7), min_size=1, max_size=12))
def test_keys_are_counted_however_often_and_in_whatever_order_they_sign(numbers: list[int]) -> None:
    done = cosigned.opened(signed_by(numbers).encode())
    assert len(done.signatures) == len(set(numbers))
    assert set(dsse.verify_envelope(done, PUBLIC)) == {PUBLIC[number] for number in numbers}


def test_a_key_of_p256_signs_beside_one_of_ed25519() -> None:
    signature = P256.sign(TO_SIGN, ECDSA(SHA256()))
    done = cosigned.add(signed_by([0]), EnvelopeSignature(signature, "x"), P256_PUBLIC)
    assert set(dsse.verify_envelope(done, [P256_PUBLIC, PUBLIC[0]])) == {P256_PUBLIC, PUBLIC[0]}
    again = EnvelopeSignature(P256.sign(TO_SIGN, ECDSA(SHA256())), "y")
    assert cosigned.add(done, again, P256_PUBLIC) == done


def test_a_key_is_named_as_openssh_names_it() -> None:
    for key, private in ((PUBLIC[0], SIGNERS[0]), (P256_PUBLIC, P256)):
        line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        assert name_of(key) == sshwire.fingerprint(base64.b64decode(line.split()[1]))


def test_what_others_signed_stays_whatever_it_is() -> None:
    strange = (EnvelopeSignature(b"nobody's", "someone"), EnvelopeSignature(b"x" * 64))
    done = cosigned.add(Envelope(STATEMENT, dsse.PAYLOAD_TYPE, strange), made(0), PUBLIC[0])
    assert done.signatures == (*strange, made(0))


WRONG = {
    "of another key": (made(1).sig, "not by this key"),
    "over another statement": (SIGNERS[0].sign(TO_SIGN + b"x"), "not by this key"),
    "over the statement alone": (SIGNERS[0].sign(STATEMENT), "over the statement itself"),
    "nothing": (b"", "not by this key"),
    "too short": (made(0).sig[:-1], "not by this key"),
}


@pytest.mark.parametrize(("signature", "said"), WRONG.values(), ids=WRONG)
def test_a_signature_that_does_not_hold_is_not_put_in(signature: bytes, said: str) -> None:
    with pytest.raises(RefusedError, match=said) as refused:
        cosigned.add(cosigned.around(STATEMENT), EnvelopeSignature(signature), PUBLIC[0])
    assert ".pae" in (refused.value.hint or "")


def test_there_is_room_for_so_many_and_no_more() -> None:
    full = signed_by(range(dsse.MAX_SIGNATURES))
    assert cosigned.opened(full.encode()) == full
    with pytest.raises(UsageError, match="at most 16 signatures"):
        cosigned.add(full, made(16), PUBLIC[16])
    assert cosigned.add(full, made(3), PUBLIC[3]) == full


def test_the_bundle_of_a_bare_key_can_be_signed_further_and_one_with_a_certificate_not() -> None:
    one = signed_by([0])
    assert cosigned.opened(bundles.KeyBundle((b"stamp",), one).encode()) == one
    with pytest.raises(UsageError, match="holds one signature"):
        cosigned.opened(bundle("ab" * 20))


def test_what_is_no_statement_is_not_signed() -> None:
    for content in (b"", b"plan", b"{}", STATEMENT[:-1], STATEMENT.replace(b"Statement/v1", b"Statement/v9")):
        with pytest.raises(MalformedError):
            cosigned.around(content)
        with pytest.raises(MalformedError):
            cosigned.opened(envelope(content).encode())
    with pytest.raises(MalformedError, match="not an in-toto Statement"):
        cosigned.opened(Envelope(STATEMENT, "text/plain", (made(0),)).encode())


@pytest.mark.parametrize("width", [0, 64, 76])
def test_a_signature_is_read_as_bytes_or_as_base64(width: int) -> None:
    for signature in (made(0).sig, P256.sign(TO_SIGN, ECDSA(SHA256()))):
        text = base64.b64encode(signature)
        lines = b"\n".join(text[at : at + width] for at in range(0, len(text), width)) if width else text
        assert cosigned.signature_of(signature) == signature
        assert cosigned.signature_of(lines + b"\n") == signature


def test_what_is_too_long_or_not_base64_is_no_signature() -> None:
    for data in (b"-" * 100, b"A" * 2000, b"A" * 101):
        with pytest.raises(MalformedError):
            cosigned.signature_of(data)


@given(st.binary(max_size=300), st.sampled_from([*PUBLIC[:2], P256_PUBLIC]))
def test_any_bytes_are_a_documented_error_or_a_signature_that_holds(data: bytes, key: PublicKey) -> None:
    try:
        done = cosigned.add(signed_by([0]), EnvelopeSignature(cosigned.signature_of(data)), key)
    except Error:
        return
    assert key in dsse.verify_envelope(done, [key])


@given(st.binary(max_size=300))
def test_any_file_is_a_documented_error_or_an_envelope_that_encodes_to_itself(data: bytes) -> None:
    for content in (data, signed_by([0, 1]).encode().replace(b'"sig"', data, 1)):
        try:
            found = cosigned.opened(content)
        except Error:
            continue
        assert cosigned.opened(found.encode()) == found
