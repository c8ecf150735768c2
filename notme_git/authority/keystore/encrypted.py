"""Keys in files that are encrypted under a key-encryption key, which lies elsewhere (`notme_git.authority.kek`).

A file `NAME.key` is, byte for byte:

    `notme-git key 1\\n`   16 bytes, which name this format
    salt                  16 bytes, random
    check                 16 bytes, which tell another key-encryption key from a damaged file
    nonce                 12 bytes, random
    sealed                AES-256-GCM of the PKCS #8 DER: as many bytes, and a tag of 16

The key and the check are HKDF-SHA256 of the key-encryption key with that salt. What comes before `sealed`, and the
authority's id and the key's name, are authenticated with it: no file can stand in for another.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from attest.errors import UnavailableError
from notme_git.authority.keystore import files
from notme_git.authority.keystore.private import (
    MAX_KEY_BYTES,
    RESTORE_HINT,
    PrivateKey,
    checked_name,
    checked_size,
    parse_private_key,
)

FORMAT = b"notme-git key 1\n"
SUFFIX = ".key"
SALT_BYTES = CHECK_BYTES = TAG_BYTES = 16
NONCE_BYTES = 12
_CHECK_AT = len(FORMAT) + SALT_BYTES
_NONCE_AT = _CHECK_AT + CHECK_BYTES
_SEALED_AT = _NONCE_AT + NONCE_BYTES
MAX_FILE_BYTES = _SEALED_AT + MAX_KEY_BYTES + TAG_BYTES


@dataclass(frozen=True, slots=True)
class EncryptedKeys:
    """Keys as `NAME.key`, 0600, in a directory of 0700. `kek` is asked whenever a key is read or written."""

    directory: Path
    authority_id: str
    kek: Callable[[], bytes] = field(repr=False)

    def save(self, name: str, pkcs8_der: bytes) -> None:
        """Keep a key under `name`, on disk when this returns. `RefusedError` if the name is taken."""
        files.add(self._path(name), seal(checked_size(pkcs8_der), self.kek(), self._context(name)), name)

    def load(self, name: str) -> bytes:
        """The key's PKCS#8 DER. `UnavailableError` if it is missing, damaged, or under another key-encryption key."""
        path = self._path(name)
        return unseal(files.read(path, MAX_FILE_BYTES), self.kek(), self._context(name), path)

    def private_key(self, name: str) -> PrivateKey:
        """The key, for one piece of work. `UnavailableError` as `load`, `MalformedError` for what is no key."""
        return parse_private_key(self.load(name))

    def delete(self, name: str) -> None:
        """Remove the key. `UnavailableError` if there is none."""
        files.remove(self._path(name))

    def rewrap(self, kek: bytes) -> int:
        """Encrypt every key under another key-encryption key and return how many were still under the present one.

        Each file is replaced whole. Killed half-way, some are under the one and some under the other: the same call
        again goes on, because what is under the new one already is left as it is.
        """
        changed = 0
        for path in sorted(self.directory.glob(f"[a-z0-9]*{SUFFIX}")):
            name = path.name.removesuffix(SUFFIX)
            sealed = files.read(self._path(name), MAX_FILE_BYTES)
            if not is_under(sealed, kek):
                der = unseal(sealed, self.kek(), self._context(name), path)
                files.replace(path, seal(der, kek, self._context(name)))
                changed += 1
        return changed

    def _path(self, name: str) -> Path:
        return self.directory / f"{checked_name(name)}{SUFFIX}"

    def _context(self, name: str) -> bytes:
        return f"{self.authority_id}\0{name}".encode()


def seal(der: bytes, kek: bytes, context: bytes) -> bytes:
    """A key file; `context` says whose key it is."""
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    key, check = _derive(kek, salt)
    head = FORMAT + salt + check + nonce
    return head + AESGCM(key).encrypt(nonce, der, head + context)


def unseal(sealed: bytes, kek: bytes, context: bytes, path: Path) -> bytes:
    """The PKCS #8 DER in a key file, else `UnavailableError`; `path` is for its words."""
    if not sealed.startswith(FORMAT) or not _SEALED_AT + TAG_BYTES < len(sealed) <= MAX_FILE_BYTES:
        raise UnavailableError(f"{path} is no key file that this program wrote", hint=RESTORE_HINT)
    if not is_under(sealed, kek):
        raise UnavailableError(
            f"{path} is encrypted under another key-encryption key",
            hint="name the one it was encrypted under; after a rewrap that was cut short, run it again",
        )
    key, _ = _derive(kek, sealed[len(FORMAT) : _CHECK_AT])
    head, nonce = sealed[:_SEALED_AT], sealed[_NONCE_AT:_SEALED_AT]
    try:
        return AESGCM(key).decrypt(nonce, sealed[_SEALED_AT:], head + context)
    except InvalidTag:
        raise UnavailableError(f"{path} was changed, or is another key's file", hint=RESTORE_HINT) from None


def is_under(sealed: bytes, kek: bytes) -> bool:
    """Whether a key file names this key-encryption key as its own; whether it opens with it, `unseal` finds."""
    _, check = _derive(kek, sealed[len(FORMAT) : _CHECK_AT])
    return hmac.compare_digest(check, sealed[_CHECK_AT:_NONCE_AT])


def _derive(kek: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """The AES key and the check."""
    both = HKDF(SHA256(), 32 + CHECK_BYTES, salt, b"notme-git key file 1").derive(kek)
    return both[:32], both[32:]
