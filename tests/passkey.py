"""A passkey authenticator in software: ES256, attestation "none", what a browser would hand to the page.

`Authenticator(origin)` answers the options of a registration with `create` and those of a login with `get`. Both
return the JSON that `PublicKeyCredential.toJSON()` gives (WebAuthn Level 3, 5.1). A test bends what it needs: the
flags, the signature counter, the origin.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT = 0x01
VERIFIED = 0x04
ATTESTED = 0x40
"""Flags of authenticator data (WebAuthn 6.1)."""

AAGUID = bytes(16)


@dataclass(slots=True)
class Authenticator:
    """One passkey for one site. `origin` is the page's, such as `http://localhost:8788`."""

    origin: str
    flags: int = PRESENT | VERIFIED
    sign_count: int = 0
    user_handle: str = ""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def create(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """A RegistrationResponseJSON for the `options` of `/auth/passkey/register/options`."""
        self.user_handle = options["user"]["id"]
        attested = AAGUID + struct.pack(">H", len(self.id)) + self.id + self._cose_key()
        data = self._authenticator_data(options["rp"]["id"], self.flags | ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client_data("webauthn.create", options["challenge"])
        return self._credential(clientDataJSON=b64(client), attestationObject=b64(attestation), transports=["internal"])

    def get(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """An AuthenticationResponseJSON for the `options` of `/auth/passkey/login/options`."""
        data = self._authenticator_data(options.get("rpId") or urlsplit(self.origin).hostname or "", self.flags)
        client = self._client_data("webauthn.get", options["challenge"])
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(
            clientDataJSON=b64(client),
            authenticatorData=b64(data),
            signature=b64(signature),
            userHandle=self.user_handle,
        )

    def _credential(self, **response: Any) -> dict[str, Any]:
        return {
            "id": b64(self.id),
            "rawId": b64(self.id),
            "type": "public-key",
            "response": response,
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
        }

    def _authenticator_data(self, rp_id: str, flags: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + struct.pack(">I", self.sign_count)

    def _client_data(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said, separators=(",", ":")).encode()

    def _cose_key(self) -> bytes:
        """RFC 9053 section 7.1.1: kty EC2, alg ES256, P-256, x, y."""
        numbers = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
