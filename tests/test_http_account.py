"""What somebody does with their account over a real server: joining, grants, sessions, connections, administration."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attest import certificate
from notme_git.authority import accounts
from notme_git.authority.proofs.configured import Issuer as Provider
from notme_git.authority.proofs.configured import Proofs
from notme_git.authority.settings import Limits, Rate, Settings
from tests.issuer import AUDIENCE, Issuer
from tests.served import Answer, Served, served
from tests.world import World

FREE = Limits(passkey=Rate(0, 0), code=Rate(0, 0))
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path), Settings(limits=FREE)) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests that need none of their own."""
    with served(World(tmp_path_factory.mktemp("shared")), Settings(limits=FREE)) as running:
        yield running


class Person:
    """Somebody signed in by passkey now, with their cookie."""

    def __init__(self, server: Served, *scopes: str, email: str = "alice@example.org", method: str = "passkey") -> None:
        self.server = server
        self.account = server.account(*scopes, email=email)
        self.cookie = server.cookie(self.account, method=method)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A request with the cookie."""
        return self.server.request(method, path, body, {"Cookie": f"notme_session={self.cookie}", **headers})

    def submit(self, path: str, fields: Mapping[str, str], **headers: str) -> Answer:
        """What a browser sends for a form of our own page."""
        marks = {"Content-Type": FORM, "Accept": "text/html", "Origin": self.server.url, **headers}
        marks["Cookie"] = f"notme_session={self.cookie}"
        return self.server.request("POST", path, headers=marks, raw=urlencode(fields).encode())


@pytest.fixture(scope="module")
def somebody(shared: Served) -> Person:
    return Person(shared)


def test_me_sends_a_stranger_to_the_login(server: Served) -> None:
    for headers in ({}, {"Cookie": "notme_session=zz"}):
        got = server.request("GET", "/me", headers=headers)
        assert (got.status, got.headers["location"]) == (302, f"{server.url}/login")


def test_an_invite_makes_one_account_within_its_scopes(server: Served) -> None:
    admin = Person(server, *accounts.ADMIN)
    made = admin.ask("POST", "/invites", {"scopes": ["bridgeCert", "certMint"], "ttl": 60})
    assert (made.status, set(made.json)) == (200, {"token", "url", "expiresAt", "scopes"})
    assert made.json["url"] == f"{server.url}/join?t={made.json['token']}"
    joined = server.request(
        "POST", "/join", {"token": made.json["token"], "display": "Bob", "email": "bob@example.org"}
    )
    assert (joined.status, joined.json["scopes"]) == (200, ["bridgeCert", "certMint"])
    again = server.request("POST", "/join", {"token": made.json["token"]})
    assert (again.status, again.json) == (403, {"error": "invalid or expired invite"})


def test_of_twenty_who_take_one_invite_one_joins(server: Served) -> None:
    token = Person(server, *accounts.ADMIN).ask("POST", "/invites", {}).json["token"]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: server.request("POST", "/join", {"token": token}).status, range(20)))
    assert sorted(answers) == [200] + [403] * 19
    assert server.within(lambda desk: accounts.count(desk.records)) == 2


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"scopes": ["sign:git"]}, 403, "cannot grant scope you don't have: sign:git"),
        ({"ttl": 0}, 400, "ttl must be between 1 and 604800 seconds"),
        ({"ttl": -1}, 400, "ttl must be between 1 and 604800 seconds"),
        ({"ttl": 604801}, 400, "ttl must be between 1 and 604800 seconds"),
        ({"ttl": 10**30}, 400, "ttl must be between 1 and 604800 seconds"),
        ({"ttl": "60"}, 400, "ttl must be an integer"),
        ({"scopes": "bridgeCert"}, 400, "scopes must be a list of texts"),
        ({"email": "alice@example.org"}, 403, "another account has that address"),
        ({"email": "nonsense"}, 400, "'nonsense' is no e-mail address"),
        ({"display": "A <b>"}, 400, "a name has no brackets, no line ends and at most 128 bytes"),
    ],
)
def test_an_invite_that_cannot_be(shared: Served, body: Mapping[str, Any], status: int, error: str) -> None:
    got = Person(shared, *accounts.ADMIN).ask("POST", "/invites", body)
    assert (got.status, got.json["error"]) == (status, error)


def test_invites_are_for_administrators(shared: Served) -> None:
    assert shared.request("POST", "/invites", {}).json == {"error": "sign in first"}
    assert shared.request("POST", "/invites", {}, {"Cookie": "notme_session=zz"}).json == {"error": "invalid session"}
    member = Person(shared).ask("POST", "/invites", {})
    assert (member.status, member.json) == (403, {"error": "authorityManage scope required"})


def test_who_joined_registers_a_passkey_in_that_session(shared: Served) -> None:
    token = Person(shared, *accounts.ADMIN).ask("POST", "/invites", {}).json["token"]
    joined = shared.request("POST", "/join", {"token": token})
    cookie = {"Cookie": joined.headers["set-cookie"].partition(";")[0]}
    begun = shared.request("POST", "/auth/passkey/register/options", {}, cookie)
    assert (begun.status, begun.json["userId"]) == (200, joined.json["principalId"])
    assert shared.request("POST", "/grants", {"agent": "claude-code"}, cookie).json["error"] == "presence_required"


def test_a_grant_lets_the_agent_get_a_certificate_that_names_both(server: Served) -> None:
    alice = Person(server)
    made = alice.ask("POST", "/grants", {"agent": "claude-code", "lifetime": "1d", "branches": ["agent/*"]})
    assert (made.status, made.json["scopes"]) == (200, ["sign:git"])
    assert made.json["identity"].endswith(f"/agent/{alice.account.id}/claude-code")
    got = server.cert({"type": "session"}, cookie=alice.cookie, agent="claude-code")
    assert got.status == 200, got.body
    leaf = x509.load_pem_x509_certificate(got.json["certificates"]["signing"].encode())
    read = certificate.verify_chain(leaf, (), server.world.trust().anchors).leaf
    assert read.claims is not None
    assert read.claims.represented is not None
    assert (read.uri, read.claims.represented.email) == (made.json["identity"], "alice@example.org")
    assert [each["grant"] for each in alice.ask("GET", "/grants").json["grants"]] == [made.json["grant"]]


def test_two_people_with_agents_of_one_name_have_two_agents(server: Served) -> None:
    alice, bob = Person(server), Person(server, email="bob@example.org")
    one, other = (each.ask("POST", "/grants", {"agent": "claude-code"}).json for each in (alice, bob))
    assert one["identity"] != other["identity"]
    assert one["email"] != other["email"]
    assert bob.ask("DELETE", f"/grants/{one['grant']}").status == 403
    got = server.cert({"type": "session"}, cookie=bob.cookie, grant=one["grant"])
    assert got.status == 403


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "agent required"),
        ({"agent": "Claude Code"}, 400, "'Claude Code' is no name for an agent"),
        ({"agent": "a", "scopes": ["authorityManage"]}, 403, "cannot grant scope you don't have: authorityManage"),
        ({"agent": "a", "scopes": ["root"]}, 400, "no such scope: 'root'"),
        ({"agent": "a", "delegate": True}, 403, "cannot grant scope you don't have: certMint"),
        ({"agent": "a", "email": "bob@example.org"}, 403, "another account has that address"),
        ({"agent": "a", "lifetime": "9999d"}, 400, "'9999d' is no duration between one second and 3650 days"),
        ({"agent": "a", "lifetime": 5}, 400, "lifetime must be a text"),
    ],
)
def test_a_grant_that_cannot_be(shared: Served, body: Mapping[str, Any], status: int, error: str) -> None:
    Person(shared, email="bob@example.org")
    got = Person(shared).ask("POST", "/grants", body)
    assert (got.status, got.json["error"]) == (status, error)


@pytest.mark.parametrize("method", ["oidc:https://ci.example", "passkey"])
def test_a_grant_takes_a_person_who_was_there_a_moment_ago(server: Served, method: str) -> None:
    alice = Person(server, method=method)
    server.world.tick(minutes=16)
    got = alice.ask("POST", "/grants", {"agent": "claude-code"})
    assert (got.status, got.json["error"]) == (403, "presence_required")


def test_a_revoked_grant_is_in_the_list_that_all_may_read_and_gives_no_certificate(server: Served) -> None:
    alice = Person(server)
    name = alice.ask("POST", "/grants", {"agent": "claude-code"}).json["grant"]
    assert alice.ask("DELETE", f"/grants/{name}").json == {"revoked": name}
    listed = server.request("GET", "/revocations").json["revocations"]
    assert [(each["kind"], each["id"]) for each in listed] == [("grant", name)]
    assert server.cert({"type": "session"}, cookie=alice.cookie, agent="claude-code").status == 403


def test_an_administrator_sees_and_revokes_everybodys_grants(server: Served) -> None:
    admin, bob = Person(server, *accounts.ADMIN), Person(server, email="bob@example.org")
    name = bob.ask("POST", "/grants", {"agent": "claude-code"}).json["grant"]
    assert name in [each["grant"] for each in admin.ask("GET", "/grants?all=1").json["grants"]]
    assert bob.ask("GET", "/grants?all=1").status == 403
    assert admin.ask("DELETE", f"/grants/{name}").status == 200


def test_a_session_that_was_ended_is_over_and_verifiers_are_told(server: Served) -> None:
    alice = Person(server)
    other = server.cookie(alice.account)
    first, second = alice.ask("GET", "/sessions").json["sessions"]
    assert alice.ask("DELETE", f"/sessions/{second['id']}").status == 200
    assert server.request("GET", "/me", headers={"Cookie": f"notme_session={other}"}).status == 302
    assert alice.ask("DELETE", f"/sessions/{second['id']}").status == 404
    assert [each["id"] for each in alice.ask("GET", "/sessions").json["sessions"]] == [first["id"]]
    assert [each["kind"] for each in server.request("GET", "/revocations").json["revocations"]] == ["session"]


def test_signing_out_ends_the_session_and_not_only_the_cookie(server: Served) -> None:
    alice = Person(server)
    got = alice.ask("POST", "/logout", {})
    assert "Max-Age=0" in got.headers["set-cookie"]
    assert alice.ask("GET", "/me").status == 302


def test_scopes_are_read_again_at_every_use(server: Served) -> None:
    admin, second = Person(server, *accounts.ADMIN), Person(server, *accounts.ADMIN, email="bob@example.org")
    assert admin.ask("POST", f"/accounts/{second.account.id}/disable", {}).status == 200
    assert second.ask("POST", "/invites", {}).status == 401
    kinds = [each["kind"] for each in server.request("GET", "/revocations").json["revocations"]]
    assert kinds == ["principal"]
    assert admin.ask("POST", f"/accounts/{admin.account.id}/disable", {}).status == 400


def test_an_administrator_rotates_the_key(server: Served) -> None:
    admin = Person(server, *accounts.ADMIN)
    got = admin.ask("POST", "/admin/rotate", {"kind": "routine"})
    assert (got.status, got.json["epoch"], got.json["kind"]) == (200, 2, "routine")
    assert Person(server, email="bob@example.org").ask("POST", "/admin/rotate", {"kind": "routine"}).status == 403
    assert admin.ask("POST", "/admin/rotate", {"kind": "now"}).status == 400
    server.world.tick(minutes=16)
    assert admin.ask("POST", "/admin/rotate", {"kind": "routine"}).json["error"] == "presence_required"


def test_after_a_compromise_only_the_recovery_key_rotates(server: Served) -> None:
    admin = Person(server, *accounts.ADMIN)
    body = {"kind": "compromise", "recovery_key": "nonsense"}
    assert admin.ask("POST", "/admin/rotate", body).status == 403
    future = {**body, "compromised_at": int(server.world.now.timestamp()) + 60}
    assert admin.ask("POST", "/admin/rotate", future).status == 400
    right = {"kind": "compromise", "recovery_key": server.world.recovery_key.decode()}
    assert admin.ask("POST", "/admin/rotate", right).json["epoch"] == 2
    epochs = server.within(lambda desk: desk.authority.store.epochs())
    assert str(epochs[0].retirement) == "compromise"


@pytest.mark.parametrize("kind", ["principal", "session", "certificate"])
def test_an_administrator_revokes_by_name(shared: Served, kind: str) -> None:
    admin = Person(shared, *accounts.ADMIN)
    assert admin.ask("POST", "/revocations", {"kind": kind, "id": "x", "reason": "lost"}).status == 200
    listed = shared.request("GET", "/revocations").json["revocations"]
    assert (kind, "x", "lost") in [(each["kind"], each["id"], each["reason"]) for each in listed]
    assert admin.ask("POST", "/revocations", {"kind": "wrong", "id": "x"}).status == 400


# Connections


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Issuer]:
    clock = World(tmp_path / "clock")
    with Issuer(lambda: clock.now) as running:
        yield running


@pytest.fixture
def connecting(tmp_path: Path, issuer: Issuer) -> Iterator[Served]:
    proofs = Proofs(issuers=(Provider(issuer.url, audiences=(AUDIENCE,)),))
    with served(World(tmp_path / "served"), Settings(limits=FREE, proofs=proofs)) as running:
        yield running


def test_a_connected_identity_signs_in_once_a_token_and_never_administers(connecting: Served, issuer: Issuer) -> None:
    admin = Person(connecting, *accounts.ADMIN)
    token = issuer.token()
    got = admin.ask("POST", "/connections", {"proof": {"type": "oidc", "token": token}})
    assert got.json == {"connected": True, "provider": f"oidc:{issuer.url}", "subject": "someone"}
    assert connecting.request("POST", "/auth/oidc/login", {"token": token}).json == {"error": "token already used"}
    signed_in = connecting.request("POST", "/auth/oidc/login", {"token": issuer.token()})
    assert signed_in.json == {
        "authenticated": True,
        "principalId": admin.account.id,
        "scopes": ["bridgeCert", "certMint"],
        "authMethod": f"oidc:{issuer.url}",
    }
    cookie = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    assert connecting.request("POST", "/invites", {}, cookie).status == 403
    assert connecting.request("POST", "/connections", {"proof": {"type": "x509"}}, cookie).status == 403
    listed = admin.ask("GET", "/connections").json["connections"]
    assert [(each["provider"], each["subject"]) for each in listed] == [(f"oidc:{issuer.url}", "someone")]


@pytest.mark.parametrize(
    ("claims", "status", "error"),
    [
        ({"sub": "nobody"}, 403, "unknown identity \u2014 get an invite first"),
        ({"aud": "x"}, 401, "invalid token: wrong audience"),
        ({"iss": "https://accounts.example"}, 401, "invalid token: wrong issuer: https://accounts.example"),
        ({"exp": 1}, 401, "invalid token: token expired"),
    ],
)
def test_a_token_that_signs_nobody_in(
    connecting: Served, issuer: Issuer, claims: Mapping[str, Any], status: int, error: str
) -> None:
    got = connecting.request("POST", "/auth/oidc/login", {"token": issuer.token(**claims)})
    assert got.status == status
    assert got.json["error"].startswith(error)


def test_joining_with_an_identity_connects_it_and_a_bad_token_does_not_use_the_invite_up(
    connecting: Served, issuer: Issuer
) -> None:
    invite = Person(connecting, *accounts.ADMIN).ask("POST", "/invites", {}).json["token"]
    bad = {"token": invite, "proof": {"type": "oidc", "token": "zz"}}
    assert connecting.request("POST", "/join", bad).status == 401
    good = {"token": invite, "proof": {"type": "oidc", "token": issuer.token()}}
    joined = connecting.request("POST", "/join", good)
    assert joined.status == 200
    signed_in = connecting.request("POST", "/auth/oidc/login", {"token": issuer.token()})
    assert signed_in.json["principalId"] == joined.json["principalId"]


def test_an_identity_belongs_to_one_account(connecting: Served, issuer: Issuer) -> None:
    alice, bob = Person(connecting), Person(connecting, email="bob@example.org")
    answers = [
        each.ask("POST", "/connections", {"proof": {"type": "oidc", "token": issuer.token()}}) for each in (alice, bob)
    ]
    assert [each.status for each in answers] == [200, 403]


def test_a_certificate_connects_to_its_own_account_alone(server: Served) -> None:
    alice, bob = Person(server), Person(server, email="bob@example.org")
    pem = server.cert({"type": "session"}, cookie=alice.cookie).json["certificates"]["mtls"]
    proof = {"proof": {"type": "x509", "cert": pem}}
    assert alice.ask("POST", "/connections", proof).json["subject"] == alice.account.id
    assert bob.ask("POST", "/connections", proof).status == 401
    server.world.tick(minutes=6)
    assert alice.ask("POST", "/connections", proof).status == 401
    for garbage in ("zz", server.world.other.trust().anchors[0].certificate.public_bytes(Encoding.PEM).decode()):
        got = alice.ask("POST", "/connections", {"proof": {"type": "x509", "cert": garbage}})
        assert got.status == 401
        assert got.json["error"].startswith("proof verification failed: ")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "proof.type required"),
        ({"proof": {"type": "ssh"}}, "unsupported proof.type: ssh"),
        ({"proof": {"type": "oidc"}}, "proof.token required"),
        ({"proof": {"type": "x509"}}, "proof.cert required (PEM)"),
        ({"proof": "x"}, "proof must be an object"),
    ],
)
def test_a_connection_without_a_proof(shared: Served, body: Mapping[str, Any], error: str) -> None:
    got = Person(shared).ask("POST", "/connections", body)
    assert (got.status, got.json["error"]) == (400, error)


# Programs


def pkce() -> tuple[str, str]:
    """A verifier and its challenge."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).decode().rstrip("=")


