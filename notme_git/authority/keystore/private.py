"""What every place for keys has in common: which keys there are, how they are named and written, what is refused."""

from __future__ import annotations

import base64
import re

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from attest.errors import MalformedError, RefusedError, UsageError

MAX_KEY_BYTES = 1024
"""PKCS#8 DER; an Ed25519 key has 48 bytes, a P-256 key with its public half 138."""

MAX_FILE_BYTES = 2 * MAX_KEY_BYTES
"""PEM of `MAX_KEY_BYTES`: base64, line ends and the two boundaries."""

RESTORE_HINT = "restore it from a backup, or begin a new epoch with the recovery key: notme-git epoch recover"

_BEGIN, _END = "-----BEGIN PRIVATE KEY-----\n", "-----END PRIVATE KEY-----\n"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey


def parse_private_key(pkcs8_der: bytes) -> PrivateKey:
    """The Ed25519 or elliptic curve key in PKCS #8; `MalformedError` for anything else."""
    try:
        key = load_der_private_key(pkcs8_der, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey):
        raise MalformedError("what is kept is no private key of ours", hint=RESTORE_HINT)
    return key


def to_pem(der: bytes) -> bytes:
    """RFC 7468 section 3: 64 signs a line, here and always."""
    text = base64.b64encode(der).decode()
    lines = "".join(f"{text[at : at + 64]}\n" for at in range(0, len(text), 64))
    return f"{_BEGIN}{lines}{_END}".encode()


def parse_pem(text: bytes) -> bytes | None:
    """The DER in exactly the form `to_pem` writes, else None."""
    body = text.removeprefix(_BEGIN.encode()).removesuffix(_END.encode()).replace(b"\n", b"")
    der = decode(body.decode("latin-1"))
    return der if der is not None and to_pem(der) == text else None


def decode(text: str) -> bytes | None:
    """Base64 of 1 to `MAX_KEY_BYTES` bytes that encodes back to itself, else None."""
    try:
        der = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return der if 0 < len(der) <= MAX_KEY_BYTES and base64.b64encode(der).decode() == text else None


def checked_size(der: bytes) -> bytes:
    if not 0 < len(der) <= MAX_KEY_BYTES:
        raise UsageError(f"a key of {len(der)} bytes; keys have at most {MAX_KEY_BYTES}")
    return der


def checked_name(name: str) -> str:
    """Names become parts of paths and of keyring entries: no `/`, no dot in front."""
    if not _NAME.fullmatch(name):
        hint = "use lower-case letters, digits, '.', '_' and '-'"
        raise UsageError(f"{name[:64]!r} cannot name a key", hint=hint)
    return name


def taken(name: str) -> RefusedError:
    return RefusedError(f"there is a key {name} already", hint="it stays as it is: a new key is a new epoch")
