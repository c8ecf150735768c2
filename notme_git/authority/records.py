"""What only the server keeps: accounts, sessions, invites, passkeys, and values that may be used once.

SQLAlchemy says what the tables are and writes the SQL; `Store` runs it, on its one connection to the authority's own
database. So one `store.transaction` covers a certificate's record and the nonce that paid for it: whatever is killed,
at any concurrency and with any number of processes, both are there or neither. Secrets (codes, invites, cookies) are
kept as SHA-256 only. Times are unix seconds.
"""

from __future__ import annotations

import functools
import hashlib
import sqlite3
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ClauseElement,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    case,
    delete,
    select,
)
from sqlalchemy.dialects.sqlite import dialect, insert
from sqlalchemy.schema import CreateIndex, CreateTable

from attest.errors import RefusedError
from notme_git.authority.settings import Rate
from notme_git.authority.store import Store

metadata = MetaData()

accounts = Table(
    "accounts", metadata,
    Column("id", Text, primary_key=True),
    Column("principal_id", Text, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("grant_id", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("disabled_at", Integer),
)  # fmt: skip

sessions = Table(
    "sessions", metadata,
    Column("id", Text, primary_key=True),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("account", Text, nullable=False, index=True),
    Column("method", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("present_at", Integer),
    Column("verified", Integer, nullable=False),
    Column("revoked_at", Integer),
)  # fmt: skip

invites = Table(
    "invites", metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("scopes", Text, nullable=False),
    Column("display", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("used_at", Integer),
    Column("account", Text),
)  # fmt: skip

passkeys = Table(
    "passkeys", metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("account", Text, nullable=False, index=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("used_at", Integer),
)  # fmt: skip

connections = Table(
    "connections", metadata,
    Column("provider", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("account", Text, nullable=False, index=True),
    Column("connected_at", Integer, nullable=False),
)  # fmt: skip

pending = Table(
    "pending", metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("expires_at", Integer, nullable=False, index=True),
)  # fmt: skip
"""Begun and to be finished once: passkey ceremonies, codes of operators, logins of programs."""

once = Table(
    "once", metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("expires_at", Integer, nullable=False, index=True),
    sqlite_with_rowid=False,
)  # fmt: skip
"""Nonces and token ids that were used, until they would be refused for their age."""

windows = Table(
    "windows", metadata,
    Column("name", Text, primary_key=True),
    Column("began_at", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip

_DIALECT = dialect(paramstyle="named")

_take = insert(once).values(sha256=bindparam("sha256"), expires_at=bindparam("expires_at")).on_conflict_do_nothing()
_taken = select(once.c.expires_at).where(once.c.sha256 == bindparam("sha256"))
_keep = insert(pending).values(
    sha256=bindparam("sha256"), kind=bindparam("kind"), data=bindparam("data"), expires_at=bindparam("expires_at")
)
_claim = (
    delete(pending)
    .where(pending.c.sha256 == bindparam("sha256_"), pending.c.kind == bindparam("kind_"))
    .returning(pending.c.data, pending.c.expires_at)
)
_over = (windows.c.began_at > bindparam("at")) | (windows.c.began_at <= bindparam("since"))
_count = (
    insert(windows)
    .values(name=bindparam("name"), began_at=bindparam("at"), count=1)
    .on_conflict_do_update(
        index_elements=["name"],
        set_={
            "began_at": case((_over, bindparam("at")), else_=windows.c.began_at),
            "count": case((_over, 1), else_=windows.c.count + 1),
        },
    )
    .returning(windows.c.count)
)


class Records:
    """The server's tables in an open `Store`. Not for several threads, as the store.

    A statement that is run with `values` is one that is made once, with `bindparam`, and its SQL is remembered.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.remembered: dict[str, tuple[float, bytes]] = {}
        with store.transaction(durable=True):
            for table in metadata.sorted_tables:
                store.run(str(CreateTable(table, if_not_exists=True).compile(dialect=_DIALECT)), {})
                for index in table.indexes:
                    store.run(str(CreateIndex(index, if_not_exists=True).compile(dialect=_DIALECT)), {})

    def run(self, statement: ClauseElement, values: Mapping[str, Any] | None = None) -> int:
        """Run one writing statement; returns the number of rows."""
        return self.store.run(*_sql(statement, values)).rowcount

    def row(self, statement: ClauseElement, values: Mapping[str, Any] | None = None) -> sqlite3.Row | None:
        """The first row, or None."""
        rows = self.rows(statement, values)
        return rows[0] if rows else None

    def rows(self, statement: ClauseElement, values: Mapping[str, Any] | None = None) -> list[sqlite3.Row]:
        """Every row, whose columns have their names."""
        return self.store.fetch(*_sql(statement, values))

    def take(self, kind: str, value: str, expires_at: int) -> None:
        """Use `value` up, until `expires_at`; `RefusedError` if it was used before."""
        if not self.run(_take, {"sha256": digest(kind, value), "expires_at": expires_at}):
            raise RefusedError(f"{kind} already used")

    def taken(self, kind: str, value: str) -> bool:
        """Whether `value` is used up already. Only `take` settles it."""
        return self.row(_taken, {"sha256": digest(kind, value)}) is not None

    def keep(self, kind: str, secret: str, data: str, expires_at: int) -> None:
        """Remember what was begun under a secret that comes back once."""
        self.run(_keep, {"sha256": digest(kind, secret), "kind": kind, "data": data, "expires_at": expires_at})

    def claim(self, kind: str, secret: str, at: int) -> str:
        """What was kept under `secret`, which is gone after it; `RefusedError` if there is none in time."""
        found = self.row(_claim, {"sha256_": digest(kind, secret), "kind_": kind})
        if found is None or found["expires_at"] <= at:
            raise RefusedError(f"no such {kind}, or it was used or is too old")
        return str(found["data"])

    def count(self, name: str, rate: Rate, at: int) -> bool:
        """Count one more of `name`; whether that is still within `rate`. Fixed windows, shared by all processes."""
        if not rate.count:
            return True
        found = self.row(_count, {"name": name, "at": at, "since": at - rate.seconds})
        return found is not None and found["count"] <= rate.count

    def purge(self, at: int) -> None:
        """Forget what is too old to be asked for."""
        self.run(delete(once).where(once.c.expires_at <= at))
        self.run(delete(pending).where(pending.c.expires_at <= at))
        self.run(delete(windows).where(windows.c.began_at < at - 86400))


def digest(kind: str, value: str) -> bytes:
    """SHA-256 of a secret or a used value, apart for each kind."""
    return hashlib.sha256(f"{kind}\0{value}".encode()).digest()


def _sql(statement: ClauseElement, values: Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any]]:
    """SQL and its values, with those that stand in the statement itself."""
    if values is None:
        return _compiled(statement)
    sql, own = _kept(statement)
    return sql, {**own, **values}


def _compiled(statement: ClauseElement) -> tuple[str, Mapping[str, Any]]:
    compiled = statement.compile(dialect=_DIALECT)
    return str(compiled), compiled.params


_kept = functools.lru_cache(maxsize=64)(_compiled)
