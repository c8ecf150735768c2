"""SSH signatures by anybody's key or certificate, held against an allowed signers file.

As `git verify-commit` and `ssh-keygen -Y verify` do it: a key counts where a line of the file names it, a certificate
where a line names its authority and a principal of the certificate; at the object's own date, which is the signer's
word. What git leaves out is what step 7 then does: it holds the committer against the principals of the line.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

from attest import sshsig
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.foreign import sshkeys, usercert
from attest.foreign.allowed import AllowedSigners
from attest.foreign.patternlist import MAX_VALUE
from attest.foreign.revoked import RevokedKeys
from attest.foreign.sshcredential import Credential, credential
from attest.foreign.sshvouch import valid_at, vouch
from attest.foreign.vouched import Vouched
from attest.gitobject import Commit, PushCertificate, Tag
from attest.row import Signer
from attest.sshsig import SshSignature

NO_PRESENCE = "no-user-presence"
"""Remark: the security key signed without a touch, which ssh-keygen lets pass too."""

ARMOUR_LOOSE = "armour-loose"
"""Remark: base64 in lines of another width, as some programs write it in ssh-keygen's place; git takes it."""

_LOOSE = re.compile(rb"-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\s]*)-----END SSH SIGNATURE-----\n")


@dataclass(frozen=True, slots=True)
class ForeignSsh:
    """One SSH signature that is none of ours, and what the verifier said about whose count."""

    signature: SshSignature
    credential: Credential
    allowed: AllowedSigners | None
    revoked: RevokedKeys | None
    loose: bool = False

    @property
    def detail(self) -> str:
        """For the finding of step 2."""
        return self.credential.detail

    @property
    def signer(self) -> Signer:
        """What it says of itself."""
        return self.credential.signer

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is odd about it, but allowed."""
        touched = sshkeys.flags(self.signature.extra) & sshkeys.USER_PRESENT
        found = () if touched else (NO_PRESENCE,)
        return (ARMOUR_LOOSE, *found) if self.loose else found

    @property
    def value(self) -> bytes:
        """The signature proper, which time-stamps are over."""
        return self.signature.signature

    def verify_content(self, content: bytes) -> str:
        """Step 3: returns the key's fingerprint."""
        made, key = self.signature, self.credential.key
        if made.namespace != sshsig.NAMESPACE:
            said = f"the signature is for namespace {made.namespace!r}, not for {sshsig.NAMESPACE}"
            raise VerificationError(Step.INTEGRITY, Reason.PURPOSE_MISMATCH, said)
        if key is None:
            said = f"the signer's key is refused: {self.credential.refused}"
            raise VerificationError(Step.INTEGRITY, Reason.KEY_REFUSED, said)
        signed = sshsig.to_be_signed(content, namespace=made.namespace, hash_algorithm=made.hash_algorithm)
        sshkeys.verify(key, made.signature_algorithm, made.signature, made.extra, signed)
        return key.fingerprint

    def verify_signer(self, parsed: Commit | Tag | PushCertificate | None) -> Vouched:
        """Step 4: the line of the allowed signers file that vouches for the signer at the object's own date."""
        if self.allowed is None:
            raise VerificationError(
                Step.CHAIN,
                Reason.SIGNATURE_FOREIGN,
                "signed with an SSH key: its owner's own key, not by this authority",
            )
        certificate = self.credential.certificate
        if certificate is not None:
            usercert.verify(certificate.blob)
            if usercert.VERIFY_REQUIRED in certificate.critical:
                self._check_verified()
        found = vouch(self.signature.public_key, self.allowed, self.revoked, *_addresses(parsed))
        return valid_at(found, _seconds(parsed))

    def signing_time(self, parsed: Commit | Tag | PushCertificate | None) -> tuple[int, str] | None:
        """The signer's word on the time (unix seconds), and where it stands."""
        seconds = _seconds(parsed)
        return None if seconds is None else (seconds, sshsig.COMMITTER_DATE_SOURCE)

    def _check_verified(self) -> None:
        if not sshkeys.flags(self.signature.extra) & sshkeys.USER_VERIFIED:
            said = "the certificate demands a PIN or finger, and the security key signed without"
            raise VerificationError(Step.CHAIN, Reason.CERTIFICATE_INVALID, said)


def read(armour: bytes, allowed: AllowedSigners | None, revoked: RevokedKeys | None) -> ForeignSsh:
    """Step 2 for a signature whose key or certificate is none of ours; `MalformedError`."""
    try:
        blob, loose = sshsig.ARMOUR.open(armour), False
    except MalformedError:
        blob, loose = _open(armour), True
    signature = sshsig.parse(blob)
    return ForeignSsh(signature, credential(signature.public_key), allowed, revoked, loose)


def _open(armour: bytes) -> bytes:
    """What is in an armour block, however its lines are broken."""
    if len(armour) > 2 * sshsig.MAX_BLOB_BYTES:
        raise MalformedError(f"{len(armour)} bytes of armour; a signature has at most {2 * sshsig.MAX_BLOB_BYTES}")
    found = _LOOSE.fullmatch(armour)
    if found is None:
        raise MalformedError("not one block of base64 between the lines of an SSH signature")
    try:
        return binascii.a2b_base64(b"".join(found[1].split()), strict_mode=True)
    except binascii.Error as error:
        raise MalformedError(f"armour is not base64: {error}") from None


def _seconds(parsed: Commit | Tag | PushCertificate | None) -> int | None:
    """The object's own date, unix seconds."""
    match parsed:
        case Commit():
            return parsed.committer.seconds
        case Tag() if parsed.tagger is not None:
            return parsed.tagger.seconds
        case PushCertificate():
            return parsed.seconds
    return None


def _addresses(parsed: Commit | Tag | PushCertificate | None) -> list[str]:
    """Those that the object's lines name, who made the object first. What no pattern takes is not remembered either."""
    found: list[str] = []
    match parsed:
        case Commit():
            found = [parsed.committer.email, parsed.author.email]
        case Tag() if parsed.tagger is not None:
            found = [parsed.tagger.email]
        case PushCertificate():
            _, bracket, rest = parsed.pusher.decode("utf-8", "replace").rpartition("<")
            found = [rest.removesuffix(">")] if bracket else []
    return [address for address in found if 0 < len(address) <= MAX_VALUE]
