"""The embedded authority's database; the only module with SQL.

* One SQLite file, 0600, in write-ahead mode: a committed transaction survives a killed process, a killed
  transaction leaves nothing. `transaction(durable=True)` also survives a power cut (grants, epochs, bundles);
  the issuance log does without that, because it is written for every signature.
* Records are canonical Cap'n Proto (design D8), decoded strictly when read; a record that does not decode,
  or a grant whose SHA-256 is another, is a damaged database and never a missing entry.
* Every `sqlite3` error leaves here as one of ours. Times are unix seconds and come from the caller.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from attest import canonical
from attest.errors import Error, MalformedError, RefusedError, UnavailableError
from attest.types import Epoch, Grant, Principal, Revocation, RevocationKind

SCHEMA_VERSION = 1

LOCK_TIMEOUT_S = 5.0
"""Writers hold the lock for milliseconds; whoever waits longer waits for a process that hangs."""

LOCK_PAUSE_S = 0.00005
"""Between two tries for a lock that another worker holds."""

HURRIED_MS = 20
"""While a lock is held for too long, a server that waited in vain answers others instead of waiting again."""

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""SQLite refuses longer values; the longest record is a trust bundle, which no verifier reads beyond this."""

KEPT = 1024
"""Decoded records that are remembered."""

