"""Attesters: what a key file signs, any reader of DSSE verifies with the public key alone."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from attest import attester, bundles, dsse, keys, signing_key
from attest.attester import KeyAttester
from tests.forge import NOW

PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'
# Of formats.md 10, vector 5 (seed 07 * 32): as ssh-keygen -l shows it.
KEY_ID = "SHA256:z/fSv0Z0RZS+Lccbc6ZoOWwt/fbj1VFJGSBKQbo4icE"


def key(folder: Path) -> signing_key.SigningKey:
    private = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
    path = folder / "key.pem"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return signing_key.load(path)


def test_a_key_file_signs_a_bundle_that_names_the_key_and_holds_no_certificate(tmp_path: Path) -> None:
    own = key(tmp_path)
    made = json.loads(KeyAttester(own, "https://ci.example/verifier").sign(PAYLOAD, NOW))
    assert made["mediaType"] == bundles.BUNDLE_MEDIA_TYPE
    assert made["verificationMaterial"] == {
        "publicKey": {"hint": KEY_ID},
        "tlogEntries": [],
        "timestampVerificationData": {"rfc3161Timestamps": []},
    }
    envelope = made["dsseEnvelope"]
    (signature,) = envelope["signatures"]
    assert (base64.b64decode(envelope["payload"]), signature["keyid"]) == (PAYLOAD, KEY_ID)
    keys.verify_signature(own.public, base64.b64decode(signature["sig"]), dsse.pae(dsse.PAYLOAD_TYPE, PAYLOAD))


def test_a_time_stamp_is_over_the_signature(tmp_path: Path) -> None:
    asked: list[tuple[bytes, datetime]] = []

    def stamp(data: bytes, at: datetime) -> bytes:
        asked.append((data, at))
        return b"response"

    made = json.loads(KeyAttester(key(tmp_path), "x", stamp).sign(PAYLOAD, NOW))
    (made_stamp,) = made["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    assert base64.b64decode(made_stamp["signedTimestamp"]) == b"response"
    assert asked == [(base64.b64decode(made["dsseEnvelope"]["signatures"][0]["sig"]), NOW)]


def test_a_key_without_another_name_is_named_by_its_digest(tmp_path: Path) -> None:
    own = key(tmp_path).public
    # RFC 6920 section 3: base64url without padding.
    assert attester.uri_of(own) == "ni:///sha-256;" + base64.urlsafe_b64encode(own.spki_sha256).decode().rstrip("=")
