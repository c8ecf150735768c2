"""`POST /cert/ca` over a real server: which orchestrator gets an issuing CA, and what uses up what."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attest import certificate
from attest.profile import Profile
from attest.types import Grant
from notme_git.authority import accounts, agents
from notme_git.authority.accounts import Account
from notme_git.authority.agents import Wish
from notme_git.authority.http.desk import Desk
from notme_git.authority.issue_ca import preimage
from notme_git.enroll.keys import proof, spki
from tests.served import Answer, Served, b64, pem, served
from tests.world import World

AGENT = "orchestrator"
DAYS = timedelta(days=30)


@dataclass
class Team:
    """A served authority with one human, signed in, and the orchestrator that acts for her."""

    server: Served
    account: Account
    cookie: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def grant(self, agent: str, *, delegate: bool = True, lifetime: timedelta = DAYS) -> Grant:
        wish = Wish(agent, lifetime=lifetime, branches=("agents/*",), delegate=delegate)

        def add(desk: Desk) -> Grant:
            with desk.authority.store.transaction(durable=True):
                domain, at = desk.settings.trust_domain, self.server.world.now
                return agents.add(desk.records, domain, desk.authority.id, self.account, wish, at)

        return self.server.within(add)  # type: ignore[no-any-return]

    def body(self, **changes: Any) -> dict[str, Any]:
        nonce = self.server.nonce()
        message = preimage(spki(self.key)) + hashlib.sha256(nonce.encode()).digest()
        asked = {"proof": {"type": "session"}, "public_key": pem(self.key), "possession": b64(proof(self.key, message))}
        return {**asked, "nonce": nonce, "agent": AGENT, **changes}

    def ask(self, body: dict[str, Any] | None = None, *, cookie: str | None = None) -> Answer:
        headers = {"Cookie": f"notme_session={self.cookie if cookie is None else cookie}"}
        return self.server.request("POST", "/cert/ca", self.body() if body is None else body, headers)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with served(World(tmp_path_factory.mktemp("team"))) as running:
        account = running.account(*accounts.ADMIN)
        made = Team(running, account, running.cookie(account))
        made.grant(AGENT)
        yield made


def test_an_orchestrator_gets_an_issuing_ca_under_the_pinned_anchor(team: Team) -> None:
    grant = team.grant("conductor")
    got = team.ask(team.body(agent="conductor"))
    assert got.status == 200, got.body
    made = x509.load_pem_x509_certificate(got.json["certificate"].encode())
    held = certificate.verify_issuing(made, team.server.world.trust().anchors, Profile.NOTME)
    assert held.claims is not None
    assert held.key.spki == spki(team.key)
    assert (held.uri, held.claims.grant_id, held.claims.depth) == (grant.actor.id, grant.id, 1)
    assert (held.auth_method, held.claims.assurance) == ("passkey", team.server.desk.settings.assurance)
    told = (got.json["identity"], tuple(got.json["scopes"]), got.json["binding"], got.json["expires_at"])
    assert told == (held.uri, held.scopes, held.binding.hex(), int(held.not_after.timestamp()))
    assert held.not_after == team.server.world.now + timedelta(hours=24)


def test_a_nonce_pays_for_one_issuing_ca(team: Team) -> None:
    body = team.body()
    assert [team.ask(body).status for _ in range(2)] == [200, 403]


REFUSED: dict[str, tuple[dict[str, Any], int]] = {
    "no key": ({"public_key": None}, 400),
    "bytes that are no key": ({"public_key": "AAAA"}, 400),
    "no proof of the key": ({"possession": None}, 400),
    "another proof of the key": ({"possession": b64(bytes(64))}, 401),
    "no nonce": ({"nonce": None}, 400),
    "a nonce of somebody else": ({"nonce": "x"}, 403),
    "no proof of who asks": ({"proof": None}, 400),
    "an unknown proof": ({"proof": {"type": "word"}}, 400),
    "an unknown field": ({"depth": 2}, 400),
    "a long name": ({"agent": "a" * 300}, 400),
    "no agent, which asks for the human herself": ({"agent": None}, 403),
    "an agent without a grant": ({"agent": "nobody"}, 403),
    "an agent of an orchestrator": ({"agent": f"{AGENT}/child"}, 403),
    "a task digest that is none": ({"task_digest": "ab"}, 400),
}


@pytest.mark.parametrize(("changes", "status"), REFUSED.values(), ids=REFUSED)
def test_nothing_is_issued_for(team: Team, changes: dict[str, Any], status: int) -> None:
    got = team.ask(team.body(**changes))
    assert got.status == status, got.body
    assert got.json["error"]


GIVEN: dict[str, Callable[[Team, str], object]] = {
    "a grant that may not be passed on": lambda team, name: team.grant(name, delegate=False),
    "a grant that ends in four minutes": lambda team, name: team.grant(name, lifetime=timedelta(minutes=4)),
    "a grant of another human's": lambda team, name: team.server.world.grant(name, delegation_depth=1),
}


@pytest.mark.parametrize("what", GIVEN)
def test_no_issuing_ca_comes_of(team: Team, what: str) -> None:
    name = f"agent-{list(GIVEN).index(what)}"
    GIVEN[what](team, name)
    assert team.ask(team.body(agent=name)).status == 403


def test_nobody_gets_one_who_is_not_signed_in(team: Team) -> None:
    assert team.ask(cookie="").status == 401