_SCHEMA = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE principals (id TEXT PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE grants (
  added INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, actor_name TEXT NOT NULL, record BLOB NOT NULL,
  sha256 BLOB NOT NULL, created_at INTEGER NOT NULL, revoked_at INTEGER
);
CREATE TABLE epochs (number INTEGER PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE revocations (
  added INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, record BLOB NOT NULL, UNIQUE (kind, id)
);
CREATE TABLE issued (
  serial TEXT PRIMARY KEY, issued_at INTEGER NOT NULL, actor_id TEXT NOT NULL, represented_id TEXT NOT NULL,
  grant_id TEXT NOT NULL, epoch INTEGER NOT NULL, profile TEXT NOT NULL, spki_sha256 BLOB NOT NULL,
  certificate_sha256 BLOB NOT NULL
);
CREATE INDEX issued_at ON issued (issued_at);
CREATE TABLE bundles (sequence INTEGER PRIMARY KEY, signed BLOB NOT NULL);
"""

T = TypeVar("T", Principal, Grant, Epoch, Revocation)


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """A grant and when it was revoked (unix seconds), None while it is not."""

    grant: Grant
    revoked_at: int | None


@dataclass(frozen=True, slots=True)
class Issued:
    """One certificate in the issuance log. `serial` in lower-case hexadecimal, times in unix seconds."""

    serial: str
    issued_at: int
    actor_id: str
    represented_id: str
    grant_id: str
    epoch: int
    profile: str
    spki_sha256: bytes
    certificate_sha256: bytes


class Store:
    """An open database; a context manager that closes it. Made by `create` or `open`.

    Writing methods called outside `transaction` commit on their own, durably.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._file = _file_at(path)
        self._written = 0
        self._durable: bool | None = None
        self._principals: dict[str, Principal] = {}  # added, never changed
        self._patience_ms = 0
        self._hurried = False

    @classmethod
    def create(cls, path: Path) -> Store:
        """Make a new database at `path` and open it. `RefusedError` if something is there already.

        It appears under its name when it is complete: a process killed before that leaves no half of one.
        """
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
            _write_schema(unfinished)
            os.link(unfinished, path)
            _sync_directory(path.parent)
        except FileExistsError:
            raise RefusedError(f"{path} exists already", hint="choose another home") from None
        except OSError as error:
            raise UnavailableError(
                f"cannot make the database {path}: {error.strerror}",
                hint="check the directory and the free space",
            ) from None
        finally:
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    os.unlink(f"{unfinished}{suffix}")
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open the database at `path`, which `create` made. Never makes one. Raises `UnavailableError`."""
        connection = _connect(path)
        try:
            with _translated(path):
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version != SCHEMA_VERSION:
                    raise UnavailableError(
                        f"the database {path} has schema version {version}, not {SCHEMA_VERSION}",
                        hint="use the version of notme-git that made it, or a newer one",
                    )
                connection.execute("SELECT value FROM settings LIMIT 1")
        except BaseException:
            connection.close()
            raise
        return cls(path, connection)

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self, *, durable: bool) -> Iterator[None]:
        """All writes inside, or none of them. `durable`: on disk, not only with the kernel, when it returns.

        Does not nest: `RuntimeError`. Raises `UnavailableError` when the disk is full, the lock is held, or the
        file is not there any more: what is written to a removed file is on no record.
        """
        if self._connection.in_transaction:
            raise RuntimeError("a transaction of the store is open already")
        if _file_at(self._path) != self._file:
            raise UnavailableError(
                f"the database {self._path} was removed or replaced while it was in use",
                hint="put it back; after a replacement start the authority again",
            )
        if durable is not self._durable:
            self._execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        self._begin()
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            # SQLite has rolled back itself after some errors, a full disk among them.
            if self._connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            raise

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection.in_transaction

    def wait_for_lock(self, milliseconds: int) -> None:
        """Wait at most so long for another process's transaction, and hardly after that was in vain, until it ends."""
        self._patience_ms = milliseconds
        self._execute("PRAGMA busy_timeout = 0")

    @property
    def patience_ms(self) -> int:
        """How long the next transaction waits for another process's; 0 where SQLite itself waits."""
        return HURRIED_MS if self._hurried else self._patience_ms

    def run(self, sql: str, values: Mapping[str, Any]) -> sqlite3.Cursor:
        """Run one statement on a further table; only within a transaction are several of them one."""
        try:
            return self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise _told(self._path, error) from None

    def fetch(self, sql: str, values: Mapping[str, Any]) -> list[sqlite3.Row]:
        """Its rows, whose columns have their names."""
        try:
            cursor = self._connection.cursor()
            cursor.row_factory = sqlite3.Row
            return cursor.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _told(self._path, error) from None

    def version(self) -> int:
        """A number that changes when another connection has written (PRAGMA data_version), or this one a record.

        The issuance log, which this connection writes for every certificate, does not count.
        """
        row = self._row("PRAGMA data_version")
        return (int(row[0]) if row else 0) * 2**32 + self._written

    def setting(self, key: str) -> str | None:
        """The value kept under `key`, None without one."""
        row = self._row("SELECT value FROM settings WHERE key = ?", key)
        return None if row is None else str(row[0])

    def set_setting(self, key: str, value: str) -> None:
        """Keep `value` under `key` in place of what was there."""
        self._write("INSERT OR REPLACE INTO settings VALUES (?, ?)", key, value)

    def add_principal(self, principal: Principal) -> None:
        """Add a principal; `RefusedError` if its id is known."""
        self._write("INSERT INTO principals VALUES (?, ?)", principal.id, canonical.encode(principal))

    def principal(self, principal_id: str) -> Principal | None:
        """The principal of that id, None without one."""
        known = self._principals.get(principal_id)
        if known is None:
            row = self._row("SELECT record FROM principals WHERE id = ?", principal_id)
            if row is None:
                return None
            known = self._decode(Principal, row[0])
            if len(self._principals) >= KEPT:
                self._principals.clear()
            self._principals[principal_id] = known
        return known

    def add_grant(self, grant: Grant) -> None:
        """Add a grant; `RefusedError` if its id is known."""
        self._write(
            "INSERT INTO grants (id, actor_name, record, sha256, created_at) VALUES (?, ?, ?, ?, ?)",
            grant.id, grant.actor.name, canonical.encode(grant), canonical.digest(grant), grant.created_at,
        )  # fmt: skip

    def grants(self) -> list[StoredGrant]:
        """Every grant, revoked and expired ones too, in the order of adding."""
        rows = self._rows("SELECT record, sha256, revoked_at FROM grants ORDER BY added")
        return [self._stored_grant(row) for row in rows]

    def grants_of(self, actor_name: str) -> list[StoredGrant]:
        """Every grant of actors of that name, in the order of adding."""
        rows = self._rows(
            "SELECT record, sha256, revoked_at FROM grants WHERE actor_name = ? ORDER BY added", actor_name
        )
        return [self._stored_grant(row) for row in rows]

    def grant(self, grant_id: str) -> StoredGrant:
        """The grant of that id; `RefusedError` if this authority never made it."""
        row = self._row("SELECT record, sha256, revoked_at FROM grants WHERE id = ?", grant_id)
        if row is None:
            raise RefusedError(f"this authority has no grant {grant_id}", hint="notme-git grant list")
        return self._stored_grant(row)

    def revoked_at(self, grant_id: str) -> int | None:
        """When the grant was revoked (unix seconds), None while it is not; `RefusedError` if unknown."""
        return self.grant(grant_id).revoked_at

    def revoke_grant(self, grant_id: str, at: int, reason: str = "") -> None:
        """Revoke a grant and list that for the next bundle, in one transaction. Twice changes nothing."""
        with contextlib.nullcontext() if self._connection.in_transaction else self.transaction(durable=True):
            if self.grant(grant_id).revoked_at is None:
                self._write("UPDATE grants SET revoked_at = ? WHERE id = ?", at, grant_id)
                self.add_revocation(Revocation(kind=RevocationKind.GRANT, id=grant_id, at=at, reason=reason))

    def add_epoch(self, epoch: Epoch) -> None:
        """Add an epoch; `RefusedError` if its number is known."""
        self._write("INSERT INTO epochs VALUES (?, ?)", epoch.number, canonical.encode(epoch))

    def update_epoch(self, epoch: Epoch) -> None:
        """Put `epoch` in place of the one of its number; `UnavailableError` without one."""
        record = canonical.encode(epoch)
        if not self._write("UPDATE epochs SET record = ? WHERE number = ?", record, epoch.number):
            raise self._damaged(f"it has no epoch {epoch.number}")

    def epochs(self) -> list[Epoch]:
        """Every epoch, in ascending order."""
        rows = self._rows("SELECT record FROM epochs ORDER BY number")
        return [self._decode(Epoch, row[0]) for row in rows]

    def add_revocation(self, revocation: Revocation) -> None:
        """Add a revocation; what is revoked already keeps its first time and reason."""
        self._write(
            "INSERT INTO revocations (kind, id, record) VALUES (?, ?, ?) ON CONFLICT (kind, id) DO NOTHING",
            str(revocation.kind), revocation.id, canonical.encode(revocation),
        )  # fmt: skip

    def revocations(self) -> list[Revocation]:
        """Every revocation, in the order of adding."""
        rows = self._rows("SELECT record FROM revocations ORDER BY added")
        return [self._decode(Revocation, row[0]) for row in rows]

    def record_issued(self, issued: Issued) -> None:
        """Append to the issuance log; `RefusedError` if the serial was used before."""
        values = [getattr(issued, field.name) for field in fields(issued)]
        self._write("INSERT INTO issued VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", *values)

    def issued_since(self, since: int, principal_id: str, most: int) -> list[Issued]:
        """What was issued after `since` to a principal or on its behalf, the latest first, at most so many."""
        rows = self._rows(
            "SELECT * FROM issued WHERE issued_at > ? AND ? IN (actor_id, represented_id) "
            "ORDER BY issued_at DESC LIMIT ?",
            since, principal_id, most,
        )  # fmt: skip
        return [Issued(*row) for row in rows]

    def last_issued_at(self) -> int | None:
        """The latest time in the issuance log (unix seconds), None while it is empty."""
        row = self._row("SELECT max(issued_at) FROM issued")
        return None if row is None or row[0] is None else int(row[0])

    def put_bundle(self, sequence: int, signed: bytes) -> None:
        """Keep a signed bundle; `RefusedError` unless `sequence` is above every one before (design D6)."""
        written = self._write(
            "INSERT INTO bundles SELECT ?, ? WHERE ? > (SELECT coalesce(max(sequence), 0) FROM bundles)",
            sequence, signed, sequence,
        )  # fmt: skip
        if not written:
            raise RefusedError(f"a trust bundle of sequence {sequence} or later was made before")

    def latest_bundle(self) -> bytes | None:
        """The signed bundle of the highest sequence (canonical `SignedTrustBundle`), None before one."""
        row = self._row("SELECT signed FROM bundles ORDER BY sequence DESC LIMIT 1")
        return None if row is None else self._blob(row[0])

    def latest_sequence(self) -> int:
        """The highest sequence of a bundle, 0 before the first."""
        row = self._row("SELECT coalesce(max(sequence), 0) FROM bundles")
        return int(row[0]) if row else 0

    def _stored_grant(self, row: tuple[Any, ...]) -> StoredGrant:
        grant = self._decode(Grant, row[0])
        if stored_digest(grant) != row[1]:
            raise self._damaged(f"the digest of grant {grant.id} is another")
        return StoredGrant(grant, row[2])

    def _blob(self, value: object) -> bytes:
        """SQLite keeps any type in any column, whatever the column was declared as."""
        if not isinstance(value, bytes):
            raise self._damaged("a record in it is no blob")
        return value

    def _decode(self, kind: type[T], record: object) -> T:
        try:
            return _decode(kind, self._blob(record))
        except MalformedError as error:
            raise self._damaged(f"a {kind.__name__} in it does not decode: {error.message}") from None

    def _damaged(self, what: str) -> UnavailableError:
        return UnavailableError(f"the database {self._path} is damaged: {what}", hint=_RESTORE)

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _told(self._path, error) from None

    def _row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        rows = self._rows(sql, *values)
        return rows[0] if rows else None

    def _write(self, sql: str, *values: object) -> int:
        """Run one statement, durably on its own when no transaction is open. Returns the rows written."""
        self._written += "INTO issued" not in sql
        if self._connection.in_transaction:
            return self._execute(sql, *values)
        with self.transaction(durable=True):
            return self._execute(sql, *values)

    def _begin(self) -> None:
        """SQLite's own wait sleeps a millisecond at least; another worker has the lock for a tenth of one."""
        patience_ms = self.patience_ms
        end = time.monotonic() + patience_ms / 1000
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.Error as error:
                busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                self._hurried = busy and bool(patience_ms) and time.monotonic() >= end
                if self._hurried or not busy or not patience_ms:
                    raise _told(self._path, error) from None
            time.sleep(LOCK_PAUSE_S)
        self._hurried = False

    def _execute(self, sql: str, *values: object) -> int:
        try:
            return self._connection.execute(sql, values).rowcount
        except sqlite3.Error as error:
            raise _told(self._path, error) from None


def _decode(kind: type[T], record: bytes) -> T:
    """The same bytes are the same value, which nobody can change: a server reads a few records again and again."""
    return cast(T, _decoded(cast(Any, kind), record))


@functools.lru_cache(maxsize=KEPT)
def _decoded(kind: Any, record: bytes) -> Any:
    return canonical.decode(kind, record)


@functools.lru_cache(maxsize=KEPT)
def stored_digest(grant: Grant) -> bytes:
    """SHA-256 of a grant's canonical encoding, remembered."""
    return canonical.digest(grant)


_RESTORE = "restore it from a backup; nothing was changed"
_ACCESS = "check who owns it, its mode and its directory's"


def _write_schema(path: Path) -> None:
    with contextlib.closing(_connect(path)) as connection, _translated(path):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _connect(path: Path) -> sqlite3.Connection:
    _check_file(path)
    with _translated(path):
        uri = f"{path.absolute().as_uri()}?mode=rw"
        # isolation_level None: transactions begin where `transaction` says, not where the module guesses.
        connection = sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT_S, isolation_level=None)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_RECORD_BYTES)
        return connection


