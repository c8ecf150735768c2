"""Tokens of identity providers: compact JWS (RFC 7515) with the claims of RFC 7519, read strictly.

joserfc does the signature; the rules around it are here, in upstream's order and words (`authority-protocol.md` 1.2):
form, algorithm, issuer, time, audience, then the key and the signature. A key comes from the provider's configuration
and never from the token: `jwk`, `jku`, `x5u` and `x5c` in a header are not looked at, and `crit` is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from attest.errors import RefusedError
from notme_git import strictjson

MAX_BYTES = 16 * 1024
MAX_CLAIM_BYTES = 1024
"""UTF-8; what certificates may repeat of a claim."""

LEEWAY_S = 60
"""How far another's clock may be ahead of ours. For `exp` there is none."""

MAX_SHOWN = 128
TYPES = (None, "JWT", "jwt")
ALGORITHMS = ("RS256", "ES256", "EdDSA")

JwsKey = RSAKey | ECKey | OKPKey


class TokenError(RefusedError):
    """Why a token proves nothing, in the words that follow upstream's `invalid token: `."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is well formed, and nothing more: `verify` says whether `claims` are true."""

    text: str = field(repr=False)
    algorithm: str
    kid: str | None
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def issuer(self) -> str:
        """Who it says made it."""
        return str(self.claims["iss"])


def parse(text: str) -> Token:
    """A compact JWS of at most `MAX_BYTES` whose claims have the types of RFC 7519; `TokenError`."""
    parts = text.split(".")
    if len(text) > MAX_BYTES or len(parts) != 3:
        raise TokenError("malformed JWT")
    header, claims = _json(parts[0]), _json(parts[1])
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not isinstance(kid, str | None) or not _decode(parts[2]):
        raise TokenError("malformed JWT")
    if algorithm not in ALGORITHMS:
        raise TokenError(f"unsupported alg: {shown(algorithm)}")
    if "crit" in header or header.get("typ") not in TYPES:
        raise TokenError("malformed JWT: its header asks for more than an ID token may")
    _check_types(claims)
    return Token(text, algorithm, kid, claims)


def check(token: Token, *, issuer: str, audiences: Collection[str], algorithms: Collection[str], at: datetime) -> None:
    """Everything but the signature: from whom, for whom and when; `TokenError`."""
    claims, now = token.claims, at.timestamp()
    if token.algorithm not in algorithms:
        raise TokenError(f"unsupported alg: {token.algorithm}")
    if token.issuer != issuer:
        raise TokenError(f"wrong issuer: {shown(token.issuer)}")
    if claims["exp"] <= now:
        raise TokenError("token expired")
    if max(claims.get("iat", 0), claims.get("nbf", 0)) > now + LEEWAY_S:
        raise TokenError("token issued in the future")
    named = [claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]
    if not any(each in audiences for each in named):
        raise TokenError(f"wrong audience: {shown(', '.join(named))}")


def verify(token: Token, key: JwsKey) -> Mapping[str, Any]:
    """The claims, once `key` is known to have signed them; `TokenError`. The key is one for the token's algorithm."""
    signed, _, signature = token.text.rpartition(".")
    if not jws.JWSRegistry.algorithms[token.algorithm].verify(signed.encode(), _decode(signature), key):
        raise TokenError("invalid signature")
    return token.claims


def texts(claims: Mapping[str, Any]) -> dict[str, str]:
    """The claims that are one text, number or truth value, as texts that rules can match and certificates repeat.

    What is neither, cannot be printed or is over `MAX_CLAIM_BYTES` is left out, so that it matches nothing.
    """
    found = {name: _text(value) for name, value in claims.items()}
    return {name: text for name, text in found.items() if text and name.isprintable()}


def shown(text: str) -> str:
    """What somebody sent, as an error may repeat it."""
    return "".join(each if each.isprintable() else "?" for each in text[:MAX_SHOWN])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value) if isinstance(value, str | int) else ""
    return text if text.isprintable() and len(text.encode()) <= MAX_CLAIM_BYTES else ""


def _check_types(claims: Mapping[str, Any]) -> None:
    for name in ("iss", "sub"):
        if not isinstance(claims.get(name), str) or not _text(claims[name]):
            raise TokenError(f"invalid claims: {name}")
    for name in ("exp", "iat", "nbf"):
        if name in claims or name == "exp":
            _check_number(name, claims.get(name))
    audience = claims.get("aud")
    several = isinstance(audience, list) and all(isinstance(each, str) for each in audience)
    if not audience or not (isinstance(audience, str) or several):
        raise TokenError("invalid claims: aud")
    if not isinstance(claims.get("jti", ""), str):
        raise TokenError("invalid claims: jti")


def _check_number(name: str, value: Any) -> None:
    """A NumericDate (RFC 7519 section 2) that is a time within this calendar."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 0 <= value < 2**37:
        raise TokenError(f"invalid claims: {name}")


def _json(part: str) -> dict[str, Any]:
    try:
        found = strictjson.loads(_decode(part).decode())
        json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate is no text
    except (ValueError, RecursionError):
        raise TokenError("malformed JWT") from None
    if not isinstance(found, dict):
        raise TokenError("malformed JWT")
    return found


def _decode(part: str) -> bytes:
    """base64url without padding, in its one spelling (RFC 7515 section 2)."""
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise TokenError("malformed JWT") from None
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != part:
        raise TokenError("malformed JWT")
    return data
