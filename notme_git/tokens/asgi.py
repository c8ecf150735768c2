"""`DPoPMiddleware`: lets those through who hold the key that their access token is bound to (RFC 9449 section 7).

For every request, in this order; what fails is answered with 401 and `WWW-Authenticate` (RFC 6750 section 3):

 1. one `Authorization: DPoP TOKEN` and one `DPoP` header; a token shown as a bearer token is refused
 2. the token: type `at+jwt`, EdDSA by a key of the issuer, `iss`, `aud`, `exp`, `nbf`, a key that it is bound to
 3. the proof, made now for this method and URL and over this token (`proof`), by that key
 4. a nonce of ours in it, where `nonce_key` is given (section 9)
 5. the proof is used once
 6. the token holds all of `scopes`, else 403

What was proven is in `scope["user"]` and `scope["auth"]`, where Starlette has them. WebSockets are refused.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from attest.errors import Error, RefusedError, UnavailableError
from notme_git.authority import nonces
from notme_git.tokens import access, proof
from notme_git.tokens.access import Caller, Keys
from notme_git.tokens.jwks import Jwks
from notme_git.tokens.jws import EDDSA, ES256
from notme_git.tokens.proof import Proof

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ALGORITHMS = (ES256, EDDSA)
MAX_HEADER = 16 * 1024
MAX_SEEN = 100_000
"""Proofs within two minutes; some 15 MB. Beyond it requests are refused until older ones are over."""


class Once(Protocol):
    """Which proofs were used; processes that answer for one service share one."""

    def take(self, value: str, expires: int, now: int) -> None:
        """Use `value` up until `expires` (unix seconds); `RefusedError` if it was, `UnavailableError` if unknown."""


@dataclass(slots=True)
class Seen:
    """`Once` in the memory of one process."""

    _found: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def take(self, value: str, expires: int, now: int) -> None:
        """See `Once`. Values are forgotten in the order they came, when they would be refused for their age."""
        while self._found and next(iter(self._found.values())) < now:
            self._found.popitem(last=False)
        if value in self._found:
            raise RefusedError("the proof was used before")
        if len(self._found) >= MAX_SEEN:
            raise UnavailableError("too many requests to remember")
        self._found[value] = max(expires, now + 2 * proof.SKEW_S)


class Challenge(Exception):
    """An answer instead of the application's."""

    def __init__(self, status: int, error: str = "", description: str = "", nonce: str = "") -> None:
        super().__init__(error)
        self.status = status
        told = {"error": error, "error_description": description, "algs": " ".join(ALGORITHMS)}
        words = ", ".join(f'{name}="{_quoted(text)}"' for name, text in told.items() if text)
        self.headers = [(b"www-authenticate", f"DPoP {words}".encode())] if status in (401, 403) else []
        self.headers += [(b"dpop-nonce", nonce.encode())] if nonce else []

    async def send(self, send: Send) -> None:
        """As an ASGI answer without a body."""
        headers = [*self.headers, (b"cache-control", b"no-store"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


class DPoPMiddleware:
    """Around an ASGI application. `audience` is what tokens must be for: the service's URL.

    `origin` is what clients put before the path in the proofs' URL; by default the audience's. `jwks` and `once` are
    for other sources of the same. With a `nonce_key`, a secret that all processes share, proofs carry a nonce of ours.
    """

    def __init__(
        self,
        app: App,
        *,
        issuer: str,
        audience: str,
        scopes: tuple[str, ...] = (),
        origin: str = "",
        jwks: Keys | None = None,
        once: Once | None = None,
        nonce_key: bytes = b"",
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.app = app
        self.issuer = issuer
        self.audience = audience
        self.scopes = scopes
        self.origin = origin or proof.origin(audience)
        self.keys = jwks or Jwks(issuer)
        self.once = once or Seen()
        self.nonce_key = nonce_key
        self._clock = clock or _now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        at = self._clock()
        try:
            caller = await self._caller(scope, at)
        except Challenge as challenge:
            return await challenge.send(send)
        except UnavailableError:
            return await Challenge(503).send(send)
        scope = {**scope, "user": caller, "auth": caller}
        return await self.app(scope, receive, self._with_nonce(send, at))

    async def _caller(self, scope: Scope, at: datetime) -> Caller:
        token = _token(_header(scope, b"authorization"))
        caller = await self._verified(token, at)
        try:
            found = self._proof(scope, token, caller, at)
        except UnavailableError:
            raise
        except Error as error:
            raise Challenge(401, "invalid_dpop_proof", error.message) from None
        self._check_nonce(found, at)
        try:
            self.once.take(f"{found.thumbprint}.{found.jti}", found.expires, int(at.timestamp()))
        except RefusedError as refused:
            raise Challenge(401, "invalid_dpop_proof", refused.message) from None
        if missing := [each for each in self.scopes if each not in caller.scopes]:
            raise Challenge(403, "insufficient_scope", f"the token lacks {' '.join(missing)}")
        return caller

    async def _verified(self, token: str, at: datetime) -> Caller:
        try:
            return await access.verify(token, self.keys, issuer=self.issuer, audience=self.audience, at=at)
        except UnavailableError:
            raise
        except Error as error:
            raise Challenge(401, "invalid_token", error.message) from None

    def _proof(self, scope: Scope, token: str, caller: Caller, at: datetime) -> Proof:
        path = scope.get("raw_path") or scope["path"].encode()
        url, given = self.origin + path.decode("latin-1"), _header(scope, b"dpop")
        found = proof.verify_proof(
            given, method=scope["method"], url=url, at=at, token=token, algorithms=ALGORITHMS
        )
        if not hmac.compare_digest(found.thumbprint, caller.thumbprint):
            raise RefusedError("the token is bound to another key")
        return found

    def _check_nonce(self, found: Proof, at: datetime) -> None:
        if not self.nonce_key:
            return
        try:
            nonces.verify(self.nonce_key, found.nonce, at)
        except RefusedError:
            fresh = nonces.make(self.nonce_key, at)
            raise Challenge(401, "use_dpop_nonce", "make the proof with the nonce in DPoP-Nonce", fresh) from None

    def _with_nonce(self, send: Send, at: datetime) -> Send:
        """A fresh nonce with every answer, so that none is sent twice for want of one."""
        if not self.nonce_key:
            return send

        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                fresh = (b"dpop-nonce", nonces.make(self.nonce_key, at).encode())
                message = {**message, "headers": [*message.get("headers", ()), fresh]}
            await send(message)

        return sending


def _header(scope: Mapping[str, Any], name: bytes) -> str:
    """The one header of that name; a challenge for none or several."""
    found = [value for each, value in scope["headers"] if each.lower() == name]
    if name == b"authorization" and not found:
        raise Challenge(401)
    if len(found) != 1 or len(found[0]) > MAX_HEADER:
        raise Challenge(401, "invalid_request" if name == b"authorization" else "invalid_dpop_proof", "one is needed")
    return str(found[0].decode("latin-1"))


def _token(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "dpop" or not token:
        raise Challenge(401, "invalid_token", "show the token with the scheme DPoP and a proof")
    return token.strip()


def _quoted(text: str) -> str:
    """What may stand in a quoted-string; the rest becomes a question mark."""
    return "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "?" for c in text)


def _now() -> datetime:
    return datetime.now(UTC)
