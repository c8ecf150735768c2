"""The only module that touches the authority's private keys.

An epoch has three: the Ed25519 root, the P-256 root of the interop profile, and the P-256 time-stamping
key, which both roots certify so that whoever pinned one anchor can check a token (design D1). Keys are
loaded for one piece of work and never leave this module. A missing or unreadable key is an error and is
never replaced: a new key is a new epoch.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509 import CertificateBuilder

from attest import certificate, leaf, profile, sshcert, timestamp
from attest import keys as public_keys
from attest.errors import MalformedError, RefusedError, UnavailableError
from attest.leaf import Use
from attest.profile import LeafSpec, Profile
from attest.types import BundleSignature, Epoch, Retirement, SignerRole
from notme_git.authority.keystore import KeyStore, PrivateKey

ROOT_LIFETIME = timedelta(days=3650)
SSH_SERIAL_RANDOM_BITS = 22
"""After the milliseconds since 1970, in 64 bits (PROTOCOL.certkeys, `serial`)."""

_JSON_HEADER = b"eyJ"
_CBOR_MAP = b"\xa6\x01"
SSH_NONCE_BYTES = 32
SERIAL_RANDOM_BITS = 88
"""After four bytes of time; RFC 5280 section 4.1.2.2 wants positive and at most twenty bytes."""


def make_epoch(keys: KeyStore, authority_id: str, number: int, at: datetime) -> Epoch:
    """Make the three keys of epoch `number`, which is not on record yet, and their certificates.

    The keys are in `keys` when this returns. The caller holds the database's lock: a key of that number is nobody's.
    """
    root_key = ed25519.Ed25519PrivateKey.generate()
    interop_key = ec.generate_private_key(ec.SECP256R1())
    tsa_key = ec.generate_private_key(ec.SECP256R1())
    root = _root(f"notme authority {authority_id} epoch {number}", root_key, at)
    interop = _root(f"notme interop authority {authority_id} epoch {number}", interop_key, at)
    name = f"notme time-stamping {authority_id} epoch {number}"
    tokens = [
        certify(profile.timestamping(name, tsa_key.public_key(), issuer, serial=new_serial(at), at=at), key)
        for issuer, key in ((root, root_key), (interop, interop_key))
    ]
    for role, key in (("root", root_key), ("interop", interop_key), ("tsa", tsa_key)):
        _save(keys, _name(number, role), key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    return Epoch(
        number=number,
        root=_der(root),
        interop_root=_der(interop),
        timestamp_certificates=tuple(_der(token) for token in tokens),
        began_at=int(at.timestamp()),
        retired_at=0,
        retirement=Retirement.CURRENT,
        compromised_at=0,
    )


def sign_leaf(
    keys: KeyStore, epoch: Epoch, spec: LeafSpec, key: public_keys.PublicKey, use: Use, serial: int
) -> bytes:
    """DER of a leaf of `spec` over `key`, by the root of its profile."""
    root = issuer(epoch, spec.profile)
    signed = leaf.to_be_signed(spec, key, root, serial=serial, use=use)
    name = "interop" if spec.profile is Profile.INTEROP else "root"
    return leaf.assemble(signed, sign_with(_load(keys, epoch, name), signed), root)


def sign_issuing_ca(keys: KeyStore, epoch: Epoch, build: Profile, builder: CertificateBuilder) -> x509.Certificate:
    """An issuing CA's certificate, by the root of its profile."""
    return certify(builder, _load(keys, epoch, "interop" if build is Profile.INTEROP else "root"))


def sign_ssh_certificate(keys: KeyStore, epoch: Epoch, spec: LeafSpec, public_key: bytes) -> bytes:
    """An OpenSSH certificate of `spec` over an Ed25519 point, by the Ed25519 root itself: one anchor covers both."""
    key = _load(keys, epoch, "root")
    signed = sshcert.to_be_signed(
        spec,
        public_key,
        public_keys.from_cryptography(key.public_key()).raw,
        serial=_new_ssh_serial(spec.issued_at),
        nonce=secrets.token_bytes(SSH_NONCE_BYTES),
    )
    return sshcert.assemble(signed, sign_with(key, signed))


def issuer(epoch: Epoch, build: Profile) -> x509.Certificate:
    """The root certificate that issues leaves of profile `build`."""
    return certificate.read(epoch.interop_root if build is Profile.INTEROP else epoch.root)


