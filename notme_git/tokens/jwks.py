"""An authority's public keys (RFC 7517), as a service needs them: fetched, bounded, and asked again for a new one.

A set is used for an hour. A key that is not in it makes us ask again, at most twice a minute, because an authority
rotates its keys when it wants to. Where the authority cannot be asked, no token is taken that the known keys do not
verify, and after an hour none at all.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx

from attest.errors import MalformedError, RefusedError, UnavailableError
from attest.keys import KeyAlgorithm, PublicKey
from notme_git.remote.client import parse_url
from notme_git.tokens import jws

PATH = "/.well-known/jwks.json"
TIMEOUT_S = 5.0
MAX_BYTES = 256 * 1024
MAX_KEYS = 64
LASTING = timedelta(hours=1)
AGAIN = timedelta(seconds=30)


class Jwks:
    """The keys of the authority at `issuer`, by their `kid`. For one event loop.

    `transport` is for a TLS context of one's own.
    """

    def __init__(self, issuer: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = parse_url(issuer) + PATH
        self._transport = transport
        self._keys: Mapping[str, PublicKey] = {}
        self._fetched: datetime | None = None
        self._tried: datetime | None = None
        self._lock = asyncio.Lock()

    async def key(self, kid: str, at: datetime) -> PublicKey:
        """The key of that name; `RefusedError` if there is none, `UnavailableError` if it could not be asked for."""
        if not self._fresh(at) or kid not in self._keys:
            async with self._lock:
                await self._refresh(kid, at)
        if kid not in self._keys:
            raise RefusedError("unknown key id")
        return self._keys[kid]

    def _fresh(self, at: datetime) -> bool:
        return self._fetched is not None and timedelta(0) <= at - self._fetched < LASTING

    async def _refresh(self, kid: str, at: datetime) -> None:
        fresh = self._fresh(at)
        if fresh and kid in self._keys:  # whoever held the lock has asked
            return
        if self._tried is not None and timedelta(0) <= at - self._tried < AGAIN:
            if fresh:
                return
            raise UnavailableError("the authority's keys cannot be asked for")
        self._tried = at
        self._keys = parse(await self._fetch())
        self._fetched = at

    async def _fetch(self) -> bytes:
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, transport=self._transport) as client,
                client.stream("GET", self.url, headers={"Accept": "application/json"}) as got,
            ):
                data = b""
                async for part in got.aiter_bytes():
                    data += part
                    if len(data) > MAX_BYTES:
                        raise UnavailableError(f"{self.url} answers with more than {MAX_BYTES} bytes")
                if got.status_code != 200:
                    raise UnavailableError(f"{self.url} answers {got.status_code}")
                return data
        except (httpx.HTTPError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            raise UnavailableError(f"{self.url} cannot be reached: {why}", hint="is the authority running?") from None


def parse(data: bytes) -> dict[str, PublicKey]:
    """The Ed25519 keys of a JWK set by their `kid`; `UnavailableError` for what is none. Others are left out."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    entries = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise UnavailableError("the authority's keys are no JWK set")
    return dict(filter(None, map(_entry, entries)))


def _entry(entry: Any) -> tuple[str, PublicKey] | None:
    try:
        key, kid = jws.parse_key(entry), entry.get("kid")
    except MalformedError:
        return None
    usable = key.algorithm is KeyAlgorithm.ED25519 and entry.get("use", "sig") == "sig"
    return (kid, key) if usable and isinstance(kid, str) else None
