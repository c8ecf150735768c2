"""Sessions: what a cookie's value opens, for how long, and what nobody can make of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attest.errors import RefusedError
from attest.types import Authentication
from notme_git.authority import accounts, sessions
from notme_git.authority.records import Records
from notme_git.authority.sessions import Session
from tests.world import World

DAY = timedelta(hours=24)


class Office:
    """An authority's records, with one account."""

    def __init__(self, records: Records, world: World) -> None:
        self.records, self.world = records, world
        with records.store.transaction(durable=False):
            self.account = accounts.create(
                records,
                "authority.example",
                display="Alice",
                email="alice@example.org",
                scopes=accounts.ADMIN,
                authentication=Authentication.PASSKEY,
                at=world.now,
            )

    def begin(
        self, method: str = "passkey", scopes: tuple[str, ...] = accounts.ADMIN, *, program: bool = False
    ) -> Session:
        """A new session of the account."""
        with self.records.store.transaction(durable=False):
            return sessions.begin(
                self.records,
                self.account,
                method,
                scopes=scopes,
                label="a browser",
                lifetime=DAY,
                program=program,
                at=self.world.now,
            )

    def verify(self, value: str) -> Session:
        """What opens with a cookie's value now."""
        return sessions.verify(self.records, value, self.world.now)

    def write(self, work: Callable[[Records, datetime], object]) -> None:
        """Work in a transaction."""
        with self.records.store.transaction(durable=False):
            work(self.records, self.world.now)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    world = World(tmp_path_factory.mktemp("office"))
    with world.opened() as authority:
        records = Records(authority.store)
        sessions.prepare(records)
        yield Office(records, world)


def test_what_was_begun_opens_the_same_session(office: Office) -> None:
    begun = office.begin()
    assert office.verify(begun.value) == begun


def test_a_cookie_has_upstreams_form_and_order_and_two_names_more(office: Office) -> None:
    payload, _, mac = office.begin().value.partition(".")
    told = json.loads(base64.urlsafe_b64decode(payload))
    upstream = ["principalId", "scopes", "authMethod", "exp", "userId", "isAdmin"]
    assert list(told) == [*upstream, "sid", "key"]
    assert len(base64.urlsafe_b64decode(mac)) == 32
    assert (told["principalId"], told["userId"], told["isAdmin"]) == (office.account.id, office.account.id, True)


def test_a_session_ends_at_its_time(office: Office) -> None:
    value = office.begin().value
    at = office.world.now
    assert sessions.verify(office.records, value, at + DAY - timedelta(seconds=1)).value == value
    with pytest.raises(RefusedError, match="invalid session"):
        sessions.verify(office.records, value, at + DAY)


def test_a_session_holds_no_more_than_the_account_and_no_more_than_it_was_given(office: Office) -> None:
    begun = office.begin(scopes=("bridgeCert", "sign:git"))
    assert office.verify(begun.value).scopes == ("bridgeCert",)
    assert not begun.manages


@pytest.mark.parametrize(
    ("method", "program", "present"),
    [
        ("passkey", False, True),
        ("invite", False, True),
        ("bootstrap", False, True),
        ("oidc:https://ci.example", False, False),
        ("passkey", True, False),
    ],
)
def test_who_counts_as_present(office: Office, method: str, program: bool, present: bool) -> None:
    session = office.verify(office.begin(method, program=program).value)
    at = office.world.now
    assert session.was_present(at + timedelta(minutes=15)) is present
    assert not session.was_present(at + timedelta(minutes=16))


@pytest.mark.parametrize("end", ["revoke", "revoke_of", "revoke_all", "disable"])
def test_a_session_that_was_ended_is_over(tmp_path: Path, end: str) -> None:
    world = World(tmp_path)
    with world.opened() as authority:
        records = Records(authority.store)
        sessions.prepare(records)
        office = Office(records, world)
        session = office.begin()
        ways: dict[str, Callable[[Records, datetime], object]] = {
            "revoke": lambda records, at: sessions.revoke(records, session.id, session.account.id, at),
            "revoke_of": lambda records, at: sessions.revoke_of(records, session.account.id, at),
            "revoke_all": sessions.revoke_all,
            "disable": lambda records, at: accounts.disable(records, session.account.id, at),
        }
        assert sessions.is_live(records, session.id, world.now)
        office.write(ways[end])
        assert not sessions.is_live(records, session.id, world.now)
        with pytest.raises(RefusedError, match="invalid session"):
            office.verify(session.value)


def test_a_session_of_another_account_cannot_be_ended(office: Office) -> None:
    session = office.begin()
    with pytest.raises(RefusedError, match="no such session"):
        office.write(lambda records, at: sessions.revoke(records, session.id, "somebody", at))


def _resigned(office: Office, value: str, **changed: object) -> str:
    """The same cookie with other contents, signed with the server's own secret: who reads the database could."""
    told = {**json.loads(base64.urlsafe_b64decode(value.partition(".")[0])), **changed}
    text = json.dumps(told, separators=(",", ":")).encode()
    mac = sessions._mac(office.records, text)
    return f"{base64.urlsafe_b64encode(text).decode()}.{base64.urlsafe_b64encode(mac).decode()}"


def test_the_database_alone_does_not_make_a_cookie(office: Office) -> None:
    value = office.begin().value
    assert office.verify(_resigned(office, value)).account == office.account
    with pytest.raises(RefusedError):
        office.verify(_resigned(office, value, key="guess"))
    with pytest.raises(RefusedError):
        office.verify(_resigned(office, value, sid="0" * 32))


def test_scopes_written_into_a_cookie_give_nothing(office: Office) -> None:
    value = office.begin(scopes=("bridgeCert",)).value
    assert office.verify(_resigned(office, value, scopes=["authorityManage"], isAdmin=True)).scopes == ("bridgeCert",)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda data: base64.urlsafe_b64encode(data).decode() + "."))
def test_any_text_is_no_session(office: Office, text: str) -> None:
    with pytest.raises(RefusedError):
        office.verify(text)


@settings(max_examples=100)
@given(st.data())
def test_a_cookie_with_one_sign_changed_is_no_session(office: Office, data: st.DataObject) -> None:
    value = office.begin().value
    at = data.draw(st.integers(0, len(value) - 1))
    sign = data.draw(st.sampled_from("AZaz09-_.=").filter(lambda each: each != value[at]))
    with pytest.raises(RefusedError):
        office.verify(value[:at] + sign + value[at + 1 :])


def test_an_unpadded_cookie_is_another_spelling_and_refused(office: Office) -> None:
    payload, _, mac = office.begin().value.partition(".")
    with pytest.raises(RefusedError):
        office.verify(f"{payload}.{mac.rstrip('=')}")


def test_the_list_shows_live_sessions_and_no_secret(office: Office) -> None:
    session = office.begin()
    listed = sessions.of_account(office.records, session.account.id, office.world.now)
    assert session.id in [each["id"] for each in listed]
    assert set(listed[0]) == {"id", "method", "label", "created_at", "expires_at", "present_at", "verified"}
