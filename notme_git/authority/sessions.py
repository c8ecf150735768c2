"""Sessions: an account that has shown who it is, for a while.

The cookie has upstream's form (`authority-protocol.md` 10): base64url with padding of a JSON text, a dot, base64url of
its HMAC-SHA256. Ours adds `sid`, which names a row here, and `key`, whose SHA-256 that row holds: a session can be
revoked, and whoever reads the database cannot make a cookie from it. What the account may do is read at every use,
never taken from the cookie.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, insert, select, update

from attest.errors import RefusedError, UnavailableError
from notme_git.authority import accounts
from notme_git.authority.accounts import Account
from notme_git.authority.records import Records
from notme_git.authority.records import accounts as account_table
from notme_git.authority.records import sessions as table

COOKIE = "notme_session"
BY_PERSON = ("passkey", "invite", "bootstrap")
"""Methods that take somebody's hand; a token proves that a program could get a token."""

RECENT = timedelta(minutes=15)
"""For so long after signing in somebody counts as being there, for what an unattended screen must not do."""

MAX_COOKIE = 4096
SECRET = "session_secret"
REMEMBERED_S = 1.0
_RESTORE = "restore it from a backup"

_find = select(
    table,
    account_table.c.principal_id,
    account_table.c.scopes.label("account_scopes"),
    account_table.c.grant_id,
    account_table.c.disabled_at,
).where(table.c.id == bindparam("sid"), account_table.c.id == table.c.account)


@dataclass(frozen=True, slots=True)
class Session:
    """A live session. `scopes` are those that both it and its account hold; `value` is the cookie's.

    `present_at` is when somebody showed that they are there; None for a program's session.
    """

    id: str
    account: Account
    method: str
    scopes: tuple[str, ...]
    expires_at: datetime
    value: str
    present_at: datetime | None = None

    @property
    def manages(self) -> bool:
        """Whether it may administer the authority."""
        return accounts.MANAGE in self.scopes

    @property
    def of_program(self) -> bool:
        """Whether a person allowed a program to have it, and nobody signed in by it."""
        return self.method in BY_PERSON and self.present_at is None

    def was_present(self, at: datetime, within: timedelta = RECENT) -> bool:
        """Whether somebody signed in here by hand not longer than `within` ago."""
        return self.present_at is not None and at - self.present_at <= within


def begin(
    records: Records,
    account: Account,
    method: str,
    *,
    scopes: tuple[str, ...],
    label: str,
    lifetime: timedelta,
    program: bool = False,
    verified: bool = False,
    at: datetime,
) -> Session:
    """A new session with the scopes that are also the account's. The caller holds the transaction.

    A `program` gets one that never counts as somebody's presence. `verified`: the passkey's device asked for a PIN or
    the like (WebAuthn's user verification), and not only for a touch.
    """
    present = int(at.timestamp()) if method in BY_PERSON and not program else None
    expires, sid, key = at + lifetime, secrets.token_hex(16), secrets.token_urlsafe(24)
    held = tuple(scope for scope in account.scopes if scope in scopes)
    records.run(
        insert(table).values(
            id=sid,
            secret_sha256=hashlib.sha256(key.encode()).digest(),
            account=account.id,
            method=method,
            scopes=json.dumps(held),
            label=label,
            created_at=int(at.timestamp()),
            expires_at=int(expires.timestamp()),
            present_at=present,
            verified=int(verified),
        )
    )
    payload = {
        "principalId": account.id,
        "scopes": list(held),
        "authMethod": method,
        "exp": int(expires.timestamp()),
        "userId": account.id,
        "isAdmin": accounts.MANAGE in held,
        "sid": sid,
        "key": key,
    }
    text = json.dumps(payload, separators=(",", ":")).encode()
    value = f"{_b64(text)}.{_b64(_mac(records, text))}"
    return Session(sid, account, method, held, _time(int(expires.timestamp())), value, _present(present))


