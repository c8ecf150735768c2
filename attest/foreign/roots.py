"""Whose signatures count beside those of pinned authorities: what the verifier named, and nothing by default."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from attest.errors import Reason, Step, VerificationError
from attest.gitobject import Signature, SignatureFormat

if TYPE_CHECKING:
    from cryptography import x509

    from attest.foreign.allowed import AllowedSigners
    from attest.foreign.cmstime import Stamper
    from attest.foreign.openpgp import Gpg
    from attest.foreign.revoked import RevokedKeys
    from attest.foreign.sigstore import SigstoreRoot
    from attest.foreign.vouched import ForeignSigned
    from attest.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Roots:
    """An allowed signers file with its revocations, Sigstore's trusted root, authorities for S/MIME, and gpg to ask.

    The last two say who is believed about the time, of any signature: `tsa` are roots of time-stamping authorities,
    `witnesses` the keys of servers that state what arrived.
    """

    allowed_signers: AllowedSigners | None = None
    revoked: RevokedKeys | None = None
    sigstore: SigstoreRoot | None = None
    smime: tuple[x509.Certificate, ...] = ()
    openpgp: Gpg | None = None
    tsa: tuple[Stamper, ...] = ()
    witnesses: tuple[PublicKey, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether anything was named that says whose signatures count."""
        return replace(self, tsa=(), witnesses=()) != NONE

    @property
    def stampers(self) -> tuple[Stamper, ...]:
        """Whose time-stamps count as a third party's."""
        return self.tsa if self.sigstore is None else (*self.tsa, *self.sigstore.stampers)

    @property
    def x509(self) -> bool:
        """Whether some X.509 signatures of others count."""
        return self.sigstore is not None or bool(self.smime)

    @property
    def digest(self) -> bytes:
        """SHA-256 of all of it: a verdict under other roots is another verdict."""
        named = (self.allowed_signers, self.revoked, self.sigstore, self.openpgp)
        parts = [item.sha256 if item is not None else b"" for item in named]
        parts += [hashlib.sha256(ca.tbs_certificate_bytes).digest() for ca in self.smime]
        parts += [b"tsa" + c.tbs_certificate_bytes for stamper in self.tsa for c in stamper.chain]
        parts += [b"witness" + key.spki_sha256 for key in self.witnesses]
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


NONE = Roots()


def read(signature: Signature, roots: Roots | None) -> ForeignSigned:
    """Step 2 for a signature that is none of ours; what it needs is loaded when it is met."""
    named = roots or NONE
    if signature.format is SignatureFormat.SSH:
        from attest.foreign import ssh

        return ssh.read(signature.armour, named.allowed_signers, named.revoked)
    if signature.format is SignatureFormat.X509:
        from attest.foreign import smime

        return smime.read(signature.armour, named)
    if named.openpgp is None:
        raise VerificationError(
            Step.SIGNATURE,
            Reason.SIGNATURE_FOREIGN,
            "signed with an OpenPGP key: its owner's own key, not by this authority",
        )
    from attest.foreign import openpgp

    return openpgp.read(signature.armour, named.openpgp)
