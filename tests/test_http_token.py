"""`POST /token` over a real server: its order of checks, what a token says, and what is good once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from attest import certificate
from attest.types import Grant
from notme_git.authority import accounts, grants
from notme_git.authority.accounts import Account
from notme_git.authority.http.desk import Desk
from notme_git.authority.proofs import bridge
from notme_git.authority.settings import Limits, Rate, Settings
from notme_git.enroll.keys import proof as signature
from notme_git.tokens import jws
from notme_git.tokens.proof import ProofKey, preimage
from tests.served import Answer, Keys, Served, served
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
    made, now = jws.parse(got.json["access_token"]), int(server.world.now.timestamp())
    root = server.world.trust().anchors[0]
    made.verify(root.key)
    assert made.header == {"typ": "at+jwt", "alg": "EdDSA", "kid": certificate.key_of(root.certificate).key_id}
    told = {name: value for name, value in made.payload.items() if name != "jti"}
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


def granted(server: Served, account: Account, agent: str) -> Grant:
    """A grant of an account to its agent."""

    def make(desk: Desk) -> Grant:
        new = grants.new_grant(
            desk.authority.id,
            agent,
            account.principal,
            email=None,
            scopes=("sign:git",),
            expires=timedelta(days=1),
            repositories=(),
            branches=(),
            at=server.world.now,
            grant_id=str(uuid.uuid4()),
        )
        desk.authority.store.add_grant(new)
        return new

    return server.within(make)  # type: ignore[no-any-return]


def bridged(server: Served, account: Account, keys: Keys, **asked: Any) -> tuple[Answer, ProofKey]:
    """A token for the holder of a certificate, which the account's session enrolled."""
    pair = server.cert({"type": "session"}, keys=keys, cookie=server.cookie(account), **asked)
    assert pair.status == 200, pair.body
    return by_certificate(server, keys, pair)


def by_certificate(server: Served, keys: Keys, pair: Answer) -> tuple[Answer, ProofKey]:
    key = ProofKey()
    made = key.prove("POST", server.url + "/token", server.world.now, nonce=fresh(server))
    nonce = server.nonce()
    signed = bridge.message(nonce, preimage(AUDIENCE, made))
    proof = {
        "type": "bridge",
        "certificate": pair.json["certificates"]["mtls"],
        "signature": jws.b64(signature(keys.mtls, signed)),
    }
    return ask(server, proof=made, body={"audience": AUDIENCE, "nonce": nonce, "proof": proof}), key


def test_an_agent_gets_a_token_by_its_certificate_that_names_it_and_its_human(server: Served) -> None:
    account = server.account()
    given = granted(server, account, "claude-code")
    got, key = bridged(server, account, Keys(), agent="claude-code")
    assert got.status == 200, got.body
    claims = jws.parse(got.json["access_token"]).payload
    assert (claims["sub"], claims["act"]) == (account.id, {"sub": given.actor.id})
    assert (claims["scope"], claims["cnf"]) == ("sign:git", {"jkt": key.thumbprint})


def test_an_agent_of_a_disabled_account_gets_none(server: Served) -> None:
    account, keys = server.account(), Keys()
    granted(server, account, "claude-code")
    pair = server.cert({"type": "session"}, keys=keys, cookie=server.cookie(account), agent="claude-code")

    def disable(desk: Desk) -> None:
        with desk.authority.store.transaction(durable=True):
            accounts.disable(desk.records, account.id, server.world.now)

    server.within(disable)
    got, _ = by_certificate(server, keys, pair)
    assert (got.status, got.json["error"]) == (403, "the account on whose behalf it acts is disabled")


def test_a_human_gets_the_same_subject_by_certificate_and_by_session(server: Served) -> None:
    account = server.account()
    got, _ = bridged(server, account, Keys())
    claims = jws.parse(got.json["access_token"]).payload
    assert claims["sub"] == account.id
    assert "act" not in claims


def test_a_certificates_proof_is_for_one_token(server: Served) -> None:
    account, keys = server.account(), Keys()
    pair = server.cert({"type": "session"}, keys=keys, cookie=server.cookie(account))
    certificate_, nonce = pair.json["certificates"]["mtls"], server.nonce()
    first, second = (
        ProofKey().prove("POST", server.url + "/token", server.world.now, nonce=fresh(server)) for _ in range(2)
    )
    signed = jws.b64(signature(keys.mtls, bridge.message(nonce, preimage(AUDIENCE, first))))
    proof = {"type": "bridge", "certificate": certificate_, "signature": signed}
    body = {"audience": AUDIENCE, "nonce": nonce, "proof": proof}
    statuses = [
        ask(server, proof=second, body=body).status,
        ask(server, proof=first, body={**body, "audience": "https://notme.bot"}).status,
        ask(server, proof=first, body={**body, "nonce": server.nonce()}).status,
        ask(server, proof=first, body={"audience": AUDIENCE, "proof": proof}).status,
        ask(server, proof=first, body=body).status,
        ask(server, proof=first, body=body).status,
    ]
    assert statuses == [403, 403, 403, 400, 200, 401]
