"""Keys of an enrolment: made in memory, shown as SubjectPublicKeyInfo, and proven."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest.keys import KeyAlgorithm
from attest.profile import RULES, Profile
from notme_git.authority.keystore import PrivateKey


def new_signing_key(profile: Profile) -> PrivateKey:
    """A key of the algorithm that the profile signs with."""
    if RULES[profile].algorithm is KeyAlgorithm.ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def proof(key: PrivateKey, message: bytes) -> bytes:
    """Ed25519 over the message, or P-256 as raw r||s (`authority-protocol.md` 2)."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def spki(key: PrivateKey) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
