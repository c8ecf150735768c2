"""Invites: one use, a bounded life, and never more than the inviter may give when it is used."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from attest.errors import RefusedError
from attest.types import Authentication
from notme_git.authority import accounts, embedded, invites
from notme_git.authority.accounts import Account
from notme_git.authority.invites import Invite
from notme_git.authority.records import Records
from notme_git.authority.records import accounts as table
from tests.world import World

HOUR = timedelta(hours=1)


class Office:
    """Records with an administrator who invites."""

    def __init__(self, records: Records, world: World) -> None:
        self.records, self.world = records, world
        with records.store.transaction(durable=False):
            self.admin = accounts.create(
                records,
                "authority.example",
                display="Alice",
                email="alice@example.org",
                scopes=accounts.ADMIN,
                authentication=Authentication.PASSKEY,
                at=world.now,
            )

    def invite(self, *scopes: str, display: str = "", email: str = "") -> Invite:
        with self.records.store.transaction(durable=False):
            return invites.create(
                self.records,
                self.admin,
                scopes or accounts.MEMBER,
                HOUR,
                display=display,
                email=email,
                at=self.world.now,
            )

    def accept(self, token: str, *, display: str = "", email: str = "") -> Account:
        with self.records.store.transaction(durable=False):
            return invites.accept(
                self.records, "authority.example", token, display=display, email=email, at=self.world.now
            )


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    world = World(tmp_path_factory.mktemp("invites"))
    with world.opened() as authority:
        yield Office(Records(authority.store), world)


def test_an_invite_is_used_once(office: Office) -> None:
    token = office.invite().token
    assert invites.is_open(office.records, token, office.world.now)
    office.accept(token)
    assert not invites.is_open(office.records, token, office.world.now)
    with pytest.raises(RefusedError, match="invalid or expired invite"):
        office.accept(token)


def test_an_invite_ends_at_its_time(office: Office) -> None:
    token = office.invite().token
    office.world.tick(hours=1)
    assert not invites.is_open(office.records, token, office.world.now)
    with pytest.raises(RefusedError):
        office.accept(token)


def test_what_the_inviter_wrote_down_stands_and_the_guest_fills_the_rest(office: Office) -> None:
    named = office.accept(office.invite(email="bob@example.org").token, display="Bob", email="eve@example.org")
    assert (named.principal.display, named.principal.email) == ("Bob", "bob@example.org")
    own = office.accept(office.invite(display="Carol").token, display="Mallory", email="carol@example.org")
    assert (own.principal.display, own.principal.email) == ("Carol", "carol@example.org")


def test_a_guest_cannot_take_anothers_address_and_the_invite_stays_open(office: Office) -> None:
    token = office.invite().token
    with pytest.raises(RefusedError, match="another account has that address"):
        office.accept(token, email="alice@example.org")
    assert office.accept(token, email="bob@example.org").scopes == accounts.MEMBER


def test_an_address_is_one_guests_alone(office: Office) -> None:
    first, second, nameless = (office.invite(email=email).token for email in ("bob@example.org", "BOB@example.org", ""))
    with pytest.raises(RefusedError, match="kept for another guest"):
        office.accept(nameless, email="Bob@example.org")
    office.accept(first)
    with pytest.raises(RefusedError, match="another account has that address"):
        office.accept(second)


def test_an_invite_gives_no_more_than_the_inviter_holds_when_it_is_used(office: Office) -> None:
    token = office.invite("bridgeCert", "certMint").token
    left = update(table).where(table.c.id == office.admin.id)
    office.records.run(left.values(scopes=json.dumps(["bridgeCert", "authorityManage"])))
    with pytest.raises(RefusedError):
        office.accept(token)


def test_an_invite_of_a_disabled_account_is_worth_nothing(office: Office) -> None:
    token = office.invite().token
    accounts.disable(office.records, office.admin.id, office.world.now)
    with pytest.raises(RefusedError):
        office.accept(token)


def test_all_invites_can_be_voided(office: Office) -> None:
    token = office.invite().token
    invites.void_all(office.records, office.world.now)
    with pytest.raises(RefusedError):
        office.accept(token)


def _take_invite(records: Records, secret: str, at: datetime) -> object:
    return invites.accept(records, "authority.example", secret, at=at)


def _claim_code(records: Records, secret: str, at: datetime) -> object:
    return records.claim("bootstrap", secret, int(at.timestamp()))


def _take_nonce(records: Records, secret: str, at: datetime) -> None:
    records.take("nonce", secret, int(at.timestamp()) + 300)


@pytest.mark.parametrize("use", [_take_invite, _claim_code, _take_nonce])
def test_of_twelve_connections_at_once_one_uses_what_is_good_once(
    office: Office, use: Callable[[Records, str, datetime], object]
) -> None:
    """Each with a connection of its own, as the processes of a server have."""
    secret, home, at = office.invite().token, office.world.home, office.world.now
    with office.records.store.transaction(durable=False):
        office.records.keep("bootstrap", secret, "{}", int(at.timestamp()) + 900)
    together = threading.Barrier(12)

    def attempt(_: int) -> bool:
        with embedded.opened(home) as authority:
            records = Records(authority.store)
            together.wait(20)
            try:
                with authority.store.transaction(durable=False):
                    use(records, secret, at)
            except RefusedError:
                return False
            return True

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(attempt, range(12))) == 1


@pytest.mark.parametrize(
    ("giver", "wanted", "error"),
    [
        (("bridgeCert",), ("bridgeCert",), "authorityManage scope required"),
        (accounts.ADMIN, ("sign:git",), "cannot grant scope you don't have: sign:git"),
        (accounts.ADMIN, ("x" * 200,), "cannot grant scope you don't have: x{64}$"),
    ],
)
def test_what_may_not_be_given(giver: tuple[str, ...], wanted: tuple[str, ...], error: str) -> None:
    with pytest.raises(RefusedError, match=error):
        invites.check_grantable(giver, wanted)


def test_the_token_is_not_in_the_database(office: Office) -> None:
    token = office.invite().token
    files = [path.read_bytes() for path in (office.world.home / "authority").glob("authority.db*")]
    assert files
    assert all(token.encode() not in data for data in files)
