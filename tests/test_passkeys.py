"""Passkeys over a real server: who may register one, what signs in, and what an answer cannot get away with."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attest.errors import Error
from notme_git.authority import accounts, invites, passkeys
from notme_git.authority.settings import Limits, Rate, Settings
from tests.passkey import PRESENT, Authenticator, b64
from tests.served import Answer, Served, served
from tests.world import World

FREE = Limits(passkey=Rate(0, 0), code=Rate(0, 0))
REGISTER, LOGIN = "/auth/passkey/register", "/auth/passkey/login"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path), Settings(limits=FREE)) as running:
        yield running


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests that need none of their own: whoever comes may register."""
    world = World(tmp_path_factory.mktemp("open"))
    with served(world, Settings(limits=FREE, open_registration=True)) as running:
        yield running


def cookie_of(answer: Answer) -> str:
    """The cookie header that goes back after an answer."""
    return answer.headers["set-cookie"].partition(";")[0]


def begin(server: Served, cookie: str = "", **body: Any) -> Answer:
    """Registration's options."""
    return server.request("POST", f"{REGISTER}/options", body, {"Cookie": cookie} if cookie else {})


def finish(server: Served, begun: Answer, key: Authenticator) -> Answer:
    """The authenticator's answer to them."""
    told = begun.json
    body = {"userId": told["userId"], "response": key.create(told["options"])}
    return server.request("POST", f"{REGISTER}/verify", body)


def registered(server: Served, key: Authenticator, **body: Any) -> Answer:
    """A passkey registered with the operator's code."""
    return finish(server, begin(server, bootstrapCode=server.code(), **body), key)


def login(server: Served, key: Authenticator) -> Answer:
    """Signing in."""
    options = server.request("POST", f"{LOGIN}/options", {}).json
    return server.request("POST", f"{LOGIN}/verify", {"response": key.get(options)})


def recovery_code(server: Served) -> str:
    """An operator's code that also lets somebody in where there are administrators."""
    code = server.code()[::-1]
    ends = int(server.world.now.timestamp()) + 900

    def keep(desk: Any) -> None:
        with desk.authority.store.transaction(durable=True):
            desk.records.keep("bootstrap", code, json.dumps({"recovery": True}), ends)

    server.within(keep)
    return code


def test_the_operators_code_makes_the_first_administrator_who_can_then_sign_in(server: Served) -> None:
    key = Authenticator(server.url)
    begun = begin(server, bootstrapCode=server.code(), display="Alice", email="alice@example.org")
    assert begun.status == 200
    assert (begun.json["isFirstUser"], begun.json["scopes"]) == (True, list(accounts.ADMIN))
    assert begun.json["options"]["rp"] == {"name": "notme", "id": "localhost"}
    made = finish(server, begun, key)
    assert (made.status, made.json) == (200, {"verified": True, "scopes": list(accounts.ADMIN)})
    signed_in = login(server, key)
    assert signed_in.json == {"verified": True, "userId": begun.json["userId"], "isAdmin": True}
    me = server.request("GET", "/me", headers={"Cookie": cookie_of(signed_in), "Accept": "application/json"})
    assert (me.json["authenticated"], me.json["userId"]) == (True, begun.json["userId"])


def test_the_cookie_is_for_this_site_and_no_script(open_server: Served) -> None:
    made = finish(open_server, begin(open_server), Authenticator(open_server.url))
    attributes = made.headers["set-cookie"].partition("; ")[2]
    assert attributes == "HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=86400"


def test_registration_is_closed_without_a_code_and_with_a_wrong_or_used_one(server: Served) -> None:
    code = server.code()
    nothing, wrong = begin(server), begin(server, bootstrapCode="wrong")
    assert (nothing.status, wrong.status) == (401, 403)
    assert wrong.json == {"error": "invalid or already-used bootstrap code"}
    assert finish(server, begin(server, bootstrapCode=code), Authenticator(server.url)).status == 200
    assert begin(server, bootstrapCode=code).status == 403
    assert begin(server).json["error"].startswith("registration is closed")


