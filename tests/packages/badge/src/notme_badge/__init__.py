"""A proof that another package brings: `NAME.HEX`, the HMAC-SHA256 of the name and of what is asked with it.

The secret stands in the file that BADGE_SECRET_FILE names. What the badge covers changes with every request, so it is
good for one request, and the server's nonce sees to it that it is used once.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from attest.errors import RefusedError
from attest.types import Authentication, PrincipalKind
from notme_git.authority.identity import Identity
from notme_git.authority.proofs.table import ProofContext

ISSUER = "https://badges.example"


def prove(token: str, context: ProofContext) -> Identity:
    """Whoever the badge names."""
    name, _, mac = token.partition(".")
    if not context.nonce or not hmac.compare_digest(badge(name, context.nonce, context.preimage), token):
        raise RefusedError("that badge is not for this request")
    return Identity(
        method="badge",
        kind=PrincipalKind.WORKLOAD,
        authentication=Authentication.SELF_ASSERTED,
        issuer=ISSUER,
        subject=name,
        claims={"door": mac[:1]},
        names=("holders", name),
    )


def badge(name: str, nonce: str, preimage: bytes) -> str:
    """What the holder of the secret shows."""
    secret = Path(os.environ["BADGE_SECRET_FILE"]).read_bytes()
    message = f"{name}\0{nonce}\0".encode() + hashlib.sha256(preimage).digest()
    return f"{name}.{hmac.new(secret, message, 'sha256').hexdigest()}"
