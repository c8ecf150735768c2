"""What an authenticated request is, whichever of the httpx libraries sends it (RFC 9449 sections 7 and 9).

Every request carries the access token and a proof made for it alone. The service's nonces are remembered, and a request
that was refused for want of one is sent once more. The token goes to one origin and no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from datetime import UTC, datetime
from typing import Any

from attest.errors import UsageError
from notme_git.tokens import proof
from notme_git.tokens.source import AccessToken, Source

MAX_NONCE = 512
REFUSED = 401


class Flow:
    """For one `audience`, which is the service's URL; where it is not, `origin` says whom the token may be shown to."""

    def __init__(
        self, source: Source, audience: str, *, origin: str = "", clock: Callable[[], datetime] | None = None
    ) -> None:
        self.source = source
        self.audience = audience
        self.origin = proof.origin(origin or audience)
        self._clock = clock or _now
        self._nonce = ""

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """See `httpx.Auth`."""
        self._check(request)
        token = self.source.token(self.audience, self._clock())
        response = yield self._signed(request, token)
        if self._wants_again(response):
            self._learn((yield self._signed(request, token)))

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """See `httpx.Auth`. The authority is asked in a thread."""
        self._check(request)
        token = await asyncio.to_thread(self.source.token, self.audience, self._clock())
        response = yield self._signed(request, token)
        if self._wants_again(response):
            self._learn((yield self._signed(request, token)))

    def _check(self, request: Any) -> None:
        if (there := proof.origin(str(request.url))) != self.origin:
            raise UsageError(
                f"a token for {self.origin} is not for {there}", hint="use one client with DPoPAuth for each service"
            )

    def _signed(self, request: Any, token: AccessToken) -> Any:
        made = self.source.key.prove(
            request.method, str(request.url), self._clock(), token=token.value, nonce=self._nonce
        )
        request.headers["Authorization"] = f"DPoP {token.value}"
        request.headers["DPoP"] = made
        return request

    def _wants_again(self, response: Any) -> bool:
        self._learn(response)
        return response.status_code == REFUSED and "use_dpop_nonce" in response.headers.get("www-authenticate", "")

    def _learn(self, response: Any) -> None:
        nonce = response.headers.get("dpop-nonce", "")
        if 0 < len(nonce) <= MAX_NONCE:
            self._nonce = nonce


def _now() -> datetime:
    return datetime.now(UTC)
