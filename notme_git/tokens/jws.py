"""JSON Web Signatures as this project has them: compact, Ed25519 or ES256, strict (RFC 7515, RFC 7517, RFC 8037).

 1. three parts of base64url in its one spelling; header and payload are JSON objects in UTF-8 without duplicate names
 2. the algorithm is the one of the key, `EdDSA` or `ES256`, whatever else a header says
 3. no `crit`: none of its extensions is understood here
 4. keys pass the strictness rule of `attest.keys`; one with a private member is refused
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from attest import keys
from attest.errors import MalformedError
from attest.keys import KeyAlgorithm, PublicKey
from notme_git import strictjson

MAX_LENGTH = 16 * 1024
EDDSA, ES256 = "EdDSA", "ES256"
ALGORITHMS: Mapping[KeyAlgorithm, str] = {KeyAlgorithm.ED25519: EDDSA, KeyAlgorithm.P256: ES256}

_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_COORDINATE = 32


@dataclass(frozen=True, slots=True)
class Jws:
    """A parsed token, of which nothing is proven yet."""

    header: Mapping[str, Any]
    payload: Mapping[str, Any]
    signed: bytes
    signature: bytes

    def verify(self, key: PublicKey) -> None:
        """Raise `VerificationError` or `MalformedError` unless `key` made the signature, by its own algorithm."""
        if self.header.get("alg") != ALGORITHMS[key.algorithm]:
            raise MalformedError("the algorithm in the header is not the key's")
        verify = keys.verify_signature if key.algorithm is KeyAlgorithm.ED25519 else keys.verify_p1363
        verify(key, self.signature, self.signed)


def parse(text: str) -> Jws:
    """A compact JWS with a JSON payload, or `MalformedError`."""
    parts = text.split(".")
    if len(text) > MAX_LENGTH or len(parts) != 3:
        raise MalformedError("no compact JWS")
    header, payload, signature = (unb64(part) for part in parts)
    found = Jws(_object(header), _object(payload), ".".join(parts[:2]).encode(), signature)
    if "crit" in found.header:
        raise MalformedError("a JWS with critical extensions")
    return found


def make(header: Mapping[str, Any], payload: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A compact JWS; `sign` gives Ed25519, or r||s of ES256, over the signing input."""
    signed = f"{_part(header)}.{_part(payload)}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def parse_key(jwk: object) -> PublicKey:
    """A public key of ours from a JWK, or `MalformedError`."""
    if not isinstance(jwk, Mapping) or any(name in jwk for name in _PRIVATE):
        raise MalformedError("no public JWK")
    kind = (jwk.get("kty"), jwk.get("crv"))
    if kind == ("OKP", "Ed25519"):
        return keys.ed25519(_member(jwk, "x"))
    if kind != ("EC", "P-256"):
        raise MalformedError("the JWK is neither P-256 nor Ed25519")
    x, y = (int.from_bytes(_member(jwk, name), "big") for name in "xy")
    try:
        return keys.from_cryptography(ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
    except ValueError:
        raise MalformedError("the JWK's point is not on P-256") from None


def jwk(key: PublicKey) -> dict[str, str]:
    """The key's required members, in lexical order (RFC 7638 section 3.2)."""
    if key.algorithm is KeyAlgorithm.ED25519:
        return {"crv": "Ed25519", "kty": "OKP", "x": b64(key.raw)}
    x, y = key.spki[-2 * _COORDINATE : -_COORDINATE], key.spki[-_COORDINATE:]
    return {"crv": "P-256", "kty": "EC", "x": b64(x), "y": b64(y)}


def thumbprint(key: PublicKey) -> str:
    """SHA-256 of the key's members, base64url (RFC 7638)."""
    return b64(hashlib.sha256(json.dumps(jwk(key), separators=(",", ":")).encode()).digest())


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """The bytes that `b64` spells `text`, or `MalformedError`."""
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    except ValueError:
        data = b""
    if b64(data) != text:
        raise MalformedError("no base64url")
    return data


def _member(jwk: Mapping[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    data = unb64(value) if isinstance(value, str) else b""
    if len(data) != _COORDINATE:
        raise MalformedError(f"the JWK's {name} is not {_COORDINATE} bytes")
    return data


def _part(value: Mapping[str, Any]) -> str:
    return b64(json.dumps(value, separators=(",", ":")).encode())


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        found = strictjson.loads(data.decode())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise MalformedError("no JSON object in a JWS")
    return found
