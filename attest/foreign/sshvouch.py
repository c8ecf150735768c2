"""Who an SSH key or certificate is by the lines of an allowed signers file, and when.

Whoever signs with a key of a line is `ssh:FINGERPRINT`. The key of a certificate may be new every day, so whoever
signs with one is `ssh:FINGERPRINT/PRINCIPAL`, with the fingerprint of the authority.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from urllib.parse import quote

from attest import sshsig, sshwire
from attest.errors import Reason, Step, UnavailableError, VerificationError
from attest.foreign.allowed import AllowedSigners, Entry
from attest.foreign.patternlist import fold, is_pattern
from attest.foreign.revoked import RevokedKeys
from attest.foreign.sshcredential import credential
from attest.foreign.sshkeys import SshKey
from attest.foreign.usercert import OpenSshCertificate
from attest.foreign.vouched import Vouched
from attest.instants import rfc3339
from attest.row import Signer
from attest.types import Authentication, Principal, PrincipalKind

KEPT = 1024
"""Answers that are remembered, one for each key and committer."""


@functools.lru_cache(maxsize=KEPT)
def vouch(blob: bytes, allowed: AllowedSigners, revoked: RevokedKeys | None, *addresses: str) -> tuple[Vouched, ...]:
    """What the lines that name this key or certificate vouch for.

    `addresses` are those of the object's lines, the committer's first. Lines for others are left out where there is
    one for the committer. Those without an end come first, so that what is found depends on the date only where it
    has to. Raises `VerificationError` (step 4) where there is no such line, and for what is revoked.
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
    fitting = [v for v in vouched if not v.addresses or v.addresses.issuperset(first)] or vouched
    return tuple(sorted(fitting, key=lambda v: (v.not_before is not None or v.not_after is not None, not v.addresses)))


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
    who = next((address for address in addresses[:1] if address in known), principals[0])
    if certificate is not None:
        identifier = f"ssh:{sshwire.fingerprint(certificate.authority)}/{quote(fold(who), safe='@')}"
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


def valid_at(found: tuple[Vouched, ...], seconds: int | None) -> Vouched:
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
