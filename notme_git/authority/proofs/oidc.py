"""Any OpenID provider of the settings: who a checked ID token speaks of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from attest.fulcio import Ci
from attest.types import Authentication, PrincipalKind
from notme_git.authority.identity import Identity
from notme_git.authority.proofs import jwt
from notme_git.authority.proofs.configured import Issuer
from notme_git.authority.proofs.jwt import TokenError


def method(issuer: str) -> str:
    """Upstream's word for a token of that issuer; the name of the provider of a connection, too."""
    return f"oidc:{issuer}"


def identify(claims: Mapping[str, Any], provider: Issuer) -> Identity:
    """The subject of a token, as it is."""
    names = ("oidc", place(provider.issuer), claims["sub"])
    return workload(claims, jwt.texts(claims), method(provider.issuer), names, reuse=provider.reuse)


def place(issuer: str) -> str:
    """An issuer without its scheme, as a segment of a URI."""
    parts = urlsplit(issuer)
    return f"{parts.netloc}{parts.path}".rstrip("/")


def require(claims: Mapping[str, Any], names: Iterable[str]) -> None:
    """`TokenError` unless the claims are there: texts that can be repeated, or numbers."""
    facts = jwt.texts(claims)
    missing = [name for name in names if name not in facts]
    if missing:
        raise TokenError(f"invalid claims: {', '.join(missing)}")


def workload(
    claims: Mapping[str, Any],
    facts: Mapping[str, str],
    how: str,
    names: tuple[str, ...],
    *,
    reuse: bool = False,
    ci: Ci = (),
) -> Identity:
    """The identity of a program. Without a jti the claims themselves are what is good once."""
    said = claims.get("jti") or hashlib.sha256(json.dumps(claims, sort_keys=True).encode()).hexdigest()
    return Identity(
        method=how,
        kind=PrincipalKind.WORKLOAD,
        authentication=Authentication.OIDC,
        issuer=claims["iss"],
        subject=claims["sub"],
        claims=facts,
        once="" if reuse else f"{claims['iss']} {said}",
        expires=datetime.fromtimestamp(claims["exp"], UTC),
        names=names,
        ci=ci,
    )
