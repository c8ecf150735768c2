"""Epochs: the first, the next, and the bundle that tells verifiers (design D6).

Everything here is one database transaction around keys that already lie in the key store, so a process
killed at any point leaves either the old state or the new one. The recovery key is made once, given to
the caller, and kept nowhere; the bundle carries its SHA-256 from the first issue on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from attest import canonical, trust
from attest.errors import RefusedError, UnavailableError
from attest.types import (
    BundleSignature,
    Epoch,
    Retirement,
    Revocation,
    RevocationKind,
    SignedTrustBundle,
    SignerRole,
    TrustBundle,
)
from notme_git.authority import ca
from notme_git.authority.embedded import Authority

ANCHORS = "anchors.pem"
BUNDLE = "bundle"
BEHIND = ".behind"
"""Lies beside these two while the database may be ahead of them; a missing or damaged file is another matter."""


def begin(authority: Authority, at: datetime) -> bytes:
    """Epoch 1 and the first bundle; returns the recovery key (PKCS #8 PEM), which is kept nowhere."""
    recovery = Ed25519PrivateKey.generate()
    spki = recovery.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with authority.store.transaction(durable=True):
        epoch = ca.make_epoch(authority.keys, authority.id, 1, at)
        authority.store.set_setting("recovery_commitment", hashlib.sha256(spki).hexdigest())
        authority.store.add_epoch(epoch)
        _publish(authority, at, [])
    export(authority)
    return recovery.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def rotate(authority: Authority, at: datetime) -> Epoch:
    """Retire the current epoch at `at` and begin the next; both keys sign the bundle."""
    with authority.store.transaction(durable=True):
        current = authority.epoch
        new = ca.make_epoch(authority.keys, authority.id, current.number + 1, at)
        retired = replace(current, retired_at=int(at.timestamp()), retirement=Retirement.ROUTINE)
        authority.store.update_epoch(retired)
        authority.store.add_epoch(new)
        _publish(authority, at, [])
    export(authority)
    return new


def recover(authority: Authority, recovery_pem: bytes, *, compromised_at: datetime, at: datetime) -> Epoch:
    """Retire the current epoch as compromised since `compromised_at`; its keys need not exist any more."""
    recovery = _recovery_key(authority, recovery_pem)
    with authority.store.transaction(durable=True):
        current = authority.epoch
        new = ca.make_epoch(authority.keys, authority.id, current.number + 1, at)
        retired = replace(
            current,
            retired_at=int(at.timestamp()),
            retirement=Retirement.COMPROMISE,
            compromised_at=int(compromised_at.timestamp()),
        )
        authority.store.update_epoch(retired)
        authority.store.add_epoch(new)
        signature = ca.bundle_signature(
            recovery, SignerRole.RECOVERY, trust.retirement_to_be_signed(authority.id, retired)
        )
        _publish(authority, at, [signature])
    export(authority)
    return new


def revoke_grant(authority: Authority, grant_id: str, *, reason: str, at: datetime) -> None:
    """Revoke a grant from `at` on and tell verifiers with the next bundle, both or neither. Twice changes nothing."""
    with authority.store.transaction(durable=True):
        if authority.store.revoked_at(grant_id) is None:
            authority.store.revoke_grant(grant_id, int(at.timestamp()), reason)
            _publish(authority, at, [])
    export(authority)


def revoke(authority: Authority, revocation: Revocation, *, at: datetime) -> None:
    """Put a revocation on record and tell verifiers with the next bundle, both or neither.

    A grant has `revoke_grant`, which ends it here, too.
    """
    with authority.store.transaction(durable=True):
        authority.store.add_revocation(revocation)
        _publish(authority, at, [])
    export(authority)


def revoke_session(authority: Authority, session_id: str, *, reason: str, at: datetime) -> None:
    """Revoke a session from `at` on and tell verifiers with the next bundle, both or neither."""
    revocation = Revocation(kind=RevocationKind.SESSION, id=session_id, at=int(at.timestamp()), reason=reason)
    revoke(authority, revocation, at=at)


def export(authority: Authority) -> None:
    """Write `anchors.pem` and `bundle` beside the database when they differ from what it holds."""
    pem = b"".join(
        x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
        for der in (authority.epoch.root, authority.epoch.interop_root)
    )
    _write(authority.directory / ANCHORS, pem)
    latest = authority.store.latest_bundle()
    if latest is None:
        raise UnavailableError(
            "the authority's database holds no trust bundle", hint="restore it from a backup"
        )
    _write(authority.directory / BUNDLE, latest)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(authority.directory / BEHIND)


def catch_up(authority: Authority) -> None:
    """Write the two files anew if a process was killed between its transaction and `export`."""
    if os.path.exists(f"{authority.directory}/{BEHIND}"):
        export(authority)


def _publish(authority: Authority, at: datetime, recovery: list[BundleSignature]) -> None:
    """Compose, sign and keep the next bundle. Its sequence is one above every earlier one, across restarts.

    The recovery key's signatures are over retirements, not bundles: each bundle carries on those before it.
    """
    with _file_errors(authority.directory / BEHIND):
        (authority.directory / BEHIND).touch(mode=0o600)
    store = authority.store
    epochs, latest = store.epochs(), store.latest_bundle()
    bundle = TrustBundle(
        version=trust.BUNDLE_VERSION,
        authority_id=authority.id,
        sequence=store.latest_sequence() + 1,
        issued_at=int(at.timestamp()),
        recovery_commitment=bytes.fromhex(store.setting("recovery_commitment") or ""),
        epochs=tuple(epochs),
        revocations=tuple(store.revocations()),
    )
    message = trust.bundle_to_be_signed(bundle)
    signatures = ca.sign_bundle(authority.keys, epochs[-1], SignerRole.CURRENT, message)
    signatures += _previous(authority, epochs, message)
    signatures += _recovery_signatures(latest) + recovery
    signed = canonical.encode(SignedTrustBundle(bundle=canonical.encode(bundle), signatures=tuple(signatures)))
    if len(signed) > trust.MAX_BUNDLE_BYTES:
        raise UnavailableError(
            f"the trust bundle would have {len(signed)} bytes, and verifiers read {trust.MAX_BUNDLE_BYTES}",
            hint="too much was revoked one by one: disable the account it was of, or found another authority",
        )
    store.put_bundle(bundle.sequence, signed)


def _previous(authority: Authority, epochs: Sequence[Epoch], message: bytes) -> list[BundleSignature]:
    """The previous key's signatures, which let a verifier that pinned it follow; a compromised key's are worthless."""
    if len(epochs) < 2 or epochs[-2].retirement is Retirement.COMPROMISE:
        return []
    return ca.sign_bundle(authority.keys, epochs[-2], SignerRole.PREVIOUS, message)


def _recovery_signatures(latest: bytes | None) -> list[BundleSignature]:
    if latest is None:
        return []
    return [
        s
        for s in canonical.decode(SignedTrustBundle, latest).signatures
        if s.role is SignerRole.RECOVERY
    ]


def _recovery_key(authority: Authority, pem: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise RefusedError("that is not a recovery key", hint="give the PEM text that notme-git init showed")
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if hashlib.sha256(spki).hexdigest() != authority.store.setting("recovery_commitment"):
        raise RefusedError("that is the recovery key of another authority")
    return key


def _write(path: Path, data: bytes) -> None:
    with _file_errors(path):
        if path.exists() and path.read_bytes() == data:
            return
        temporary = path.with_name(f".{path.name}-{os.getpid()}")
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)


@contextlib.contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"cannot write {path}: {error.strerror}", hint="make room or mend the permissions"
        ) from None