def allowed(person: Person, challenge: str, **bent: str) -> Answer:
    """The person's `Allow` on the page."""
    asked = {"state": "S", "challenge": challenge, "agents": "claude-code,codex", "label": "laptop", "port": "50123"}
    return person.submit("/login/program", {**asked, "decision": "allow", **bent})


def code_of(answer: Answer) -> str:
    """The code in the address that the browser goes on to."""
    assert answer.status == 303, answer.body
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def test_a_program_gets_a_session_that_enrols_agents_and_nothing_else(server: Served) -> None:
    alice = Person(server, *accounts.ADMIN)
    verifier, challenge = pkce()
    got = allowed(alice, challenge)
    assert got.headers["location"].startswith("http://127.0.0.1:50123/?code=")
    assert got.headers["location"].endswith("&state=S")
    redeemed = server.request("POST", "/login/redeem", {"code": code_of(got), "verifier": verifier})
    assert redeemed.status == 200
    told = redeemed.json
    assert set(told) == {"session", "expires_at", "principal_id", "display", "email", "agents", "authority"}
    assert [each["agent"] for each in told["agents"]] == ["claude-code", "codex"]
    enrolled = server.cert({"type": "session"}, cookie=told["session"], agent="codex")
    assert enrolled.status == 200
    cookie = {"Cookie": f"notme_session={told['session']}"}
    refused = [
        server.request("POST", "/invites", {}, cookie),
        server.request("POST", "/grants", {"agent": "other"}, cookie),
        server.request("POST", "/admin/rotate", {"kind": "routine"}, cookie),
        server.request("POST", "/auth/passkey/register/options", {}, cookie),
        server.request("POST", "/connections", {"proof": {"type": "x509"}}, cookie),
        server.request("DELETE", f"/grants/{told['agents'][0]['grant']}", headers=cookie),
    ]
    assert [each.status for each in refused] == [403] * 6


