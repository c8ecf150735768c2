"""The middleware: who gets through, what everybody else is told, and what is good once."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, MutableMapping
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import keys
from attest.errors import Error, UnavailableError
from notme_git.tokens import access, asgi, jwks, jws
from notme_git.tokens.access import Caller
from notme_git.tokens.asgi import DPoPMiddleware
from notme_git.tokens.jwks import Jwks
from notme_git.tokens.proof import ProofKey
from tests.forge import NOW

ISSUER, AUDIENCE = "https://authority.example.org", "https://rs.example.org/mcp"
ROOT = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x09")
KEY = ProofKey()
NONCE_KEY = bytes(32)


def entry(key: Ed25519PrivateKey = ROOT, kid: str = "one") -> dict[str, str]:
    return {**jws.jwk(keys.from_cryptography(key.public_key())), "kid": kid, "use": "sig", "alg": "EdDSA"}


def token(header: Mapping[str, Any] | None = None, *, without: str = "", **claims: Any) -> str:
    """A token as the authority makes one, with some of it replaced or left out."""
    now = int(NOW.timestamp())
    head = {"typ": "at+jwt", "alg": "EdDSA", "kid": "one", **(header or {})}
    body = {
        "sub": "alice", "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300, "jti": "x",
        "scope": "bridgeCert sign:git", "act": {"sub": "wimse://a/agent/claude"}, "cnf": {"jkt": KEY.thumbprint},
    }  # fmt: skip
    body.update(claims)
    body.pop(without, None)
    return jws.make(head, body, ROOT.sign)


class Service:
    """An application behind the middleware, its issuer's keys, and the time there."""

    def __init__(self, **more: Any) -> None:
        self.now, self.asked, self.callers = NOW, 0, list[Caller]()
        self.keys: Any = {"keys": [entry()]}
        self.status = 200
        found = Jwks(ISSUER, transport=httpx.MockTransport(self._jwks))
        self.app = DPoPMiddleware(
            self._app, issuer=ISSUER, audience=AUDIENCE, jwks=found, clock=lambda: self.now, **more
        )

    def _jwks(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == f"{ISSUER}/.well-known/jwks.json"
        self.asked += 1
        return httpx.Response(self.status, content=json.dumps(self.keys))

    async def _app(self, scope: MutableMapping[str, Any], _receive: Any, send: Any) -> None:
        self.callers.append(scope["user"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})

    def ask(self, *headers: tuple[str, str], method: str = "POST", path: str = "/mcp") -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
                return await client.request(method, path, headers=list(headers))

        return asyncio.run(run())

    def call(self, shown: str | None = None, *, key: ProofKey = KEY, nonce: str = "", **proof: str) -> httpx.Response:
        """A request with a token and an honest proof of `key`."""
        good = shown or token()
        made = key.prove("POST", proof.get("url", AUDIENCE), self.now, token=proof.get("over", good), nonce=nonce)
        return self.ask(("Authorization", f"DPoP {good}"), ("DPoP", made))


def test_whoever_holds_the_key_gets_through_and_is_named() -> None:
    service = Service()
    assert service.call().text == "in"
    caller = service.callers[0]
    assert (caller.subject, caller.actor) == ("alice", "wimse://a/agent/claude")
    assert (caller.scopes, caller.thumbprint) == (("bridgeCert", "sign:git"), KEY.thumbprint)


@pytest.mark.parametrize(
    ("shown", "error"),
    [
        pytest.param(token(without="cnf"), "invalid_token", id="bound to no key"),
        pytest.param(token(cnf={"jkt": ProofKey().thumbprint}), "invalid_dpop_proof", id="bound to another key"),
        pytest.param(token(cnf={"jkt": "é"}), "invalid_token", id="bound to nonsense"),
        pytest.param(token({"typ": "JWT"}), "invalid_token", id="another type"),
        pytest.param(token({"alg": "none"}), "invalid_token", id="no algorithm"),
        pytest.param(token({"alg": "HS256"}), "invalid_token", id="a symmetric algorithm"),
        pytest.param(token({"kid": "two"}), "invalid_token", id="a key that nobody knows"),
        pytest.param(token({"kid": 1}), "invalid_token", id="a key without a name"),
        pytest.param(token({"crit": ["x"]}), "invalid_token", id="an extension that must be understood"),
        pytest.param(token(iss="https://evil.example"), "invalid_token", id="another issuer"),
        pytest.param(token(aud="https://rs.example.org"), "invalid_token", id="another audience"),
        pytest.param(token(aud=["a", "b"]), "invalid_token", id="other audiences"),
        pytest.param(token(exp=int(NOW.timestamp())), "invalid_token", id="expired"),
        pytest.param(token(without="exp"), "invalid_token", id="without an end"),
        pytest.param(token(exp="never"), "invalid_token", id="an end that is no time"),
        pytest.param(token(nbf=int(NOW.timestamp()) + 61), "invalid_token", id="not valid yet"),
        pytest.param(token(without="sub"), "invalid_token", id="for nobody"),
        pytest.param(token(act="me"), "invalid_token", id="an actor that is none"),
        pytest.param(token()[:-4] + "AAAA", "invalid_token", id="another signature"),
        pytest.param("x", "invalid_token", id="no token"),
    ],
)
def test_a_token_is_refused_that_is(shown: str, error: str) -> None:
    service = Service()
    got = service.call(shown)
    assert (got.status_code, service.callers) == (401, [])
    assert got.headers["www-authenticate"].startswith(f'DPoP error="{error}"')


def test_requests_without_one_token_and_one_proof_are_told_what_is_wanted() -> None:
    good = token()
    proofs = [("DPoP", KEY.prove("POST", AUDIENCE, NOW, token=good)) for _ in range(2)]
    shown = ("Authorization", f"DPoP {good}")
    service = Service()
    assert service.ask().headers["www-authenticate"] == 'DPoP algs="ES256 EdDSA"'
    for headers in (
        [("Authorization", f"Bearer {good}")],
        [("Authorization", f"Bearer {good}"), proofs[0]],
        [shown],
        [shown, *proofs],
        [shown, shown, proofs[0]],
        [("Authorization", "DPoP"), proofs[0]],
        [shown, ("DPoP", "x" * 20_000)],
    ):
        got = service.ask(*headers)
        assert (got.status_code, got.headers["cache-control"]) == (401, "no-store")
    assert service.callers == []


def test_a_proof_is_for_one_request_and_one_token() -> None:
    service = Service()
    assert service.call(url="https://rs.example.org/other").status_code == 401
    assert service.call(over=token(jti="y")).status_code == 401
    good = token()
    made = KEY.prove("POST", AUDIENCE, NOW, token=good)
    headers = (("Authorization", f"DPoP {good}"), ("DPoP", made))
    assert [service.ask(*headers).status_code for _ in range(2)] == [200, 401]
    assert service.ask(*headers, method="GET").status_code == 401
    assert service.ask(*headers, path="/other").status_code == 401


def test_a_proof_stays_used_until_it_is_too_old() -> None:
    service, good = Service(), token()
    made = KEY.prove("POST", AUDIENCE, NOW + timedelta(seconds=60), token=good)
    statuses = []
    for seconds in (0, 60, 120, 121):
        service.now = NOW + timedelta(seconds=seconds)
        statuses.append(service.ask(("Authorization", f"DPoP {good}"), ("DPoP", made)).status_code)
    assert statuses == [200, 401, 401, 401]


def test_what_is_remembered_is_bounded_and_then_nobody_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "MAX_SEEN", 2)
    service = Service()
    assert [service.call().status_code for _ in range(3)] == [200, 200, 503]
    service.now += timedelta(seconds=121)
    assert service.call().status_code == 200


