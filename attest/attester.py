"""Who signs statements: a verifier principal, by whatever key it has (design D10).

Whoever makes statements is handed an `Attester` and knows nothing of keys. What it returns is one line, ready to be
stored or written to a file, and always signed: without a key there is no line.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from attest import bundles, dsse, sshwire
from attest.keys import KeyAlgorithm, PublicKey

Stamp = Callable[[bytes, datetime], bytes]
"""Has somebody time-stamp bytes: given them and the time now, returns a DER TimeStampResp (RFC 3161)."""


class Key(Protocol):
    """A private key, wherever it is: in a file (`signing_key`), in an ssh-agent (`sshagent`)."""

    @property
    def public(self) -> PublicKey:
        """What its signatures are checked with."""

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`; `UnavailableError` where there is none."""


class Attester(Protocol):
    """A verifier that signs. `id` is the URI that its statements name as their verifier."""

    @property
    def id(self) -> str:
        """The URI of the verifier."""

    @property
    def public(self) -> PublicKey | None:
        """The key it signs with; None where every signature has a new one."""

    def sign(self, payload: bytes, at: datetime) -> bytes:
        """The line, without a line feed, that holds the statement `payload` and its signature, made at `at`.

        Raises `UnavailableError` where it cannot sign or, having promised a time-stamp, gets none.
        """


@dataclass(frozen=True, slots=True)
class KeyAttester:
    """Signs with a key of the operator's own: a Sigstore bundle v0.3 that names the key as `name_of` does.

    It counts for those who were given the public key. `stamp` adds a time-stamp, which such a bundle does not need.
    """

    key: Key
    id: str
    stamp: Stamp | None = None

    @property
    def public(self) -> PublicKey:
        """As `Attester` has it."""
        return self.key.public

    def sign(self, payload: bytes, at: datetime) -> bytes:
        """As `Attester` has it."""
        signature = self.key.sign(dsse.pae(dsse.PAYLOAD_TYPE, payload))
        made = dsse.EnvelopeSignature(signature, name_of(self.key.public))
        stamps = () if self.stamp is None else (self.stamp(signature, at),)
        return bundles.KeyBundle(stamps, dsse.Envelope(payload, dsse.PAYLOAD_TYPE, (made,))).encode()


def uri_of(key: PublicKey) -> str:
    """The URI of a key that has no other: RFC 6920 section 3, SHA-256 of its SubjectPublicKeyInfo."""
    return "ni:///sha-256;" + urlsafe_b64encode(key.spki_sha256).rstrip(b"=").decode("ascii")


def name_of(key: PublicKey) -> str:
    """The key id of a key in DSSE: its OpenSSH fingerprint.

    cosign and sigstore-go (securesystemslib's DSSE) pass over a signature that has another id than this one, without
    trying the key; and a bundle's hint has to be the envelope's id (protobuf-specs, sigstore_bundle.proto).
    """
    of_kind = sshwire.ed25519_key if key.algorithm is KeyAlgorithm.ED25519 else sshwire.p256_key
    return sshwire.fingerprint(of_kind(key.raw))