def test_a_program_that_comes_again_uses_the_grants_there_are(server: Served) -> None:
    alice = Person(server)
    for _ in range(2):
        verifier, challenge = pkce()
        server.request("POST", "/login/redeem", {"code": code_of(allowed(alice, challenge)), "verifier": verifier})
    assert len(alice.ask("GET", "/grants").json["grants"]) == 2


def test_a_code_is_good_once_for_five_minutes_and_for_the_verifier_of_its_challenge(server: Served) -> None:
    alice, (verifier, challenge) = Person(server), pkce()
    code = code_of(allowed(alice, challenge))
    with ThreadPoolExecutor(20) as pool:
        body = {"code": code, "verifier": verifier}
        answers = list(pool.map(lambda _: server.request("POST", "/login/redeem", body).status, range(20)))
    assert sorted(answers) == [200] + [403] * 19
    stolen = code_of(allowed(alice, challenge))
    for other, status in ((pkce()[0], 403), (verifier, 403), ("short", 400)):
        assert server.request("POST", "/login/redeem", {"code": stolen, "verifier": other}).status == status
    late = code_of(allowed(alice, challenge))
    server.world.tick(minutes=5)
    assert server.request("POST", "/login/redeem", {"code": late, "verifier": verifier}).status == 403


def test_without_a_port_the_code_is_shown(shared: Served) -> None:
    alice, (verifier, challenge) = Person(shared), pkce()
    page = allowed(alice, challenge, port="")
    code = page.body.decode().partition('class="card code">')[2].partition("<")[0]
    assert shared.request("POST", "/login/redeem", {"code": code, "verifier": verifier}).status == 200


