"""SSH signatures by anybody's key or certificate, held against an allowed signers file.

As `git verify-commit` and `ssh-keygen -Y verify` do it: a key counts where a line of the file names it, a certificate
where a line names its authority and a principal of the certificate; at the object's own date, which is the signer's
word. What git leaves out is what step 7 then does: it holds the committer against the principals of the line.

Whoever signs with a key of a line is `ssh:FINGERPRINT`. The key of a certificate may be new every day, so whoever
signs with one is `ssh:FINGERPRINT/PRINCIPAL`, with the fingerprint of the authority.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from attest import sshsig, sshwire
from attest.errors import MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.evidence import rfc3339
from attest.foreign import sshkeys, usercert
from attest.foreign.allowed import AllowedSigners, Entry
from attest.foreign.patternlist import MAX_VALUE, fold, is_pattern
from attest.foreign.revoked import RevokedKeys
from attest.foreign.sshkeys import SshKey
from attest.foreign.usercert import OpenSshCertificate
from attest.foreign.vouched import Vouched
from attest.gitobject import Commit, PushCertificate, Tag
from attest.row import Signer, SignerKind
from attest.signed import SSH_COMMITTER_DATE
from attest.sshsig import SshSignature
from attest.sshwire import Reader
from attest.types import Authentication, Principal, PrincipalKind

NO_PRESENCE = "no-user-presence"
"""Remark: the security key signed without a touch, which ssh-keygen lets pass too."""

KEPT = 1024
"""Answers that are remembered, one for each key and committer."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a signature carries as its key. `key` is None where that counts for nothing; `refused` then says why."""

    key: SshKey | None
    certificate: OpenSshCertificate | None
    signer: Signer
    detail: str
    refused: str = ""


@dataclass(frozen=True, slots=True)
class ForeignSsh:
    """One SSH signature that is none of ours, and what the verifier said about whose count."""

    signature: SshSignature
    credential: Credential
    allowed: AllowedSigners | None
    revoked: RevokedKeys | None

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
        return () if sshkeys.flags(self.signature.extra) & sshkeys.USER_PRESENT else (NO_PRESENCE,)

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
        return _valid(found, _seconds(parsed))

    def signing_time(self, parsed: Commit | Tag | PushCertificate | None) -> tuple[int, str] | None:
        """The signer's word on the time (unix seconds), and where it stands."""
        seconds = _seconds(parsed)
        return None if seconds is None else (seconds, SSH_COMMITTER_DATE)

    def _check_verified(self) -> None:
        if not sshkeys.flags(self.signature.extra) & sshkeys.USER_VERIFIED:
            said = "the certificate demands a PIN or finger, and the security key signed without"
            raise VerificationError(Step.CHAIN, Reason.CERTIFICATE_INVALID, said)


def read(signature: SshSignature, allowed: AllowedSigners | None, revoked: RevokedKeys | None) -> ForeignSsh:
    """Step 2 for a signature whose key or certificate is none of ours."""
    return ForeignSsh(signature, credential(signature.public_key), allowed, revoked)


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


@functools.lru_cache(maxsize=KEPT)
def vouch(blob: bytes, allowed: AllowedSigners, revoked: RevokedKeys | None, *addresses: str) -> tuple[Vouched, ...]:
    """What the lines that name this key or certificate vouch for, those first that take the first of the addresses.

    `addresses` are those of the object's lines, the committer's first. Whether a line counts at the time is left to
    the caller. Raises `VerificationError` (step 4) where there is no such line, and for what is revoked.
    """
    found = credential(blob)
    key, certificate = found.key, found.certificate
    if key is None:
        raise VerificationError(Step.CHAIN, Reason.KEY_REFUSED, f"the signer's key is refused: {found.refused}")
    if revoked is not None and (what := revoked.revokes(key, certificate)):
        raise VerificationError(Step.CHAIN, Reason.KEY_REVOKED, f"{what} is revoked")
    by_key, blob = (allowed.keys, blob) if certificate is None else (allowed.authorities, certificate.authority)
    entries = [entry for entry in by_key.get(blob, ()) if entry.is_for(sshsig.NAMESPACE)]
    folded = tuple(map(fold, addresses))
    vouched = [v for v in (_vouched(entry, key, certificate, folded) for entry in entries) if v is not None]
    if not vouched:
        raise VerificationError(
            Step.CHAIN,
            Reason.KEY_UNKNOWN,
            _unknown(found.signer, certificate, bool(entries)),
            hint="list it in the allowed signers file, if its owner may sign here",
        )
    first = folded[:1]
    return tuple(sorted(vouched, key=lambda v: not v.addresses.issuperset(first)))


