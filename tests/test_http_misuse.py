"""What a stolen cookie, a program's session or another account must not get out of the authority over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.requests import Request

from attest.errors import UsageError
from notme_git.authority import accounts, enrolment, passkeys, sessions, settings
from notme_git.authority.http.desk import Desk, client_address
from notme_git.authority.passkeys import Credential
from notme_git.authority.proofs.configured import Issuer as Provider
from notme_git.authority.proofs.configured import Proofs
from notme_git.authority.sessions import Session
from notme_git.authority.settings import Limits, Rate, Settings
from tests.issuer import AUDIENCE, Issuer
from tests.served import Served, served
from tests.test_http_account import Person
from tests.world import World


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path)) as running:
        yield running


def test_a_cookie_that_is_older_than_a_moment_makes_no_administrators(server: Served) -> None:
    admin = Person(server, *accounts.ADMIN)
    server.world.now += timedelta(minutes=16)
    got = admin.ask("POST", "/invites", {"scopes": ["authorityManage"]})
    assert (got.status, got.json["error"]) == (403, "presence_required")


def test_who_manages_by_an_invite_shows_a_passkey_before_inviting_others(server: Served) -> None:
    got = Person(server, *accounts.ADMIN, method="invite").ask("POST", "/invites", {})
    assert (got.status, got.json["error"]) == (403, "presence_required")


def test_a_cookie_that_is_older_than_a_moment_connects_no_identity(server: Served) -> None:
    alice = Person(server)
    server.world.now += timedelta(minutes=16)
    got = alice.ask("POST", "/connections", {"proof": {"type": "oidc", "token": "x.y.z"}})
    assert (got.status, got.json["error"]) == (403, "presence_required")


def program_session(server: Served, person: Person) -> Session:
    def begin(desk: Desk) -> Session:
        with desk.authority.store.transaction(durable=True):
            return sessions.begin(
                desk.records,
                person.account,
                "passkey",
                scopes=(accounts.BRIDGE,),
                label="laptop",
                lifetime=timedelta(days=30),
                program=True,
                at=server.world.now,
            )

    return server.within(begin)  # type: ignore[no-any-return]


def test_no_certificate_names_another_session_and_so_outlives_its_own(server: Served) -> None:
    alice = Person(server)
    program = program_session(server, alice)
    (other,) = [each["id"] for each in alice.ask("GET", "/sessions").json["sessions"] if each["id"] != program.id]
    proof = {"type": "session"}
    refused = server.cert(proof, cookie=program.value, session_id=other)
    assert (refused.status, refused.json["error"]) == (403, "session_id names another session of this authority")
    assert server.cert(proof, cookie=program.value, session_id=program.id).status == 200
    assert server.cert(proof, cookie=program.value, session_id="a run of an agent's own").status == 200


def test_what_a_programs_session_gets_says_that_nobody_was_there(server: Served) -> None:
    alice = Person(server)
    proof, program = {"type": "session"}, program_session(server, alice)
    assert server.cert(proof, cookie=program.value).json["auth_method"] == "passkey+program"
    assert server.cert(proof, cookie=alice.cookie).json["auth_method"] == "passkey"


def test_no_agent_takes_the_address_of_anothers_agent_or_of_the_authority(server: Served) -> None:
    alice, bob = Person(server), Person(server, email="bob@example.org")
    named = alice.ask("POST", "/grants", {"agent": "claude", "email": "claude@example.org"})
    default = alice.ask("POST", "/grants", {"agent": "codex"}).json["email"]
    assert (named.status, alice.ask("POST", "/grants", {"agent": "c", "email": "claude@example.org"}).status) == (
        200,
        200,
    )
    own = default.partition("@")[2]
    for address in ("Claude@example.org", default, f"not-yet@{own}", f"gha.example.tool@{own.partition('.')[2]}"):
        got = bob.ask("POST", "/grants", {"agent": "evil", "email": address})
        assert got.status == 403, address


def test_nobody_joins_with_the_address_of_an_agent(server: Served) -> None:
    admin = Person(server, *accounts.ADMIN)
    assert admin.ask("POST", "/grants", {"agent": "claude", "email": "claude@example.org"}).status == 200
    token = admin.ask("POST", "/invites", {}).json["token"]
    got = server.request("POST", "/join", {"token": token, "display": "M", "email": "claude@example.org"})
    assert (got.status, got.json["error"]) == (403, "somebody else's agent, or a workload, has that address")


LOOK_ALIKE = [
    (("gitlab", "gitlab.com", "a.b", "c"), ("gitlab", "gitlab.com", "a", "b.c")),
    (("oidc", "host/a", "b"), ("oidc", "host", "a/b")),
    (("gha", "a", "b"), ("gha", "a.b")),
    (("gha", "a", "x" * 80), ("gha", "a", "x" * 81)),
]


@pytest.mark.parametrize(("one", "other"), LOOK_ALIKE)
def test_workloads_whose_names_look_alike_have_other_addresses(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert enrolment._local(one) != enrolment._local(other)
    assert max(len(enrolment._local(each)) for each in (one, other)) <= enrolment.MAX_LOCAL


@pytest.mark.parametrize("everybody", ["*", "0.0.0.0/0", "::/0", "10.0.0.1/0", "proxy.example", ""])
def test_no_setting_believes_everybodys_forwarded_address(everybody: str) -> None:
    with pytest.raises(UsageError) as refused:
        settings.parse({"proxies": [everybody]})
    assert "'proxies'" in refused.value.message
    assert settings.parse({"proxies": ["127.0.0.1", "10.0.0.0/8", "::1"]}).proxies[2] == "::1"


@pytest.mark.parametrize("marks", [{"Origin": "http://localhost:3000"}, {"Sec-Fetch-Site": "same-site"}])
def test_no_page_of_another_port_has_certificates_made_with_the_cookie(server: Served, marks: dict[str, str]) -> None:
    alice = Person(server)
    plain = {**marks, "Content-Type": "text/plain"}
    for path, body in (("/cert", {"proof": {"type": "session"}}), ("/cert/passkey", {})):
        got = alice.ask("POST", path, body, **plain)
        assert (got.status, got.json) == (403, {"error": "cross-site request refused"})


def test_where_people_are_in_only_a_code_for_recovery_makes_an_administrator(server: Served) -> None:
    alice = Person(server)

    def register(desk: Desk) -> None:
        with desk.authority.store.transaction(durable=False):
            passkeys.add(desk.records, alice.account.id, Credential(b"id", b"key", 0, True), server.world.now)

    server.within(register)
    answers = [server.cert({"type": "bootstrap", "code": server.code(recovery=each)}) for each in (False, True)]
    assert [each.status for each in answers] == [403, 200]


def test_a_member_cannot_fill_the_trust_bundle_that_every_verifier_reads(tmp_path: Path) -> None:
    few = Limits(revoke=Rate(2, 86400))
    with served(World(tmp_path), Settings(limits=few)) as server:
        alice, admin = Person(server), Person(server, *accounts.ADMIN, email="bob@example.org")
        names = [alice.ask("POST", "/grants", {"agent": f"agent-{each}"}).json["grant"] for each in range(4)]
        assert [alice.ask("DELETE", f"/grants/{name}").status for name in names[:3]] == [200, 200, 429]
        assert [admin.ask("DELETE", f"/grants/{name}").status for name in names[2:]] == [200, 200]
        before = server.request("GET", "/revocations").json
        assert admin.ask("DELETE", f"/grants/{names[0]}").status == 200
        assert server.request("GET", "/revocations").json == before


@pytest.mark.parametrize("text", ["\x1b[31m", "a\n[GNUPG:] GOODSIG", "\u202eabc", "\0"])
def test_nothing_that_a_terminal_would_obey_gets_into_certificates_and_bundles(server: Served, text: str) -> None:
    admin = Person(server, *accounts.ADMIN)
    made = server.cert({"type": "session"}, cookie=admin.cookie, session_id=text)
    named = admin.ask("POST", "/grants", {"agent": "claude"}).json["grant"]
    ended = admin.ask("POST", f"/grants/{named}", {"reason": text})
    revoked = admin.ask("POST", "/revocations", {"kind": "session", "id": text})
    assert [made.status, ended.status, revoked.status] == [400, 400, 400]


def test_a_token_that_lies_in_a_file_does_not_become_a_session_of_a_day(tmp_path: Path) -> None:
    world = World(tmp_path)
    with Issuer(lambda: world.now) as issuer:
        proofs = Proofs(issuers=(Provider(issuer.url, audiences=(AUDIENCE,), reuse=True),))
        with served(world, Settings(proofs=proofs)) as server:
            token = issuer.token()
            connected = Person(server).ask("POST", "/connections", {"proof": {"type": "oidc", "token": token}})
            got = server.request("POST", "/auth/oidc/login", {"token": token})
            assert (connected.status, got.status, "set-cookie" in got.headers) == (200, 403, False)
            assert server.cert({"type": "oidc", "token": token}).status == 200


ADDRESSES = [
    ("192.0.2.1", "192.0.2.1"),
    ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("fe80::1%eth0", "fe80::/64"),
    ("somebody", "somebody"),
]


@pytest.mark.parametrize(("host", "counted"), ADDRESSES)
def test_whoever_has_a_network_of_addresses_is_limited_as_one(host: str, counted: str) -> None:
    assert client_address(Request({"type": "http", "headers": [], "client": (host, 1)})) == counted
