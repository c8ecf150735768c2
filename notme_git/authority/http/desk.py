"""What every handler works with: the opened authority, its settings and records, and the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv6Address, IPv6Network

from starlette.requests import Request

from attest.errors import Error, RefusedError
from notme_git.authority import nonces, sessions
from notme_git.authority.embedded import Authority
from notme_git.authority.http.answers import HttpError
from notme_git.authority.metrics import Metrics
from notme_git.authority.proofs.table import Table
from notme_git.authority.records import Records
from notme_git.authority.sessions import COOKIE, Session
from notme_git.authority.settings import Rate, Settings

LOCK_TIMEOUT_MS = 1000
"""A writer holds the lock for milliseconds. A server that waits long for one that hangs answers nobody meanwhile."""

PURGE_S = 60


@dataclass(slots=True)
class Desk:
    """One process's view of the authority. Used by the thread of its event loop alone."""

    authority: Authority
    settings: Settings
    clock: Callable[[], datetime]
    metrics: Metrics = field(default_factory=Metrics)
    records: Records = field(init=False)
    proofs: Table = field(init=False)
    _purged: float = 0.0

    def __post_init__(self) -> None:
        self.authority.store.wait_for_lock(LOCK_TIMEOUT_MS)
        self.records = Records(self.authority.store)
        self.proofs = Table(self.settings.proofs)
        sessions.prepare(self.records)

    def session(self, request: Request, at: datetime) -> Session:
        """Who is signed in; `RefusedError` for nobody, or not any more."""
        value = request.cookies.get(COOKIE)
        if value is None:
            raise RefusedError("no session cookie")
        return sessions.verify(self.records, value.strip('"'), at)

    def manager(self, request: Request, at: datetime) -> Session:
        """A signed-in administrator, else an answer of 401 or 403."""
        try:
            found = self.session(request, at)
        except RefusedError as refused:
            raise HttpError(401, "sign in first" if "no session" in refused.message else "invalid session") from None
        if not found.manages:
            raise HttpError(403, "authorityManage scope required")
        return found

    def nonce(self, at: datetime) -> str:
        """A fresh nonce."""
        return nonces.make(sessions.server_secret(self.records, "nonce"), at)

    def spend_nonce(self, nonce: str, at: datetime) -> None:
        """Use a nonce up in the open transaction; `RefusedError` if it is not ours, too old, or used."""
        ends = nonces.verify(sessions.server_secret(self.records, "nonce"), nonce, at)
        self.records.take("nonce", nonce, ends)

    def check_rate(self, name: str, rate: Rate, at: datetime, error: str = "rate_limited") -> None:
        """Count one more of `name`, on record at once; an answer of 429 when that is one too many."""
        if not rate.count:
            return
        with self.authority.store.transaction(durable=False):
            within = self.records.count(name, rate, int(at.timestamp()))
        if not within:
            self.limited(rate, error)

    def check_revoking(self, session: Session, at: datetime) -> None:
        """An answer of 429 to one who revokes too much: every verifier carries what is revoked for good."""
        if not session.manages:
            self.check_rate(f"revoke:{session.account.id}", self.settings.limits.revoke, at)

    def limited(self, rate: Rate, error: str = "rate_limited") -> None:
        """Answer 429."""
        self.metrics.add("limited")
        raise HttpError(429, error, headers={"Retry-After": str(rate.seconds)})

    def tidy(self, at: datetime) -> None:
        """Now and then forget what is over; a failure is no reason to fail a request."""
        if at.timestamp() - self._purged < PURGE_S:
            return
        self._purged = at.timestamp()
        try:
            with self.authority.store.transaction(durable=False):
                self.records.purge(int(at.timestamp()))
        except Error:
            return


def desk_of(request: Request) -> Desk:
    """The desk of the application that answers `request`."""
    desk: Desk = request.app.state.desk
    return desk


def client_address(request: Request) -> str:
    """The client's address; the server has put the forwarded one there where settings trust the proxy.

    Of IPv6 it is the network of 64 bits: whoever has one address there has all of them (RFC 4291 section 2.5.4).
    """
    host = request.client.host if request.client else "unknown"
    try:
        address = IPv6Address(host)
    except ValueError:
        return host
    return str(address.ipv4_mapped or IPv6Network((int(address), 64), strict=False))