def test_a_first_code_is_worth_nothing_once_somebody_has_a_passkey_and_a_recovery_code_is(server: Served) -> None:
    early = begin(server, bootstrapCode=server.code())
    registered(server, Authenticator(server.url))
    assert begin(server, bootstrapCode=server.code()).status == 403
    assert finish(server, early, Authenticator(server.url)).status == 403
    again = finish(server, begin(server, bootstrapCode=recovery_code(server)), Authenticator(server.url))
    assert again.json["scopes"] == list(accounts.ADMIN)


def test_a_ceremony_that_is_given_up_does_not_use_the_code_up(server: Served) -> None:
    code = server.code()
    begin(server, bootstrapCode=code)
    assert finish(server, begin(server, bootstrapCode=code), Authenticator(server.url)).status == 200


def test_open_registration_gives_members_and_no_more(open_server: Served) -> None:
    begun = begin(open_server, display="Bob", email="bob@example.org")
    assert finish(open_server, begun, Authenticator(open_server.url)).json["scopes"] == ["bridgeCert"]
    taken = begin(open_server, display="Robert", email="BOB@example.org")
    assert (taken.status, taken.json["error"]) == (403, "another account has that address")


def test_who_is_signed_in_adds_a_further_passkey_to_the_same_account(open_server: Served) -> None:
    first, second = Authenticator(open_server.url), Authenticator(open_server.url)
    cookie = cookie_of(finish(open_server, begin(open_server), first))
    begun = begin(open_server, cookie)
    assert [each["id"] for each in begun.json["options"]["excludeCredentials"]] == [b64(first.id)]
    assert finish(open_server, begun, second).status == 200
    assert login(open_server, first).json["userId"] == login(open_server, second).json["userId"]


def test_a_passkey_is_added_only_soon_after_signing_in_by_hand(server: Served) -> None:
    account = server.account()
    token = f"notme_session={server.cookie(account, method='oidc:https://ci.example')}"
    assert begin(server, token).status == 403
    cookie = f"notme_session={server.cookie(account)}"
    server.world.tick(minutes=16)
    assert begin(server, cookie).status == 403


def test_a_passkey_is_registered_once(open_server: Served) -> None:
    key = Authenticator(open_server.url)
    cookie = cookie_of(finish(open_server, begin(open_server), key))
    again = finish(open_server, begin(open_server, cookie), key)
    assert (again.status, again.json["error"]) == (403, "that passkey is registered already")


def _framed(made: dict[str, Any]) -> None:
    said = json.loads(_unb64(made["response"]["clientDataJSON"]))
    made["response"]["clientDataJSON"] = b64(json.dumps({**said, "crossOrigin": True}).encode())


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize(
    ("origin", "flags", "bend", "status"),
    [
        ("http://localhost:1", 0x05, None, 401),
        ("", 0x04, None, 401),
        ("", 0x05, _framed, 400),
        ("", 0x05, lambda made: made["response"].update(signature=b64(bytes(70))), 401),
        ("", 0x05, lambda made: made["response"].update(authenticatorData=b64(bytes(37))), 401),
        ("", 0x05, lambda made: made.update(rawId=b64(bytes(32))), 401),
        ("", 0x05, lambda made: made.update(rawId=5), 400),
        ("", 0x05, lambda made: made["response"].pop("signature"), 401),
        ("", 0x05, lambda made: made["response"].update(clientDataJSON="zz"), 400),
        ("", PRESENT, None, 200),
    ],
    ids=[
        "another origin",
        "nobody present",
        "in a frame",
        "another signature",
        "another site's data",
        "unknown credential",
        "no credential id",
        "no signature",
        "no client data",
        "present but not verified",
    ],
)
def test_a_login_that_is_not_what_it_should_be(
    open_server: Served, origin: str, flags: int, bend: Callable[[dict[str, Any]], None] | None, status: int
) -> None:
    key = Authenticator(open_server.url)
    finish(open_server, begin(open_server), key)
    key.origin, key.flags = origin or key.origin, flags
    made = key.get(open_server.request("POST", f"{LOGIN}/options", {}).json)
    if bend is not None:
        bend(made)
    got = open_server.request("POST", f"{LOGIN}/verify", {"response": made})
    assert got.status == status, got.body
    assert ("set-cookie" in got.headers) == (status == 200)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "userId and response required"),
        ({"userId": "x"}, "userId and response required"),
        ({"userId": 1, "response": {}}, "userId must be a text"),
        ({"userId": "x", "response": {}}, "clientDataJSON is not base64url of a WebAuthn client data object"),
        ({"userId": "x", "response": {}, "more": 1}, "unknown field: more"),
    ],
)
def test_a_malformed_registration_is_told_so(open_server: Served, body: Mapping[str, Any], error: str) -> None:
    got = open_server.request("POST", f"{REGISTER}/verify", body)
    assert (got.status, got.json["error"]) == (400, error)


