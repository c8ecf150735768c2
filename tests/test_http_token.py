"""`POST /token` over a real server: its order of checks, what a token says, and what is good once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attest import certificate
from notme_git.authority import accounts
from notme_git.authority.settings import Limits, Rate, Settings
from notme_git.tokens import jws
from notme_git.tokens.proof import ProofKey
from tests.served import Answer, Served, served
from tests.world import World

AUDIENCE = "https://mcp.example.org"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path), Settings(audiences=(AUDIENCE, "https://notme.bot"))) as running:
        yield running


def ask(
    server: Served, cookie: str = "", proof: str | None = None, body: Any = None, *, key: ProofKey | None = None
) -> Answer:
    """One request; a proof is made by `key` with the server's nonce unless it is given."""
    if proof is None:
        proof = (key or ProofKey()).prove("POST", server.url + "/token", server.world.now, nonce=fresh(server))
    headers = {"DPoP": proof} if proof else {}
    if cookie:
        headers["Cookie"] = f"notme_session={cookie}"
    return server.request("POST", "/token", {"audience": AUDIENCE} if body is None else body, headers)


def fresh(server: Served) -> str:
    """The nonce that comes with the refusal of a proof without one."""
    proof = ProofKey().prove("POST", server.url + "/token", server.world.now)
    cookie = server.cookie(server.account())
    got = ask(server, cookie, proof)
    assert (got.status, got.json["error"]) == (400, "use_dpop_nonce")
    assert got.headers["access-control-expose-headers"] == "DPoP-Nonce"
    return got.headers["dpop-nonce"]


def told(got: Answer) -> tuple[int, Any]:
    return got.status, got.json


def test_a_session_gets_a_token_that_is_bound_to_the_proofs_key(server: Served) -> None:
    account, key = server.account(*accounts.ADMIN), ProofKey()
    got = ask(server, server.cookie(account), key=key)
    assert (got.status, got.json["token_type"], got.json["expires_in"]) == (200, "DPoP", 300)
    assert "dpop-nonce" in got.headers
    assert got.headers["cache-control"] == "no-store"
    token, now = jws.parse(got.json["access_token"]), int(server.world.now.timestamp())
    root = server.world.trust().anchors[0]
    token.verify(root.key)
    assert token.header == {"typ": "at+jwt", "alg": "EdDSA", "kid": certificate.key_of(root.certificate).key_id}
    told = {name: value for name, value in token.payload.items() if name != "jti"}
    assert told == {
        "sub": account.id,
        "iss": server.url,
        "aud": AUDIENCE,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "scope": "bridgeCert",
        "cnf": {"jkt": key.thumbprint},
    }


def test_scopes_that_administer_are_in_a_token_only_when_asked_for(server: Served) -> None:
    cookie = server.cookie(server.account(*accounts.ADMIN))
    got = ask(server, cookie, body={"audience": AUDIENCE, "scopes": ["authorityManage", "sign:git"]})
    assert jws.parse(got.json["access_token"]).payload["scope"] == "authorityManage"
    got = ask(server, cookie, body={"audience": AUDIENCE, "scopes": ["sign:git"]})
    assert (got.status, got.json["error"]) == (403, "none of the requested scopes are granted")


def test_the_checks_come_in_upstreams_order(server: Served) -> None:
    cookie = server.cookie(server.account())
    assert told(ask(server, proof="", body={})) == (400, {"error": "dpop_proof_required"})
    assert told(ask(server, proof="x", body={})) == (400, {"error": "audience_required"})
    refused = ask(server, proof="x", body={"audience": "https://evil.example"})
    assert (refused.status, refused.json["error"]) == (400, "invalid_audience")
    assert refused.json["allowed"] == [AUDIENCE, "https://notme.bot"]
    for bad in ("", "nonsense"):
        assert told(ask(server, bad, proof="x")) == (401, {"error": "session_required"})
    assert (got := ask(server, cookie, proof="x")).json["error"] == "invalid_dpop_proof"
    assert got.status == 401


def test_a_proof_is_taken_once_at_any_concurrency_and_its_nonce_again(server: Served) -> None:
    cookie, key, nonce = server.cookie(server.account()), ProofKey(), fresh(server)
    proof = key.prove("POST", server.url + "/token", server.world.now, nonce=nonce)
    got: list[Answer] = []
    threads = [threading.Thread(target=lambda: got.append(ask(server, cookie, proof))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.status for each in got) == [200, 401, 401, 401, 401, 401]
    assert {each.json["error"] for each in got if each.status == 401} == {"proof_reused"}
    again = key.prove("POST", server.url + "/token", server.world.now, nonce=nonce)
    assert ask(server, cookie, again).status == 200


def test_a_nonce_ends_and_is_not_the_one_of_certificates(server: Served) -> None:
    cookie, old = server.cookie(server.account()), fresh(server)
    server.world.tick(minutes=5)
    for nonce in (old, server.nonce()):
        proof = ProofKey().prove("POST", server.url + "/token", server.world.now, nonce=nonce)
        assert ask(server, cookie, proof).json["error"] == "use_dpop_nonce"


def test_an_ed25519_proof_is_not_taken_here(server: Served) -> None:
    from tests.test_tokens_proof import ED, made

    claims = {"htm": "POST", "htu": server.url + "/token", "iat": int(server.world.now.timestamp())}
    cookie = server.cookie(server.account())
    assert ask(server, cookie, made({"alg": "EdDSA"}, claims, key=ED)).json["error"] == "invalid_dpop_proof"


def test_without_the_nonce_mode_a_proof_needs_none(tmp_path: Path) -> None:
    with served(World(tmp_path), Settings(dpop_nonce=False)) as server:
        proof = ProofKey().prove("POST", server.url + "/token", server.world.now)
        got = ask(server, server.cookie(server.account()), proof, {"audience": server.url})
        assert got.status == 200
        assert "dpop-nonce" not in got.headers


def test_more_than_the_rate_is_refused_with_429(tmp_path: Path) -> None:
    with served(World(tmp_path), Settings(limits=Limits(token=Rate(2, 60)))) as server:
        cookie, body = server.cookie(server.account()), {"audience": server.url}
        assert [ask(server, cookie, "x", body).status for _ in range(3)] == [401, 401, 429]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a text", "x"),
        ("an unknown field", {"audience": AUDIENCE, "extra": 1}),
        ("a number for an audience", {"audience": 7}),
        ("a text for scopes", {"audience": AUDIENCE, "scopes": "authorityManage"}),
        ("another kind of proof", {"audience": AUDIENCE, "proof": {"type": "bootstrap", "code": "x"}}),
    ],
)
def test_a_bad_body_is_refused_with_400(server: Served, name: str, body: Any) -> None:
    assert ask(server, proof="x", body=body).status == 400, name
