"""Accounts: humans that the server knows, what each may do, and the grants that say so.

An account is a principal with scopes. Every certificate is issued under a grant on record, also the one that an
account gets for itself: its standing grant. What an account may do is read again at every use.
"""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy import func as sql

from attest.errors import RefusedError, UnavailableError, UsageError
from attest.types import Authentication, Constraints, Grant, Principal, PrincipalKind
from notme_git.authority import grants, identity
from notme_git.authority.records import Records, connections
from notme_git.authority.records import accounts as table

BRIDGE, MANAGE, MINT, GIT = "bridgeCert", "authorityManage", "certMint", "sign:git"
ADMIN = (BRIDGE, MANAGE, MINT)
"""Upstream's scopes of the first account (`authority-protocol.md` 9)."""

MEMBER = (BRIDGE,)
GRANTABLE = (BRIDGE, MANAGE, MINT, GIT, "sign:attestation")
UNNAMED = "unnamed"
STANDING = timedelta(days=3650)

_find = select(table).where(table.c.id == bindparam("account"), table.c.disabled_at.is_(None))


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody on record. `id` is a random UUID; `principal` says who that is; `grant_id` names the standing grant."""

    id: str
    principal: Principal
    scopes: tuple[str, ...]
    grant_id: str

    @property
    def manages(self) -> bool:
        """Whether this account administers the authority."""
        return MANAGE in self.scopes


def new_id() -> str:
    """An id for an account that is about to be made."""
    return str(uuid.uuid4())


def create(
    records: Records,
    trust_domain: str,
    *,
    display: str,
    email: str,
    scopes: tuple[str, ...],
    authentication: Authentication,
    at: datetime,
    account_id: str = "",
) -> Account:
    """A new human account, with its principal and its standing grant. The caller holds the transaction."""
    name = account_id or new_id()
    host = trust_domain.rpartition(":")[0] or trust_domain
    principal = Principal(
        id=identity.uri(trust_domain, PrincipalKind.HUMAN.value, name),
        kind=PrincipalKind.HUMAN,
        name=display or UNNAMED,
        display=display or UNNAMED,
        email=email or f"{name}@{host}.invalid",
        authentication=authentication,
    )
    granted = _standing(principal, scopes, at)
    records.store.add_principal(principal)
    records.store.add_grant(granted)
    records.run(
        insert(table).values(
            id=name,
            principal_id=principal.id,
            scopes=json.dumps(scopes),
            grant_id=granted.id,
            created_at=int(at.timestamp()),
        )
    )
    return Account(name, principal, scopes, granted.id)


def find(records: Records, account_id: str) -> Account:
    """The account of that id, unless it is disabled; `RefusedError`."""
    row = records.row(_find, {"account": account_id})
    if row is None:
        raise RefusedError("there is no such account", hint="ask an administrator for an invite")
    return read(records, row["id"], row["principal_id"], row["scopes"], row["grant_id"])


def everybody(records: Records) -> list[Account]:
    """Every account that is not disabled, the first one first."""
    enabled = select(table).where(table.c.disabled_at.is_(None)).order_by(table.c.created_at)
    return [
        read(records, row["id"], row["principal_id"], row["scopes"], row["grant_id"]) for row in records.rows(enabled)
    ]


def count(records: Records) -> int:
    """How many accounts were ever made."""
    row = records.row(select(sql.count().label("many")).select_from(table))
    return int(row["many"]) if row else 0


def disable(records: Records, account_id: str, at: datetime) -> None:
    """Let nobody in under this account any more."""
    changed = update(table).where(table.c.id == account_id, table.c.disabled_at.is_(None))
    if not records.run(changed.values(disabled_at=int(at.timestamp()))):
        raise RefusedError("there is no such account")


def parse_person(display: str, email: str) -> tuple[str, str]:
    """Name and address as somebody gives them of themselves, either of which may be empty; else `UsageError`."""
    if email:
        grants.parse_email(email)
    try:
        grants.parse_human(f"{display or UNNAMED} <nobody@example.org>")
    except UsageError:
        limit = grants.MAX_DISPLAY_BYTES
        raise UsageError(f"a name has no brackets, no line ends and at most {limit} bytes") from None
    return display, email


def check_free(records: Records, email: str, own: str = "") -> None:
    """`RefusedError` for an address of an account other than `own`, or of another's agent or a workload.

    Stock git tells who signed by the address alone.
    """
    if not email:
        return
    people, wanted = everybody(records), email.casefold()
    if any(wanted == each.principal.email.casefold() for each in people if each.id != own):
        raise RefusedError("another account has that address", hint="sign in to it, or ask an administrator")
    giver = next((each.principal.id for each in people if each.id == own), "")
    for grant in (each.grant for each in records.store.grants()):
        others = grant.represented is not None and grant.represented.id != giver
        if others and wanted == grant.actor.email.casefold():
            raise RefusedError("somebody else's agent, or a workload, has that address", hint="take another")


def connect(records: Records, account_id: str, provider: str, subject: str, at: datetime) -> None:
    """Let the identity `subject` of `provider` sign in as this account. `RefusedError` if it is another's."""
    known = _connected(records, provider, subject)
    if known not in (None, account_id):
        raise RefusedError("that identity is connected to another account")
    if known is not None:
        return
    records.run(
        insert(connections).values(
            provider=provider, subject=subject, account=account_id, connected_at=int(at.timestamp())
        )
    )


def connected(records: Records, provider: str, subject: str) -> Account | None:
    """The account that an identity is connected to."""
    known = _connected(records, provider, subject)
    return find(records, known) if known is not None else None


def connections_of(records: Records, account_id: str) -> list[dict[str, str]]:
    """What upstream's GET /connections lists."""
    own = select(connections).where(connections.c.account == account_id).order_by(connections.c.connected_at)
    return [
        {
            "provider": row["provider"],
            "subject": row["subject"],
            "connectedAt": f"{datetime.fromtimestamp(row['connected_at'], UTC):%Y-%m-%d %H:%M:%S}",
        }
        for row in records.rows(own)
    ]


def _connected(records: Records, provider: str, subject: str) -> str | None:
    named = select(connections.c.account).where(
        connections.c.provider == provider, connections.c.subject == subject
    )
    row = records.row(named)
    return str(row["account"]) if row else None


def _standing(principal: Principal, scopes: Iterable[str], at: datetime) -> Grant:
    return Grant(
        version=grants.GRANT_VERSION,
        id=str(uuid.uuid4()),
        actor=principal,
        represented=None,
        scopes=tuple(scope for scope in grants.SCOPES if scope in (*scopes, GIT)),
        created_at=int(at.timestamp()),
        expires_at=int((at + STANDING).timestamp()),
        constraints=Constraints(repositories=(), branches=()),
        delegation_depth=0,
        purpose="what the account does itself",
    )


@functools.lru_cache(maxsize=64)
def scopes_of(text: str) -> tuple[str, ...]:
    """Scopes as a record has them; there are few different ones."""
    return tuple(json.loads(text))


def read(records: Records, account_id: str, principal_id: str, scopes: str, grant_id: str) -> Account:
    """An account from the columns of its row."""
    principal = records.store.principal(principal_id)
    if principal is None:
        raise UnavailableError(
            "the authority's database names an account without a principal", hint="restore it from a backup"
        )
    return Account(account_id, principal, scopes_of(scopes), grant_id)
