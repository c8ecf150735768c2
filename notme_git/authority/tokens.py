"""Access tokens: JWS by the authority's root key (RFC 7515, RFC 9068), bound to a DPoP key where there is one.

What the root key signs is told apart by its first bytes: a certificate begins with 0x30, a bundle with its domain, and
a token with the base64url of a JSON header.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from attest import certificate
from attest.types import Epoch
from notme_git.authority import ca
from notme_git.authority.embedded import Authority
from notme_git.tokens import jws

LIFETIME_S = 300
TYPE = "at+jwt"


def access_token(
    authority: Authority,
    epoch: Epoch,
    *,
    issuer: str,
    subject: str,
    audience: str,
    scopes: tuple[str, ...],
    thumbprint: str = "",
    actor: str = "",
    at: datetime,
) -> str:
    """A compact JWS for `audience`, five minutes long.

    `thumbprint` (RFC 7638) binds it to a key (RFC 9449 section 6). `actor` is who acts where that is not `subject`,
    an agent on a human's behalf (RFC 8693 section 4.1).
    """
    began = int(at.timestamp())
    payload: dict[str, Any] = {
        "sub": subject,
        "iss": issuer,
        "aud": audience,
        "iat": began,
        "nbf": began,
        "exp": began + LIFETIME_S,
        "jti": str(uuid.uuid4()),
        "scope": " ".join(scopes),
    }
    if thumbprint:
        payload["cnf"] = {"jkt": thumbprint}
    if actor:
        payload["act"] = {"sub": actor}
    header = {"typ": TYPE, "alg": jws.EDDSA, "kid": certificate.key_of(certificate.read(epoch.root)).key_id}
    return jws.make(header, payload, lambda signed: ca.sign_token(authority.keys, epoch, signed))