def _file_at(path: Path) -> tuple[int, int] | None:
    """Which file is there now, None for none that can be told."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_file(path: Path) -> None:
    """Say better than SQLite does what is wrong with the path."""
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise UnavailableError(
            f"there is no database {path}", hint="make an authority with notme-git init, or restore its home"
        ) from None
    except OSError as error:
        raise UnavailableError(
            f"the database {path} cannot be reached: {error.strerror}", hint=_ACCESS
        ) from None
    if not regular:
        raise UnavailableError(f"{path} is no file", hint=_RESTORE)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what `sqlite3` raises into this project's errors."""
    try:
        yield
    except sqlite3.Error as error:
        raise _told(path, error) from None


def _told(path: Path, error: sqlite3.Error) -> Error:
    """An error of `sqlite3` as one of ours, by its result code and not by its message."""
    if isinstance(error, sqlite3.IntegrityError):
        return RefusedError(f"{path} has such an entry already: {error}")
    # The low byte is the primary code; errors of the module itself carry none.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    what, hint = _MEANING.get(code, (str(error), _RESTORE))
    return UnavailableError(f"the database {path} cannot be used: {what}", hint=hint)


_MEANING = {
    sqlite3.SQLITE_BUSY: ("another process holds its lock", "end that process, or try again"),
    sqlite3.SQLITE_LOCKED: ("another process holds its lock", "end that process, or try again"),
    sqlite3.SQLITE_FULL: ("the disk is full", "make room and try again; nothing was changed"),
    sqlite3.SQLITE_READONLY: ("it may not be written", _ACCESS),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", _ACCESS),
    sqlite3.SQLITE_PERM: ("it cannot be opened", _ACCESS),
    sqlite3.SQLITE_IOERR: ("reading or writing failed", "check the disk and the free space"),
    sqlite3.SQLITE_NOTADB: ("it is no SQLite database", _RESTORE),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", _RESTORE),
    sqlite3.SQLITE_ERROR: ("it lacks the tables of an authority", _RESTORE),
}