def test_with_a_nonce_key_a_proof_carries_our_nonce() -> None:
    service = Service(nonce_key=NONCE_KEY)
    first = service.call()
    assert first.headers["www-authenticate"].startswith('DPoP error="use_dpop_nonce"')
    second = service.call(nonce=first.headers["dpop-nonce"])
    assert (second.status_code, service.call(nonce=second.headers["dpop-nonce"]).status_code) == (200, 200)
    service.now += timedelta(minutes=4, seconds=59)
    assert service.call(nonce=second.headers["dpop-nonce"]).status_code == 200
    service.now += timedelta(seconds=1)
    assert 'error="invalid_token"' in service.call(nonce=second.headers["dpop-nonce"]).headers["www-authenticate"]


def test_a_token_without_the_scopes_is_answered_with_403() -> None:
    service = Service(scopes=("authorityManage",))
    got = service.call()
    assert (got.status_code, service.callers) == (403, [])
    assert 'error="insufficient_scope"' in got.headers["www-authenticate"]


def test_a_websocket_is_refused() -> None:
    sent, service = list[Any](), Service()

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(service.app({"type": "websocket"}, None, send))  # type: ignore[arg-type]  # nothing is received
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_keys_are_asked_for_once_and_again_for_a_new_one() -> None:
    service, new = Service(), Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x0a")
    assert [service.call().status_code for _ in range(3)] == [200] * 3
    assert service.asked == 1
    service.keys = {"keys": [entry(new, "two")]}
    body = {**jws.parse(token()).payload}
    rotated = jws.make({"typ": "at+jwt", "alg": "EdDSA", "kid": "two"}, body, new.sign)
    assert service.call(rotated).status_code == 401  # asked less than half a minute ago
    service.now += timedelta(seconds=30)
    assert service.call(rotated).status_code == 200
    assert (service.call().status_code, service.asked) == (401, 2)


@pytest.mark.parametrize("lie", [None, [], {"keys": {}}, {"keys": [{}] * 65}, "x" * 300_000])
def test_an_issuer_that_lies_lets_nobody_in(lie: Any) -> None:
    service = Service()
    service.keys = lie
    assert (service.call().status_code, service.callers) == (503, [])


def test_keys_are_not_used_for_ever_when_the_issuer_is_down() -> None:
    service = Service()
    assert service.call().status_code == 200
    service.status, service.now = 500, NOW + timedelta(hours=1)
    fresh = token(exp=int(service.now.timestamp()) + 300)
    assert [service.call(fresh).status_code for _ in range(2)] == [503, 503]
    service.status = 200
    service.now += timedelta(seconds=30)
    assert service.call(fresh).status_code == 200


@given(st.binary())
@settings(derandomize=True, max_examples=200, deadline=None)
def test_any_bytes_are_refused_or_a_set_of_keys(data: bytes) -> None:
    with contextlib.suppress(UnavailableError):
        jwks.parse(data)


_plain = st.none() | st.booleans() | st.integers() | st.text()
_names = st.sampled_from(["sub", "iss", "aud", "iat", "nbf", "exp", "scope", "act", "cnf"])


@given(st.dictionaries(_names, _plain | st.lists(_plain) | st.dictionaries(st.text() | st.just("jkt"), _plain)))
@settings(derandomize=True, max_examples=200, deadline=None)
def test_any_signed_claims_are_refused_or_a_caller(claims: dict[str, Any]) -> None:
    class Fixed:
        async def key(self, _kid: str, _at: datetime) -> Any:
            return keys.from_cryptography(ROOT.public_key())

    with contextlib.suppress(Error):
        asyncio.run(access.verify(token(**claims), Fixed(), issuer=ISSUER, audience=AUDIENCE, at=NOW))
