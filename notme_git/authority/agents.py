"""The agents of an account: grants by which a human of a team lets an agent act for them.

Two people may call their agents alike. So an agent's URI lies below its account, and the address it gets without one
of its own, too. A grant gives nothing that its giver does not hold.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from attest.errors import RefusedError
from attest.types import Authentication, Grant
from notme_git.authority import accounts, grants, identity
from notme_git.authority.accounts import Account
from notme_git.authority.records import Records
from notme_git.authority.store import Store, StoredGrant

MAX_OPEN = 256
"""Usable grants of one account."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to grant an agent. Without an address it gets one to which no mail can go."""

    agent: str
    scopes: tuple[str, ...] = (accounts.GIT,)
    lifetime: timedelta = timedelta(days=30)
    email: str = ""
    repositories: Sequence[str] = ()
    branches: Sequence[str] = ()
    delegate: bool = False


def add(records: Records, trust_domain: str, authority_id: str, account: Account, wish: Wish, at: datetime) -> Grant:
    """A new grant by `account`, present with a passkey. The caller holds the transaction.

    `UsageError` for what no grant can say, `RefusedError` for what the account does not hold or may not give.
    """
    made = grants.new_grant(
        authority_id,
        wish.agent,
        replace(account.principal, authentication=Authentication.PASSKEY),
        email=wish.email or f"{grants.parse_agent(wish.agent)}@{account.id}.{authority_id}.invalid",
        scopes=wish.scopes,
        expires=wish.lifetime,
        repositories=wish.repositories,
        branches=wish.branches,
        at=at,
        grant_id=str(uuid.uuid4()),
        delegation_depth=int(wish.delegate),
    )
    _check_given(records, account, made)
    if wish.email:
        _check_outside(wish.email, authority_id)
    if sum(is_open(each, at) for each in of_account(records.store, account)) >= MAX_OPEN:
        raise RefusedError(f"{MAX_OPEN} grants are open", hint="revoke some")
    name = identity.uri(trust_domain, "agent", account.id, wish.agent)
    made = replace(made, actor=replace(made.actor, id=name))
    records.store.add_grant(made)
    return made


def of_account(store: Store, account: Account) -> list[StoredGrant]:
    """Every grant by which an agent acts for the account, the latest first."""
    mine = [each for each in store.grants() if _is_by(each.grant, account)]
    return mine[::-1]


def find(store: Store, account: Account, grant_id: str) -> StoredGrant:
    """One of them; `RefusedError`."""
    found = store.grant(grant_id)
    if not _is_by(found.grant, account):
        raise RefusedError("that grant is another's")
    return found


def usable(store: Store, account: Account, agent: str, at: datetime) -> Grant | None:
    """The grant that the account's agent signs commits under, None without one."""
    try:
        return grants.select(of_account(store, account)[::-1], agent, scope=accounts.GIT, at=at)
    except RefusedError:
        return None


def is_open(stored: StoredGrant, at: datetime) -> bool:
    """Whether a grant is neither revoked nor over."""
    return stored.revoked_at is None and stored.grant.expires_at > at.timestamp()


def _is_by(grant: Grant, account: Account) -> bool:
    return grant.represented is not None and grant.represented.id == account.principal.id


def _check_given(records: Records, account: Account, made: Grant) -> None:
    """`RefusedError` unless the account holds every scope, and the address is nobody else's."""
    held = records.store.grant(account.grant_id).grant.scopes
    for scope in made.scopes:
        if scope not in held or scope == accounts.MANAGE:
            raise RefusedError(f"cannot grant scope you don't have: {scope}")
    accounts.check_free(records, made.actor.email, own=account.id)


def _check_outside(email: str, authority_id: str) -> None:
    """Addresses below the authority's own name are those that it gives out itself."""
    domain = f".{email.rpartition('@')[2]}".casefold()
    if domain.endswith(f".{authority_id}.invalid"):
        raise RefusedError("addresses below this authority's own name are not chosen", hint="leave the address out")