def _unknown(signer: Signer, certificate: OpenSshCertificate | None, known: bool) -> str:
    if certificate is None:
        return f"no line of the allowed signers names SSH key {signer.key} for git"
    if known:
        named = ", ".join(certificate.principals) or "none"
        return f"no line of the allowed signers takes a principal of the SSH certificate ({named[:256]})"
    return f"no line of the allowed signers names the authority {signer.issuer} of the SSH certificate for git"


def _vouched(
    entry: Entry, key: SshKey, certificate: OpenSshCertificate | None, addresses: Sequence[str]
) -> Vouched | None:
    """What one line says of who signs; None where it takes none of its own principals, or none of the certificate."""
    if certificate is None:
        principals = [p for p in entry.principals.wanted if entry.principals.matches(p)]
        known = _taken(entry, addresses)
        identifier, bounds = f"ssh:{key.fingerprint}", (entry.not_before, entry.not_after)
    else:
        principals = [p for p in certificate.principals if entry.principals.matches(p)]
        known = frozenset([fold(p) for p in principals if "@" in p])
        identifier, bounds = "", _within(entry, certificate)
    if not principals:
        return None
    who = next((address for address in addresses if address in known), principals[0])
    if certificate is not None:
        identifier = f"ssh:{sshwire.fingerprint(certificate.authority)}/{quote(who, safe='@')}"
    principal = Principal(
        id=identifier,
        kind=PrincipalKind.HUMAN,
        name="",
        display=who,
        email=who if "@" in who and not is_pattern(who) else "",
        authentication=Authentication.OWN_KEY,
    )
    return Vouched(principal, known, f"allowed-signers:{entry.line}", *bounds)


def _taken(entry: Entry, addresses: Sequence[str]) -> frozenset[str]:
    """The addresses that a line vouches for, folded.

    Of patterns, which vouch for more than can be listed, those that the object names; where it names none of them,
    the patterns themselves, which no address is equal to: then it is somebody else's.
    """
    patterns = entry.principals.folded()
    named = frozenset([address for address in addresses if patterns.matches(address)])
    return named | {p for p in patterns.wanted if ("@" in p or is_pattern(p)) and patterns.matches(p)}


def _within(entry: Entry, certificate: OpenSshCertificate) -> tuple[int | None, int | None]:
    """When both the line and the certificate hold, both ends inclusive."""
    last = certificate.valid_before - 1 if certificate.valid_before is not None else None
    begins = [b for b in (entry.not_before, certificate.valid_after) if b is not None]
    ends = [e for e in (entry.not_after, last) if e is not None]
    return (max(begins) if begins else None), (min(ends) if ends else None)


def _valid(found: tuple[Vouched, ...], seconds: int | None) -> Vouched:
    """The first that holds at this time."""
    for vouched in found:
        begin, end = vouched.not_before, vouched.not_after
        if begin is None and end is None:
            return vouched
        if seconds is not None and (begin is None or begin <= seconds) and (end is None or seconds <= end):
            return vouched
    first = found[0]
    said = f"the key of {first.principal.display} counts {_span(first)}"
    if seconds is None:
        raise UnavailableError(f"{said}, and nothing says when it signed", reason=Reason.TIME_UNPROVEN)
    said = f"{said}, and signed at {rfc3339(seconds)} (signer)"
    raise VerificationError(Step.CHAIN, Reason.KEY_OUTSIDE_VALIDITY, said)


def _span(vouched: Vouched) -> str:
    """When it holds, in words."""
    begin, end = vouched.not_before, vouched.not_after
    words = [f"from {rfc3339(begin)}"] if begin is not None else []
    return " ".join([*words, *([f"until {rfc3339(end)}"] if end is not None else [])])


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