def test_a_refusal_and_an_absent_person_allow_nothing(server: Served) -> None:
    alice, (_, challenge) = Person(server), pkce()
    refused = allowed(alice, challenge, decision="refuse")
    assert refused.headers["location"] == "http://127.0.0.1:50123/?error=access_denied&state=S"
    server.world.tick(minutes=6)
    assert allowed(alice, challenge).status == 403
    assert alice.ask("GET", "/grants").json["grants"] == []


@pytest.mark.parametrize(
    "bad",
    [
        {"port": "80"}, {"port": "65536"}, {"port": "1e4"}, {"port": "0050123"}, {"challenge": "short"}, {"state": ""},
        {"state": "x" * 257}, {"label": "x" * 65}, {"label": "a\nb"}, {"agents": "Claude"}, {"lifetime": "10y"},
        {"agents": ",".join(f"a{i}" for i in range(17))},
    ],
    ids=lambda bad: ",".join(f"{name}={value[:12]!r}" for name, value in bad.items()),
)  # fmt: skip
def test_a_program_that_asks_for_what_cannot_be(shared: Served, bad: Mapping[str, str]) -> None:
    asked = {"challenge": pkce()[1], **bad}
    assert allowed(Person(shared), **asked).status == 400


# Other sites


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "OWN", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "OWN"}, 303),
        ({"Origin": "OWN", "Sec-Fetch-Site": "same-origin"}, 303),
        ({}, 403),
    ],
)
def test_a_form_must_come_from_our_own_page(shared: Served, headers: dict[str, str], status: int) -> None:
    alice = Person(shared)
    sent = {name: shared.url if value == "OWN" else value for name, value in headers.items()}
    marks = {"Content-Type": FORM, "Cookie": f"notme_session={alice.cookie}", **sent}
    assert shared.request("POST", "/grants", headers=marks, raw=b"agent=claude-code").status == status


