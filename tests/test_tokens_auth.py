"""Programs that call a service: tokens from a real authority, kept, fetched again, and shown to one origin alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from cryptography import x509

from attest.errors import MalformedError, RefusedError, UnavailableError, UsageError
from notme_git.authority.settings import Settings
from notme_git.enroll.tls import TlsIdentity
from notme_git.remote import enrolment
from notme_git.tokens import auth, auth2, jws, source
from notme_git.tokens.asgi import DPoPMiddleware
from notme_git.tokens.source import Source, by_certificate, by_session
from tests.forge import NOW
from tests.served import Keys, Served, served
from tests.test_http_token import granted
from tests.world import World

AUDIENCE = "https://rs.example.org/mcp"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path), Settings(audiences=(AUDIENCE,))) as running:
        yield running


def signed_in(server: Served, **more: Any) -> Source:
    return Source(server.url, by_session(server.cookie(server.account())), **more)


def test_a_token_is_kept_until_shortly_before_it_ends(server: Served) -> None:
    tokens, at = signed_in(server), server.world.now
    first = tokens.token(AUDIENCE, at)
    assert first.expires_at == at + timedelta(minutes=5)
    assert tokens.token(AUDIENCE, server.world.tick(minutes=4, seconds=29)) == first
    assert tokens.token(AUDIENCE, server.world.tick(seconds=1)) != first


def test_what_the_authority_says_is_passed_on(server: Served) -> None:
    with pytest.raises(RefusedError, match=r"\(400\): invalid_audience"):
        signed_in(server).token("https://other.example.org", server.world.now)
    with pytest.raises(RefusedError, match=r"\(401\): session_required"):
        Source(server.url, by_session("x")).token(AUDIENCE, server.world.now)


def test_an_agents_certificate_serves_several_tokens_until_shortly_before_it_ends(server: Served) -> None:
    account, enrolled = server.account(), list[TlsIdentity]()
    granted(server, account, "claude-code")

    def enroll(_at: datetime) -> TlsIdentity:
        keys = Keys()
        got = server.cert({"type": "session"}, keys=keys, cookie=server.cookie(account), agent="claude-code").json
        made = x509.load_pem_x509_certificate(got["certificates"]["mtls"].encode())
        ends = made.not_valid_before_utc, made.not_valid_after_utc
        enrolled.append(TlsIdentity(got["identity"], *ends, made, enrolment.Keys(keys.mtls, keys.signing)))
        return enrolled[-1]

    tokens = Source(server.url, by_certificate(enroll))
    claims = jws.parse(tokens.token(AUDIENCE, server.world.now).value).payload
    assert claims["act"] == {"sub": enrolled[0].uri}
    assert len(enrolled) == 1  # for both requests, the one without the authority's nonce and the one with it
    tokens.token(AUDIENCE, server.world.tick(minutes=4, seconds=31))
    assert len(enrolled) == 2


def test_an_authority_that_is_not_there_is_unavailable(server: Served) -> None:
    with pytest.raises(UnavailableError, match="cannot be reached"):
        Source("http://127.0.0.1:9", by_session("x")).token(AUDIENCE, server.world.now)
    with pytest.raises(UsageError, match="without TLS"):
        Source("http://authority.example.org", by_session("x"))


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"access_token": "x", "token_type": "Bearer", "expires_in": 300}),
        httpx.Response(200, json={"access_token": 7, "token_type": "DPoP", "expires_in": 300}),
        httpx.Response(200, json={"access_token": "x", "token_type": "DPoP", "expires_in": "soon"}),
        httpx.Response(200, json=[]),
        httpx.Response(200, content=b"x" * (source.MAX_ANSWER_BYTES + 1)),
    ],
)
def test_an_authority_that_lies_gives_no_token(answer: httpx.Response) -> None:
    lying = httpx.MockTransport(lambda _request: answer)
    with pytest.raises(MalformedError):
        Source("https://authority.example.org", by_session("x"), transport=lying).token(AUDIENCE, NOW)


def test_an_answer_that_does_not_end_in_time_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "TIMEOUT_S", -1.0)
    slow = httpx.MockTransport(lambda _request: httpx.Response(200, content=iter([b"{", b"}"])))
    with pytest.raises(UnavailableError, match="no whole answer"):
        Source("https://authority.example.org", by_session("x"), transport=slow).token(AUDIENCE, NOW)


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_service_behind_the_middleware_lets_the_program_in(server: Served, library: Any) -> None:
    """Both libraries, with the service's nonces, over the authority's own keys."""
    DPoPAuth = auth.DPoPAuth if library is httpx else auth2.DPoPAuth
    asked = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        asked.append(scope["user"].subject)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})

    async def run() -> list[int]:
        guarded = DPoPMiddleware(
            app, issuer=server.url, audience=AUDIENCE, nonce_key=bytes(32), clock=lambda: server.world.now
        )
        shown = DPoPAuth(signed_in(server), AUDIENCE, clock=lambda: server.world.now)
        async with library.AsyncClient(transport=library.ASGITransport(guarded), auth=shown) as client:
            return [(await client.post(AUDIENCE + "?x=1", json={})).status_code for _ in range(3)]

    assert asyncio.run(run()) == [200, 200, 200]
    assert len(asked) == 3


def test_a_synchronous_client_sends_again_with_the_nonce_and_once_only(server: Served) -> None:
    seen: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(
            401, headers={"WWW-Authenticate": 'DPoP error="use_dpop_nonce"', "DPoP-Nonce": f"n{len(seen)}"}
        )

    shown = auth.DPoPAuth(signed_in(server), AUDIENCE, clock=lambda: server.world.now)
    with httpx.Client(transport=httpx.MockTransport(refuse), auth=shown) as client:
        assert client.get(AUDIENCE).status_code == 401
    assert len(seen) == 2


def test_a_token_is_shown_to_its_own_origin_alone(server: Served) -> None:
    shown = auth.DPoPAuth(signed_in(server), AUDIENCE, clock=lambda: server.world.now)
    transport = httpx.MockTransport(lambda _request: httpx.Response(200))
    with httpx.Client(transport=transport, auth=shown) as client:
        for url in ("http://rs.example.org/mcp", "https://evil.example/mcp", "https://rs.example.org:444/"):
            with pytest.raises(UsageError, match="is not for"):
                client.get(url)
        assert client.get("https://rs.example.org/other").status_code == 200
