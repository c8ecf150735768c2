"""A key file of the verifying side: what a server signs its witness statements with, an auditor a checkpoint.

Such a key is no agent's and lies in no home: whoever operates the verifier makes it, for example with
`openssl genpkey -algorithm ed25519`, and names the file. What is signed with it counts only for those who
were given its public key out of band.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_public_key,
)

from attest import keys
from attest.errors import MalformedError, UnavailableError
from attest.keys import PublicKey

MAX_KEY_BYTES = 4096
"""PKCS#8 PEM of an Ed25519 key has 119 bytes; some programs write text before it."""

_MAKE = "make one with: openssl genpkey -algorithm ed25519 -out FILE"
_TAKE = "take it out of the key: openssl pkey -in KEY -pubout -out KEY.pub"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 private key; `public` is what others check its signatures with."""

    public: PublicKey
    _key: Ed25519PrivateKey

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`, 64 bytes (RFC 8032 section 5.1.6)."""
        return self._key.sign(data)


def load(path: Path) -> SigningKey:
    """The Ed25519 key in a PEM file (PKCS#8, not encrypted), which nobody but its owner may read.

    Raises `UnavailableError`, also where the file is another user's or open to other users.
    """
    data = _read(path, private=True)
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _no_key(path, "private key in PEM without a passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "Ed25519 key")
    return SigningKey(keys.from_cryptography(key.public_key()), key)


def load_public(path: Path) -> PublicKey:
    """The public key in a file: Ed25519 or P-256, in PEM (SubjectPublicKeyInfo) or as OpenSSH writes it (`.pub`).

    Raises `UnavailableError`.
    """
    data = _read(path, private=False)
    load = load_ssh_public_key if data.startswith((b"ssh-", b"ecdsa-")) else load_pem_public_key
    try:
        key = load(data)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnavailableError(f"{path} holds no public key", hint=_TAKE) from None
    try:
        return keys.from_cryptography(key)
    except MalformedError as error:
        raise UnavailableError(f"{path} holds a key that is refused: {error.message}") from None


def _read(path: Path, *, private: bool) -> bytes:
    hint = _MAKE if private else _TAKE
    try:
        # Without waiting: a name that is a pipe would else hold a server's hook for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise UnavailableError(f"{path} is not a file", hint=hint)
            if private:
                _check_private(path, found)
            data = file.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read the key {path}: {error.strerror}", hint=hint) from None
    if len(data) > MAX_KEY_BYTES:
        raise UnavailableError(f"{path} is larger than {MAX_KEY_BYTES} bytes and is no key", hint=hint)
    return data


def _check_private(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in (os.geteuid(), 0):
        raise UnavailableError(f"the key {path} belongs to another user", hint="make one of your own")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise UnavailableError(f"the key {path} is open to other users", hint=f"chmod 600 {path}")


def _no_key(path: Path, what: str) -> UnavailableError:
    return UnavailableError(f"{path} holds no {what}", hint=_MAKE)