@pytest.mark.parametrize(
    ("headers", "raw", "status"),
    [
        ({"Content-Type": "text/plain"}, b'{"agent":"a"}', 400),
        ({"Content-Type": "application/json", "Origin": "https://evil.example"}, b'{"agent":"a"}', 403),
        ({"Content-Type": "application/json; charset=utf-8"}, b'{"agent":"a"}', 200),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--", 400),
        ({"Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}, b"agent=a&agent=b", 400),
        ({"Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}, b"agent=%ff", 400),
        ({"Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}, b"agent", 400),
        ({"Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}, b"&".join([b"a=b"] * 65), 400),
    ],
)
def test_what_is_neither_our_form_nor_json_is_refused(
    shared: Served, headers: dict[str, str], raw: bytes, status: int
) -> None:
    marks = {"Cookie": f"notme_session={Person(shared).cookie}", **headers}
    assert shared.request("POST", "/grants", headers=marks, raw=raw).status == status


def _field(name: str) -> st.SearchStrategy[bytes]:
    return st.text(max_size=40).map(lambda text: urlencode({name: text}).encode())


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200) | st.sampled_from(["agent", "lifetime", "delegate"]).flatmap(_field))
def test_any_form_gets_a_documented_answer(shared: Served, somebody: Person, raw: bytes) -> None:
    marks = {"Cookie": f"notme_session={somebody.cookie}", "Content-Type": FORM, "Origin": shared.url}
    assert shared.request("POST", "/grants", headers=marks, raw=raw).status in (303, 400, 403)