def verify(records: Records, value: str, at: datetime) -> Session:
    """The live session that a cookie's value names, or `RefusedError`."""
    payload = _open(records, value)
    row = records.row(_find, {"sid": str(payload.get("sid", ""))})
    key = hashlib.sha256(str(payload.get("key", "")).encode()).digest()
    if row is None or not hmac.compare_digest(row["secret_sha256"], key):
        raise _invalid()
    if not _open_row(row, at):
        raise _invalid()
    account = accounts.read(records, row["account"], row["principal_id"], row["account_scopes"], row["grant_id"])
    held = tuple(scope for scope in account.scopes if scope in accounts.scopes_of(row["scopes"]))
    present = _present(row["present_at"])
    return Session(row["id"], account, row["method"], held, _time(row["expires_at"]), value, present)


def is_live(records: Records, session_id: str, at: datetime) -> bool:
    """Whether a session of that id is neither over nor revoked, and its account may still be used."""
    row = records.row(_find, {"sid": session_id})
    return row is not None and _open_row(row, at)


def of_account(records: Records, account_id: str, at: datetime) -> list[dict[str, object]]:
    """The account's live sessions, for showing."""
    live = select(table).where(
        table.c.account == account_id, table.c.revoked_at.is_(None), table.c.expires_at > int(at.timestamp())
    )
    names = ("id", "method", "label", "created_at", "expires_at", "present_at")
    return [
        {**{name: row[name] for name in names}, "verified": bool(row["verified"])}
        for row in records.rows(live.order_by(table.c.created_at))
    ]


def revoke(records: Records, session_id: str, account_id: str, at: datetime) -> None:
    """End one session of an account; `RefusedError` when it is not one of its."""
    ended = update(table).where(table.c.id == session_id, table.c.account == account_id, table.c.revoked_at.is_(None))
    if not records.run(ended.values(revoked_at=int(at.timestamp()))):
        raise RefusedError("there is no such session")


def revoke_of(records: Records, account_id: str, at: datetime) -> None:
    """End every session of an account."""
    ended = update(table).where(table.c.account == account_id, table.c.revoked_at.is_(None))
    records.run(ended.values(revoked_at=int(at.timestamp())))


def revoke_all(records: Records, at: datetime) -> None:
    """End every session, and let no cookie of before be read again."""
    records.run(update(table).where(table.c.revoked_at.is_(None)).values(revoked_at=int(at.timestamp())))
    records.store.set_setting(SECRET, secrets.token_hex(32))
    records.remembered.clear()


def prepare(records: Records) -> None:
    """Make the secret that all processes of this authority share, once."""
    with records.store.transaction(durable=True):
        if records.store.setting(SECRET) is None:
            records.store.set_setting(SECRET, secrets.token_hex(32))


def server_secret(records: Records, purpose: str) -> bytes:
    """A key for HMAC that all processes of this authority share, apart for each purpose.

    Remembered for a second: a session that another process has ended is refused by its row, whatever its HMAC.
    """
    kept = records.remembered.get(purpose)
    if kept is None or time.monotonic() >= kept[0]:
        secret = records.store.setting(SECRET)
        if secret is None:
            raise UnavailableError("the authority's database has no secret for sessions", hint=_RESTORE)
        key = hmac.digest(bytes.fromhex(secret), purpose.encode(), "sha256")
        kept = records.remembered[purpose] = (time.monotonic() + REMEMBERED_S, key)
    return kept[1]


def _open_row(row: sqlite3.Row, at: datetime) -> bool:
    return row["revoked_at"] is None and row["disabled_at"] is None and bool(row["expires_at"] > at.timestamp())


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _present(seconds: int | None) -> datetime | None:
    return None if seconds is None else _time(seconds)


def _open(records: Records, value: str) -> dict[str, object]:
    payload, dot, mac = value.partition(".")
    if not dot or len(value) > MAX_COOKIE:
        raise _invalid()
    try:
        text, given = _unb64(payload), _unb64(mac)
    except ValueError:
        raise _invalid() from None
    if not hmac.compare_digest(_mac(records, text), given):
        raise _invalid()
    found = json.loads(text)  # our own text: the HMAC says so
    return found if isinstance(found, dict) else {}


def _mac(records: Records, text: bytes) -> bytes:
    return hmac.digest(server_secret(records, "session"), text, "sha256")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _unb64(text: str) -> bytes:
    data = base64.b64decode(text.encode("ascii", "strict"), b"-_", validate=True)
    if _b64(data) != text:
        raise ValueError("another spelling")
    return data


def _invalid() -> RefusedError:
    return RefusedError("invalid session", hint="sign in again")
