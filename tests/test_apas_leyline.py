"""ley-line's reference envelope: its own vector, its hints of keys, and the form that is no longer one."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode, urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attest import dsse, keys
from attest.apas import leyline
from attest.dsse import Envelope, EnvelopeSignature
from attest.errors import MalformedError, VerificationError
from attest.keys import PublicKey

# Made by ley-line-open's `envelope` crate (formats.md 10.1).
SEED = bytes(range(1, 33))
POINT = "79b5562e8fe654f94078b112e8a98ba7901f853ae695bed7e0e3910bad049664"
KID = "646d6be49d9f0048f94f67749eca3515"
RAW = "65b60673d6ed884bf01c2c222d82ada0740f29ac3355d6a925c81f17f47a27b8"
STATEMENT = (
    b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":".rsry-handoff-0.json","digest":{"sha256":'
    b'"eefc8488445e147de86d582c8f61504ce9ed3971a75c2595b0c2d8ff8c8b30b7"}}],'
    b'"predicateType":"https://rosary.dev/Handoff/v1","predicate":{"bead_id":"rosary-test","from_agent":"dev-agent",'
    b'"phase":0,"summary":"Fixed the thing."}}'
)
SIGNATURE = "GyM3MI_KILb9e9O-ySSYa1SWrtFulVlLwigwCLTZJz6P9P8jHHTSj7Ljk3wYzOriHyc-IOqdJ0e9h3oW9M98Cg"

PRIVATE = Ed25519PrivateKey.from_private_bytes(SEED)
KEY = keys.from_cryptography(PRIVATE.public_key())
STRANGER = keys.from_cryptography(Ed25519PrivateKey.from_private_bytes(b"s" * 32).public_key())


def envelope(*signatures: bytes, payload: bytes = STATEMENT) -> Envelope:
    return Envelope(payload, dsse.PAYLOAD_TYPE, tuple(EnvelopeSignature(one, KID) for one in signatures))


def signed(message: bytes = STATEMENT) -> bytes:
    return PRIVATE.sign(dsse.pae(dsse.PAYLOAD_TYPE, message))


def test_the_reference_implementations_envelope_is_reproduced_and_read() -> None:
    assert (KEY.raw.hex(), KEY.key_id) == (POINT, KID)
    made = leyline.encode(envelope(signed()))
    said = json.loads(made)
    assert said["signatures"] == [{"keyid": KID, "sig": SIGNATURE}]
    assert said["payload"] == urlsafe_b64encode(STATEMENT).decode().rstrip("=")
    assert not any(letter in said["payload"] + SIGNATURE for letter in "+/=")
    read = dsse.parse_envelope(made)
    assert read == envelope(signed())
    assert leyline.verify(read, (STRANGER, KEY)) == (KEY,)


def test_the_kid_of_another_published_key_is_reproduced() -> None:
    """ADR-012's own example (formats.md 10.2)."""
    assert keys.ed25519(bytes(range(32))).key_id == "9408457aefd071cec127c1f985399308"


@pytest.mark.parametrize(
    ("keyid", "spelling"),
    [
        pytest.param(KID, leyline.KEY_ID, id="ADR-012"),
        pytest.param(RAW, leyline.RAW_SHA256, id="rosary, of old"),
        pytest.param("sha256:" + RAW, leyline.PREFIXED, id="section 3.3, of the raw key"),
        pytest.param("sha256:" + hashlib.sha256(KEY.spki).hexdigest(), leyline.PREFIXED, id="section 3.3, of the SPKI"),
        pytest.param("", "", id="none"),
        pytest.param(STRANGER.key_id, "", id="another key's"),
    ],
)
def test_a_keys_name_is_a_hint_and_decides_nothing(keyid: str, spelling: str) -> None:
    assert leyline.spelling(keyid, KEY) == spelling
    made = Envelope(STATEMENT, dsse.PAYLOAD_TYPE, (EnvelopeSignature(signed(), keyid),))
    assert leyline.verify(made, (KEY,)) == (KEY,)
    with pytest.raises(VerificationError, match="is not signed with it" if not spelling and keyid else "no key that"):
        leyline.verify(made, (STRANGER,))
    forged = Envelope(STATEMENT, dsse.PAYLOAD_TYPE, (EnvelopeSignature(b"\1" * 64, keyid),))
    with pytest.raises(VerificationError, match=f"it names the key {KID}" if spelling else "no key that was named"):
        leyline.verify(forged, (KEY,))


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("padded", [True, False])
def test_a_signature_over_the_base64_text_is_the_legacy_form_and_refused(encode: object, padded: bool) -> None:
    payload = STATEMENT + b" " * (3 - len(STATEMENT) % 3 + 1)  # not a multiple of three, so that there is padding
    text: bytes = encode(payload)  # type: ignore[operator]
    made = envelope(signed(text if padded else text.rstrip(b"=")), payload=payload)
    with pytest.raises(VerificationError, match="legacy signature form"):
        leyline.verify(made, (STRANGER, KEY))
    with pytest.raises(VerificationError, match="no key that was named"):
        leyline.verify(made, (STRANGER,))


def test_an_envelope_without_a_signature_is_refused_as_what_the_early_emitter_wrote_without_a_key() -> None:
    empty = {"payload": b64encode(STATEMENT).decode(), "payloadType": dsse.PAYLOAD_TYPE, "signatures": []}
    with pytest.raises(MalformedError, match="signatures has 0 entries"):
        dsse.parse_envelope(json.dumps(empty).encode())
    with pytest.raises(MalformedError, match="signatures has 0"):
        dsse.parse_envelope(leyline.encode(envelope()))


def test_one_key_counts_once_and_a_signature_that_fails_hinders_none() -> None:
    made = envelope(b"\1" * 64, signed(), signed())
    assert leyline.verify(made, (KEY, STRANGER, KEY)) == (KEY,)


@pytest.mark.parametrize(("kind", "trusted"), [("text/plain", (KEY,)), (dsse.PAYLOAD_TYPE, ())])
def test_another_payload_and_no_key_prove_nothing(kind: str, trusted: tuple[PublicKey, ...]) -> None:
    signature = PRIVATE.sign(dsse.pae(kind, STATEMENT))
    with pytest.raises((MalformedError, VerificationError)):
        leyline.verify(Envelope(STATEMENT, kind, (EnvelopeSignature(signature),)), trusted)
