"""Renewing by a bridge certificate: its holder, for its own grant, within a live session, once a nonce."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import RefusedError
from attest.types import PrincipalKind, Revocation, RevocationKind
from notme_git.authority import accounts, embedded, epochs, grants, issue_ca, sessions, settings
from notme_git.authority.accounts import Account
from notme_git.authority.http.desk import Desk
from notme_git.authority.proofs import bridge
from notme_git.enroll.keys import proof as sign
from notme_git.enroll.keys import spki
from tests.issuer import Issuer
from tests.served import Answer, Keys, Served, b64, pem, served
from tests.test_http_applicants import leaf, preimage
from tests.world import World


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path)) as running:
        yield running


@dataclass(slots=True)
class Holder:
    """Somebody with a pair."""

    server: Served
    answer: Answer
    keys: Keys
    fresh: Keys = field(default_factory=Keys)

    def renew(self, *, shown: str = "mtls", signed: bytes | None = None, by: Any = None, **more: Any) -> Answer:
        """`POST /cert` by the certificate, or with what a test has changed."""
        nonce = more.pop("nonce", None) or self.server.nonce()
        suffix = hashlib.sha256(nonce.encode()).digest()
        message = bridge.message(nonce, preimage(self.fresh, suffix)) if signed is None else signed
        signature = b64(sign(by or self.keys.mtls, message))
        proof = {"type": "bridge", "certificate": self.answer.json["certificates"][shown], "signature": signature}
        body = {"proof": proof, "nonce": nonce, **self.fresh.body(suffix), **more}
        return self.server.request("POST", "/cert", body)


def holder(server: Served, cookie: str, **more: Any) -> Holder:
    keys = Keys()
    got = server.cert({"type": "session"}, cookie=cookie, keys=keys, **more)
    assert got.status == 200, got.body
    return Holder(server, got, keys)


def test_a_certificate_renews_itself_as_long_as_its_session_lives(server: Served) -> None:
    account = server.account()
    first = holder(server, server.cookie(account))
    server.world.tick(minutes=4)
    got = first.renew()
    old, new = leaf(server, first.answer), leaf(server, got)
    assert (new.uri, new.subject, new.scopes, new.claims) == (old.uri, old.subject, old.scopes, old.claims)
    assert (new.auth_method, new.not_after > old.not_after) == ("bridge", True)
    server.world.tick(minutes=4)
    second = Holder(server, got, first.fresh)
    assert second.renew().status == 200

    revoke_sessions(server, account.id)
    refused = second.renew()
    assert (refused.status, "session of that certificate is over" in refused.json["error"]) == (403, True)


def revoke_sessions(server: Served, account: str) -> None:
    def end(desk: Desk) -> None:
        with desk.authority.store.transaction(durable=True):
            sessions.revoke_of(desk.records, account, server.world.now)

    server.within(end)


def test_an_agent_renews_under_its_own_grant(server: Served) -> None:
    account = server.account()
    grant = server.within(lambda desk: agent_grant(desk, account))
    agent = holder(server, server.cookie(account), agent="claude-code")
    old, new = leaf(server, agent.answer), leaf(server, agent.renew(scopes=["sign:git"]))
    assert (new.claims, new.claims and new.claims.grant_id) == (old.claims, grant)
    assert agent.renew(agent="claude-code", scopes=["sign:git"]).status == 403


def agent_grant(desk: Desk, account: Account, *more: str, depth: int = 0) -> str:
    """A grant for an agent of that account."""
    authority, at = desk.authority, desk.clock()
    actor = embedded.principal(authority.id, PrincipalKind.AGENT, "claude-code", "claude-code", "claude-code@x.invalid")
    made = replace(
        authority.store.grant(account.grant_id).grant,
        id=str(uuid.uuid4()),
        actor=actor,
        represented=account.principal,
        scopes=tuple(scope for scope in grants.SCOPES if scope in ("sign:git", *more)),
        delegation_depth=depth,
        expires_at=int((at + timedelta(days=1)).timestamp()),
    )
    with authority.store.transaction(durable=True):
        authority.store.add_principal(actor)
        authority.store.add_grant(made)
    return made.id


def test_nothing_beyond_the_certificate_is_given(server: Served) -> None:
    who = holder(server, server.cookie(server.account(*accounts.ADMIN)))
    assert leaf(server, who.answer).scopes == ("bridgeCert",)
    assert who.renew(scopes=["sign:git"]).status == 403
    assert who.renew(grant="x").status == 403
    assert leaf(server, who.renew(session_id="mine")).claims == leaf(server, who.answer).claims


def test_nobody_becomes_an_issuing_ca_by_a_certificate(server: Served) -> None:
    account = server.account()
    server.within(lambda desk: agent_grant(desk, account, "certMint", depth=1))
    agent = holder(server, server.cookie(account), agent="claude-code", scopes=["sign:git"])
    key, nonce = Keys(), server.nonce()
    suffix = hashlib.sha256(nonce.encode()).digest()
    covered = issue_ca.preimage(spki(key.signing)) + suffix
    proof = {
        "type": "bridge",
        "certificate": agent.answer.json["certificates"]["mtls"],
        "signature": b64(sign(agent.keys.mtls, bridge.message(nonce, covered))),
    }
    body = {"public_key": pem(key.signing), "possession": b64(sign(key.signing, covered)), "nonce": nonce}
    refused = server.request("POST", "/cert/ca", {**body, "proof": proof})
    assert (refused.status, "no issuing CA" in refused.json["error"]) == (403, True)


def test_a_session_that_the_holder_made_up_renews_nothing_and_anothers_is_not_given(server: Served) -> None:
    mallory = server.account(display="Mallory", email="mallory@example.net")
    of_alice = leaf(server, holder(server, server.cookie(server.account())).answer).claims
    assert of_alice is not None
    assert holder(server, server.cookie(mallory), session_id="made-up").renew().status == 403
    assert server.cert({"type": "session"}, cookie=server.cookie(mallory), session_id=of_alice.session).status == 403


def test_a_workload_proves_itself_anew_by_its_token(tmp_path: Path) -> None:
    world = World(tmp_path)
    with Issuer(lambda: world.now) as issuer:
        tables = {
            "issuers": [{"issuer": issuer.url, "audiences": ["notme.bot"]}],
            "workloads": [{"issuer": issuer.url, "match": {"sub": "*"}, "scopes": ["bridgeCert"]}],
        }
        with served(world, settings.parse(tables)) as server:
            keys = Keys()
            got = server.cert({"type": "oidc", "token": issuer.token()}, keys=keys)
            assert Holder(server, got, keys).renew().status == 403


def test_only_the_holder_of_the_key_and_only_for_this_request(server: Served) -> None:
    who = holder(server, server.cookie(server.account()))
    nonce = server.nonce()
    assert who.renew(nonce=nonce).status == 200
    for refused in (
        who.renew(nonce=nonce),
        who.renew(by=Keys().mtls),
        who.renew(by=who.keys.signing),
        who.renew(shown="signing"),
        who.renew(shown="signing", by=who.keys.signing),
        who.renew(signed=bridge.message(server.nonce(), b"")),
        who.renew(signed=b"anything"),
    ):
        assert refused.status == 403, refused.body
    assert who.renew().status == 200


def test_without_keys_or_a_nonce_there_is_nothing_that_it_could_be_for(server: Served) -> None:
    who = holder(server, server.cookie(server.account()))
    proof = {"type": "bridge", "certificate": who.answer.json["certificates"]["mtls"], "signature": "AA"}
    for body in ({"proof": proof}, {"proof": proof, "nonce": server.nonce()}, {"proof": proof, **Keys().body()}):
        assert server.request("POST", "/cert", body).status == 400


def test_it_ends_with_its_certificate_and_with_its_epoch(server: Served) -> None:
    who = holder(server, server.cookie(server.account()))
    server.within(lambda desk: epochs.rotate(desk.authority, server.world.now))
    assert "no pinned anchor" in who.renew().json["error"]
    later = holder(server, server.cookie(server.account(email="b@example.org")))
    server.world.tick(minutes=5)
    assert "not in force now" in later.renew().json["error"]


@pytest.mark.parametrize("kind", list(RevocationKind))
def test_what_is_revoked_renews_nothing(server: Served, kind: RevocationKind) -> None:
    who = holder(server, server.cookie(server.account()))
    pem = who.answer.json["certificates"]["mtls"].encode()
    said = leaf(server, who.answer)
    assert said.claims is not None
    named = {
        RevocationKind.PRINCIPAL: said.uri,
        RevocationKind.GRANT: said.claims.grant_id,
        RevocationKind.SESSION: said.claims.session,
        RevocationKind.CERTIFICATE: hashlib.sha256(
            x509.load_pem_x509_certificate(pem).tbs_certificate_bytes
        ).hexdigest(),
    }
    revocation = Revocation(kind, named[kind], int(server.world.now.timestamp()), "lost")
    server.within(lambda desk: epochs.revoke(desk.authority, revocation, at=server.world.now))
    refused = who.renew()
    assert (refused.status, "revoked" in refused.json["error"]) == (403, True)


def test_a_certificate_of_another_authority_proves_nothing(server: Served, tmp_path: Path) -> None:
    with served(World(tmp_path / "other")) as other:
        who = holder(other, other.cookie(other.account()))
    who.server = server
    assert "no pinned anchor" in who.renew().json["error"]


@given(st.text(max_size=100), st.binary(max_size=80))
def test_any_text_is_a_documented_error(world: World, text: str, signature: bytes) -> None:
    with world.opened() as authority, pytest.raises(RefusedError):
        bridge.verify(text, signature, nonce="n", preimage=b"", authority=authority, at=world.now)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))