def test_a_registration_from_another_origin_or_for_another_user_makes_no_account(server: Served) -> None:
    begun = begin(server, bootstrapCode=server.code())
    assert finish(server, begun, Authenticator("https://evil.example")).status == 400
    begun = begin(server, bootstrapCode=server.code())
    body = {"userId": "somebody-else", "response": Authenticator(server.url).create(begun.json["options"])}
    got = server.request("POST", f"{REGISTER}/verify", body)
    assert (got.status, got.json["error"]) == (400, "no pending registration challenge")
    assert server.within(lambda desk: accounts.count(desk.records)) == 0


def test_a_challenge_is_good_once_and_for_five_minutes(server: Served) -> None:
    key = Authenticator(server.url)
    begun = begin(server, bootstrapCode=server.code())
    assert [finish(server, begun, key).status for _ in range(2)] == [200, 400]
    options = server.request("POST", f"{LOGIN}/options", {}).json
    statuses = [server.request("POST", f"{LOGIN}/verify", {"response": key.get(options)}).status for _ in range(2)]
    assert statuses == [200, 401]
    late = server.request("POST", f"{LOGIN}/options", {}).json
    server.world.tick(minutes=5)
    assert server.request("POST", f"{LOGIN}/verify", {"response": key.get(late)}).status == 401


def test_of_twenty_answers_at_once_one_is_good(open_server: Served) -> None:
    key = Authenticator(open_server.url)
    finish(open_server, begin(open_server), key)
    options = open_server.request("POST", f"{LOGIN}/options", {}).json
    body = {"response": key.get(options)}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: open_server.request("POST", f"{LOGIN}/verify", body).status, range(20)))
    assert sorted(answers) == [200] + [401] * 19


def test_of_twenty_registrations_with_one_code_one_is_good(server: Served) -> None:
    code = server.code()
    begun = [begin(server, bootstrapCode=code) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda each: finish(server, each, Authenticator(server.url)).status, begun))
    assert sorted(answers) == [200] + [403] * 19
    assert server.within(lambda desk: passkeys.count(desk.records)) == (1, 1)


def test_a_counter_that_does_not_grow_is_refused(open_server: Served) -> None:
    key = Authenticator(open_server.url, sign_count=5)
    finish(open_server, begin(open_server), key)
    statuses = []
    for count in (6, 6, 3, 7):
        key.sign_count = count
        statuses.append(login(open_server, key).status)
    assert statuses == [200, 401, 401, 200]


def test_a_disabled_account_does_not_sign_in(open_server: Served) -> None:
    key = Authenticator(open_server.url)
    finish(open_server, begin(open_server), key)
    name = login(open_server, key).json["userId"]

    def disable(desk: Any) -> None:
        with desk.authority.store.transaction(durable=True):
            accounts.disable(desk.records, name, open_server.world.now)

    open_server.within(disable)
    assert login(open_server, key).status == 401


