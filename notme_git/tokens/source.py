"""Where a program gets its access tokens: `POST /token` of an authority, with a DPoP key that stays in memory.

Tokens are kept until shortly before they end, and fetched again then. What the authority's nonces want (RFC 9449
section 8) is done here. Every answer is bounded in bytes and time; nothing is followed elsewhere.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from cryptography.hazmat.primitives.serialization import Encoding

from attest.errors import MalformedError, RefusedError, UnavailableError
from notme_git.authority.proofs import bridge
from notme_git.enroll.tls import TlsIdentity
from notme_git.remote.client import parse_url
from notme_git.tokens import jws
from notme_git.tokens.proof import ProofKey, preimage

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024
EARLY = timedelta(seconds=30)
MAX_LIFETIME_S = 3600
MAX_TEXT = 200

Body = Mapping[str, Any]
Login = Callable[["Source", str, str, datetime], tuple[Mapping[str, str], Body]]
"""Who asks: from a source, an audience, a DPoP proof and the time to the headers and fields that show it."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token and when it ends."""

    value: str = field(repr=False)
    expires_at: datetime


def by_session(value: str) -> Login:
    """With the cookie of whoever signed in (`notme-git login`)."""
    return lambda _source, _audience, _proof, _at: ({"Cookie": f"notme_session={value}"}, {})


def by_certificate(enroll: Callable[[datetime], TlsIdentity]) -> Login:
    """With a bridge certificate, which `enroll` gives: an agent, or a workload, without a human's session.

    It is used until shortly before it ends.
    """
    kept: list[TlsIdentity] = []

    def show(source: Source, audience: str, dpop_proof: str, at: datetime) -> tuple[Mapping[str, str], Body]:
        if not kept or not kept[0].not_before <= at < kept[0].not_after - EARLY:
            kept[:] = [enroll(at)]
        held, nonce = kept[0], str(source.get("/nonce").get("nonce", ""))
        proof = {
            "type": bridge.METHOD,
            "certificate": held.certificate.public_bytes(Encoding.PEM).decode(),
            "signature": jws.b64(held.sign(bridge.message(nonce, preimage(audience, dpop_proof)))),
        }
        return {}, {"nonce": nonce, "proof": proof}

    return show


@dataclass(slots=True)
class Source:
    """Tokens of the authority at `url`, for any audience that it allows. For several threads.

    `transport` is for a TLS context of one's own.
    """

    url: str
    login: Login = field(repr=False)
    scopes: tuple[str, ...] = ()
    key: ProofKey = field(default_factory=ProofKey, repr=False)
    transport: httpx.BaseTransport | None = field(default=None, repr=False)
    _kept: dict[str, AccessToken] = field(default_factory=dict, repr=False)
    _nonce: str = field(default="", repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self.url = parse_url(self.url)

    def token(self, audience: str, at: datetime) -> AccessToken:
        """One that is good at `at`; `RefusedError` or `UnavailableError`."""
        with self._lock:
            kept = self._kept.get(audience)
            if kept is None or not kept.expires_at - at > EARLY:
                kept = self._kept[audience] = self._fetch(audience, at)
            return kept

    def get(self, path: str) -> Body:
        """A JSON object from the authority."""
        return _object(*self._send("GET", path, {}, None))

    def _fetch(self, audience: str, at: datetime) -> AccessToken:
        """Once more with the nonce that the authority asks for."""
        status, data = self._ask(audience, at)
        if data.get("error") == "use_dpop_nonce":
            status, data = self._ask(audience, at)
        data = _object(status, data)
        value, lifetime = data.get("access_token"), data.get("expires_in")
        if not isinstance(value, str) or data.get("token_type") != "DPoP" or not isinstance(lifetime, int):
            raise MalformedError("the authority's answer holds no token that is bound to our key")
        return AccessToken(value, at + timedelta(seconds=min(max(lifetime, 0), MAX_LIFETIME_S)))

    def _ask(self, audience: str, at: datetime) -> tuple[int, Body]:
        proof = self.key.prove("POST", f"{self.url}/token", at, nonce=self._nonce)
        headers, fields = self.login(self, audience, proof, at)
        wanted = {"scopes": list(self.scopes)} if self.scopes else {}
        return self._send("POST", "/token", {**headers, "DPoP": proof}, {"audience": audience, **wanted, **fields})

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: Body | None) -> tuple[int, Body]:
        try:
            with (
                httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, transport=self.transport) as client,
                client.stream(method, self.url + path, headers=headers, json=body) as got,
            ):
                self._nonce = got.headers.get("dpop-nonce", self._nonce)
                data, deadline = b"", time.monotonic() + TIMEOUT_S
                for part in got.iter_bytes():
                    data += part
                    if time.monotonic() > deadline:
                        raise httpx.ReadTimeout(f"no whole answer within {TIMEOUT_S:g} s")
                    if len(data) > MAX_ANSWER_BYTES:
                        raise MalformedError(f"the authority's answer is larger than {MAX_ANSWER_BYTES} bytes")
                return got.status_code, _parse(data)
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            message = f"the authority {self.url} cannot be reached: {why}"
            raise UnavailableError(message, hint="is it running?") from None


def _object(status: int, data: Body) -> Body:
    if status != 200:
        text = "".join(c if c.isprintable() else "?" for c in str(data.get("error", "no reason given"))[:MAX_TEXT])
        hint = "sign in again: notme-git login" if status == 401 else ""
        raise RefusedError(f"the authority refused ({status}): {text}", hint=hint)
    return data


def _parse(data: bytes) -> Body:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise MalformedError("the authority's answer is no JSON object")
    return found
