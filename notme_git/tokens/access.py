"""Access tokens as a service checks them (RFC 9068, RFC 9449 section 6): who calls, for whom, and with which key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from attest.errors import RefusedError
from attest.keys import PublicKey
from notme_git.tokens import jws

TYPES = ("at+jwt", "application/at+jwt")
SKEW_S = 60


class Keys(Protocol):
    """Where the issuer's keys come from."""

    async def key(self, kid: str, at: datetime) -> PublicKey:
        """The key of that name; `RefusedError`, or `UnavailableError`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `subject` is the human or account on whose behalf, `actor` who acts if that is another.

    `thumbprint` names the key that the token is bound to. With `is_authenticated` and the two after it, Starlette takes
    it for a user.
    """

    subject: str
    actor: str
    scopes: tuple[str, ...]
    thumbprint: str
    expires_at: int
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def is_authenticated(self) -> bool:
        """Always: there is no value for a caller of whom nothing is proven."""
        return True

    @property
    def identity(self) -> str:
        """Who acts."""
        return self.actor or self.subject

    @property
    def display_name(self) -> str:
        """The same."""
        return self.identity


async def verify(token: str, keys: Keys, *, issuer: str, audience: str, at: datetime) -> Caller:
    """What a token says, once it holds; `MalformedError`, `VerificationError`, `RefusedError`, `UnavailableError`."""
    found = jws.parse(token)
    kid = found.header.get("kid")
    if str(found.header.get("typ", "")).lower() not in TYPES or found.header.get("alg") != jws.EDDSA:
        raise RefusedError("no access token of ours")
    if not isinstance(kid, str):
        raise RefusedError("the token names no key")
    _check(found.payload, issuer, audience, int(at.timestamp()))
    found.verify(await keys.key(kid, at))
    return _caller(found.payload)


def _check(claims: Mapping[str, Any], issuer: str, audience: str, now: int) -> None:
    named = claims.get("aud")
    if claims.get("iss") != issuer:
        raise RefusedError("the token is of another issuer")
    if audience not in (named if isinstance(named, list) else [named]):
        raise RefusedError("the token is for another audience")
    if now >= _seconds(claims, "exp"):
        raise RefusedError("the token is expired")
    if max(_seconds(claims, name) for name in ("iat", "nbf") if name in claims or name == "iat") > now + SKEW_S:
        raise RefusedError("the token is not valid yet")


def _caller(claims: Mapping[str, Any]) -> Caller:
    confirmation, act = claims.get("cnf"), claims.get("act", {})
    thumbprint = confirmation.get("jkt") if isinstance(confirmation, dict) else None
    actor = act.get("sub", "") if isinstance(act, dict) else None
    subject, scope = claims.get("sub"), claims.get("scope", "")
    if not isinstance(thumbprint, str) or not thumbprint.isascii():
        raise RefusedError("the token is bound to no key")
    if not isinstance(subject, str) or not isinstance(actor, str) or not isinstance(scope, str):
        raise RefusedError("the token does not say who calls")
    return Caller(subject, actor, tuple(scope.split()), thumbprint, _seconds(claims, "exp"), claims)


def _seconds(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RefusedError(f"the token's {name} is no time")
    return value
