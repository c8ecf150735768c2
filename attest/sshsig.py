"""SSH signatures as git stores them: OpenSSH's PROTOCOL.sshsig, read strictly.

    blob    "SSHSIG", uint32 1, string public key, string namespace, string reserved (empty),
            string hash algorithm, string signature
    signed  "SSHSIG", string namespace, string reserved (empty), string hash algorithm, string H(content)

The public key stands outside of what is signed. Where it is a certificate, the certificate's own signature
binds it (`sshcert`); a bare key is bound by the signature that it verifies.

No private key comes here: `to_be_signed` gives the bytes, the caller signs, `assemble` frames.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from attest import keys, sshwire
from attest.armour import Armour
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.keys import PublicKey
from attest.sshwire import Reader, string, uint32

MAGIC = b"SSHSIG"
VERSION = 1
NAMESPACE = "git"
"""The one namespace in which git has anything signed (gpg-interface.c)."""

COMMITTER_DATE_SOURCE = "ssh-committer-date"
"""Where the signer's word on the time is found: an SSH signature says none, so the object's own date is it."""

MAX_BLOB_BYTES = 64 * 1024
"""Ours are under 2 KiB; an RSA certificate of 16384 bits with its signature is under 8."""

MAX_NAME_BYTES = 256
"""Namespaces and names of algorithms; the longest in use has under 50."""

ARMOUR = Armour("SSH SIGNATURE", columns=70, limit=MAX_BLOB_BYTES)
"""As ssh-keygen writes it."""

HASHES = {"sha512": hashlib.sha512, "sha256": hashlib.sha256}
"""PROTOCOL.sshsig allows these two and no others."""

_SECURITY_KEY_TAIL = 5  # flags and counter after the signature proper (PROTOCOL.u2f)


@dataclass(frozen=True, slots=True)
class SshSignature:
    """One parsed signature. Nothing in it has been verified yet.

    `public_key` is the key's or certificate's blob. `signature` is what the algorithm makes, for Ed25519 the
    64 bytes R and S; `extra` are the flags and counter of a security key, else empty.
    """

    blob: bytes
    public_key: bytes
    namespace: str
    hash_algorithm: str
    signature_algorithm: str
    signature: bytes
    extra: bytes = b""

    def encode(self) -> bytes:
        """The blob, made anew from the fields."""
        value = string(self.signature_algorithm) + string(self.signature) + self.extra
        return _blob(self.public_key, self.namespace, self.hash_algorithm, value)


@dataclass(frozen=True, slots=True)
class Preamble:
    """What a signature covers: all that an ssh-agent is shown of the content is its digest."""

    namespace: str
    hash_algorithm: str
    digest: bytes

    def encode(self) -> bytes:
        """The bytes to sign."""
        head = MAGIC + string(self.namespace) + string(b"")
        return head + string(self.hash_algorithm) + string(self.digest)


def to_be_signed(content: bytes, *, namespace: str = NAMESPACE, hash_algorithm: str = "sha512") -> bytes:
    """The bytes that a signature over `content` covers."""
    return Preamble(namespace, hash_algorithm, HASHES[hash_algorithm](content).digest()).encode()


def assemble(
    public_key: bytes, signature: bytes, *, namespace: str = NAMESPACE, hash_algorithm: str = "sha512"
) -> bytes:
    """The blob around an Ed25519 `signature` (64 bytes); `public_key` is the blob of a key or certificate."""
    return _blob(public_key, namespace, hash_algorithm, sshwire.ed25519_signature(signature))


def parse(blob: bytes) -> SshSignature:
    """Read one signature strictly, of whatever algorithm; `MalformedError` for anything else."""
    if len(blob) > MAX_BLOB_BYTES:
        raise MalformedError(f"{len(blob)} bytes of SSH signature; at most {MAX_BLOB_BYTES} are read")
    reader = Reader(blob)
    if reader.take(len(MAGIC)) != MAGIC:
        raise MalformedError("not an SSH signature: it does not begin with SSHSIG")
    if (version := reader.uint32()) != VERSION:
        raise MalformedError(f"SSH signature of version {version}; this program reads version {VERSION}")
    public_key = reader.string()
    namespace, hash_algorithm = _read_names(reader)
    value = Reader(reader.string())
    reader.end()
    algorithm, signature = value.text(MAX_NAME_BYTES), value.string()
    extra = value.take(_SECURITY_KEY_TAIL) if algorithm.startswith("sk-") else b""
    value.end()
    if algorithm == sshwire.ED25519 and len(signature) != 64:
        raise MalformedError(f"an Ed25519 signature has 64 bytes, not {len(signature)}")
    return SshSignature(blob, public_key, namespace, hash_algorithm, algorithm, signature, extra)


def parse_preamble(data: bytes) -> Preamble:
    """Read the bytes that a signature covers, as an ssh-agent gets them; `MalformedError` for anything else."""
    reader = Reader(data)
    if reader.take(len(MAGIC)) != MAGIC:
        raise MalformedError("not what an SSH signature covers: it does not begin with SSHSIG")
    namespace, hash_algorithm = _read_names(reader)
    digest = reader.string(64)
    reader.end()
    if len(digest) != HASHES[hash_algorithm]().digest_size:
        raise MalformedError(f"a digest of {len(digest)} bytes is not one of {hash_algorithm}")
    return Preamble(namespace, hash_algorithm, digest)


def verify_content(signature: SshSignature, content: bytes, key: PublicKey) -> None:
    """Step 3: the signature is in git's namespace and over exactly `content`, by `key` (Ed25519)."""
    if signature.namespace != NAMESPACE:
        raise VerificationError(
            Step.INTEGRITY,
            Reason.PURPOSE_MISMATCH,
            f"the signature is for namespace {signature.namespace!r}, not for {NAMESPACE}",
        )
    if signature.signature_algorithm != sshwire.ED25519:
        # The name stands outside of what is signed: a second one would make a second object of the same signature.
        raise VerificationError(
            Step.INTEGRITY,
            Reason.KEY_REFUSED,
            f"the signature says {signature.signature_algorithm[:32]!r}, and the key is for {sshwire.ED25519}",
        )
    signed = to_be_signed(content, namespace=signature.namespace, hash_algorithm=signature.hash_algorithm)
    keys.verify_signature(key, signature.signature, signed)


def _read_names(reader: Reader) -> tuple[str, str]:
    """Namespace and hash algorithm, with the reserved field between them."""
    namespace = reader.text(MAX_NAME_BYTES)
    if not namespace:
        raise MalformedError("the namespace is empty (PROTOCOL.sshsig forbids it)")
    if reader.string(MAX_NAME_BYTES):
        raise MalformedError("the reserved field is not empty")
    hash_algorithm = reader.text(MAX_NAME_BYTES)
    if hash_algorithm not in HASHES:
        raise MalformedError(f"hash algorithm {hash_algorithm[:32]!r} is neither sha512 nor sha256")
    return namespace, hash_algorithm


def _blob(public_key: bytes, namespace: str, hash_algorithm: str, value: bytes) -> bytes:
    head = MAGIC + uint32(VERSION) + string(public_key) + string(namespace) + string(b"")
    return head + string(hash_algorithm) + string(value)