@dataclass(frozen=True, slots=True)
class Stamper:
    """The time-stamping key of an epoch, for one signature or for a batch of statements."""

    certificate: x509.Certificate
    _key: PrivateKey = field(repr=False)

    def stamp(self, data: bytes, at: datetime) -> bytes:
        """DER of an RFC 3161 token over `data`."""
        return self._signed(timestamp.to_be_signed(data, at=at, serial=new_serial(at), tsa=self.certificate))

    def stamp_for(self, query: timestamp.Query, at: datetime) -> bytes:
        """The same for what a client asked over HTTP."""
        pending = timestamp.to_be_signed_for(query, at=at, serial=new_serial(at), tsa=self.certificate)
        return self._signed(pending, query.certificate)

    def _signed(self, pending: timestamp.Pending, certificate: bool = True) -> bytes:
        signature = sign_with(self._key, pending.attributes.data)
        return timestamp.assemble(pending, signature, tsa=self.certificate, certificate=certificate)


def stamper(keys: KeyStore, epoch: Epoch, build: Profile) -> Stamper:
    """A stamper whose certificate is under the root of profile `build`."""
    tsa = certificate.read(epoch.timestamp_certificates[build is Profile.INTEROP])
    return Stamper(tsa, _load(keys, epoch, "tsa"))


def sign_token(keys: KeyStore, epoch: Epoch, signing_input: bytes) -> bytes:
    """Ed25519 by the root over a JWS signing input (RFC 7515 section 5.1): a JSON header comes first."""
    if not signing_input.startswith(_JSON_HEADER):
        raise ValueError("that is no JWS signing input")
    return sign_with(_load(keys, epoch, "root"), signing_input)


def sign_ca_bundle(keys: KeyStore, epoch: Epoch, encoded: bytes) -> bytes:
    """Ed25519 by the root over upstream's CABundle, which has no domain: CBOR of a map of six comes first."""
    if not encoded.startswith(_CBOR_MAP):
        raise ValueError("that is no CABundle")
    return sign_with(_load(keys, epoch, "root"), encoded)


def sign_bundle(keys: KeyStore, epoch: Epoch, role: SignerRole, message: bytes) -> list[BundleSignature]:
    """Signatures over a trust bundle by both roots of `epoch`."""
    return [bundle_signature(_load(keys, epoch, name), role, message) for name in ("root", "interop")]


def bundle_signature(key: PrivateKey, role: SignerRole, message: bytes) -> BundleSignature:
    """One signature over a trust bundle."""
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return BundleSignature(role=role, spki=spki, signature=sign_with(key, message))


def sign_with(key: PrivateKey, data: bytes) -> bytes:
    """Ed25519, or ECDSA with SHA-256 in DER."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def new_serial(at: datetime) -> int:
    """A positive serial number of at most sixteen bytes: the time of issue, then random bits.

    Ordered by time, so that the issuance log grows at its end: a log of millions costs an entry what an empty one does.
    """
    return int(at.timestamp()) << SERIAL_RANDOM_BITS | secrets.randbits(SERIAL_RANDOM_BITS)


def _new_ssh_serial(at: datetime) -> int:
    return int(at.timestamp() * 1e3) << SSH_SERIAL_RANDOM_BITS | secrets.randbits(SSH_SERIAL_RANDOM_BITS)


def _root(name: str, key: PrivateKey, at: datetime) -> x509.Certificate:
    builder = profile.root(name, key.public_key(), serial=new_serial(at), at=at, until=at + ROOT_LIFETIME)
    return certify(builder, key)


def certify(builder: CertificateBuilder, key: PrivateKey) -> x509.Certificate:
    """The certificate that `key` makes of what was prepared."""
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def _load(keys: KeyStore, epoch: Epoch, role: str) -> PrivateKey:
    """The key of that role, which must be the very one that the epoch's certificate names."""
    try:
        key = keys.private_key(_name(epoch.number, role))
    except MalformedError:
        key = None
    certificates = {"root": epoch.root, "interop": epoch.interop_root, "tsa": epoch.timestamp_certificates[0]}
    if key is None or key.public_key() != certificate.read(certificates[role]).public_key():
        raise UnavailableError(
            f"what is kept as the {role} key of epoch {epoch.number} is not that key",
            hint="restore it from a backup, or begin a new epoch with the recovery key: notme-git epoch recover",
        )
    return key


def _save(keys: KeyStore, name: str, der: bytes) -> None:
    """A process killed between its keys and its epoch leaves keys that no epoch names and nothing was signed with."""
    try:
        keys.save(name, der)
    except RefusedError:
        keys.delete(name)
        keys.save(name, der)


def _name(number: int, role: str) -> str:
    return f"epoch-{number}-{role}"


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)
