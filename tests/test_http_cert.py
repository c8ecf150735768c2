"""`POST /cert` over a real server: who gets a pair, what it says, and what uses up what."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from attest import certificate
from attest.profile import Profile
from notme_git.authority import accounts
from notme_git.authority.settings import Compat, Limits, Rate, Settings
from tests.served import Keys, Served, served
from tests.world import World


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path)) as running:
        yield running


def test_a_signed_in_human_gets_a_pair_under_the_pinned_anchor(server: Served) -> None:
    cookie = server.cookie(server.account())
    got = server.cert({"type": "session"}, cookie=cookie)
    assert got.status == 200, got.body
    leaf = x509.load_pem_x509_certificate(got.json["certificates"]["signing"].encode())
    chain = certificate.verify_chain(leaf, (), server.world.trust().anchors)
    assert (chain.leaf.scopes, chain.leaf.auth_method) == (("bridgeCert",), "passkey")
    assert (got.json["identity"], got.json["binding"]) == (chain.leaf.uri, chain.leaf.binding.hex())
    assert got.json["expires_at"] == int(chain.leaf.not_after.timestamp())


def test_a_nonce_pays_for_one_pair(server: Served) -> None:
    cookie, nonce = server.cookie(server.account()), server.nonce()
    body = {"proof": {"type": "session"}, "nonce": nonce, **Keys().body(hashlib.sha256(nonce.encode()).digest())}
    statuses = [
        server.request("POST", "/cert", body, {"Cookie": f"notme_session={cookie}"}).status for _ in range(2)
    ]
    assert statuses == [200, 403]


def test_a_bootstrap_code_makes_one_administrator(server: Served) -> None:
    code = server.code()
    first, second = (server.cert({"type": "bootstrap", "code": code}) for _ in range(2))
    assert (first.status, second.status) == (200, 403)
    assert second.json == {"error": "invalid or consumed bootstrap code"}


def test_a_code_is_not_used_up_by_a_request_that_gets_nothing(server: Served) -> None:
    code = server.code()
    assert server.cert({"type": "bootstrap", "code": code}, scopes=["sign:git"]).status == 403
    assert server.cert({"type": "bootstrap", "code": code}).status == 200


def test_without_a_nonce_only_where_the_settings_say_so_and_then_the_certificate_says_it(tmp_path: Path) -> None:
    for allowed in (False, True):
        world = World(tmp_path / str(allowed))
        with served(world, Settings(compat=Compat(no_nonce=allowed))) as server:
            cookie = server.cookie(server.account())
            body = {"proof": {"type": "session"}, **Keys().body()}
            got = server.request("POST", "/cert", body, {"Cookie": f"notme_session={cookie}"})
            assert got.status == (200 if allowed else 400)
            if allowed:
                leaf = x509.load_pem_x509_certificate(got.json["certificates"]["signing"].encode())
                assert certificate.read_leaf(leaf, Profile.NOTME).auth_method == "passkey+no-nonce"


def test_more_than_the_rate_is_refused_with_429(tmp_path: Path) -> None:
    with served(World(tmp_path), Settings(limits=Limits(cert=Rate(2, 60)))) as server:
        cookie = server.cookie(server.account())
        statuses = [server.cert({"type": "session"}, cookie=cookie).status for _ in range(3)]
        server.world.tick(minutes=1)
        assert [*statuses, server.cert({"type": "session"}, cookie=cookie).status] == [200, 200, 429, 200]


def test_a_session_ends(server: Served) -> None:
    cookie = server.cookie(server.account(), lifetime=timedelta(hours=1))
    server.world.tick(hours=1)
    got = server.cert({"type": "session"}, cookie=cookie)
    assert (got.status, got.json) == (401, {"error": "invalid session"})


def test_an_agent_of_another_human_cannot_be_asked_for(server: Served) -> None:
    server.world.grant("claude-code")
    cookie = server.cookie(server.account(*accounts.MEMBER))
    assert server.cert({"type": "session"}, cookie=cookie, agent="claude-code").status == 403
