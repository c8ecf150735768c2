"""Nonces that this authority hands out and takes back once (RFC 9449 section 8 has the same idea for DPoP).

A nonce is its time, random bytes, and an HMAC over both: handing one out costs no write, so nobody fills the database
with nonces. It is written down when it is used, in the transaction that records what it was used for.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from datetime import datetime

from attest.errors import RefusedError

LIFETIME_S = 300
FUTURE_S = 5
MAX_LENGTH = 128


def make(key: bytes, at: datetime) -> str:
    """A new nonce, good for `LIFETIME_S` seconds: `TIME.RANDOM.HMAC`, all of it URL-safe."""
    body = f"{int(at.timestamp())}.{secrets.token_urlsafe(12)}"
    return f"{body}.{_mac(key, body)}"


def verify(key: bytes, nonce: str, at: datetime) -> int:
    """When the nonce ends (unix seconds), if it was made with `key` and is not over; else `RefusedError`."""
    body, dot, mac = nonce.rpartition(".")
    if not dot or len(nonce) > MAX_LENGTH or not nonce.isascii() or not hmac.compare_digest(_mac(key, body), mac):
        raise RefusedError("unknown nonce", hint="GET /nonce for a fresh one")
    began = int(body.partition(".")[0])
    if not -FUTURE_S <= at.timestamp() - began < LIFETIME_S:
        raise RefusedError("the nonce is too old", hint="GET /nonce for a fresh one")
    return began + LIFETIME_S


def _mac(key: bytes, body: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, body.encode(), "sha256")).decode().rstrip("=")
