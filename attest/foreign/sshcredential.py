"""What an SSH signature carries as its key: a plain key or a certificate over one, fit to be used or not."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

from attest import sshsig, sshwire
from attest.errors import MalformedError
from attest.foreign import sshkeys, usercert
from attest.foreign.sshkeys import SshKey
from attest.foreign.usercert import OpenSshCertificate
from attest.row import Signer, SignerKind
from attest.sshwire import Reader


@dataclass(frozen=True, slots=True)
class Credential:
    """What a signature carries as its key. `key` is None where that counts for nothing; `refused` then says why."""

    key: SshKey | None
    certificate: OpenSshCertificate | None
    signer: Signer
    detail: str
    refused: str = ""


@functools.lru_cache(maxsize=sshkeys.KEPT)
def credential(blob: bytes) -> Credential:
    """The key or certificate of a signature; `MalformedError` where the blob does not even say its kind."""
    name = Reader(blob).string(sshsig.MAX_NAME_BYTES).decode("ascii", "replace")
    try:
        if usercert.is_certificate(blob):
            return _of_certificate(usercert.parse(blob))
        key = sshkeys.parse(blob)
    except MalformedError as error:
        kind = SignerKind.SSH_CERTIFICATE if usercert.is_certificate(blob) else SignerKind.SSH_KEY
        leaf = hashlib.sha256(blob).hexdigest() if kind is SignerKind.SSH_CERTIFICATE else ""
        signer = Signer(kind, sshwire.fingerprint(blob), name[:64], leaf)
        return Credential(None, None, signer, f"one SSH signature, {name[:64]!r}", error.message)
    signer = Signer(SignerKind.SSH_KEY, key.fingerprint, key.kind)
    return Credential(key, None, signer, f"one SSH signature, {key.kind}")


def _of_certificate(read: OpenSshCertificate) -> Credential:
    signer = Signer(
        kind=SignerKind.SSH_CERTIFICATE,
        key=read.key.fingerprint,
        algorithm=read.key.kind,
        leaf_sha256=hashlib.sha256(read.blob).hexdigest(),
        serial=f"{read.serial:x}",
        issuer=sshwire.fingerprint(read.authority),
        subject=read.key_id,
        subject_alternative_names=read.principals,
        not_before=read.valid_after,
        not_after=read.valid_before,
    )
    return Credential(read.key, read, signer, f"one SSH signature, {read.key.kind} under a certificate")
