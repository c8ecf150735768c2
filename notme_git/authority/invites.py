"""Invites: how somebody gets an account. One use, a bounded life, and never more than the inviter may give.

Upstream's have no ceiling and outlive a reset (`authority-protocol.md` 15); ours end with the inviter's account and
its scopes, which are read again when the invite is used.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select, update

from attest.errors import Error, RefusedError
from attest.types import Authentication
from notme_git.authority import accounts
from notme_git.authority.accounts import Account
from notme_git.authority.records import Records, digest
from notme_git.authority.records import invites as table

KIND = "invite"
DEFAULT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Invite:
    """A new invite; the token is shown once and kept as its SHA-256."""

    token: str
    expires_at: datetime
    scopes: tuple[str, ...]


def check_grantable(giver: Sequence[str], wanted: Sequence[str]) -> None:
    """`RefusedError` unless the giver administers and holds each scope itself (`authority-protocol.md` 9)."""
    if accounts.MANAGE not in giver:
        raise RefusedError("authorityManage scope required")
    for scope in wanted:
        if scope not in giver:
            raise RefusedError(f"cannot grant scope you don't have: {scope[:64]}")


def create(
    records: Records,
    inviter: Account,
    scopes: Sequence[str],
    lifetime: timedelta,
    *,
    display: str = "",
    email: str = "",
    at: datetime,
) -> Invite:
    """A new invite by `inviter`, whose scopes were checked. The caller holds the transaction."""
    token, expires = str(uuid.uuid4()), at + lifetime
    records.run(
        insert(table).values(
            token_sha256=digest(KIND, token),
            scopes=json.dumps(list(scopes)),
            display=display,
            email=email,
            created_by=inviter.id,
            created_at=int(at.timestamp()),
            expires_at=int(expires.timestamp()),
        )
    )
    return Invite(token, datetime.fromtimestamp(int(expires.timestamp()), UTC), tuple(scopes))


def is_open(records: Records, token: str, at: datetime) -> bool:
    """Whether the invite can still be used; for showing a page, it decides nothing."""
    row = records.row(select(table.c.expires_at, table.c.used_at).where(table.c.token_sha256 == digest(KIND, token)))
    return row is not None and row["used_at"] is None and row["expires_at"] > at.timestamp()


def accept(
    records: Records, trust_domain: str, token: str, *, display: str = "", email: str = "", at: datetime
) -> Account:
    """Use the invite up and make its account. The caller holds the transaction; `RefusedError` uses nothing up.

    Name and address that the inviter gave stand; the guest's own fill what was left open.
    """
    key = digest(KIND, token)
    row = records.row(select(table).where(table.c.token_sha256 == key))
    if row is None or row["used_at"] is not None or row["expires_at"] <= at.timestamp():
        raise _invalid()
    address = row["email"] or email
    accounts.check_free(records, address)
    if not row["email"]:
        _check_not_kept(records, address, at)
    scopes = tuple(json.loads(row["scopes"]))
    try:
        check_grantable(accounts.find(records, row["created_by"]).scopes, scopes)
    except Error:
        raise _invalid() from None
    account = accounts.create(
        records,
        trust_domain,
        display=row["display"] or display,
        email=address,
        scopes=scopes,
        authentication=Authentication.SELF_ASSERTED,
        at=at,
    )
    used = update(table).where(table.c.token_sha256 == key, table.c.used_at.is_(None))
    if not records.run(used.values(used_at=int(at.timestamp()), account=account.id)):
        raise _invalid()
    return account


def _check_not_kept(records: Records, email: str, at: datetime) -> None:
    """`RefusedError` for an address that an open invite gives to somebody else."""
    opened = select(table.c.email).where(table.c.used_at.is_(None), table.c.expires_at > int(at.timestamp()))
    if email and email.casefold() in [each["email"].casefold() for each in records.rows(opened)]:
        raise RefusedError("that address is kept for another guest", hint="ask an administrator")


def void_all(records: Records, at: datetime) -> None:
    """Let no invite of before be used. The caller holds the transaction."""
    records.run(update(table).where(table.c.used_at.is_(None)).values(used_at=int(at.timestamp())))


def _invalid() -> RefusedError:
    return RefusedError("invalid or expired invite", hint="ask for a new one")