def test_a_reset_takes_a_recovery_code_and_ends_passkeys_sessions_and_invites(server: Served) -> None:
    key = Authenticator(server.url)
    cookie = cookie_of(registered(server, key))
    invite = server.request("POST", "/invites", {}, {"Cookie": cookie}).json["token"]
    assert server.request("POST", "/auth/passkey/reset", {"bootstrapCode": "wrong"}).status == 403
    plain = server.code()
    assert server.request("POST", "/auth/passkey/reset", {"bootstrapCode": plain}).status == 403
    done = server.request("POST", "/auth/passkey/reset", {"bootstrapCode": recovery_code(server)})
    assert (done.status, done.json) == (200, {"ok": True, "deleted": 1})
    assert login(server, key).status == 401
    assert server.request("GET", "/me", headers={"Cookie": cookie}).status == 302
    assert not server.within(lambda desk: invites.is_open(desk.records, invite, server.world.now))
    assert begin(server, bootstrapCode=plain).json["isFirstUser"] is True


def test_the_counts_are_for_administrators(server: Served) -> None:
    cookie = cookie_of(registered(server, Authenticator(server.url)))
    member = f"notme_session={server.cookie(server.account())}"
    path = "/auth/passkey/status"
    assert server.request("GET", path).status == 401
    assert server.request("GET", path, headers={"Cookie": member}).json == {"error": "admin required"}
    told = server.request("GET", path, headers={"Cookie": cookie}).json
    assert told["passkey"] == {"users": 1, "credentials": 1, "admins": 1}
    assert set(told["authority"]) == {"epoch", "seqno", "keyId"}


def test_ceremonies_are_limited_by_client_address(tmp_path: Path) -> None:
    with served(World(tmp_path), Settings(limits=Limits(passkey=Rate(5, 60)))) as server:
        answers = [server.request("POST", f"{LOGIN}/options", {}) for _ in range(6)]
        assert [each.status for each in answers] == [200] * 5 + [429]
        assert answers[-1].json == {"error": "rate_limited"}
        server.world.tick(seconds=60)
        assert server.request("POST", f"{LOGIN}/options", {}).status == 200


def test_another_site_cannot_sign_somebody_in(open_server: Served) -> None:
    got = open_server.request("POST", f"{LOGIN}/options", {}, {"Origin": "https://evil.example"})
    assert (got.status, got.json["error"]) == (403, "cross-site request refused")


_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_RESPONSE = st.fixed_dictionaries(
    {},
    optional={
        "id": _JSON,
        "rawId": _JSON | st.binary(max_size=40).map(b64),
        "type": st.just("public-key") | _JSON,
        "clientExtensionResults": _JSON,
        "response": st.fixed_dictionaries(
            {},
            optional={
                name: _JSON | st.binary(max_size=80).map(b64)
                for name in ("attestationObject", "authenticatorData", "signature", "userHandle")
            }
            | {
                "clientDataJSON": _JSON
                | _JSON.map(lambda said: b64(json.dumps(said).encode()))
                | st.sampled_from(["webauthn.create", "webauthn.get"]).map(
                    lambda kind: b64(
                        json.dumps({"type": kind, "challenge": "A" * 43, "origin": "http://localhost"}).encode()
                    )
                )
            },
        ),
    },
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(_RESPONSE)
def test_any_response_gets_a_documented_error(open_server: Served, response: dict[str, Any]) -> None:
    created = open_server.request("POST", f"{REGISTER}/verify", {"userId": "x", "response": response})
    got = open_server.request("POST", f"{LOGIN}/verify", {"response": response})
    assert (created.status, got.status in (400, 401)) == (400, True)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(_RESPONSE)
def test_any_answer_to_a_claimed_challenge_is_refused(response: dict[str, Any]) -> None:
    with pytest.raises(Error):
        passkeys.verify_registration(Settings(), response)
