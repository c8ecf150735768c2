"""Our certificate extension: who acts, for whom, under which grant (design D4).

The same DER rides in X.509 (`profile.CLAIMS`) and will ride in OpenSSH certificates. Facts and digests
stand here; rich statements belong into attestations.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TypeVar

from attest import asn1
from attest.errors import MalformedError
from attest.types import Assurance, Authentication, Constraints, Principal, PrincipalKind

MAX_CLAIMS_BYTES = 16 * 1024
"""Patterns are the long part; a certificate that carries more cannot sit in every commit."""

MAX_DEPTH = 255
"""As much as a grant's record holds."""

KEPT = 256
"""Values that are remembered as read."""

VERSION = 1
UNCONSTRAINED = Constraints(repositories=(), branches=())
E = TypeVar("E", Assurance, Authentication, PrincipalKind)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a bridge certificate says beyond a key. `represented` is absent when a human acts directly.

    `depth` is how often the holder may pass its grant on: 0 in every leaf, 1 in an issuing CA's certificate.
    """

    actor_kind: PrincipalKind
    actor_name: str
    actor_email: str
    assurance: Assurance
    represented: Principal | None = None
    grant_id: str = ""
    grant_sha256: bytes = b""
    session: str = ""
    task_digest: bytes = b""
    constraints: Constraints = UNCONSTRAINED
    depth: int = 0

    def summary(self, delegator: str = "") -> str:
        """One line for a person: `claude-code for Alice Example <alice@example.org> (same-user, self-asserted)`.

        With the name of a `delegator` it is `child via orchestrator for Alice ...`.
        """
        name = f"{self.actor_name} via {delegator}" if delegator else self.actor_name
        if self.represented is None:
            return f"{name} <{self.actor_email}> ({self.assurance})"
        who = self.represented
        return f"{name} for {who.display} <{who.email}> ({self.assurance}, {who.authentication})"


def encode(claims: Claims) -> bytes:
    """DER of the extension's value."""
    who = claims.represented
    limits = claims.constraints
    return asn1.encode(
        asn1.Claims(
            version=VERSION,
            actor_kind=claims.actor_kind.value,
            actor_name=claims.actor_name,
            actor_email=claims.actor_email,
            assurance=claims.assurance.value,
            represented=None
            if who is None
            else asn1.RepresentedClaim(
                id=who.id,
                kind=who.kind.value,
                display=who.display,
                email=who.email,
                authentication=who.authentication.value,
            ),
            grant=asn1.GrantClaim(id=claims.grant_id, sha256=claims.grant_sha256)
            if claims.grant_id
            else None,
            session=claims.session or None,
            task_digest=claims.task_digest or None,
            constraints=asn1.ConstraintsClaim(
                repositories=list(limits.repositories), branches=list(limits.branches)
            )
            if limits.repositories or limits.branches
            else None,
            depth=claims.depth or None,
        )
    )


@functools.lru_cache(maxsize=KEPT)
def decode(der: bytes) -> Claims:
    """Read the extension's value strictly; `MalformedError` for anything `encode` would not write.

    Kept: the certificates of one grant say the same, one after the other.
    """
    raw = asn1.decode(asn1.Claims, der, limit=MAX_CLAIMS_BYTES)
    if raw.version != VERSION:
        raise MalformedError(f"claims of another version; this program reads version {VERSION}")
    who = raw.represented
    limits = raw.constraints
    claims = Claims(
        actor_kind=_member(PrincipalKind, raw.actor_kind),
        actor_name=raw.actor_name,
        actor_email=raw.actor_email,
        assurance=_member(Assurance, raw.assurance),
        represented=None
        if who is None
        else Principal(
            id=who.id,
            kind=_member(PrincipalKind, who.kind),
            name="",
            display=who.display,
            email=who.email,
            authentication=_member(Authentication, who.authentication),
        ),
        grant_id=raw.grant.id if raw.grant else "",
        grant_sha256=raw.grant.sha256 if raw.grant else b"",
        session=raw.session or "",
        task_digest=raw.task_digest or b"",
        constraints=Constraints(
            repositories=tuple(limits.repositories) if limits else (),
            branches=tuple(limits.branches) if limits else (),
        ),
        depth=raw.depth or 0,
    )
    if not 0 <= claims.depth <= MAX_DEPTH:
        raise MalformedError(f"a delegation depth of {claims.depth}; at most {MAX_DEPTH} is read")
    if encode(claims) != der:
        raise MalformedError("claims are not in their one canonical form")
    return claims


def _member(kind: type[E], text: str) -> E:
    try:
        return kind(text)
    except ValueError:
        raise MalformedError(f"{text!r} is not a known {kind.__name__}") from None
