"""The pages without a browser: who is sent where, what is escaped, and what headers go with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from notme_git.authority import accounts
from notme_git.authority.settings import Limits, Rate, Settings
from tests.passkey import Authenticator
from tests.served import Answer, Served, served
from tests.world import World

FREE = Limits(passkey=Rate(0, 0), code=Rate(0, 0))
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
CHALLENGE = "A" * 43


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(World(tmp_path_factory.mktemp("pages")), Settings(limits=FREE)) as running:
        yield running


@pytest.fixture(scope="module")
def settled(server: Served) -> str:
    """A server on which somebody has a passkey: the cookie's value of an administrator."""
    key = Authenticator(server.url)
    begun = server.request("POST", "/auth/passkey/register/options", {"bootstrapCode": server.code()}).json
    body = {"userId": begun["userId"], "response": key.create(begun["options"])}
    made = server.request("POST", "/auth/passkey/register/verify", body)
    return made.headers["set-cookie"].partition(";")[0].partition("=")[2]


def page(server: Served, path: str, cookie: str = "", **headers: str) -> Answer:
    signed_in: Mapping[str, str] = {"Cookie": f"notme_session={cookie}"} if cookie else {}
    return server.request("GET", path, headers={**PAGE, **signed_in, **headers})


def test_before_anybody_has_a_passkey_the_login_asks_for_the_operators_code(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with served(World(tmp_path_factory.mktemp("new"))) as server:
        assert b"Become the first administrator" in page(server, "/login").body


@pytest.mark.parametrize("path", ["/account", "/admin", "/passkey", "/me"])
def test_a_stranger_is_sent_to_the_login(server: Served, path: str) -> None:
    got = page(server, path)
    assert got.status in (302, 303)
    assert "/login" in got.headers["location"]


@pytest.mark.parametrize("path", ["/", "/login", "/me", "/account", "/admin", "/passkey", "/join?t=x"])
def test_every_page_allows_only_our_own_files_and_is_kept_nowhere(server: Served, settled: str, path: str) -> None:
    got = page(server, path, settled)
    assert (got.status, got.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = got.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert got.headers["cache-control"] == "no-store"
    assert b"<script>" not in got.body
    assert b" style=" not in got.body


@pytest.mark.parametrize("name", ["style.css", "webauthn.js", "icon.svg"])
def test_the_files_of_a_page_are_there_and_nothing_else(server: Served, name: str) -> None:
    assert server.request("GET", f"/web/{name}").status == 200
    for other in ("templates", "..%2Fca.py", "%2e%2e/ca.py", "none.css"):
        assert server.request("GET", f"/web/{other}").status == 404


@pytest.mark.parametrize(
    ("then", "leads"),
    [("/admin", "/admin"), ("https://evil.example", "/me"), ("//evil.example", "/me"), ("/\\evil", "/me"), ("", "/me")],
)
def test_signing_in_leads_nowhere_else(server: Served, settled: str, then: str, leads: str) -> None:
    assert settled
    got = page(server, f"/login?{urlencode({'then': then})}")
    assert f'data-then="{leads}"' in got.body.decode()


def test_who_is_not_signed_in_signs_in_first_and_comes_back_to_the_program(server: Served, settled: str) -> None:
    assert settled
    asked = urlencode({"challenge": CHALLENGE, "label": '"><script>alert(1)</script>', "agents": "a"})
    body = page(server, f"/login/program?{asked}").body.decode()
    assert "<script>alert" not in body
    assert 'data-then="/login/program?challenge=AAA' in body


def test_what_people_call_themselves_is_escaped(server: Served) -> None:
    account = server.account(*accounts.ADMIN, display='&amp; "quoted" {{ 7 * 7 }}', email="quoted@example.org")
    body = page(server, "/admin", server.cookie(account)).body.decode()
    assert "&amp;amp; &#34;quoted&#34; {{ 7 * 7 }}" in body


def test_a_member_sees_no_administration(server: Served) -> None:
    cookie = server.cookie(server.account(email="member@example.org"))
    got = page(server, "/admin", cookie)
    assert (got.status, b"authorityManage scope required" in got.body) == (403, True)
    assert b'href="/admin"' not in page(server, "/me", cookie).body


def test_after_a_quarter_of_an_hour_a_page_asks_for_the_passkey_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    with served(World(tmp_path_factory.mktemp("later"))) as server:
        cookie = server.cookie(server.account(*accounts.ADMIN))
        server.world.tick(minutes=16)
        for path in ("/me", "/admin", "/passkey"):
            assert b"Show it again" in page(server, path, cookie).body
        assert b'name="recovery_key"' not in page(server, "/admin", cookie).body


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:8788", "http://localhost:8788"),
        ("http://[::1]:8788", "http://localhost:8788"),
        ("http://127.0.0.1", "http://localhost"),
        ("http://localhost:8788", "http://localhost:8788"),
        ("https://authority.example", "https://authority.example"),
        ("https://authority.example:8443", "https://authority.example:8443"),
    ],
)
def test_people_come_by_a_name(url: str, origin: str) -> None:
    assert Settings(url=url).origin == origin


def test_an_authority_at_a_loopback_address_has_its_passkeys_under_localhost(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with served(World(tmp_path_factory.mktemp("address"))) as server:
        named, numbered = server.url, server.url.replace("localhost", "127.0.0.1")
        server.desk.settings = replace(server.desk.settings, url=numbered)
        host = numbered.removeprefix("http://")
        for path in ("/", "/login?then=/admin", "/me", "/join?t=x"):
            got = page(server, path, Host=host)
            assert (got.status, got.headers["location"]) == (303, named + path)
        begun = server.request("POST", "/auth/passkey/register/options", {"bootstrapCode": server.code()}).json
        assert begun["options"]["rp"]["id"] == "localhost"
        body = {"userId": begun["userId"], "response": Authenticator(named).create(begun["options"])}
        assert server.request("POST", "/auth/passkey/register/verify", body, {"Origin": named}).status == 200


def test_an_error_is_a_page_for_a_person_and_json_for_a_program(server: Served) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": server.url}
    for_person = server.request("POST", "/grants", headers={**form, **PAGE}, raw=b"agent=a")
    assert (for_person.status, b"Sign in again" in for_person.body) == (401, True)
    for_program = server.request("POST", "/grants", headers=form, raw=b"agent=a")
    assert (for_program.status, for_program.json) == (401, {"error": "sign in first"})


def test_the_start_tells_a_program_where_things_are(server: Served) -> None:
    told = server.request("GET", "/", headers={"Accept": "application/json"}).json
    assert (told["status"], told["authority_url"]) == ("operational", server.url)
    assert set(told["endpoints"]) == {"cert", "cert_gha", "token", "login", "ca_bundle"}
    for url in (*told["endpoints"].values(), told["discovery"], told["public_key_url"]):
        assert server.request("POST", url.removeprefix(server.url)).status != 404  # upstream has no GET /cert


def test_live_certificates_are_those_of_the_last_five_minutes(server: Served) -> None:
    cookie = server.cookie(server.account(email="live@example.org"))
    assert server.cert({"type": "session"}, cookie=cookie).status == 200
    assert b"2 of profile notme" in page(server, "/me", cookie).body
    server.world.tick(minutes=5)
    assert b"2 of profile notme" not in page(server, "/me", cookie).body
