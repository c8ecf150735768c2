"""Credentials from an authority elsewhere, for the signer of a home."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from attest.errors import Error, RefusedError, UnavailableError
from attest.trust import Trust
from notme_git.acting import Acting
from notme_git.config import environment
from notme_git.daemon.credential import Embedded, Source
from notme_git.enroll import issuing
from notme_git.enroll.issuing import IssuingCA
from notme_git.enroll.local import Credential
from notme_git.gitconfig import GitConfig
from notme_git.remote import ambient, enrolment, place
from notme_git.remote import issuing as remote_issuing
from notme_git.remote.client import AuthorityError, Client
from notme_git.remote.enrolment import BySession, Proof

T = TypeVar("T")

PATIENCE_S = 4.0
"""For one signature's requests together: git, and whoever waits for it, is told within five seconds."""

BRIEF_S = 0.4
"""For asking whether there is a newer bundle before something that can be done without: what follows has the rest."""

FRESH = timedelta(hours=1)
"""A bundle older than this is fetched anew before the next enrolment."""

OPTION = "notme.timestamp"

_HINTS = {
    401: "sign in again: notme-git login; a CI job: docs/actions.md",
    403: "let it act: open {url}/me; a CI job: its operator writes a rule for it (docs/actions.md)",
    429: "wait a minute",
}


@dataclass(slots=True)
class RemoteSource:
    """One authority over one connection. Not for several threads."""

    home: Path
    remote: place.Remote
    client: Client
    ambient: Callable[[], Proof | None] = ambient.find
    login: bool = True
    _trust: Trust | None = field(default=None, repr=False)
    _issuing: issuing.Held = field(default_factory=issuing.Held, repr=False)

    def trust(self) -> Trust:
        """What is pinned for this authority, with its latest bundle."""
        if self._trust is None:
            self._trust = place.read_trust(self.home)
        return self._trust

    def ticket(self, _who: Acting, _scope: str, _at: datetime) -> tuple[str, ...]:
        """The authority alone knows the grants; a credential is for the one who signed in, and for an epoch."""
        login, bundle = place.read_login(self.home), self.trust().bundle
        epoch = str(bundle.epochs[-1].number) if bundle else ""
        return self.remote.url, login.session if login else "", epoch

    def enroll(self, who: Acting, scope: str, at: datetime) -> Credential:
        """See `Source`. Where the authority has begun a new epoch its bundle says so, signed by the key before.

        An orchestrator's agent gets what its orchestrator's issuing CA mints, without a question to the authority.
        """
        holder, slash, child = who.agent.partition("/")
        if slash:
            return self._issuing_of(holder, who, scope, at).mint(child, scope, at)
        shown = self._shown(at)
        return self._following(who, at, lambda: self._enroll(shown, who, scope))

    def bounded(self) -> AbstractContextManager[None]:
        """See `Source`."""
        return self.client.within(PATIENCE_S)

    def unstamped(self, folder: str) -> bool:
        """Whether git's configuration there says that a time-stamp is optional."""
        try:
            found = GitConfig.find(environment()).in_force([OPTION], Path(folder))
        except Error:
            return False
        return "optional" in (found.get(OPTION) or ("",))[-1].split()

    def follow(self) -> bool:
        """See `Source`."""
        known = self.trust()
        self._trust = None
        return place.update(self.home / place.FOLDER, self.home, self.client) != known

    def forget(self) -> None:
        """See `Source`."""
        self._issuing.clear()

    def _following(self, who: Acting, at: datetime, ask: Callable[[], T]) -> T:
        """What `ask` gets; where the answer does not hold and there is a newer bundle, what it gets by that."""
        with self.client.within(PATIENCE_S):
            self._refresh(at)
            try:
                return ask()
            except AuthorityError as refused:
                raise self._explained(refused, who) from None
            except RefusedError:
                if not self.follow():
                    raise
            return ask()

    def _enroll(self, shown: Proof, who: Acting, scope: str) -> Credential:
        session = who.session
        return enrolment.enroll(
            self.client,
            shown,
            agent=who.agent if shown.names_agent else "",
            profile=who.profile,
            scope=scope,
            anchors=self.trust().anchors,
            session=session.id if session else "",
            task_digest=bytes.fromhex(session.task_digest) if session else b"",
            grant=session.grant_id if session else "",
        )

    def _issuing_of(self, holder: str, who: Acting, scope: str, at: datetime) -> IssuingCA:
        """The one in memory, as long as no newer epoch is known of: without the authority that is not found out."""
        with contextlib.suppress(UnavailableError), self.client.within(BRIEF_S):
            self._refresh(at)
        session = who.session
        key = (*self.ticket(who, scope, at), holder, str(who.profile), session.id if session else "")
        return self._issuing.get(key, at, lambda: self._enroll_issuing(holder, who, at))

    def _enroll_issuing(self, holder: str, who: Acting, at: datetime) -> IssuingCA:
        session, shown = who.session, self._shown(at)
        if not isinstance(shown, BySession):
            raise RefusedError(f"a workload has no agents of its own, so none signs as {who.agent}")
        return self._following(
            who,
            at,
            lambda: remote_issuing.enroll(
                self.client,
                shown,
                agent=holder,
                profile=who.profile,
                anchors=self.trust().anchors,
                session=session.id if session else "",
                task_digest=bytes.fromhex(session.task_digest) if session else b"",
            ),
        )

    def _shown(self, at: datetime) -> Proof:
        login = place.read_login(self.home) if self.login else None
        if login is not None and at < datetime.fromtimestamp(login.expires_at, UTC):
            return BySession(login.session)
        found = self.ambient()
        if found is None:
            over = "is over" if login is not None else "was begun"
            raise RefusedError(
                f"nobody is signed in at {self.remote.url}: {'the session' if login else 'no session'} {over}",
                hint="notme-git login",
            )
        return found

    def _refresh(self, at: datetime) -> None:
        age = self.trust().age(at)
        if age is None or age > FRESH:
            place.update(self.home / place.FOLDER, self.home, self.client)
            self._trust = None

    def _explained(self, refused: AuthorityError, who: Acting) -> RefusedError:
        hint = _HINTS.get(refused.status, "").format(url=self.remote.url)
        whom = f"for {who.agent}, at" if who.agent else "at"
        return RefusedError(f"{refused.message} ({whom} {self.remote.url})", hint=hint)


@contextmanager
def opened(home: Path) -> Iterator[Source]:
    """The source of a home's credentials: the authority that was set up, else the one on this machine."""
    if place.exists(home):
        remote = place.read(home)
        client = Client(remote.url)
        try:
            yield RemoteSource(home, remote, client)
        finally:
            client.close()
        return
    from notme_git.authority import embedded

    with embedded.opened(home) as authority:
        yield Embedded(home, authority)
