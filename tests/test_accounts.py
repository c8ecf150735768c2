"""Accounts and their agents: who is on record, what they may pass on, and what nobody else gets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from attest.errors import Error, RefusedError, UsageError
from attest.types import Authentication
from notme_git.authority import accounts, agents
from notme_git.authority.accounts import Account
from notme_git.authority.agents import Wish
from notme_git.authority.records import Records
from tests.world import World

DOMAIN = "authority.example:8443"


@pytest.fixture
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Records, World]]:
    world = World(tmp_path_factory.mktemp("accounts"))
    with world.opened() as authority:
        yield Records(authority.store), world


Desk = tuple[Records, World]


def make(desk: Desk, email: str = "alice@example.org", scopes: tuple[str, ...] = accounts.MEMBER) -> Account:
    records, world = desk
    with records.store.transaction(durable=False):
        return accounts.create(
            records,
            DOMAIN,
            display="Alice",
            email=email,
            scopes=scopes,
            authentication=Authentication.PASSKEY,
            at=world.now,
        )


def add(desk: Desk, account: Account, wish: Wish) -> object:
    records, world = desk
    with records.store.transaction(durable=False):
        return agents.add(records, DOMAIN, world.id, account, wish, world.now)


def test_an_account_is_a_human_with_a_standing_grant_for_itself(records: Desk) -> None:
    account = make(records)
    stored = records[0].store.grant(account.grant_id).grant
    assert account.principal.id == f"wimse://{DOMAIN}/human/{account.id}"
    assert (stored.actor, stored.represented, stored.scopes) == (account.principal, None, ("bridgeCert", "sign:git"))
    assert accounts.find(records[0], account.id) == account


def test_an_account_without_an_address_gets_one_that_no_mail_reaches(records: Desk) -> None:
    assert make(records, email="").principal.email.endswith("@authority.example.invalid")


def test_a_disabled_account_is_found_no_more_and_disabled_once(records: Desk) -> None:
    account, (store, world) = make(records), records
    with store.store.transaction(durable=False):
        accounts.disable(store, account.id, world.now)
    for again in (lambda: accounts.find(store, account.id), lambda: accounts.disable(store, account.id, world.now)):
        with pytest.raises(RefusedError, match="no such account"):
            again()
    assert (accounts.everybody(store), accounts.count(store)) == ([], 1)


@pytest.mark.parametrize(
    ("display", "email"),
    [("A <b>", ""), (" A", ""), ("A", "no address"), ("", "a@b@c"), ("x" * 129, ""), ("", "a" * 250 + "@b.example")],
)
def test_a_name_or_an_address_that_git_could_not_repeat_is_refused(display: str, email: str) -> None:
    with pytest.raises(UsageError):
        accounts.parse_person(display, email)


def test_an_address_belongs_to_one_account(records: Desk) -> None:
    account = make(records)
    with pytest.raises(RefusedError, match="another account has that address"):
        accounts.check_free(records[0], "ALICE@example.org")
    accounts.check_free(records[0], "alice@example.org", own=account.id)
    accounts.check_free(records[0], "")


def test_an_identity_is_connected_to_one_account(records: Desk) -> None:
    (store, world), alice, bob = records, make(records), make(records, "bob@example.org")
    for _ in range(2):
        accounts.connect(store, alice.id, "oidc:https://ci.example", "job", world.now)
    with pytest.raises(RefusedError, match="connected to another account"):
        accounts.connect(store, bob.id, "oidc:https://ci.example", "job", world.now)
    assert accounts.connected(store, "oidc:https://ci.example", "job") == alice
    assert accounts.connected(store, "oidc:https://ci.example", "other") is None
    assert [each["subject"] for each in accounts.connections_of(store, alice.id)] == ["job"]


def test_a_grant_names_the_agent_below_its_account_and_the_human_as_shown_by_passkey(records: Desk) -> None:
    account = make(records)
    add(records, account, Wish("claude-code", lifetime=timedelta(days=1)))
    (stored,) = agents.of_account(records[0].store, account)
    granted = stored.grant
    assert granted.actor.id == f"wimse://{DOMAIN}/agent/{account.id}/claude-code"
    assert granted.actor.email == f"claude-code@{account.id}.{records[1].id}.invalid"
    assert granted.represented is not None
    assert (granted.represented.id, granted.represented.authentication) == (
        account.principal.id,
        Authentication.PASSKEY,
    )
    assert granted.expires_at - granted.created_at == 86400


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        (Wish("Upper"), "no name for an agent"),
        (Wish("a", ("authorityManage",)), "cannot grant scope you don't have: authorityManage"),
        (Wish("a", ("sign:attestation",)), "cannot grant scope you don't have: sign:attestation"),
        (Wish("a", ("certMint",)), "cannot grant scope you don't have: certMint"),
        (Wish("a", delegate=True), "cannot grant scope you don't have: certMint"),
        (Wish("a", email="bob@example.org"), "another account has that address"),
        (Wish("a", ()), "a grant without a scope grants nothing"),
        (Wish("a", lifetime=timedelta(days=3651)), "a grant lasts"),
        (Wish("a", branches=["x"] * 17), "17 patterns"),
    ],
)
def test_an_account_grants_nothing_that_it_does_not_hold(records: Desk, wish: Wish, error: str) -> None:
    make(records, "bob@example.org")
    account = make(records)
    with pytest.raises(Error, match=error):
        add(records, account, wish)
    assert agents.of_account(records[0].store, account) == []


def test_an_administrator_lets_an_orchestrator_pass_its_grant_on_and_no_agent_administer(records: Desk) -> None:
    account = make(records, scopes=accounts.ADMIN)
    add(records, account, Wish("orchestrator", delegate=True))
    (stored,) = agents.of_account(records[0].store, account)
    assert (stored.grant.delegation_depth, stored.grant.scopes) == (1, ("certMint", "sign:git"))
    with pytest.raises(RefusedError):
        add(records, account, Wish("a", ("authorityManage",)))


def test_the_newest_usable_grant_counts_and_only_ones_own(records: Desk) -> None:
    (store, world), alice, bob = records, make(records), make(records, "bob@example.org")
    assert agents.usable(store.store, alice, "a", world.now) is None
    add(records, alice, Wish("a"))
    found = agents.usable(store.store, alice, "a", world.now)
    assert found is not None
    assert agents.usable(store.store, bob, "a", world.now) is None
    with pytest.raises(RefusedError, match="another's"):
        agents.find(store.store, bob, found.id)
    store.store.revoke_grant(found.id, int(world.now.timestamp()))
    assert agents.usable(store.store, alice, "a", world.now) is None


def test_open_grants_of_one_account_are_bounded(records: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "MAX_OPEN", 2)
    account = make(records)
    add(records, account, Wish("a"))
    add(records, account, Wish("b"))
    with pytest.raises(RefusedError, match="2 grants are open"):
        add(records, account, Wish("c"))
